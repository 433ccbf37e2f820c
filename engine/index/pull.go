package index

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// PullQueue is a pull queue's row: its definition, and what is in it. The counts are
// written in the same batches as the rows of its messages.
type PullQueue struct {
	record.PullQueue        // Counters are the queue's, up to the batch
	Pos              uint64 // where its definition stands; 0: none was seen: it was deleted, and its name may be missing
	Len              uint32 // of the payload there
	Count            uint64 // pending messages

	// What of them can be received changes with time, which no record says. So they are
	// counted as of Bound: Visible are those that were due by then, and Leased those of
	// the others that have a lease. Who asks at another time adds those that fell due
	// since (PullState).
	Bound   int64 // unix ms
	Visible uint64
	Leased  uint64
}

func (q *PullQueue) gone() bool { return q.Flags&record.PullGone != 0 }

// pullFixed is what stands before the definition.
const pullFixed = 8 + 4 + 8 + 8 + 8 + 8 + record.PullCountersSize

func appendPullQueue(dst []byte, q *PullQueue) []byte {
	dst = be.AppendUint32(be.AppendUint64(dst, q.Pos), q.Len)
	dst = be.AppendUint64(be.AppendUint64(dst, q.Count), uint64(q.Bound))
	dst = be.AppendUint64(be.AppendUint64(dst, q.Visible), q.Leased)
	return q.Append(q.Counters.Put(dst))
}

func decodePullQueue(key, v []byte, q *PullQueue) error {
	if len(key) != 9 || len(v) < pullFixed {
		return errBadValue
	}
	*q = PullQueue{
		Pos: be.Uint64(v), Len: be.Uint32(v[8:]), Count: be.Uint64(v[12:]), Bound: int64(be.Uint64(v[20:])),
		Visible: be.Uint64(v[28:]), Leased: be.Uint64(v[36:]),
	}
	if err := record.DecodePullQueue(v[pullFixed:], &q.PullQueue); err != nil {
		return err
	}
	q.Counters.Get(v[pullFixed-record.PullCountersSize:])
	return nil
}

func pullKey(dst []byte, id uint64) []byte { return be.AppendUint64(append(dst[:0], kindPull), id) }

// pullDueKey is of a message with a group, by when it is due: its lane has another order.
func pullDueKey(dst []byte, id uint64, due int64, seq uint64) []byte {
	dst = be.AppendUint64(append(dst[:0], kindPullDue), id)
	return be.AppendUint64(be.AppendUint64(dst, uint64(due)), seq)
}

// pull is a pull queue as the applier holds it.
type pull struct {
	PullQueue
	stored bool // Pebble has a row of it
	dirty  bool
}

// pulls are the pull queues, and how far their counts may be taken.
type pulls struct {
	byID  map[uint64]*pull
	dirty []uint64
	now   int64 // the newest time that a record about one named, unix ms
}

func (a *Applier) loadPulls() error {
	a.pulls.byID = map[uint64]*pull{}
	return a.x.PullQueues(func(q *PullQueue) error {
		a.pulls.byID[q.ID] = &pull{PullQueue: *q, stored: true}
		a.pulls.now = max(a.pulls.now, q.Bound)
		return nil
	})
}

// pullOf returns a queue, marked for writing. One that is not known was deleted, and what
// comes to it was on its way then: its definition stands before all of its messages, but
// for a rebuild, which may find it further on in the log (settlePulls).
func (a *Applier) pullOf(id uint64) *pull {
	q := a.pulls.byID[id]
	if q == nil {
		q = &pull{PullQueue: PullQueue{PullQueue: record.PullQueue{ID: id}}}
		if !a.rebuilding() {
			q.Flags = record.PullGone
		}
		a.pulls.byID[id] = q
	}
	a.touchPull(q)
	return q
}

func (a *Applier) touchPull(q *pull) {
	if !q.dirty {
		q.dirty = true
		a.pulls.dirty = append(a.pulls.dirty, q.ID)
	}
}

// pullQueue applies a definition.
func (a *Applier) pullQueue(lsn uint64, p []byte) error {
	var d record.PullQueue
	if err := record.DecodePullQueue(p, &d); err != nil {
		return err
	}
	if d.Name == "" {
		return fmt.Errorf("%w: a pull queue without a name", record.ErrTruncated)
	}
	q := a.pullOf(d.ID)
	a.lose(q.Pos, q.Len)
	a.gain(lsn, uint32(len(p)))
	counters := q.Counters
	if a.rebuilding() { // what it counted before the log begins is known from here
		counters.Max(&d.Counters)
	}
	q.PullQueue.PullQueue = d
	q.Counters, q.Pos, q.Len = counters, lsn, uint32(len(p))
	return nil
}

