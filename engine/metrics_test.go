package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
)

// TestRefusals: each error that a publish may get has its reason, whatever it is wrapped in.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		err   error
		want  Refusal
		class string
	}{
		{ErrDiskFull, RefusedFull, "5xx"},
		{errRefusedByStall, RefusedStalled, "5xx"},
		{errInDoubt, RefusedStalled, "5xx"},
		{ErrLogFailed, RefusedFailed, "5xx"},
		{ErrClosed, RefusedClosing, "5xx"},
		{ErrTooLarge, RefusedSize, "4xx"},
		{quotaError("too many"), RefusedQuota, "4xx"},
		{limitError("no"), RefusedInvalid, "4xx"},
		{errors.New("a surprise"), RefusedOther, "5xx"},
	} {
		var y tally
		y.publish(false, fmt.Errorf("publish: %w", c.err))
		for _, r := range Refusals() {
			if want := r == c.want; (y.refused[r].Load() == 1) != want {
				t.Errorf("%v counts for %s: %v", c.err, r, !want)
			}
		}
		if c.want.Class() != c.class {
			t.Errorf("%s is %s, want %s", c.want, c.want.Class(), c.class)
		}
	}
	var y tally
	y.publish(false, ErrOverloaded) // admission counts it, by reason
	for _, r := range Refusals() {
		if y.refused[r].Load() != 0 {
			t.Errorf("an overload counts for %s", r)
		}
	}
}

// TestTally: a retry, a death, a delivery and a cancel are counted once each, with their
// times.
func TestTally(t *testing.T) {
	w := newFakeWire()
	w.reply = func(a *fakeAttempt, r *dispatch.Result) {
		if a.url == "http://example.com/fail" {
			*r = dispatch.Result{Status: 500}
		}
	}
	e := open(t, testOptions(vfs.NewMem(), w))
	publish(t, e, Publish{URL: "http://example.com/fail", Retries: 1, RetryDelay: "1"})
	publish(t, e, Publish{URL: "http://example.com/fail"})
	publish(t, e, Publish{})
	id := publish(t, e, Publish{Delay: horizon * 2e6})
	if err := e.Cancel(1, id); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { y := e.Tally(); return y.Delivered+y.Ended == 3 })
	y := e.Tally()
	if y.Accepted != 4 || y.Published != 4 || y.Retried != 1 || y.Ended != 2 || y.Delivered != 1 || y.Canceled != 1 {
		t.Errorf("%+v", y)
	}
	if y.Dead != [deadCount]uint64{DeadExhausted: 2} {
		t.Errorf("dead letters by reason: %v", y.Dead)
	}
	if y.Append.Count != 4 || y.Durable.Count != 4 || y.Permit.Count != 4 || y.Lateness.Count != 4 || y.Logged.Count != 4 || y.Flow.Count != 0 {
		t.Errorf("observations: append %d, durable %d, permit %d, lateness %d, logged %d, flow %d",
			y.Append.Count, y.Durable.Count, y.Permit.Count, y.Lateness.Count, y.Logged.Count, y.Flow.Count)
	}
}

// TestDeadReasons: why a message became a dead letter is counted.
func TestDeadReasons(t *testing.T) {
	w := newFakeWire()
	w.reply = func(a *fakeAttempt, r *dispatch.Result) {
		switch a.url {
		case "http://example.com/489":
			*r = dispatch.Result{Status: 489, Header: []dispatch.Header{{Name: "Upstash-Nonretryable-Error", Value: "true"}}}
		case "http://example.com/blocked":
			*r = dispatch.Result{Class: dispatch.Refused, Err: errors.New("not allowed")}
		}
	}
	e := open(t, testOptions(vfs.NewMem(), w))
	for _, path := range []string{"489", "blocked", "blocked"} {
		publish(t, e, Publish{URL: "http://example.com/" + path, Retries: 3})
	}
	eventually(t, func() bool { return e.Tally().Ended == 3 })
	if got := e.Tally().Dead; got != [deadCount]uint64{DeadNonRetryable: 1, DeadBlocked: 2} {
		t.Errorf("dead letters by reason: %v", got)
	}
}

