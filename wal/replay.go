package wal

import (
	"errors"
	"fmt"
)

// Replay calls fn with every durable group at or above the boundary from, in
// order, marks included; zero means from the start of the log. The groups are
// like those of OnCommit: fn retains what it keeps. Replay must be called before
// the first Reserve. An error of fn ends it and is returned. The log is read some
// megabytes ahead of fn (readAhead).
//
// A from that is no group boundary is a *CorruptionError, as any damage, one outside the log
// ErrNotFound.
func (l *Log) Replay(from LSN, fn func(*Group) error) error {
	l.mu.Lock()
	ok, head := l.mu.replaying, l.mu.durable.LSN
	l.mu.Unlock()
	if !ok {
		return errors.New("wal: Replay called after Reserve")
	}
	list := *l.segments.Load()
	if from == 0 || from == list[0].cut.LSN { // the same boundary
		from = list[0].first
	}
	i := list.find(from)
	// An empty last segment begins above the durable end, at the same boundary.
	head = max(head, list[len(list)-1].first)
	if i < 0 || from > list.end(i, head) {
		return fmt.Errorf("%w: replay from %v", ErrNotFound, from)
	}
	if i+1 < len(list) && from == list[i+1].cut.LSN { // the same boundary
		i++
		from = list[i].first
	}
	return readAhead(func(give func(*Group) error) error { return l.replay(list[i:], from, head, give) }, fn)
}

// replay gives out the groups of [from, head). The list begins with from's segment.
func (l *Log) replay(list segmentList, from, head LSN, give func(*Group) error) error {
	at, err := l.boundary(list[0], from, list.end(0, head))
	for i, seg := range list {
		visit := func(h groupHeader, data []byte) error { return give(l.replayedGroup(seg, h, data)) }
		switch {
		case err != nil:
			return err
		case i+1 < len(list):
			at, err = l.scanSealed(seg, list[i+1], at, visit)
		default:
			err = l.scanHead(seg, at, head, visit)
		}
	}
	return err
}

// boundary returns the boundary at lsn, which is in seg, with the chained checksum that a
// group there follows. Behind the last group it is of no use and left out.
func (l *Log) boundary(seg *segment, lsn, end LSN) (Position, error) {
	if lsn == seg.first || lsn >= end {
		return Position{LSN: lsn, Chain: seg.cut.Chain}, nil
	}
	s, err := openScanner(l.opts.FS, l.opts.Dir, seg, end)
	if err != nil {
		return Position{}, err
	}
	defer s.close()
	h, err := s.header(lsn)
	return Position{LSN: lsn, Chain: h.prevChain}, asCorruption(seg, lsn, damagedBelowEnd, err)
}

const damagedBelowEnd = "a group below the durable end is damaged"

// scanHead calls visit with the groups of the last segment from the boundary at up to head,
// which may lie below a segment that holds nothing yet.
func (l *Log) scanHead(seg *segment, at Position, head LSN, visit func(groupHeader, []byte) error) error {
	if at.LSN >= head {
		return nil
	}
	s, err := openScanner(l.opts.FS, l.opts.Dir, seg, head)
	if err != nil {
		return err
	}
	defer s.close()
	at, err = s.walk(at, visit)
	return asCorruption(seg, at.LSN, damagedBelowEnd, err)
}

// Ahead returns how many bytes Replay goes through from a boundary; zero means, as
// there, all.
func (l *Log) Ahead(from LSN) int64 {
	list := *l.segments.Load()
	from = max(from, list[0].first)
	return list.bytesAbove(max(list.find(from), 0), from, l.Durable().LSN)
}

// replayedGroup copies a scanned group into a buffer that can be retained.
func (l *Log) replayedGroup(seg *segment, h groupHeader, data []byte) *Group {
	g := l.pool.get(len(data))
	copy(g.buf, data)
	g.log, g.seg = l, seg
	g.n = groupHeaderSize + int(h.bytes)
	g.start, g.count, g.chain = h.lsn, int(h.count), h.chain
	g.refs.Store(1)
	return g
}
