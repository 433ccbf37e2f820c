package engine

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// queue is a queue as the core knows it (L6). Its messages stand in its lanes: one lane
// for those without an ordering key, and one for each such key.
//
// A message's turn begins when it takes a slot and ends when the message has ended and
// its callbacks have, so a turn is known by the seq of the message that began it, and
// callbacks stand in the lane at that place (record.Line.Root). Where a slot is held
// needs no record: after a restart the first messages of a lane take its slots, and what
// is left of a turn, be it callbacks alone, comes before all others.
type queue struct {
	id          uint64
	parallelism int
	paused      bool
	gone        bool   // deleted: only messages that are to be canceled are left
	drop        uint64 // turns below this LSN are not begun but canceled
	open        int    // slots taken
	pending     int    // messages that have not ended
	lanes       int    // that refer to it

	want   ring     // lanes with a message that wants a slot
	parked []uint32 // lanes with ready messages, while it is paused
}

// queues is the core's table of them.
type queues struct {
	list []queue
	free []uint32
	byID map[uint64]uint32

	turns map[uint64]turn // that have a slot, by what they are known by
	drops ring            // lanes with messages to be canceled that wait for room (L5)
}

// turn is one message's turn in its queue.
type turn struct {
	lane    uint32
	holders int // entries that have not ended: the message and its callbacks
}

// queueOf returns the index of a queue, with a parallelism of 1 if it is not known.
func (c *core) queueOf(id uint64) uint32 {
	t := &c.queues
	if i, ok := t.byID[id]; ok {
		return i
	}
	i := takeSlot(&t.list, &t.free)
	t.list[i] = queue{id: id, parallelism: 1}
	t.byID[id] = i
	return i
}

// dropQueue forgets a deleted queue of which nothing is left.
func (c *core) dropQueue(i uint32) {
	q := &c.queues.list[i]
	if !q.gone || q.pending > 0 || q.lanes > 0 {
		return
	}
	delete(c.queues.byID, q.id)
	*q = queue{}
	c.queues.free = append(c.queues.free, i)
}

// enqueue puts an entry where its turn is: at work if that has begun, else into line. What
// comes to a turn of a queue that was deleted since goes into line to be canceled.
func (c *core) enqueue(i uint32) {
	e := &c.entries[i]
	l := &c.lanes[e.lane]
	if _, begun := c.queues.turns[e.turn()]; begun && e.turn() >= c.queues.list[l.queue].drop {
		c.hold(i)
		return
	}
	e.state = stLine
	after := l.line.tail
	for after != none && c.entries[after].turn() > e.turn() {
		after = c.entries[after].prev // not taken: entries come in their order
	}
	c.linkAfter(&l.line, after, i)
	c.beginTurns(e.lane)
}

// hold lets an entry work in its turn.
func (c *core) hold(i uint32) {
	e := &c.entries[i]
	t := c.queues.turns[e.turn()]
	if e.root == 0 || !plant.Bug("callback-holds-no-turn") {
		t.holders++
	}
	c.queues.turns[e.turn()] = t
	e.flags |= flagSlot
	c.schedule(i)
}

// beginTurns begins the turns that may begin in a lane.
func (c *core) beginTurns(li uint32) {
	for {
		l := &c.lanes[li]
		i := l.line.head
		if i == none || l.queue == none {
			return
		}
		q := &c.queues.list[l.queue]
		k := c.entries[i].turn()
		_, begun := c.queues.turns[k]
		switch {
		case k < q.drop:
			if c.entries[i].flags&flagMoving != 0 || !c.discard(li, i) { // stopMoving goes on
				return
			}
			continue
		case begun: // it came out of the index, or of an outcome that was on its way
		case q.paused || len(l.open) > 0 && !l.wide || len(l.open) >= q.parallelism:
			return
		case slices.ContainsFunc(l.going, func(before uint64) bool { return before < k }):
			return
		case l.spilled && k > uint64(l.frontier.Due): // somebody before it is in the index alone
			return
		case q.open >= q.parallelism && !plant.Bug("each-lane-has-all-slots"):
			c.wantSlot(li)
			return
		default:
			q.open++
			l.open = append(l.open, k)
			c.queues.turns[k] = turn{lane: li}
		}
		c.unlink(&l.line, i)
		c.hold(i)
	}
}

