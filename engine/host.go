package engine

import (
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/timerwheel"
)

// host is what is known of one destination host: how many attempts are under
// way, and whether it answers at all (L4).
type host struct {
	id       uint64
	inflight int
	entries  int
	failures int   // attempts in a row that got no response
	answered int64 // unix ms of the last response
	took     int64 // what its responses take, ms x 8: a moving average
	wary     int   // of its attempts in flight, those that count against core.wary
	probe    int64 // half-open: no attempt before, unix ms
	timer    timerwheel.Handle
	parked   parked // who waits for a permit here
	kept     bool   // in core.kept
	freed    bool   // in core.freedHosts
	crowded  bool   // in core.crowdedHosts
	pull     bool   // it stands for a pull queue
}

// A host that gave no response this many times in a row is probed by one attempt
// at a time until one is answered: half-open. Its messages keep their own retry
// times; what is withheld is concurrency.
const failuresToHalfOpen = 8

func (c *core) hostOf(id uint64) uint32 {
	if i, ok := c.byHost[id]; ok {
		return i
	}
	i := takeSlot(&c.hosts, &c.freeHost)
	c.hosts[i] = host{id: id, parked: nobody}
	_, c.hosts[i].pull = c.pulls.byID[id]
	c.byHost[id] = i
	return i
}

// setFailures sets how many attempts in a row a host gave no response to, and keeps count
// of the hosts that fail.
func (c *core) setFailures(h *host, n int) {
	for _, at := range [...]struct{ failures, by int }{{h.failures, -1}, {n, 1}} {
		switch {
		case at.failures >= failuresToHalfOpen:
			c.halfOpen += at.by
		case at.failures > 0:
			c.failing += at.by
		}
	}
	h.failures = n
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
	if h.entries > 0 || h.inflight > 0 || h.parked.any() || h.kept || h.freed || h.crowded || h.timer != 0 {
		return
	}
	if j, ok := c.byHost[h.id]; !ok || i != j {
		return
	}
	delete(c.byHost, h.id)
	c.setFailures(h, 0)
	*h = host{parked: nobody}
	c.freeHost = append(c.freeHost, i)
}

// Permits are what hosts compete for, and what a host takes of them is how long its
// attempts last. So there are two kinds of hosts:
//
//   - quick ones, which answered within the last quickFor ms, and in quickMillis on
//     average: each may have its full cap;
//   - all others, slow, silent or not known yet, share waryPart of ten of the permits.
//     Each may hold one in waryShare of those that are free among them, so hosts that hang
//     until their timeout leave room for one another, and a first one even beyond, up to
//     firstPart of ten; one answer in time is enough to be quick.
//
// A host with nobody to share with is held to its own cap only.
const (
	quickFor    = 10_000
	quickMillis = 200
	waryPart    = 5
	firstPart   = 9
	waryShare   = 10
)

// permit says whether one more attempt may start.
func (c *core) permit(h *host) bool {
	free := c.parallelism - c.inflight
	switch {
	case free <= 0 || h.pull && c.resting(h):
		return false
	case h.failures >= failuresToHalfOpen:
		return h.inflight == 0 && c.now >= h.probe
	case h.inflight == c.inflight: // nobody else has any
		return h.inflight < c.hostMax(h)
	case c.quick(h):
		return h.inflight < c.hostMax(h)
	}
	if h.inflight == 0 {
		return c.wary < c.waryFirst()
	}
	left := c.parallelism*waryPart/10 - c.wary
	return h.inflight < min(c.hostMax(h), left/waryShare)
}

// hostMax is how many attempts a host may have in flight, whoever else has some.
func (c *core) hostMax(h *host) int {
	if h.pull {
		return c.pushMax(h)
	}
	return c.hostParallelism
}

// waryFirst is how many permits the hosts that are not quick may have between them.
func (c *core) waryFirst() int { return max(1, c.parallelism*firstPart/10) }

// quick says whether the host answered a moment ago, and soon. An answer that lies ahead
// came before the clock was set back, nobody knows how long.
func (c *core) quick(h *host) bool {
	since := c.now - h.answered
	return 0 <= since && since < quickFor && h.took < 8*quickMillis
}

// A half-open host is probed so often that its next answer is noticed within a second.
const (
	probeStep = 20 // ms for each failure in a row
	probeMax  = 1000
)

