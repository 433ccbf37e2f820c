package wal

// Dumped is one thing that Dump found: a segment's header, a group, a record or a
// damaged stretch. The fields of the kinds that it is not are zero.
type Dumped struct {
	Kind    string // "segment", "group", "record", "damage"
	LSN     LSN
	End     LSN    // behind it; of a segment: where its groups end, zero if that is open
	Segment string // the file

	Version uint32 // segment
	Size    int64  // segment: of the file, bytes
	Mark    LSN    // group; segment: synced
	Records int    // group
	Bytes   int    // group: of its records; record: of its payload
	Payload []byte // record: valid during the call
	Damage  *Damage
}

// Dump calls fn with everything in the log from the segment on that holds from,
// in order. Like Verify it changes nothing, takes no lock, and may run beside a
// server. An error of fn ends it and is returned.
func Dump(o InspectOptions, from LSN, fn func(*Dumped) error) error {
	sv, err := newSurvey(o, Position{})
	if err != nil {
		return err
	}
	var at Position
	for _, p := range sv.pieces {
		skip := p.next != nil && p.next.seg.first <= from
		if at, err = sv.dumpPiece(p, at, skip, fn); err != nil {
			return err
		}
	}
	return nil
}

func (sv *survey) dumpPiece(p *piece, before Position, skip bool, fn func(*Dumped) error) (Position, error) {
	in, err := sv.inspect(p)
	if err != nil && sv.recycled(p) {
		return p.next.seg.cut, nil
	}
	if err != nil {
		return before, err
	}
	defer in.close()
	start := in.start(before)
	if skip && in.end.LSN != 0 && p.wrong == nil {
		return in.end, nil
	}
	d := &dumper{seg: p.seg, fn: fn}
	if err := d.segment(p, in); err != nil {
		return before, err
	}
	return in.walk(start, visitor{group: d.group, region: d.region})
}

type dumper struct {
	seg *segment
	fn  func(*Dumped) error
}

func (d *dumper) segment(p *piece, in *inspection) error {
	if p.wrong != nil {
		damage := p.damage()
		if err := d.fn(&Dumped{Kind: "damage", Segment: damage.Segment, Damage: &damage}); err != nil {
			return err
		}
	}
	return d.fn(&Dumped{
		Kind: "segment", Segment: p.seg.name(), LSN: p.seg.first, End: in.end.LSN,
		Version: p.seg.version, Size: p.seg.size, Mark: p.seg.synced,
	})
}

func (d *dumper) group(h groupHeader, data []byte) error {
	err := d.fn(&Dumped{
		Kind: "group", Segment: d.seg.name(), LSN: h.lsn, End: h.end(), Mark: h.mark,
		Records: int(h.count), Bytes: int(h.bytes),
	})
	if err != nil {
		return err
	}
	return eachRecord(data[groupHeaderSize:groupHeaderSize+int(h.bytes)], h.lsn+groupHeaderSize, d.record)
}

func (d *dumper) record(lsn LSN, rec, payload []byte) error {
	return d.fn(&Dumped{
		Kind: "record", Segment: d.seg.name(), LSN: lsn, End: lsn + LSN(len(rec)), Bytes: len(payload), Payload: payload,
	})
}

func (d *dumper) region(r *region) error {
	damage := r.damage()
	if err := d.fn(&Dumped{Kind: "damage", Segment: d.seg.name(), LSN: r.from, End: r.to, Damage: &damage}); err != nil {
		return err
	}
	for _, f := range r.records {
		if err := d.record(r.from+LSN(f.off), r.data[f.off:f.off+f.size], r.data[f.off+recordHeaderSize:][:f.n]); err != nil {
			return err
		}
	}
	return nil
}
