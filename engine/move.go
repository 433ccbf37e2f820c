package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tidemill/tidemill/engine/record"
)

// Moving a pending message (W10): reclaiming asks the core to copy the record of a
// message to the head of the log, because the core alone knows what else of that
// message is on its way there. The rule that makes it safe:
//
//	of one message, at most one record is appended and not yet committed.
//
// So a move never carries a row that an outcome ahead of it has changed, and an
// outcome never names an address that a move ahead of it has left. An attempt may
// go on meanwhile; its end waits for the move.
//
// A message that is not resident gets an entry that counts for nothing, in state
// stSpilled, until the index shows the move: a page that was read before cannot
// bring back the old address.

// moveRequest asks for one pending message's record to be copied.
type moveRequest struct {
	seq     uint64
	nonce   uint64
	old     uint64 // where the record stands: the request is void if it does not
	oldLen  uint32
	record  []byte // the message itself; the log keeps a copy
	reading bool   // its row is being read
	after   uint64 // the index must have applied up to here before its row is read
	done    func(error)

	result *attemptResult // an attempt's end that waits for the move
	err    error          // why there is no copy
}

// errEnded says that a message ended before it was copied. Its record may still
// count, as a dead letter's: the segment is looked at again.
var errEnded = errors.New("engine: the message has ended")

// moveCommand asks for the copy to be logged.
type moveCommand struct {
	req *moveRequest
	row record.Row
}

// move takes a request. It is done when the copy is durable, or cannot be made.
func (c *core) move(req *moveRequest) {
	i, ok := c.bySeq[req.seq]
	switch {
	case c.poisoned:
		c.endMove(req, ErrLogFailed)
	case !ok || c.entries[i].state == stSpilled:
		c.moves[req.seq] = req
		req.reading, req.after = true, c.committed
		c.rowReads[req.seq]++
		c.out.moveRows = append(c.out.moveRows, req)
	case c.entries[i].state == stEnded || c.entries[i].pos != req.old:
		c.endMove(req, errEnded)
	case c.held[req.seq] != nil: // its end waits for room, and may as well wait for the copy
		c.moves[req.seq] = req
		req.result = c.letGo(req.seq)
		c.entries[i].state = stFlight // as of one whose attempt ended during a move
		c.appendMove(i)
	case c.entries[i].state == stDeciding && c.stuck:
		c.endMove(req, ErrDiskFull)
	default:
		c.moves[req.seq] = req
		if c.entries[i].state != stDeciding {
			c.appendMove(i)
		} // else when its outcome is committed
	}
}

// refuseMoves ends the moves that wait for an outcome, for which the log has no room:
// whoever asked must not keep what it holds for so long.
func (c *core) refuseMoves() {
	for _, seq := range slices.Sorted(maps.Keys(c.moves)) {
		req, e := c.moves[seq], &c.entries[c.bySeq[seq]]
		if !req.reading && e.flags&flagMoving == 0 {
			c.endMove(req, ErrDiskFull)
		}
	}
}

// moveRowRead takes the row of a message that was not resident when its move was
// asked for.
func (c *core) moveRowRead(req *moveRequest, r record.Row, found bool, err error) {
	c.dropRowRead(req.seq)
	req.reading = false
	i, ok := c.bySeq[req.seq]
	switch {
	case c.poisoned: // it was answered
	case ok && c.entries[i].state != stSpilled:
		c.move(req) // it has become resident meanwhile, and may have ended
	case err != nil:
		c.endMove(req, err)
	case !found || r.Nonce != req.nonce || r.Pos != req.old:
		c.endMove(req, errEnded)
	default:
		if !ok {
			i = c.admit(c.laneOf(&r), &r, stSpilled)
			c.resident--
			c.lanes[c.entries[i].lane].resident--
		}
		c.appendMove(i)
	}
	if ok && c.entries[i].flags&flagRetired != 0 {
		c.release(i)
	}
}

// appendMove asks for the copy to be logged. From now on until it is committed no
// outcome of the message is.
func (c *core) appendMove(i uint32) {
	e := &c.entries[i]
	e.flags |= flagMoving
	c.out.moves = append(c.out.moves, moveCommand{req: c.moves[e.seq], row: c.row(e)})
}

// commitMove takes a committed copy: the message stands there from now on.
func (c *core) commitMove(lsn uint64, p []byte) error {
	var m record.Move
	if err := record.DecodeMove(p, &m); err != nil {
		return fmt.Errorf("committed move at %d: %w", lsn, err)
	}
	if m.What != record.MovePending {
		return nil
	}
	i, ok := c.bySeq[m.Seq]
	req := c.moves[m.Seq]
	if !ok || req == nil || c.entries[i].flags&flagMoving == 0 {
		return fmt.Errorf("engine: BUG: move at %d of message %d, which nobody asked for", lsn, m.Seq)
	}
	e := &c.entries[i]
	e.pos, e.length = lsn, uint32(len(p))
	c.stopMoving(i, req, lsn, nil)
	return nil
}

// moveRefused takes back a copy that the log had no room for.
func (c *core) moveRefused(req *moveRequest, err error) {
	if i, ok := c.bySeq[req.seq]; ok && c.entries[i].flags&flagMoving != 0 {
		c.stopMoving(i, req, c.seen, err)
	}
}

// stopMoving lets happen what waited for the move.
func (c *core) stopMoving(i uint32, req *moveRequest, lsn uint64, err error) {
	e := &c.entries[i]
	e.flags &^= flagMoving
	c.endMove(req, err)
	r, canceled := req.result, len(c.cancels[e.seq]) > 0 || e.flags&flagSlot != 0 && c.doomed(i)
	switch {
	case canceled && (r == nil || r.interrupt):
		if e.state == stSpilled { // left to the index after the cancel came
			c.comeBack(i)
		}
		c.appendCancel(i)
	case e.state == stDeciding:
		// It was made resident to be canceled, and then the log had no room (setStuck):
		// whoever asked was told that it may still be.
		c.appendCancel(i)
	case r != nil:
		c.conclude(i, r)
	case e.state == stSpilled:
		e.flags &^= flagRetired
		e.gone = c.retiring.push(i, lsn)
	case e.state == stLine:
		c.beginTurns(e.lane)
	}
	if e.flags&flagPull != 0 {
		c.freePull(i)
	}
}

// undecided reports whether an attempt's end waits for a move.
func (c *core) undecided() bool {
	for _, req := range c.moves { // one batch at most
		if req.result != nil {
			return true
		}
	}
	return false
}

func (c *core) endMove(req *moveRequest, err error) {
	delete(c.moves, req.seq)
	req.err = err
	c.out.moved = append(c.out.moved, req)
}
