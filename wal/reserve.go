package wal

import "fmt"

// Ticket is a place in the log reserved for one record. It is a value; pass it
// around by pointer and do not copy it between Reserve and Done.
type Ticket struct {
	// LSN is the record's address, known before it is written.
	LSN LSN
	// Buf is where the payload goes: the caller fills it before Done and does
	// not touch it afterwards.
	Buf []byte

	group *Group
	rec   []byte // header, payload, padding
	done  <-chan struct{}
}

// Reserve takes the next place in the log for a payload of n bytes. The caller
// fills the ticket's Buf and calls Done exactly once, soon: the group cannot be
// written before. Places are handed out in log order, so a caller that needs its
// records in some order holds its own lock around Reserve alone.
//
// A record of a lazy class waits for company, at most LazyDelay. A Producer's must
// be followed by Wait (of this ticket or a later one), Kick or Commit: nothing else
// starts its commit, unless its group is full.
//
// Reserve does no I/O. It blocks while too many group buffers are queued
// (ErrLagging instead in Manual mode) or the next segment's file is still being
// prepared, but never for lazy records: their callers bound their number. It may
// block until the caller's own records are committed, so no ticket of this
// goroutine may lack its Done then. It fails with ErrTooLarge, ErrNoSpace,
// ErrStalled (of producers only), ErrClosed or ErrPoisoned.
func (l *Log) Reserve(n int, c Class) (Ticket, error) {
	if most := l.largest(c); n < 0 || n > most {
		return Ticket{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, most)
	}
	need := recordSize(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if err := l.admitLocked(c); err != nil {
			return Ticket{}, err
		}
		if g := l.mu.open; g != nil && g.room() >= need {
			return l.placeLocked(g, n, need, c), nil
		}
		if l.mu.inFlight >= queuedGroupsMax && c == Producer {
			if l.opts.Manual {
				return Ticket{}, ErrLagging
			}
			l.committer.kick(kickUrgent)
			l.mu.space.Wait()
			continue
		}
		if l.mu.open != nil {
			l.closeOpenLocked()
			l.mu.buffers.full()
			l.committer.kick(kickUrgent)
		}
		if c == Producer && l.awaitsSpareLocked(need, l.producersKeep()) {
			l.spareAwaitedLocked()
			l.mu.space.Wait()
			continue
		}
		l.mu.spareSince = 0
		if err := l.openGroupLocked(need, c); err != nil {
			return Ticket{}, err
		}
	}
}

// largest returns the longest payload of a class. What was stored when MaxRecord was
// larger is moved as long as it fits a segment.
func (l *Log) largest(c Class) int {
	if c == Reclaiming {
		return largestRecord(l.opts.SegmentSize)
	}
	return int(l.maxRecord.Load())
}

// AllowRecord raises Options.MaxRecord to n bytes, or to what a segment holds if that is
// less. It never lowers it: a record may have been prepared by what was allowed before.
func (l *Log) AllowRecord(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, largestRecord(l.opts.SegmentSize))
	l.maxRecord.Store(max(l.maxRecord.Load(), int64(n)))
}

// fitsHeadLocked reports whether a group with room for need bytes fits the
// segment at the head.
func (l *Log) fitsHeadLocked(need int) bool {
	return groupHeaderSize+need <= int(l.mu.head.limit()-l.mu.next)
}

// spareChanged lets those look again who wait for a spare.
func (l *Log) spareChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.spareSince = 0
	l.resumeLocked()
	l.mu.space.Broadcast()
}

// admitLocked says whether the log takes records of a class.
func (l *Log) admitLocked(c Class) error {
	if l.mu.err != nil {
		return l.mu.err
	}
	if l.mu.closing {
		return ErrClosed
	}
	if c == Producer && l.stall.on.Load() {
		return ErrStalled
	}
	if err := l.refusedLocked(c, 0); err != nil {
		return err
	}
	l.mu.replaying = false
	return nil
}

