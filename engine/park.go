package engine

import "github.com/tidemill/tidemill/engine/plant"

// parked are those who wait for permits of a host or of a flow-control key: whole lanes,
// and single entries of queues, since what stands behind them in their lane may go
// elsewhere. One that waits costs nothing until a permit is there for it.
type parked struct {
	lanes   ring
	entries list
	at      uint8 // what is waited for here
}

const (
	waitsAtHost = 0
	waitsAtKey  = 1
)

var (
	nobody      = parked{entries: emptyList}
	nobodyAtKey = parked{entries: emptyList, at: waitsAtKey}
)

func (p *parked) any() bool { return p.lanes.len() > 0 || p.entries.head != none }

// park has a lane wait, or its first entry if it is a queue's.
func (c *core) park(li, i uint32, p *parked, at uint16) {
	l, e := &c.lanes[li], &c.entries[i]
	c.waiting[p.at]++
	if l.queue == none {
		l.parked = true
		p.lanes.push(li)
		return
	}
	c.unlink(&l.ready, i)
	e.state = stParked
	e.flags = e.flags&^flagAtFlow | at
	c.link(&p.entries, i)
}

// unpark takes an entry out of what it waits in.
func (c *core) unpark(i uint32) {
	e := &c.entries[i]
	if e.flags&flagAtFlow != 0 {
		e.flags &^= flagAtFlow
		c.waiting[waitsAtKey]--
		c.unlink(&c.flows.list[e.flow].parked.entries, i)
		return
	}
	c.waiting[waitsAtHost]--
	c.unlink(&c.hosts[e.host].parked.entries, i)
}

// wake gives up to n of those who wait their turn, and returns how many.
func (c *core) wake(p *parked, n int) (woken int) {
	for ; woken < n && p.any(); woken++ {
		if i := p.entries.head; i != none {
			c.unpark(i)
			c.makeReady(i)
			continue
		}
		li := p.lanes.pop()
		c.waiting[p.at]--
		c.lanes[li].parked, c.lanes[li].woken = false, true
		if !plant.Bug("lane-loses-its-turn") {
			c.giveTurn(li)
		}
		c.dropLane(li)
	}
	return woken
}

// freeHosts notes that a host may have permits for those who wait.
func (c *core) freeHosts(i uint32) {
	if h := &c.hosts[i]; !h.freed && h.parked.any() {
		h.freed = true
		c.freedHosts.push(i)
	}
}

// freeFlows is freeHosts of a flow-control key.
func (c *core) freeFlows(i uint32) {
	if f := &c.flows.list[i]; !f.freed && f.parked.any() {
		f.freed = true
		c.freedFlows.push(i)
	}
}

// wakeParked gives those their turn who wait where there are permits now, as many as
// there are: whoever is woken and does not get one waits at the end of the line again.
// It reports whether there were any; then it is to be called again after their turn.
func (c *core) wakeParked() (woken bool) {
	if !c.mayStart() {
		return false
	}
	c.freeCrowded()
	for n := c.freedHosts.len(); n > 0; n-- {
		i := c.freedHosts.pop()
		h := &c.hosts[i]
		h.freed = false
		if c.wake(&h.parked, c.hostRoom(h)) > 0 {
			woken = true
			c.freeHosts(i)
		}
		if h.parked.any() {
			c.waitForHost(i)
		}
		c.dropHost(i)
	}
	for n := c.freedFlows.len(); n > 0; n-- {
		i := c.freedFlows.pop()
		f := &c.flows.list[i]
		f.freed = false
		if c.wake(&f.parked, c.flowRoom(i)) > 0 {
			woken = true
			c.freeFlows(i)
		}
		c.dropFlow(i)
	}
	return woken
}

// hostRoom returns how many permits a host may have left, at least one if it has any.
func (c *core) hostRoom(h *host) int {
	switch {
	case !c.permit(h):
		return 0
	case h.failures >= failuresToHalfOpen || !c.quick(h):
		return 1
	default:
		return max(1, min(c.hostMax(h)-h.inflight, c.parallelism-c.inflight))
	}
}
