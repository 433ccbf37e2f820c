package cron

import (
	"slices"
	"testing"
	"time"
)

const (
	newYork = "CRON_TZ=America/New_York "
	howe    = "CRON_TZ=Australia/Lord_Howe "
	apia    = "CRON_TZ=Pacific/Apia "
)

// TestExplain reads the words of a preview: each tick of a stretch of time that is
// odd, and what was left out on the way.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		text     string
		dst      DST
		from, to string
		odd      []string // instant of the tick, then the words
		left     []string
	}{
		{
			newYork + "30 2 * * *", FireOnce, "2026-03-01 00:00:00 -05:00", "2026-12-01 00:00:00 -05:00",
			[]string{"2026-03-08 03:00:00 -04:00: 2026-03-08 02:30 does not exist; fires at the first moment after it"},
			nil,
		},
		{
			newYork + "30 2 * * *", Skip, "2026-03-01 00:00:00 -05:00", "2026-12-01 00:00:00 -05:00",
			nil,
			[]string{"2026-03-08 03:00:00 -04:00: 2026-03-08 02:30 does not exist; left out"},
		},
		{
			newYork + "*/15 2,3 * * *", Both, "2026-03-01 00:00:00 -05:00", "2026-03-20 00:00:00 -04:00",
			[]string{"2026-03-08 03:00:00 -04:00: 2026-03-08 02:00 to 2026-03-08 02:45 do not exist; fires once at the first moment after them"},
			nil,
		},
		{
			newYork + "30 1 * * *", FireOnce, "2026-03-01 00:00:00 -05:00", "2026-12-01 00:00:00 -05:00",
			[]string{"2026-11-01 01:30:00 -04:00: 2026-11-01 01:30 comes twice; this is the first"},
			[]string{"2026-11-01 01:30:00 -05:00: 2026-11-01 01:30 comes twice; does not fire the second time"},
		},
		{
			newYork + "30 1 * * *", Both, "2026-03-01 00:00:00 -05:00", "2026-12-01 00:00:00 -05:00",
			[]string{
				"2026-11-01 01:30:00 -04:00: 2026-11-01 01:30 comes twice; this is the first",
				"2026-11-01 01:30:00 -05:00: 2026-11-01 01:30 comes twice; this is the second",
			},
			nil,
		},
		{
			newYork + "0-59/30 1,2 * * *", Skip, "2026-10-30 00:00:00 -04:00", "2026-12-01 00:00:00 -05:00",
			[]string{
				"2026-11-01 01:00:00 -04:00: 2026-11-01 01:00 comes twice; this is the first",
				"2026-11-01 01:30:00 -04:00: 2026-11-01 01:30 comes twice; this is the first",
			},
			[]string{"2026-11-01 01:00:00 -05:00: 2026-11-01 01:00 to 2026-11-01 01:30 come twice; do not fire the second time"},
		},
		{
			newYork + "0 * * * *", Skip, "2026-03-01 00:00:00 -05:00", "2026-12-01 00:00:00 -05:00",
			[]string{
				"2026-11-01 01:00:00 -04:00: 2026-11-01 01:00 comes twice; this is the first",
				"2026-11-01 01:00:00 -05:00: 2026-11-01 01:00 comes twice; this is the second",
			},
			[]string{"2026-03-08 03:00:00 -04:00: 2026-03-08 02:00 does not exist; left out"},
		},
		{
			howe + "*/20 1-3 * * *", FireOnce, "2026-04-01 00:00:00 +11:00", "2026-10-30 00:00:00 +11:00",
			[]string{
				"2026-04-05 01:40:00 +11:00: 2026-04-05 01:40 comes twice; this is the first",
				"2026-10-04 02:30:00 +11:00: 2026-10-04 02:00 to 2026-10-04 02:20 do not exist; fires once at the first moment after them",
			},
			[]string{"2026-04-05 01:40:00 +10:30: 2026-04-05 01:40 comes twice; does not fire the second time"},
		},
		{
			apia + "7 0 9 * * *", FireOnce, "2011-12-20 00:00:00 -10:00", "2012-01-10 00:00:00 +14:00",
			[]string{"2011-12-31 00:00:00 +14:00: 2011-12-30 09:00:07 does not exist; fires at the first moment after it"},
			nil,
		},
		{
			apia + "0 0 * * *", FireOnce, "2011-12-20 00:00:00 -10:00", "2012-01-10 00:00:00 +14:00",
			[]string{"2011-12-31 00:00:00 +14:00: 2011-12-30 00:00 does not exist; fires at the first moment after it"},
			nil,
		},
		{"30 2 * * *", FireOnce, "2026-03-01 00:00:00 +00:00", "2026-12-01 00:00:00 +00:00", nil, nil},
		{newYork + "0 12 * * *", Skip, "2026-03-01 00:00:00 -05:00", "2026-12-01 00:00:00 -05:00", nil, nil},
		{newYork + "30 2 * * 1", Skip, "2026-03-01 00:00:00 -05:00", "2026-12-01 00:00:00 -05:00", nil, nil},
	} {
		x := must(t, c.text, c.dst)
		var odd, left []string
		from, to := at(t, c.from), at(t, c.to)
		for tick, ok := x.Next(from); ok && tick <= to; tick, ok = x.Next(tick) {
			if o := x.Explain(tick); o.Kind != None {
				if o.At != tick {
					t.Errorf("%s: the oddity of %s is about %s", c.text, show(x, tick), show(x, o.At))
				}
				odd = append(odd, show(x, tick)+": "+o.String())
			}
			if o := x.Explain(tick + 1); o != (Oddity{}) || o.String() != "" {
				t.Errorf("%s: %d is no tick, but %s", c.text, tick+1, o)
			}
		}
		for _, o := range x.LeftOut(from, to) {
			left = append(left, show(x, o.At)+": "+o.String())
		}
		if !slices.Equal(odd, c.odd) {
			t.Errorf("%s (%s): odd are\n%q, want\n%q", c.text, c.dst, odd, c.odd)
		}
		if !slices.Equal(left, c.left) {
			t.Errorf("%s (%s): left out are\n%q, want\n%q", c.text, c.dst, left, c.left)
		}
	}
}

