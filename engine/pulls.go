package engine

import (
	"cmp"
	"encoding/hex"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/delay"
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// PullQueuesMax bounds the pull queues of all accounts. One of them has at most half, so
// that none shuts out the others.
const PullQueuesMax = 100_000

// Bounds and defaults of a pull queue (QUEUES.md B.1, B.3, B.5, B.6).
const (
	PullBatchMax       = 100 // messages of one receive or publish
	PullWaitMax        = 20 * time.Second
	PullVisibilityMax  = 12 * time.Hour
	PullRetriesMax     = 1000
	PullConcurrencyMax = 1000

	pullRetentionMin = time.Minute
	pullRetentionMax = 10 * 365 * 24 * time.Hour
	pullSecretMax    = 1024
	pullURLMax       = 8 << 10
)

// pullBook holds the definitions of pull queues: what a publish, a receive and an attempt
// have to know without waiting for anybody. The core knows from the log what it needs.
type pullBook struct {
	change sync.Mutex // held by a change, over its append
	mu     struct {
		sync.RWMutex
		byID   map[uint64]*pullDef // those that were deleted, too, until their messages are gone
		byName map[pullName]*pullDef
	}
}

// pullDef is the newest definition of a pull queue. It never changes: a change makes
// another.
type pullDef struct {
	record.PullQueue
	pos uint64 // where it stands
	len uint32 // of the payload there
}

func (d *pullDef) gone() bool    { return d.Flags&record.PullGone != 0 }
func (d *pullDef) key() pullName { return pullName{d.User, d.Name} }

func (b *pullBook) load(x *index.Index) error {
	b.mu.byID, b.mu.byName = map[uint64]*pullDef{}, map[pullName]*pullDef{}
	return x.PullQueues(func(q *index.PullQueue) error {
		b.put(&pullDef{PullQueue: q.PullQueue, pos: q.Pos, len: q.Len})
		return nil
	})
}

// get returns the queue of a name, nil if there is none.
func (b *pullBook) get(u UserID, name string) *pullDef {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.mu.byName[pullName{uint32(u), name}]
}

// byID returns a queue, deleted or not, nil if nothing is left of it.
func (b *pullBook) byID(id uint64) *pullDef {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.mu.byID[id]
}

func (b *pullBook) put(d *pullDef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.byID[d.ID] = d
	if !d.gone() {
		b.mu.byName[d.key()] = d
	} else if now := b.mu.byName[d.key()]; now != nil && now.ID == d.ID {
		delete(b.mu.byName, d.key())
	}
}

// forget drops a deleted queue of which nothing is left.
func (b *pullBook) forget(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.mu.byID, id)
}

func (b *pullBook) size() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.mu.byID)
}

// sizeOf counts the queues of an account. It looks at all there are.
func (b *pullBook) sizeOf(u UserID) (n int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, d := range b.mu.byID {
		if UserID(d.User) == u {
			n++
		}
	}
	return n
}

// list returns the queues that pick selects, by account and name.
func (b *pullBook) list(pick func(*pullDef) bool) []*pullDef {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*pullDef
	for _, d := range b.mu.byID {
		if pick(d) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *pullDef) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// newPull returns the definition of a queue that is not there, with every default.
func (e *Engine) newPull(u UserID, name string) (*pullDef, error) {
	if !validPullName(name) {
		return nil, errPullName
	}
	if n := e.pulls.size(); n >= PullQueuesMax || n >= PullQueuesMax/2 && e.pulls.sizeOf(u) >= PullQueuesMax/2 {
		return nil, quotaError("quota maxQueues exceeded. Maximum allowed: %d, of one account %d", PullQueuesMax, PullQueuesMax/2)
	}
	id := uint64(0)
	for id == 0 || e.pulls.byID(id) != nil {
		id = new(chance).draw(e.opts.Rand)
	}
	now := e.wallMillis()
	return &pullDef{PullQueue: record.PullQueue{
		User: uint32(u), ID: id, Name: string([]byte(name)), Created: now, Updated: now,
		Retention: (14 * 24 * time.Hour).Milliseconds(), Visibility: uint32((30 * time.Second).Milliseconds()),
		Timeout: uint32(min(time.Minute, e.limits.Load().AttemptMax).Milliseconds()), Retries: 3, Parallel: 10,
	}}, nil
}

var errPullName = limitError("queue: a name has 1 to 128 characters of A-Z a-z 0-9 . _ -")

func validPullName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 128
}

// ensurePull returns the queue of a name, and makes it if there is none (QUEUES.md A.3).
// Its record is durable when one is that comes after it.
func (e *Engine) ensurePull(u UserID, name string) (*pullDef, error) {
	if d := e.pulls.get(u, name); d != nil {
		return d, nil
	}
	e.pulls.change.Lock()
	defer e.pulls.change.Unlock()
	return e.ensurePullLocked(u, name)
}

