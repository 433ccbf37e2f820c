package engine

import (
	"github.com/tidemill/tidemill/wal"
)

// oldEnough returns how many of the log's oldest segments have nothing that is as young
// as retention.bodies: these alone may be reclaimed (W10). Where the disk is full bodies
// of finished messages go before publishes are refused for long.
func (e *Engine) oldEnough(segments []wal.SegmentInfo) (n int, err error) {
	age := e.limits.Load().BodiesAge
	if age == 0 || e.space.low.Load() {
		return len(segments), nil
	}
	young, err := e.idx.HistorySince(e.opts.Wall().Add(-age).UnixMilli())
	if err != nil {
		return 0, indexError(err)
	}
	for n < len(segments) && uint64(segments[n].End) <= young {
		n++
	}
	return n, nil
}