// joinPull counts a message in. One that is known by its move alone was counted as
// published before the log began.
func (a *Applier) joinPull(r *record.Row, h record.MessageHead, published bool) error {
	name, err := h.PullQueue()
	if err != nil {
		return err
	}
	q := a.pullOf(r.Host)
	if q.Name == "" {
		q.User, q.Name = r.User, string(name)
	}
	if published {
		q.Counters.Published++
	}
	q.Count++
	q.appear(r.Due, r.Pull.Lease != 0)
	a.pulls.now = max(a.pulls.now, h.Created())
	return nil
}

// appear and vanish count a row that is due then, and that may have a lease.
func (q *PullQueue) appear(due int64, leased bool) {
	if due <= q.Bound {
		q.Visible++
	} else if leased {
		q.Leased++
	}
}

func (q *PullQueue) vanish(due int64, leased bool) {
	if due <= q.Bound {
		q.Visible -= min(q.Visible, 1)
	} else if leased {
		q.Leased -= min(q.Leased, 1)
	}
}

// stepPull counts what an outcome does to a message of a pull queue.
func (a *Applier) stepPull(o *record.Outcome) {
	q := a.pullOf(o.Host)
	a.pulls.now = max(a.pulls.now, o.At)
	q.vanish(o.Due, o.Step.Leased)
	q.count(o)
	if o.Kind.Final() {
		q.Count -= min(q.Count, 1)
		return
	}
	if o.Step.Op.Moves() {
		if !plant.Bug("moved-stays-counted") {
			q.Count -= min(q.Count, 1)
		}
		q = a.pullOf(o.Step.Host)
		q.Count++
		a.lane(o.Step.Lane).Count++
		if l := a.lane(o.Lane); l.Count > 0 {
			l.Count--
		}
	}
	q.appear(o.Next, o.Step.Next.Lease != 0)
}

// count counts an outcome (QUEUES.md B.7).
func (q *PullQueue) count(o *record.Outcome) {
	c := &q.Counters
	switch {
	case o.Kind == record.Delivered:
		c.Delivered++
		if o.Step.Op == record.PullPush && o.Status == 202 {
			c.Deferred++
		}
	case o.Kind == record.Dead || o.Step.Op == record.PullBury:
		c.Dead++
	case o.Step.Op == record.PullExpire:
		c.Expired++
	case o.Step.Op == record.PullReceive && o.Attempt > 1 || o.Step.Op == record.PullPush:
		c.Retried++
	}
}

// deleteRow takes a row out of its order. ofPull says that it is one of a pull queue.
func (a *Applier) deleteRow(r *record.Row, ofPull bool) {
	a.key = pendingKey(a.key, r.Lane, r.Order(), r.Seq)
	a.unset(a.key)
	if ofPull && r.Queue != 0 {
		a.key = pullDueKey(a.key, r.Host, r.Due, r.Seq)
		a.unset(a.key)
	}
}

// fillPulls writes the queues that the batch changed.
func (a *Applier) fillPulls() error {
	for _, id := range a.pulls.dirty {
		if err := a.setPull(a.pulls.byID[id]); err != nil {
			return err
		}
	}
	a.pulls.dirty = a.pulls.dirty[:0]
	return nil
}

func (a *Applier) setPull(q *pull) error {
	q.dirty = false
	a.key = pullKey(a.key, q.ID)
	if q.gone() && q.Count == 0 && !a.rebuilding() {
		a.lose(q.Pos, q.Len)
		delete(a.pulls.byID, q.ID)
		if !q.stored {
			return nil
		}
		return a.batch.Delete(a.key, nil)
	}
	q.stored = true
	a.val = appendPullQueue(a.val[:0], &q.PullQueue)
	return a.batch.Set(a.key, a.val, nil)
}

// settlePulls has the batch drop what was deleted, once a rebuild has ended. A queue whose
// definition did not come was deleted before the log began.
func (a *Applier) settlePulls() {
	for _, id := range inOrder(a.pulls.byID) {
		q := a.pulls.byID[id]
		if q.Pos == 0 {
			q.Flags |= record.PullGone
		}
		a.touchPull(q)
	}
}

// Bounds of what a flush counts anew: a queue's Bound is taken on once it is boundAge
// old, and by about boundRows rows.
const (
	boundAge  = 1000 // ms
	boundRows = 16 << 10
)

// advancePulls takes the bounds on of the queues that the batch changed, which is written
// by now: so that nobody who asks for their state has much to read.
func (a *Applier) advancePulls(ids []uint64) error {
	for _, id := range ids {
		q := a.pulls.byID[id]
		if q == nil || a.pulls.now-q.Bound < boundAge {
			continue
		}
		var s pullScan
		if err := s.read(a.x.db, id, q.Bound, a.pulls.now, boundRows); err != nil {
			return err
		}
		visible, leased := s.count()
		if plant.Bug("bound-moves-uncounted") {
			visible = 0
		}
		q.Bound, q.Visible = s.to, q.Visible+visible
		q.Leased -= min(q.Leased, leased)
		a.touchPull(q)
	}
	return nil
}

