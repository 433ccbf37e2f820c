package engine

import (
	"math"
	"strconv"
	"testing"
	"time"
)

// TestCursors: a cursor is digits and a place, or a time, and exact as a number of
// JavaScript's as long as it is promised to be.
func TestCursors(t *testing.T) {
	for _, c := range []struct {
		cursor string
		place  place
		at     time.Time
		bad    bool
	}{
		{cursor: ""},
		{cursor: "0"},
		{cursor: "1700000000000", at: time.UnixMilli(1_700_000_000_000)},
		{cursor: placeOf(1<<32, 0).String(), place: placeOf(1<<32, 0)},
		{cursor: (placeOf(1<<32, placeMask) + 1).String(), place: placeOf(1<<32+1, 0)},
		{cursor: strconv.FormatUint(math.MaxUint64, 10), place: math.MaxUint64 - cursorBase},
		{cursor: "18446744073709551616", bad: true},
		{cursor: "-1", bad: true},
		{cursor: "1-2", bad: true},
	} {
		p, at, err := parseCursor(c.cursor)
		if p != c.place || !at.Equal(c.at) || (err != nil) != c.bad {
			t.Errorf("%q: %d, %v, %v", c.cursor, p, at, err)
		}
	}
	last := placeOf(130_000<<32, placeMask).String()
	f, err := strconv.ParseFloat(last, 64)
	if err != nil || f >= 1<<53 || strconv.FormatFloat(f, 'f', -1, 64) != last {
		t.Errorf("the cursor %s is the number %f", last, f)
	}
}
