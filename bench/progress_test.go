package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestFollower(t *testing.T) {
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
	l.phase.Store(phaseDrain)
	if p = f.look(start.Add(time.Hour)); p.Doing != "draining" || p.Rate != 200 || p.Elapsed != time.Second {
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

// A run that is longer than a look tells how far it is, and stops telling when it ends.
func TestProgressOfARun(t *testing.T) {
	f := &fake{deliver: true}
	o := quick(inProcess(f.serve), 4)
	o.Rounds, o.Round = 1, progressEvery+progressEvery/2
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