// pullScan reads the rows of a queue that fall due in a stretch of time.
type pullScan struct {
	to    int64 // up to when they were read
	due   []int64
	lease []bool
}

// read reads the rows that are due in (after, to], and fewer if there are more than max
// of them (0: all).
func (s *pullScan) read(r pebble.Reader, id uint64, after, to int64, max int) error {
	s.to = to
	for _, kind := range [...]byte{kindPending, kindPullDue} {
		n := 0
		err := eachPull(r, kind, id, Cursor{Due: after + 1}, s.to, func(row *record.Row) (bool, error) {
			if n++; max > 0 && n > max && s.due[len(s.due)-1] < row.Due {
				s.to = row.Due - 1
				return false, nil
			}
			s.due, s.lease = append(s.due, row.Due), append(s.lease, row.Pull.Lease != 0)
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *pullScan) count() (visible, leased uint64) {
	for i, due := range s.due {
		if due > s.to {
			continue
		}
		visible++
		if s.lease[i] {
			leased++
		}
	}
	return visible, leased
}

// eachPull calls fn with the rows of a queue under one kind of key, from a place on, that
// are due no later than a time. The row is valid during the call.
func eachPull(r pebble.Reader, kind byte, id uint64, from Cursor, maxDue int64, fn func(*record.Row) (bool, error)) error {
	lower, upper := pendingKey(nil, id, from.Due, from.Seq), pendingKey(nil, id, maxDue, ^uint64(0))
	lower[0], upper[0] = kind, kind
	return iterate(r, lower, append(upper, 0), false, func(_, v []byte) (bool, error) {
		var row record.Row
		if err := decodeRow(v, &row); err != nil {
			return false, err
		}
		return fn(&row)
	})
}

// PullCursor is a place among the messages of a pull queue: those without a group come
// first, each kind by when it is due. The zero value is the beginning.
type PullCursor struct {
	grouped bool
	at      Cursor
}

// PullPage returns up to limit messages of a queue that are due no later than maxDue (unix
// ms), from a place on, and where the next ones begin. more is false when there are none.
func (x *Index) PullPage(id uint64, from PullCursor, maxDue int64, limit int) (rows []record.Row, next PullCursor, more bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return nil, from, false, err
	}
	defer leave()
	take := func(r *record.Row) (bool, error) {
		if len(rows) == limit {
			next.at, more = Cursor{Due: r.Due, Seq: r.Seq}, true
			return false, nil
		}
		rows = append(rows, *r)
		return true, nil
	}
	next = from
	if !from.grouped {
		if err := eachPull(x.db, kindPending, id, from.at, maxDue, take); err != nil || more {
			return rows, next, more, err
		}
		next = PullCursor{grouped: true}
	}
	err = eachPull(x.db, kindPullDue, id, next.at, maxDue, take)
	return rows, next, more, err
}

// PullState is what is in a pull queue at a time.
type PullState struct {
	PullQueue
	Pending  uint64 // due
	InFlight uint64 // leased
	Delayed  uint64 // all others
	Oldest   int64  // unix ms: when the message was published that was due first; 0: there is none
}

// PullState returns what is in a queue at a time that is not before its Bound. ok is false
// if there is no such queue.
func (x *Index) PullState(id uint64, now int64) (s PullState, ok bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return s, false, err
	}
	defer leave()
	snap := x.db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	key := pullKey(nil, id)
	ok, err = get(snap, key, func(v []byte) error { return decodePullQueue(key, v, &s.PullQueue) })
	if err != nil || !ok {
		return s, ok, err
	}
	var scan pullScan
	if err := scan.read(snap, id, s.Bound, max(now, s.Bound), 0); err != nil {
		return s, ok, err
	}
	visible, leased := scan.count()
	s.Pending = s.Visible + visible
	s.InFlight = s.Leased - min(s.Leased, leased)
	s.Delayed = s.Count - min(s.Count, s.Pending+s.InFlight)
	for _, kind := range [...]byte{kindPending, kindPullDue} {
		err := eachPull(snap, kind, id, Cursor{}, 1<<62, func(r *record.Row) (bool, error) {
			if s.Oldest == 0 || r.Pull.Published < s.Oldest {
				s.Oldest = r.Pull.Published
			}
			return false, nil
		})
		if err != nil {
			return s, ok, err
		}
	}
	return s, ok, nil
}

// PullQueues calls fn with every pull queue, in the order of their ids. The row is valid
// during the call.
func (x *Index) PullQueues(fn func(*PullQueue) error) error {
	return x.scan([]byte{kindPull}, []byte{kindPull + 1}, func(k, v []byte) error {
		var q PullQueue
		if err := decodePullQueue(k, v, &q); err != nil {
			return err
		}
		return fn(&q)
	})
}
