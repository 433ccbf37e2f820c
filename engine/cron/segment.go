package cron

import "time"

// Below, an instant is a count of unix seconds, and a wall time what the local
// clock shows then, as the unix seconds at which a clock in UTC shows it.

const (
	minAfter = -200_000      // before the first tick of 1970 in any zone
	maxAfter = 4_102_700_000 // after the last one of 2099

	// maxOffset bounds how far a zone is from UTC: RFC 8536 allows no more. So
	// wall times 2*maxOffset apart are in the order of their instants.
	maxOffset = 26 * 3600

	forever = 1 << 60
)

// segment is a stretch of instants, from start up to but not including end, in
// which the local clock is off seconds ahead of UTC. Neighbours may have the same
// offset: the zone's name changed there, or a year began.
type segment struct{ start, end, off int64 }

func (s segment) wallStart() int64 { return s.start + s.off }
func (s segment) wallEnd() int64   { return s.end + s.off }

// segmentAt returns the segment that the instant t lies in.
func (x *Expr) segmentAt(t int64) segment {
	if x.loc == time.UTC {
		return segment{-forever, forever, 0}
	}
	at := time.Unix(t, 0).In(x.loc)
	_, off := at.Zone()
	s := segment{-forever, forever, int64(off)}
	start, end := at.ZoneBounds()
	if !start.IsZero() {
		s.start = start.Unix()
	}
	if !end.IsZero() {
		s.end = end.Unix()
	}
	if s.end <= t { // Go ends years that follow a rule after 365 days, leap years too
		s.end = t - t%86400 + 86400
	}
	return s
}

// reached returns the latest wall time that the clock has shown up to the instant
// t. That is what it shows at t, unless it was set back shortly before.
func (x *Expr) reached(t int64) int64 {
	s := x.segmentAt(t)
	wall := t + s.off
	for s.start > t-2*maxOffset {
		last := s.start - 1
		s = x.segmentAt(last)
		wall = max(wall, last+s.off)
	}
	return wall
}

// reach returns the first instant at which the clock shows wall or a later time,
// and what it shows then: wall itself, unless wall lies in a gap.
func (x *Expr) reach(wall int64) (t, shown int64) {
	s := x.segmentAt(wall - maxOffset)
	for wall >= s.wallEnd() {
		s = x.segmentAt(s.end)
	}
	if wall < s.wallStart() {
		return s.start, s.wallStart()
	}
	return wall - s.off, wall
}
