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
type workers struct {
	e       *Engine
	jobs    chan startCommand
	staged  func() // run, labelled for profiles
	started int    // owned by the loop, like the core's count of attempts in flight
	flights flights
	wg      sync.WaitGroup
}

func (w *workers) init(e *Engine) {
	w.e = e
	w.staged = stage("deliver", w.run)
	w.jobs = make(chan startCommand, e.limits.Load().Parallelism)
}

// start hands an attempt to a worker. It does not block while the core keeps no more
// attempts in flight than the channel holds, which is until the parallelism is raised;
// then it may wait for a worker to look: there is one for each attempt.
func (w *workers) start(cmd startCommand) {
	if w.started < w.e.core.inflight {
		w.started++
		w.wg.Go(w.staged)
	}
	select {
	case w.jobs <- cmd:
	default:
		select {
		case w.jobs <- cmd:
		case <-w.e.stop: // and with it the workers
		}
	}
}

// wait blocks until the workers have ended; nothing may be started any more.
func (w *workers) wait() {
	close(w.jobs)
	w.wg.Wait()
}

func (w *workers) run() {
	a := newAttempter(w.e)
	w.flights.add(&a.flight)
	for {
		select {
		case cmd, ok := <-w.jobs:
			if !ok {
				return
			}
			w.e.inbox.push(event{kind: evFinished, slot: cmd.slot, result: a.run(&cmd)})
		case <-w.e.stop:
			return
		}
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
	r := new(attemptResult)
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
	body, err := a.prepare(cmd)
	if err != nil {
		a.unprepared(r, err)
		return
	}
	now := a.e.wallMillis()
	if now < cmd.due {
		r.interrupt = true // the clock was set back since the core looked: it waits again (T3)
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

// prepare reads the message, builds the request and returns its body.
func (a *attempter) prepare(cmd *startCommand) (body []byte, err error) {
	if need := int(cmd.row.Len) + readSlack; cap(a.record) < need {
		a.record = make([]byte, need+need/4)
	}
	p, err := a.e.readMoved(&cmd.row, a.record)
	if err != nil {
		return nil, asReadError(err)
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
	if a.message.Flags&record.FlagPull != 0 {
		return body, a.pushRequest(cmd, body)
	}
	return body, a.request(cmd, body)
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
