package histogram

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestDurations compares the buckets with a count one by one.
func TestDurations(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	var d Durations
	var all []time.Duration
	for _, b := range bounds { // on the bound, and on both sides of it
		all = append(all, b-1, b, b+1)
	}
	all = append(all, -time.Second, 0, math.MaxInt64/100)
	for range 1000 {
		all = append(all, time.Duration(math.Exp(rnd.Float64()*math.Log(float64(3*time.Hour)))))
	}
	sum := 0.0
	for _, v := range all {
		d.Observe(v)
		sum += max(v, 0).Seconds()
	}
	s := d.Snapshot()
	if s.Count != uint64(len(all)) || math.Abs(s.Sum-sum) > 1e-6*sum {
		t.Errorf("seed %d: count %d, sum %v; want %d, %v", seed, s.Count, s.Sum, len(all), sum)
	}
	for _, b := range bounds {
		want := uint64(0)
		for _, v := range all {
			if v <= b {
				want++
			}
		}
		if got := s.Buckets[b.Seconds()]; got != want {
			t.Errorf("seed %d: %d observations up to %v, want %d", seed, got, b, want)
		}
	}
}

func TestSizes(t *testing.T) {
	var h Sizes
	all := []int{-1, 0, 1, 2, 3, 4, 5, 255, 256, 257, 1 << 20, 1<<30 + 1, math.MaxInt}
	for _, n := range all {
		h.Observe(n)
	}
	s := h.Snapshot(0, 30, 2)
	if s.Count != uint64(len(all)) || len(s.Buckets) != 16 {
		t.Errorf("count %d in %d buckets, want %d in 16", s.Count, len(s.Buckets), len(all))
	}
	for bound, got := range s.Buckets {
		want := uint64(0)
		for _, n := range all {
			if float64(n) <= bound {
				want++
			}
		}
		if got != want {
			t.Errorf("%d observations up to %v, want %d", got, bound, want)
		}
	}
}

// TestConcurrent is for the race detector, and for what is lost.
func TestConcurrent(t *testing.T) {
	var d Durations
	var s Sizes
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				d.Observe(time.Duration(i) * time.Millisecond)
				s.Observe(i)
				_, _ = d.Snapshot(), s.Snapshot(0, 12, 1)
			}
		})
	}
	wg.Wait()
	if a, b := d.Snapshot().Count, s.Snapshot(0, 12, 1).Count; a != 4000 || b != 4000 {
		t.Errorf("%d and %d observations, want 4000 of each", a, b)
	}
}

func TestAllocs(t *testing.T) {
	var d Durations
	var s Sizes
	if n := testing.AllocsPerRun(100, func() { d.Observe(time.Millisecond); s.Observe(100) }); n != 0 {
		t.Errorf("%v allocations for an observation", n)
	}
}

// BenchmarkObserve has all goroutines observe in one histogram, and most of it in one
// bucket, as a fast disk or a fast destination does.
func BenchmarkObserve(b *testing.B) {
	var d Durations
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			d.Observe(time.Duration(200+i%64) * time.Microsecond)
		}
	})
}
