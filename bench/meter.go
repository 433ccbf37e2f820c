package bench

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	meterShards  = 64 // a worker has one of its own, up to so many
	latencyMax   = int64(time.Minute)
	latencyFine  = int64(time.Microsecond)
	latencyExact = 3 // significant digits
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(latencyFine, latencyMax, latencyExact)
}

// meter counts events and their latencies while it is on. Shards keep producers
// from meeting on one lock. Safe for concurrent use.
type meter struct {
	on     atomic.Bool
	shards [meterShards]struct {
		sync.Mutex
		hist *hdrhistogram.Histogram // nil until there is an event
		_    [40]byte                // a cache line of its own
	}
}

func newMeter() *meter {
	return new(meter)
}

// record notes an event; key spreads the events over the shards. What took longer
// than a minute counts as a minute.
func (m *meter) record(key uint64, latency time.Duration) { m.recordAll(key, latency, 1) }

// recordAll notes n events of the same latency.
func (m *meter) recordAll(key uint64, latency time.Duration, n int) {
	if !m.on.Load() {
		return
	}
	s := &m.shards[key%meterShards]
	s.Lock()
	defer s.Unlock()
	if s.hist == nil {
		s.hist = newHistogram()
	}
	if err := s.hist.RecordValues(min(max(int64(latency), 0), latencyMax), int64(n)); err != nil {
		panic("bench: BUG: " + err.Error())
	}
}

// take merges the shards into one histogram, whose total is the number of events.
func (m *meter) take() *hdrhistogram.Histogram {
	all := newHistogram()
	for i := range m.shards {
		s := &m.shards[i]
		s.Lock()
		if s.hist != nil {
			all.Merge(s.hist)
		}
		s.Unlock()
	}
	return all
}

// empty reports whether no event has been recorded.
func (m *meter) empty() bool {
	for i := range m.shards {
		s := &m.shards[i]
		s.Lock()
		some := s.hist != nil
		s.Unlock()
		if some {
			return false
		}
	}
	return true
}
