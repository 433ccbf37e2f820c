package wal

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The commit path, W4. Whoever holds turn does, over and over:
//
//	take    close the open group; take it and those queued before it
//	fill    wait until their producers have filled their places
//	write   seal each (mark, chained checksum) and write it with one WriteAt
//	sync    one SyncData for all of them
//	settle  OnCommit for each in order, then wake its waiters
//
// While a commit is in its write or sync, producers fill the next group: the
// slower the disk, the larger the groups. There is no other delay.
//
// There is one sync at a time. Two or four in flight, each on an open file
// description of its own and settled in order, were built and measured, and lost:
// a group is what came up during the last sync, so twice the syncs are groups of
// half the size, and two at once are no more than 1.3 times as many on the bare
// disk, each taking 1.5 times as long. Of the publishes per second over HTTP 2 and
// 4 deep left 0.66 and 0.44 with 8 producers, 0.81 and 0.49 with 64.

// lead commits on the caller's goroutine until done is closed, unless somebody
// else is committing, who then sees to it.
func (l *Log) lead(done <-chan struct{}) {
	if isClosed(done) || !l.turn.TryLock() {
		return
	}
	for !isClosed(done) && l.commit() {
		l.counters.inlineCommits.Add(1)
	}
	if l.opts.Manual {
		_ = l.prepareSpare() // a failure has poisoned the log; Wait's answer stands
	}
	l.passTurn()
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// passTurn gives up turn and wakes the committer if there is more to do: those
// who tried to lead in the meantime rely on it.
func (l *Log) passTurn() {
	l.turn.Unlock()
	if l.hasUrgent() {
		l.committer.kick(kickUrgent)
	}
}

// hasUrgent reports whether a group is closed, or open with a record that
// somebody waits for.
func (l *Log) hasUrgent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.queue) > 0 || (l.mu.open != nil && l.mu.open.urgent)
}

// Commit commits everything reserved so far on the caller's goroutine and syncs
// it, also with SyncInterval set. In Manual mode it is what makes records
// durable.
func (l *Log) Commit() error {
	l.turn.Lock()
	defer l.passTurn()
	if err := l.flush(); err != nil {
		return err
	}
	return l.prepareSpare()
}

