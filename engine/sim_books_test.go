package engine

import (
	"slices"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// checkBooks is S10: what the core counts is what there is, whoever has work has
// a way to get its turn, and the invariant that ties memory to the index holds.
func (s *sim) checkBooks() {
	s.checkEntries()
	s.checkLanes()
	s.checkGauges()
	s.checkTurns()
	s.checkLag()
	s.checkSchedules()
	s.checkPullCounts()
	if err := s.e.idx.Lanes(s.checkRows); err != nil {
		s.fail("S10: lanes: %v", err)
	}
	if err := s.e.idx.DeadLetters(1, 0, false, s.checkDead); err != nil {
		s.fail("S11: dead letters: %v", err)
	}
}

// books are counts taken from the entries.
type books struct {
	entries, unlogged                             int
	resident, flying                              int
	laneResident, laneEntries, hostEntries, flown map[uint32]int
}

func (s *sim) checkEntries() {
	c := s.e.core
	b := books{laneResident: map[uint32]int{}, laneEntries: map[uint32]int{}, hostEntries: map[uint32]int{}, flown: map[uint32]int{}}
	for i := range c.entries {
		if c.entries[i].state != stFree {
			b.entries++
			s.count(&b, uint32(i))
		}
	}
	if len(c.bySeq) != b.entries {
		s.fail("S9: %d messages can be found, %d have an entry", len(c.bySeq), b.entries)
	}
	if b.resident != c.resident || b.flying != c.inflight {
		s.fail("S10: %d resident and %d in flight, the core counts %d and %d", b.resident, b.flying, c.resident, c.inflight)
	}
	if b.unlogged != len(c.unlogged) {
		s.fail("S10: %d messages with retries in memory only, the core knows %d", b.unlogged, len(c.unlogged))
	}
	for i := range c.lanes {
		if l := &c.lanes[i]; l.used && (l.resident != b.laneResident[uint32(i)] || l.entries != b.laneEntries[uint32(i)]) {
			s.fail("S10: lane %x has %d resident of %d entries, it counts %d of %d",
				l.id, b.laneResident[uint32(i)], b.laneEntries[uint32(i)], l.resident, l.entries)
		}
	}
	for i := range c.hosts {
		if h := &c.hosts[i]; h.entries != b.hostEntries[uint32(i)] || h.inflight != b.flown[uint32(i)] {
			s.fail("S10: host %x has %d entries, %d in flight, it counts %d and %d",
				h.id, b.hostEntries[uint32(i)], b.flown[uint32(i)], h.entries, h.inflight)
		}
	}
}

func (s *sim) count(b *books, i uint32) {
	c := s.e.core
	e := &c.entries[i]
	if c.bySeq[e.seq] != i {
		s.fail("S10: the entry of %d is not the one it is found under", e.seq)
	}
	b.laneEntries[e.lane]++
	b.hostEntries[e.host]++
	if e.flags&flagUnlogged != 0 {
		b.unlogged++
		if e.state == stSpilled || e.state == stEnded {
			s.fail("S10: the retries of %d are in memory only, and it is left to the index", e.seq)
		}
	}
	if e.flags&flagFlying != 0 {
		b.flying++
		b.flown[e.host]++
	}
	if e.state == stSpilled || e.state == stEnded {
		return
	}
	b.resident++
	b.laneResident[e.lane]++
	if e.state == stTimer && e.timer == 0 || e.gone != 0 {
		s.fail("S10: the entry of %d waits for nothing", e.seq)
	}
}

// checkLanes: whoever has work has a way to get its turn.
func (s *sim) checkLanes() {
	c := s.e.core
	parked := s.parkedLanes()
	for i := range c.lanes {
		l := &c.lanes[i]
		switch {
		case !l.used:
		case l.parked != parked[uint32(i)]:
			s.fail("S10: lane %x is parked: %v, somewhere: %v", l.id, l.parked, parked[uint32(i)])
		case l.ready.head != none && !l.inTurn && !l.parked:
			s.fail("S10: lane %x has ready messages and no turn", l.id)
		case l.spilled && l.timer == 0 && !l.hungry && !l.paging && c.pageTime(l) != never:
			s.fail("S10: lane %x is spilled and nothing wakes it", l.id)
		case l.entries == 0 && !l.spilled && !l.inTurn && !l.parked && !l.hungry && !l.paging && l.inLine == [2]bool{} && !l.inQ && !l.inDrop && len(l.open) == 0:
			s.fail("S10: lane %x is empty and kept", l.id)
		case l.queue == none && (l.line.head != none || len(l.open) > 0):
			s.fail("S10: lane %x is no queue's and has turns", l.id)
		}
	}
}

// checkGauges: what the core counts along, so that operators can be told without a walk.
func (s *sim) checkGauges() {
	c := s.e.core
	var spilled, failing, halfOpen, pending int
	var waiting [2]int
	note := func(p *parked) {
		waiting[p.at] += p.lanes.len()
		for i := p.entries.head; i != none; i = c.entries[i].next {
			waiting[p.at]++
		}
	}
	for i := range c.lanes {
		if c.lanes[i].spilled {
			spilled++
		}
	}
	for i := range c.hosts {
		switch n := c.hosts[i].failures; {
		case n >= failuresToHalfOpen:
			halfOpen++
		case n > 0:
			failing++
		}
		note(&c.hosts[i].parked)
	}
	for i := range c.flows.list {
		pending += c.flows.list[i].pending
		note(&c.flows.list[i].parked)
	}
	if spilled != c.spilledLanes || failing != c.failing || halfOpen != c.halfOpen {
		s.fail("S10: %d lanes are spilled, %d hosts fail, %d are half-open; the core counts %d, %d and %d",
			spilled, failing, halfOpen, c.spilledLanes, c.failing, c.halfOpen)
	}
	if pending != c.flows.pending || waiting != c.waiting {
		s.fail("S10: %d messages have a flow-control key and %v are parked; the core counts %d and %v", pending, waiting, c.flows.pending, c.waiting)
	}
}

// parkedLanes returns the lanes that wait for a permit, each of which must come.
func (s *sim) parkedLanes() map[uint32]bool {
	c, lanes := s.e.core, map[uint32]bool{}
	note := func(p *parked, comes bool, what string, id uint64) {
		for _, li := range p.lanes.buf[p.lanes.head:] {
			lanes[li] = true
		}
		if p.any() && !comes {
			s.fail("S10: somebody waits at %s %x, which has nothing to wait for", what, id)
		}
	}
	for i := range c.hosts {
		h := &c.hosts[i]
		note(&h.parked, h.inflight > 0 || h.freed || h.crowded || h.timer != 0 || h.pull && c.resting(h), "host", h.id)
	}
	for i := range c.flows.list {
		f := &c.flows.list[i]
		note(&f.parked, f.inflight > 0 || f.freed || f.busy || f.timer != 0 || f.flags&record.FlowPaused != 0 || c.scarce(), "key", f.id)
	}
	for i := range c.queues.list {
		q := &c.queues.list[i]
		if len(q.parked) > 0 && !q.paused {
			s.fail("S10: somebody waits for queue %x to be resumed, and it is not paused", q.id)
		}
		for _, li := range q.parked {
			lanes[li] = true
		}
	}
	return lanes
}

// checkTurns: what queues and keys count is what there is, and no turn waits for nothing.
func (s *sim) checkTurns() {
	c := s.e.core
	holders, flown, entries := map[uint64]int{}, map[uint32]int{}, map[uint32]int{}
	for i := range c.entries {
		e := &c.entries[i]
		if e.state == stFree {
			continue
		}
		if e.flags&flagSlot != 0 {
			holders[e.turn()]++
		}
		if e.flow != none {
			entries[e.flow]++
			if e.flags&flagFlying != 0 {
				flown[e.flow]++
			}
		}
	}
	open := map[uint32]int{}
	for i := range c.lanes {
		if l := &c.lanes[i]; l.used && l.queue != none {
			s.checkTurnsOf(l, holders)
			open[l.queue] += len(l.open)
		}
	}
	for i := range c.queues.list {
		if q := &c.queues.list[i]; q.open != open[uint32(i)] {
			s.fail("S10: queue %x counts %d turns, its lanes have %d", q.id, q.open, open[uint32(i)])
		}
	}
	for i := range c.flows.list {
		f := &c.flows.list[i]
		if f.inflight+f.pardoned != flown[uint32(i)] || f.entries != entries[uint32(i)] {
			s.fail("S10: key %x counts %d and %d in flight of %d, there are %d of %d", f.id, f.inflight, f.pardoned, f.entries, flown[uint32(i)], entries[uint32(i)])
		}
	}
}

func (s *sim) checkTurnsOf(l *lane, holders map[uint64]int) {
	c := s.e.core
	q := &c.queues.list[l.queue]
	for _, k := range l.open {
		t, ok := c.queues.turns[k]
		switch {
		case !ok || t.holders != holders[k]:
			s.fail("S10: turn %d counts %d holders, there are %d", k, t.holders, holders[k])
		case t.holders == 0 && !c.outside(l, k):
			s.fail("S10: turn %d is over and holds its slot", k)
		}
	}
	i := l.line.head
	if i == none || c.entries[i].flags&flagMoving != 0 {
		return
	}
	k := c.entries[i].turn()
	switch {
	case k < q.drop:
		if !l.inDrop {
			s.fail("S10: message %d of a queue that was deleted stays", c.entries[i].seq)
		}
	case slices.ContainsFunc(l.going, func(before uint64) bool { return before < k }):
	case q.paused || len(l.open) > 0 && !l.wide || len(l.open) >= q.parallelism || q.open >= q.parallelism && l.inQ ||
		l.spilled && k > uint64(l.frontier.Due):
	default:
		s.fail("S10: message %d could have its turn in queue %x (%d of %d) and has not", c.entries[i].seq, q.id, q.open, q.parallelism)
	}
}

// checkRows: every row of the index has an entry or lies beyond its lane's
// frontier, and the lane's summary is right.
func (s *sim) checkRows(l index.Lane) error {
	if len(s.e.inbox.events) > 0 {
		return nil // what the core has not been told it cannot know
	}
	p, err := s.e.idx.ReadPage(l.ID, index.Cursor{}, 1<<62, 1<<30, nil)
	if err != nil {
		return err
	}
	if uint64(len(p.Rows)) != l.Count {
		s.fail("S10: lane %x has %d rows, its summary counts %d", l.ID, len(p.Rows), l.Count)
	}
	c := s.e.core
	for i := range p.Rows {
		r := &p.Rows[i]
		s.checkStands(r.Pos, int(r.Len))
		if r.Due < l.First {
			s.fail("S10: lane %x has a row before the first that its summary names", l.ID)
		}
		if j, ok := c.bySeq[r.Seq]; ok && (c.entries[j].state != stSpilled || c.entries[j].due != r.Due) {
			continue
		}
		li, ok := c.byLane[l.ID]
		if !ok || !c.lanes[li].spilled || (index.Cursor{Due: r.Due, Seq: r.Seq}).Before(c.lanes[li].frontier) {
			s.fail("S10: message %d, due %d, has no entry and lies before its lane's frontier", r.Seq, r.Due)
		}
	}
	return nil
}
