package wal

import (
	"bytes"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
)

// inspection walks one piece of a surveyed log, group by group, and over what is
// damaged.
type inspection struct {
	sv   *survey
	p    *piece
	s    *scanner
	file *roughFile

	must LSN      // up to here everything must be intact
	end  Position // where that is known: what the chained checksum there must be
	mark LSN      // the highest one found, in a piece without a successor
}

func (sv *survey) inspect(p *piece) (*inspection, error) {
	in := &inspection{sv: sv, p: p, file: &roughFile{name: p.file}}
	if p.file != "" {
		var err error
		if in.file, err = openRough(sv.o.FS, sv.o.Dir, p.file); err != nil {
			return nil, err
		}
	}
	end, known := p.bounds()
	if p.next == nil && sv.until.LSN != 0 {
		end, known = sv.until, true
	}
	p.makeRoom(end.LSN)
	in.s = &scanner{seg: p.seg, end: p.seg.limit(), win: window{r: in.file, size: p.seg.size}}
	switch {
	case known && end.LSN > p.seg.limit():
		in.close()
		return nil, p.seg.corrupt(end.LSN, damage("the next segment says that this one ends here, beyond its size; restore a backup"))
	case known:
		in.must, in.end, in.s.end = end.LSN, end, end.LSN
		return in, nil
	case end.LSN != 0:
		in.must, in.s.end = end.LSN, end.LSN
		return in, nil
	}
	return in, in.findMark()
}

func (in *inspection) close() { in.file.close() }

// findMark finds the highest mark of a piece whose end no other tells. It looks
// before the walk does, so that beside a running server all that the mark covers
// is there when the walk comes by.
func (in *inspection) findMark() error {
	in.mark = in.p.seg.synced
	if d := in.sv.o.Durable.LSN; d > in.mark && d <= in.s.end && in.p.next == nil {
		in.mark = d
	}
	for lsn := in.p.seg.first; lsn < in.s.end; lsn += groupAlign {
		h, err := in.s.header(lsn)
		if _, ok := errors.AsType[damage](err); !ok && err != nil {
			return err
		}
		if err == nil {
			in.mark = max(in.mark, h.mark)
		}
	}
	in.must = in.mark
	return nil
}

// visitor gets what a walk finds, in order.
type visitor struct {
	group  func(h groupHeader, data []byte) error // intact; data is valid during the call
	region func(r *region) error
}

// walk visits everything from the boundary at to where the piece ends: at the
// next one's cut, or, in the last one, behind the last sound group in unbroken
// order above the mark. It returns the boundary reached.
func (in *inspection) walk(at Position, v visitor) (Position, error) {
	for at.LSN < in.s.end {
		h, data, err := in.s.group(at)
		if err == nil {
			if err := in.sv.o.Pause(len(data)); err != nil {
				return at, err
			}
			if err := v.group(h, data); err != nil {
				return at, err
			}
			at = Position{LSN: h.end(), Chain: h.chain}
			continue
		}
		reason, ok := errors.AsType[damage](err)
		if !ok {
			return at, err
		}
		if at.LSN >= in.must {
			return at, nil // a torn tail
		}
		r, err := in.regionAt(at, reason)
		if err != nil {
			return at, err
		}
		if err := v.region(r); err != nil {
			return at, err
		}
		at = Position{LSN: r.to, Chain: r.after}
	}
	if in.end.LSN != 0 && at != in.end {
		return at, in.p.seg.corrupt(at.LSN, damagef(
			"every group is sound, yet the next segment follows another end of this one: the files are of different times; restore a backup"))
	}
	return at, nil
}

// regionAt reads the damaged region that begins at the boundary at: the group
// there if its header is sound, else everything up to the next sound header.
func (in *inspection) regionAt(at Position, reason damage) (*region, error) {
	r := &region{from: at.LSN, before: at.Chain, reason: reason, seg: in.p.seg}
	if err := in.outline(r); err != nil {
		return nil, err
	}
	data, err := in.s.win.bytes(in.p.seg.offset(r.from), int(r.to-r.from))
	if err != nil {
		return nil, err
	}
	r.data = bytes.Clone(data)
	r.describe = in.sv.o.Describe
	r.salvage()
	r.settle()
	return r, nil
}

