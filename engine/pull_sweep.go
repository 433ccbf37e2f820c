package engine

import (
	"cmp"
	"errors"
	"math"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// The sweep ends what nobody will receive: messages of queues that were deleted, and those
// that were kept for as long as their queue keeps messages. What comes up to be handed out
// is looked at by the core itself (overdue), so the sweep is only about what does not.
const (
	sweepEvery = 10 * time.Second
	sweepBatch = 1000
)

// pullSweeper is the state of the goroutine that sweeps.
type pullSweeper struct{ signal chan struct{} }

func (s *pullSweeper) init() { s.signal = make(chan struct{}, 1) }

func (s *pullSweeper) wake() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// sweepLoop is the sweeper.
func (e *Engine) sweepLoop() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		case <-e.sweeper.signal:
		}
		err := e.sweepPulls()
		if err != nil && !e.stopping() && e.fatalErr.Load() == nil && !errors.Is(err, ErrDiskFull) && !errors.Is(err, ErrStalled) {
			e.opts.Logger.Warn("engine: messages of pull queues that are over cannot be ended now", "error", err)
		}
	}
}

// sweepPulls is one round.
func (e *Engine) sweepPulls() error {
	var errs []error
	for _, d := range e.pulls.list(func(*pullDef) bool { return true }) {
		if e.stopping() {
			return nil
		}
		if d.gone() {
			errs = append(errs, e.sweepGone(d))
		} else {
			errs = append(errs, e.sweepExpired(d))
		}
	}
	return errors.Join(errs...)
}

// sweepGone ends all messages of a queue that was deleted, and forgets it.
func (e *Engine) sweepGone(d *pullDef) error {
	if _, err := e.dropPulls(d); err != nil {
		return err
	}
	if err := e.catchUp(); err != nil {
		return err
	}
	_, there, err := e.idx.PullState(d.ID, 0)
	if err == nil && !there {
		e.pulls.forget(d.ID)
	}
	return indexError(err)
}

// sweepExpired ends messages that are due since before the queue keeps any, batch by
// batch: those are no younger than that.
func (e *Engine) sweepExpired(d *pullDef) error {
	var at index.PullCursor
	before := e.wallMillis() - d.Retention - 1
	for more := true; more && !e.stopping(); {
		var rows []record.Row
		var err error
		if rows, at, more, err = e.idx.PullPage(d.ID, at, before, sweepBatch); err != nil {
			return indexError(err)
		}
		if len(rows) == 0 {
			return nil
		}
		if _, err = e.askRows(rows, func(*record.Row) *pullRequest { return &pullRequest{op: record.PullExpire} }); err != nil {
			return err
		}
	}
	return nil
}

// askRows asks for something to be done with messages, and returns with how many it was.
// Those that have ended, or are somebody's, are no error.
func (e *Engine) askRows(rows []record.Row, ask func(*record.Row) *pullRequest) (n int, err error) {
	reqs, errs := make([]*pullRequest, len(rows)), make([]error, len(rows))
	for i := range rows {
		r := &rows[i]
		if req := ask(r); req != nil {
			req.user, req.seq, req.nonce, req.queue = UserID(r.User), r.Seq, r.Nonce, r.Host
			reqs[i] = req
		}
	}
	e.askPulls(reqs, errs)
	for i, failed := range errs {
		switch {
		case reqs[i] == nil || errors.Is(failed, ErrNotFound) || errors.Is(failed, ErrLeaseLost):
		case failed != nil:
			err = failed
		default:
			n++
		}
	}
	return n, err
}

// eachPullPage calls fn with the messages that are in a queue now, page by page, until it
// returns false.
func (e *Engine) eachPullPage(d *pullDef, fn func([]record.Row) (bool, error)) error {
	if err := e.catchUp(); err != nil {
		return err
	}
	var at index.PullCursor
	for more := true; more; {
		var rows []record.Row
		var err error
		if rows, at, more, err = e.idx.PullPage(d.ID, at, math.MaxInt64, sweepBatch); err != nil {
			return indexError(err)
		}
		if e.stopping() {
			return ErrClosed
		}
		on, err := fn(rows)
		if err != nil {
			return err
		}
		more = more && on
	}
	return nil
}

