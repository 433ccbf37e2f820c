package engine

import (
	"math"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/timerwheel"
)

// lane is one line of messages that take turns with other lanes (L1): those of a queue
// (or of one ordering key in it), of a flow-control key and a host, or of a host alone.
type lane struct {
	id    uint64
	used  bool
	queue uint32 // index, or none
	flow  uint32 // index, or none: of all its messages
	pull  uint32 // index, or none
	wide  bool   // of a queue: may hold several slots; else those of an ordering key, one

	ready   list  // entries that are due
	waiting list  // entries in the wheel
	deficit int   // deficit round robin
	inTurn  bool  // in core.turn
	parked  bool  // in the parked ring of a host, a key or a paused queue
	woken   bool  // was woken for a permit: its first turn is one attempt
	flowAt  int64 // unix ms: since when its key holds it up, 0 if it does not

	line   list     // of a queue: entries without a slot, in their order
	open   []uint64 // of a queue: the turns that have a slot, in no order
	going  []uint64 // of a queue: turns that end before they begin, as soon as that is durable
	inQ    bool     // in its queue's ring of lanes that want a slot
	inDrop bool     // in queues.drops

	resident int // entries that count against the lane's share
	entries  int // all entries, retiring ones included

	// spilled: the index holds pending messages of this lane that have no entry,
	// none of them before frontier (L3).
	spilled  bool
	frontier index.Cursor
	timer    timerwheel.Handle // when frontier comes within the horizon or, while hungry, is due

	hungry bool         // wants a page
	inLine [2]bool      // in core.line: at most once in each
	paging bool         // a page is under way
	behind bool         // something was left to the index while it was
	after  index.Cursor // the first of it
}

// laneOf returns the index of a row's lane, which it makes if need be.
func (c *core) laneOf(r *record.Row) uint32 {
	if i, ok := c.byLane[r.Lane]; ok {
		return i
	}
	i := takeSlot(&c.lanes, &c.freeLane)
	l := lane{id: r.Lane, used: true, queue: none, flow: none, pull: c.pullAt(r.Lane, r.Queue), ready: emptyList, waiting: emptyList, line: emptyList}
	switch {
	case r.Queue != 0:
		l.queue, l.wide = c.queueOf(r.Queue), r.Lane == r.Queue || l.pull != none && plant.Bug("group-has-many-turns")
		c.queues.list[l.queue].lanes++
	case r.Flow != 0:
		l.flow = c.flowOf(r.Flow)
		c.flows.list[l.flow].lanes++
	}
	if l.pull != none {
		c.pulls.list[l.pull].lanes++
	}
	c.lanes[i] = l
	c.byLane[r.Lane] = i
	return i
}

// dropLane forgets a lane that holds nothing: idle lanes cost no memory (L2).
func (c *core) dropLane(i uint32) {
	l := &c.lanes[i]
	if !l.used || l.entries > 0 || l.spilled || l.inTurn || l.parked || l.hungry || l.paging || l.inLine != [2]bool{} || l.inQ || l.inDrop || len(l.open) > 0 {
		return
	}
	delete(c.byLane, l.id)
	queue, flow, pull := l.queue, l.flow, l.pull
	*l = lane{}
	c.freeLane = append(c.freeLane, i)
	if queue != none {
		c.queues.list[queue].lanes--
		c.dropQueue(queue)
	}
	if flow != none {
		c.flows.list[flow].lanes--
		c.dropFlow(flow)
	}
	if pull != none {
		c.pulls.list[pull].lanes--
		c.dropPull(pull)
	}
}

// cursorOf returns a row's place among those of its lane.
func cursorOf(r *record.Row) index.Cursor { return index.Cursor{Due: r.Order(), Seq: r.Seq} }

// place decides where a message that has just become pending, or has become so
// again, lives until it is due: in memory, when it is near, its lane is not
// spilled before it, and there is room; else in the index alone.
func (c *core) place(r *record.Row) (resident bool) {
	li := c.laneOf(r)
	if !c.keeps(li, r) {
		c.spill(li, cursorOf(r))
		return false
	}
	return true
}

// keeps says whether a row may become resident.
func (c *core) keeps(li uint32, r *record.Row) bool {
	l := &c.lanes[li]
	if r.Pull.Lease != 0 && c.room(l) > 0 {
		return true // somebody is about to say what becomes of it
	}
	if l.queue == none && r.Due > c.now+horizon || l.spilled && !cursorOf(r).Before(l.frontier) {
		return false
	}
	if c.room(l) <= 0 {
		c.squeeze(l)
	}
	return c.room(l) > 0 || c.swap(li, r)
}

