package engine

import (
	"fmt"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// Of one key at most one record is appended and not committed, so each knows what the
// one before said, and what is asked meanwhile waits in line.

// flowAsk is what is asked of a key.
type flowAsk uint8

const (
	flowPause flowAsk = iota
	flowResume
	flowPin
	flowUnpin
	flowResetRate
	flowReset // attempts in flight, too
	flowKeep  // to log again what stands in a segment that is given up
)

// flowRequest changes the state of a key. done is called exactly once.
type flowRequest struct {
	ask         flowAsk
	user        uint32
	key         string
	rule        record.FlowRule // flowPin
	parallelism bool            // flowPin, flowUnpin: Parallelism is meant
	rate        bool            // and Rate and Period
	keep        uint64          // flowKeep: where the record stands
	done        func(error)
}

// flowDone completes a request.
type flowDone struct {
	req *flowRequest
	err error
}

func (c *core) answerFlow(req *flowRequest, err error) {
	c.out.flowed = append(c.out.flowed, flowDone{req, err})
}

// askFlow takes a request.
func (c *core) askFlow(req *flowRequest) {
	id := record.FlowID(req.user, req.key)
	i, known := c.flows.byID[id]
	switch {
	case c.poisoned:
		c.answerFlow(req, ErrLogFailed)
		return
	case !known && (req.ask == flowPin || req.ask == flowPause):
		i = c.flowOf(id)
		f := &c.flows.list[i]
		f.user, f.key, f.rule.Period = req.user, req.key, defaultPeriod
	case !known && req.ask == flowKeep:
		c.answerFlow(req, nil)
		return
	case !known:
		c.answerFlow(req, ErrNotFound)
		return
	}
	if f := &c.flows.list[i]; f.busy {
		f.waiting = append(f.waiting, req)
		return
	}
	c.serveFlow(i, req)
}

// defaultPeriod is the period of a rate, ms, unless another is said.
const defaultPeriod = 1000

// serveFlow begins what a request asks for, or answers it if there is nothing to do. The key
// is not busy.
func (c *core) serveFlow(i uint32, req *flowRequest) {
	f := &c.flows.list[i]
	r := c.flowRecord(f)
	switch req.ask {
	case flowPause:
		r.Flags |= record.FlowPaused
	case flowResume:
		r.Flags &^= record.FlowPaused
	case flowPin:
		if req.parallelism {
			r.Parallelism, r.Flags = req.rule.Parallelism, r.Flags|record.FlowPinnedParallelism
		}
		if req.rate {
			r.Rate, r.Period, r.Flags = req.rule.Rate, req.rule.Period, r.Flags|record.FlowPinnedRate
			r.Window, r.Drawn = 0, 0
		}
	case flowUnpin:
		if req.parallelism {
			r.Flags &^= record.FlowPinnedParallelism
		}
		if req.rate {
			r.Flags &^= record.FlowPinnedRate
		}
	case flowResetRate, flowReset:
		r.Window, r.Drawn = 0, 0
	case flowKeep:
		if req.keep != f.pos {
			c.answerFlow(req, nil)
			return
		}
	}
	f.req = req
	c.logFlow(i, r, 0)
}

// flowRecord returns what a record of the key would say now.
func (c *core) flowRecord(f *flow) *record.Flow {
	r := &record.Flow{Flags: f.flags, User: f.user, Key: f.key, FlowRule: f.rule, Old: f.pos, OldLen: f.length}
	if !f.long() || f.rule.Rate == 0 {
		return r
	}
	if f.rule.Sliding {
		if n := f.slide.used(c.now, int64(f.rule.Period)) + f.granted; n > 0 {
			r.Window, r.Drawn = c.now, uint32(n)
		}
	} else if f.window != 0 {
		r.Window, r.Drawn = f.window, uint32(f.used+f.granted)
	}
	return r
}

// logFlow asks for a record to be logged.
func (c *core) logFlow(i uint32, r *record.Flow, block int) {
	f := &c.flows.list[i]
	f.busy, f.block = true, block
	c.out.flows = append(c.out.flows, r)
}

// askBlock asks for permits of a long window to be logged, unless there are enough. No
// more than left may be used in it.
func (c *core) askBlock(i uint32, left int) {
	f := &c.flows.list[i]
	size := max(1, int(f.rule.Rate)/blocksPerWindow)
	n := min(size, left-f.granted)
	if n <= 0 || f.granted > size/2 || f.busy || c.scarce() || c.draining {
		return
	}
	r := c.flowRecord(f)
	if r.Window == 0 {
		r.Window = c.now
	}
	r.Drawn += uint32(n)
	if plant.Bug("block-is-used-before-it-is-durable") {
		f.granted, f.grantAt, n = f.granted+n, c.now, 0
	}
	c.logFlow(i, r, n)
}

// commitFlow takes a committed record.
func (c *core) commitFlow(lsn uint64, p []byte) error {
	var r record.Flow
	if err := record.DecodeFlow(p, &r); err != nil {
		return fmt.Errorf("committed flow-control key at %d: %w", lsn, err)
	}
	i, ok := c.flows.byID[r.ID()]
	if !ok || !c.flows.list[i].busy {
		return fmt.Errorf("engine: BUG: record at %d of flow-control key %q, which nobody asked for", lsn, r.Key)
	}
	f := &c.flows.list[i]
	f.pos, f.length = lsn, uint32(len(p))
	if f.req == nil {
		c.grant(f, &r)
	} else {
		c.changeFlow(f, &r)
	}
	c.freeFlow(i, nil)
	return nil
}

// grant takes a block of permits, unless its window was over before it was durable.
func (c *core) grant(f *flow, r *record.Flow) {
	switch {
	case f.rule.Sliding != r.Sliding || f.rule.Period != r.Period: // another rule came meanwhile
	case f.rule.Sliding:
		f.granted, f.grantAt = f.granted+f.block, r.Window
	case f.window == r.Window:
		f.granted += f.block
	case f.window == 0 && r.Window+int64(r.Period) > c.now:
		f.window, f.granted = r.Window, f.block
	}
}

// changeFlow takes what a request has changed.
func (c *core) changeFlow(f *flow, r *record.Flow) {
	f.flags = r.Flags
	switch f.req.ask {
	case flowPin:
		if f.req.parallelism {
			f.rule.Parallelism = r.Parallelism
		}
		if f.req.rate {
			f.rule.Rate, f.rule.Period = r.Rate, r.Period
			f.endWindow()
		}
	case flowReset:
		f.inflight, f.pardoned = 0, f.pardoned+f.inflight
		f.endWindow()
	case flowResetRate:
		f.endWindow()
	}
}

// endWindow forgets what has begun. Permits that were granted for it go with it.
func (f *flow) endWindow() {
	f.window, f.used, f.granted, f.slide.parts = 0, 0, 0, nil
}

// freeFlow ends what a key was busy with, and goes on with what waits for that.
func (c *core) freeFlow(i uint32, err error) {
	f := &c.flows.list[i]
	if f.req != nil {
		c.answerFlow(f.req, err)
	}
	f.busy, f.req, f.block = false, nil, 0
	for len(f.waiting) > 0 && !f.busy { // one that finds nothing to do leaves the key free
		req := f.waiting[0]
		f.waiting = f.waiting[1:]
		c.serveFlow(i, req)
	}
	if err == nil {
		c.freeFlows(i)
	} else if f.parked.any() {
		c.armFlow(i, c.now+flowRetry)
	}
	c.dropFlow(i)
}

// flowRefused takes back a record that the log had no room for. What waited for it is
// woken when there is room (setFull), or looks again in a while.
func (c *core) flowRefused(r *record.Flow, err error) {
	if i, ok := c.flows.byID[r.ID()]; ok && c.flows.list[i].busy {
		c.armFlow(i, c.now+flowRetry) // first: freeFlow may forget the key
		c.freeFlow(i, err)
	}
}

// flowRetry is how long a key waits that found no room for a record, ms.
const flowRetry = 1000

// heardFlow takes what a message says of its key.
func (c *core) heardFlow(r *record.Row, n *record.LineNames) {
	i := c.flowOf(r.Flow)
	f := &c.flows.list[i]
	f.pending++
	c.flows.pending++
	if f.key == "" {
		f.user, f.key = r.User, string(n.FlowKey)
	}
	rule := n.FlowRule
	if f.flags&record.FlowPinnedParallelism != 0 {
		rule.Parallelism = f.rule.Parallelism
	}
	if f.flags&record.FlowPinnedRate != 0 && !plant.Bug("pin-is-overwritten") {
		rule.Rate, rule.Period, rule.Sliding = f.rule.Rate, f.rule.Period, f.rule.Sliding
	}
	if rule == f.rule {
		return
	}
	f.turnInto(rule, c.now)
	c.freeFlows(i)
}

// turnInto changes a key's rule. What has begun counts on under the new one.
func (f *flow) turnInto(rule record.FlowRule, now int64) {
	old := f.rule
	f.rule = rule
	if old.Sliding == rule.Sliding && old.Period == rule.Period {
		f.granted = min(f.granted, int(rule.Rate))
		return
	}
	f.granted = 0
	switch {
	case rule.Sliding && !old.Sliding && f.used > 0:
		f.slide.addMany(now, int64(rule.Period), f.used)
		f.window, f.used = 0, 0
	case !rule.Sliding && old.Sliding:
		f.used, f.window = f.slide.used(now, int64(old.Period)), 0
		if f.used > 0 {
			f.window = now
		}
		f.slide.parts = nil
	}
}

// poisonFlows answers everyone who waits.
func (c *core) poisonFlows(err error) {
	for i := range c.flows.list {
		f := &c.flows.list[i]
		if f.req != nil {
			c.answerFlow(f.req, err)
			f.req = nil
		}
		for _, req := range f.waiting {
			c.answerFlow(req, err)
		}
		f.waiting = nil
	}
}
