package wal

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Space comes back from the oldest end only (W10): the log is one contiguous
// range, and its floor says where it begins. The owner of the records decides how
// far the floor may rise; the log sees to it that no crash can tell the difference:
//
//	SetFloor   the caller can do without everything below
//	begin      the next segment's header says so, and is made durable with its name
//	letGo      only then do the files below leave the log, one by one
//	recover    finds the floor in the last segment's header, and what was not let go
//
// A file that readers are in the middle of, or any while there is a pin, stays
// until they are done.

// SetFloor gives up everything below lsn, which must be the First of a segment
// that is there. It takes effect with the next segment: once that one is durable,
// the files below are recycled or removed, and Read of what was in them fails with
// ErrNotFound. A floor below an earlier one changes nothing. It does no I/O.
//
// The caller must have synced whatever else would be needed to do without the
// records; nothing here knows of an index.
func (l *Log) SetFloor(lsn LSN) error {
	list := *l.segments.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	if lsn <= max(l.mu.floor, list[0].first) {
		return nil
	}
	if i := list.find(lsn); list[i].first != lsn {
		return fmt.Errorf("%w: no segment begins at %v, which is to be the floor", ErrNotFound, lsn)
	}
	l.mu.floor = lsn
	return nil
}

// Rotate commits what is reserved and begins the next segment, so that a floor set
// before takes effect on a log that stands still. On return the new segment is
// durable and the files below the floor are gone, but for those that a reader or a
// pin holds. It does nothing if the last segment is empty and the floor in its
// header is the one in force. It fails with ErrNoSpace if the disk is full and no
// spare is left at all; copies leave it the last one.
func (l *Log) Rotate() error {
	l.turn.Lock()
	err := l.rotate()
	l.passTurn()
	if err != nil {
		return err
	}
	if !l.opts.Manual {
		l.spares.drain()
	}
	return l.Err()
}

// rotate is Rotate for the holder of turn.
func (l *Log) rotate() error {
	seg, promised, err := l.tryHead()
	for promised { // what has them must be committed, and nobody else can
		if err := l.flush(); err != nil {
			return err
		}
		seg, promised, err = l.tryHead()
	}
	if err != nil || seg == nil {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	if l.tail.seg.number < seg.number { // else a group in it, or beyond, was committed
		if err := l.begin(seg); err != nil {
			l.poison(err)
			return l.Err()
		}
	}
	return l.prepareSpare()
}

// tryHead is moveHead under the stall watch.
func (l *Log) tryHead() (seg *segment, promised bool, err error) {
	outer := l.enter(time.Now())
	defer l.leave(outer)
	return l.moveHead()
}

// moveHead closes the open group and moves the head to the next segment, which it
// returns; nil if there is nothing to do. It waits until the file is there first: once
// the head has been moved, nothing is committed without it. It does not wait when spares
// are there and promised to groups that wait for turn: the maker would have no reason to
// make more. Holds turn.
func (l *Log) moveHead() (seg *segment, promised bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &l.tail
	for {
		if err := l.admitLocked(rotating); err != nil {
			return nil, false, err
		}
		if l.mu.head == t.seg && l.mu.open == nil && l.mu.next == t.seg.first && l.mu.floor <= t.seg.floor {
			return nil, false, nil
		}
		if !l.lacksSpareLocked(0) {
			break
		}
		if l.mu.promised > 0 {
			return nil, true, nil
		}
		l.mu.space.Wait()
	}
	if l.mu.open != nil {
		l.closeOpenLocked()
	}
	err = l.rotateLocked(rotating)
	return l.mu.head, false, err
}

// Pin keeps the files of all segments there are, and of those to come, where they
// are until unpin is called: none is removed or recycled meanwhile (W11). Reading
// by address ends at the floor all the same. Pins add up; unpin may be called more
// than once.
func (l *Log) Pin() (unpin func()) {
	l.spares.pin()
	return sync.OnceFunc(l.spares.unpin)
}

// leaveBelow takes the segments below a durable floor out of the log. Holds turn.
func (l *Log) leaveBelow(floor LSN) {
	list := *l.segments.Load()
	n := 0
	for n < len(list) && list[n].first < floor {
		n++
	}
	if n == 0 {
		return
	}
	rest := list[n:]
	l.segments.Store(&rest)
	l.readers.leave(list[:n], floor)
	l.spares.letGo(list[:n])
}

// SegmentInfo describes a segment.
type SegmentInfo struct {
	First  LSN   // its first group's address, and its name
	End    LSN   // behind its last group; of the last segment: behind the last that can be read
	Size   int64 // of the file
	Sealed bool  // there is a segment behind it
}

// Name returns the name of the segment's file in the log's directory.
func (s SegmentInfo) Name() string { return segmentName(s.First) }

// Segments returns the segments of the log, oldest first.
func (l *Log) Segments() []SegmentInfo {
	head := LSN(l.readable.Load()) // before the list, which then reaches as far
	list := *l.segments.Load()
	infos := make([]SegmentInfo, len(list))
	for i, seg := range list {
		infos[i] = SegmentInfo{First: seg.first, End: max(seg.first, list.end(i, head)), Size: seg.size, Sealed: i < len(list)-1}
	}
	return infos
}

// ReadSegment calls fn with every record of the sealed segment that begins at
// first, in order, after its group was checked in full. The payload is valid until
// fn returns. The segment stays where it is meanwhile. Damage is a
// *CorruptionError, found where it is reached: fn has seen what lies before it. An
// error of fn ends the walk and is returned. Safe while the log runs, not after
// Close.
func (l *Log) ReadSegment(first LSN, fn func(lsn LSN, payload []byte) error) error {
	list := *l.segments.Load()
	i := list.find(first)
	switch {
	case i < 0 || list[i].first != first:
		return fmt.Errorf("%w: no segment begins at %v", ErrNotFound, first)
	case i == len(list)-1:
		return errors.New("wal: ReadSegment of the last segment, which is still written to")
	}
	rd, err := l.readers.acquire(list[i])
	if err != nil {
		return err
	}
	defer l.readers.release(rd)
	_, err = l.scanSealed(list[i], list[i+1], list[i].start(), func(h groupHeader, data []byte) error {
		area := data[groupHeaderSize : groupHeaderSize+int(h.bytes)]
		return eachRecord(area, h.lsn+groupHeaderSize, func(lsn LSN, _, payload []byte) error { return fn(lsn, payload) })
	})
	return err
}
