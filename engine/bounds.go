package engine

import (
	"math"

	"github.com/tidemill/tidemill/engine/index"
)

// askBounds takes the applier's question from which time on the lanes have pending
// messages, as of a position that the core may not have seen yet.
func (c *core) askBounds(lsn uint64) {
	c.boundsAsked = lsn
	c.tellBounds()
}

// tellBounds answers once everything that was asked about is committed. What is
// pending has an entry or lies at or behind its lane's frontier, so the least due
// time of both is exact; the applier cannot know it (X1, X4). It walks all entries:
// a few milliseconds for 500,000 of them, once in some thousand deliveries.
func (c *core) tellBounds() {
	if c.boundsAsked == 0 || c.committed < c.boundsAsked {
		return
	}
	c.boundsAsked = 0
	first := make([]int64, len(c.lanes))
	for i := range c.lanes {
		first[i] = math.MaxInt64
		if l := &c.lanes[i]; l.spilled {
			first[i] = l.frontier.Due
		}
	}
	for i := range c.entries {
		if e := &c.entries[i]; e.state != stFree && e.state != stEnded {
			r := c.row(e) // as the index has it
			first[e.lane] = min(first[e.lane], r.Order())
		}
	}
	c.out.bounds, c.out.boundsAsOf = []index.Lane{}, c.committed
	for i := range c.lanes {
		if l := &c.lanes[i]; l.used && first[i] != math.MaxInt64 {
			c.out.bounds = append(c.out.bounds, index.Lane{ID: l.id, First: first[i]})
		}
	}
}

// carryBounds hands the core's answer to the applier.
func (e *Engine) carryBounds(out *commands) {
	if bounds, asOf := out.bounds, out.boundsAsOf; bounds != nil {
		e.applier.order(func(a *index.Applier) error {
			a.Raise(bounds, asOf)
			return nil
		})
	}
}