// TestDeadLettersAreCounted: their number is right after they came, after some went, and
// after a restart, when it is counted anew.
func TestDeadLettersAreCounted(t *testing.T) {
	e, w, dead := openDead(t, 5, func(int, *Publish) {})
	count := func(e *Engine, want int64) {
		t.Helper()
		eventually(t, func() bool {
			d, err := e.DiskGauges()
			return err == nil && d.DeadKnown && d.DeadLetters == want
		})
	}
	count(e, 5)
	if err := e.DeleteDeadLetter(1, dead[0].ID); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.reply = nil // it answers 200 now
	w.mu.Unlock()
	if _, err := e.RetryDeadLetter(1, dead[1].ID, nil); err != nil {
		t.Fatal(err)
	}
	count(e, 3)
	if y := e.Tally(); y.Redriven != 1 {
		t.Errorf("%d were published again", y.Redriven)
	}
	o := e.opts
	closeEngine(t, e)
	e = open(t, o)
	count(e, 3)
	if err := e.DeleteDeadLetter(1, dead[2].ID); err != nil {
		t.Fatal(err)
	}
	count(e, 2)
	eventually(t, func() bool { d, err := e.DiskGauges(); return err == nil && d.Pending == 0 })
}

// TestGaugesGiveUp: whoever asks a loop that hangs is not kept.
func TestGaugesGiveUp(t *testing.T) {
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.withDefaults()
	e, err := recoverEngine(o) // and no loop
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.closeFiles() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Gauges(ctx, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestLargest compares with a sort.
func TestLargest(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		l := largest[int]{most: rnd.IntN(10)}
		all, sum := make([]int, rnd.IntN(40)), 0
		for i := range all {
			all[i] = rnd.IntN(20)
			if out, full := l.add(all[i], all[i]); full {
				sum += out
			}
		}
		slices.SortFunc(all, func(a, b int) int { return b - a })
		n := min(l.most, len(all))
		got := l.sorted()
		slices.Reverse(got)
		if !slices.Equal(got, all[:n]) {
			t.Fatalf("seed %d: the largest %d of %v are %v", seed, l.most, all, got)
		}
		for _, v := range all[n:] {
			sum -= v
		}
		if sum != 0 {
			t.Fatalf("seed %d: the rest is %d off", seed, sum)
		}
	}
}

// BenchmarkGauges is what a scrape costs the loop: with as many queues as there may be, and
// with hosts, which it does not look at.
func BenchmarkGauges(b *testing.B) {
	for _, size := range []struct{ hosts, queues int }{{10_000, 1000}, {1_000_000, QueuesMax}} {
		b.Run(fmt.Sprintf("hosts=%d/queues=%d", size.hosts, size.queues), func(b *testing.B) {
			var o Options
			o.withDefaults()
			c := newCore(&o, bareNow)
			for i := range size.hosts {
				c.hostOf(uint64(i + 1))
			}
			for i := range size.queues {
				c.queues.list[c.queueOf(record.QueueID(1, fmt.Sprint(i)))].pending = (i * 7919) % size.queues
			}
			b.ReportAllocs()
			for b.Loop() {
				c.gauges(100)
			}
		})
	}
}

// TestAttemptStages: each stage is counted as often as it was come to.
func TestAttemptStages(t *testing.T) {
	var got tally
	got.attempt(&dispatch.Timing{DNS: 1, Connect: 2, TLS: 3, FirstByte: 7, Total: 9})
	got.attempt(&dispatch.Timing{FirstByte: 1, Total: 2}) // on a kept connection
	got.attempt(&dispatch.Timing{Connect: 1, Total: 2})   // and none answered
	got.attempt(&dispatch.Timing{})                       // refused before it began
	for stage, want := range [attemptStages]uint64{1, 2, 1, 2, 4} {
		if n := got.attempts[stage].Snapshot().Count; n != want {
			t.Errorf("%s was counted %d times, want %d", AttemptStage(stage), n, want)
		}
	}
}
