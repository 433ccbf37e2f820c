package engine

import (
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/timerwheel"
)

// entryState is where a resident message stands.
//
//	(queues: stLine ──slot──▶)
//	stTimer ──due──▶ stReady ──permit──▶ stFlight ──outcome──▶ stDeciding
//	   ▲                                                          │ durable
//	   └────────────── retry, while there is room ────────────────┤
//	                                                              ▼
//	              stSpilled (a retry left to the index)   or   stEnded
//
// stSpilled and stEnded entries only wait for the index to catch up.
type entryState uint8

const (
	stFree entryState = iota
	stLine            // waits for its turn in its queue
	stTimer
	stReady
	stParked // of a queue: ready, and waits for its host or its flow-control key
	stFlight
	stDeciding
	stSpilled
	stEnded
)

// entry is a resident message: what is needed to attempt it and nothing more,
// without pointers, 88 bytes. Its body stays in the log.
type entry struct {
	seq, nonce, pos uint64
	due             int64
	gone            uint64 // stSpilled, stEnded: which retiree it is
	root            uint64 // record.Line.Root
	timer           timerwheel.Handle
	user            uint32
	length          uint32
	lane, host      uint32 // indexes
	flow            uint32 // index, or none
	prev, next      uint32 // in one list of its lane, host or key; next alone in the free list
	tries           uint16
	state           entryState
	flags           uint16
}

const (
	flagFlying    uint16 = 1 << iota // an attempt is under way, whatever the state says
	flagCanceling                    // a cancel is appended: the attempt's outcome no longer counts
	flagRetired                      // nothing waits for it but the end of its attempt, row read or move
	flagMoving                       // a copy of its record is appended: no outcome is, until that is committed
	flagUnlogged                     // due and tries are in memory only: it must stay there (full.go)
	flagYoung                        // its attempt is counted in core.pace
	flagSlot                         // it holds its root's slot in its queue, with others of that root
	flagAtFlow                       // stParked: it waits for its flow-control key, not for its host
	flagPull                         // of a pull queue: core.pulls.parts has what else its row keeps
)

// turn names what an entry's turn in its queue is known by.
func (e *entry) turn() uint64 {
	if e.root != 0 {
		return e.root
	}
	return e.seq
}

// row returns the entry's row as the index has it, or will have it once it has
// applied what is logged.
func (c *core) row(e *entry) record.Row {
	r := record.Row{
		User: e.user, Nonce: e.nonce, Seq: e.seq, Pos: e.pos, Len: e.length,
		Lane: c.lanes[e.lane].id, Host: c.hosts[e.host].id, Due: e.due, Tries: e.tries, Line: record.Line{Root: e.root},
	}
	if q := c.lanes[e.lane].queue; q != none {
		r.Queue = c.queues.list[q].id
	}
	if e.flags&flagPull != 0 {
		r.Pull = c.pulls.parts[e.seq]
	}
	if e.flow != none {
		r.Flow = c.flows.list[e.flow].id
	}
	if e.flags&flagUnlogged != 0 {
		l := c.unlogged[e.seq]
		r.Due, r.Tries = l.due, l.tries
	}
	return r
}

// admit makes a row resident in a state of the caller's choice and returns its
// slot.
func (c *core) admit(li uint32, r *record.Row, state entryState) uint32 {
	var i uint32
	if c.freeEntry != none {
		i = c.freeEntry
		c.freeEntry = c.entries[i].next
	} else {
		i = uint32(len(c.entries))
		c.entries = append(c.entries, entry{})
	}
	hi := c.hostOf(r.Host)
	c.entries[i] = entry{
		seq: r.Seq, nonce: r.Nonce, pos: r.Pos, due: r.Due, root: r.Root, user: r.User, length: r.Len,
		lane: li, host: hi, flow: none, prev: none, next: none, tries: r.Tries, state: state,
	}
	if r.Flow != 0 {
		c.entries[i].flow = c.flowOf(r.Flow)
		c.flows.list[c.entries[i].flow].entries++
	}
	if r.Pull.Published != 0 {
		c.entries[i].flags = flagPull
		c.pulls.parts[r.Seq] = r.Pull
	}
	c.bySeq[r.Seq] = i
	c.resident++
	c.hosts[hi].entries++
	c.lanes[li].resident++
	c.lanes[li].entries++
	return i
}

// arrange puts an entry that has become resident where it has to wait.
func (c *core) arrange(i uint32) {
	if c.lanes[c.entries[i].lane].queue != none {
		c.enqueue(i)
		return
	}
	c.schedule(i)
}

