package engine

import (
	"github.com/tidemill/tidemill/engine/record"
)

// commitStep takes an outcome of a message of a pull queue that goes on: what its row
// keeps from now on, and the queue that it is in.
func (c *core) commitStep(i uint32, o *record.Outcome) {
	e := &c.entries[i]
	c.pulls.parts[e.seq] = o.Step.Next
	if o.Step.Op.Moves() {
		r := o.NextRow()
		c.relocate(i, &r)
	}
}

// relocate moves an entry to another lane. It ends its turn where it was. The rows of its
// old lane that a page may still bring are known by its seq.
func (c *core) relocate(i uint32, r *record.Row) {
	e := &c.entries[i]
	old, host, state := e.lane, e.host, e.state
	e.state = stEnded
	c.endTurn(i)
	c.gone(i)
	e.state = state
	li, hi := c.laneOf(r), c.hostOf(r.Host)
	e.lane, e.host = li, hi
	c.lanes[li].resident++
	c.lanes[li].entries++
	c.hosts[hi].entries++
	c.hosts[host].entries--
	c.dropHost(host)
	l := &c.lanes[old]
	l.resident--
	l.entries--
	if l.hungry && l.resident == 0 {
		c.lineUp(old)
	} else if l.spilled && l.resident < laneLowWater {
		c.wantPage(old)
	}
	c.dropLane(old)
}

// steppedPull answers who waited for an outcome, and does what waited for it.
func (c *core) steppedPull(i uint32, seq uint64, o *record.Outcome) {
	c.handedOut(i, seq)
	if req := c.pulls.doing[seq]; req != nil {
		delete(c.pulls.doing, seq)
		var err error
		if o.Step.Op != req.op { // it was canceled instead
			err = ErrNotFound
		}
		req.visible = o.Next
		c.answerPull(req, err)
	}
	c.freePull(i)
}

// freePull lets happen what waited for a message of which nothing is on its way now.
func (c *core) freePull(i uint32) {
	e := &c.entries[i]
	seq := e.seq
	for line := c.pulls.line[seq]; len(line) > 0 && !c.busyPull(i); line = c.pulls.line[seq] {
		if c.pulls.line[seq] = line[1:]; len(line) == 1 {
			delete(c.pulls.line, seq)
		}
		c.decidePull(i, line[0])
	}
	if li := e.lane; e.state == stReady && c.pulled(&c.lanes[li]) {
		c.wantServe(c.lanes[li].pull)
	}
}

// poisonPulls answers all who wait, since nothing is logged any more, or not soon.
func (c *core) poisonPulls(err error) {
	c.endReceives(err)
	for _, seq := range sortedSeqs(c.pulls.doing) {
		c.answerPull(c.pulls.doing[seq], err)
	}
	for _, seq := range sortedSeqs(c.pulls.line) {
		for _, req := range c.pulls.line[seq] {
			c.answerPull(req, err)
		}
	}
	clear(c.pulls.doing)
	clear(c.pulls.line)
}