// placeLocked hands out the next need bytes of g.
func (l *Log) placeLocked(g *Group, n, need int, c Class) Ticket {
	off := g.n
	g.n += need
	g.count++
	g.bytes += n
	g.fillers.Add(1)
	if c == Producer {
		g.urgent = true
	} else if !g.urgent && !l.opts.Manual {
		l.committer.armLazy(l.opts.LazyDelay)
	}
	rec := g.buf[off : off+need : off+need]
	payload := rec[recordHeaderSize : recordHeaderSize+n : recordHeaderSize+n]
	return Ticket{LSN: g.start + LSN(off), Buf: payload, group: g, rec: rec, done: g.done}
}

// openGroupLocked opens a group with room for need bytes, in the next segment
// if the rest of this one is too short. There must be no open group.
func (l *Log) openGroupLocked(need int, c Class) error {
	if !l.fitsHeadLocked(need) {
		if err := l.rotateLocked(c); err != nil {
			return err
		}
	}
	rest := int(l.mu.head.limit() - l.mu.next)
	g := l.pool.get(min(max(groupHeaderSize+need, classSize(l.mu.buffers.class)), rest))
	g.log = l
	if 2*rest < int(l.mu.head.size) {
		l.spares.near()
	}
	g.n = groupHeaderSize
	g.max = min(len(g.buf), rest)
	g.seg = l.mu.head
	g.start = l.mu.next
	g.count, g.bytes, g.urgent = 0, 0, false
	g.fillers.Store(1)
	g.done, g.givenUp = make(chan struct{}), false
	if l.stall.on.Load() {
		g.giveUpLocked() // lazy records: nobody shall wait for the disk
	}
	g.refs.Store(1)
	l.mu.open = g
	return nil
}

// rotateLocked moves the head to the next segment. The file need not exist yet:
// the identity that the records' checksums need is chosen here, and the header
// is written when the segment before is at its end (Log.begin).
func (l *Log) rotateLocked(c Class) error {
	if err := l.refusedLocked(c, 1); err != nil {
		return err
	}
	if c == Reclaiming && l.lacksSpareLocked(0) {
		return fmt.Errorf("%w: its file is still in the making", ErrNoSpace)
	}
	number := l.mu.head.number + 1
	seg, err := newSegment(l.opts.Rand, l.id, number, LSN(number<<strideBits), l.opts.SegmentSize)
	if err != nil {
		return err
	}
	l.mu.head, l.mu.next = seg, seg.first
	l.mu.promised++
	return nil
}

// closeOpenLocked moves the open group to the queue: no record is added to it
// any more, and the address of the next group is known.
func (l *Log) closeOpenLocked() {
	g := l.mu.open
	l.mu.open = nil
	l.mu.queue = append(l.mu.queue, g)
	l.mu.inFlight++
	l.mu.next = g.start + LSN(alignUp(g.n, groupAlign))
	g.fillerDone()
}

// Done says that the ticket's Buf is filled. It computes the record's checksum,
// outside every lock. It must be called exactly once for each ticket, also when
// the caller has lost interest.
func (l *Log) Done(t *Ticket) {
	g := t.group
	sealRecord(t.rec, len(t.Buf), t.LSN, g.seg.seed)
	t.group, t.rec = nil, nil // the group may be recycled from here on
	g.fillerDone()
}

// Wait blocks until the ticket's group and all before it are on disk (written,
// with SyncInterval set). The waiter may do the commit itself, so that a lone
// producer pays for no hand-over. Done must have been called by then for every
// record that this goroutine reserved. A nil result means durable; with any
// other the record may or may not be found by the next recovery.
//
// While the disk hangs it fails with ErrStalled, and may do so again until the
// record is durable. Only the waiter that does the commit itself is kept until
// the disk answers: it is in the system call.
func (l *Log) Wait(t *Ticket) error {
	l.lead(t.done)
	<-t.done
	if uint64(t.LSN) < l.settled.Load() {
		return nil
	}
	if err := l.Err(); err != nil {
		return err
	}
	return ErrStalled // nothing else closes done early
}

// Append reserves, fills, commits and waits for one record.
func (l *Log) Append(payload []byte) (LSN, error) {
	t, err := l.Reserve(len(payload), Producer)
	if err != nil {
		return 0, err
	}
	copy(t.Buf, payload)
	l.Done(&t)
	return t.LSN, l.Wait(&t)
}

// Kick has the open group committed by the committer goroutine, without
// waiting, for records that nobody waits for. No effect in Manual mode.
func (l *Log) Kick() { l.committer.kick(kickAll) }
