package engine

import (
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/delay"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// workers make attempts: goroutines that stay, since starting one per attempt
// costs a third of the rate (PERFORMANCE.md, lesson 20). There are as many as
// attempts were ever in flight at once, at most Limits.Parallelism.
//
// The one that ended last is the next to work: its memory is still in the processor's
// caches, and those that a peak has left behind stay asleep.
type workers struct {
	e       *Engine
	flights flights
	wg      sync.WaitGroup

	mu struct {
		sync.Mutex
		parked []*worker // the next one last
		ended  bool      // nothing is started any more
	}

	spare []*attemptResult // memory for results to come, at most spareMax; owned by the loop
}

// worker is a goroutine that makes attempts. Whoever takes it from among the parked sets
// cmd and wakes it.
type worker struct {
	cmd  startCommand
	wake chan struct{} // cap 1; closed to end it
}

const spareMax = 1024

func (w *workers) init(e *Engine) { w.e = e }

// start hands an attempt to a worker and does not block. A worker parks before the core
// hears of the end of its attempt, so there are no more than attempts in flight.
func (w *workers) start(cmd startCommand) {
	one := w.take()
	if one == nil {
		return
	}
	if n := len(w.spare); n > 0 {
		cmd.into, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	one.cmd = cmd
	one.wake <- struct{}{}
}

// take returns the worker that parked last, or a new one; nil once they have ended.
func (w *workers) take() *worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.ended {
		return nil
	}
	if n := len(w.mu.parked); n > 0 {
		one := w.mu.parked[n-1]
		w.mu.parked = w.mu.parked[:n-1]
		return one
	}
	one := &worker{wake: make(chan struct{}, 1)}
	w.wg.Go(stage("deliver", func() { w.run(one) }))
	return one
}

// park makes a worker the next one to be taken, unless they have ended.
func (w *workers) park(one *worker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.ended {
		return false
	}
	w.mu.parked = append(w.mu.parked, one)
	return true
}

// end has the workers end, those that make an attempt when that has ended.
func (w *workers) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.ended = true
	for _, one := range w.mu.parked {
		close(one.wake)
	}
	w.mu.parked = nil
}

func (w *workers) run(one *worker) {
	a := newAttempter(w.e)
	w.flights.add(&a.flight)
	for range one.wake {
		slot, r := one.cmd.slot, a.run(&one.cmd)
		more := w.park(one)
		w.e.inbox.push(event{kind: evFinished, slot: slot, result: r})
		if !more {
			return
		}
	}
}

// reuse takes the memory of a result that nobody looks at any more.
func (w *workers) reuse(r *attemptResult) {
	if r != nil && len(w.spare) < spareMax && cap(r.outcome.Body) <= historyMax {
		w.spare = append(w.spare, r)
	}
}

// attempter makes one attempt after the other, with memory of its own that it
// uses again.
type attempter struct {
	e       *Engine
	record  []byte // the message's record as read from the log
	body    []byte // its body, decompressed
	message record.Message
	attempt dispatch.Attempt
	result  dispatch.Result
	signer  signer
	text    []byte // the values of headers
	rand    chance
	flight  flight // what others see of it
}

// Memory above attempterMax is not kept for the next attempt. readSlack is room
// for what the log reads around a payload.
const (
	attempterMax = 256 << 10
	readSlack    = 64
)

func newAttempter(e *Engine) *attempter { return &attempter{e: e} }

// run makes one attempt and returns its end. It never fails: what goes wrong is
// an outcome.
func (a *attempter) run(cmd *startCommand) *attemptResult {
	start := time.Now()
	r := cmd.into
	if r == nil {
		r = new(attemptResult)
	}
	r.reset()
	a.try(cmd, r)
	a.flight.set(flightInfo{})
	r.outcome.Took = uint32(min(time.Since(start).Milliseconds(), 1<<32-1))
	a.trim()
	return r
}

