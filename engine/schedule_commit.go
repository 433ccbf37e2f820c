package engine

import (
	"fmt"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// What the core learns of schedules from committed records.

// commitSchedule takes a committed definition.
func (c *core) commitSchedule(lsn uint64, p []byte) error {
	var d record.Schedule
	if err := record.DecodeSchedule(p, &d); err != nil {
		return fmt.Errorf("committed schedule at %d: %w", lsn, err)
	}
	i, err := c.busySchedule(lsn, d.User, d.ID)
	if err != nil {
		return err
	}
	s := &c.schedules.list[i]
	s.Pos, s.Len, s.Ticks, s.Error = lsn, uint32(len(p)), d.Ticks, d.Error
	s.Paused, s.Jitter, s.Rule, s.Created = d.Flags&record.FlagPaused != 0, d.Jitter, d.Rule(), d.Created
	s.offset = jitterOf(&s.Schedule)
	c.vacate(i, nil)
	return nil
}

// commitDropSchedule takes a committed end of a schedule.
func (c *core) commitDropSchedule(lsn uint64, p []byte) error {
	var d record.DropSchedule
	if err := record.DecodeDropSchedule(p, &d); err != nil {
		return fmt.Errorf("committed end of a schedule at %d: %w", lsn, err)
	}
	i, err := c.busySchedule(lsn, d.User, d.ID)
	if err != nil {
		return err
	}
	s := &c.schedules.list[i]
	s.Schedule = index.Schedule{User: s.User, ID: s.ID}
	c.vacate(i, nil)
	return nil
}

// commitTick takes ticks that published nothing.
func (c *core) commitTick(lsn uint64, p []byte) error {
	var k record.Tick
	if err := record.DecodeTick(p, &k); err != nil {
		return fmt.Errorf("committed tick at %d: %w", lsn, err)
	}
	return c.came(lsn, k.User, k.ID, &k.Ticks, k.Error)
}

// commitMessageTick takes what a message says of the schedule that it comes from; nonce is
// that of the first member if it is what those of a fan-out share.
func (c *core) commitMessageTick(lsn, nonce uint64, h record.MessageHead) error {
	id, k, ok, err := h.Tick()
	if !ok || err != nil {
		return err
	}
	t := record.Ticks{Last: k.Time, Next: k.Next, Run: k.Time, RunSeq: lsn, RunNonce: nonce}
	return c.came(lsn, h.User(), string(id), &t, "")
}

func (c *core) came(lsn uint64, user uint32, id string, t *record.Ticks, text string) error {
	i, err := c.busySchedule(lsn, user, id)
	if err != nil {
		return err
	}
	s := &c.schedules.list[i]
	if s.Ticks, s.Error = *t, text; plant.Bug("run-is-not-noted") {
		s.Run = 0
	}
	c.vacate(i, nil)
	return nil
}

// busySchedule returns the slot that a committed record is about.
func (c *core) busySchedule(lsn uint64, user uint32, id string) (uint32, error) {
	i, ok := c.schedules.byKey[scheduleKey{user, id}]
	if !ok || !c.schedules.list[i].busy {
		return 0, fmt.Errorf("engine: BUG: record at %d of schedule %q, which nobody asked for", lsn, id)
	}
	return i, nil
}

// vacate ends what a schedule was busy with, and goes on with what waits for that.
func (c *core) vacate(i uint32, err error) {
	t := &c.schedules
	s := &t.list[i]
	t.busy--
	if s.req != nil {
		c.answerSchedule(s.req, err)
	} else {
		t.firing--
	}
	s.busy, s.req = false, nil
	c.serveWaiting(i)
	if s := &t.list[i]; s.busy {
		return
	}
	if t.list[i].Pos == 0 {
		c.freeSchedule(i)
		return
	}
	if plant.Bug("schedule-is-not-armed") {
		return
	}
	c.arm(i)
}

// scheduleUnlogged takes the answer of a scheduler that logged nothing.
func (c *core) scheduleUnlogged(a *scheduleAnswer) {
	i := a.cmd.slot
	s := &c.schedules.list[i]
	if c.poisoned {
		return
	}
	if a.cmd.req == nil && a.err == nil {
		s.Next = a.next
	}
	c.vacate(i, a.err)
	if a.cmd.req != nil || a.err == nil {
		return
	}
	if a.retry == 0 {
		c.schedules.hold = c.now + fireRetry
		return
	}
	if s := &c.schedules.list[i]; !s.busy && s.used {
		c.disarm(s)
		s.due = false // a place in the line that it has is void
		c.armAt(i, c.now+a.retry)
	}
}
