package engine

import (
	"runtime/metrics"
	"testing"
	"time"
)

// pacedCore has 400 messages for one quick host, and the bound of young attempts at its
// floor.
func pacedCore(t *testing.T) *bareCore {
	t.Helper()
	b := newBareCore(t, 1000)
	b.hostParallelism = 1000
	for seq := range uint64(400) {
		b.message(seq+1, bareNow)
	}
	for range 20 {
		b.adapt(10*waitLong, false)
	}
	b.hosts[b.byHost[7]].answered = bareNow // it is known to be quick
	return b
}

// TestPace: how many young attempts there may be follows the wait for a processor, and
// one that its destination holds up is not young for long.
func TestPace(t *testing.T) {
	b := pacedCore(t)
	first := append([]startCommand(nil), b.after(0).starts...)
	if len(first) != paceFloor || !b.paced() {
		t.Fatalf("%d attempts start, want %d", len(first), paceFloor)
	}
	ok := &attemptResult{success: true, answered: true}
	out := b.after(time.Millisecond, event{kind: evFinished, slot: first[0].slot, result: ok}, event{kind: evFinished, slot: first[1].slot, result: ok})
	if len(out.starts) != 2 {
		t.Errorf("two have ended, %d start", len(out.starts))
	}
	if out := b.after(youngFor*time.Millisecond - 2*time.Millisecond); len(out.starts) != 0 {
		t.Errorf("%d start while all are young", len(out.starts))
	}
	if out := b.after(time.Millisecond); len(out.starts) != paceFloor-2 {
		t.Errorf("when the first are not young any more %d start, want %d", len(out.starts), paceFloor-2)
	}
	if out := b.after(-time.Hour); len(out.starts) != 0 || b.pace.young != 0 {
		t.Errorf("the clock was set back: %d young, %d start before they are due", b.pace.young, len(out.starts))
	}
	b.hosts[b.byHost[7]].answered = bareNow + time.Minute.Milliseconds()
	b.after(time.Hour + time.Minute)
	limit := b.pace.limit
	for range 3 {
		b.adapt(waitShort/2, false)
		b.after(0)
	}
	if b.pace.limit <= limit {
		t.Errorf("there is processor to spare, and the limit stays at %d", limit)
	}
	b.adapt((waitShort+waitLong)/2, false)
	for range 100 {
		b.pace.young = b.pace.limit
		b.adapt(0, false)
	}
	if b.pace.limit != b.parallelism {
		t.Errorf("the limit went to %d, delivery.parallelism is %d", b.pace.limit, b.parallelism)
	}
}

// TestPaceLeavesItsFloor: with the bound at its floor and all attempts young for as long as
// they last, the wait for a processor is still looked at.
func TestPaceLeavesItsFloor(t *testing.T) {
	b := pacedCore(t)
	if n := len(b.after(0).starts); n != paceFloor || !b.minds() {
		t.Errorf("%d attempts are under way, and the bound of %d is looked at: %v", n, b.pace.limit, b.minds())
	}
}

// TestProcessorWait: nine of ten of the new samples are at or below the wait.
func TestProcessorWait(t *testing.T) {
	var w processorWait
	h := &metrics.Float64Histogram{Counts: []uint64{5, 5, 5}, Buckets: []float64{0, 0.001, 0.002, 0.003}}
	if _, ok := w.since(h); ok {
		t.Error("the first reading has nothing to compare with")
	}
	h.Counts = []uint64{5, 95, 15}
	if wait, ok := w.since(h); !ok || wait != time.Millisecond {
		t.Errorf("90 of 100 wait up to 2 ms: %v, %v", wait, ok)
	}
	h.Counts = []uint64{5, 95, 45}
	if wait, ok := w.since(h); ok {
		t.Errorf("30 samples are said to say %v", wait)
	}
	h.Counts = []uint64{105, 95, 45}
	if wait, ok := w.since(h); !ok || wait > time.Microsecond {
		t.Errorf("nobody waits: %v, %v", wait, ok)
	}
	w = processorWait{}
	w.read()
	if len(w.counts) == 0 {
		t.Error("this runtime does not tell")
	}
}

// TestPacedLooksAtThoseWhoWait: while young attempts are as many as may be, the loop looks
// again soon for those, too, that wait for a host which has a permit by now.
func TestPacedLooksAtThoseWhoWait(t *testing.T) {
	b := newBareCore(t, 1000)
	b.hostParallelism = 1
	one := b.message(1, bareNow)
	b.message(2, bareNow)
	if out := b.after(0); len(out.starts) != 1 || b.turn.len() != 0 {
		t.Fatalf("%d attempts start, %d lanes in turn", len(out.starts), b.turn.len())
	}
	b.pace.young = b.pace.limit
	b.after(0, event{kind: evFinished, slot: one, result: &attemptResult{success: true, answered: true}})
	if !b.paced() {
		t.Error("nobody looks when the young attempts have grown")
	}
	if b.lateness() != 0 {
		t.Errorf("lateness %s", b.lateness())
	}
}
