package engine

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestAccountStats: what accounts published and what came of it adds up, second by second,
// over a restart, and after the index was lost and the log replayed.
func TestAccountStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, wire := powerfs.New(), newFakeWire()
		wire.reply = func(a *fakeAttempt, r *dispatch.Result) {
			if a.url == "http://fails.example/" {
				r.Status = 500
			}
		}
		o := testOptions(fs, wire)
		e := open(t, o)
		if err := e.Bootstrap([]Account{testAccount, {ID: 2, Name: "two", Token: "token two", Keys: testAccount.Keys}}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		const good, bad = 40, 7
		for range good {
			publish(t, e, Publish{})
			time.Sleep(250 * time.Millisecond)
		}
		for range bad {
			publish(t, e, Publish{URL: "http://fails.example/", Retries: 2, RetryDelay: "60000"})
		}
		publish(t, e, Publish{User: 2})
		id := publish(t, e, Publish{Delay: time.Hour})
		time.Sleep(5 * time.Minute)
		if err := e.Cancel(1, id); err != nil {
			t.Fatal(err)
		}
		publish(t, e, Publish{Delay: time.Hour})
		check := func(e *Engine, what string, step time.Duration) {
			t.Helper()
			s := mustStats(t, e, 1, begin, time.Now().Add(time.Second))
			got := fmt.Sprint(s.Total.Published, s.Total.Delivered, s.Total.Retried, s.Total.Failed, s.Total.Canceled, s.Pending)
			if want := fmt.Sprint(good+bad+2, good, 2*bad, bad, 1, 1); got != want || s.Step != step {
				t.Errorf("%s: %s by %s, want %s by %s", what, got, s.Step, want, step)
			}
			if s.Total.Latency.Count != good || s.Total.Latency.Max > 10 || s.Total.Lateness.Count != good+3*bad || s.Total.Lateness.Max > 10 {
				t.Errorf("%s: latency %+v, lateness %+v", what, s.Total.Latency, s.Total.Lateness)
			}
			sum := 0
			for i, p := range s.Points {
				sum += int(p.Published)
				if i > 0 && p.At <= s.Points[i-1].At || p.At%int64(step/time.Second) != 0 || p.At < begin.Unix()/60*60 {
					t.Errorf("%s: point %d is of %d", what, i, p.At)
				}
			}
			if sum != good+bad+2 {
				t.Errorf("%s: the points have %d published", what, sum)
			}
			if other := mustStats(t, e, 2, begin, time.Now().Add(time.Second)); other.Total.Published != 1 || other.Total.Delivered != 1 || other.Pending != 0 {
				t.Errorf("%s: the other account: %+v", what, other)
			}
			if s := mustStats(t, e, 1, begin.Add(-time.Hour), begin.Add(-time.Minute)); len(s.Points) != 0 || s.Total.Published != 0 || s.Pending != 1 {
				t.Errorf("%s: before there was anything: %+v", what, s)
			}
		}
		check(e, "at first", time.Second)
		closeEngine(t, e)
		e = open(t, o)
		check(e, "after a restart", time.Minute)
		publish(t, e, Publish{User: 3})
		if s := mustStats(t, e, 3, time.Now().Add(-time.Second), time.Now().Add(time.Second)); s.Step != time.Minute || s.Total.Published != 1 {
			t.Errorf("a new account: %+v", s)
		}
		closeEngine(t, e)
		if err := fs.RemoveAll("data/index"); err != nil {
			t.Fatal(err)
		}
		e = open(t, o)
		check(e, "after the index was lost", time.Second)
		closeEngine(t, e)
	})
}

func mustStats(t *testing.T, e *Engine, u UserID, from, to time.Time) *AccountStats {
	t.Helper()
	s, err := e.AccountStats(u, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStatsRange: a range that is none, or too long, is refused in words that say what
// would be right.
func TestStatsRange(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	now := time.Now()
	for _, c := range []struct {
		from, to time.Time
		want     string
	}{
		{now, now, "from must be before to"},
		{now, now.Add(-time.Hour), "from must be before to"},
		{time.UnixMilli(0), now, "from and to can be at most 32 days apart"},
		{now.Add(-StatsRangeMax - 1), now, "from and to can be at most 32 days apart"},
	} {
		_, err := e.AccountStats(1, c.from, c.to)
		if limit, ok := errors.AsType[*LimitError](err); !ok || limit.Text != c.want {
			t.Errorf("from %s to %s: %v, want %q", c.from, c.to, err, c.want)
		}
	}
	for long, step := range map[time.Duration]time.Duration{
		time.Hour: time.Second, time.Hour + time.Second: time.Minute, 24 * time.Hour: time.Minute, 25 * time.Hour: 5 * time.Minute,
		6 * 24 * time.Hour: 30 * time.Minute, StatsRangeMax: 30 * time.Minute,
	} {
		if s := mustStats(t, e, 1, now.Add(-long), now); s.Step != step {
			t.Errorf("%s: steps of %s, want %s", long, s.Step, step)
		}
	}
}
