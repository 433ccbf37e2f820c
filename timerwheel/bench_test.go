package timerwheel

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// timers is what the benchmarks compare: the wheel, and a binary heap as most
// programs would write it.
type timers interface {
	add(due int64, value uint64) uint64 // a handle
	cancel(handle uint64)
	next() int64 // when to call advance; there must be a timer
	advance(now int64, out []uint64) []uint64
}

type wheelTimers struct{ *Wheel }

func (w wheelTimers) add(due int64, v uint64) uint64           { return uint64(w.Add(due, v)) }
func (w wheelTimers) cancel(h uint64)                          { w.Cancel(Handle(h)) }
func (w wheelTimers) advance(now int64, out []uint64) []uint64 { return w.Advance(now, out) }

func (w wheelTimers) next() int64 { due, _ := w.Next(); return due }

type heapTimer struct {
	due    int64
	value  uint64
	handle uint64
	index  int
}

// heapTimers finds a timer to cancel in a slice of slots that are reused.
type heapTimers struct {
	items []*heapTimer
	slots []*heapTimer
	free  []uint64
}

func (h *heapTimers) Len() int           { return len(h.items) }
func (h *heapTimers) Less(i, j int) bool { return h.items[i].due < h.items[j].due }
func (h *heapTimers) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].index, h.items[j].index = i, j
}

func (h *heapTimers) Push(x any) {
	t := x.(*heapTimer)
	t.index = len(h.items)
	h.items = append(h.items, t)
}

func (h *heapTimers) Pop() any {
	last := len(h.items) - 1
	t := h.items[last]
	h.items = h.items[:last]
	return t
}

func (h *heapTimers) add(due int64, v uint64) uint64 {
	if len(h.free) == 0 {
		h.free = append(h.free, uint64(len(h.slots)))
		h.slots = append(h.slots, new(heapTimer))
	}
	handle := h.free[len(h.free)-1]
	h.free = h.free[:len(h.free)-1]
	t := h.slots[handle]
	t.due, t.value, t.handle = due, v, handle
	heap.Push(h, t)
	return handle
}

func (h *heapTimers) cancel(handle uint64) {
	heap.Remove(h, h.slots[handle].index)
	h.free = append(h.free, handle)
}

func (h *heapTimers) next() int64 { return h.items[0].due }

func (h *heapTimers) advance(now int64, out []uint64) []uint64 {
	for len(h.items) > 0 && h.items[0].due <= now {
		t := heap.Pop(h).(*heapTimer)
		h.free = append(h.free, t.handle)
		out = append(out, t.value)
	}
	return out
}

const hour = 3_600_000

func forEach(b *testing.B, f func(b *testing.B, pending int, t timers)) {
	for _, pending := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("impl=wheel/pending=%d", pending), func(b *testing.B) {
			f(b, pending, wheelTimers{New(0)})
		})
		b.Run(fmt.Sprintf("impl=heap/pending=%d", pending), func(b *testing.B) {
			f(b, pending, &heapTimers{})
		})
	}
}

func fill(t timers, pending int, r *rand.Rand) {
	for i := range pending {
		t.add(r.Int64N(hour), uint64(i))
	}
}

// BenchmarkAdd adds to a population spread over an hour, which doubles before it
// is rebuilt outside the clock.
func BenchmarkAdd(b *testing.B) {
	forEach(b, func(b *testing.B, pending int, t timers) {
		b.ReportAllocs()
		r := rand.New(rand.NewPCG(1, 2))
		handles := make([]uint64, 0, pending)
		fill(t, pending, r)
		for b.Loop() {
			handles = append(handles, t.add(r.Int64N(hour), 1))
			if len(handles) == cap(handles) {
				b.StopTimer()
				for _, h := range handles {
					t.cancel(h)
				}
				handles = handles[:0]
				b.StartTimer()
			}
		}
	})
}

// BenchmarkAddCancel is the life of most timers of a healthy server.
func BenchmarkAddCancel(b *testing.B) {
	forEach(b, func(b *testing.B, pending int, t timers) {
		b.ReportAllocs()
		r := rand.New(rand.NewPCG(1, 2))
		fill(t, pending, r)
		for b.Loop() {
			t.cancel(t.add(r.Int64N(hour), 1))
		}
	})
}

// BenchmarkExpire is one timer's whole life at a steady population: each that
// expires is added again, up to two hours later, so cascades are paid for. The
// clock goes from one due to the next, as the engine's does.
func BenchmarkExpire(b *testing.B) {
	forEach(b, func(b *testing.B, pending int, t timers) {
		b.ReportAllocs()
		r := rand.New(rand.NewPCG(1, 2))
		fill(t, pending, r)
		now, expired := int64(0), 0
		var out []uint64
		for b.Loop() {
			for expired == 0 {
				now = t.next()
				out = t.advance(now, out[:0])
				for _, v := range out {
					t.add(now+r.Int64N(2*hour), v)
				}
				expired = len(out)
			}
			expired--
		}
	})
}

// BenchmarkTick is the cost of one tick after another with timers spread over an
// hour, and the longest single tick on the way: the one that would enter a coarse
// slot if slots were moved all at once (PERFORMANCE.md, lesson 12).
func BenchmarkTick(b *testing.B) {
	for _, pending := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			w := New(0)
			fill(wheelTimers{w}, pending, r)
			var (
				out     []uint64
				longest time.Duration
			)
			for b.Loop() {
				begin := time.Now()
				out, _ = w.AdvanceLimit(w.Now()+1, 4096, out[:0])
				longest = max(longest, time.Since(begin))
				for _, v := range out {
					w.Add(w.Now()+hour, v)
				}
			}
			b.ReportMetric(float64(longest.Microseconds()), "longest-us")
		})
	}
}
