package timerwheel

import (
	"math"
	"slices"
	"testing"
)

// check verifies the invariants of the type comment, the links and the bitmaps.
func (w *Wheel) check(t testing.TB) {
	t.Helper()
	nowWindow := w.now >> windowBits
	if w.loaded < nowWindow || w.loaded > nowWindow+aheadWindows || w.loaded > windowEnd {
		t.Fatalf("load position %d at window %d", w.loaded, nowWindow)
	}
	total := 0
	for slot := range uint32(len(w.lists)) {
		total += w.checkList(t, slot)
	}
	if total != w.count {
		t.Fatalf("lists hold %d timers, Len is %d", total, w.count)
	}
	for i, b := range w.ring {
		if (b != 0) != (w.ringSum>>i&1 != 0) {
			t.Fatalf("summary bit %d is wrong", i)
		}
	}
}

func (w *Wheel) checkList(t testing.TB, slot uint32) int {
	t.Helper()
	marked := w.ring[slot%ringSlots/64]>>(slot%64)&1 != 0
	if slot >= ringSlots {
		s := slot - ringSlots
		marked = w.level[s/levelSlots]>>(s%levelSlots)&1 != 0
	}
	if marked != (w.lists[slot].head != 0) {
		t.Fatalf("slot %d: marked %v, head %d", slot, marked, w.lists[slot].head)
	}
	count, prev := 0, uint32(0)
	for i := w.lists[slot].head; i != 0; i = w.node(i).next {
		n := w.node(i)
		if n.slot != slot || n.prev != prev {
			t.Fatalf("node %d: slot %d prev %d, want %d and %d", i, n.slot, n.prev, slot, prev)
		}
		w.checkPlace(t, n)
		prev = i
		count++
	}
	if w.lists[slot].tail != prev {
		t.Fatalf("slot %d: tail %d, want %d", slot, w.lists[slot].tail, prev)
	}
	return count
}

func (w *Wheel) checkPlace(t testing.TB, n *node) {
	t.Helper()
	window := n.due >> windowBits
	byRule := levelSlot(max(w.moving, levelOf(window, w.loaded)), window)
	moved := levelSlot(levelOf(window, w.loaded), window)
	ok := n.slot == byRule || w.moving > 0 && n.slot == moved
	if window < w.loaded || w.moving == 0 && window == w.loaded && n.slot < ringSlots {
		ok = n.slot == ringSlot(n.due)
	}
	if !ok || n.due < w.now || (n.slot < ringSlots && n.due-w.now >= ringSlots) {
		t.Fatalf("timer due %d stands in slot %d (now %d, loaded %d, moving %d)",
			n.due, n.slot, w.now, w.loaded, w.moving)
	}
}

func TestExpiresInOrderOfDueThenAdd(t *testing.T) {
	w := New(1000)
	for i, due := range []int64{5000, 1200, 1200, 70_000_000, 1200, 1000, 999, -5} {
		w.Add(due, uint64(i))
	}
	got := w.Advance(70_000_000, nil)
	if want := []uint64{5, 6, 7, 1, 2, 4, 0, 3}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if w.Len() != 0 || w.Now() != 70_000_000 {
		t.Fatalf("Len %d Now %d", w.Len(), w.Now())
	}
}

// Every distance is armed alone; the wheel must be silent one tick before its due
// and give it back at it, both when stepping by Next and when jumping.
func TestNeverEarlyNeverLost(t *testing.T) {
	starts := []int64{0, 1, -1, 1023, 1024, 4095, 1_795_000_000_000, math.MinInt64, math.MaxInt64 - 5000}
	for _, start := range starts {
		for bit := range 64 {
			for _, around := range []int64{-1, 0, 1} {
				due := start + int64(uint64(1)<<bit) + around
				if due < start {
					continue // past the last tick
				}
				testOne(t, start, due)
			}
		}
		testOne(t, start, math.MaxInt64)
	}
}

func testOne(t *testing.T, start, due int64) {
	t.Helper()
	w := New(start)
	w.Add(due, 7)
	if due > start {
		if got := w.Advance(due-1, nil); len(got) != 0 {
			t.Fatalf("start %d due %d: expired early", start, due)
		}
		if next, ok := w.Next(); !ok || next != due {
			t.Fatalf("start %d due %d: one tick before, Next is %d, %v", start, due, next, ok)
		}
	}
	if got := w.Advance(due, nil); !slices.Equal(got, []uint64{7}) {
		t.Fatalf("start %d due %d: got %v", start, due, got)
	}

	w = New(start)
	w.Add(due, 7)
	for steps := 0; ; steps++ {
		next, ok := w.Next()
		if !ok || next > due || steps > 20 {
			t.Fatalf("start %d due %d: Next is %d, %v after %d steps", start, due, next, ok, steps)
		}
		if got := w.Advance(next, nil); len(got) == 1 {
			if next != due {
				t.Fatalf("start %d due %d: expired at %d", start, due, next)
			}
			break
		}
	}
	if _, ok := w.Next(); ok {
		t.Fatal("an empty wheel has a next due")
	}
}

