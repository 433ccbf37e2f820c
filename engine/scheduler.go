package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// scheduler logs what the core asks for of schedules. It reads definitions from the
// log, evaluates expressions and appends; one goroutine serves all schedules.
type scheduler struct {
	mu     sync.Mutex
	asks   []scheduleCommand // for each request at most one: somebody waits
	ticks  []scheduleCommand // at most firesMax
	signal chan struct{}

	schedules      atomic.Int64
	ticked, missed atomic.Uint64
}

func (q *scheduler) init() { q.signal = make(chan struct{}, 1) }

func (q *scheduler) push(cmds []scheduleCommand) {
	if len(cmds) == 0 {
		return
	}
	q.mu.Lock()
	for i := range cmds {
		if cmds[i].req != nil {
			q.asks = append(q.asks, cmds[i])
		} else {
			q.ticks = append(q.ticks, cmds[i])
		}
	}
	q.mu.Unlock()
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// take returns what one of the queues holds and leaves the given slice for what comes
// next.
func (q *scheduler) take(queue *[]scheduleCommand, empty []scheduleCommand) []scheduleCommand {
	q.mu.Lock()
	defer q.mu.Unlock()
	got := *queue
	clear(empty)
	*queue = empty[:0]
	return got
}

func (e *Engine) scheduleLoop() {
	r := schedulerRun{e: e, t: newTicker(e)}
	for {
		select {
		case <-e.scheduler.signal:
		case <-e.stop:
			return
		}
		if !r.round() {
			return
		}
	}
}

// schedulerRun is the scheduler's goroutine.
type schedulerRun struct {
	e           *Engine
	t           *ticker
	asks, ticks []scheduleCommand // used again
	committed   time.Time
}

// commitEvery bounds how long what was logged waits for the ticks after it: after a
// long time down there may be many, of which each takes milliseconds to plan.
const commitEvery = 5 * time.Millisecond

// round carries out what is queued, before each tick what somebody waits for. It is
// false when the engine stops.
func (r *schedulerRun) round() bool {
	q := &r.e.scheduler
	r.ticks = q.take(&q.ticks, r.ticks)
	r.committed = time.Now()
	for i := 0; ; i++ {
		r.asks = q.take(&q.asks, r.asks)
		if !r.run(r.asks) {
			return false
		}
		last := i == len(r.ticks)
		if last || len(r.asks) > 0 || time.Since(r.committed) > commitEvery {
			r.commit()
		}
		if last {
			return true
		}
		if !r.run(r.ticks[i : i+1]) {
			return false
		}
	}
}

func (r *schedulerRun) run(cmds []scheduleCommand) bool {
	for i := range cmds {
		if r.e.stopping() {
			return false
		}
		r.t.run(&cmds[i])
	}
	return true
}

// commit has what was logged committed: nobody waits for these records but the core.
// With log.fsync=interval it is synced here, since a schedule goes on when its last
// record is durable, and one of every second would fall behind.
func (r *schedulerRun) commit() {
	if r.e.opts.FsyncInterval > 0 {
		_ = r.e.log.Commit() // what fails is final, and told to all (W8); a stall ends by itself
	} else {
		r.e.log.Kick()
	}
	r.committed = time.Now()
}

// requestSchedule hands a request to the core and waits for its end.
func (e *Engine) requestSchedule(req *scheduleRequest) error {
	wait, err := e.pushSchedule(req)
	if err != nil {
		return err
	}
	return wait()
}

// pushSchedule hands a request to the core; wait returns when it is done.
func (e *Engine) pushSchedule(req *scheduleRequest) (wait func() error, err error) {
	if err := e.Ready(); err != nil {
		return nil, err
	}
	got := make(chan error, 1)
	req.done = func(err error) { got <- err }
	e.inbox.push(event{kind: evSchedule, schedule: req})
	return func() error { return e.awaitSchedule(got) }, nil
}

// stallLook is how often whoever waits for a change of a schedule looks whether the disk
// hangs.
const stallLook = 250 * time.Millisecond

// awaitSchedule waits for the answer to a request. While the disk hangs nobody is kept
// (P13): what becomes of the request is not known then.
func (e *Engine) awaitSchedule(got <-chan error) error {
	tick := time.NewTicker(stallLook)
	defer tick.Stop()
	for {
		select {
		case err := <-got:
			return err
		case <-e.stop:
			select {
			case err := <-got: // it was answered in time
				return err
			default:
				return ErrClosed
			}
		case <-tick.C:
			if e.log.Stalled() {
				return errInDoubt
			}
		}
	}
}
