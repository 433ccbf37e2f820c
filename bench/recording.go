package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrRecording says that what was to be checked is not a whole recording.
var ErrRecording = errors.New("not a recording, or not all of one")

// recording is one that was read.
type recording struct {
	hosts int
	lanes map[uint64]*laneRecord
	order []uint64 // of the lanes, as they were declared
}

// laneRecord is a lane and what came of it.
type laneRecord struct {
	lane
	promises []recordedPromise
	attempts []recordedAttempt // by when they came
}

type recordedPromise struct {
	promise
	line int
}

type recordedAttempt struct {
	attempt
	line int
}

// readRecording reads a recording to its end. It is held in memory: 64 bytes for each
// message and as many for each attempt.
func readRecording(in io.Reader) (*recording, error) {
	r := &recording{lanes: map[uint64]*laneRecord{}}
	lines := bufio.NewScanner(in)
	n, messages, ended := 0, 0, false
	for lines.Scan() {
		n++
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch {
		case n == 1:
			if lines.Text() != recordingFormat {
				return nil, fmt.Errorf("%w: it begins with %.40q, want %q", ErrRecording, lines.Text(), recordingFormat)
			}
		case ended:
			err = errors.New("a line after the end")
		case kind == "p" || kind == "a":
			messages++
			err = r.message(kind, rest, n)
		case kind == "host":
			r.hosts++
		case kind == "end":
			if ended = true; rest != strconv.Itoa(messages) {
				err = fmt.Errorf("%d messages and attempts, and %q were recorded", messages, rest)
			}
		default:
			err = r.declare(laneKind(kind), rest)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrRecording, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !ended {
		return nil, fmt.Errorf("%w: it breaks off after line %d", ErrRecording, n)
	}
	for _, l := range r.lanes {
		slices.SortStableFunc(l.attempts, func(a, b recordedAttempt) int { return int(a.came - b.came) })
		slices.SortFunc(l.promises, func(a, b recordedPromise) int { return int(a.seq) - int(b.seq) })
	}
	return r, nil
}

// declare takes the declaration of a lane: its number, name and limits.
func (r *recording) declare(kind laneKind, rest string) error {
	fields := strings.Fields(rest)
	if !slices.Contains([]laneKind{lanePlain, laneQueue, laneKey, laneGroup}, kind) || len(fields) < 2 {
		return fmt.Errorf("a line of no known kind: %.20q", kind)
	}
	id, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil || r.lanes[id] != nil {
		return fmt.Errorf("lane %q is no number, or declared twice", fields[0])
	}
	l := &laneRecord{lane: lane{kind: kind, name: fields[1]}}
	for _, f := range fields[2:] {
		name, text, _ := strings.Cut(f, "=")
		v, err := strconv.ParseInt(text, 10, 53)
		if err != nil || v < 0 {
			return fmt.Errorf("%q: want NAME=NUMBER", f)
		}
		switch name {
		case "parallelism":
			l.parallelism = int(v)
		case "rate":
			l.rate = int(v)
		case "period":
			l.period = time.Duration(v) * time.Microsecond
		case "sliding":
			l.sliding = v > 0
		case "endpoints":
			l.endpoints = int(v)
		default:
			return fmt.Errorf("no limit is called %q", name)
		}
	}
	r.lanes[id], r.order = l, append(r.order, id)
	return nil
}

// message takes a line of a message: numbers only.
func (r *recording) message(kind, rest string, line int) error {
	var v [6]int64
	fields := 0
	for text := range strings.SplitSeq(rest, " ") {
		if fields == len(v) {
			return errors.New("too many fields")
		}
		n, err := strconv.ParseInt(text, 10, 63)
		if err != nil || n < 0 {
			return fmt.Errorf("%.20q is no number", text)
		}
		v[fields] = n
		fields++
	}
	l := r.lanes[uint64(v[0])]
	micros := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	switch {
	case l == nil:
		return fmt.Errorf("lane %d was not declared", v[0])
	case kind == "p" && fields == 5:
		l.promises = append(l.promises, recordedPromise{promise{uint64(v[1]), micros(v[2]), micros(v[3]), micros(v[4])}, line})
	case kind == "a" && fields == 6 && v[2] < int64(r.hosts):
		l.attempts = append(l.attempts, recordedAttempt{attempt{uint64(v[1]), int(v[2]), micros(v[3]), micros(v[4]), int(v[5])}, line})
	default:
		return fmt.Errorf("%d fields, or a host that was not declared", fields)
	}
	return nil
}
