package timerwheel

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// modelTimer is a timer of the model: a plain slice, sorted when it is asked.
type modelTimer struct {
	due    int64
	value  uint64
	handle Handle
}

type model struct {
	wheel   *Wheel
	timers  []modelTimer // in Add order
	value   uint64
	checks  int
	expired uint64
}

func newModel(start int64) *model { return &model{wheel: New(start)} }

func (m *model) add(due int64) {
	m.value++
	h := m.wheel.Add(due, m.value)
	m.timers = append(m.timers, modelTimer{max(due, m.wheel.Now()), m.value, h})
}

func (m *model) cancel(t testing.TB, i int) {
	t.Helper()
	h := m.timers[i].handle
	if !m.wheel.Cancel(h) || m.wheel.Cancel(h) {
		t.Fatalf("cancel of timer %d", m.timers[i].value)
	}
	m.timers = slices.Delete(m.timers, i, i+1)
}

// advance compares what expires with the model; a bounded call must give a prefix.
func (m *model) advance(t testing.TB, now int64, limit int) {
	t.Helper()
	var want []modelTimer
	for _, mt := range m.timers {
		if mt.due <= now {
			want = append(want, mt)
		}
	}
	slices.SortStableFunc(want, func(a, b modelTimer) int { return cmp.Compare(a.due, b.due) })
	backward := now < m.wheel.Now()
	got, more := m.wheel.AdvanceLimit(now, limit, nil)
	switch {
	case backward:
		if len(got) != 0 || more {
			t.Fatalf("advance to %d, before the current tick, gave %v", now, got)
		}
		return
	case len(got) > max(limit, 1) || len(got) > len(want) || !more && len(got) != len(want):
		t.Fatalf("advance to %d limit %d: %d expired, want %d, more %v", now, limit, len(got), len(want), more)
	case !more && m.wheel.Now() != now:
		t.Fatalf("advance to %d ended at %d", now, m.wheel.Now())
	}
	expired := make(map[uint64]bool, len(got))
	for i, v := range got {
		if v != want[i].value {
			t.Fatalf("advance to %d: position %d holds %d, want %d due %d", now, i, v, want[i].value, want[i].due)
		}
		expired[v] = true
	}
	m.timers = slices.DeleteFunc(m.timers, func(mt modelTimer) bool { return expired[mt.value] })
	m.expired += uint64(len(got))
	if s := m.wheel.Stats(); s.Expired != m.expired || s.Armed != len(m.timers) {
		t.Fatalf("stats %+v, want %d expired and %d armed", s, m.expired, len(m.timers))
	}
}

func (m *model) checkNext(t testing.TB) {
	t.Helper()
	if m.checks++; m.checks%64 == 0 {
		m.wheel.check(t) // walks all slots
	}
	next, ok := m.wheel.Next()
	if ok != (len(m.timers) > 0) || m.wheel.Len() != len(m.timers) {
		t.Fatalf("Next ok %v, Len %d, model holds %d", ok, m.wheel.Len(), len(m.timers))
	}
	if !ok {
		return
	}
	first := slices.MinFunc(m.timers, func(a, b modelTimer) int { return cmp.Compare(a.due, b.due) }).due
	if next > first || next < m.wheel.Now() {
		t.Fatalf("Next is %d at %d, the first due is %d", next, m.wheel.Now(), first)
	}
	if exact := m.wheel.loaded<<windowBits - 1; fromTick(first) <= exact && next != first {
		t.Fatalf("Next is %d, the first due %d is in the ring", next, first)
	}
}

// distance draws how far ahead something lies: mostly near, sometimes anywhere.
func distance(r *rand.Rand) int64 {
	return int64(r.Uint64() >> (1 + r.IntN(63)))
}

func satAdd(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func TestModel(t *testing.T) {
	seeds, steps := uint64(60), 500
	if testing.Short() {
		seeds = 10
	}
	starts := []int64{0, 1_795_000_000_000, -1 << 40, math.MinInt64, math.MaxInt64 - 1<<20}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			m := newModel(starts[seed%uint64(len(starts))])
			spread := 1 + r.IntN(4) // few distinct dues make crowded ticks
			for range steps {
				m.step(t, r, spread)
			}
			for len(m.timers) > 0 {
				m.advance(t, math.MaxInt64, 1+r.IntN(500))
				m.checkNext(t)
			}
		})
	}
}

func (m *model) step(t testing.TB, r *rand.Rand, spread int) {
	t.Helper()
	now := m.wheel.Now()
	switch k := r.IntN(20); {
	case k < 9:
		d := distance(r)
		for range 1 + r.IntN(1<<spread) {
			m.add(satAdd(now, d))
		}
	case k < 10:
		m.add(int64(r.Uint64())) // anywhere, past and future
	case k < 14 && len(m.timers) > 0:
		m.cancel(t, r.IntN(len(m.timers)))
	case k < 15:
		m.advance(t, now-distance(r)%1000, 10)
	case k < 16 && len(m.timers) > 0:
		m.advance(t, m.timers[r.IntN(len(m.timers))].due, 1+r.IntN(50))
	case k < 17:
		if next, ok := m.wheel.Next(); ok {
			m.advance(t, next, math.MaxInt)
		}
	default:
		m.advance(t, satAdd(now, distance(r)>>r.IntN(40)), 1+r.IntN(200))
	}
	m.checkNext(t)
}

// FuzzWheel reads a program of operations: one opcode byte, two bytes of operand.
func FuzzWheel(f *testing.F) {
	f.Add(int64(0), []byte{0, 1, 2, 0x13, 1, 2, 0x40, 0, 0, 0xc0, 9, 9})
	f.Add(int64(math.MaxInt64-100), []byte{0, 200, 0, 0x81, 255, 255, 0xc3, 50, 1})
	f.Add(int64(math.MinInt64), []byte{0x2f, 1, 1, 0x3f, 255, 0, 0xff, 255, 255})
	f.Fuzz(func(t *testing.T, start int64, program []byte) {
		m := newModel(start)
		for len(program) >= 3 && m.value < 2000 {
			op, arg := program[0], int64(program[1])<<8|int64(program[2])
			program = program[3:]
			ahead := arg << (op & 0x3f % 48)
			switch op >> 6 {
			case 0, 1:
				m.add(satAdd(m.wheel.Now(), ahead))
			case 2:
				if len(m.timers) > 0 {
					m.cancel(t, int(arg)%len(m.timers))
				}
			case 3:
				m.advance(t, satAdd(m.wheel.Now(), ahead), 1+int(arg)%7)
			}
			m.checkNext(t)
		}
		for len(m.timers) > 0 {
			m.advance(t, math.MaxInt64, 3)
		}
	})
}
