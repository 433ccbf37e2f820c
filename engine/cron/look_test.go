package cron

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNewestAndCount compares both with all ticks of a stretch of time, one by one:
// near a day on which the zone's clock jumps, or anywhere.
func TestNewestAndCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := mustHave[rapid.IntRange(0, len(mustHave)-1).Draw(t, "zone")]
		text := rapid.SampledFrom(texts).Draw(t, "text")
		if rapid.Bool().Draw(t, "random") {
			text = randomText(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), false)
		}
		x, err := Parse("TZ="+c.zone+" "+text, Options{DST: DST(rapid.IntRange(0, 2).Draw(t, "rule"))})
		if err != nil {
			t.Skip(err)
		}
		day, _ := time.Parse(time.DateOnly, c.day)
		for range 20 {
			after := day.UnixMilli() + rapid.Int64Range(-3*86400_000, 3*86400_000).Draw(t, "near")
			if rapid.IntRange(0, 3).Draw(t, "far") == 0 {
				after = year(1969)*1000 + rapid.Int64Range(0, 60*365*86400_000).Draw(t, "after")
			}
			width := rapid.SampledFrom([]int64{0, 999, 60_000, 3600_000, 86400_000, 30 * 86400_000, 3000 * 86400_000}).Draw(t, "width")
			look(t, x, after, after+rapid.Int64Range(-1000, width).Draw(t, "upTo"))
		}
	})
}

func look(t *rapid.T, x *Expr, after, upTo int64) {
	const most = 1000
	var newest int64
	n := 0
	for tick, ok := x.Next(after); ok && tick <= upTo && n < most; tick, ok = x.Next(tick) {
		newest = tick
		n++
	}
	if got := x.Count(after, upTo, most); got != n {
		t.Fatalf("%s: Count is %d, one by one %d", x, got, n)
	}
	if got := x.Count(after, upTo, 2); got != min(n, 2) {
		t.Fatalf("%s: Count to 2 is %d of %d", x, got, n)
	}
	got, ok := x.Newest(after, upTo)
	if n < most {
		if ok != (n > 0) || got != newest {
			t.Fatalf("%s: Newest is %d, %v; one by one %d of %d", x, got, ok, newest, n)
		}
		return
	}
	// Too many to count: it must be a tick, and the next must be too late.
	next, _ := x.Next(got)
	itself, _ := x.Next(got - 1)
	if !ok || got < newest || got > upTo || next <= upTo || itself != got {
		t.Fatalf("%s: Newest is %d, %v in (%d, %d], then %d", x, got, ok, after, upTo, next)
	}
}

// TestNewestLooksLittle bounds the calls of Next for a century of every second, and
// for one tick long ago.
func TestNewestLooksLittle(t *testing.T) {
	for _, tick := range []func(int64) (int64, bool){
		func(after int64) (int64, bool) { return after + 1, true },
		func(after int64) (int64, bool) { return 7, after < 7 },
		func(after int64) (int64, bool) { return after/86400*86400 + 86400, true },
		func(int64) (int64, bool) { return 0, false },
	} {
		calls := 0
		newest(func(after int64) (int64, bool) {
			calls++
			return tick(after)
		}, 0, year(2099))
		if calls > 70 {
			t.Errorf("%d calls", calls)
		}
	}
}

// TestEdges asks at the ends of time.
func TestEdges(t *testing.T) {
	const far = 1 << 62
	for _, text := range []string{"* * * * *", "CRON_TZ=Pacific/Apia 0 9 * * *", "CRON_TZ=Asia/Manila 59 59 23 31 12 *"} {
		for d := range DST(3) {
			x := must(t, text, d)
			first, ok := x.Next(-far)
			if !ok || first < -86400_000 || first > year(1971)*1000 {
				t.Errorf("%s: the first tick of all is %d, %v", x, first, ok)
			}
			last, ok := x.Newest(-far, far)
			if !ok || last < year(2099)*1000 || last > year(2100)*1000+86400_000 {
				t.Errorf("%s: the last tick of all is %d, %v", x, last, ok)
			}
			for _, after := range []int64{last, last + 1, far, 1<<63 - 1} {
				if tick, ok := x.Next(after); ok {
					t.Errorf("%s: %d comes after the last tick, %d", x, tick, last)
				}
			}
			if n := x.Count(far, -far, 10) + x.Count(-far, far, 0) + x.Count(last, far, 10); n != 0 {
				t.Errorf("%s: %d ticks where there are none", x, n)
			}
			if n := x.Count(-far, far, 5); n != 5 {
				t.Errorf("%s: Count to 5 is %d", x, n)
			}
			if _, ok := x.Newest(far, -far); ok {
				t.Errorf("%s: a newest tick of nothing", x)
			}
			if got := x.Explain(1<<63 - 1); got.Kind != None {
				t.Errorf("%s: the end of time is %s", x, got)
			}
		}
	}
}

// TestMillis checks that after counts to the millisecond, before 1970 too.
func TestMillis(t *testing.T) {
	x := must(t, "* * * * *", FireOnce)
	for after, want := range map[int64]int64{
		59_999: 60_000, 60_000: 120_000, 60_001: 120_000, 0: 60_000, -1: 0, -999: 0, -60_000: 0,
	} {
		if got, ok := x.Next(after); !ok || got != want {
			t.Errorf("after %d comes %d, %v; want %d", after, got, ok, want)
		}
	}
	if got, ok := x.Newest(60_000, 119_999); ok {
		t.Errorf("%d is no tick between two", got)
	}
}
