package engine

import (
	"runtime/metrics"
	"time"
)

// processorWait tells how long goroutines that could run waited for a processor.
type processorWait struct {
	sample [1]metrics.Sample
	counts []uint64 // as of the last reading
	at     time.Time
}

// One reading takes some microseconds. Fewer samples than waitSamples say nothing; the
// runtime takes one of eight.
const (
	waitEvery   = 20 * time.Millisecond
	waitSamples = 32
)

// read returns the wait that nine of ten goroutines stayed below since the last reading;
// ok is false if that is not long ago or there were too few.
func (w *processorWait) read() (wait time.Duration, ok bool) {
	now := time.Now()
	if now.Sub(w.at) < waitEvery {
		return 0, false
	}
	w.at = now
	w.sample[0].Name = "/sched/latencies:seconds"
	metrics.Read(w.sample[:])
	if w.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0, false
	}
	h := w.sample[0].Value.Float64Histogram()
	return w.since(h)
}

// since compares a histogram with the one before.
func (w *processorWait) since(h *metrics.Float64Histogram) (wait time.Duration, ok bool) {
	if len(w.counts) != len(h.Counts) {
		w.counts = append([]uint64(nil), h.Counts...)
		return 0, false
	}
	total := uint64(0)
	for i, n := range h.Counts {
		total += n - w.counts[i]
	}
	seen := uint64(0)
	for i, n := range h.Counts {
		seen += n - w.counts[i]
		w.counts[i] = n
		if wait == 0 && seen*10 >= total*9 {
			wait = max(1, time.Duration(h.Buckets[i]*float64(time.Second))) // the bucket's lower end: the last one has no upper
		}
	}
	return wait, total >= waitSamples
}
