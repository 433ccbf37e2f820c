package timerwheel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The wheel beside other implementations is measured in tools/wheelbench
// (`make bench-wheel`).

const hour = 3_600_000

func forEach(b *testing.B, f func(b *testing.B, w *Wheel, pending int, r *rand.Rand)) {
	for _, pending := range []int{1_000, 100_000, 10_000_000} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			b.ReportAllocs()
			w, r := New(0), rand.New(rand.NewPCG(1, 2))
			for range pending {
				w.Add(r.Int64N(hour), 1)
			}
			f(b, w, pending, r)
		})
	}
}

// BenchmarkAdd adds to a population spread over an hour; what was added is cancelled
// outside the clock before it is as many again.
func BenchmarkAdd(b *testing.B) {
	forEach(b, func(b *testing.B, w *Wheel, pending int, r *rand.Rand) {
		handles := make([]Handle, 0, min(pending, 100_000))
		for b.Loop() {
			handles = append(handles, w.Add(r.Int64N(hour), 1))
			if len(handles) == cap(handles) {
				b.StopTimer()
				for _, h := range handles {
					w.Cancel(h)
				}
				handles = handles[:0]
				b.StartTimer()
			}
		}
	})
}

// BenchmarkAddCancel is the life of most timers of a healthy server.
func BenchmarkAddCancel(b *testing.B) {
	forEach(b, func(b *testing.B, w *Wheel, _ int, r *rand.Rand) {
		for b.Loop() {
			w.Cancel(w.Add(r.Int64N(hour), 1))
		}
	})
}

// BenchmarkExpire is one timer's whole life at a steady population: each that
// expires is added again, up to two hours later, so cascades are paid for. The
// clock goes from one due to the next, as the engine's does.
func BenchmarkExpire(b *testing.B) {
	forEach(b, func(b *testing.B, w *Wheel, _ int, r *rand.Rand) {
		expired := 0
		var out []uint64
		for b.Loop() {
			for expired == 0 {
				now, _ := w.Next()
				out = w.Advance(now, out[:0])
				for _, v := range out {
					w.Add(now+r.Int64N(2*hour), v)
				}
				expired = len(out)
			}
			expired--
		}
	})
}

// BenchmarkTick is one tick after another over an hour full of timers, as the engine
// takes them, and the longest single tick on the way: the one that would enter a
// coarse slot if slots were moved all at once (PERFORMANCE.md, lesson 12). It times
// the process and not the wheel alone, so a neighbour on the machine shows in the
// longest tick; TestTickIsBounded counts what a tick moves instead.
func BenchmarkTick(b *testing.B) {
	for _, pending := range []int{100_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			w, r := New(0), rand.New(rand.NewPCG(1, 2))
			for range pending {
				w.Add(r.Int64N(hour), 1)
			}
			var (
				out     []uint64
				longest time.Duration
				slow    int
			)
			for b.Loop() {
				begin := time.Now()
				out, _ = w.AdvanceLimit(w.Now()+1, 4096, out[:0])
				took := time.Since(begin)
				longest = max(longest, took)
				if took > time.Millisecond {
					slow++
				}
				for _, v := range out {
					w.Add(w.Now()+hour, v)
				}
			}
			b.ReportMetric(float64(longest.Microseconds()), "longest-us")
			b.ReportMetric(float64(slow), "over-1ms")
		})
	}
}
