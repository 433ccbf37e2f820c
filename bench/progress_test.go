package bench

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestFollower(t *testing.T) {
	t.Parallel()
	l := load{meter: newMeter(), length: 2 * time.Second}
	f := follower{load: &l, at: Progress{Side: "server", Steps: 4}}
	start := time.Now()
	if p := f.look(start); p.Doing != "preparing" || p.Rate != 0 || p.Side != "server" || p.Steps != 4 {
		t.Fatalf("%+v", p)
	}
	l.phase.Store(phaseMeasure)
	l.began.Store(&start)
	l.meter.on.Store(true)
	for i := range uint64(1000) {
		l.meter.record(i, time.Duration(i+1)*time.Millisecond)
	}
	l.fail.add(errors.New("refused"))
	p := f.look(start.Add(500 * time.Millisecond))
	if p.Doing != "measuring" || p.Rate != 2000 || p.Elapsed != 500*time.Millisecond || p.Failed != 1 {
		t.Fatalf("%+v", p)
	}
	if p.P50 < 450*time.Millisecond || p.P50 > 550*time.Millisecond || p.P99 < 950*time.Millisecond {
		t.Fatalf("the percentiles of a shard: %v, %v", p.P50, p.P99)
	}
	l.meter.recordAll(1, time.Millisecond, 100)
	if p = f.look(start.Add(time.Second)); p.Rate != 200 {
		t.Fatalf("the rate since the last look: %+v", p)
	}
	l.counted = func(phase int32) (int64, int64) { return int64(phase), 7 }
	l.phase.Store(phaseDrain)
	if p = f.look(start.Add(time.Hour)); p.Doing != "draining" || p.Done != int64(phaseDrain) || p.Total != 7 || p.Rate != 200 || p.Elapsed != time.Second {
		t.Fatalf("what the last look saw does not stand: %+v", p)
	}
}

// One that records on a single shard is seen whatever the turn is.
func TestGlanceFindsAShard(t *testing.T) {
	m := newMeter()
	m.on.Store(true)
	m.record(3, 7*time.Millisecond)
	for turn := range 2 * meterShards {
		if n, p50, p99 := m.glance(turn); n != 1 || p50 < 6*time.Millisecond || p99 < 6*time.Millisecond {
			t.Fatalf("turn %d: %d, %v, %v", turn, n, p50, p99)
		}
	}
}

// A run tells how far it is, from the beginning of each round.
func TestProgressOfARun(t *testing.T) {
	t.Parallel()
	f := &fake{deliver: true}
	o := quick(inProcess(f.serve), 4)
	o.Rounds = 1
	var seen []Progress // by one goroutine at a time
	o.Progress = func(p Progress) { seen = append(seen, p) }
	if _, err := Deliver(t.Context(), DeliverOptions{Common: o, Hosts: 2}); err != nil {
		t.Fatal(err)
	}
	sides := map[string]int{}
	for _, p := range seen {
		sides[p.Side] = p.Step
		if p.Steps != 3 || p.Concurrency != 4 || p.Length != o.Round {
			t.Errorf("%+v", p)
		}
	}
	if len(sides) != 3 || sides["server"] != 1 || sides["client"] != 3 {
		t.Errorf("told of %v", sides)
	}
	if got := strings.Join(phaseNames[:], " "); got != "preparing warming up measuring draining" {
		t.Error(got)
	}
}

// A server that goes on writing is waited for, as long as was said, and one that writes
// nothing for a moment.
func TestSettle(t *testing.T) {
	t.Parallel()
	if _, ok := writtenBytes(os.Getpid()); !ok {
		t.Skip("no /proc/self/io")
	}
	var told []string
	c := Common{Settle: time.Minute, Progress: func(p Progress) { told = append(told, p.String()) }}
	begin := time.Now()
	if err := c.settle(t.Context(), Server{PID: os.Getpid()}); err != nil || time.Since(begin) > c.Settle {
		t.Fatalf("after %v: %v", time.Since(begin), err)
	}
	if len(told) < settleQuiet || told[0] != "server, settling 0.0 of 60.0 s" {
		t.Fatalf("told %q", told)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.settle(ctx, Server{PID: os.Getpid()}); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	for _, s := range []Server{{}, {PID: -1}} {
		if err := c.settle(ctx, s); err != nil {
			t.Fatalf("of %+v nothing is known: %v", s, err)
		}
	}
}

func TestProgressOnALine(t *testing.T) {
	for want, p := range map[string]Progress{
		"echo c=64, round 2 of 10, warming up":                                  {Side: "echo", Concurrency: 64, Step: 2, Steps: 10, Doing: "warming up", Length: time.Second},
		"server, settling 1.5 of 60.0 s":                                        {Side: "server", Doing: "settling", Elapsed: 1500 * time.Millisecond, Length: time.Minute},
		"herd, arrived 5 of 10 messages: 7/s, p50 1.00ms, p99 2.00ms, 0 failed": {Side: "herd", Doing: "arrived", Done: 5, Total: 10, Rate: 7, P50: time.Millisecond, P99: 2 * time.Millisecond},
		"echo c=1, round 1 of 1, measuring 0.5 of 1.0 s: 0/s, p50 -, p99 -, 3 failed": {
			Side: "echo", Concurrency: 1, Step: 1, Steps: 1, Doing: "measuring", Elapsed: time.Second / 2, Length: time.Second, Failed: 3,
		},
	} {
		if got := p.String(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
