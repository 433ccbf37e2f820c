// Package histogram counts observations in fixed buckets, for code that cannot
// afford a metrics library: an observation is a search of some 25 numbers and two
// atomic additions, without an allocation or a lock. Whoever shows the counts to
// the outside takes a Snapshot and needs to know nothing else.
//
// It is a leaf that wal, engine and httpapi share. Each with buckets of its own would be
// the same code three times, and bounds that slowly come apart.
package histogram

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// bounds are the upper ends of the buckets of Durations, inclusive: 1, 2.5 and 5 of each
// decade, from what a write to the page cache takes to the longest attempt.
var bounds = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute,
	5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour,
}

// Durations counts times. The zero value is ready. It is safe for concurrent use, and
// must not be copied after the first Observe.
type Durations struct {
	counts [len(bounds) + 1]atomic.Uint64 // the last one: above all bounds
	sum    atomic.Int64                   // ns
}

// Observe counts a time; one that lies before zero, since a clock was set back, counts
// as zero.
func (d *Durations) Observe(t time.Duration) {
	t = max(t, 0)
	d.counts[bucketOf(t)].Add(1)
	d.sum.Add(int64(t))
}

// Since is Observe of the time that has passed since start, and returns what it is now:
// the start of the next stage.
func (d *Durations) Since(start time.Time) time.Time {
	now := time.Now()
	d.Observe(now.Sub(start))
	return now
}

// bucketOf returns the first bucket whose bound is not below t.
func bucketOf(t time.Duration) int {
	low, high := 0, len(bounds)
	for low < high {
		if mid := (low + high) / 2; t <= bounds[mid] {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// Snapshot returns what was counted up to now, in seconds. What is observed meanwhile may
// be in the buckets and not in the sum.
func (d *Durations) Snapshot() Snapshot {
	s := Snapshot{Sum: float64(d.sum.Load()) / 1e9, Buckets: make(map[float64]uint64, len(bounds))}
	for i := range bounds {
		s.Count += d.counts[i].Load()
		s.Buckets[bounds[i].Seconds()] = s.Count
	}
	s.Count += d.counts[len(bounds)].Load()
	return s
}

// Snapshot is a histogram as of a moment, as Prometheus has it.
type Snapshot struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64 // by upper end, inclusive: how many observations are not above it
}

// sizes is the number of buckets of Sizes: powers of two up to 2^30.
const sizes = 31

// Sizes counts numbers of things, such as bytes, by powers of two. The zero value is
// ready. It is safe for concurrent use, and must not be copied after the first Observe.
type Sizes struct {
	counts [sizes + 1]atomic.Uint64
	sum    atomic.Uint64
}

// Observe counts a number; one below zero counts as zero.
func (s *Sizes) Observe(n int) {
	n = max(n, 0)
	s.counts[min(bits.Len64(uint64(max(n, 1)-1)), sizes)].Add(1)
	s.sum.Add(uint64(n))
}

// Snapshot returns what was counted up to now in buckets from 2^from to 2^to, each 2^step
// times as wide as the one before.
func (s *Sizes) Snapshot(from, to, step int) Snapshot {
	out := Snapshot{Sum: float64(s.sum.Load()), Buckets: make(map[float64]uint64, (to-from)/step+1)}
	for i := range s.counts {
		out.Count += s.counts[i].Load()
		if i >= from && i <= to && (i-from)%step == 0 {
			out.Buckets[float64(uint64(1)<<i)] = out.Count
		}
	}
	return out
}
