package engine

import "github.com/tidemill/tidemill/engine/index"

// checkBooks is S10: what the core counts is what there is, whoever has work has
// a way to get its turn, and the invariant that ties memory to the index holds.
func (s *sim) checkBooks() {
	s.checkEntries()
	s.checkLanes()
	s.checkSchedules()
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
	parked := map[uint32]bool{}
	for i := range c.hosts {
		for _, li := range c.hosts[i].parked {
			parked[li] = true
			if c.hosts[i].inflight == 0 {
				s.fail("S10: lane %x is parked at a host that has nothing in flight", c.lanes[li].id)
			}
		}
	}
	for i := range c.lanes {
		l := &c.lanes[i]
		switch {
		case !l.used:
		case l.parked != parked[uint32(i)]:
			s.fail("S10: lane %x is parked: %v, at a host: %v", l.id, l.parked, parked[uint32(i)])
		case l.ready.head != none && !l.inTurn && !l.parked:
			s.fail("S10: lane %x has ready messages and no turn", l.id)
		case l.spilled && l.timer == 0 && !l.hungry && !l.paging && c.pageTime(l) != never:
			s.fail("S10: lane %x is spilled and nothing wakes it", l.id)
		case l.entries == 0 && !l.spilled && !l.inTurn && !l.parked && !l.hungry && !l.paging && l.inLine == [2]bool{}:
			s.fail("S10: lane %x is empty and kept", l.id)
		}
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