// flush commits what is reserved when it is called, and syncs. What comes later
// is left to others: under steady traffic there would be no end to it. Holds
// turn.
func (l *Log) flush() error {
	for last := l.lastReserved(); l.tail.end.LSN <= last && l.commit(); {
	}
	if err := l.syncTail(); err != nil {
		l.poison(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// lastReserved returns where the last group not yet committed begins; zero if
// there is none.
func (l *Log) lastReserved() LSN {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.mu.open; g != nil {
		return g.start
	}
	if n := len(l.mu.queue); n > 0 {
		return l.mu.queue[n-1].start
	}
	return 0
}

// commit takes one batch through the steps above and reports whether there was
// one and it went well. Holds turn.
func (l *Log) commit() bool {
	batch := l.takeBatch()
	if len(batch) == 0 {
		return false
	}
	if err := l.commitBatch(batch); err != nil {
		l.poison(err)
		// Groups that were written but not synced are among those that fail.
		for _, g := range batch {
			closeOnce(g.done)
		}
		return false
	}
	return true
}

// takeBatch closes the open group and takes the groups at the front of the queue
// that lie in one segment. The slice is valid until the next call.
func (l *Log) takeBatch() []*Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.mu.queue
	if g := l.mu.open; g != nil && g.count > 0 && (len(q) == 0 || q[len(q)-1].seg == g.seg) {
		if len(q) == 0 { // else it is what did not fit into the group before
			l.mu.buffers.used(g.n)
		}
		l.closeOpenLocked()
		q = l.mu.queue
	}
	n := 0
	for n < len(q) && q[n].seg == q[0].seg {
		n++
	}
	l.mu.batch = append(l.mu.batch[:0], q[:n]...)
	rest := copy(q, q[n:])
	clear(q[rest:])
	l.mu.queue = q[:rest]
	return l.mu.batch
}

// commitBatch writes the batch and, as the options say, syncs it or leaves that
// for later.
func (l *Log) commitBatch(batch []*Group) error {
	for _, g := range batch {
		<-g.filled
		l.pool.fit(g)
	}
	if seg := batch[0].seg; seg != l.tail.seg {
		if err := l.begin(seg); err != nil {
			return err
		}
	}
	for _, g := range batch {
		if err := l.write(g); err != nil {
			return err
		}
	}
	if l.opts.SyncInterval > 0 {
		return l.ackUnsynced(batch)
	}
	return l.syncTail()
}

// write puts one group behind the last one.
func (l *Log) write(g *Group) error {
	t := &l.tail
	if g.start != t.end.LSN {
		panic(fmt.Sprintf("wal: BUG: group at %v does not follow %v", g.start, t.end.LSN))
	}
	data := g.seal(t.synced, t.end.Chain)
	outer := l.enter(time.Now())
	_, err := t.file.WriteAt(g.toPage(data), g.seg.offset(g.start))
	l.leave(outer)
	if err != nil {
		return fmt.Errorf("write %d bytes at %v in segment %s: %w", len(data), g.start, g.seg.name(), err)
	}
	t.end = g.End()
	t.unsynced = append(t.unsynced, g)
	t.unsyncedBytes += len(g.buf)
	if g.count > 0 {
		t.lastRecord = t.end.LSN
	}
	t.markLags = t.synced < t.lastRecord
	l.count(g, len(data))
	return nil
}

func (l *Log) count(g *Group, written int) {
	c := &l.counters
	c.groups.Add(1)
	if g.count == 0 {
		c.marks.Add(1)
	} else {
		c.groupRecords.Observe(g.count)
		c.groupBytes.Observe(written)
	}
	c.records.Add(uint64(g.count))
	c.payloadBytes.Add(uint64(g.bytes))
	c.writtenBytes.Add(uint64(written))
}

// syncTail makes what was written durable and settles it. Holds turn.
func (l *Log) syncTail() error {
	t := &l.tail
	if len(t.unsynced) == 0 {
		return nil
	}
	if err := l.Err(); err != nil {
		return err // a second sync after a failed one would prove nothing
	}
	if err := l.syncFile(t.file); err != nil {
		return fmt.Errorf("sync segment %s: %w", t.seg.name(), err)
	}
	return l.settle()
}

func (l *Log) syncFile(f vfs.File) error {
	start := time.Now()
	outer := l.enter(start)
	err := f.SyncData()
	took := int64(time.Since(start))
	l.leave(outer)
	c := &l.counters
	c.syncs.Add(1)
	c.syncNanos.Add(took)
	c.syncTimes.Observe(time.Duration(took))
	c.longestSync.Store(max(took, c.longestSync.Load())) // the holder of turn alone stores
	return err
}

// settle makes synced groups visible, strictly in log order: to the readers, to
// OnCommit, to the waiters. It refuses if the log was poisoned meanwhile:
// nothing is acknowledged after that.
func (l *Log) settle() error {
	t := &l.tail
	l.mu.Lock()
	if err := l.mu.err; err != nil {
		l.mu.Unlock()
		return err
	}
	l.mu.durable = t.end
	l.mu.Unlock()
	t.synced = t.end.LSN
	l.readable.Store(uint64(t.end.LSN))
	if l.opts.OnCommit != nil {
		for _, g := range t.unsynced {
			l.opts.OnCommit(g)
		}
	}
	if l.opts.SyncInterval == 0 {
		l.wake(t.unsynced)
	}
	for _, g := range t.unsynced {
		g.Release()
	}
	clear(t.unsynced)
	t.unsynced, t.unsyncedBytes = t.unsynced[:0], 0
	t.lastWrite = time.Now()
	if t.markLags {
		l.committer.armIdle(l.opts.IdleMark)
	}
	return nil
}

// wake acknowledges groups, the batch in hand, to their waiters.
func (l *Log) wake(groups []*Group) {
	l.settled.Store(uint64(l.tail.end.LSN))
	l.mu.Lock()
	l.mu.batch = l.mu.batch[:0] // from here on nobody else closes a done
	l.mu.inFlight -= len(groups)
	l.mu.space.Broadcast()
	l.mu.Unlock()
	for _, g := range groups {
		if !g.givenUp {
			close(g.done)
		}
	}
}

// ackUnsynced is the interval mode's answer: written is enough for the waiters,
// OnCommit follows the sync.
func (l *Log) ackUnsynced(batch []*Group) error {
	if err := l.Err(); err != nil {
		return err
	}
	l.wake(batch)
	if l.tail.unsyncedBytes >= unsyncedBytesMax {
		return l.syncTail()
	}
	l.committer.armSync(l.opts.SyncInterval)
	return nil
}

// closeOnce closes done unless it is closed; for the holder of turn alone.
func closeOnce(done chan struct{}) {
	if !isClosed(done) {
		close(done)
	}
}

// WriteMark writes a group without records that carries the current mark, if
// the last one on disk lags behind the last record, and syncs it, after everything
// reserved so far. The log does so by itself when idle, Manual mode excepted.
func (l *Log) WriteMark() error {
	l.turn.Lock()
	defer l.passTurn()
	return l.mark()
}

// mark is WriteMark for the holder of turn. It commits what is open first: the
// mark must cover it.
func (l *Log) mark() error {
	if err := l.flush(); err != nil || !l.tail.markLags {
		return err
	}
	if err := l.queueMark(); err != nil {
		return err
	}
	return l.flush()
}

// queueMark queues a group without records, unless a group came up meanwhile
// that will carry the mark as well.
func (l *Log) queueMark() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.mu.err != nil || l.mu.open != nil || len(l.mu.queue) > 0 {
			return l.mu.err
		}
		if !l.awaitsSpareLocked(0, 0) {
			break
		}
		if !l.mu.closing {
			return nil // the next segment's header will do as well
		}
		l.mu.space.Wait()
	}
	if err := l.openGroupLocked(0, Producer); err != nil {
		return err
	}
	l.closeOpenLocked()
	return nil
}
