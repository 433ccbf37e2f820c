package wal

import (
	"fmt"
	"io"
)

// SegmentCopy is one segment of a copy of a log.
type SegmentCopy struct {
	Name  string // of the file
	Size  int64  // bytes
	Write func(w io.Writer) error
}

// Copy calls fn with each segment of a copy of the log, in order (W11). The copy
// ends at the boundary until, or with zero where the next start of this log would
// end it. fn calls Write once, or returns an error, which ends the copy.
//
// Everything is checked on the way. What is damaged is left out as Repair would do,
// and is in the report: the copy is a sound log. Segments have no more bytes in
// the copy than mean something, and the last one says that all of them count.
//
// A log that is in use may be copied up to its durable end if no segment is
// removed meanwhile (Log.Pin).
func Copy(o InspectOptions, until Position, fn func(SegmentCopy) error) (*Report, error) {
	sv, err := newSurvey(o, until)
	if err != nil {
		return nil, err
	}
	rep := &Report{Log: sv.log, First: sv.pieces[0].seg.first, Segments: len(sv.pieces)}
	var at Position
	for _, p := range sv.pieces {
		if at, err = sv.copyPiece(p, at, rep, fn); err != nil {
			return nil, err
		}
	}
	rep.Mark, rep.End, rep.EndChain = at.LSN, at.LSN, at.Chain
	return rep, nil
}

func (sv *survey) copyPiece(p *piece, before Position, rep *Report, fn func(SegmentCopy) error) (Position, error) {
	in, err := sv.inspect(p)
	if err != nil {
		return before, err
	}
	defer in.close()
	start := in.start(before)
	end := in.end
	if end.LSN == 0 {
		nothing := visitor{group: func(groupHeader, []byte) error { return nil }, region: func(*region) error { return nil }}
		if end, err = in.walk(start, nothing); err != nil {
			return before, err
		}
		in.s.end, in.must, in.end = end.LSN, end.LSN, end
	}
	if p.wrong != nil {
		d := p.damage()
		d.Lost = in.severed(before)
		rep.Damages = append(rep.Damages, d)
	}
	c := &copier{seg: segment{segmentHeader: p.seg.segmentHeader}, rep: rep}
	c.seg.version = formatVersion
	c.seg.size = alignUp(segmentHeaderSize+max(int64(end.LSN-p.seg.first), groupAlign), segmentHeaderSize)
	if c.seg.synced = min(c.seg.synced, end.LSN); p.next == nil {
		c.seg.synced = end.LSN
	}
	return end, fn(SegmentCopy{Name: p.seg.name(), Size: c.seg.size, Write: func(w io.Writer) error {
		return c.write(w, in, start)
	}})
}

// copier writes one segment, front to back.
type copier struct {
	seg segment
	rep *Report
	w   io.Writer
	n   int64
}

func (c *copier) write(w io.Writer, in *inspection, start Position) error {
	c.w = w
	page := make([]byte, segmentHeaderSize)
	c.seg.encode(page)
	if err := c.put(page); err != nil {
		return err
	}
	if _, err := in.walk(start, visitor{group: c.group, region: c.region}); err != nil {
		return err
	}
	return c.put(make([]byte, c.seg.size-c.n))
}

func (c *copier) group(h groupHeader, data []byte) error {
	if c.n != c.seg.offset(h.lsn) {
		return fmt.Errorf("wal: BUG: the copy of segment %s is at %d, the next group at %v", c.seg.name(), c.n, h.lsn)
	}
	c.rep.Groups++
	c.rep.Records += int(h.count)
	return c.put(data)
}

func (c *copier) region(r *region) error {
	c.rep.Records += len(r.records)
	c.rep.Damages = append(c.rep.Damages, r.damage())
	return c.put(r.data)
}

func (c *copier) put(p []byte) error {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return err
}