func (e *Engine) ensurePullLocked(u UserID, name string) (*pullDef, error) {
	if d := e.pulls.get(u, name); d != nil {
		return d, nil
	}
	d, err := e.newPull(u, name)
	if err != nil {
		return nil, err
	}
	if _, err := e.appendPull(d, wal.Producer); err != nil {
		return nil, refusal(err)
	}
	e.pulls.put(d)
	e.log.Kick()
	return d, nil
}

// appendPull puts a definition into the open group, and notes where it stands.
func (e *Engine) appendPull(d *pullDef, class wal.Class) (wal.Ticket, error) {
	p := d.Append(nil)
	t, err := e.log.Reserve(len(p), class)
	if err != nil {
		return t, err
	}
	copy(t.Buf, p)
	e.log.Done(&t)
	d.pos, d.len = uint64(t.LSN), uint32(len(p))
	return t, nil
}

// SetPullQueue makes a pull queue, or changes it; its dead letter queue is made with it if
// need be. It is durable when it returns. secret is that of the webhook if it was drawn
// now, since none was named: it is told once.
func (e *Engine) SetPullQueue(u UserID, name string, ch PullChange) (info PullQueueInfo, secret string, err error) {
	if err := e.mayDefine(); err != nil {
		return info, "", err
	}
	if !validPullName(name) {
		return info, "", errPullName
	}
	if err := e.checkPullChange(u, name, &ch); err != nil {
		return info, "", err
	}
	secret, err = e.definePull(u, name, func(d *pullDef) (string, error) { return e.changePull(d, &ch) })
	if err == nil {
		info, err = e.PullQueue(u, name)
	}
	return info, secret, err
}

// definePull logs a changed definition and returns when it is durable.
func (e *Engine) definePull(u UserID, name string, change func(*pullDef) (string, error)) (secret string, err error) {
	e.pulls.change.Lock()
	defer e.pulls.change.Unlock()
	var d *pullDef
	if old := e.pulls.get(u, name); old != nil {
		d = &pullDef{PullQueue: old.PullQueue}
		d.Updated, d.Old, d.OldLen = e.wallMillis(), old.pos, old.len
		d.Counters = e.countersOf(d.ID)
	} else if d, err = e.newPull(u, name); err != nil {
		return "", err
	}
	if secret, err = change(d); err != nil {
		return "", err
	}
	if d.DeadName != "" && !d.gone() {
		if err := e.checkDeadQueueLocked(u, d); err != nil {
			return "", err
		}
		if _, err := e.ensurePullLocked(u, d.DeadName); err != nil {
			return "", err
		}
	}
	t, err := e.appendPull(d, wal.Producer)
	if err != nil {
		return "", refusal(err)
	}
	e.pulls.put(d)
	if err := e.log.Wait(&t); err != nil {
		return "", logError(err)
	}
	return secret, nil
}

// checkDeadQueueLocked refuses a chain of dead letter queues that comes back to where it began.
func (e *Engine) checkDeadQueueLocked(u UserID, d *pullDef) error {
	if d.DeadName == d.Name {
		return limitError("dead_letter_queue must differ from name")
	}
	for name, n := d.DeadName, 0; name != ""; n++ {
		next := e.pulls.get(u, name)
		if next == nil {
			return nil
		}
		if name = next.DeadName; name == d.Name || n > PullQueuesMax {
			return limitError("dead_letter_queue %q leads back to %q", d.DeadName, d.Name)
		}
	}
	return nil
}

// checkPullChange checks what needs no queue to be checked.
func (e *Engine) checkPullChange(u UserID, name string, ch *PullChange) error {
	seconds := func(field string, d *time.Duration, least, most time.Duration) error {
		if d != nil && (*d < least || *d > most) {
			return limitError("%s must be from %d to %d", field, int64(least/time.Second), int64(most/time.Second))
		}
		return nil
	}
	within := func(field string, n *int, least, most int) error {
		if n != nil && (*n < least || *n > most) {
			return limitError("%s must be from %d to %d", field, least, most)
		}
		return nil
	}
	text := func(field string, s *string, most int) error {
		if s != nil && len(*s) > most {
			return limitError("%s is longer than %d bytes", field, most)
		}
		return nil
	}
	if s := ch.DeadLetterQueue; s != nil && *s != "" && !validPullName(*s) {
		return limitError("dead_letter_queue: a name has 1 to 128 characters of A-Z a-z 0-9 . _ -")
	}
	if s := ch.RetryDelay; s != nil && *s != "" {
		if _, err := delay.Parse(*s); err != nil {
			return limitError("retry_delay: %v", err)
		}
	}
	if s := ch.WebhookURL; s != nil && *s != "" {
		if _, err := hostKey(*s); err != nil {
			return limitError("webhook_url: %v", err)
		}
	}
	return cmp.Or(
		within("max_retries", ch.MaxRetries, 0, PullRetriesMax),
		within("max_concurrency", ch.MaxConcurrency, 1, PullConcurrencyMax),
		seconds("visibility_seconds", ch.Visibility, time.Second, PullVisibilityMax),
		seconds("retention_seconds", ch.Retention, pullRetentionMin, pullRetentionMax),
		seconds("delay_seconds", ch.Delay, 0, e.pullDelayMax()),
		seconds("timeout_seconds", ch.Timeout, time.Second, e.limits.Load().AttemptMax),
		text("webhook_url", ch.WebhookURL, pullURLMax),
		text("webhook_secret", ch.WebhookSecret, pullSecretMax),
		text("webhook_secret_next", ch.WebhookSecretNext, pullSecretMax),
	)
}

