package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// recordingFormat begins a recording, with the version of its format (RECORDING.md).
const recordingFormat = "tidemill-recording 1"

const (
	recordChunk  = 1 << 20
	recordChunks = 256 // of one round at most: about eight million lines
	recordLine   = 160 // bytes of the longest line of a message
)

// laneKind is what is promised of the messages of a lane.
type laneKind string

const (
	lanePlain laneKind = "plain" // each comes once
	laneQueue laneKind = "queue" // in the order of their numbers, so many at a time
	laneKey   laneKind = "key"   // within the limits of a flow-control key
	laneGroup laneKind = "group" // each comes once to each of the hosts
)

// lane is a stream of messages of which the same is promised. Its number is the stamp's
// side.
type lane struct {
	kind        laneKind
	name        string
	parallelism int // of a queue or key, 0: no limit
	rate        int // of a key, 0: no limit
	period      time.Duration
	sliding     bool
	endpoints   int // of a group: it is owed to the hosts 0 to endpoints-1
}

// promise is the publish of a message.
type promise struct {
	seq   uint64
	sent  time.Duration // when its publish began
	due   time.Duration // it must not come before; 0: at once
	acked time.Duration // when that was answered 2xx; 0: nobody knows what became of it
}

// attempt is one request of a message as its receiver saw it.
type attempt struct {
	seq    uint64
	host   int
	came   time.Duration // on the clock of the stamps
	ended  time.Duration // when the answer was ready to be written, so before whoever waits for it saw it
	status int
}

// recorder keeps what was promised and what came, in the format of RECORDING.md. Lines are
// kept in memory for a round, so that no disk takes part in what is measured; cut hands
// them out and writes them to the file, if there is one. Safe for concurrent use.
type recorder struct {
	out io.Writer // nil: none

	mu       sync.Mutex
	head     []byte   // the declarations, which a reader of any round needs
	chunks   [][]byte // of this round; no line is in two of them
	lines    int      // of messages, over all rounds
	overflow bool
}

// errRecordFull says that what was recorded is not complete.
var errRecordFull = fmt.Errorf("a round was longer than the %d MiB that a recording holds in memory", recordChunk*recordChunks>>20)

func newRecorder(out io.Writer) (*recorder, error) {
	r := &recorder{out: out}
	return r, r.declare(recordingFormat)
}

// declare adds a line that is true for the whole recording. It is not to be called while a
// round runs.
func (r *recorder) declare(line string) error {
	r.head = append(append(r.head, line...), '\n')
	return r.write(r.head[len(r.head)-len(line)-1:])
}

func (r *recorder) write(b []byte) error {
	if r.out == nil {
		return nil
	}
	if _, err := r.out.Write(b); err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	return nil
}

// hosts declares the addresses that receive.
func (r *recorder) hosts(addresses []string) (err error) {
	for i, a := range addresses {
		err = errors.Join(err, r.declare(fmt.Sprintf("host %d %s", i, a)))
	}
	return err
}

// lane declares a lane and what is promised of it.
func (r *recorder) lane(id int, l lane) error {
	line := fmt.Sprintf("%s %d %s", l.kind, id, l.name)
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"parallelism", int64(l.parallelism)},
		{"rate", int64(l.rate)},
		{"period", l.period.Microseconds()},
		{"endpoints", int64(l.endpoints)},
	} {
		if limit.value > 0 {
			line += fmt.Sprintf(" %s=%d", limit.name, limit.value)
		}
	}
	if l.sliding {
		line += " sliding=1"
	}
	return r.declare(line)
}

// published notes the publish of a message, when its outcome is known.
func (r *recorder) published(lane uint64, p promise) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.append("p", lane, int64(p.seq), p.sent.Microseconds(), p.due.Microseconds(), p.acked.Microseconds())
}

// attempted notes an attempt, before its answer is written.
func (r *recorder) attempted(lane uint64, a attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.append("a", lane, int64(a.seq), int64(a.host), a.came.Microseconds(), a.ended.Microseconds(), int64(a.status))
}

// append adds a line. The lock is held.
func (r *recorder) append(kind string, lane uint64, values ...int64) {
	n := len(r.chunks)
	if n == 0 || cap(r.chunks[n-1])-len(r.chunks[n-1]) < recordLine {
		if n == recordChunks {
			r.overflow = true
			return
		}
		r.chunks = append(r.chunks, make([]byte, 0, recordChunk))
		n++
	}
	b := append(append(r.chunks[n-1], kind...), ' ')
	b = strconv.AppendUint(b, lane, 10)
	for _, v := range values {
		b = strconv.AppendInt(append(b, ' '), v, 10)
	}
	r.chunks[n-1] = append(b, '\n')
	r.lines++
}

// cut ends a round: it returns what was recorded of it, as a recording of its own, and
// writes it to the file.
func (r *recorder) cut() (io.Reader, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	chunks := r.chunks
	r.chunks = nil
	if r.overflow {
		return nil, errRecordFull
	}
	all, lines := []io.Reader{bytes.NewReader(r.head)}, 0
	for _, c := range chunks {
		if err := r.write(c); err != nil {
			return nil, err
		}
		all = append(all, bytes.NewReader(c))
		lines += bytes.Count(c, []byte("\n"))
	}
	return io.MultiReader(append(all, bytes.NewReader(endLine(lines)))...), nil
}

// endLine ends a recording of so many lines of messages: one that breaks off has none.
func endLine(lines int) []byte { return fmt.Appendf(nil, "end %d\n", lines) }

// close ends the recording.
func (r *recorder) close() error {
	_, err := r.cut()
	return errors.Join(err, r.write(endLine(r.lines)))
}