// try makes the attempt. A panic is a bug of ours in this one delivery: it is
// logged, and the attempt counts as failed (P50).
func (a *attempter) try(cmd *startCommand, r *attemptResult) {
	defer func() {
		if p := recover(); p != nil {
			a.e.tally.panics.Add(1)
			a.e.opts.Logger.Error("engine: BUG: panic in an attempt", "panic", p, "stack", string(debug.Stack()))
			*r = attemptResult{answered: true, retries: int(a.message.Retries), delay: delay.Default(cmd.attempt)}
			r.outcome.Error = "internal error of the server during the attempt"
		}
	}()
	body, err := a.read(cmd)
	if err != nil {
		a.unprepared(r, err)
		return
	}
	wall := a.e.opts.Wall()
	now := wall.UnixMilli()
	if now < cmd.due {
		r.interrupt = true // the clock was set back since the core looked: it waits again (T3)
		return
	}
	if err := a.prepare(cmd, body, wall); err != nil {
		a.unprepared(r, err)
		return
	}
	a.flight.set(flightInfo{
		user: UserID(cmd.row.User), seq: cmd.row.Seq, nonce: cmd.row.Nonce, pos: cmd.row.Pos, len: cmd.row.Len,
		attempt: cmd.attempt, start: now,
	})
	a.e.tally.start(cmd, now)
	a.e.opts.Wire.Do(&a.attempt, &a.result)
	a.e.tally.attempt(&a.result.Timing)
	a.classify(r, cmd.attempt)
	a.logAttempt(cmd, r)
	r.outcome.Timing = timing(cmd, &a.result.Timing)
	if r.interrupt || len(a.message.Callback) == 0 && len(a.message.Failure) == 0 {
		return
	}
	if err := a.callbacks(r, cmd, body); err != nil {
		a.damaged(r, err)
	}
}

// read reads and decodes the message and returns its body.
func (a *attempter) read(cmd *startCommand) (body []byte, err error) {
	if need := int(cmd.row.Len) + readSlack; cap(a.record) < need {
		a.record = make([]byte, need+need/4)
	}
	p, ok := a.e.recent.read(&cmd.row, a.record)
	if !ok {
		a.e.tally.logReads.Add(1)
		if p, err = a.e.readMoved(&cmd.row, a.record); err != nil {
			return nil, asReadError(err)
		}
	}
	body, err = openMessage(p, &cmd.row, &a.message, a.body)
	if err != nil {
		return nil, err
	}
	if a.message.Flags&record.FlagZstd != 0 {
		a.body = body
		if plant.Bug("body-sent-compressed") {
			body = a.message.Body
		}
	}
	return body, nil
}

// prepare builds the request.
func (a *attempter) prepare(cmd *startCommand, body []byte, now time.Time) error {
	if a.message.Flags&record.FlagPull != 0 {
		return a.pushRequest(cmd, body, now)
	}
	return a.request(cmd, body, now)
}

// readRetry is how long a message waits of which no attempt could be made for a
// reason that may pass: no file descriptor, say.
const readRetry = time.Second

// readError is a record that could not be read for a reason that may pass.
type readError struct{ error }

func asReadError(err error) error {
	var corrupt *wal.CorruptionError
	for _, lasting := range []error{errEnded, wal.ErrNotFound, io.ErrUnexpectedEOF, syscall.EIO} {
		if errors.Is(err, lasting) {
			return err
		}
	}
	if errors.As(err, &corrupt) {
		return err
	}
	return readError{err}
}

func (a *attempter) unprepared(r *attemptResult, err error) {
	if errors.Is(err, errEnded) || errors.Is(err, errNoWebhook) { // canceled before its turn came here, or to be received now
		r.interrupt, r.delay = true, readRetry
		return
	}
	if _, ok := err.(readError); !ok {
		a.damaged(r, err)
		return
	}
	a.e.opts.Logger.Error("engine: a stored message cannot be read now; it is tried again", "error", err)
	r.interrupt, r.delay = true, readRetry
}

// damaged ends a message whose record cannot be read: it becomes a dead letter,
// and the server runs on (W7).
func (a *attempter) damaged(r *attemptResult, err error) {
	a.e.opts.Logger.Error("engine: a stored message is damaged; it goes to the dead letter queue. Run `tidemill wal verify`", "error", err)
	a.e.health.messages.Add(1)
	r.final, r.answered, r.reason = true, true, DeadDamaged
	r.outcome.Error = "damaged: the stored message cannot be read"
}

func (a *attempter) trim() {
	// They may alias what is dropped here.
	a.message.Body, a.message.Callback, a.message.Failure, a.attempt.Body = nil, nil, nil, nil
	if cap(a.record) > attempterMax {
		a.record = nil
	}
	if cap(a.body) > attempterMax {
		a.body = nil
	}
	if cap(a.result.Body) > attempterMax {
		a.result.Body = nil
	}
}
