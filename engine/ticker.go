package engine

import (
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// ticker carries out one scheduleCommand after the other, with memory of its own that
// it uses again.
type ticker struct {
	e       *Engine
	exprs   exprs
	caught  map[uint64]int64 // tickPlan.caught, by where the schedule's definition stands
	buf     []byte
	message record.Message
	fan     fan
	rand    chance
}

func newTicker(e *Engine) *ticker { return &ticker{e: e, caught: map[uint64]int64{}} }

// caughtMax bounds the schedules of which the ticker remembers that they catch up: for
// one that it forgot the ticks are counted again.
const caughtMax = 100_000

// note remembers what the next plan of a schedule wants to know.
func (t *ticker) note(pos uint64, p *tickPlan) {
	if p.caught == 0 {
		delete(t.caught, pos)
		return
	}
	if len(t.caught) >= caughtMax {
		clear(t.caught)
	}
	t.caught[pos] = p.caught
}

// run logs one record, which the core sees when it is committed, or tells the core
// that there is none.
func (t *ticker) run(cmd *scheduleCommand) {
	a := &scheduleAnswer{cmd: *cmd}
	var logged bool
	switch req := cmd.req; {
	case req == nil:
		logged = t.fire(cmd, a)
	case req.ask == askDrop:
		d := record.DropSchedule{User: cmd.row.User, ID: cmd.row.ID, Old: cmd.row.Pos, OldLen: cmd.row.Len}
		a.err = t.log(d.Append(t.buf[:0]), wal.Lazy)
		logged = a.err == nil
	case req.ask == askDefine:
		a.err = t.define(req.definition, wal.Producer)
		logged = a.err == nil
	default:
		a.err = t.redefine(cmd)
		logged = a.err == nil
	}
	if !logged {
		t.e.inbox.push(event{kind: evUnlogged, answer: a})
	}
	if cap(t.buf) > attempterMax {
		t.buf = nil
	}
	t.message.Body = nil
	t.fan.free()
}

// reserve is the log's, with errors for whoever waits: reclaiming knows the log's own.
func (t *ticker) reserve(n int, class wal.Class) (wal.Ticket, error) {
	ticket, err := t.e.log.Reserve(n, class)
	if err != nil && class != wal.Reclaiming {
		err = refusal(err)
	}
	return ticket, err
}

// log appends a record to the open group.
func (t *ticker) log(p []byte, class wal.Class) error {
	t.buf = p
	ticket, err := t.reserve(len(p), class)
	if err != nil {
		return err
	}
	copy(ticket.Buf, p)
	t.e.log.Done(&ticket)
	return nil
}

// define logs a definition, with the tick that comes next.
func (t *ticker) define(d *record.Schedule, class wal.Class) error {
	r := rulesOf(d)
	x, err := t.exprs.get(d.Cron, r.cronOptions())
	if err != nil {
		return err
	}
	d.Next = nextTick(x, d.Last)
	ticket, err := t.reserve(d.Size(), class)
	if err != nil {
		return err
	}
	fill(&ticket, d.Append(ticket.Buf[:0]))
	t.e.log.Done(&ticket)
	return nil
}

// read reads the definition that a command is about. It aliases t.buf.
func (t *ticker) read(cmd *scheduleCommand, d *record.Schedule) error {
	if need := int(cmd.row.Len) + readSlack; cap(t.buf) < need {
		t.buf = make([]byte, need+need/4)
	}
	p, err := t.e.log.Read(wal.LSN(cmd.row.Pos), int(cmd.row.Len), t.buf[:cap(t.buf)])
	if err == nil {
		err = record.DecodeSchedule(p, d)
	}
	if err != nil {
		return fmt.Errorf("%w: the definition of schedule %q at %s: %w", ErrDamaged, cmd.row.ID, wal.LSN(cmd.row.Pos), err)
	}
	return nil
}

// redefine logs a definition again, paused or resumed if that is what is asked for.
// What went by while a schedule was paused is over (QSTASH.md §8.6); a tick that its
// jitter holds back has not gone by.
func (t *ticker) redefine(cmd *scheduleCommand) error {
	var d record.Schedule
	if err := t.read(cmd, &d); err != nil {
		return err
	}
	d.Ticks, d.Error, d.Old, d.OldLen, d.DedupKey = cmd.row.Ticks, cmd.row.Error, cmd.row.Pos, cmd.row.Len, [16]byte{}
	switch cmd.req.ask {
	case askPause:
		d.Flags |= record.FlagPaused
	case askResume:
		d.Flags &^= record.FlagPaused
		if !plant.Bug("pause-is-caught-up") {
			d.Last = max(d.Last, t.e.wallMillis()-cmd.offset)
		}
	case askKeep:
		err := t.log(d.Append(nil), wal.Reclaiming)
		if err == nil {
			t.e.reclaimer.moved.Add(int64(d.Size()))
		}
		return err
	}
	return t.define(&d, wal.Producer)
}

// unableRetry is how long a schedule waits that can publish nothing, ms.
const unableRetry = 60_000

// fire logs what is due of a schedule. It reports whether it logged anything.
func (t *ticker) fire(cmd *scheduleCommand, a *scheduleAnswer) (logged bool) {
	if a.err = t.e.busyWith(); a.err != nil {
		return false
	}
	var d record.Schedule
	if a.err = t.read(cmd, &d); a.err != nil {
		t.unable(a)
		return false
	}
	r := rulesOf(&d)
	x, err := t.exprs.get(d.Cron, r.cronOptions())
	if err != nil { // an earlier version took it
		t.e.opts.Logger.Error("engine: a schedule's expression is not valid and publishes nothing. Define it again", "schedule", d.ID, "error", err)
		return false
	}
	now := t.e.wallMillis()
	if plant.Bug("jitter-is-ignored") {
		cmd.offset = 0
	}
	p := planTicks(x, cmd.row.Last, now-cmd.offset, t.caught[cmd.row.Pos], &r)
	t.note(cmd.row.Pos, &p)
	switch {
	case p.publish != 0:
		a.err = t.publish(cmd, &d, &p, now)
	case p.to != 0:
		a.err = t.missed(cmd, &p, now, missedText)
	default:
		a.next = p.next
		return false
	}
	if errors.Is(a.err, ErrDamaged) || errors.Is(a.err, ErrTooLarge) {
		t.unable(a)
	}
	return a.err == nil
}

// unable has a schedule wait by itself that can publish nothing: what is wrong with it
// holds up no other.
func (t *ticker) unable(a *scheduleAnswer) {
	a.retry = unableRetry
	hint := "Set message.max-size to what it was, or more, or define it again"
	if errors.Is(a.err, ErrDamaged) {
		hint = "Define it again, and run `tidemill wal verify`"
		t.e.health.messages.Add(1)
	}
	t.e.opts.Logger.Error("engine: a schedule publishes nothing. "+hint, "schedule", a.cmd.row.ID, "error", a.err)
}

// busyWith says why a tick must wait: the same that refuses a publish for a while.
func (e *Engine) busyWith() error {
	if err := e.space.refusal(); err != nil {
		return err
	}
	if e.overloaded() {
		return ErrOverloaded
	}
	return nil
}

// publish logs the message of a tick.
func (t *ticker) publish(cmd *scheduleCommand, d *record.Schedule, p *tickPlan, now int64) error {
	m := &t.message
	if err := record.DecodeMessage(d.Message, m); err != nil {
		return fmt.Errorf("%w: the message of schedule %q: %w", ErrDamaged, cmd.row.ID, err)
	}
	m.Due, m.Created = now+m.Due, now
	m.Flags |= record.FlagTick
	m.Schedule, m.Tick = cmd.row.ID, record.ScheduleTick{Time: p.publish, Next: p.next}
	if err := t.e.address(m, &t.fan, &t.rand); notByItself(err) {
		over := tickPlan{from: p.publish, to: p.publish, count: 1, next: p.next}
		return t.missed(cmd, &over, now, err.Error())
	} else if err != nil {
		return err
	}
	var err error
	if m.Topic != "" {
		_, err = t.e.logFanout(&t.fan)
	} else {
		_, err = t.e.logMessage(m)
	}
	if err == nil {
		t.e.scheduler.ticked.Add(1)
	}
	return err
}

// notByItself says whether an error is for the schedule's owner to mend: a tick is over
// then, and does not hold up others.
func notByItself(err error) bool {
	_, limit := errors.AsType[*LimitError](err)
	return limit || errors.Is(err, ErrNotFound)
}

// missed logs that ticks went by, and why.
func (t *ticker) missed(cmd *scheduleCommand, p *tickPlan, now int64, why string) error {
	k := record.Tick{
		User: cmd.row.User, ID: cmd.row.ID, At: now, Ticks: cmd.row.Ticks,
		From: p.from, To: p.to, Count: uint32(p.count), More: p.more,
		Error: why,
	}
	if k.Last, k.Next = p.to, p.next; plant.Bug("missed-is-the-end") {
		k.Next = 0
	}
	err := t.log(k.Append(t.buf[:0]), wal.Producer)
	if err == nil {
		t.e.scheduler.missed.Add(uint64(p.count))
	}
	return err
}

// missedText is for people.
const missedText = "missed: the server was down, had no room, or its clock was set"