// dropPulls ends all messages of a queue that were published before, whoever has a lease
// of them, and returns how many there were.
func (e *Engine) dropPulls(d *pullDef) (n int, err error) {
	end := uint64(e.log.Durable().LSN)
	for found := true; found; { // a message whose lease is given up meanwhile comes where we were before
		found = false
		err := e.eachPullPage(d, func(rows []record.Row) (bool, error) {
			dropped, err := e.dropRows(rows, end)
			n += dropped
			found = found || dropped > 0
			return true, err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// dropRows ends those of the messages that were published before an address.
func (e *Engine) dropRows(rows []record.Row, before uint64) (n int, err error) {
	answers, asked := make(chan error, len(rows)), 0
	for i := range rows {
		r := &rows[i]
		if r.Seq >= before {
			continue
		}
		asked++
		e.inbox.push(event{kind: evCancel, req: &cancelRequest{
			user: UserID(r.User), seq: r.Seq, nonce: r.Nonce, done: func(err error) { answers <- err },
		}})
	}
	for range asked {
		select {
		case failed := <-answers:
			switch {
			case failed == nil:
				n++
			case !errors.Is(failed, ErrNotFound):
				err = failed
			}
		case <-e.stop:
			return n, ErrClosed
		}
	}
	return n, err
}

// PurgePull ends all messages of a queue, whoever has a lease of them, and returns how
// many there were.
func (e *Engine) PurgePull(u UserID, name string) (int, error) {
	if err := e.Ready(); err != nil {
		return 0, err
	}
	d := e.pulls.get(u, name)
	if d == nil {
		return 0, ErrNotFound
	}
	return e.dropPulls(d)
}

// RedrivePull moves up to limit messages (0: all) of a queue to another one or, if that is
// "", those that failed elsewhere back to where that was. It returns how many it moved;
// those that are received right now stay.
func (e *Engine) RedrivePull(u UserID, name, to string, limit int) (n int, err error) {
	if err := e.mayDefine(); err != nil {
		return 0, err
	}
	d := e.pulls.get(u, name)
	if d == nil || to != "" && e.pulls.get(u, to) == nil {
		return 0, ErrNotFound
	}
	switch {
	case to == name:
		return 0, limitError("to must differ from the queue")
	case limit < 0:
		return 0, limitError("max must not be negative")
	case limit == 0:
		limit = math.MaxInt
	}
	targets := map[string]*pullDef{}
	err = e.eachPullPage(d, func(rows []record.Row) (bool, error) {
		for len(rows) > 0 && n < limit {
			part := rows[:min(len(rows), limit-n)]
			rows = rows[len(part):]
			moved, err := e.redriveRows(u, part, to, targets)
			if n += moved; err != nil {
				return false, err
			}
		}
		return n < limit, nil
	})
	return n, err
}

// redriveRows moves messages. targets remembers the queues that they go to, which are made
// if they are not there any more.
func (e *Engine) redriveRows(u UserID, rows []record.Row, to string, targets map[string]*pullDef) (int, error) {
	for i := range rows {
		name := cmp.Or(to, rows[i].Pull.Dead.Source)
		if name == "" || targets[name] != nil {
			continue
		}
		d, err := e.ensurePull(u, name)
		if err != nil {
			return 0, err
		}
		targets[name] = d
	}
	return e.askRows(rows, func(r *record.Row) *pullRequest {
		d := targets[cmp.Or(to, r.Pull.Dead.Source)]
		if d == nil || d.ID == r.Host {
			return nil
		}
		return &pullRequest{op: record.PullRedrive, to: d.ID}
	})
}
