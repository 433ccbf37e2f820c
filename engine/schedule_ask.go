package engine

import (
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// askSchedule takes a request.
func (c *core) askSchedule(req *scheduleRequest) {
	i, ok := c.schedules.byKey[req.key]
	switch {
	case c.poisoned:
		c.answerSchedule(req, ErrLogFailed)
	case !ok && req.ask == askKeep:
		c.answerSchedule(req, nil)
	case !ok && req.ask != askDefine:
		c.answerSchedule(req, ErrNotFound)
	case !ok && len(c.schedules.byKey) >= SchedulesMax:
		c.answerSchedule(req, quotaError("quota maxSchedules exceeded. Maximum allowed: %d", SchedulesMax))
	case !ok:
		c.serveSchedule(c.scheduleSlot(req.key), req)
	case c.schedules.list[i].busy:
		c.schedules.waiting[i] = append(c.schedules.waiting[i], req)
	default:
		c.serveSchedule(i, req)
	}
}

// serveSchedule begins what a request asks for. The schedule is not busy.
func (c *core) serveSchedule(i uint32, req *scheduleRequest) {
	s := &c.schedules.list[i]
	switch {
	case req.ask == askPause && s.Paused, req.ask == askResume && !s.Paused,
		req.ask == askKeep && req.keep != s.Pos:
		c.answerSchedule(req, nil) // it is so already
		return
	case req.ask == askDefine:
		c.define(s, req.definition)
	}
	c.occupy(i, req)
}

// define fills in what only the core knows. A definition with the rule of the one
// before goes on where that is, so that whoever defines its schedules at each start
// misses none of their ticks; any other begins now.
func (c *core) define(s *schedule, d *record.Schedule) {
	d.Old, d.OldLen = s.Pos, s.Len
	if s.Pos == 0 {
		d.Last = c.now
		return
	}
	d.Created, d.Ticks, d.Error = s.Created, s.Ticks, s.Error
	if plant.Bug("definition-begins-anew") {
		d.Last = c.now
	}
	if s.Rule != d.Rule() || s.Paused {
		d.Last = max(s.Last, c.now)
	}
}

// serveWaiting serves the requests that waited, until one makes the schedule busy.
func (c *core) serveWaiting(i uint32) {
	t := &c.schedules
	for reqs := t.waiting[i]; len(reqs) > 0 && !t.list[i].busy; reqs = t.waiting[i] {
		req := reqs[0]
		if t.waiting[i] = reqs[1:]; len(reqs) == 1 {
			delete(t.waiting, i)
		}
		switch {
		case t.list[i].Pos > 0 || req.ask == askDefine:
			c.serveSchedule(i, req)
		case req.ask == askKeep:
			c.answerSchedule(req, nil)
		default:
			c.answerSchedule(req, ErrNotFound)
		}
	}
}

func (c *core) answerSchedule(req *scheduleRequest, err error) {
	c.out.scheduled = append(c.out.scheduled, scheduleDone{req, err})
}

// scheduleDone completes a request.
type scheduleDone struct {
	req *scheduleRequest
	err error
}

// poisonSchedules answers everyone who waits.
func (c *core) poisonSchedules(err error) {
	t := &c.schedules
	for i := range t.list {
		if s := &t.list[i]; s.req != nil {
			c.answerSchedule(s.req, err)
			s.req = nil
		}
	}
	for _, reqs := range t.waiting { // order does not matter: all get the same answer
		for _, req := range reqs {
			c.answerSchedule(req, err)
		}
	}
	clear(t.waiting)
}
