package engine

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// QueuesMax bounds the queues of all accounts.
const QueuesMax = 100_000

// queueBook holds the definitions of queues (QSTASH.md §8.4): what a publish has to know
// without waiting for anybody. The core knows the same from the log, and what is in them.
type queueBook struct {
	change sync.Mutex // held by a change, over its append
	mu     struct {
		sync.RWMutex
		byID map[uint64]*queueDef
		gone int // of them, deleted
	}
}

// queueDef is the newest definition of a queue. It never changes: a change makes another.
type queueDef struct {
	record.Queue
	pos uint64 // where it stands
	len uint32 // of the payload there
}

func (d *queueDef) gone() bool { return d.Flags&record.QueueGone != 0 }

func (b *queueBook) load(x *index.Index) error {
	b.mu.byID = map[uint64]*queueDef{}
	return x.Queues(func(q *index.Queue) error {
		b.put(&queueDef{pos: q.Pos, len: q.Len, Queue: record.Queue{
			Flags: q.Flags, User: q.User, Name: q.Name, Parallelism: q.Parallelism, Created: q.Created, Updated: q.Updated, Drop: q.Drop,
		}})
		return nil
	})
}

// get returns a queue's definition, nil if there is none; one that was deleted is
// returned as long as it has messages to be canceled.
func (b *queueBook) get(id uint64) *queueDef {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.mu.byID[id]
}

func (b *queueBook) put(d *queueDef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropLocked(d.ID())
	b.mu.byID[d.ID()] = d
	if d.gone() {
		b.mu.gone++
	}
}

func (b *queueBook) dropLocked(id uint64) {
	if d := b.mu.byID[id]; d != nil && d.gone() {
		b.mu.gone--
	}
	delete(b.mu.byID, id)
}

// size returns how many queues there are.
func (b *queueBook) size() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.mu.byID) - b.mu.gone
}