// outline finds where the region ends and what the chained checksum is there.
func (in *inspection) outline(r *region) error {
	h, err := in.s.header(r.from)
	if err == nil {
		r.head, r.to, r.after, r.anchored = &h, h.end(), h.chain, true
		return nil
	}
	if _, ok := errors.AsType[damage](err); !ok {
		return err
	}
	r.to, r.after, r.anchored = in.must, in.end.Chain, in.end.LSN == in.must
	for lsn := r.from + groupAlign; lsn < in.must; lsn += groupAlign {
		h, err := in.s.header(lsn)
		if err == nil {
			r.to, r.after, r.anchored = lsn, h.prevChain, true
			break
		}
		if _, ok := errors.AsType[damage](err); !ok {
			return err
		}
	}
	in.anchorAtIndex(r)
	return nil
}

// anchorAtIndex ends the region at the index's durable position if that lies in
// it: the position must stay a boundary with the checksum that the index has.
func (in *inspection) anchorAtIndex(r *region) {
	d := in.sv.o.Durable
	if d.LSN > r.from && (d.LSN < r.to || d.LSN == r.to && !r.anchored) && d.LSN%groupAlign == 0 {
		r.to, r.after, r.anchored = d.LSN, d.Chain, true
	}
}

// start is the boundary at the beginning of a piece; before is where the one
// before it ended. It completes a header that is made up.
func (in *inspection) start(before Position) Position {
	seg := in.p.seg
	switch chain, known := in.firstChain(); {
	case !in.p.lost:
	case before.LSN != 0:
		seg.cut = before
	case known: // the log begins here, or what came before was reclaimed
		seg.cut = Position{LSN: seg.first, Chain: chain}
	default:
		seg.cut = Position{LSN: seg.first, Chain: chainStart(in.sv.log)}
	}
	return Position{LSN: seg.first, Chain: seg.cut.Chain}
}

// firstChain returns the chained checksum before the piece's first group, if that
// one's header is sound.
func (in *inspection) firstChain() (uint32, bool) {
	h, err := in.s.header(in.p.seg.first)
	return h.prevChain, err == nil
}

// severed returns what may be lost between a piece and the one before it, neither
// of whose headers says where the one ended, if the chained checksum does not
// prove that it is nothing.
func (in *inspection) severed(before Position) []Lost {
	p := in.p
	if !p.lost || p.prev == nil || p.prev.wrong == nil || before.LSN == p.seg.first {
		return nil
	}
	if chain, known := in.firstChain(); known && chain == before.Chain {
		return nil
	}
	return []Lost{{LSN: before.LSN, End: p.seg.first}}
}

// recallSeed finds the seed of a segment whose header is lost. The identity may
// have survived in the header; else a group header tells the seed that it was
// sealed with, which is believed if all that follows up to the segment's known
// end, or the index's position, agrees, or if a record does that the segment's first
// group leads to: message bodies can hold what looks like a group, but do not begin
// a segment and cannot lead on to the groups behind them.
func (sv *survey) recallSeed(p *piece) error {
	if !p.lost {
		return nil
	}
	in, err := sv.inspect(p)
	if err != nil {
		return err
	}
	defer in.close()
	for lsn := p.seg.first; lsn < in.s.end; lsn += groupAlign {
		src, err := in.s.win.bytes(p.seg.offset(lsn), groupHeaderSize)
		if err != nil {
			return err
		}
		seed, ok := seedOf(src, lsn)
		survived := seed == p.seg.seed && p.seg.identity != (identity{}) // zeros anybody could have guessed
		if ok && (survived || in.believable(seed, lsn)) {
			return p.seg.adopt(seed)
		}
	}
	return p.seg.adopt(rand.Uint32()) // nothing in it can be believed
}

// adopt makes seed the segment's, under an identity that goes with it.
func (s *segment) adopt(seed uint32) error {
	if s.seed = seed; s.identity.seed() == seed && s.identity != (identity{}) {
		return nil
	}
	var id identity
	if _, err := crand.Read(id[:]); err != nil {
		return fmt.Errorf("wal: choose an identity for segment %s: %w", s.name(), err)
	}
	s.identity = identityOf(id, seed)
	return nil
}

// believable says whether the seed that a group header at lsn was sealed with is
// the segment's.
func (in *inspection) believable(seed uint32, lsn LSN) bool {
	seg := &segment{segmentHeader: in.p.seg.segmentHeader, seed: seed}
	s := &scanner{seg: seg, end: in.s.end, win: window{r: in.file, size: seg.size}}
	h, err := s.header(lsn)
	if err != nil {
		return false
	}
	agrees := false
	at, err := s.walk(Position{LSN: lsn, Chain: h.prevChain}, func(h groupHeader, _ []byte) error {
		agrees = agrees || lsn == seg.first && h.count > 0 || Position{LSN: h.end(), Chain: h.chain} == in.sv.o.Durable
		return nil
	})
	return agrees || err == nil && in.end.LSN != 0 && at == in.end
}
