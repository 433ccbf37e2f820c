package record

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Pull is what a row keeps of a message of a pull queue (QUEUES.md), which consumers
// receive under a lease, or which is pushed to the queue's webhook. Its Host is the id of
// the queue that it is in. The zero value stands for any other message.
type Pull struct {
	Published int64  // unix ms; never 0 of a message of a pull queue
	Since     int64  // unix ms: when it could first be received in the queue that it is in
	First     int64  // unix ms: when it was first received or pushed, 0: never
	Leased    int64  // unix ms: when the newest lease began, 0: none did
	Lease     uint64 // the newest lease while it may be used, 0: there is none
	Dead      PullDead
}

// PullDead says how a message came to a dead letter queue. The zero value: it did not.
type PullDead struct {
	At       int64 // unix ms
	Attempts uint16
	Status   uint16 // of the webhook's last answer, 0: none
	Reason   PullReason
	Source   string // the name of the queue that it failed in
}

// PullReason says why a message failed for good.
type PullReason uint8

// The reasons to bury a message.
const (
	PullExpired   PullReason = 1 // the last lease ran out, or its message was released
	PullFailed    PullReason = 2 // the webhook did not answer with a 2xx
	PullGivenUp   PullReason = 3 // the webhook asked for no more attempts
	pullReasonMax            = PullGivenUp
)

// PullOp is what an outcome does to a message of a pull queue. What becomes of the
// message is said by the outcome's kind, what it counts as by this.
type PullOp uint8

// The operations. All but those that say so leave the message where it is.
const (
	PullReceive PullOp = 1  // a lease began: an attempt
	PullExtend  PullOp = 2  // a lease lasts longer
	PullRelease PullOp = 3  // a lease was given up
	PullReturn  PullOp = 4  // a lease was given back by a receiver that never saw it: no attempt
	PullAck     PullOp = 5  // ends it: delivered
	PullPush    PullOp = 6  // an attempt at the webhook ended
	PullExpire  PullOp = 7  // ends it: it was kept for as long as its queue keeps messages
	PullDrop    PullOp = 8  // ends it: it was deleted
	PullBury    PullOp = 9  // moves it to a dead letter queue
	PullRedrive PullOp = 10 // moves it out of one
	pullOpMax          = PullRedrive
)

// Moves says whether the operation takes the message to another queue.
func (op PullOp) Moves() bool { return op == PullBury || op == PullRedrive }

func (op PullOp) String() string {
	names := [...]string{"", "receive", "extend", "release", "return", "ack", "push", "expire", "drop", "bury", "redrive"}
	if int(op) < len(names) {
		return names[op]
	}
	return fmt.Sprintf("PullOp(%d)", uint8(op))
}

// PullStep is what an outcome says of a message of a pull queue. The zero value: its
// message is none.
type PullStep struct {
	Op     PullOp
	Leased bool   // the row had a lease before
	Next   Pull   // what the row keeps from now on, if the message goes on
	Lane   uint64 // where it goes, if Op moves it: the lane,
	Host   uint64 // the queue,
	Queue  uint64 // and Line.Queue
}

// The encodings: of a Pull five numbers, and Dead if there is one; of a step the operation,
// flags, where it goes, and Next.
const (
	pullSize     = 5 * 8
	pullDeadSize = 8 + 2 + 2 + 1 // and the source
	pullStepHead = 2
	pullStepTo   = 3 * 8

	pullNameMax = 128
	// pullMax is the most that a Pull takes with a length before it.
	pullMax = 2 + pullSize + pullDeadSize + pullNameMax

	pullWasLeased = 1
)

func (r *Pull) size() int {
	if r.Dead == (PullDead{}) {
		return pullSize
	}
	return pullSize + pullDeadSize + len(r.Dead.Source)
}

// Put appends the encoded Pull, which has no length of its own.
func (r *Pull) Put(dst []byte) []byte {
	for _, n := range [...]int64{r.Published, r.Since, r.First, r.Leased, int64(r.Lease)} {
		dst = le.AppendUint64(dst, uint64(n))
	}
	if r.Dead == (PullDead{}) {
		return dst
	}
	dst = le.AppendUint64(dst, uint64(r.Dead.At))
	dst = le.AppendUint16(dst, r.Dead.Attempts)
	dst = le.AppendUint16(dst, r.Dead.Status)
	return append(append(dst, byte(r.Dead.Reason)), r.Dead.Source...)
}

