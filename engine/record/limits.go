package record

import "fmt"

// Flags of a Queue.
const (
	QueuePaused uint16 = 1 << 0 // none of its messages is attempted
	QueueGone   uint16 = 1 << 1 // deleted: it is kept until the messages before Drop have ended
	QueueNew    uint16 = 1 << 2 // made by the first message to it: void if there is such a queue

	queueFlags = QueuePaused | QueueGone | QueueNew
)

// queueHead: 4 user u32, 8 created i64, 16 updated i64, 24 drop u64, 32 old u64,
// 40 old len u32, 44 parallelism u32.
const queueHead = 48

// Queue is the newest state of a queue (QSTASH.md §8.4). The newest record of a user and
// name wins, but for one with QueueNew, which only makes a queue that is not there.
type Queue struct {
	Flags       uint16
	User        uint32
	Name        string
	Parallelism uint32
	Created     int64  // unix ms
	Updated     int64  // unix ms
	Drop        uint64 // messages published before this LSN are canceled at their turn; see DropBefore
	Old         uint64 // where the record stood that this one replaces, 0: nowhere
	OldLen      uint32
}

// ID is what the queue is known by.
func (q *Queue) ID() uint64 { return QueueID(q.User, q.Name) }

// DropBefore returns Drop of a record that stands at lsn: one that deletes the queue and
// names no LSN means its own.
func (q *Queue) DropBefore(lsn uint64) uint64 {
	if q.Drop == 0 && q.Flags&QueueGone != 0 {
		return lsn
	}
	return q.Drop
}

// Append appends the encoded queue to dst.
func (q *Queue) Append(dst []byte) []byte {
	var h [queueHead]byte
	h[0], h[1] = byte(TypeQueue), version
	le.PutUint16(h[2:], q.Flags)
	le.PutUint32(h[4:], q.User)
	le.PutUint64(h[8:], uint64(q.Created))
	le.PutUint64(h[16:], uint64(q.Updated))
	le.PutUint64(h[24:], q.Drop)
	le.PutUint64(h[32:], q.Old)
	le.PutUint32(h[40:], q.OldLen)
	le.PutUint32(h[44:], q.Parallelism)
	return appendField(append(dst, h[:]...), tagQueue, q.Name)
}

// DecodeQueue decodes a payload; it keeps nothing of p.
func DecodeQueue(p []byte, q *Queue) error {
	if err := check(p, TypeQueue, queueHead, queueFlags); err != nil {
		return err
	}
	*q = Queue{
		Flags: le.Uint16(p[2:]), User: le.Uint32(p[4:]), Created: int64(le.Uint64(p[8:])), Updated: int64(le.Uint64(p[16:])),
		Drop: le.Uint64(p[24:]), Old: le.Uint64(p[32:]), OldLen: le.Uint32(p[40:]), Parallelism: le.Uint32(p[44:]),
	}
	return onlyField(TypeQueue, p[queueHead:], tagQueue, &q.Name)
}

// onlyField decodes the text that is all that follows a fixed head.
func onlyField(t Type, p []byte, want Tag, text *string) error {
	n := 0
	err := fields(p, func(tag Tag, v []byte) error {
		if tag != want {
			return unknownTag(t, tag)
		}
		n++
		*text = string(v)
		return nil
	})
	if err == nil && (n != 1 || *text == "") {
		err = fmt.Errorf("%w: the name of a record of type %d", ErrTruncated, t)
	}
	return err
}

// Flags of a Flow.
const (
	FlowPaused            uint16 = 1 << 0 // no attempt of its messages begins
	FlowPinnedParallelism uint16 = 1 << 1 // messages do not change Parallelism
	FlowPinnedRate        uint16 = 1 << 2 // nor Rate and Period

	flowFlags = FlowPaused | FlowPinnedParallelism | FlowPinnedRate
)

// flowHead: 4 user u32, 8 window i64, 16 old u64, 24 old len u32, 28 drawn u32.
const flowHead = 32

// Flow is the newest state of a flow-control key, as far as it outlives its messages
// and the process (L6): what was pinned or paused, and how many permits of the present
// window were drawn. The newest record of a user and key wins.
type Flow struct {
	Flags    uint16
	User     uint32
	Key      string
	FlowRule        // as it is now: with its flags what is pinned
	Window   int64  // unix ms: when the window began that Drawn is about, 0: none
	Drawn    uint32 // permits of it that may have been used
	Old      uint64 // where the record stood that this one replaces, 0: nowhere
	OldLen   uint32
}

// ID is what the key is known by.
func (f *Flow) ID() uint64 { return FlowID(f.User, f.Key) }

// Until returns when the window is over for all that it may mean, unix ms; 0: there is
// none. In the sliding mode a permit may be used until a period after Window, and counts
// for another one.
func (f *Flow) Until() int64 {
	switch {
	case f.Window == 0:
		return 0
	case f.Sliding:
		return f.Window + 2*int64(f.Period)
	}
	return f.Window + int64(f.Period)
}

// Size returns the number of bytes that Append adds.
func (f *Flow) Size() int { return flowHead + fieldSize(flowRuleSize+len(f.Key)) }

// Append appends the encoded state to dst.
func (f *Flow) Append(dst []byte) []byte {
	var h [flowHead]byte
	h[0], h[1] = byte(TypeFlow), version
	le.PutUint16(h[2:], f.Flags)
	le.PutUint32(h[4:], f.User)
	le.PutUint64(h[8:], uint64(f.Window))
	le.PutUint64(h[16:], f.Old)
	le.PutUint32(h[24:], f.OldLen)
	le.PutUint32(h[28:], f.Drawn)
	return appendFlow(append(dst, h[:]...), &f.FlowRule, f.Key)
}

// DecodeFlow decodes a payload; it keeps nothing of p.
func DecodeFlow(p []byte, f *Flow) error {
	if err := check(p, TypeFlow, flowHead, flowFlags); err != nil {
		return err
	}
	*f = Flow{
		Flags: le.Uint16(p[2:]), User: le.Uint32(p[4:]), Window: int64(le.Uint64(p[8:])),
		Old: le.Uint64(p[16:]), OldLen: le.Uint32(p[24:]), Drawn: le.Uint32(p[28:]),
	}
	var v string
	if err := onlyField(TypeFlow, p[flowHead:], tagFlow, &v); err != nil {
		return err
	}
	rule, key, err := cutFlow([]byte(v))
	f.FlowRule, f.Key = rule, string(key)
	return err
}
