package engine

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/histogram"
)

// What is counted for operators beside Stats. A message costs a few atomic additions, of
// which those of the core meet nobody else's.

// tally is counted by the goroutines around the core.
type tally struct {
	accepted, duplicates atomic.Uint64 // publishes
	redriven             atomic.Uint64 // dead letters that were published again
	refused              [refusalCount]atomic.Uint64
	append, durable      histogram.Durations // stages of a publish call

	lateness histogram.Durations
	attempts [attemptStages]histogram.Durations
	panics   atomic.Uint64
	logReads atomic.Uint64 // attempts whose message was not at hand (recent.go)

	batch    histogram.Durations // writing a batch of the index
	applying atomic.Int64        // ns that the applier was at work
}

// coreTally is counted by the core; others read it.
type coreTally struct {
	published, callbacks                atomic.Uint64 // messages that are durable; of them, callbacks
	delivered, retried, ended, canceled atomic.Uint64 // outcomes that are; ended: as dead letters, or in a dead letter queue
	dead                                [deadCount]atomic.Uint64

	permit, flow, logged histogram.Durations
}

// AttemptStage is a part of an attempt. The first three are counted where a connection was
// made, each if it was come to; AttemptFirstByte where an answer began, AttemptTotal always.
type AttemptStage uint8

// The stages of an attempt.
const (
	AttemptDNS AttemptStage = iota
	AttemptConnect
	AttemptTLS
	AttemptFirstByte // from the start of the attempt
	AttemptTotal

	attemptStages
)

var attemptStageNames = [attemptStages]string{"dns", "connect", "tls", "first_byte", "total"}

// String returns the stage as one lower-case word, for metrics.
func (s AttemptStage) String() string { return attemptStageNames[s] }

// DeadReason is why a message became a dead letter.
type DeadReason uint8

// The reasons of dead letters.
const (
	DeadExhausted    DeadReason = iota // all attempts were made
	DeadNonRetryable                   // the destination asked for no more (QSTASH.md §5.1)
	DeadBlocked                        // its address may not be called
	DeadDamaged                        // its record cannot be read (W7)

	deadCount
)

var deadReasons = [deadCount]string{"exhausted", "non_retryable", "blocked", "damaged"}

// String returns the reason as one lower-case word, for metrics.
func (r DeadReason) String() string { return deadReasons[r] }

// Refusal is why a publish was refused.
type Refusal uint8

// The reasons of refusals. RefusedLate and RefusedLag are told apart by Stats alone: a
// producer can do the same about both.
const (
	RefusedFull    Refusal = iota // ErrDiskFull
	RefusedStalled                // ErrStalled; the message may be stored
	RefusedFailed                 // ErrLogFailed; so, too
	RefusedClosing                // ErrClosed
	RefusedSize                   // ErrTooLarge
	RefusedQuota                  // a LimitError that is a quota
	RefusedInvalid                // any other LimitError
	RefusedOther
	RefusedLate // ErrOverloaded: deliveries were late
	RefusedLag  // ErrOverloaded: the index lagged

	refusalCount
)

var refusals = [refusalCount]string{
	"disk_full", "disk_stalled", "log_failed", "shutdown", "too_large", "quota", "invalid", "other", "deliveries_late", "index_lag",
}

// String returns the reason in lower case, for metrics.
func (r Refusal) String() string { return refusals[r] }

// Class is the class of the HTTP status that a producer gets.
func (r Refusal) Class() string {
	switch r {
	case RefusedSize, RefusedQuota, RefusedInvalid:
		return "4xx"
	}
	return "5xx"
}

func refusalOf(err error) Refusal {
	limit, isLimit := errors.AsType[*LimitError](err)
	switch {
	case isLimit && limit.Quota:
		return RefusedQuota
	case isLimit:
		return RefusedInvalid
	case errors.Is(err, ErrTooLarge):
		return RefusedSize
	case errors.Is(err, ErrDiskFull):
		return RefusedFull
	case errors.Is(err, ErrStalled):
		return RefusedStalled
	case errors.Is(err, ErrLogFailed):
		return RefusedFailed
	case errors.Is(err, ErrClosed):
		return RefusedClosing
	}
	return RefusedOther
}

// watch takes the times of stages that follow each other. The zero value takes none.
type watch struct{ at time.Time }

func startWatch(off bool) (w watch) {
	if !off {
		w.at = time.Now()
	}
	return w
}

// end ends a stage, and begins the next one.
func (w *watch) end(h *histogram.Durations) {
	if !w.at.IsZero() {
		w.at = h.Since(w.at)
	}
}

// publish counts a publish that was answered. Refusals for overload are counted where
// their reason is known (admission).
func (t *tally) publish(duplicate bool, err error) {
	switch {
	case err == nil && duplicate:
		t.duplicates.Add(1)
	case err == nil:
		t.accepted.Add(1)
	case !errors.Is(err, ErrOverloaded):
		t.refused[refusalOf(err)].Add(1)
	}
}

