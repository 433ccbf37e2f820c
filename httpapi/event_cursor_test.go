package httpapi

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

func TestEventCursors(t *testing.T) {
	early, late := time.UnixMilli(1_700_000_000_000), time.UnixMilli(1_800_000_000_000)
	ms := func(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }
	for _, tt := range []struct {
		cursor   string
		q        engine.EventQuery
		place    string
		from, to time.Time
	}{
		{cursor: ""},
		{cursor: "0", place: "0"},
		{cursor: "x", place: "x"},
		{cursor: showCursor("68719476736"), place: "68719476736"},
		{cursor: showCursor("1"), place: "1"},
		{cursor: ms(early), to: early},
		{cursor: ms(early), q: engine.EventQuery{Filter: engine.Filter{To: late}}, to: early},
		{cursor: ms(late), q: engine.EventQuery{Filter: engine.Filter{To: early}}, to: early},
		{cursor: ms(late), q: engine.EventQuery{Earliest: true, Filter: engine.Filter{From: early}}, from: late},
		{cursor: ms(early), q: engine.EventQuery{Earliest: true, Filter: engine.Filter{From: late}}, from: late},
	} {
		q := tt.q
		setCursor(&q, tt.cursor)
		if q.Cursor != tt.place || !q.From.Equal(tt.from) || !q.To.Equal(tt.to) {
			t.Errorf("%q for %+v: %q from %s to %s", tt.cursor, tt.q, q.Cursor, q.From, q.To)
		}
	}
	if got := showCursor(""); got != "" {
		t.Errorf("the end is %q", got)
	}
	// A place in the last segment of which it is promised is exact as a number of JavaScript's.
	last := showCursor(strconv.FormatUint((1<<16<<32)<<4-1, 10))
	f, err := strconv.ParseFloat(last, 64)
	if err != nil || f >= 1<<53 || strconv.FormatFloat(f, 'f', -1, 64) != last || f != math.Trunc(f) {
		t.Errorf("the cursor %s is the number %f", last, f)
	}
}
