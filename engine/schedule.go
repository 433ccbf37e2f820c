package engine

import (
	"github.com/cespare/xxhash/v2"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/timerwheel"
)

// Schedules in the core (T3, P27). The core knows when each schedule is due and how
// far it has come; it does not know expressions. When a schedule is due, it asks the
// scheduler (scheduler.go, ticker.go) to log what that means: the message of a tick, with
// the tick's identity in it, or that ticks were missed. The rule that makes each tick
// fire once:
//
//	of one schedule, at most one record is appended and not yet committed.
//
// So whatever is logged next knows how far the schedule has come, a definition as well
// as a tick; requests that come meanwhile wait. After a crash the log says how far
// that was: a tick that is not in it has not been published.

// scheduleKey names a schedule.
type scheduleKey struct {
	user uint32
	id   string
}

// schedule is one schedule. Its definition stays in the log.
type schedule struct {
	index.Schedule // as the log's committed records say; Pos is 0 until there is a definition

	offset int64             // ms: what Jitter makes of it
	timer  timerwheel.Handle // when the next tick is due, or the next try
	used   bool
	due    bool // in schedules.due
	busy   bool // a record of it is on its way to the log
	req    *scheduleRequest
}

// schedules is the core's part that holds them.
type schedules struct {
	list    []schedule
	free    []uint32
	byKey   map[scheduleKey]uint32
	waiting map[uint32][]*scheduleRequest // for the record that is on its way
	due     ring
	hold    int64 // unix ms: nothing is fired before, the log had no room or the index lags
	firing  int   // busy with a tick
	busy    int   // busy at all
}

// firesMax bounds the ticks on their way to the log: what is due beyond them waits in
// the core, as one number each.
const firesMax = 1024

// fireRetry is how long ticks wait that there is no room for, ms.
const fireRetry = 1000

// ask says what a scheduleRequest is for.
type ask uint8

const (
	askDefine ask = iota // log definition
	askDrop
	askPause
	askResume
	askKeep // log the definition that stands at keep again, before that is reclaimed (W10)
)

// scheduleRequest asks for one change of a schedule. done is called exactly once.
type scheduleRequest struct {
	ask        ask
	key        scheduleKey
	definition *record.Schedule // without what only the core knows: Created if there was one before, Ticks, Old
	keep       uint64
	done       func(error)
}

// scheduleCommand asks the scheduler to log one record. Without a request it is a tick
// that is due.
type scheduleCommand struct {
	slot   uint32
	req    *scheduleRequest
	row    index.Schedule // as the log's records up to here say
	offset int64
}

// scheduleAnswer is what a scheduler says that logged nothing.
type scheduleAnswer struct {
	cmd   scheduleCommand
	err   error
	next  int64 // of a tick without err: nothing is due before this tick, 0: never
	retry int64 // of a tick with err: ms until the next try of this schedule; 0: all ticks wait
}

// jitterOf returns by how much the ticks of a schedule come later, ms: always the same,
// and spread over all that its definition allows.
func jitterOf(s *index.Schedule) int64 {
	if s.Jitter == 0 {
		return 0
	}
	h := xxhash.New()
	var b [4]byte
	b[0], b[1], b[2], b[3] = byte(s.User), byte(s.User>>8), byte(s.User>>16), byte(s.User>>24)
	h.Write(b[:])
	h.WriteString(s.ID)
	return int64(h.Sum64() % (uint64(s.Jitter) + 1))
}

// recoverSchedule takes a schedule as the index has it.
func (c *core) recoverSchedule(row *index.Schedule) {
	i := c.scheduleSlot(scheduleKey{row.User, row.ID})
	s := &c.schedules.list[i]
	s.Schedule, s.offset = *row, jitterOf(row)
	c.arm(i)
}

// scheduleSlot returns the slot of a schedule, which it makes if need be.
func (c *core) scheduleSlot(k scheduleKey) uint32 {
	t := &c.schedules
	if i, ok := t.byKey[k]; ok {
		return i
	}
	i := takeSlot(&t.list, &t.free)
	t.list[i] = schedule{used: true, Schedule: index.Schedule{User: k.user, ID: k.id}}
	t.byKey[k] = i
	return i
}

func (c *core) freeSchedule(i uint32) {
	t := &c.schedules
	s := &t.list[i]
	delete(t.byKey, scheduleKey{s.User, s.ID})
	c.disarm(s)
	*s = schedule{}
	t.free = append(t.free, i)
}

func (c *core) disarm(s *schedule) {
	if s.timer != 0 {
		c.wheel.Cancel(s.timer)
		s.timer = 0
	}
}

// arm has a schedule that is not busy wait for its next tick.
func (c *core) arm(i uint32) {
	s := &c.schedules.list[i]
	c.disarm(s)
	if s.Paused || s.Next == 0 {
		return
	}
	c.armAt(i, s.Next+s.offset)
}

func (c *core) armAt(i uint32, at int64) {
	s := &c.schedules.list[i]
	if at <= c.now {
		c.scheduleDue(i)
		return
	}
	s.timer = c.wheel.Add(at, timerSchedule|uint64(i))
}

// scheduleDue lines a schedule up for its tick.
func (c *core) scheduleDue(i uint32) {
	s := &c.schedules.list[i]
	s.timer = 0
	if !s.due {
		s.due = true
		c.schedules.due.push(i)
	}
}

// rearmSchedules puts all timers into a new wheel.
func (c *core) rearmSchedules() {
	for i := range c.schedules.list {
		if s := &c.schedules.list[i]; s.timer != 0 {
			s.timer = 0
			c.arm(uint32(i))
		}
	}
}

// fireDue asks for what is due to be logged. On a full disk ticks wait, and are missed
// when there is room again.
func (c *core) fireDue() {
	t := &c.schedules
	t.hold = min(t.hold, c.now+fireRetry) // the clock may have been set back since (P25)
	if c.now < t.hold || t.hold > 0 && plant.Bug("hold-never-ends") {
		return // the loop looks again within a second
	}
	for n := t.due.len(); n > 0 && t.firing < firesMax && !c.scarce(); n-- {
		i := t.due.pop()
		s := &t.list[i]
		if !s.due {
			continue
		}
		s.due = false
		if s.busy || s.Paused {
			continue // it is armed again when what is under way is committed
		}
		t.firing++
		c.occupy(i, nil)
	}
}

// occupy asks for a record of a schedule to be logged. Until it is committed, or
// refused, nothing else is logged of that schedule.
func (c *core) occupy(i uint32, req *scheduleRequest) {
	s := &c.schedules.list[i]
	s.busy, s.req = true, req
	c.schedules.busy++
	c.disarm(s)
	c.out.schedules = append(c.out.schedules, scheduleCommand{slot: i, req: req, row: s.Schedule, offset: s.offset})
}
