package index

import "github.com/tidemill/tidemill/engine/record"

// Queue is a queue's row. It is written by its definition, and counts its messages: in
// the same batches as their rows.
type Queue struct {
	User uint32
	Name string
	ID   uint64 // record.QueueID

	Flags       uint16 // record.QueuePaused and record.QueueGone
	Parallelism uint32
	Created     int64  // unix ms
	Updated     int64  // unix ms
	Drop        uint64 // messages published before it are canceled at their turn (record.Queue)
	Pos         uint64 // where its definition stands; 0: there is none, a message made it
	Len         uint32 // of the payload there
	Count       uint64 // pending messages, callbacks included
}

func (q *Queue) gone() bool { return q.Flags&record.QueueGone != 0 }

const queueSize = 2 + 4 + 8 + 8 + 8 + 8 + 4 + 8

func appendQueue(dst []byte, q *Queue) []byte {
	dst = be.AppendUint32(be.AppendUint16(dst, q.Flags), q.Parallelism)
	dst = be.AppendUint64(be.AppendUint64(dst, uint64(q.Created)), uint64(q.Updated))
	dst = be.AppendUint64(be.AppendUint64(dst, q.Drop), q.Pos)
	return be.AppendUint64(be.AppendUint32(dst, q.Len), q.Count)
}

func decodeQueue(key, v []byte, q *Queue) error {
	if len(key) < 6 || len(v) != queueSize {
		return errBadValue
	}
	*q = Queue{
		User: be.Uint32(key[1:]), Name: string(key[5:]), Flags: be.Uint16(v), Parallelism: be.Uint32(v[2:]),
		Created: int64(be.Uint64(v[6:])), Updated: int64(be.Uint64(v[14:])), Drop: be.Uint64(v[22:]),
		Pos: be.Uint64(v[30:]), Len: be.Uint32(v[38:]), Count: be.Uint64(v[42:]),
	}
	q.ID = record.QueueID(q.User, q.Name)
	return nil
}

// queue is a queue as the applier holds it.
type queue struct {
	Queue
	exists bool // false: nothing has defined it yet
	stored bool // Pebble has a row of it
	dirty  bool
}

func (a *Applier) loadQueues() error {
	return a.x.Queues(func(q *Queue) error {
		a.queues[q.ID] = &queue{Queue: *q, exists: true, stored: true}
		return nil
	})
}

// over says whether nothing is left of a queue that was deleted. While rebuilding,
// messages of it may be yet to come.
func (a *Applier) over(q *queue) bool { return q.gone() && q.Count == 0 && !a.rebuilding() }

// queueOf returns a queue, marked for writing. It may not exist yet; one that is over
// does not exist any more, though its row may be there to the end of the batch.
func (a *Applier) queueOf(user uint32, name string) *queue {
	id := record.QueueID(user, name)
	q := a.queues[id]
	switch {
	case q == nil:
		q = &queue{Queue: Queue{User: user, Name: name, ID: id}}
		a.queues[id] = q
	case a.over(q):
		a.lose(q.Pos, q.Len)
		q.Queue, q.exists = Queue{User: user, Name: name, ID: id}, false
	}
	a.touchQueue(q)
	return q
}

func (a *Applier) touchQueue(q *queue) {
	if !q.dirty {
		q.dirty = true
		a.dirtyQueues = append(a.dirtyQueues, q.ID)
	}
}

// queue applies a definition. What it replaces is known here, so Old is not needed.
func (a *Applier) queue(lsn uint64, p []byte) error {
	var d record.Queue
	if err := record.DecodeQueue(p, &d); err != nil {
		return err
	}
	q := a.queueOf(d.User, d.Name)
	if d.Flags&record.QueueNew != 0 {
		if q.exists && !q.gone() && q.Pos != 0 {
			return nil // void
		}
	}
	a.lose(q.Pos, q.Len)
	a.gain(lsn, uint32(len(p)))
	q.exists = true
	q.Queue = Queue{
		User: q.User, Name: q.Name, ID: q.ID, Flags: d.Flags &^ record.QueueNew, Parallelism: d.Parallelism,
		Created: d.Created, Updated: d.Updated, Drop: max(q.Drop, d.DropBefore(lsn)), Pos: lsn, Len: uint32(len(p)), Count: q.Count,
	}
	return nil
}

// joinQueue counts a message in. One to a queue that nothing has defined makes it, and one
// that was published while it was being deleted makes it anew.
func (a *Applier) joinQueue(r *record.Row, names *record.LineNames, created int64) {
	q := a.queueOf(r.User, string(names.Queue))
	if !q.exists {
		q.exists, q.Parallelism, q.Created, q.Updated = true, 1, created, created
	}
	if q.gone() && r.Root == 0 && r.Seq >= q.Drop {
		q.Flags, q.Parallelism = 0, 1
	}
	q.Count++
}

// settleQueues has the batch drop what is over, once a rebuild has ended.
func (a *Applier) settleQueues() {
	for _, id := range inOrder(a.queues) {
		if q := a.queues[id]; a.over(q) {
			a.touchQueue(q)
		}
	}
}

// fillQueues writes the queues that the batch changed.
func (a *Applier) fillQueues() error {
	for _, id := range a.dirtyQueues {
		if err := a.setQueue(a.queues[id]); err != nil {
			return err
		}
	}
	a.dirtyQueues = a.dirtyQueues[:0]
	return nil
}

func (a *Applier) setQueue(q *queue) error {
	q.dirty = false
	a.key = namedKey(a.key, kindQueue, q.User, []byte(q.Name))
	if !q.exists || a.over(q) {
		a.lose(q.Pos, q.Len)
		delete(a.queues, q.ID)
		if !q.stored {
			return nil
		}
		return a.batch.Delete(a.key, nil)
	}
	q.stored = true
	a.val = appendQueue(a.val[:0], &q.Queue)
	return a.batch.Set(a.key, a.val, nil)
}

// Queues calls fn with every queue, those of one account together and in the order of
// their names. The row is valid during the call.
func (x *Index) Queues(fn func(*Queue) error) error {
	return x.scanQueues([]byte{kindQueue}, []byte{kindQueue + 1}, fn)
}

// UserQueues is Queues of one account.
func (x *Index) UserQueues(user uint32, fn func(*Queue) error) error {
	lower, upper := namedRange(kindQueue, user)
	return x.scanQueues(lower, upper, fn)
}

func (x *Index) scanQueues(lower, upper []byte, fn func(*Queue) error) error {
	return x.scan(lower, upper, func(k, v []byte) error {
		var q Queue
		if err := decodeQueue(k, v, &q); err != nil {
			return err
		}
		return fn(&q)
	})
}

// Queue returns one queue.
func (x *Index) Queue(user uint32, name string) (q Queue, ok bool, err error) {
	ok, err = x.named(kindQueue, user, name, func(k, v []byte) error { return decodeQueue(k, v, &q) })
	return q, ok, err
}

// named calls fn with what an account has under a name, and says whether there is such.
func (x *Index) named(kind byte, user uint32, name string, fn func(k, v []byte) error) (bool, error) {
	leave, err := x.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	key := namedKey(nil, kind, user, []byte(name))
	return get(x.db, key, func(v []byte) error { return fn(key, v) })
}