// wantSlot puts a lane into its queue's ring.
func (c *core) wantSlot(li uint32) {
	if l := &c.lanes[li]; !l.inQ {
		l.inQ = true
		c.queues.list[l.queue].want.push(li)
	}
}

// goes notes that a message is being canceled that has not had its turn. What stands
// behind it waits for that: a power cut may bring it back.
func (c *core) goes(i uint32) {
	e := &c.entries[i]
	if l := &c.lanes[e.lane]; l.queue != none && e.flags&flagSlot == 0 && e.turn() >= c.queues.list[l.queue].drop {
		l.going = append(l.going, e.turn())
	}
}

// gone notes that it is, and goes on behind it.
func (c *core) gone(i uint32) {
	e := &c.entries[i]
	l := &c.lanes[e.lane]
	if n := slices.Index(l.going, e.turn()); n >= 0 && e.flags&flagSlot == 0 {
		l.going = slices.Delete(l.going, n, n+1)
		c.beginTurns(e.lane)
	}
}

// stays takes back what goes has noted, of a message that has not ended after all.
func (c *core) stays(i uint32) {
	e := &c.entries[i]
	l := &c.lanes[e.lane]
	if n := slices.Index(l.going, e.turn()); n >= 0 {
		l.going = slices.Delete(l.going, n, n+1)
	}
}

// discard cancels a message of a queue that was deleted, as far as L5 allows.
func (c *core) discard(li, i uint32) bool {
	if c.stuck || c.undurable >= undurableMax {
		if l := &c.lanes[li]; !l.inDrop {
			l.inDrop = true
			c.queues.drops.push(li)
		}
		return false
	}
	c.appendCancel(i)
	return true
}

// discardMore goes on where discard had to stop.
func (c *core) discardMore() {
	for n := c.queues.drops.len(); n > 0 && !c.stuck && c.undurable < undurableMax; n-- {
		li := c.queues.drops.pop()
		c.lanes[li].inDrop = false
		c.beginTurns(li)
		c.dropLane(li)
	}
}

// endTurn takes an entry that has ended out of its turn, which ends with the last one.
func (c *core) endTurn(i uint32) {
	e := &c.entries[i]
	if e.flags&flagSlot == 0 || e.state != stEnded {
		return
	}
	e.flags &^= flagSlot
	k := e.turn()
	t := c.queues.turns[k]
	t.holders--
	c.queues.turns[k] = t
	if t.holders == 0 && (!c.outside(&c.lanes[t.lane], k) || plant.Bug("turn-ends-before-what-the-index-has")) {
		c.freeSlot(k, t.lane)
	}
}

// outside says whether callbacks of a turn may be in the index alone. Messages of pull
// queues have none: one that was moved away has left, and comes back behind the others.
func (c *core) outside(l *lane, k uint64) bool {
	return l.spilled && l.pull == none && uint64(l.frontier.Due) <= k
}

// freeSlot ends a turn. Who has waited longest in the queue has the slot next.
func (c *core) freeSlot(k uint64, li uint32) {
	delete(c.queues.turns, k)
	l := &c.lanes[li]
	i := slices.Index(l.open, k)
	l.open[i] = l.open[len(l.open)-1]
	l.open = l.open[:len(l.open)-1]
	q := &c.queues.list[l.queue]
	q.open--
	if l.line.head != none {
		c.wantSlot(li)
	}
	c.serveQueue(l.queue)
}

// serveQueue gives free slots to the lanes that want one.
func (c *core) serveQueue(qi uint32) {
	for q := &c.queues.list[qi]; !q.paused && q.open < q.parallelism && q.want.len() > 0; {
		li := q.want.pop()
		c.lanes[li].inQ = false
		c.beginTurns(li)
		c.dropLane(li)
	}
}

