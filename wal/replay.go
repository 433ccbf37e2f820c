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
// A from that is no group boundary is a *CorruptionError, one outside the log
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
	return readAhead(func(give func(*Group) error) error {
		for ; i < len(list); i++ {
			if err := l.replaySegment(list[i], max(from, list[i].first), list.end(i, head), give); err != nil {
				return err
			}
		}
		return nil
	}, fn)
}

// Ahead returns how many bytes Replay goes through from a boundary; zero means, as
// there, all.
func (l *Log) Ahead(from LSN) int64 {
	list := *l.segments.Load()
	from = max(from, list[0].first)
	return list.bytesAbove(max(list.find(from), 0), from, l.Durable().LSN)
}

// replaySegment gives out the groups of [from, end) of one segment. The end may lie
// below a last segment that holds nothing yet.
func (l *Log) replaySegment(seg *segment, from, end LSN, give func(*Group) error) error {
	if from >= end {
		return nil
	}
	s, err := openScanner(l.opts.FS, l.opts.Dir, seg, end)
	if err != nil {
		return err
	}
	defer s.close()
	h, err := s.header(from)
	if err != nil {
		return asCorruption(seg, from, "a group below the durable end is damaged", err)
	}
	at := Position{LSN: from, Chain: h.prevChain}
	if from == seg.first {
		at.Chain = seg.cut.Chain
	}
	at, err = s.walk(at, func(h groupHeader, data []byte) error {
		return give(l.replayedGroup(seg, h, data))
	})
	return asCorruption(seg, at.LSN, "a group below the durable end is damaged", err)
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
