package cron

import (
	"testing"
	"time"
)

// TestSegments walks through every zone: each instant from 1970 to 2100 is in one
// segment, there are few of them, and the clock is as they say. Go's ZoneBounds by
// itself is wrong on the last day of some leap years.
func TestSegments(t *testing.T) {
	for _, zone := range zoneNames(t) {
		x := Expr{}
		var err error
		if x.loc, err = zones.load(zone); err != nil {
			t.Fatal(err)
		}
		n := 0
		for at := int64(minAfter); at < maxAfter; n++ {
			s := x.segmentAt(at)
			if s.start > at || s.end <= at {
				t.Fatalf("%s: %d is in the segment %+v", zone, at, s)
			}
			for _, in := range []int64{max(s.start, minAfter), at, (at + min(s.end, maxAfter)) / 2, min(s.end, maxAfter) - 1} {
				if _, off := time.Unix(in, 0).In(x.loc).Zone(); int64(off) != s.off {
					t.Errorf("%s: at %d it is %d ahead of UTC, not as %+v says", zone, in, off, s)
				}
			}
			at = s.end
		}
		if n > 500 {
			t.Errorf("%s has %d segments", zone, n)
		}
	}
}
