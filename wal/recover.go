package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Recovery says what Open found and did.
type Recovery struct {
	Segments  int           // files of the log
	Leftovers int           // files below the floor, which a crash kept from going
	From      LSN           // where the full scan begins, Replay's part of it included
	Groups    int           // scanned by Open and kept, marks included
	Records   int           // scanned by Open and kept
	Mark      LSN           // the highest mark: everything below had to be intact
	KeptBytes int64         // sound groups above the mark, rewritten into a fresh segment
	CutBytes  int64         // what of a torn tail could be recognised, cut
	Duration  time.Duration // of Open
}

// openDir finds the log in its directory, or makes one.
func (l *Log) openDir() error {
	fs, dir := l.opts.FS, l.opts.Dir
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("wal: make directory %s: %w", dir, err)
	}
	if err := syncDir(fs, fs.PathDir(dir)); err != nil {
		return err
	}
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("wal: list %s: %w", dir, err)
	}
	slices.Sort(names)
	list, leftovers, err := l.loadSegments(names)
	if err != nil {
		return err
	}
	if err := l.spares.adopt(names); err != nil {
		return err
	}
	if err := l.letLeftoversGo(leftovers); err != nil {
		return err
	}
	l.recovery.Segments, l.recovery.Leftovers = len(list), len(leftovers)
	if len(list) == 0 {
		err = l.create()
	} else {
		err = l.recover(list)
	}
	if err == nil && l.opts.Manual {
		err = l.prepareSpare()
	}
	return err
}

// letLeftoversGo ends what a crash interrupted: the last segment's header, found
// sound under its name, says that the log can do without these files. The name may
// be in the page cache alone, so the directory is synced first.
func (l *Log) letLeftoversGo(names []string) error {
	if len(names) == 0 {
		return nil
	}
	fs, dir := l.opts.FS, l.opts.Dir
	if err := syncDir(fs, dir); err != nil {
		return err
	}
	var segs []*segment
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return fmt.Errorf("wal: look at segment %s: %w", name, err)
		}
		first, _ := parseSegmentName(name)
		segs = append(segs, &segment{segmentHeader: segmentHeader{first: first, size: info.Size()}})
	}
	l.spares.letGo(segs)
	return nil
}

// create makes a new log: an ID and segment 1.
func (l *Log) create() error {
	if l.opts.Durable.LSN != 0 {
		return errEndsBelow(l.opts.Durable, firstLSN)
	}
	if _, err := io.ReadFull(l.opts.Rand, l.id[:]); err != nil {
		return fmt.Errorf("wal: choose an identity for the log: %w", err)
	}
	seg, err := newSegment(l.opts.Rand, l.id, firstLSN.Segment(), firstLSN, l.opts.SegmentSize)
	if err != nil {
		return err
	}
	seg.cut = Position{LSN: firstLSN, Chain: chainStart(l.id)}
	sp, err := l.spares.make(l.opts.SegmentSize)
	if err != nil {
		return err
	}
	l.segments.Store(&segmentList{})
	l.created = true
	l.recovery.From, l.recovery.Mark = firstLSN, firstLSN
	return l.startIn(sp, seg, seg.cut)
}

// startIn installs the segment in which the log goes on from end, where
// everything below is synced once the spare is.
func (l *Log) startIn(sp *spare, seg *segment, end Position) error {
	if err := l.install(sp, seg); err != nil {
		_ = sp.file.Close() // Open fails anyway
		return fmt.Errorf("wal: %w", err)
	}
	l.mu.head, l.mu.durable = seg, end
	if end.LSN <= seg.first {
		// One boundary with two addresses. The older one is what End said of the
		// group that ends there, so that positions can be compared.
		l.mu.durable = seg.cut
		end.LSN = seg.first
	}
	l.mu.next = end.LSN
	l.tail.file, l.tail.seg = sp.file, seg
	l.tail.end, l.tail.synced = end, end.LSN
	l.settled.Store(uint64(end.LSN))
	l.readable.Store(uint64(end.LSN))
	return nil
}

// recover brings a log back that a clean close or a crash has left (W6).
//
//	 segments        last segment
//	───────────┬──────────────┬─────────┬ ─ ─ ─ ─
//	  intact   │   intact     │  kept,  │  cut
//	  or error │   or error   │rewritten│
//	───────────┴──────────────┴─────────┴ ─ ─ ─ ─
//	                        mark       end
//
// Whatever a crash in the middle of it leaves is a log again: until the fresh
// segment's rename is durable the old files say all there is, and then the fresh
// one's header voids what lies beyond its cut.
func (l *Log) recover(list segmentList) error {
	l.segments.Store(&list)
	l.mu.floor = list[len(list)-1].floor
	l.id = list[0].log
	i, at, err := l.scanStart(list)
	if err != nil {
		return err
	}
	l.recovery.From = at.LSN
	if l.opts.ReplayChecks && i < len(list)-1 {
		i = len(list) - 1
		at = list[i].start()
	}
	l.scanned.total = list.bytesAbove(i, at.LSN, list[len(list)-1].limit())
	for ; i < len(list)-1; i++ {
		if at, err = l.scanSealed(list[i], list[i+1], at, l.countScanned); err != nil {
			return err
		}
	}
	ts, err := l.scanTail(list[i], at)
	if err != nil {
		return err
	}
	l.recovery.Mark = ts.mark.LSN
	l.recovery.KeptBytes = int64(ts.end.LSN - ts.mark.LSN)
	if l.recovery.CutBytes = int64(ts.torn - ts.end.LSN); l.recovery.CutBytes > 0 {
		l.opts.Logger.Warn("wal: cut a torn tail that was never acknowledged as durable",
			"bytes", l.recovery.CutBytes, "segment", list[i].name(), "offset", list[i].offset(ts.end.LSN), "reason", ts.stop)
	}
	return l.startFresh(list[i], ts)
}