func (t *tally) publishMany(rs []Result) {
	for i := range rs {
		t.publish(rs[i].Deduplicated || len(rs[i].Members) > 0 && rs[i].Members[0].Deduplicated, rs[i].Err)
	}
}

// start counts an attempt that begins now, unix ms.
func (t *tally) start(cmd *startCommand, now int64) { t.lateness.Observe(millis(now - cmd.due)) }

// attempt counts the parts of an attempt that has ended.
func (t *tally) attempt(in *dispatch.Timing) {
	for stage, took := range [attemptStages]time.Duration{in.DNS, in.Connect, in.TLS, in.FirstByte, in.Total} {
		if took > 0 || AttemptStage(stage) == AttemptTotal {
			t.attempts[stage].Observe(took)
		}
	}
}

// applied notes that the applier was at work since start.
func (t *tally) applied(start time.Time) { t.applying.Add(int64(time.Since(start))) }

// started counts an attempt that the core lets begin.
func (t *coreTally) started(cmd *startCommand) {
	t.permit.Observe(millis(cmd.waited))
	if cmd.heldUp > 0 {
		t.flow.Observe(millis(cmd.heldUp))
	}
}

// outcome counts what a durable outcome says, as the statistics of accounts do
// (index.Applier). What consumers do to a message of a pull queue is no attempt.
func (t *coreTally) outcome(o *record.Outcome, now int64) {
	op := o.Step.Op
	if o.Attempt > 0 && (op == 0 || op == record.PullPush) {
		t.logged.Observe(millis(now - o.At))
	}
	switch {
	case o.Kind == record.Delivered:
		t.delivered.Add(1)
	case o.Kind == record.Dead, op == record.PullBury:
		t.ended.Add(1)
	case o.Kind == record.Canceled:
		t.canceled.Add(1)
	case op == 0 || op == record.PullPush || op == record.PullReceive && o.Attempt > 1:
		t.retried.Add(1)
	}
}

// Tally is what was counted since the start.
type Tally struct {
	Accepted, Duplicates uint64               // publishes that were answered with an id, and those with that of an earlier one
	Refused              [refusalCount]uint64 // by Refusal

	Published, Callbacks                uint64            // messages of any origin that became durable; of them, callbacks
	Delivered, Retried, Ended, Canceled uint64            // durable outcomes
	Dead                                [deadCount]uint64 // dead letters that were decided, by DeadReason

	Redriven uint64 // dead letters that were published again
	LogReads uint64 // attempts that read their message from the log, since it was not committed a moment ago

	Panics uint64        // in attempts, recovered (P50); anything but 0 is a bug
	Apply  time.Duration // that the applier was at work

	// A call that publishes, but for those with Publish.Untimed: until its records are in the open group of the log, and from
	// there until they are durable.
	Append, Durable histogram.Snapshot
	// An attempt, in whole milliseconds: after its message was due, what it waited for its
	// host and the processor, and for its flow-control key, until it was let begin, and all
	// until it began; and its end, until that was durable.
	Permit, Flow, Lateness, Logged histogram.Snapshot
	Attempts                       [attemptStages]histogram.Snapshot // by AttemptStage
	Batch                          histogram.Snapshot                // writing a batch of the index
}

// Tally returns the counters, read one by one and not as of one moment.
func (e *Engine) Tally() Tally {
	t, c := &e.tally, &e.core.tally
	out := Tally{
		Accepted: t.accepted.Load(), Duplicates: t.duplicates.Load(),
		Published: c.published.Load(), Callbacks: c.callbacks.Load(),
		Delivered: c.delivered.Load(), Retried: c.retried.Load(), Ended: c.ended.Load(), Canceled: c.canceled.Load(),
		Redriven: t.redriven.Load(), LogReads: t.logReads.Load(), Panics: t.panics.Load(), Apply: time.Duration(t.applying.Load()),
		Append: t.append.Snapshot(), Durable: t.durable.Snapshot(), Permit: c.permit.Snapshot(), Flow: c.flow.Snapshot(),
		Lateness: t.lateness.Snapshot(), Logged: c.logged.Snapshot(), Batch: t.batch.Snapshot(),
	}
	for i := range out.Attempts {
		out.Attempts[i] = t.attempts[i].Snapshot()
	}
	for i := range out.Refused {
		out.Refused[i] = t.refused[i].Load()
	}
	out.Refused[RefusedLate], out.Refused[RefusedLag] = e.admission.lates.Load(), e.admission.lagging.Load()
	for i := range out.Dead {
		out.Dead[i] = c.dead[i].Load()
	}
	return out
}

// Refusals are all reasons of refusals.
func Refusals() []Refusal {
	out := make([]Refusal, refusalCount)
	for i := range out {
		out[i] = Refusal(i)
	}
	return out
}

// DeadReasons are all reasons of dead letters.
func DeadReasons() []DeadReason {
	out := make([]DeadReason, deadCount)
	for i := range out {
		out[i] = DeadReason(i)
	}
	return out
}
