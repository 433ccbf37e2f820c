package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/cron"
	"github.com/tidemill/tidemill/engine/index"
)

// allTicks lists the ticks in (after, upTo], one by one.
func allTicks(x *cron.Expr, after, upTo int64) (ticks []int64) {
	for {
		t, ok := x.Next(after)
		if !ok || t > upTo {
			return ticks
		}
		ticks = append(ticks, t)
		after = t
	}
}

// expectedTicks is the policy for missed ticks, said plainly: which of the ticks that
// are due at now are published.
func expectedTicks(due []int64, now int64, r *TimeRules) (published []int64) {
	late, since := now-MissedAfter.Milliseconds(), now-r.MissedWindow.Milliseconds()
	var old, fresh []int64
	for _, t := range due {
		if t > late {
			fresh = append(fresh, t)
		} else if t >= since {
			old = append(old, t)
		}
	}
	switch {
	case r.Missed == MissedSkip:
		old = nil
	case r.Missed == MissedLatest && len(fresh) > 0:
		old = nil
	case r.Missed == MissedLatest && len(old) > 0:
		// The newest missed one of all, if it is young enough.
		old = old[len(old)-1:]
	case r.Missed == MissedAll:
		old = old[max(0, len(old)-r.MissedMax):]
	}
	return append(old, fresh...)
}

// catchUp plans until nothing is due, and returns what was published and how many were
// said to be missed.
func catchUp(t *testing.T, x *cron.Expr, last, now int64, r *TimeRules) (published []int64, missed int, next int64) {
	t.Helper()
	caught := int64(0)
	for steps := 0; ; steps++ {
		p := planTicks(x, last, now, caught, r)
		caught = p.caught
		switch {
		case steps > MissedMaxMax+2000:
			t.Fatal("no end")
		case p.publish != 0 && p.to != 0:
			t.Fatalf("both: %+v", p)
		case p.publish != 0:
			published = append(published, p.publish)
			last = p.publish
		case p.to != 0:
			if got := allTicks(x, last, p.to); len(got) == 0 || got[0] != p.from || got[len(got)-1] != p.to || !p.more && len(got) != p.count {
				t.Fatalf("%+v after %d: there are %d", p, last, len(got))
			}
			missed += p.count
			last = p.to
		default:
			return published, missed, p.next
		}
	}
}

// TestMissedTicks is P28: downtimes of one tick to a year, each policy, against the
// policy said plainly.
func TestMissedTicks(t *testing.T) {
	rng := rand.New(rand.NewPCG(28, 1))
	exprs := []struct {
		text    string
		seconds bool
		every   time.Duration
	}{
		{"*/15 * * * * *", true, 15 * time.Second},
		{"* * * * *", false, time.Minute},
		{"*/7 3-5 * * *", false, time.Hour},
		{"CRON_TZ=America/New_York 30 2 * * *", false, 24 * time.Hour},
		{"0 0 1 * *", false, 30 * 24 * time.Hour},
		{"0 12 29 2 *", false, 365 * 24 * time.Hour},
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for _, e := range exprs {
		x, err := cron.Parse(e.text, cron.Options{Seconds: e.seconds})
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			down := time.Duration(rng.Int64N(int64(40 * e.every)))
			if e.every > time.Minute && rng.IntN(4) == 0 {
				down = 366 * 24 * time.Hour
			}
			last := start + rng.Int64N(int64(24*time.Hour/time.Millisecond))
			now := last + down.Milliseconds()
			r := TimeRules{Missed: Missed(rng.IntN(3)), MissedMax: 1 + rng.IntN(20), MissedWindow: time.Duration(1+rng.Int64N(int64(48*time.Hour/time.Second))) * time.Second}
			due := allTicks(x, last, now)
			want := expectedTicks(due, now, &r)
			got, missed, next := catchUp(t, x, last, now, &r)
			name := fmt.Sprintf("%s, down %s, %s of %d within %s", e.text, down, r.Missed, r.MissedMax, r.MissedWindow)
			if !slices.Equal(got, want) || missed != len(due)-len(want) {
				t.Fatalf("%s: published %v and missed %d, want %v and %d", name, got, missed, want, len(due)-len(want))
			}
			if after, _ := x.Next(now); next != after {
				t.Fatalf("%s: the next is %d, want %d", name, next, after)
			}
		}
	}
}

// TestMissedCountIsBounded: a year of seconds is not counted one by one.
func TestMissedCountIsBounded(t *testing.T) {
	x, err := cron.Parse("* * * * * *", cron.Options{Seconds: true})
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	now := last + (365 * 24 * time.Hour).Milliseconds()
	p := planTicks(x, last, now, 0, &TimeRules{Missed: MissedSkip, MissedWindow: time.Hour})
	if p.count != missedCountMax || !p.more || p.to != now-MissedAfter.Milliseconds() || p.next != p.to+1000 {
		t.Errorf("%+v", p)
	}
}

// TestCatchingUpManyTicks: what is to be caught up is counted once, and not again for each
// of the ticks.
func TestCatchingUpManyTicks(t *testing.T) {
	x, err := cron.Parse("CRON_TZ=Europe/Berlin * * * * * *", cron.Options{Seconds: true})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	r := TimeRules{Missed: MissedAll, MissedMax: MissedMaxMax, MissedWindow: 3 * time.Hour}
	published, missed, _ := catchUp(t, x, now-(3*time.Hour).Milliseconds(), now, &r)
	fresh := int(MissedAfter / time.Second)
	if len(published) != MissedMaxMax+fresh || missed != 3*3600-len(published) {
		t.Errorf("published %d, missed %d", len(published), missed)
	}
	last := published[100]
	later := now + time.Minute.Milliseconds() // what was to be caught up stays so while it goes on
	if p := planTicks(x, last, later, now-MissedAfter.Milliseconds(), &r); p.publish != last+1000 {
		t.Errorf("a minute later: %+v", p)
	}
	later = now + r.MissedWindow.Milliseconds() // but not when it is too old by now
	if p := planTicks(x, last, later, now-MissedAfter.Milliseconds(), &r); p.from != last+1000 {
		t.Errorf("a window later: %+v", p)
	}
}

// TestJitter: always the same for one schedule, never negative, spread over what is
// allowed.
func TestJitter(t *testing.T) {
	seen := map[int64]bool{}
	for i := range 1000 {
		row := index.Schedule{User: 1, ID: fmt.Sprintf("s%d", i), Jitter: 60_000}
		j := jitterOf(&row)
		if j < 0 || j > 60_000 || j != jitterOf(&row) {
			t.Fatalf("jitter %d", j)
		}
		seen[j/6001] = true
	}
	if len(seen) != 10 {
		t.Errorf("1000 schedules fall into %d tenths of the jitter allowed", len(seen))
	}
	row := index.Schedule{User: 1, ID: "s"}
	if j := jitterOf(&row); j != 0 {
		t.Errorf("jitter %d where none was asked for", j)
	}
}