// pullDelayMax is the longest delay of a message (QUEUES.md B.1).
func (e *Engine) pullDelayMax() time.Duration { return min(90*24*time.Hour, e.limits.Load().MaxDelay) }

// changePull changes a definition, and returns the secret that it had to draw.
func (e *Engine) changePull(d *pullDef, ch *PullChange) (secret string, err error) {
	for _, t := range []struct{ to, from *string }{
		{&d.DeadName, ch.DeadLetterQueue},
		{&d.URL, ch.WebhookURL},
		{&d.Secret, ch.WebhookSecret},
		{&d.SecretNext, ch.WebhookSecretNext},
		{&d.RetryDelay, ch.RetryDelay},
	} {
		if t.from != nil {
			*t.to = string([]byte(*t.from))
		}
	}
	if ch.MaxRetries != nil {
		d.Retries = uint16(*ch.MaxRetries)
	}
	if ch.MaxConcurrency != nil {
		d.Parallel = uint16(*ch.MaxConcurrency)
	}
	if ch.Visibility != nil {
		d.Visibility = uint32(ch.Visibility.Milliseconds())
	}
	if ch.Timeout != nil {
		d.Timeout = uint32(min(ch.Timeout.Milliseconds(), math.MaxUint32))
	}
	if ch.Retention != nil {
		d.Retention = ch.Retention.Milliseconds()
	}
	if ch.Delay != nil {
		d.Delay = ch.Delay.Milliseconds()
	}
	if d.URL == "" || d.Secret != "" {
		return "", nil
	}
	var b [32]byte
	if _, err := io.ReadFull(e.opts.Rand, b[:]); err != nil {
		return "", err
	}
	d.Secret = hex.EncodeToString(b[:])
	return d.Secret, nil
}

// PausePullQueue stops or goes on with handing out a queue's messages. Leases go on.
func (e *Engine) PausePullQueue(u UserID, name string, paused bool) error {
	return e.changeExistingPull(u, name, func(d *pullDef) {
		d.Flags &^= record.PullPaused
		if paused {
			d.Flags |= record.PullPaused
		}
	})
}

// DeletePullQueue ends a queue. Nothing of it is handed out any more when this returns; the
// messages are taken away in the background, and until then a lease that somebody holds can
// be used. What is published later is in a new queue of that name.
func (e *Engine) DeletePullQueue(u UserID, name string) error {
	err := e.changeExistingPull(u, name, func(d *pullDef) { d.Flags = record.PullGone })
	if err == nil {
		e.sweeper.wake()
	}
	return err
}

func (e *Engine) changeExistingPull(u UserID, name string, change func(*pullDef)) error {
	if err := e.mayDefine(); err != nil {
		return err
	}
	if e.pulls.get(u, name) == nil {
		return ErrNotFound
	}
	_, err := e.definePull(u, name, func(d *pullDef) (string, error) {
		if d.Old == 0 { // it was deleted meanwhile
			return "", ErrNotFound
		}
		change(d)
		return "", nil
	})
	return err
}

// countersOf returns what a queue has counted, as far as the index has come. A definition
// takes it along for an index that is rebuilt from what is left of the log then.
func (e *Engine) countersOf(id uint64) record.PullCounters {
	s, _, err := e.idx.PullState(id, 0)
	if err != nil {
		return record.PullCounters{} // the index is closed: what is asked for fails, too
	}
	return s.Counters
}

// keepPull logs a definition again that stands at lsn, if it is its queue's newest (W10).
func (e *Engine) keepPull(lsn uint64, p []byte) error {
	var d pullDef
	if err := record.DecodePullQueue(p, &d.PullQueue); err != nil {
		return err
	}
	e.pulls.change.Lock()
	defer e.pulls.change.Unlock()
	if now := e.pulls.byID(d.ID); now == nil || now.pos != lsn {
		return nil
	}
	d.Old, d.OldLen, d.Counters = lsn, uint32(len(p)), e.countersOf(d.ID)
	if _, err := e.appendPull(&d, wal.Reclaiming); err != nil {
		return err
	}
	e.pulls.put(&d)
	e.reclaimer.moved.Add(int64(d.len))
	return nil
}
