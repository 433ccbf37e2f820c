package timerwheel

import (
	"math/rand/v2"
	"testing"
)

// Each distribution is the worst for something: the ring, one slot of each level, a
// tick that owns everything, and the spread that makes a naive wheel stop for 102 ms.
var crowds = []struct {
	name string
	due  func(r *rand.Rand) int64
}{
	{"evenly over an hour", func(r *rand.Rand) int64 { return r.Int64N(hour) }},
	{"one slot of level 2", func(r *rand.Rand) int64 { return 1<<22 + r.Int64N(1<<22) }},
	{"one window", func(r *rand.Rand) int64 { return 40<<16 + r.Int64N(1<<windowBits) }},
	{"one tick", func(*rand.Rand) int64 { return 1<<22 + 12_345 }},
	{"one tick of the ring", func(*rand.Rand) int64 { return 3000 }},
}

// TestTickIsBounded counts the work of every call while a million timers go by: what
// it moves and what it expires are never more than the limit together, whatever
// falls together, and a timer is moved at most once for each level it came down.
func TestTickIsBounded(t *testing.T) {
	timers := 1_000_000
	if testing.Short() {
		timers = 100_000
	}
	for _, crowd := range crowds {
		t.Run(crowd.name, func(t *testing.T) {
			w, r := New(0), rand.New(rand.NewPCG(7, 7))
			for range timers {
				due := crowd.due(r)
				w.Add(due, uint64(due))
			}
			const limit = 1024
			work := drive(t, w, limit)
			if work > limit {
				t.Fatalf("a call handled %d timers, want %d at most", work, limit)
			}
			if most := 3 * uint64(timers); w.moves > most { // levels 2, 1 and 0
				t.Fatalf("%d moves of %d timers, want %d at most", w.moves, timers, most)
			}
		})
	}
}

// TestNoTickIsBehind: with timers spread over an hour, the usual case, a call each
// tick moves no more than what it moves ahead of time, and never has to be called
// again. The longest stop of the wheel is a constant.
func TestNoTickIsBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("an hour of ticks")
	}
	const timers = 1_000_000
	w, r := New(0), rand.New(rand.NewPCG(8, 8))
	for range timers {
		w.Add(r.Int64N(hour), 0)
	}
	var out []uint64
	for now := range int64(hour) {
		before := w.moves
		var more bool
		out, more = w.AdvanceLimit(now, 4096, out[:0])
		if moved := w.moves - before; more || moved > loadStep {
			t.Fatalf("tick %d: %d timers moved, more %v: want at most %d and no more", now, moved, more, loadStep)
		}
	}
	if w.Len() != 0 {
		t.Fatalf("%d timers are left", w.Len())
	}
}

// drive empties a wheel as the engine does, asleep until the next occupied slot and
// a second at most, and returns the most that one call handled. Values are dues.
func drive(t *testing.T, w *Wheel, limit int) (most int) {
	t.Helper()
	out := make([]uint64, 0, limit)
	for now := w.Now(); w.Len() > 0; {
		before, more := w.moves, true
		for more {
			out, more = w.AdvanceLimit(now, limit, out[:0])
			most = max(most, len(out)+int(w.moves-before))
			before = w.moves
			for _, due := range out {
				if int64(due) > now {
					t.Fatalf("a timer due %d expired at %d", due, now)
				}
			}
		}
		if next, ok := w.Next(); ok {
			now = min(max(next, now+1), now+1000)
		}
	}
	return most
}

// Cancelling walks nothing: with a million timers in one list, taking each out, in
// any order, leaves the same number of steps as with one. Were it a walk, this test
// would take hours.
func TestCancelInACrowd(t *testing.T) {
	const timers = 1_000_000
	w, r := New(0), rand.New(rand.NewPCG(9, 9))
	handles := make([]Handle, timers)
	for i := range handles {
		handles[i] = w.Add(1<<22, uint64(i))
	}
	r.Shuffle(timers, func(i, j int) { handles[i], handles[j] = handles[j], handles[i] })
	for i, h := range handles {
		if !w.Cancel(h) {
			t.Fatalf("timer %d of the shuffle was not there", i)
		}
	}
	if _, ok := w.Next(); ok || w.Len() != 0 {
		t.Fatal("the wheel is not empty")
	}
	w.check(t)
}