// swap makes room in a lane by leaving to the index one of its own messages that
// is due later, or whose turn is: those that wait never hold up one that is due.
func (c *core) swap(li uint32, r *record.Row) bool {
	l := &c.lanes[li]
	switch {
	case !c.spillable(l):
		return false
	case l.queue != none:
		if c.entries[l.line.tail].turn() <= uint64(r.Order()) {
			return false
		}
	case c.entries[l.waiting.tail].due <= max(r.Due, c.now):
		return false
	}
	c.evict(li, 1)
	return true
}

// room returns how many messages a lane may take in (L2). A lane may hold as many
// as are still free to all, so N lanes that want all they can get share the
// budget evenly and leave one share for the next one (dynamic thresholds). One
// message per lane is always allowed.
func (c *core) room(l *lane) int {
	free := c.opts.Resident - c.resident
	if plant.Bug("lane-takes-all-room") {
		free = c.opts.Resident
	}
	n := min((free-l.resident+1)/2, laneResidentMax-l.resident)
	if n <= 0 && l.resident == 0 {
		return 1
	}
	return n
}

// squeezeMax bounds the lanes that one call looks at.
const squeezeMax = 64

// squeeze makes room for a lane that has less than an even share of the budget,
// by leaving to the index what others hold beyond theirs: a lane that came when
// memory was empty, and whose host does not answer, would keep it for ever.
func (c *core) squeeze(l *lane) {
	share := max(1, c.opts.Resident/(len(c.byLane)+1))
	for n := min(squeezeMax, len(c.lanes)); n > 0 && l.resident < share && c.opts.Resident-c.resident < share; n-- {
		c.squeezed = (c.squeezed + 1) % len(c.lanes)
		v := &c.lanes[c.squeezed]
		if v.used && v.resident > share {
			c.evict(uint32(c.squeezed), v.resident-share)
		}
	}
}

// evict leaves up to n of a lane's messages to the index: those that are not due
// yet first, then from the end of its line. Those of a queue that have their turn stay.
func (c *core) evict(li uint32, n int) {
	l := &c.lanes[li]
	for ; n > 0; n-- {
		i := l.waiting.tail
		if l.queue != none {
			i = l.line.tail
		} else if !c.spillable(l) {
			i = l.ready.tail
		}
		if i == none || c.entries[i].flags&flagUnlogged != 0 {
			return
		}
		c.withdraw(i)
		r := c.row(&c.entries[i])
		c.spill(li, cursorOf(&r))
		c.leave(i, stSpilled, c.seen)
	}
}

// spill notes that a message is left to the index.
func (c *core) spill(li uint32, at index.Cursor) {
	l := &c.lanes[li]
	if !l.spilled || at.Before(l.frontier) {
		c.setSpilled(l, true)
		l.frontier = at
		c.armLane(li)
	}
	if l.paging && (!l.behind || at.Before(l.after)) {
		l.behind, l.after = true, at
	}
}

// setSpilled notes whether the index holds messages of a lane that have no entry.
func (c *core) setSpilled(l *lane, now bool) {
	switch {
	case now && !l.spilled:
		c.spilledLanes++
	case l.spilled && !now:
		c.spilledLanes--
	}
	l.spilled = now
}

// armLane sees to it that the lane pages when its frontier comes near.
func (c *core) armLane(li uint32) {
	l := &c.lanes[li]
	if l.timer != 0 {
		c.wheel.Cancel(l.timer)
		l.timer = 0
	}
	if !l.spilled || l.paging {
		return
	}
	c.wantPage(li)
}

// wantPage queues a lane for a page. One that is in line already may find no room
// before its frontier is due, when what is due takes the place of what only waits:
// the wheel says when.
func (c *core) wantPage(li uint32) {
	l := &c.lanes[li]
	if l.paging || !l.spilled {
		return
	}
	if l.hungry {
		c.alarm(li)
		return
	}
	if at := c.pageTime(l); at > c.now {
		if l.timer != 0 {
			c.wheel.Cancel(l.timer)
			l.timer = 0
		}
		if at != never && !plant.Bug("lane-is-never-woken") {
			l.timer = c.wheel.Add(at, timerLane|uint64(li))
		}
		return
	}
	l.hungry = true
	c.reads(l, 1)
	c.lineUp(li)
	c.alarm(li)
}

// alarm arms a hungry lane's timer for when its frontier is due.
func (c *core) alarm(li uint32) {
	l := &c.lanes[li]
	if l.queue == none && l.timer == 0 && l.frontier.Due > c.now {
		l.timer = c.wheel.Add(l.frontier.Due, timerLane|uint64(li))
	}
}

