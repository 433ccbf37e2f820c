package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/record"
)

// On a full disk (DESIGN.md, "Overload") the log has the segments that it made
// ahead and no more. They are for what ends a message, so that nothing is
// delivered twice for lack of room, and not for what only changes its state:
//
//   - Delivered, Dead and Canceled are logged without the response (full);
//   - a retry is not logged. Its count and its time are kept in memory, so the
//     entry must stay there: a row of the index would be attempted at the time
//     before, and forget the count. There are at most delivery.resident of them,
//     and no new messages come in. After a crash such a message is attempted
//     again with the count it had: at least once.
//   - an outcome that owes callbacks is not logged either: what the destination answered
//     is kept, within L5's bounds, until there is room for the callbacks with it;
//   - when not even outcomes find room (stuck), no attempt starts and no cancel
//     is taken, and what is in hand, at most L5's bounds, is kept and tried again.
//
// When there is room again, the retries that still wait are logged after all.

// loggedRow is what the index has of a message whose retries are in memory only:
// the keys by which the next outcome finds its rows (X1).
type loggedRow struct {
	due   int64
	tries uint16
}

// setFull notes whether the log can make segments.
func (c *core) setFull(full bool) {
	c.full = full
	c.owe()
	c.concludeHeld()
}

// concludeHeld decides again about what waits for room.
func (c *core) concludeHeld() {
	if c.scarce() {
		return
	}
	for _, seq := range slices.Sorted(maps.Keys(c.held)) {
		c.conclude(c.bySeq[seq], c.letGo(seq))
	}
	for i := range c.flows.list { // permits can be logged again
		c.freeFlows(uint32(i))
	}
}

// holdBack keeps an attempt's end whose outcome owes callbacks.
func (c *core) holdBack(i uint32, r *attemptResult) {
	c.entries[i].state = stDeciding
	c.held[c.entries[i].seq] = r
	c.heldBytes += r.outcome.Size()
}

// letGo returns what was kept.
func (c *core) letGo(seq uint64) *attemptResult {
	r := c.held[seq]
	delete(c.held, seq)
	c.heldBytes -= r.outcome.Size()
	return r
}

// setStuck notes whether the log has room for outcomes. A cancel that waits may
// still take effect when there is: its record is among those in hand.
func (c *core) setStuck(stuck bool) {
	c.stuck = stuck
	c.owe()
	if !stuck {
		c.concludeHeld()
		return
	}
	err := fmt.Errorf("%w: the message may still be canceled when there is room", ErrDiskFull)
	for _, seq := range slices.Sorted(maps.Keys(c.cancels)) {
		for _, req := range c.cancels[seq] {
			c.answer(req, err)
		}
	}
	clear(c.cancels)
	c.poisonPulls(fmt.Errorf("%w: it may still be done when there is room", ErrDiskFull))
	c.refuseMoves()
}

func (c *core) scarce() bool { return c.full || c.stuck }

// keepRetry puts a message back without logging that its attempt failed.
func (c *core) keepRetry(i uint32, o *record.Outcome) {
	e := &c.entries[i]
	if e.flags&flagUnlogged == 0 {
		e.flags |= flagUnlogged
		c.unlogged[e.seq] = loggedRow{due: e.due, tries: e.tries}
	}
	e.due, e.tries = o.Next, o.Attempt
	if c.doomed(i) { // a cancel waited for a move
		c.appendCancel(i)
		return
	}
	c.schedule(i)
}

// settled notes that an outcome of the entry is durable.
func (c *core) settled(i uint32) {
	e := &c.entries[i]
	if e.flags&flagUnlogged != 0 {
		e.flags &^= flagUnlogged
		delete(c.unlogged, e.seq)
	}
}

// spillable reports whether one of the lane's waiting messages may be left to the
// index. Those that may not stand first in the line (wait), so the last one tells.
// Of a queue only those may be that have not had their turn.
func (c *core) spillable(l *lane) bool {
	if l.queue != none {
		return l.line.tail != none
	}
	i := l.waiting.tail
	return i != none && c.entries[i].flags&flagUnlogged == 0
}

// owe lists the retries to be logged when there is room again, in a fixed order.
func (c *core) owe() {
	c.owed = nil
	if !c.scarce() && len(c.unlogged) > 0 {
		c.owed = slices.Sorted(maps.Keys(c.unlogged))
	}
}

// repay logs retries that are in memory only, as far as L5 allows. One whose next
// attempt has begun is logged with that one's outcome.
func (c *core) repay() {
	for n := len(c.owed); n > 0 && c.undurable < undurableMax; n-- {
		seq := c.owed[0]
		c.owed = c.owed[1:]
		i, ok := c.bySeq[seq]
		if !ok || c.entries[i].state != stTimer || c.entries[i].flags&flagUnlogged == 0 {
			continue
		}
		e := &c.entries[i]
		if e.flags&flagMoving != 0 { // one record of a message at a time (move.go)
			c.owed = append(c.owed, seq)
			continue
		}
		c.withdraw(i)
		e.state = stDeciding
		o := &record.Outcome{
			Row: c.row(e), Kind: record.Retry, At: c.now, Next: e.due, Attempt: e.tries,
			Error: "attempts failed while the disk was full; what came of each was not kept",
		}
		if e.flags&flagPull != 0 {
			o.Step = record.PullStep{Op: record.PullPush, Next: o.Pull}
		}
		c.decided(o)
	}
}

// briefErrorMax bounds the error text of an outcome on a full disk, bytes.
const briefErrorMax = 160

// brief leaves out of a final outcome what a full disk has no room for.
func brief(o *record.Outcome) {
	o.Header, o.Body = nil, nil
	if o.Kind != record.Dead {
		return
	}
	o.Error = strings.ToValidUTF8(o.Error[:min(len(o.Error), briefErrorMax)], "") + " (the disk was full: the response was not kept)"
}
