package engine

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// Limits are what can be changed while the engine runs: SetLimits. Names, meanings,
// defaults and special values are those of Options.
//
// What is not here is fixed at Open, since something was sized or laid out by it:
// segments, memtables, the cache and the spares on disk; the resident messages, whose
// lanes are spilled by the count; and dedup.window, the width of the buckets in which
// deduplication ids lie, so that another one would find none of those that are there
// (index/dedup.go).
type Limits struct {
	MinFree        int64
	ScrubRate      int64
	MessageMax     int           // bytes of a body
	ResponseMax    int           // bytes kept of an answer's body
	MaxDelay       time.Duration // of Delay and NotBefore
	MaxRetries     int
	AttemptTimeout time.Duration // of one attempt that names none
	AttemptMax     time.Duration // of one attempt

	HistoryAge  time.Duration
	HistorySize int64
	DeadAge     time.Duration
	BodiesAge   time.Duration

	Parallelism     int
	HostParallelism int
}

// Limits returns those that an engine opened with the options would begin with.
func (o Options) Limits() Limits {
	o.withDefaults()
	return Limits{
		MinFree: o.MinFree, ScrubRate: o.ScrubRate,
		MessageMax: o.MessageMax, ResponseMax: o.ResponseMax,
		MaxDelay: o.MaxDelay, MaxRetries: o.MaxRetries,
		AttemptTimeout: o.AttemptTimeout, AttemptMax: o.AttemptMax,
		HistoryAge: o.HistoryAge, HistorySize: o.HistorySize, DeadAge: o.DeadAge, BodiesAge: o.BodiesAge,
		Parallelism: o.Parallelism, HostParallelism: o.HostParallelism,
	}
}

// messageMaxLimit is the largest message.max-size: a record must fit a segment
// and a group buffer of its own.
const messageMaxLimit = 64 << 20

// validate says all that is wrong with the limits for a log with segments of a size.
func (l *Limits) validate(segment int64) error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(l.MessageMax < 1 || l.MessageMax > messageMaxLimit, "message.max-size of %d bytes: allowed are 1 B to 64 MiB", l.MessageMax)
	refuse(l.ResponseMax < 1 || l.ResponseMax > messageMaxLimit, "response.max-size of %d bytes: allowed are 1 B to 64 MiB", l.ResponseMax)
	if need := l.segmentMin(); len(errs) == 0 && segment < need { // with other errors the sum means nothing
		text := fmt.Sprintf("log.segment-size of %d bytes cannot hold a message of %d and the answer to it of %d bytes with their headers: set it to %d or more",
			segment, l.MessageMax, l.ResponseMax, need)
		if both := int64(l.MessageMax) + int64(l.ResponseMax) - (need - segment); both >= 2 {
			text += fmt.Sprintf(", or message.max-size and response.max-size to %d or less together", both)
		}
		errs = append(errs, errors.New(text))
	}
	refuse(l.AttemptMax > math.MaxUint32*time.Millisecond, "attempt.max-timeout of %s: at most %s", l.AttemptMax, math.MaxUint32*time.Millisecond)
	refuse(l.Parallelism < 1 || l.HostParallelism < 1, "delivery.parallelism and delivery.host-parallelism must be at least 1")
	refuse(l.MaxRetries < 0 || l.MaxRetries > 1<<16-2, "message.max-retries of %d: allowed are 0 to %d", l.MaxRetries, 1<<16-2)
	refuse(l.HistoryAge < time.Minute, "retention.history of %s: allowed is 1m or more", l.HistoryAge)
	refuse(l.DeadAge >= 0 && l.DeadAge < time.Minute, "retention.dlq of %s: allowed is 1m or more, or 0 for ever", l.DeadAge)
	refuse(l.HistorySize < 1<<20, "retention.history-size of %d bytes: allowed is 1 MiB or more", l.HistorySize)
	refuse(l.BodiesAge < 0 || l.BodiesAge > l.HistoryAge, "retention.bodies of %s: allowed is 0 to retention.history, %s, by which replays go", l.BodiesAge, l.HistoryAge)
	return errors.Join(errs...)
}

// recordMax bounds one record: an outcome with callbacks, which holds the message with
// its headers and options, the response with its headers, and the callbacks, and what
// moving it adds. A fan-out is smaller.
func (l *Limits) recordMax() int {
	return l.MessageMax + l.ResponseMax + metaMax + metaMax/2 + record.MoveOverhead
}

// segmentMin is the smallest segment that holds such a record, with room for what
// the log puts around it.
func (l *Limits) segmentMin() int64 {
	return int64(l.recordMax()) - record.MoveOverhead + 1<<16
}

// metaMax bounds what a record holds of a message beside its body: destination, headers,
// options and callbacks. The headers of a response take half of it at most.
const metaMax = 256 << 10

// Limits returns the bounds in force.
func (e *Engine) Limits() Limits { return *e.limits.Load() }

// SetLimits puts other bounds in force, all of them or, with an error that says which is
// wrong and what would be right, none. When it returns they hold for whatever begins from
// then on. What is under way is left alone: with a lower parallelism attempts end by
// themselves and none starts until there are fewer; with a higher one those that waited
// start at once. Messages that were accepted keep the timeout, delay and retries they were
// accepted with, but for attempt.timeout, which is looked up for each attempt.
//
// It fails with ErrClosed after Shutdown.
func (e *Engine) SetLimits(l Limits) error {
	done := make(chan struct{})
	if err := e.setLimits(&l, func(*core) { close(done) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-e.stop:
		return ErrClosed
	}
}

// setLimits checks the limits, puts them in force and has the core take them. taken is
// called once it has. They are the engine's from then on.
func (e *Engine) setLimits(l *Limits, taken func(*core)) error {
	e.limiting.Lock()
	defer e.limiting.Unlock()
	if err := l.validate(e.opts.SegmentSize); err != nil {
		return err
	}
	floor, err := e.space.floorFor(l.MinFree)
	if err != nil {
		return err
	}
	e.log.AllowRecord(l.recordMax()) // before a publish can find that it may be so long
	e.space.floor.Store(floor)
	e.limits.Store(l)
	e.inbox.push(event{kind: evLimits, limits: l, query: taken})
	return nil
}

// setLimits takes what the core goes by of other limits.
func (c *core) setLimits(l *Limits) {
	c.parallelism, c.hostParallelism = l.Parallelism, l.HostParallelism
	if plant.Bug("lower-parallelism-is-ignored") {
		c.parallelism = max(c.parallelism, c.opts.Parallelism)
	}
	c.pace.limit = min(max(c.pace.limit, 2*paceFloor), l.Parallelism)
	for i := range c.hosts { // there may be permits now for those who wait for one
		c.freeHosts(uint32(i))
	}
}