// paging goes on with a queue's lane whose frontier has moved: a turn of which nothing
// is left has ended now, if what was left of it was all at or behind the frontier.
func (c *core) paging(li uint32) {
	l := &c.lanes[li]
	if l.queue == none {
		return
	}
	for i := 0; i < len(l.open); {
		k := l.open[i]
		if c.queues.turns[k].holders > 0 || c.outside(l, k) {
			i++
			continue
		}
		c.freeSlot(k, li)
		l = &c.lanes[li]
	}
	c.beginTurns(li)
}

// doomed says whether an entry is to be canceled as soon as nothing else of it is on
// its way to the log.
func (c *core) doomed(i uint32) bool {
	return len(c.cancels[c.entries[i].seq]) > 0 || c.discarded(i)
}

// discarded says whether an entry's queue was deleted after its turn was published.
func (c *core) discarded(i uint32) bool {
	e := &c.entries[i]
	q := c.lanes[e.lane].queue
	return q != none && e.turn() < c.queues.list[q].drop
}

// heardQueue takes a message to a queue. One that was deleted before it is there again.
func (c *core) heardQueue(r *record.Row) {
	q := &c.queues.list[c.queueOf(r.Queue)]
	q.pending++
	if q.gone && r.Root == 0 && r.Seq >= q.drop {
		q.gone, q.paused, q.parallelism = false, false, 1
	}
}

// unheard notes that a message has ended.
func (c *core) unheard(l *record.Line) {
	if l.Queue != 0 {
		i := c.queueOf(l.Queue)
		c.queues.list[i].pending--
		c.dropQueue(i)
	}
	if l.Flow != 0 {
		i := c.flowOf(l.Flow)
		c.flows.list[i].pending--
		c.flows.pending--
		c.dropFlow(i)
	}
}

// commitQueue takes a committed state of a queue.
func (c *core) commitQueue(lsn uint64, p []byte) error {
	var r record.Queue
	if err := record.DecodeQueue(p, &r); err != nil {
		return fmt.Errorf("committed queue at %d: %w", lsn, err)
	}
	_, known := c.queues.byID[r.ID()]
	i := c.queueOf(r.ID())
	q := &c.queues.list[i]
	if r.Flags&record.QueueNew != 0 && known && !q.gone {
		return nil
	}
	c.setQueue(i, lsn, &r)
	return nil
}

// setQueue makes a queue what a record at lsn says.
func (c *core) setQueue(i uint32, lsn uint64, r *record.Queue) {
	q := &c.queues.list[i]
	q.paused = r.Flags&record.QueuePaused != 0
	q.gone = r.Flags&record.QueueGone != 0
	q.parallelism = int(r.Parallelism)
	if drop := r.DropBefore(lsn); drop > q.drop {
		q.drop = drop
		c.cancelTurns(i)
	}
	if !q.paused {
		for _, li := range q.parked {
			c.lanes[li].parked = false
			c.giveTurn(li)
			c.dropLane(li)
		}
		q.parked = nil
	}
	if q.lanes > 0 { // else it is one of those that publishes make, of which there may be many
		for li := range c.lanes {
			if l := &c.lanes[li]; l.used && l.queue == i {
				c.beginTurns(uint32(li))
			}
		}
		c.serveQueue(i)
	}
	c.dropQueue(i)
}

// cancelTurns cancels what has its turn in a queue that was deleted.
func (c *core) cancelTurns(qi uint32) {
	if c.queues.list[qi].open == 0 {
		return
	}
	for i := range c.entries {
		e := &c.entries[i]
		if e.state == stFree || e.flags&flagSlot == 0 || c.lanes[e.lane].queue != qi || !c.doomed(uint32(i)) {
			continue
		}
		switch {
		case e.state == stDeciding || e.state == stEnded || e.flags&flagCanceling != 0:
		case e.flags&flagMoving == 0:
			c.appendCancel(uint32(i))
		case e.state != stFlight: // stopMoving cancels it, and no attempt begins before
			c.withdraw(uint32(i))
			e.state = stDeciding
		}
	}
}
