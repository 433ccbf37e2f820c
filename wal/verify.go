package wal

import (
	"errors"
	"fmt"
	"os"
)

// Report is what Verify found, or Repair found and did.
type Report struct {
	Log      ID
	Segments int // that the log must have, missing ones included
	Groups   int // intact
	Records  int // intact, those in damaged groups included
	First    LSN
	// Mark is the end of what is known to have been durable in the last segment, End
	// the end of all sound groups in unbroken order. What lies between is kept by
	// the next start, what lies behind is cut.
	Mark, End LSN
	EndChain  uint32 // the chained checksum at End
	// IndexFits says that InspectOptions.Durable is a boundary of the log, after a
	// repair at the latest. Without it the index is of another log, or of another time.
	IndexFits bool
	Damages   []Damage
}

// Lost returns how many records are lost, and whether there may be more.
func (r *Report) Lost() (records int, more bool) {
	for i := range r.Damages {
		for _, l := range r.Damages[i].Lost {
			records += l.Records
			more = more || l.Records == 0
		}
	}
	return records, more
}

// Damage is one thing that is not as it was written.
type Damage struct {
	Segment string // the file, or the name that a missing one had
	Offset  int64  // in the file
	// From and To are the addresses that are affected; both zero for a file's header
	// or name alone.
	From, To LSN
	Meaning  string
	Kept     int    // records between From and To that are intact
	Lost     []Lost // what is gone; nothing for damage to headers and padding
}

// Verify reads every byte of the log that means anything and compares it with
// every checksum (W7). It changes nothing, takes no lock and may run beside a
// server: then it ends at the highest mark. A *VersionError, and errors of
// reading, are returned as such; damage is in the report.
func Verify(o InspectOptions) (*Report, error) {
	sv, err := newSurvey(o, Position{})
	if err != nil {
		return nil, err
	}
	return sv.verify()
}

func (sv *survey) verify() (*Report, error) {
	rep := &Report{Log: sv.log, First: sv.pieces[0].seg.first, Segments: len(sv.pieces)}
	var at Position
	for _, p := range sv.pieces {
		var err error
		if at, err = sv.verifyPiece(p, at, rep); err != nil {
			return nil, err
		}
	}
	rep.End, rep.EndChain = at.LSN, at.Chain
	for _, s := range sv.strays {
		rep.Damages = append(rep.Damages, Damage{Segment: s.file, Meaning: "the file is no part of the log: " + s.reason.Error()})
	}
	return rep, nil
}

// verifyPiece adds what it finds to rep and returns where the piece ends. before
// is where the one before it did.
func (sv *survey) verifyPiece(p *piece, before Position, rep *Report) (Position, error) {
	in, err := sv.inspect(p)
	if err != nil && sv.recycled(p) {
		return rep.skip(p), nil
	}
	if err != nil {
		return before, err
	}
	defer in.close()
	found := Report{}
	start := in.start(before)
	boundary := func(at Position) { rep.IndexFits = rep.IndexFits || at == sv.o.Durable }
	boundary(start)
	boundary(p.seg.cut)
	at, err := in.walk(start, visitor{
		group: func(h groupHeader, _ []byte) error {
			found.Groups++
			found.Records += int(h.count)
			boundary(Position{LSN: h.end(), Chain: h.chain})
			return nil
		},
		region: func(r *region) error {
			found.Records += len(r.records)
			found.Damages = append(found.Damages, r.damage())
			boundary(Position{LSN: r.to, Chain: r.after})
			return nil
		},
	})
	if err != nil {
		return at, err
	}
	if p.wrong != nil {
		d := p.damage()
		d.Lost = in.severed(before)
		found.Damages = append([]Damage{d}, found.Damages...)
	}
	if in.file.bad > 0 && len(found.Damages) > 0 {
		found.Damages[0].Meaning += fmt.Sprintf("; the disk cannot read %d bytes of this file", in.file.bad)
	}
	if p.next == nil {
		rep.Mark = in.mark
	}
	if len(found.Damages) > 0 && sv.recycled(p) {
		return rep.skip(p), nil
	}
	rep.Groups += found.Groups
	rep.Records += found.Records
	rep.Damages = append(rep.Damages, found.Damages...)
	p.damaged = len(found.Damages) > 0
	return at, nil
}

// recycled says whether the file has gone since the survey began: beside a
// running server the oldest segments may have been reclaimed meanwhile.
func (sv *survey) recycled(p *piece) bool {
	if p.file == "" || p.lost || p.next == nil {
		return false
	}
	now, err := sv.look(p.file)
	return errors.Is(err, os.ErrNotExist) || err == nil && now != nil && now.wrong == nil && now.seg.identity != p.seg.identity
}

// skip leaves out a segment that has been reclaimed, and returns where it ended.
func (r *Report) skip(p *piece) Position {
	r.First, r.Segments = p.next.seg.first, r.Segments-1
	return p.next.seg.cut
}

// damage describes what is wrong with the file as such.
func (p *piece) damage() Damage {
	reason, _ := errors.AsType[damage](p.wrong)
	d := Damage{Segment: p.file, Meaning: string(reason)}
	if p.file == "" {
		d.Segment = p.seg.name()
	}
	return d
}

func (r *region) damage() Damage {
	return Damage{
		Segment: r.seg.name(), Offset: r.seg.offset(r.from), From: r.from, To: r.to,
		Meaning: string(r.reason), Kept: len(r.records), Lost: r.lost,
	}
}
