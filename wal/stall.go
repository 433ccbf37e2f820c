package wal

import (
	"sync/atomic"
	"time"
)

// stallWatch notices that an operation of the commit path hangs: a disk may keep
// a write or a sync for half a minute and then go on as if nothing was. Until it
// does, nobody knows what becomes of the groups concerned, and who waits for them
// is told so (ErrStalled) instead of being kept.
//
// The hot path pays for it with two stores per operation. Whether one takes too
// long is looked at by an alarm that rings at most once per StallAfter, so there
// is no timer per operation or per waiter and none at all on an idle log. Manual
// mode has no watch.
type stallWatch struct {
	opened time.Time    // what since counts from
	since  atomic.Int64 // when the operation under way began, ns; zero: none is. Stored by the holder of turn
	on     atomic.Bool  // stalled; stored under Log.mu
}

// enter notes that an operation on the disk begins now. The caller passes what it
// returns to leave, when the operation has returned. They nest; the outermost
// counts. Holds turn.
func (l *Log) enter(now time.Time) (outer int64) {
	w := &l.stall
	if outer = w.since.Load(); outer == 0 {
		w.since.Store(max(1, int64(now.Sub(w.opened))))
		l.committer.armStall(l.opts.StallAfter)
	}
	return outer
}

// leave is the other end of enter.
func (l *Log) leave(outer int64) {
	w := &l.stall
	w.since.Store(outer)
	// The watch sets on before it looks at since again: one of the two sees what
	// the other did.
	if outer == 0 && w.on.Load() {
		l.mu.Lock()
		resumed := l.resumeLocked()
		l.mu.Unlock()
		if resumed {
			l.opts.Logger.Info("wal: the disk answers again")
		}
	}
}

// checkStall is what the alarm calls.
func (l *Log) checkStall() {
	l.mu.Lock()
	commit, spare := l.hangingLocked()
	if commit < l.opts.StallAfter && spare < l.opts.StallAfter {
		if hang := max(commit, spare); hang > 0 {
			l.committer.armStall(l.opts.StallAfter - hang)
		}
		l.mu.Unlock()
		return
	}
	stalled := l.mu.err == nil && !l.stall.on.Load()
	if stalled {
		l.stallLocked(commit >= l.opts.StallAfter)
	}
	l.mu.Unlock()
	if stalled {
		l.opts.Logger.Warn("wal: the disk does not answer; records are refused until it does",
			"commit", commit, "spare", spare)
	}
}

// hangingLocked returns for how long the commit path has been in its operation,
// and producers have waited for the next segment's file; zero: not at all.
func (l *Log) hangingLocked() (commit, spare time.Duration) {
	now := time.Since(l.stall.opened)
	if since := l.stall.since.Load(); since != 0 {
		commit = now - time.Duration(since)
	}
	if since := l.mu.spareSince; since != 0 {
		spare = now - since
	}
	return commit, spare
}

// stallLocked refuses records from now on and, if it is a commit that hangs,
// gives up on all groups not settled: their waiters wake. The groups themselves
// stay where they are, to be committed when the disk answers.
func (l *Log) stallLocked(commit bool) {
	since := l.stall.since.Load()
	l.stall.on.Store(true)
	l.counters.stalls.Add(1)
	if commit {
		for _, g := range l.mu.batch {
			g.giveUpLocked()
		}
		for _, g := range l.mu.queue {
			g.giveUpLocked()
		}
		if g := l.mu.open; g != nil {
			g.giveUpLocked()
		}
	}
	l.mu.space.Broadcast()
	if l.stall.since.Load() != since {
		l.resumeLocked() // it returned just now, and leave may not have seen on
	}
}

// giveUpLocked wakes the group's waiters before its outcome is known.
func (g *Group) giveUpLocked() {
	if !g.givenUp {
		g.givenUp = true
		close(g.done)
	}
}

// resumeLocked ends the stall, if there is one and nothing else hangs, and
// reports whether it did. An open group that was given up takes no more records:
// their waiters would not wait.
func (l *Log) resumeLocked() bool {
	if !l.stall.on.Load() || l.stall.since.Load() != 0 || l.mu.spareSince != 0 {
		return false
	}
	l.stall.on.Store(false)
	if g := l.mu.open; g != nil && g.givenUp {
		l.closeOpenLocked()
	}
	return true
}

// spareAwaitedLocked notes that a producer waits for a spare.
func (l *Log) spareAwaitedLocked() {
	if l.mu.spareSince == 0 {
		l.mu.spareSince = max(1, time.Since(l.stall.opened))
		l.committer.armStall(l.opts.StallAfter)
	}
}

// Stalled reports whether the log refuses records with ErrStalled.
func (l *Log) Stalled() bool { return l.stall.on.Load() }