// waitForHost sees to it that those are woken who wait for a host, where no attempt there
// ends that would do it: the wheel does for a half-open one, and for one that has no
// attempt in flight since others have all permits, whoever gives one back.
func (c *core) waitForHost(i uint32) {
	h := &c.hosts[i]
	switch {
	case h.failures < failuresToHalfOpen:
		if h.inflight == 0 && !h.crowded {
			h.crowded = true
			c.crowdedHosts.push(i)
		}
	case h.timer == 0 && c.now < h.probe:
		h.timer = c.wheel.Add(h.probe, timerHost|uint64(i))
	}
}

// freeCrowded notes hosts that found no permit, as many as there are permits now.
func (c *core) freeCrowded() {
	for n := min(c.waryFirst()-c.wary, c.crowdedHosts.len()); n > 0; n-- {
		i := c.crowdedHosts.pop()
		c.hosts[i].crowded = false
		c.freeHosts(i)
		c.dropHost(i)
	}
}

// probeDue takes a host's timer.
func (c *core) probeDue(i uint32) {
	c.hosts[i].timer = 0
	c.freeHosts(i)
	c.dropHost(i)
}

// rearmHosts puts all timers into a new wheel. The clock was set back: the probes come
// sooner rather than too late.
func (c *core) rearmHosts() {
	for i := range c.hosts {
		h := &c.hosts[i]
		h.probe = min(h.probe, c.now+probeMax)
		if h.timer != 0 {
			h.timer = c.wheel.Add(h.probe, timerHost|uint64(i))
		}
	}
}

// yield returns an attempt's permit.
func (c *core) yield(hi uint32, r *attemptResult) {
	c.inflight--
	h := &c.hosts[hi]
	h.inflight--
	if h.wary > 0 {
		h.wary--
		c.wary--
	}
	switch {
	case r.interrupt: // says nothing about the host
	case r.answered:
		c.setFailures(h, 0)
		h.answered = c.now
		h.took += int64(r.outcome.Took) - h.took/8
	default:
		c.setFailures(h, h.failures+1)
		h.probe = c.now + min(probeMax, int64(h.failures)*probeStep)
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
	if c.pulled(l) {
		q := &c.pulls.list[l.pull]
		q.turn.push(li)
		if len(q.waiting) > 0 {
			c.wantServe(l.pull)
		}
		return
	}
	c.turn.push(li)
}

// startReady gives lanes their turns while attempts may start.
func (c *core) startReady() {
	for c.turn.len() > 0 && c.mayStart() {
		li := c.turn.pop()
		l := &c.lanes[li]
		l.inTurn = false
		if c.pulled(l) { // its queue had a webhook until now
			c.giveTurn(li)
			c.dropLane(li)
			continue
		}
		l.deficit = min(l.deficit+quantum, quantum)
		if l.woken { // others were, too, by as many permits as there are: one each comes first
			l.woken, l.deficit = false, 1
		}
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
	return !c.stuck && c.inflight < c.parallelism && c.pace.young < c.pace.limit && c.undurable+len(c.held) < undurableMax && c.undurableBytes+c.heldBytes < undurableBytesMax
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
	if e.flags&flagPull != 0 && c.overdue(i) {
		return
	}
	h := &c.hosts[e.host]
	switch {
	case !c.permit(h):
		c.waitForHost(e.host)
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
	h := &c.hosts[e.host]
	quick := c.quick(h)
	if !quick {
		h.wary++
		c.wary++
	}
	h.inflight++
	c.inflight++
	if quick {
		c.began(i) // others leave the processor alone
	}
	if e.flow != none {
		c.drawFlow(e.flow)
	}
	l.deficit -= cost(e)
	c.waits.began(c.now - e.due)
	cmd := startCommand{slot: i, row: c.row(e), due: e.due, attempt: int(e.tries) + 1, waited: c.now - e.due}
	if l.flowAt != 0 {
		cmd.heldUp = c.now - max(l.flowAt, e.due)
		cmd.waited -= cmd.heldUp
	}
	if l.ready.head == none {
		l.flowAt = 0
	}
	c.tally.started(&cmd)
	c.out.starts = append(c.out.starts, cmd)
}