// laneDue takes a lane's timer: it wants a page or, being in line for one, goes before
// those whose frontier only comes near.
func (c *core) laneDue(li uint32) {
	l := &c.lanes[li]
	l.timer = 0
	if l.hungry && !l.inLine[0] {
		l.inLine[0] = true
		c.line[0].push(li)
		return
	}
	c.wantPage(li)
}

// lineUp puts a hungry lane in line: before all others while it holds nothing.
func (c *core) lineUp(li uint32) {
	l := &c.lanes[li]
	line := min(l.resident, 1)
	if !l.inLine[line] {
		l.inLine[line] = true
		c.line[line].push(li)
	}
}

// never is the page time of a lane that has enough at hand.
const never = 1<<63 - 1

// pageTime returns when a spilled lane wants its next page: when its frontier
// comes within the horizon or, while it has enough, when that is due itself and
// could take the place of a message that only waits.
func (c *core) pageTime(l *lane) int64 {
	switch {
	case l.queue != none:
		if l.resident < laneLowWater || c.spillable(l) && uint64(l.frontier.Due) < c.entries[l.line.tail].turn() {
			return 0
		}
		return never
	case l.resident < laneLowWater:
		return l.frontier.Due - horizon
	case c.spillable(l):
		return l.frontier.Due
	default:
		return never
	}
}

// pageMin is the smallest page: rows that have an entry already take no room.
const pageMin = 64

// pageSize returns how many rows to read for a lane, 0 if it may take in none.
func (c *core) pageSize(l *lane) int {
	room := c.room(l)
	if room <= 0 {
		return 0
	}
	return min(max(room, pageMin), pageMax)
}

// hungryMax bounds the lanes that one step looks at for a page.
const hungryMax = 64

// askPages asks for pages while the reader and the budget allow it.
func (c *core) askPages() {
	for n := min(c.line[0].len()+c.line[1].len(), hungryMax); n > 0 && c.pagesAsked-c.pagesDone < pagesInFlight; n-- {
		line := 0
		if c.line[0].len() == 0 {
			line = 1
		}
		li := c.line[line].pop()
		l := &c.lanes[li]
		l.inLine[line] = false
		if !l.hungry { // it was served from the other line
			c.dropLane(li)
			continue
		}
		if c.room(l) <= quantum {
			c.squeeze(l)
		}
		limit, maxDue := c.pageSize(l), c.now+horizon
		if limit <= 0 && c.spillable(l) && l.queue == none && l.frontier.Due <= c.now {
			limit, maxDue = pageMax, c.now
		}
		if l.queue != none {
			maxDue = math.MaxInt64
			if limit <= 0 && c.pageTime(l) == 0 && c.spillable(l) && uint64(l.frontier.Due) < c.entries[l.line.tail].turn() {
				limit = pageMin
			}
		}
		if limit <= 0 {
			c.lineUp(li)
			continue
		}
		l.hungry, l.paging, l.behind = false, true, false
		c.pagesAsked++
		c.out.pages = append(c.out.pages, pageCommand{
			slot: li, lane: l.id, from: l.frontier, maxDue: maxDue, limit: limit, after: c.committed,
		})
	}
}

// paged takes a page that came back. The lane moves its frontier past what is
// resident now; what was left to the index meanwhile holds it back.
func (c *core) paged(li uint32, p *index.Page) {
	c.pagesDone++
	l := &c.lanes[li]
	next, more := p.Next, p.More
	for i := range p.Rows {
		r := &p.Rows[i]
		if !c.load(li, r) {
			next, more = cursorOf(r), true
			break
		}
		l = &c.lanes[li]
	}
	l.paging = false
	c.reads(l, -1)
	if l.behind && !plant.Bug("page-forgets-what-came-behind") && (!more || l.after.Before(next)) {
		next, more = l.after, true
	}
	c.setSpilled(l, more)
	l.frontier, l.behind = next, false
	c.armLane(li)
	c.paging(li)
	c.dropLane(li)
}

// load makes a row of a page resident. It is false when there is no room.
func (c *core) load(li uint32, r *record.Row) bool {
	i, known := c.bySeq[r.Seq]
	if !known {
		if c.room(&c.lanes[li]) <= 0 && !c.swap(li, r) {
			return false
		}
		c.arrange(c.admit(li, r, stTimer))
		return true
	}
	e := &c.entries[i]
	if e.state != stSpilled || e.due != r.Due {
		return true // resident already, or the page shows a row that has ended since
	}
	if c.room(&c.lanes[li]) <= 0 && !c.swap(li, r) {
		return false
	}
	c.comeBack(i)
	c.arrange(i)
	return true
}
