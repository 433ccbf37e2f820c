package index

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// compactions decides when Pebble may compact. Pebble's own looks ten times a second
// whether a compaction may begin, which is most of what an idle server would do. With one
// compaction at a time one that waits is granted when the other ends, and there is nothing
// to look for.
//
// While the log is replayed none begins: a start waits for the processor, and what
// compactions gain is for readers, who come later.
type compactions struct {
	*pebble.ConcurrencyLimitScheduler
	held atomic.Bool
}

func newCompactions() *compactions {
	return &compactions{ConcurrencyLimitScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
}

// TrySchedule is called by Pebble, which asks again only after another compaction has ended
// or was granted.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if c.held.Load() {
		return false, nil
	}
	return c.ConcurrencyLimitScheduler.TrySchedule()
}

// release lets compactions begin again. A grant that is given back goes to who waits.
func (c *compactions) release() {
	if !c.held.Swap(false) {
		return
	}
	if ok, grant := c.ConcurrencyLimitScheduler.TrySchedule(); ok {
		grant.Done()
	}
}