func TestLateAddExpiresAtTheSameTick(t *testing.T) {
	w := New(100)
	w.Advance(200, nil)
	w.Add(200, 1)
	w.Add(150, 2)
	w.Add(math.MinInt64, 3)
	if next, ok := w.Next(); !ok || next != 200 {
		t.Fatalf("Next %d %v", next, ok)
	}
	if got := w.Advance(200, nil); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Fatalf("got %v", got)
	}
}

func TestBackwardNowDoesNothing(t *testing.T) {
	w := New(100)
	w.Add(50, 1)
	if got, more := w.AdvanceLimit(99, 10, nil); len(got) != 0 || more || w.Now() != 100 || w.Len() != 1 {
		t.Fatalf("got %v more %v now %d", got, more, w.Now())
	}
}

func TestCancel(t *testing.T) {
	w := New(0)
	if w.Cancel(0) || w.Cancel(12345) || w.Cancel(Handle(math.MaxUint64)) {
		t.Fatal("cancelled a handle that was never given out")
	}
	a, b := w.Add(10, 1), w.Add(1e9, 2)
	if a == 0 || b == 0 {
		t.Fatal("the zero handle was given out")
	}
	if !w.Cancel(b) || w.Cancel(b) {
		t.Fatal("cancel must succeed exactly once")
	}
	c := w.Add(20, 3) // takes the node of b
	if w.Cancel(b) {
		t.Fatal("an old handle cancelled the new timer of its node")
	}
	if got := w.Advance(10, nil); !slices.Equal(got, []uint64{1}) || w.Cancel(a) {
		t.Fatalf("got %v, or cancelled what expired", got)
	}
	if !w.Cancel(c) || w.Len() != 0 {
		t.Fatal("c was still armed")
	}
}

// A coarse slot full of timers must not be moved in one call, and the order of
// timers that share a tick must survive an interrupted cascade with adds in it.
func TestCascadeIsBounded(t *testing.T) {
	const timers, limit = 5000, 100
	w := New(0)
	due := int64(64*64*1024 + 777) // level 2 from here
	for i := range timers {
		w.Add(due, uint64(i))
	}
	var got []uint64
	calls := 0
	for more := true; more; calls++ {
		before := len(got)
		got, more = w.AdvanceLimit(due, limit, got)
		if len(got)-before > limit {
			t.Fatalf("%d results in one call", len(got)-before)
		}
		w.check(t)
		w.Add(due, uint64(timers+calls))
		if len(got) > 0 && calls == 0 {
			t.Fatal("expired before the cascade was done")
		}
	}
	if least := 3 * timers / limit; calls < least { // two moves and the expiry of each
		t.Fatalf("%d calls, want at least %d: moves are not counted", calls, least)
	}
	got = w.Advance(due, got)
	for i, v := range got {
		if v != uint64(i) {
			t.Fatalf("position %d holds %d", i, v)
		}
	}
	if len(got) != timers+calls {
		t.Fatalf("%d expired, want %d", len(got), timers+calls)
	}
}

// The load position runs ahead in small steps, so that the tick that enters a full
// window finds it in the ring already.
func TestLoadsAheadOfTime(t *testing.T) {
	w := New(0)
	const due = 10 * 1024
	for i := range 3 * loadStep {
		w.Add(due, uint64(i))
	}
	for now := int64(due - 3*1024); now < due; now += 64 {
		w.Advance(now, nil)
		w.check(t)
	}
	got, more := w.AdvanceLimit(due, 3*loadStep, nil)
	if len(got) != 3*loadStep || more {
		t.Fatalf("%d expired at once, more %v: the window was not loaded ahead", len(got), more)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	w := New(0)
	out := make([]uint64, 0, 64)
	now := int64(0)
	cycle := func() {
		for i := range int64(32) {
			w.Add(now+i*997, 1)
			w.Cancel(w.Add(now+i*99_991, 2))
		}
		now += 500
		out = w.Advance(now, out[:0])
	}
	for range 2000 {
		cycle()
	}
	if n := testing.AllocsPerRun(2000, cycle); n != 0 {
		t.Fatalf("%v allocations per cycle", n)
	}
}
