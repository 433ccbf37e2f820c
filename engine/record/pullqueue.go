package record

import "fmt"

// Flags of a PullQueue.
const (
	PullPaused uint16 = 1 << 0 // nothing of it is handed out
	PullGone   uint16 = 1 << 1 // deleted: it is kept until its messages have ended

	pullFlags = PullPaused | PullGone
)

// PullCounters count what became of the messages of a pull queue since it was made.
type PullCounters struct {
	Published, Delivered, Retried, Dead, Deferred, Expired uint64
}

func (c *PullCounters) all() [6]*uint64 {
	return [...]*uint64{&c.Published, &c.Delivered, &c.Retried, &c.Dead, &c.Deferred, &c.Expired}
}

// Max raises what is below o's.
func (c *PullCounters) Max(o *PullCounters) {
	theirs := o.all()
	for i, n := range c.all() {
		*n = max(*n, *theirs[i])
	}
}

// PullCountersSize is the length of what Put writes.
const PullCountersSize = 6 * 8

// Put appends the counters.
func (c *PullCounters) Put(dst []byte) []byte {
	for _, n := range c.all() {
		dst = le.AppendUint64(dst, *n)
	}
	return dst
}

// Get reads what Put wrote; v is long enough.
func (c *PullCounters) Get(v []byte) {
	for i, n := range c.all() {
		*n = le.Uint64(v[8*i:])
	}
}

// pullQueueHead is the length of a PullQueue's fixed head. Offsets:
//
//	 4 user u32        8 id u64         16 created i64    24 updated i64
//	32 old u64        40 retention i64  48 delay i64      56 old len u32
//	60 visibility u32 64 timeout u32    68 retries u16    70 concurrency u16
//	72 counters
const pullQueueHead = 72 + PullCountersSize

// PullQueue is the newest definition of a pull queue (QUEUES.md B.6). The newest record
// of an id wins. A queue that is made again under the name of one that was deleted has
// another id, so that nothing of the old one is in it.
type PullQueue struct {
	Flags      uint16
	User       uint32
	ID         uint64 // drawn when the queue was made: the lane and the host of its messages
	Name       string
	Created    int64  // unix ms
	Updated    int64  // unix ms
	Old        uint64 // where the record stood that this one replaces, 0: nowhere
	OldLen     uint32
	Retention  int64  // ms
	Delay      int64  // ms
	Visibility uint32 // ms
	Timeout    uint32 // ms
	Retries    uint16
	Parallel   uint16 // attempts in flight at the webhook

	DeadName   string // its dead letter queue, "": none
	URL        string // the webhook, "": consumers pull
	Secret     string // key of QStash-Signature
	SecretNext string
	RetryDelay string // expression, "" for the default backoff

	// Counters are what the queue had counted a moment before this was written: an index
	// that is rebuilt from a log whose older part is gone goes on from there.
	Counters PullCounters
}

// texts are what follows the head: all of them, in this order, since the payload has no
// length of its own that would tell of a missing one.
func (q *PullQueue) texts() [6]struct {
	tag  Tag
	text *string
} {
	return [...]struct {
		tag  Tag
		text *string
	}{
		{tagPullQueue, &q.Name},
		{tagPullDead, &q.DeadName},
		{tagURL, &q.URL},
		{tagPullSecret, &q.Secret},
		{tagPullSecretNext, &q.SecretNext},
		{tagRetryDelay, &q.RetryDelay},
	}
}

// Append appends the encoded definition to dst.
func (q *PullQueue) Append(dst []byte) []byte {
	var h [pullQueueHead]byte
	h[0], h[1] = byte(TypePullQueue), version
	le.PutUint16(h[2:], q.Flags)
	le.PutUint32(h[4:], q.User)
	le.PutUint64(h[8:], q.ID)
	le.PutUint64(h[16:], uint64(q.Created))
	le.PutUint64(h[24:], uint64(q.Updated))
	le.PutUint64(h[32:], q.Old)
	le.PutUint64(h[40:], uint64(q.Retention))
	le.PutUint64(h[48:], uint64(q.Delay))
	le.PutUint32(h[56:], q.OldLen)
	le.PutUint32(h[60:], q.Visibility)
	le.PutUint32(h[64:], q.Timeout)
	le.PutUint16(h[68:], q.Retries)
	le.PutUint16(h[70:], q.Parallel)
	q.Counters.Put(h[72:72])
	dst = append(dst, h[:]...)
	for _, t := range q.texts() {
		dst = appendField(dst, t.tag, *t.text)
	}
	return dst
}

// DecodePullQueue decodes a payload; it keeps nothing of p.
func DecodePullQueue(p []byte, q *PullQueue) error {
	if err := check(p, TypePullQueue, pullQueueHead, pullFlags); err != nil {
		return err
	}
	*q = PullQueue{
		Flags: le.Uint16(p[2:]), User: le.Uint32(p[4:]), ID: le.Uint64(p[8:]), Created: int64(le.Uint64(p[16:])), Updated: int64(le.Uint64(p[24:])),
		Old: le.Uint64(p[32:]), Retention: int64(le.Uint64(p[40:])), Delay: int64(le.Uint64(p[48:])), OldLen: le.Uint32(p[56:]),
		Visibility: le.Uint32(p[60:]), Timeout: le.Uint32(p[64:]), Retries: le.Uint16(p[68:]), Parallel: le.Uint16(p[70:]),
	}
	q.Counters.Get(p[72:])
	texts, n := q.texts(), 0
	err := fields(p[pullQueueHead:], func(tag Tag, v []byte) error {
		if n == len(texts) || texts[n].tag != tag {
			return unknownTag(TypePullQueue, tag)
		}
		*texts[n].text = string(v)
		n++
		return nil
	})
	if err == nil && (n != len(texts) || q.ID == 0) {
		err = fmt.Errorf("%w: a pull queue with %d of %d texts, or without an id", ErrTruncated, n, len(texts))
	}
	return err
}
