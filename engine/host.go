package engine

import "github.com/tidemill/tidemill/engine/plant"

// host is what is known of one destination host: how many attempts are under
// way, and whether it answers at all (L4).
type host struct {
	id       uint64
	inflight int
	entries  int
	failures int    // attempts in a row that got no response
	answered int64  // unix ms of the last response
	parked   parked // who waits for a permit here
	kept     bool   // in core.kept
	freed    bool   // in core.freedHosts
}

// A host that gave no response this many times in a row is probed by one attempt
// at a time until one is answered: half-open. Its messages keep their own retry
// times; what is withheld is concurrency.
const failuresToHalfOpen = 8

func (c *core) hostOf(id uint64) uint32 {
	if i, ok := c.byHost[id]; ok {
		return i
	}
	var i uint32
	if n := len(c.freeHost); n > 0 {
		i = c.freeHost[n-1]
		c.freeHost = c.freeHost[:n-1]
	} else {
		i = uint32(len(c.hosts))
		c.hosts = append(c.hosts, host{})
	}
	c.hosts[i] = host{id: id, parked: nobody}
	c.byHost[id] = i
	return i
}

// keptMax bounds the hosts that are remembered for failing alone: their messages
// may all wait beyond the horizon, and the next one is to be a probe.
const keptMax = 4096

// dropHost forgets a host that no entry refers to, if it is not half-open.
func (c *core) dropHost(i uint32) {
	h := &c.hosts[i]
	if h.entries > 0 {
		return
	}
	if h.failures < failuresToHalfOpen {
		c.forgetHost(i)
		return
	}
	if !h.kept {
		h.kept = true
		c.kept.push(i)
	}
	if c.kept.len() > keptMax {
		i = c.kept.pop()
		c.hosts[i].kept = false
		c.forgetHost(i)
	}
}

func (c *core) forgetHost(i uint32) {
	h := &c.hosts[i]
	if h.entries > 0 || h.inflight > 0 || h.parked.any() || h.kept || h.freed {
		return
	}
	if j, ok := c.byHost[h.id]; !ok || i != j {
		return
	}
	delete(c.byHost, h.id)
	*h = host{parked: nobody}
	c.freeHost = append(c.freeHost, i)
}

// A host that answered within the last provenFor ms may have its full cap in
// flight. Any other is held to one in freeShare of the permits that are still
// free: hosts that hang until their timeout, each with a full share, would
// otherwise hold all of delivery.parallelism; like this each of them takes a
// tenth of what the ones before it left. One first answer is enough to be proven.
const (
	provenFor = 10_000
	freeShare = 10
)

// permit says whether one more attempt may start. A first one is allowed to
// every host, and a host with nobody to share with is held to its own cap only.
func (c *core) permit(h *host) bool {
	free := c.opts.Parallelism - c.inflight
	switch {
	case free <= 0:
		return false
	case h.inflight == 0:
		return true
	case h.failures >= failuresToHalfOpen || h.inflight >= c.opts.HostParallelism:
		return false
	default:
		return c.proven(h) || h.inflight == c.inflight || h.inflight < free/freeShare
	}
}

// proven says whether the host answered a moment ago. An answer that lies ahead came
// before the clock was set back, nobody knows how long.
func (c *core) proven(h *host) bool {
	since := c.now - h.answered
	return 0 <= since && since < provenFor
}

// yield returns an attempt's permit.
func (c *core) yield(hi uint32, r *attemptResult) {
	c.inflight--
	h := &c.hosts[hi]
	h.inflight--
	switch {
	case r.interrupt: // says nothing about the host
	case r.answered:
		h.failures, h.answered = 0, c.now
	default:
		h.failures++
	}
	c.freeHosts(hi)
}

// quantum is what a lane may start in one turn; an attempt costs one, and one
// more for every costUnit bytes of its record.
const (
	quantum  = 8
	costUnit = 16 << 10
)

func cost(e *entry) int { return 1 + int(e.length)/costUnit }

// giveTurn puts a lane with ready messages into the round.
func (c *core) giveTurn(li uint32) {
	l := &c.lanes[li]
	if l.inTurn || l.parked || l.ready.head == none {
		return
	}
	l.inTurn = true
	c.turn.push(li)
}

// startReady gives lanes their turns while attempts may start.
func (c *core) startReady() {
	for c.turn.len() > 0 && c.mayStart() {
		li := c.turn.pop()
		l := &c.lanes[li]
		l.inTurn = false
		l.deficit = min(l.deficit+quantum, quantum)
		for l.ready.head != none && l.deficit > 0 && !l.parked && c.mayStart() {
			c.startHead(li)
		}
		if l.ready.head == none {
			l.deficit = 0
			c.dropLane(li)
			continue
		}
		c.giveTurn(li)
	}
}

func (c *core) mayStart() bool {
	return !c.stuck && c.inflight < c.opts.Parallelism && c.pace.young < c.pace.limit && c.undurable+len(c.held) < undurableMax && c.undurableBytes+c.heldBytes < undurableBytesMax
}

// startHead starts the lane's first message, or parks whoever has to wait for a host, a
// flow-control key or the end of a queue's pause, or sends the message back to the wheel
// when the clock was set back (T3).
func (c *core) startHead(li uint32) {
	l := &c.lanes[li]
	i := l.ready.head
	e := &c.entries[i]
	if e.due > c.now && !plant.Bug("clock-back-is-ignored") {
		c.withdraw(i)
		c.schedule(i)
		return
	}
	if l.queue != none && c.queues.list[l.queue].paused && !plant.Bug("pause-lets-the-ready-go") {
		l.parked = true
		q := &c.queues.list[l.queue]
		q.parked = append(q.parked, li)
		return
	}
	h := &c.hosts[e.host]
	switch {
	case !c.permit(h):
		c.park(li, i, &h.parked, 0)
		return
	case e.flow != none && c.flowRoom(e.flow) == 0:
		if l.flowAt == 0 {
			l.flowAt = c.now
		}
		c.park(li, i, &c.flows.list[e.flow].parked, flagAtFlow)
		return
	}
	c.withdraw(i)
	c.start(li, i)
}

// start begins an attempt.
func (c *core) start(li, i uint32) {
	l, e := &c.lanes[li], &c.entries[i]
	e.state = stFlight
	e.flags |= flagFlying
	c.hosts[e.host].inflight++
	c.inflight++
	c.began(i)
	if e.flow != none {
		c.drawFlow(e.flow)
	}
	l.deficit -= cost(e)
	cmd := startCommand{slot: i, row: c.row(e), due: e.due, attempt: int(e.tries) + 1, waited: c.now - e.due}
	if l.flowAt != 0 {
		cmd.heldUp = c.now - max(l.flowAt, e.due)
		cmd.waited -= cmd.heldUp
	}
	if l.ready.head == none {
		l.flowAt = 0
	}
	c.out.starts = append(c.out.starts, cmd)
}
