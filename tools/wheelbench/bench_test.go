// Package wheelbench measures timerwheel beside container/heap, the pointer-based
// wheel github.com/RussellLuo/timingwheel, and Go's own timers. It is a module of
// its own, so that the peer is no dependency of the product.
//
//	make bench-wheel
//
// The timers that wait are spread evenly over the hour that begins an hour from
// now, so that none expires in a run. Those that are armed, cancelled, or expire are
// measured on top of them. Each arming reads the clock, as those that own one must;
// the wheel without that is in its own package's benchmarks.
package wheelbench

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const hour = 3_600_000 // milliseconds

func BenchmarkTimers(b *testing.B) {
	for _, pending := range []int{1_000, 100_000, 10_000_000} {
		measure(b, "wheel", pending, newWheel)
		measure(b, "heap", pending, newBinary)
		measure(b, "timingwheel", pending, newLibrary)
		measure(b, "runtime", pending, newRuntime)
	}
}

// measure fills an implementation once for all its benchmarks.
func measure[H any](b *testing.B, impl string, pending int, open func() timers[H]) {
	b.Run(fmt.Sprintf("impl=%s/pending=%d", impl, pending), func(b *testing.B) {
		p := &population[H]{rng: rand.New(rand.NewPCG(1, 2)), waiting: make([]H, 0, pending)}
		before := heapBytes()
		p.timers = open()
		for range pending {
			p.waiting = append(p.waiting, p.add(p.later()))
		}
		perTimer := float64(heapBytes()-before) / float64(pending)
		b.Run("op=add", func(b *testing.B) {
			p.benchAdd(b)
			b.ReportMetric(perTimer, "B/timer")
		})
		b.Run("op=add+cancel", p.benchAddCancel)
		b.Run("op=expire", p.benchExpire)
		for _, h := range p.waiting {
			p.cancel(h)
		}
		p.close()
	})
}

// heapBytes is what is alive on the heap after a collection (MemStats.HeapAlloc).
// The handles that the benchmark keeps were allocated before the first call.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// population is a number of timers that wait.
type population[H any] struct {
	timers[H]
	rng     *rand.Rand
	waiting []H
}

func (p *population[H]) later() int64 { return hour + p.rng.Int64N(hour) }

// addBatch bounds the timers on top of those that wait; they are cancelled outside
// the clock.
const addBatch = 10_000

func (p *population[H]) benchAdd(b *testing.B) {
	b.ReportAllocs()
	added := make([]H, 0, addBatch)
	for b.Loop() {
		added = append(added, p.add(p.later()))
		if len(added) == cap(added) {
			b.StopTimer()
			added = p.cancelAll(added)
			b.StartTimer()
		}
	}
	p.cancelAll(added)
}

func (p *population[H]) cancelAll(added []H) []H {
	for _, h := range added {
		p.cancel(h)
	}
	return added[:0]
}

// benchAddCancel is the life of a timeout that does not come to pass. Which timer
// goes is drawn from all that wait, so its memory is not at hand.
func (p *population[H]) benchAddCancel(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		k := p.rng.IntN(len(p.waiting))
		p.cancel(p.waiting[k])
		p.waiting[k] = p.add(p.later())
	}
}

// Expiring timers: so many, over so many milliseconds.
const (
	expireTimers = 50_000
	expireMillis = 1_000
)

// benchExpire arms 50,000 timers and reports the CPU time of the whole process,
// collector included, per timer that expires over the second that follows: the
// implementations that own a clock cannot be told another. ns/op is the wait.
func (p *population[H]) benchExpire(b *testing.B) {
	var used time.Duration
	expired := 0
	for b.Loop() {
		began := time.Now()
		for range expireTimers {
			p.add(expireMillis + p.rng.Int64N(expireMillis))
		}
		if took := time.Since(began); took > expireMillis*time.Millisecond {
			b.Fatalf("arming %d timers took %v, longer than the first of them waits", expireTimers, took)
		}
		before := cpuTime(b)
		p.await(expireTimers)
		used += cpuTime(b) - before
		expired += expireTimers
	}
	b.ReportMetric(float64(used)/float64(expired), "cpu-ns/timer")
}

// cpuTime is the user and system time of this process.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
