package wal

import (
	"runtime"
	"sync/atomic"
	"time"
)

// What the committer goroutine is woken for.
const (
	kickUrgent uint32 = 1 << iota // somebody waits, or a group is full
	kickAll                       // lazy records are due
	kickIdle                      // the log may have been idle for IdleMark
	kickSync                      // interval mode: a sync is due
	kickStop
	kickPing // Ping waits for the goroutine to have had its turn
)

// committer is the goroutine that commits when no producer does it inline, and
// the timers that wake it. Its zero value, Manual mode's, ignores everything.
type committer struct {
	wake chan struct{} // cap 1; nil in Manual mode
	why  atomic.Uint32
	pong chan struct{} // cap 1: the answer to kickPing

	lazy, idle, sync, stall alarm
}

// alarm is a timer that is set at most once until it rings, so that the hot
// path sets it once per period and not once per record.
type alarm struct {
	timer *time.Timer
	set   atomic.Bool
}

// init makes the timers. The one for stalls must not depend on the goroutine,
// which may be what hangs: it calls checkStall on its own.
func (c *committer) init(checkStall func()) {
	c.wake, c.pong = make(chan struct{}, 1), make(chan struct{}, 1)
	for a, why := range map[*alarm]uint32{&c.lazy: kickAll, &c.idle: kickIdle, &c.sync: kickSync} {
		a.init(func() { c.kick(why) })
	}
	c.stall.init(checkStall)
}

func (a *alarm) init(ring func()) {
	a.timer = time.AfterFunc(time.Hour, func() {
		a.set.Store(false)
		ring()
	})
	a.timer.Stop()
}

// kick wakes the goroutine; it never blocks.
func (c *committer) kick(why uint32) {
	if c.wake == nil {
		return
	}
	c.why.Or(why)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *committer) close() {
	if c.wake == nil {
		return
	}
	for _, a := range []*alarm{&c.lazy, &c.idle, &c.sync, &c.stall} {
		a.timer.Stop()
	}
	c.kick(kickStop)
}

func (c *committer) armLazy(d time.Duration)  { c.arm(&c.lazy, d) }
func (c *committer) armIdle(d time.Duration)  { c.arm(&c.idle, d) }
func (c *committer) armSync(d time.Duration)  { c.arm(&c.sync, d) }
func (c *committer) armStall(d time.Duration) { c.arm(&c.stall, d) }

func (c *committer) arm(a *alarm, d time.Duration) {
	if c.wake != nil && !a.set.Load() && a.set.CompareAndSwap(false, true) {
		a.timer.Reset(d)
	}
}

// commitLoop is the committer goroutine.
func (l *Log) commitLoop() {
	label("commit")
	for range l.committer.wake {
		why := l.committer.why.Swap(0)
		if why&kickStop != 0 {
			return
		}
		l.turn.Lock()
		// Let the producers that the last commit woke reserve first: 4.9 records
		// per sync instead of 3.9 with 8 producers (BenchmarkAppend).
		runtime.Gosched()
		l.serve(why)
		l.passTurn()
		if why&kickPing != 0 {
			l.committer.answer()
		}
	}
}

// serve does what the committer was woken for, one batch of it: if there is more,
// passTurn wakes it again, and Commit and Close get their turn in between. Holds
// turn.
func (l *Log) serve(why uint32) {
	if why&kickAll != 0 || l.hasUrgent() {
		l.commit()
	}
	if why&kickSync != 0 {
		if err := l.syncTail(); err != nil {
			l.poison(err)
		}
	}
	if why&kickIdle != 0 {
		l.serveIdle()
	}
}

// serveIdle writes the mark if the log has been idle long enough, else looks
// again later.
func (l *Log) serveIdle() {
	if !l.tail.markLags || len(l.tail.unsynced) > 0 {
		return // settle will arm the timer again
	}
	if rest := l.opts.IdleMark - time.Since(l.tail.lastWrite); rest > 0 {
		l.committer.armIdle(rest)
		return
	}
	// An error is either the poison, which has been reported, or a full disk: then
	// the mark can wait.
	if err := l.mark(); err != nil || l.tail.markLags {
		l.committer.armIdle(l.opts.IdleMark)
	}
}