// list returns the queues of an account, by name.
func (b *queueBook) list(u UserID) []*queueDef {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*queueDef
	for _, d := range b.mu.byID {
		if UserID(d.User) == u && !d.gone() {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *queueDef) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// ensureQueue makes the queue of a message if there is none (QSTASH.md §3.9). Its record
// is durable when the message's is, which comes after it.
func (e *Engine) ensureQueue(u UserID, name string) error {
	id := record.QueueID(uint32(u), name)
	if d := e.queues.get(id); d != nil && !d.gone() {
		return nil
	}
	e.queues.change.Lock()
	defer e.queues.change.Unlock()
	old := e.queues.get(id)
	if old != nil && !old.gone() {
		return nil
	}
	d, err := e.newQueue(u, name, old)
	if err != nil {
		return err
	}
	d.Flags = record.QueueNew
	if _, err := e.appendQueue(d); err != nil {
		return err
	}
	d.Flags = 0
	e.queues.put(d)
	e.log.Kick()
	return nil
}

// newQueue returns the definition of a queue that is not there, or not any more.
func (e *Engine) newQueue(u UserID, name string, old *queueDef) (*queueDef, error) {
	if e.queues.size() >= QueuesMax {
		return nil, quotaError("quota maxQueues exceeded. Maximum allowed: %d", QueuesMax)
	}
	now := e.wallMillis()
	d := &queueDef{Queue: record.Queue{User: uint32(u), Name: strings.Clone(name), Parallelism: 1, Created: now, Updated: now}}
	if old != nil {
		d.Drop, d.Old, d.OldLen = old.DropBefore(old.pos), old.pos, old.len
	}
	return d, nil
}

// appendQueue puts a definition into the open group, and notes where it stands.
func (e *Engine) appendQueue(d *queueDef) (wal.Ticket, error) {
	p := d.Append(nil)
	t, err := e.log.Reserve(len(p), wal.Producer)
	if err != nil {
		return t, refusal(err)
	}
	copy(t.Buf, p)
	e.log.Done(&t)
	d.pos, d.len = uint64(t.LSN), uint32(len(p))
	return t, nil
}

// SetQueue makes a queue, or changes it. It is durable when it returns.
func (e *Engine) SetQueue(u UserID, name string, c QueueChange) error {
	if c.Parallelism != nil && (*c.Parallelism < 1 || *c.Parallelism > QueueParallelismMax) {
		return limitError("parallelism must be from 1 to %d", QueueParallelismMax)
	}
	return e.changeQueue(u, name, func(d *queueDef) {
		if c.Parallelism != nil {
			d.Parallelism = uint32(*c.Parallelism)
		}
		if c.Paused != nil {
			d.Flags &^= record.QueuePaused
			if *c.Paused {
				d.Flags |= record.QueuePaused
			}
		}
	})
}

// DeleteQueue ends a queue: its messages are canceled, those in flight as Cancel does. One
// that is not there is no error. A message that is published to it later makes it anew.
func (e *Engine) DeleteQueue(u UserID, name string) error {
	if d := e.queues.get(record.QueueID(uint32(u), name)); d == nil || d.gone() {
		return nil
	}
	err := e.changeQueue(u, name, func(d *queueDef) { d.Flags, d.Drop = record.QueueGone, 0 })
	if err == nil {
		e.forgetGone()
	}
	return err
}

func (e *Engine) changeQueue(u UserID, name string, change func(*queueDef)) error {
	if err := e.mayDefine(); err != nil {
		return err
	}
	e.queues.change.Lock()
	defer e.queues.change.Unlock()
	old := e.queues.get(record.QueueID(uint32(u), name))
	var d *queueDef
	if old == nil || old.gone() {
		var err error
		if d, err = e.newQueue(u, name, old); err != nil {
			return err
		}
	} else {
		d = &queueDef{Queue: old.Queue}
		d.Updated, d.Old, d.OldLen = e.wallMillis(), old.pos, old.len
	}
	change(d)
	t, err := e.appendQueue(d)
	if err != nil {
		return err
	}
	// It shows at once, as in the core: if the disk hangs it is in the log, and stored if the
	// disk goes on.
	e.queues.put(d)
	if err := e.log.Wait(&t); err != nil {
		return logError(err)
	}
	return nil
}

// mayDefine says why nothing can be defined now.
func (e *Engine) mayDefine() error {
	if err := e.Ready(); err != nil {
		return err
	}
	return e.space.refusal()
}

// goneMax is how many deleted queues are remembered without looking whether anything is
// left of them.
const goneMax = 1000

// forgetGone forgets deleted queues of which nothing is left.
func (e *Engine) forgetGone() {
	b := &e.queues
	b.mu.RLock()
	many := b.mu.gone > goneMax
	b.mu.RUnlock()
	if !many {
		return
	}
	b.change.Lock()
	defer b.change.Unlock()
	_ = e.query(func(c *core) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for id, d := range b.mu.byID {
			if _, known := c.queues.byID[id]; d.gone() && !known {
				b.dropLocked(id)
			}
		}
	})
}

// Queue returns a queue of an account. It sees every message that was answered before.
func (e *Engine) Queue(u UserID, name string) (*QueueInfo, error) {
	d := e.queues.get(record.QueueID(uint32(u), name))
	if d == nil || d.gone() {
		return nil, ErrNotFound
	}
	infos, err := e.viewQueues([]*queueDef{d})
	if err != nil {
		return nil, err
	}
	return &infos[0], nil
}

// Queues returns the queues of an account, by name.
func (e *Engine) Queues(u UserID) ([]QueueInfo, error) { return e.viewQueues(e.queues.list(u)) }

func (e *Engine) viewQueues(ds []*queueDef) ([]QueueInfo, error) {
	if err := e.syncAnswered(); err != nil {
		return nil, err
	}
	out := make([]QueueInfo, len(ds))
	for i, d := range ds {
		out[i] = QueueInfo{
			Name: d.Name, Parallelism: int(d.Parallelism), Created: millisTime(d.Created), Updated: millisTime(d.Updated),
			Paused: d.Flags&record.QueuePaused != 0,
		}
	}
	return out, e.query(func(c *core) {
		for i, d := range ds {
			if j, ok := c.queues.byID[d.ID()]; ok {
				out[i].Lag = c.queues.list[j].pending
			}
		}
	})
}

// query has the loop call fn between two steps, after it has seen all that was committed
// before the call.
func (e *Engine) query(fn func(*core)) error {
	done := make(chan struct{})
	e.inbox.push(event{kind: evQuery, query: func(c *core) {
		fn(c)
		close(done)
	}})
	select {
	case <-done:
		return nil
	case <-e.stop:
		return ErrClosed
	}
}

// keepQueue logs a definition again that stands at lsn, if it is its queue's newest (W10).
func (e *Engine) keepQueue(lsn uint64, p []byte) error {
	var d queueDef
	if err := record.DecodeQueue(p, &d.Queue); err != nil {
		return err
	}
	e.queues.change.Lock()
	defer e.queues.change.Unlock()
	if now := e.queues.get(d.ID()); now == nil || now.pos != lsn {
		return nil
	}
	d.Flags &^= record.QueueNew
	d.Drop, d.Old, d.OldLen = d.DropBefore(lsn), lsn, uint32(len(p))
	b := d.Append(nil)
	t, err := e.log.Reserve(len(b), wal.Reclaiming)
	if err != nil {
		return err
	}
	copy(t.Buf, b)
	e.log.Done(&t)
	d.pos, d.len = uint64(t.LSN), uint32(len(b))
	e.queues.put(&d)
	e.reclaimer.moved.Add(int64(len(b)))
	return nil
}

// recoverQueue takes a queue as the index has it.
func (c *core) recoverQueue(x *index.Queue) {
	i := c.queueOf(x.ID)
	q := &c.queues.list[i]
	q.parallelism, q.pending = int(x.Parallelism), int(x.Count)
	q.paused, q.gone = x.Flags&record.QueuePaused != 0, x.Flags&record.QueueGone != 0
	if !plant.Bug("start-forgets-what-was-dropped") {
		q.drop = (&record.Queue{Flags: x.Flags, Drop: x.Drop}).DropBefore(x.Pos)
	}
	c.dropQueue(i)
}
