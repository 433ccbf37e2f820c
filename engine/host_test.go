package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
)

// TestWaryHostsLeavePermits: hosts that take their time, or say nothing, may hold half of
// the permits between them, and a first one each up to nine of ten; the rest is for those that answer
// at once, however many there are of the others (L4).
func TestWaryHostsLeavePermits(t *testing.T) {
	b := newBareCore(t, 100_000)
	const hosts, each = 300, 20
	seq := uint64(0)
	put := func(host uint64, n int) {
		for range n {
			seq++
			r := record.Row{User: 1, Nonce: seq, Seq: seq, Pos: seq, Len: 100, Lane: host, Host: host, Due: bareNow}
			b.place(&r)
			b.schedule(b.admit(b.laneOf(&r), &r, stTimer))
		}
	}
	for h := range uint64(hosts) {
		put(100+h, each)
	}
	b.after(0)
	if b.inflight > b.parallelism*firstPart/10 || b.inflight < hosts {
		t.Fatalf("%d hosts of which nobody knows anything hold %d permits of %d", hosts, b.inflight, b.parallelism)
	}
	put(7, 300)
	first := b.after(0).starts
	if len(first) != 1 {
		t.Fatalf("%d attempts start at a host of which nothing is known, beside all of these", len(first))
	}
	b.after(0, event{kind: evFinished, slot: first[0].slot, result: &attemptResult{success: true, answered: true}})
	if n := b.hosts[b.byHost[7]].inflight; n != min(b.hostParallelism, b.pace.limit) { // as many as may begin at one time
		t.Errorf("a host that answered at once has %d attempts in flight", n)
	}
}

// TestSlowHostIsWary: answers are not enough, they must come soon: a host whose attempts
// last seconds holds its permits as one that hangs.
func TestSlowHostIsWary(t *testing.T) {
	b := newBareCore(t, 1000)
	b.message(1, bareNow)
	slow := &attemptResult{success: true, answered: true}
	slow.outcome.Took = 2000
	b.after(0, event{kind: evFinished, slot: b.after(0).starts[0].slot, result: slow})
	h := &b.hosts[b.byHost[7]]
	if b.quick(h) {
		t.Error("a host that took two seconds counts as quick")
	}
	for range 40 {
		h.took += -h.took / 8 // what 40 answers at once make of it
	}
	if !b.quick(h) {
		t.Error("a host that answers at once again does not count as quick")
	}
}

// TestProbesAreSpaced: a host that refuses at once is not probed at once again, and is no
// later than after a second.
func TestProbesAreSpaced(t *testing.T) {
	b := newBareCore(t, 1000)
	for seq := range uint64(200) {
		b.message(seq+1, bareNow)
	}
	failed := &attemptResult{final: true}
	var ends []event
	for _, cmd := range b.after(0).starts {
		ends = append(ends, event{kind: evFinished, slot: cmd.slot, result: failed})
	}
	b.after(0, ends...)
	h := &b.hosts[b.byHost[7]]
	if h.failures < failuresToHalfOpen || h.inflight != 0 {
		t.Fatalf("%d failures, %d in flight", h.failures, h.inflight)
	}
	if out := b.after((probeMax - 1) * time.Millisecond); len(out.starts) != 0 {
		t.Errorf("%d attempts before it is time", len(out.starts))
	}
	if out := b.after(time.Millisecond); len(out.starts) != 1 {
		t.Errorf("%d attempts when it is time, want a probe", len(out.starts))
	}
}

