package engine

import "github.com/tidemill/tidemill/engine/plant"

// retireQueue holds the entries of messages that ended, or were left to the
// index, until no page can show their old rows: first until the applier has
// passed the outcome (waiting, in log order), then until every page read asked
// for before that moment has come back (reading).
type retireQueue struct {
	waiting []retiree
	reading []retiree
	wHead   int
	rHead   int
	count   uint64
}

type retiree struct {
	slot  uint32
	id    uint64 // tells it from an entry that came back, or has the slot now
	lsn   uint64 // the newest record that the index must have applied
	pages uint64 // reading: the pages asked for until then
}

// push returns the retiree's id, which is never zero.
func (q *retireQueue) push(slot uint32, lsn uint64) uint64 {
	q.count++
	q.waiting = append(q.waiting, retiree{slot: slot, id: q.count, lsn: lsn})
	return q.count
}

func (q *retireQueue) len() int {
	return len(q.waiting) - q.wHead + len(q.reading) - q.rHead
}

// retireMax bounds the entries that one step frees, so that the end of a large batch of
// the applier, of some ten thousand messages, holds up nothing else for milliseconds.
const retireMax = 512

// setApplied notes how far the applier is. What nothing can show any more is freed at the
// end of the step.
func (c *core) setApplied(lsn uint64) { c.applied = max(c.applied, lsn) }

// retire frees what nothing can show any more. It reports whether it left some of that
// for the next step.
func (c *core) retire() (more bool) {
	q := &c.retiring
	for q.wHead < len(q.waiting) && q.waiting[q.wHead].lsn < c.applied {
		r := q.waiting[q.wHead]
		if r.pages = c.pagesAsked; plant.Bug("tombstone-freed-early") {
			r.pages = 0
		}
		q.reading = append(q.reading, r)
		q.wHead++
	}
	for n := 0; q.rHead < len(q.reading) && q.reading[q.rHead].pages <= c.pagesDone; n++ {
		if more = n == retireMax; more {
			break
		}
		c.let(q.reading[q.rHead])
		q.rHead++
	}
	q.waiting, q.wHead = compact(q.waiting, q.wHead)
	q.reading, q.rHead = compact(q.reading, q.rHead)
	return more
}

// let frees an entry unless a page has brought it back meanwhile.
func (c *core) let(r retiree) {
	if c.entries[r.slot].gone == r.id {
		c.release(r.slot)
	}
}

// compact drops the consumed front of a queue now and then.
func compact(q []retiree, head int) ([]retiree, int) {
	if head > 64 && head > len(q)/2 {
		return q[:copy(q, q[head:])], 0
	}
	return q, head
}
