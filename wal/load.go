package wal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// loadSegments reads the headers of all segment files and checks what headers,
// sizes and names can tell (W7). names is sorted, and so is the result. The last
// segment's header says where the log begins: files below are no part of it, and
// are returned by name, unread.
func (l *Log) loadSegments(names []string) (list segmentList, leftovers []string, err error) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasSuffix(name, segmentSuffix) })
	if len(names) == 0 {
		return nil, nil, nil
	}
	last, err := l.loadSegment(names[len(names)-1])
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names[:len(names)-1] {
		if first, ok := parseSegmentName(name); ok && first < last.floor {
			leftovers = append(leftovers, name)
			continue
		}
		seg, err := l.loadSegment(name)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, seg)
	}
	list = append(list, last)
	return list, leftovers, checkRange(list)
}

// checkRange checks that segments are one contiguous range from the floor on.
func checkRange(list segmentList) error {
	oldest, floor := list[0], list[len(list)-1].floor
	if floor == 0 && oldest.prev != 0 || floor != 0 && oldest.first != floor {
		return errMissing(oldest, floor)
	}
	for i, seg := range list[1:] {
		if err := checkFollows(list[i], seg); err != nil {
			return asCorruption(seg, seg.first, "the log is not one contiguous range", err)
		}
	}
	return nil
}

// errMissing says that the log's beginning is not there.
func errMissing(oldest *segment, floor LSN) error {
	from := segmentName(floor)
	if floor == 0 {
		from = segmentName(oldest.prev) + " or before"
	}
	return &CorruptionError{
		Hint: "put the missing files back, or restore a backup; else " + hintDamage,
		Err:  fmt.Errorf("segments are missing: the log should begin with %s, the oldest there is is %s", from, oldest.name()),
	}
}

// loadSegment reads and checks one file's header.
func (l *Log) loadSegment(name string) (*segment, error) {
	corrupt := func(reason error) error {
		return &CorruptionError{Segment: name, Hint: hintDamage, Err: reason}
	}
	first, ok := parseSegmentName(name)
	if !ok {
		return nil, corrupt(damage("the file name is not the 20 digits of an address"))
	}
	page, size, err := l.readHeaderPage(name)
	if err != nil {
		return nil, err
	}
	h, err := decodeSegmentHeader(page)
	if ve, ok := errors.AsType[*VersionError](err); ok {
		ve.Segment = name
		return nil, ve
	}
	switch {
	case err != nil:
		return nil, corrupt(err)
	case h.first != first:
		return nil, corrupt(damagef("the header belongs to the segment that begins at %v: the file was renamed or swapped", h.first))
	case h.size != size:
		return nil, corrupt(damagef("the file has %d bytes, its header says %d: it was cut or extended", size, h.size))
	}
	return &segment{segmentHeader: h, seed: h.identity.seed()}, nil
}

// readHeaderPage returns the first page of a file, or less if there is no more,
// and the file's size.
func (l *Log) readHeaderPage(name string) ([]byte, int64, error) {
	fs := l.opts.FS
	f, err := fs.Open(fs.PathJoin(l.opts.Dir, name))
	if err != nil {
		return nil, 0, fmt.Errorf("wal: open segment %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // read only
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("wal: look at segment %s: %w", name, err)
	}
	page := make([]byte, min(info.Size(), segmentHeaderSize))
	if err := readFull(f, page, 0); err != nil {
		return nil, 0, fmt.Errorf("wal: read the header of segment %s: %w", name, err)
	}
	return page, info.Size(), nil
}

// checkFollows reports, as a damage, why next cannot be the segment behind prev.
func checkFollows(prev, next *segment) error {
	cut := next.cut.LSN
	switch {
	case next.log != prev.log:
		return damagef("segments %s and %s belong to different logs", prev.name(), next.name())
	case next.prev != prev.first:
		return damagef("its header says that segment %s comes before it, not %s: a segment is missing or was added", segmentName(next.prev), prev.name())
	case cut < prev.synced || cut > prev.limit():
		return damagef("its header says that the segment before ends at %v, which is not in %s", cut, prev.name())
	case next.floor < prev.floor:
		return damagef("its header says that the log begins at %v, the one before that it begins at %v: that never goes back", next.floor, prev.floor)
	case next.number == prev.number && next.first == cut:
		return nil // made by a recovery, at its mark
	case next.number == prev.number+1 && next.first.Offset() == 0:
		return nil
	}
	return damagef("segment %d at %v cannot follow segment %d", next.number, next.first, prev.number)
}

// scanStart returns the segment and the boundary where the full scan begins: at
// the index's durable position, after a check that this is a boundary of this
// log, or at the log's start.
func (l *Log) scanStart(list segmentList) (int, Position, error) {
	d := l.opts.Durable
	if d.LSN == 0 || d == list[0].cut { // the cut is the same boundary as the start
		return 0, list[0].start(), nil
	}
	last := len(list) - 1
	i := list.find(d.LSN)
	if i < 0 {
		return 0, d, &CorruptionError{
			Hint: hintDamage,
			Err:  fmt.Errorf("the log begins at %v, above the index's durable position %v: segments are missing", list[0].first, d.LSN),
		}
	}
	seg, end := list[i], list.end(i, list[last].limit())
	if d.LSN > end {
		return i, d, errEndsBelow(d, end)
	}
	if i < last && d.LSN == end {
		i, seg = i+1, list[i+1]
		d.LSN = seg.first
	}
	ok, err := l.isBoundary(seg, list.end(i, list[last].limit()), d)
	if err != nil {
		return i, d, err
	}
	if !ok {
		return i, d, seg.corrupt(d.LSN, fmt.Errorf(
			"no group with the index's chained checksum stands at its durable position %v: "+
				"the log ends below the index's durable position, or the index is of another log", d.LSN))
	}
	return i, d, nil
}

// errEndsBelow says that the log lost what the index proves was durable.
func errEndsBelow(d Position, end LSN) error {
	return &CorruptionError{
		Hint: hintDamage,
		Err:  fmt.Errorf("the log ends below the index's durable position %v, at %v at most", d.LSN, end),
	}
}

// isBoundary reports whether p is a group boundary of seg, whose groups end at
// end: a group begins there, or one ends there.
func (l *Log) isBoundary(seg *segment, end LSN, p Position) (bool, error) {
	if p.LSN == seg.first {
		return p.Chain == seg.cut.Chain, nil
	}
	if p.LSN%groupAlign != 0 {
		return false, nil
	}
	s, err := openScanner(l.opts.FS, l.opts.Dir, seg, end)
	if err != nil {
		return false, err
	}
	defer s.close()
	h, err := s.header(p.LSN)
	if err == nil {
		return h.prevChain == p.Chain, nil
	}
	if _, ok := errors.AsType[damage](err); !ok {
		return false, err
	}
	return s.endsAt(p)
}

// endsAt reports whether the group before p ends there with p's chained
// checksum. It looks for that group backwards.
func (s *scanner) endsAt(p Position) (bool, error) {
	for hi := p.LSN; hi > s.seg.first; {
		lo := max(s.seg.first, hi-min(hi-s.seg.first, scanWindow/2))
		if _, err := s.win.bytes(s.seg.offset(lo), int(hi-lo)); err != nil {
			return false, err
		}
		for lsn := hi - groupAlign; lsn >= lo; lsn -= groupAlign {
			h, err := s.header(lsn)
			if err == nil {
				return h.end() == p.LSN && h.chain == p.Chain, nil
			}
			if _, ok := errors.AsType[damage](err); !ok {
				return false, err
			}
		}
		hi = lo
	}
	return false, nil
}