// TestHostsWithoutPermitsAreWoken: a host that finds no permit because other hosts have
// them all, and has no attempt of its own whose end would wake it, gets its turn when they
// give one back (L4: never silently dropped).
func TestHostsWithoutPermitsAreWoken(t *testing.T) {
	b := newBareCore(t, 100_000)
	const hosts = 1000
	for seq := range uint64(hosts) {
		r := record.Row{User: 1, Nonce: seq, Seq: seq + 1, Pos: seq + 1, Len: 100, Lane: 100 + seq, Host: 100 + seq, Due: bareNow}
		b.place(&r)
		b.schedule(b.admit(b.laneOf(&r), &r, stTimer))
	}
	started := 0
	for ends := []event(nil); ; {
		starts := b.after(time.Second, ends...).starts
		if len(starts) == 0 {
			break
		}
		started += len(starts)
		ends = nil
		for _, cmd := range starts {
			ends = append(ends, event{kind: evFinished, slot: cmd.slot, result: &attemptResult{final: true}})
		}
	}
	if started != hosts {
		t.Errorf("%d of %d hosts got their attempt", started, hosts)
	}
}

// TestProbeAfterClockStep: a clock that is set back does not put off the next probe of a
// host for which nobody waits at the moment.
func TestProbeAfterClockStep(t *testing.T) {
	b := newBareCore(t, 1000)
	for seq := range uint64(failuresToHalfOpen) {
		b.message(seq+1, bareNow)
	}
	var ends []event
	for _, cmd := range b.after(0).starts {
		ends = append(ends, event{kind: evFinished, slot: cmd.slot, result: &attemptResult{final: true}})
	}
	b.after(0, ends...)
	b.after(-time.Hour)
	b.message(100, b.now)
	b.after(0)
	if out := b.after(probeMax * time.Millisecond); len(out.starts) != 1 {
		t.Errorf("%d attempts a second after the clock was set back", len(out.starts))
	}
}

// TestHostsAreSeen: an operator sees which host is half-open, by its name.
func TestHostsAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHostWire()
		e := open(t, testOptions(vfs.NewMem(), w))
		publishAll(t, e, []Publish{{User: 1, URL: "http://hole.example/", Timeout: time.Hour}})
		ps := make([]Publish, 20)
		for i := range ps {
			ps[i] = Publish{User: 1, URL: "http://dead.example:81/x", Retries: 50, RetryDelay: "1000"}
		}
		publishAll(t, e, ps)
		time.Sleep(5 * time.Second)
		hosts, err := e.Hosts()
		if err != nil || len(hosts) != 2 {
			t.Fatalf("%+v, %v", hosts, err)
		}
		if h := &hosts[0]; h.Host != "http://dead.example:81" || !h.HalfOpen || h.Failures < failuresToHalfOpen || h.Messages != len(ps) || h.Probe == nil {
			t.Errorf("the one that refuses: %+v", h)
		}
		if h := &hosts[1]; h.Host != "http://hole.example:80" || h.HalfOpen || h.InFlight != 1 || h.Answered != nil {
			t.Errorf("the one that does not answer: %+v", h)
		}
		close(w.stop)
	})
}

// TestKeysTakeTurns: of two flow-control keys that share a host, the one with a handful of
// messages does not wait for the one with thousands.
func TestKeysTakeTurns(t *testing.T) {
	b := newBareCore(t, 10_000)
	b.hostParallelism = 4
	rule := record.FlowRule{Parallelism: 1000, Period: 1000}
	seq := uint64(0)
	put := func(key string, n int) {
		for range n {
			seq += 8
			b.withKey(seq, key, rule)
		}
	}
	put("many", 3000)
	few := record.FlowLane(record.FlowID(1, "few"), 7)
	begun, ofFew := 0, 0
	out := b.after(0)
	put("few", 20)
	for ofFew < 20 && begun < 3000 {
		var events []event
		for _, cmd := range out.starts {
			begun++
			if cmd.row.Lane == few {
				ofFew++
			}
			events = append(events, event{kind: evFinished, slot: cmd.slot, result: &attemptResult{success: true, answered: true}})
		}
		out = b.after(time.Millisecond, events...)
	}
	if begun > 2*20+4*quantum {
		t.Errorf("%d attempts began before the 20 of the second key had", begun)
	}
}
