package wal

import (
	"context"
	"errors"
)

// errCommitterSilent is what Ping fails with.
var errCommitterSilent = errors.New("wal: the committer does not get its turn, and no operation of the disk is under way")

// Ping returns nil once the committer has had a turn after the call: nothing keeps the
// right to commit for good. If ctx ends before, it fails, unless the one who has the turn
// is inside a write or sync, or producers wait for the next segment's file: then it is the
// disk that is silent, which may go on as if nothing was (P13), and nothing that this
// process could do, its end included, would bring that about. A log that is closing
// answers as well. It may be called from one goroutine at a time.
func (l *Log) Ping(ctx context.Context) error {
	c := &l.committer
	if c.wake == nil { // Manual: there is no committer
		return nil
	}
	select {
	case <-c.pong: // for somebody who did not wait until the end
	default:
	}
	c.kick(kickPing)
	select {
	case <-c.pong:
		return nil
	case <-ctx.Done():
	}
	if l.awaitsDisk() || l.ending() {
		return nil
	}
	return errCommitterSilent
}

// answer tells a Ping, and nobody if there is none any more.
func (c *committer) answer() {
	select {
	case c.pong <- struct{}{}:
	default:
	}
}

// awaitsDisk reports whether the commit path is inside an operation of the disk, or
// producers wait for one of the maker of spares.
func (l *Log) awaitsDisk() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	commit, spare := l.hangingLocked()
	return commit > 0 || spare > 0
}

func (l *Log) ending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.closing || l.mu.err != nil
}
