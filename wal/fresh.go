package wal

import (
	"fmt"
	"hash/crc32"
)

// startFresh ends recovery: it makes the segment that the log goes on in. No
// segment of an earlier process is written to again, and what lies above the
// mark is rewritten there and synced first: it may be in the page cache alone,
// clean since a failed sync, and syncing it again would prove nothing (W6).
//
// The fresh segment begins at the mark, and the addresses do not change. If
// that is where the last segment begins, it takes that one's place by the
// rename; so segments without durable content do not pile up over crashes. If
// nothing lies above the mark, it is simply the next segment.
func (l *Log) startFresh(last *segment, ts *tailScan) error {
	first, cut, prev := ts.mark.LSN, ts.mark, last.first
	switch {
	case first == last.first:
		cut, prev = last.cut, last.prev
	case ts.end == ts.mark:
		first = LSN((last.number + 1) << strideBits)
	}
	kept := int64(ts.end.LSN - ts.mark.LSN)
	size := max(l.opts.SegmentSize, alignUp(segmentHeaderSize+kept, segmentHeaderSize))
	seg, err := newSegment(l.opts.Rand, l.id, first.Segment(), first, size)
	if err != nil {
		return err
	}
	seg.cut, seg.prev, seg.floor = cut, prev, last.floor
	sp, err := l.spares.make(size)
	if noSpace(err) {
		return fmt.Errorf("wal: the log goes on in a fresh segment, and there is neither a spare nor room for one; free %d bytes in %s: %w",
			size, l.opts.Dir, err)
	} else if err != nil {
		return err
	}
	end, err := l.rewrite(sp, seg, last, ts)
	if err != nil {
		_ = sp.file.Close() // Open fails anyway; the next start removes or reuses the file
		return err
	}
	seg.synced = max(seg.first, end.LSN)
	return l.startIn(sp, seg, end)
}

// rewrite copies the groups from mark to end into the spare that becomes seg,
// with checksums of seg's identity, and returns the new end. The caller syncs.
func (l *Log) rewrite(sp *spare, seg, last *segment, ts *tailScan) (Position, error) {
	at := ts.mark
	if ts.end == ts.mark {
		return at, nil
	}
	s, err := openScanner(l.opts.FS, l.opts.Dir, last, ts.end.LSN)
	if err != nil {
		return at, err
	}
	defer s.close()
	reached, err := s.walk(ts.mark, func(h groupHeader, data []byte) error {
		h.prevChain = at.Chain
		reseal(&h, data, seg.seed)
		at = Position{LSN: h.end(), Chain: h.chain}
		_, err := sp.file.WriteAt(data, seg.offset(h.lsn))
		return err
	})
	if err == nil && reached != ts.end {
		err = damage("it reads differently the second time")
	}
	if err != nil {
		return at, fmt.Errorf("wal: rewrite the tail of segment %s: %w", last.name(), err)
	}
	return at, nil
}

// reseal recomputes, in data, the checksums of a sound group under another
// identity and another chain before it.
func reseal(h *groupHeader, data []byte, seed uint32) {
	area := data[groupHeaderSize : groupHeaderSize+int(h.bytes)]
	// The group was verified: the walk over its records cannot fail.
	_ = eachRecord(area, h.lsn+groupHeaderSize, func(lsn LSN, rec, payload []byte) error {
		sealRecord(rec, len(payload), lsn, seed)
		return nil
	})
	h.chain = crc32.Update(h.prevChain, castagnoli, area)
	h.encode(data, seed)
}
