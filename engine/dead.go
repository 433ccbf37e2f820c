package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// claims are the dead letters that a delete or a retry has taken and that the
// index may still show. A claim is taken before the row is read and dropped
// after the index has applied what was done, so of two requests for one dead
// letter exactly one succeeds.
//
// Reclaiming claims what it copies, too. That lasts for a commit and a batch of the
// applier, and says nothing about the dead letter: who wants to delete or retry it
// waits.
type claims struct {
	mu    sync.Mutex
	moved *sync.Cond       // a claim to move was dropped; its lock is mu
	held  map[claim]moving // by whom
	line  []heldClaim      // done, in log order
	shown uint64           // the index has applied what is below
	ended bool             // the applier has: nothing more is claimed to move
}

// moving says that a claim is reclaiming's.
type moving bool

type claim struct {
	user UserID
	dead uint64
}

type heldClaim struct {
	claim
	lsn uint64
}

func (c *claims) init() {
	c.moved = sync.NewCond(&c.mu)
	c.held = map[claim]moving{}
}

// take claims a dead letter. It waits while reclaiming has it, for the end of the batch
// of the index that the copy is in, and has the applier end it.
func (c *claims) take(k claim, q *applierQueue) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[k] {
		q.hurry(1)
		defer q.hurry(-1)
	}
	for c.held[k] {
		c.moved.Wait()
	}
	return c.takeLocked(k, false)
}

// takeToMove claims a dead letter for reclaiming. It does not wait.
func (c *claims) takeToMove(k claim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && c.takeLocked(k, true)
}

func (c *claims) takeLocked(k claim, m moving) bool {
	if _, held := c.held[k]; held {
		return false
	}
	c.held[k] = m
	return true
}

func (c *claims) drop(k claim) {
	c.mu.Lock()
	c.dropLocked(k)
	c.mu.Unlock()
}

func (c *claims) dropLocked(k claim) {
	if c.held[k] {
		c.moved.Broadcast()
	}
	delete(c.held, k)
}

// release drops the claims to move of an engine that has ended.
func (c *claims) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for k, m := range c.held {
		if m {
			c.dropLocked(k)
		}
	}
}

// settle ends a claim with the outcome of the record at lsn, zero if none was
// logged. A claim whose record is stored, or may be once the disk answers, is kept
// until the index has applied it; one whose record failed is given back.
func (c *claims) settle(k claim, lsn uint64, err error) {
	inDoubt := errors.Is(err, ErrStalled) || errors.Is(err, wal.ErrStalled)
	if lsn == 0 || err != nil && !inDoubt {
		c.drop(k)
		return
	}
	c.done(k, lsn)
}

// done keeps the claim until the index has applied the record at lsn, which it may have
// by now.
func (c *claims) done(k claim, lsn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lsn < c.shown {
		c.dropLocked(k)
		return
	}
	c.line = append(c.line, heldClaim{k, lsn})
}

func (c *claims) applied(lsn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = lsn
	c.line = slices.DeleteFunc(c.line, func(h heldClaim) bool {
		if h.lsn < lsn {
			c.dropLocked(h.claim)
			return true
		}
		return false
	})
}

// readDead reads a dead letter's message and outcome from the log.
func (e *Engine) readDead(d *index.Dead, v *DeadLetter) error {
	if err := e.readMessage(&d.Row, &v.Message); err != nil {
		return err
	}
	p, err := e.readRecord(d.Out, int(d.Len))
	if err != nil {
		return err
	}
	var o record.Outcome
	if err := record.DecodeOutcome(p, &o); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	v.ID, v.At = deadID(d.At, d.LSN), time.UnixMilli(d.At)
	v.ResponseStatus, v.ResponseHeader, v.ResponseBody, v.Error = int(o.Status), o.Header, o.Body, o.Error
	return nil
}

// viewDead reads a dead letter, or what is left of it: one damaged record does
// not hide the others (W7).
//
// Nothing in it is redacted. One that was moved between the reading of its row and of its records is looked up
// again; it may have gone then.
func (e *Engine) viewDead(d *index.Dead, v *DeadLetter) error {
	err := e.readDead(d, v)
	for i := 1; i < readTries && errors.Is(err, wal.ErrNotFound); i++ {
		now, ok, indexErr := e.idx.Dead(d.User, d.LSN)
		if indexErr != nil || !ok {
			return cmp.Or(indexError(indexErr), ErrNotFound)
		}
		*d = now
		err = e.readDead(d, v)
	}
	if errors.Is(err, ErrDamaged) || errors.Is(err, wal.ErrNotFound) {
		damagedDead(d, v)
		return nil
	}
	return err
}

// damagedDead fills in what the index knows of a dead letter whose records
// cannot be read.
func damagedDead(d *index.Dead, v *DeadLetter) {
	*v = DeadLetter{ID: deadID(d.At, d.LSN), At: time.UnixMilli(d.At), ResponseStatus: int(d.Status), Error: ErrDamaged.Error()}
	v.Method = "POST" // clients know no other word for a method that is not known
	v.Message.ID, v.Due, v.Attempts = MessageID(d.Seq, d.Nonce), time.UnixMilli(d.Due), int(d.Tries)
}

// DeadLetter returns one dead letter.
func (e *Engine) DeadLetter(u UserID, id string) (*DeadLetter, error) {
	if err := e.catchUp(); err != nil {
		return nil, err
	}
	d, err := e.findDead(u, id)
	if err != nil {
		return nil, err
	}
	v := new(DeadLetter)
	if err := e.viewDead(&d, v); err != nil {
		return nil, err
	}
	v.redact()
	return v, nil
}

func (e *Engine) findDead(u UserID, id string) (index.Dead, error) {
	at, lsn, err := parseDeadID(id)
	if err != nil {
		return index.Dead{}, ErrNotFound
	}
	d, ok, err := e.idx.Dead(uint32(u), lsn)
	if err == nil && (!ok || d.At != at) {
		err = ErrNotFound
	}
	return d, indexError(err)
}

// claimDead claims a dead letter and returns its row. The caller drops the claim
// on failure.
func (e *Engine) claimDead(u UserID, id string) (claim, index.Dead, error) {
	_, lsn, err := parseDeadID(id)
	if err != nil {
		return claim{}, index.Dead{}, ErrNotFound
	}
	k := claim{u, lsn}
	if !e.claims.take(k, &e.applier) {
		return claim{}, index.Dead{}, ErrNotFound
	}
	err = e.catchUp()
	var d index.Dead
	if err == nil {
		d, err = e.findDead(u, id)
	}
	if err != nil {
		e.claims.drop(k)
	}
	return k, d, err
}

// DeleteDeadLetter removes a dead letter for good.
func (e *Engine) DeleteDeadLetter(u UserID, id string) error {
	k, d, err := e.claimDead(u, id)
	if err != nil {
		return err
	}
	r := record.DropDead{User: uint32(u), Dead: d.LSN, Freed: d.Freed()}
	lsn, err := e.appendReserved(r.Append(nil))
	e.claims.settle(k, lsn, err)
	switch {
	case lsn == 0:
		return refusal(err)
	case err != nil:
		return logError(err)
	}
	return nil
}
