package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

func (c *claims) take(k claim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
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

// done keeps the claim until the index has applied the record at lsn.
func (c *claims) done(k claim, lsn uint64) {
	c.mu.Lock()
	c.line = append(c.line, heldClaim{k, lsn})
	c.mu.Unlock()
}

func (c *claims) applied(lsn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = slices.DeleteFunc(c.line, func(h heldClaim) bool {
		if h.lsn < lsn {
			c.dropLocked(h.claim)
			return true
		}
		return false
	})
}

// deadPageMax bounds a page of dead letters (QSTASH.md §8.3), deadScanMax the
// rows one call looks at: a page may be short and still have a cursor.
const (
	deadPageMax = 100
	deadScanMax = 10_000
)

// DeadLetters returns one page of dead letters and the cursor of the next, ""
// at the end.
func (e *Engine) DeadLetters(q DeadLetterQuery) ([]DeadLetter, string, error) {
	f, err := newDeadFilter(&q)
	if err != nil {
		return nil, "", err
	}
	if err := e.catchUp(); err != nil {
		return nil, "", err
	}
	rows, next, err := e.scanDead(&q, f)
	if err != nil {
		return nil, "", err
	}
	var out []DeadLetter
	for i := range rows {
		v := new(DeadLetter)
		err := e.viewDead(&rows[i], v)
		if errors.Is(err, ErrNotFound) {
			continue // deleted or retried meanwhile
		}
		if err != nil {
			return nil, "", err
		}
		if f.matches(v) {
			v.redact()
			out = append(out, *v)
		}
	}
	if next == 0 {
		return out, "", nil
	}
	return out, strconv.FormatUint(next, 10), nil
}

// scanDead collects the rows that can match by what the index knows of them, and
// where the next page starts, 0 at the end.
func (e *Engine) scanDead(q *DeadLetterQuery, f *deadFilter) (rows []index.Dead, next uint64, err error) {
	seen := 0
	err = e.idx.DeadLetters(uint32(q.User), f.from, q.Descending, func(d *index.Dead) (bool, error) {
		if len(rows) == f.count || seen == deadScanMax {
			next = d.LSN
			return false, nil
		}
		seen++
		if f.row(d) {
			rows = append(rows, *d)
		}
		return true, nil
	})
	return rows, next, indexError(err)
}

// deadFilter is a query in the form that rows are checked with.
type deadFilter struct {
	q        *DeadLetterQuery
	from     uint64
	count    int
	dead     map[uint64]bool // by ids, nil for all
	messages map[uint64]bool
}

func newDeadFilter(q *DeadLetterQuery) (*deadFilter, error) {
	f := &deadFilter{q: q, count: q.Count}
	if f.count <= 0 || f.count > deadPageMax {
		f.count = deadPageMax
	}
	if q.Descending {
		f.from = ^uint64(0)
	}
	if q.Cursor != "" {
		n, err := strconv.ParseUint(q.Cursor, 10, 64)
		if err != nil {
			return nil, limitError("cursor %q is not one that this server gave out", q.Cursor)
		}
		f.from = n
	}
	f.dead = numbers(q.IDs, func(id string) (uint64, error) { _, lsn, err := parseDeadID(id); return lsn, err })
	f.messages = numbers(q.MessageIDs, func(id string) (uint64, error) { seq, _, err := parseMessageID(id); return seq, err })
	return f, nil
}

// numbers turns ids into the set of their numbers; one that is no id matches
// nothing. No ids at all match everything.
func numbers(ids []string, parse func(string) (uint64, error)) map[uint64]bool {
	if len(ids) == 0 {
		return nil
	}
	set := make(map[uint64]bool, len(ids))
	for _, id := range ids {
		if n, err := parse(id); err == nil {
			set[n] = true
		}
	}
	return set
}

func (f *deadFilter) row(d *index.Dead) bool {
	return (f.dead == nil || f.dead[d.LSN]) && (f.messages == nil || f.messages[d.Seq]) &&
		f.q.selectsTime(d.At) &&
		(len(f.q.Statuses) == 0 || slices.Contains(f.q.Statuses, int(d.Status)))
}

func (f *deadFilter) matches(v *DeadLetter) bool {
	return f.q.selects(&published{
		URL: v.URL, CallerIP: v.CallerIP, ScheduleID: v.ScheduleID, TopicName: v.TopicName, QueueName: v.QueueName,
		FlowKey: v.Flow.Key, Labels: v.Labels,
	})
}

func oneOf(set []string, s string) bool { return len(set) == 0 || slices.Contains(set, s) }

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
	if !e.claims.take(k) {
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

// RetryDeadLetter publishes a dead letter's message again, as a new message with
// all its attempts, and removes the dead letter: one record (W9).
func (e *Engine) RetryDeadLetter(u UserID, id string) (string, error) {
	if err := errors.Join(e.Ready(), e.space.refusal()); err != nil {
		return "", err
	}
	k, d, err := e.claimDead(u, id)
	if err != nil {
		return "", err
	}
	sub, err := e.redrive(&d)
	if err == nil {
		_, err = e.settle(&sub)
	}
	e.claims.settle(k, uint64(sub.ticket.LSN), err)
	if err != nil {
		return "", err
	}
	return MessageID(uint64(sub.ticket.LSN), sub.nonce), nil
}

// redrive copies the message's record: no record refers to another's body (W9). It makes
// the queue that the message is to wait in, as a publish does.
func (e *Engine) redrive(d *index.Dead) (submission, error) {
	p, err := e.readRecord(d.Pos, int(d.Row.Len))
	if err != nil {
		return submission{}, err
	}
	var m record.Message
	body, err := openMessage(p, &d.Row, &m, nil)
	if err != nil {
		return submission{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if m.Flags&record.FlagReport != 0 { // it is a message of its own from now on
		m.Flags &^= record.FlagReport | record.FlagFailure
		m.SetBody(body, nil)
	}
	m.Root = 0
	now := e.wallMillis()
	m.Nonce, m.Created, m.Due = new(chance).draw(e.opts.Rand), now, now
	m.DedupKey, m.FromDead = [16]byte{}, record.FromDead{Dead: d.LSN, Freed: d.Freed()}
	m.Flags, m.Tick = m.Flags&^record.FlagTick, record.ScheduleTick{} // its schedule has gone on
	// A callback had no body of its own until now.
	if len(body) > messageMaxLimit || m.Size() > e.opts.recordMax()-record.MoveOverhead {
		return submission{}, ErrTooLarge
	}
	if m.PullName != "" {
		q, err := e.ensurePull(UserID(m.User), m.PullName)
		if err != nil {
			return submission{}, err
		}
		placePull(&m, q.ID)
	}
	if m.QueueName != "" {
		if err := e.ensureQueue(UserID(m.User), m.QueueName); err != nil {
			return submission{}, err
		}
	}
	return e.logMessage(&m)
}
