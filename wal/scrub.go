package wal

// Scrub checks the first full segment at or behind the address from, beside the log
// that is open (W7): group by group, as Verify does, and calls damaged for what is
// not as it was written. It returns the address of the segment behind, to go on
// with, or zero if that is the one in use, which is left to the next start.
//
// Pause in the options sets the pace. A segment that is reclaimed meanwhile is not
// taken for damaged. The error is one of reading, or Pause's.
func Scrub(o InspectOptions, from LSN, damaged func(*Damage)) (next LSN, err error) {
	sv, err := newSurvey(o, Position{})
	if err != nil {
		return 0, err
	}
	for _, p := range sv.pieces {
		if p.next == nil || p.seg.first < from {
			continue
		}
		rep := Report{}
		if _, err := sv.verifyPiece(p, Position{}, &rep); err != nil {
			return 0, err
		}
		for i := range rep.Damages {
			damaged(&rep.Damages[i])
		}
		if p.next.next == nil {
			return 0, nil
		}
		return p.next.seg.first, nil
	}
	return 0, nil
}