// schedule puts an entry where its due time says: into the wheel, or up for its
// turn.
func (c *core) schedule(i uint32) {
	c.wait(i, c.entries[i].due)
}

// wait puts an entry into the wheel until then, or up for its turn.
func (c *core) wait(i uint32, until int64) {
	if until <= c.now {
		c.makeReady(i)
		return
	}
	e := &c.entries[i]
	e.state = stTimer
	e.timer = c.wheel.Add(until, timerEntry|uint64(i))
	if e.flags&flagUnlogged != 0 {
		c.linkFront(&c.lanes[e.lane].waiting, i)
	} else {
		c.link(&c.lanes[e.lane].waiting, i)
	}
	c.wantPage(e.lane) // where enough was at hand, one that waits may change that
}

// makeReady puts an entry at the end of its lane's line.
func (c *core) makeReady(i uint32) {
	e := &c.entries[i]
	e.state = stDeciding // in no list
	if c.overdue(i) {
		return
	}
	e = &c.entries[i]
	e.state = stReady
	c.readied++
	c.link(&c.lanes[e.lane].ready, i)
	c.giveTurn(e.lane)
}

// withdraw takes an entry out of the wheel or its lane's line.
func (c *core) withdraw(i uint32) {
	e := &c.entries[i]
	switch e.state {
	case stTimer:
		if e.timer != 0 {
			c.wheel.Cancel(e.timer)
			e.timer = 0
		}
		c.unlink(&c.lanes[e.lane].waiting, i)
	case stReady:
		c.unlink(&c.lanes[e.lane].ready, i)
		c.staleTurn(e.lane)
	case stLine:
		c.unlink(&c.lanes[e.lane].line, i)
	case stParked:
		c.unpark(i)
	}
}

// list is a line of entries.
type list struct{ head, tail uint32 }

var emptyList = list{none, none}

func (c *core) link(l *list, i uint32) {
	e := &c.entries[i]
	e.prev, e.next = l.tail, none
	if l.tail == none {
		l.head = i
	} else {
		c.entries[l.tail].next = i
	}
	l.tail = i
}

func (c *core) linkFront(l *list, i uint32) { c.linkAfter(l, none, i) }

// linkAfter links an entry behind another, or at the front.
func (c *core) linkAfter(l *list, after, i uint32) {
	e := &c.entries[i]
	e.prev, e.next = after, l.head
	if after != none {
		e.next = c.entries[after].next
		c.entries[after].next = i
	} else {
		l.head = i
	}
	if e.next == none {
		l.tail = i
	} else {
		c.entries[e.next].prev = i
	}
}

func (c *core) unlink(l *list, i uint32) {
	e := &c.entries[i]
	if e.prev == none {
		l.head = e.next
	} else {
		c.entries[e.prev].next = e.next
	}
	if e.next == none {
		l.tail = e.prev
	} else {
		c.entries[e.next].prev = e.prev
	}
	e.prev, e.next = none, none
}

// leave takes an entry off the resident account: it has ended, or is left to the
// index. It stays until the index reflects that, which is after lsn.
func (c *core) leave(i uint32, state entryState, lsn uint64) {
	e := &c.entries[i]
	e.state, e.gone = state, c.retiring.push(i, lsn)
	c.resident--
	l := &c.lanes[e.lane]
	l.resident--
	c.endTurn(i)
	if l.hungry && l.resident == 0 {
		c.lineUp(e.lane)
	} else if l.spilled && l.resident < laneLowWater {
		c.wantPage(e.lane)
	}
}

// comeBack takes an entry that was left to the index onto the resident account
// again. The caller gives it another state.
func (c *core) comeBack(i uint32) {
	e := &c.entries[i]
	e.gone = 0
	e.flags &^= flagRetired
	c.resident++
	c.lanes[e.lane].resident++
}

// release frees an entry for good.
func (c *core) release(i uint32) {
	e := &c.entries[i]
	if e.flags&(flagFlying|flagMoving) != 0 || c.rowReads[e.seq] > 0 {
		e.flags |= flagRetired
		return
	}
	if !plant.Bug("seqs-are-kept") {
		delete(c.bySeq, e.seq)
	}
	delete(c.pulls.parts, e.seq)
	c.hosts[e.host].entries--
	c.dropHost(e.host)
	c.lanes[e.lane].entries--
	if e.flow != none {
		c.flows.list[e.flow].entries--
		c.dropFlow(e.flow)
	}
	c.dropLane(e.lane)
	*e = entry{next: c.freeEntry}
	c.freeEntry = i
}