// scanSealed scans a segment with a successor from the boundary at, and calls
// visit with each group. The successor proves that it was synced up to the cut, so it must be intact. It
// returns the boundary at the successor's start.
func (l *Log) scanSealed(seg, next *segment, at Position, visit func(groupHeader, []byte) error) (Position, error) {
	s, err := openScanner(l.opts.FS, l.opts.Dir, seg, next.cut.LSN)
	if err != nil {
		return at, err
	}
	defer s.close()
	at, err = s.walk(at, visit)
	if err == nil && at != next.cut {
		err = damage("the chained checksum differs from what the next segment says")
	}
	if err != nil {
		return at, asCorruption(seg, at.LSN, "a full segment is damaged, which was durable as a whole", err)
	}
	return Position{LSN: next.first, Chain: at.Chain}, nil
}

func (l *Log) countScanned(h groupHeader, _ []byte) error {
	l.recovery.Groups++
	l.recovery.Records += int(h.count)
	l.scanned.add(int64(h.end()-h.lsn), l.opts.Progress)
	return nil
}

// scanProgress tells Options.Progress how far the scan has come.
type scanProgress struct{ done, total, told int64 }

func (p *scanProgress) add(n int64, tell func(done, total int64)) {
	p.done += n
	if tell != nil && p.done-p.told >= scanWindow {
		p.told = p.done
		tell(p.done, p.total)
	}
}

// bytesAbove is how much of the list lies from from, in segment i, up to head.
func (l segmentList) bytesAbove(i int, from, head LSN) (n int64) {
	for ; i < len(l); i++ {
		n += max(int64(l.end(i, head))-int64(max(from, l[i].first)), 0) // an empty last segment begins above the durable end
	}
	return n
}

// tailScan is what the last segment holds.
type tailScan struct {
	mark Position // everything below was durable
	end  Position // behind the last sound group in unbroken order
	stop error    // why the order ends there; nil: the segment is full
	torn LSN      // behind the last group beyond end that left a trace, or end

	// bounds are the group boundaries from the highest mark so far on.
	bounds []Position
}

// raise lifts the mark.
func (ts *tailScan) raise(mark LSN) {
	if mark <= ts.mark.LSN {
		return
	}
	ts.mark.LSN = mark
	n := 0
	for n < len(ts.bounds) && ts.bounds[n].LSN < mark {
		n++
	}
	ts.bounds = ts.bounds[n:]
}

// scanTail scans the last segment from the boundary at, which was durable.
func (l *Log) scanTail(seg *segment, at Position) (*tailScan, error) {
	s, err := openScanner(l.opts.FS, l.opts.Dir, seg, seg.limit())
	if err != nil {
		return nil, err
	}
	defer s.close()
	ts := &tailScan{mark: at, bounds: []Position{at}}
	ts.raise(seg.synced)
	ts.end, ts.stop = s.walk(at, func(h groupHeader, data []byte) error {
		if h.end() >= ts.mark.LSN {
			ts.bounds = append(ts.bounds, Position{LSN: h.end(), Chain: h.chain})
		}
		ts.raise(h.mark)
		return l.countScanned(h, data)
	})
	if _, ok := errors.AsType[damage](ts.stop); !ok && ts.stop != nil {
		return nil, ts.stop
	}
	if err := ts.probe(s); err != nil {
		return nil, err
	}
	if ts.mark.LSN > ts.end.LSN {
		return nil, asCorruption(seg, ts.end.LSN,
			fmt.Sprintf("the log is damaged below %v, up to which it was durable", ts.mark.LSN), ts.stop)
	}
	if ts.bounds[0].LSN != ts.mark.LSN {
		return nil, asCorruption(seg, ts.mark.LSN, "the highest mark is no group boundary", damage("no group ends here"))
	}
	ts.mark = ts.bounds[0]
	return ts, nil
}

// probe looks at every place behind the end for group headers that survived:
// they lie beyond a gap and are lost, but their marks tell what was durable.
func (ts *tailScan) probe(s *scanner) error {
	ts.torn = ts.end.LSN
	for lsn := ts.end.LSN; lsn < s.end; lsn += groupAlign {
		h, err := s.header(lsn)
		if err == nil {
			ts.torn = h.end()
			ts.raise(h.mark)
		} else if _, ok := errors.AsType[damage](err); !ok {
			return err
		}
	}
	return nil
}