// TestEveryTimeIsAccountedFor: of every wall time that matches, some tick or entry
// says what became of it. A wall time is shown by a tick, is within what a Moved
// tick stands for, or was left out; and nothing is said of times that do not match.
func TestEveryTimeIsAccountedFor(t *testing.T) {
	r := seeded(t)
	n := 8
	if raceEnabled {
		n = 2
	}
	for _, c := range mustHave {
		day, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range pick(r, texts, n) {
			for d := range DST(3) {
				account(t, must(t, "TZ="+c.zone+" "+text, d), newBatch(text), day.Unix())
			}
		}
	}
}

func account(t *testing.T, x *Expr, b *batch, day int64) {
	t.Helper()
	said := map[int64]OddKind{} // by wall time; what is said last stands
	from, to := (day-4*86400)*1000, (day+5*86400)*1000
	span := func(o Oddity) {
		for w := o.Wall.Unix(); w <= o.Last.Unix(); w += 60 {
			if b.matches(w) != 0 {
				said[w] = o.Kind
			}
		}
		if b.matches(o.Wall.Unix()) == 0 || b.matches(o.Last.Unix()) == 0 {
			t.Errorf("%s (%s): %s is about a time that does not match", x, x.dst, o)
		}
	}
	for _, o := range x.LeftOut(from, to) {
		span(o)
	}
	for tick, ok := x.Next(from); ok && tick <= to; tick, ok = x.Next(tick) {
		o := x.Explain(tick)
		if o.Kind == Moved {
			span(o)
		}
		wall := time.UnixMilli(tick).In(x.Location())
		_, off := wall.Zone()
		if w := tick/1000 + int64(off); b.matches(w) != 0 {
			said[w] = o.Kind
		} else if o.Kind != Moved {
			t.Errorf("%s (%s) ticks at %s without a reason", x, x.dst, show(x, tick))
		}
	}
	for w := day - 2*86400; w < day+3*86400; w += 60 {
		if _, ok := said[w]; ok != (b.matches(w) != 0) {
			t.Errorf("%s (%s): of %s it is said: %v", x, x.dst, time.Unix(w, 0).UTC(), ok)
			return
		}
	}
}

// TestFault: what cannot happen is survived and counted.
func TestFault(t *testing.T) {
	before := Faults()
	defer faults.Store(before)
	x := must(t, "* * * * *", FireOnce)
	x.fields = nil // cronexpr panics
	if tick, ok := x.Next(0); ok || Faults() != before+1 {
		t.Errorf("Next is %d, %v; %d faults", tick, ok, Faults()-before)
	}
	if n := x.Count(0, 1e15, 100); n != 0 {
		t.Errorf("Count is %d", n)
	}
	if _, err := evaluator("0 22-2 * * *"); err != nil { // reversed: a panic later, in Next
		t.Error(err)
	}
}