// Get decodes what Put wrote. It keeps nothing of v.
func (r *Pull) Get(v []byte) error {
	if len(v) < pullSize || len(v) > pullSize && len(v) <= pullSize+pullDeadSize {
		return fmt.Errorf("%w: a message of a pull queue in %d bytes", ErrTruncated, len(v))
	}
	*r = Pull{
		Published: int64(le.Uint64(v)), Since: int64(le.Uint64(v[8:])), First: int64(le.Uint64(v[16:])),
		Leased: int64(le.Uint64(v[24:])), Lease: le.Uint64(v[32:]),
	}
	if r.Published == 0 {
		return fmt.Errorf("%w: a message of a pull queue that was never published", ErrTruncated)
	}
	if v = v[pullSize:]; len(v) == 0 {
		return nil
	}
	r.Dead = PullDead{
		At: int64(le.Uint64(v)), Attempts: le.Uint16(v[8:]), Status: le.Uint16(v[10:]), Reason: PullReason(v[12]),
		Source: string(v[pullDeadSize:]),
	}
	if r.Dead.Reason == 0 || r.Dead.Reason > pullReasonMax || len(r.Dead.Source) > pullNameMax {
		return fmt.Errorf("%w: a message buried for reason %d", ErrUnknown, r.Dead.Reason)
	}
	return nil
}

func (s *PullStep) size() int {
	n := pullStepHead + s.Next.size()
	if s.Op.Moves() {
		n += pullStepTo
	}
	return n
}

func (s *PullStep) append(dst []byte) []byte {
	var flags byte
	if s.Leased {
		flags = pullWasLeased
	}
	var b [pullStepHead + pullStepTo + pullMax]byte
	v := append(b[:0], byte(s.Op), flags)
	if s.Op.Moves() {
		v = le.AppendUint64(le.AppendUint64(le.AppendUint64(v, s.Lane), s.Host), s.Queue)
	}
	return appendField(dst, tagPull, s.Next.Put(v))
}

func (s *PullStep) decode(v []byte) error {
	if len(v) < pullStepHead || s.Op != 0 {
		return fmt.Errorf("%w: a step of %d bytes, or a second one", ErrTruncated, len(v))
	}
	s.Op, s.Leased = PullOp(v[0]), v[1]&pullWasLeased != 0
	if s.Op == 0 || s.Op > pullOpMax || v[1]&^pullWasLeased != 0 {
		return fmt.Errorf("%w: operation %d of a pull queue, flags %#x", ErrUnknown, v[0], v[1])
	}
	if v = v[pullStepHead:]; s.Op.Moves() {
		if len(v) < pullStepTo {
			return ErrTruncated
		}
		s.Lane, s.Host, s.Queue = le.Uint64(v), le.Uint64(v[8:]), le.Uint64(v[16:])
		v = v[pullStepTo:]
	}
	return s.Next.Get(v)
}

// find decodes the step among fields that have one.
func (s *PullStep) find(fs []byte) error {
	err := fields(fs, func(tag Tag, v []byte) error {
		if tag == tagPull {
			return s.decode(v)
		}
		return nil
	})
	if err == nil && s.Op == 0 {
		err = errPullFlag
	}
	return err
}

// NextRow is the row that a message has after an outcome that did not end it.
func (o *Outcome) NextRow() Row {
	r := o.Row
	r.Due, r.Tries = o.Next, o.Attempt
	if o.Step.Op == 0 {
		return r
	}
	r.Pull = o.Step.Next
	if o.Step.Op.Moves() {
		r.Lane, r.Host, r.Queue = o.Step.Lane, o.Step.Host, o.Step.Queue
	}
	return r
}

// PullGroupLane is the lane of the messages of a pull queue that have the same group. That
// of the same group in another queue follows from it and the ids of both.
func PullGroupLane(queue uint64, group string) uint64 { return xxhash.Sum64String(group) ^ queue }

// Pull returns what the row of a message keeps that has just been published.
func (h MessageHead) Pull() Pull {
	if le.Uint16(h[2:])&FlagPull == 0 {
		return Pull{}
	}
	return Pull{Published: h.Created(), Since: max(h.Created(), h.Due())}
}

// PullQueue returns the name of the pull queue that a message was published to, nil if it
// was published to none. It aliases the payload.
func (h MessageHead) PullQueue() (name []byte, err error) {
	if le.Uint16(h[2:])&FlagPull == 0 {
		return nil, nil
	}
	err = fields(h.fields(), func(tag Tag, v []byte) error {
		if tag == tagPullQueue {
			name = v
		}
		return nil
	})
	if err == nil && len(name) == 0 {
		err = errPullFlag
	}
	return name, err
}

var errPullFlag = fmt.Errorf("%w: a pull queue and its flag do not agree", ErrTruncated)

func (m *Message) pullSize() (n int) {
	if m.PullName != "" {
		n += fieldSize(len(m.PullName))
	}
	if m.PullGroup != "" {
		n += fieldSize(len(m.PullGroup))
	}
	return n
}

func (m *Message) appendPull(dst []byte) []byte {
	if m.PullName != "" {
		dst = appendField(dst, tagPullQueue, m.PullName)
	}
	if m.PullGroup != "" {
		dst = appendField(dst, tagPullGroup, m.PullGroup)
	}
	return dst
}

// checkPull refuses a message whose parts about pull queues do not agree.
func (m *Message) checkPull() error {
	if m.Flags&FlagPull != 0 != (m.PullName != "") || m.PullGroup != "" && (m.PullName == "" || m.Line.Queue == 0) {
		return errPullFlag
	}
	return nil
}
