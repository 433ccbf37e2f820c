package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// VerifyOptions are the options of VerifyRecording.
type VerifyOptions struct {
	// Tolerance is how long an attempt may take from its beginning, which is what a rate
	// counts, to its arrival, which is what was recorded. Default: half of the key's
	// period, and a second at most.
	Tolerance time.Duration

	// Duplicates allows messages to come again: after a crash they may.
	Duplicates bool
}

// Verdict is what a recording shows.
type Verdict struct {
	Lanes      int
	Published  int // messages
	Attempts   int
	Duplicates int // attempts of what had been answered 2xx

	// Shares is how much of each window of the flow-control keys was used, as a fraction:
	// the first and the last window of each key, which may have been cut short, excepted.
	Shares []float64

	// Delay is the longest way from the beginning of an attempt to its arrival that must
	// be assumed for all keys to have kept their rates; zero if none.
	Delay time.Duration

	// InFlight is the most attempts of one key at one time, as a fraction of its
	// parallelism; 0 if no key has one.
	InFlight float64

	// Violations is how many there are. The first is the error.
	Violations int

	turns *hdrhistogram.Histogram // of queues: from when a message could come until it came
}

// VerifyRecording checks what was recorded (RECORDING.md): the order of queues and how many
// of their messages were under way, the windows and the parallelism of flow-control keys,
// earliness, duplicates and losses. The error names the first violation by its line; it
// wraps ErrOrder, ErrLimit, ErrEarly, ErrTwice, ErrLost or ErrCorrupt, or ErrRecording if
// the recording cannot be read. A verdict comes with all but the last.
func VerifyRecording(in io.Reader, o VerifyOptions) (*Verdict, error) {
	r, err := readRecording(in)
	if err != nil {
		return nil, err
	}
	v := &verification{o: o}
	v.turns = newHistogram()
	for _, id := range r.order {
		l := r.lanes[id]
		v.Lanes++
		v.Published += len(l.promises)
		v.Attempts += len(l.attempts)
		v.messages(l)
		switch l.kind {
		case laneQueue:
			v.queue(l)
		case laneKey:
			v.key(l)
		}
	}
	if v.first != nil {
		return &v.Verdict, fmt.Errorf("line %d: %w", v.line, v.first)
	}
	return &v.Verdict, nil
}

// WriteText writes the verdict for people.
func (v *Verdict) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d lanes, %d messages, %d attempts, %d duplicates, %d violations\n", v.Lanes, v.Published, v.Attempts, v.Duplicates, v.Violations)
	if len(v.Shares) > 0 {
		fmt.Fprintf(&b, "windows: %d, of which %.3f were used (%.3f to %.3f), if an attempt took %v at most to arrive\n",
			len(v.Shares), median(v.Shares), slices.Min(v.Shares), slices.Max(v.Shares), v.Delay)
	}
	if v.InFlight > 0 {
		fmt.Fprintf(&b, "attempts at one time: %.3f of the parallelism at most\n", v.InFlight)
	}
	if v.turns.TotalCount() > 0 {
		fmt.Fprintf(&b, "turns of queues: p50 %s, p99 %s after the one before\n", millis(quantile(v.turns, 50)), millis(quantile(v.turns, 99)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verification is one that runs.
type verification struct {
	Verdict
	o     VerifyOptions
	first error
	line  int // of it
}

// complain notes a violation, which a line shows.
func (v *verification) complain(line int, err error) {
	v.Violations++
	if v.first == nil || line < v.line {
		v.line, v.first = line, err
	}
}

// copyOf names what must come once.
type copyOf struct {
	seq  uint64
	host int // of a group; else 0
}

func (l *lane) copyOf(a *attempt) copyOf {
	if l.kind == laneGroup {
		return copyOf{a.seq, a.host}
	}
	return copyOf{seq: a.seq}
}

// messages checks what holds for each by itself.
func (v *verification) messages(l *laneRecord) {
	answered := make(map[copyOf]bool, len(l.attempts))
	for i := range l.attempts {
		a := &l.attempts[i]
		p := l.promised(a.seq)
		of := l.copyOf(&a.attempt)
		switch {
		case p == nil:
			v.complain(a.line, fmt.Errorf("%w: %s: number %d was never published", ErrCorrupt, l.name, a.seq))
		case l.kind == laneGroup && a.host >= l.endpoints:
			v.complain(a.line, fmt.Errorf("%w: %s: number %d came to host %d, which is no endpoint", ErrCorrupt, l.name, a.seq, a.host))
		case a.came < p.due:
			v.complain(a.line, fmt.Errorf("%w: %s: number %d, by %v", ErrEarly, l.name, a.seq, p.due-a.came))
		}
		if answered[of] {
			if v.Duplicates++; !v.o.Duplicates {
				v.complain(a.line, fmt.Errorf("%w: %s: number %d", ErrTwice, l.name, a.seq))
			}
		}
		answered[of] = answered[of] || a.status/100 == 2
	}
	for i := range l.promises {
		p := &l.promises[i]
		for host := range max(1, l.endpoints) {
			if p.acked > 0 && !answered[copyOf{p.seq, host}] {
				v.complain(p.line, fmt.Errorf("%w: %s: number %d", ErrLost, l.name, p.seq))
			}
		}
	}
}

// promised finds the publish of a message; nil if there was none.
func (l *laneRecord) promised(seq uint64) *recordedPromise {
	i, ok := slices.BinarySearchFunc(l.promises, seq, func(p recordedPromise, seq uint64) int { return cmp.Compare(p.seq, seq) })
	if !ok {
		return nil
	}
	return &l.promises[i]
}
