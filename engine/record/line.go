package record

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Line says what holds a message back besides its host (L1): the queue in which it has
// its turn, and the flow-control key whose permits it draws.
type Line struct {
	Queue uint64 // QueueID, 0: none
	Root  uint64 // seq of the message whose turn in the queue it shares, being a callback of it; 0: it has its own
	Flow  uint64 // FlowID, 0: none
}

const lineSize = 24

func (l *Line) put(dst []byte) []byte {
	dst = le.AppendUint64(dst, l.Queue)
	dst = le.AppendUint64(dst, l.Root)
	return le.AppendUint64(dst, l.Flow)
}

func (l *Line) append(dst []byte) []byte {
	var b [lineSize]byte
	return appendField(dst, tagLine, l.put(b[:0]))
}

func (l *Line) decode(v []byte) error {
	if len(v) != lineSize || *l != (Line{}) {
		return fmt.Errorf("%w: a line of %d bytes, or a second one", ErrTruncated, len(v))
	}
	*l = Line{Queue: le.Uint64(v), Root: le.Uint64(v[8:]), Flow: le.Uint64(v[16:])}
	if *l == (Line{}) || l.Root != 0 && l.Queue == 0 {
		return fmt.Errorf("%w: a line that leads nowhere", ErrTruncated)
	}
	return nil
}

// find decodes the line among fields that have one.
func (l *Line) find(fs []byte) error {
	err := fields(fs, func(tag Tag, v []byte) error {
		if tag == tagLine {
			return l.decode(v)
		}
		return nil
	})
	if err == nil && *l == (Line{}) {
		err = errLineFlag
	}
	return err
}

var errLineFlag = fmt.Errorf("%w: a line and its flag do not agree", ErrTruncated)

// named says whether a message has the names of what its line leads through.
func (l *Line) named(queue, flow bool) bool { return (l.Queue == 0 || queue) && (l.Flow == 0 || flow) }

var errUnnamed = fmt.Errorf("%w: a line through a queue or a flow-control key without its name", ErrTruncated)

// Order is what the rows of a lane are sorted by before seq: the time when a message
// is due, or its turn where it stands in a queue (X4).
func (r *Row) Order() int64 {
	switch {
	case r.Queue == 0:
		return r.Due
	case r.Root != 0:
		return int64(r.Root)
	}
	return int64(r.Seq)
}

// QueueID names a queue by 64 bits. It is the id of the lane of its messages without
// an ordering key, too.
func QueueID(user uint32, name string) uint64 { return hash('q', user, name) }

// OrderingLane is the lane of the messages of a queue that have the same ordering key.
func OrderingLane(queue uint64, key string) uint64 {
	d := xxhash.New()
	var b [8]byte
	le.PutUint64(b[:], queue)
	d.Write(b[:])
	d.WriteString(key)
	return d.Sum64()
}

// FlowID names a flow-control key.
func FlowID(user uint32, key string) uint64 { return hash('f', user, key) }

// FlowLane is the lane of the messages with a flow-control key that go to a host.
func FlowLane(flow, host uint64) uint64 {
	var b [16]byte
	le.PutUint64(b[:], flow)
	le.PutUint64(b[8:], host)
	return xxhash.Sum64(b[:])
}

func hash(kind byte, user uint32, name string) uint64 {
	d := xxhash.New()
	var b [5]byte
	b[0] = kind
	le.PutUint32(b[1:], user)
	d.Write(b[:])
	d.WriteString(name)
	return d.Sum64()
}

// FlowRule is the limits of a flow-control key (QSTASH.md §8.7).
type FlowRule struct {
	Parallelism uint32 // attempts in flight, 0: any number
	Rate        uint32 // attempts that begin in one period, 0: any number
	Period      uint32 // ms
	Sliding     bool   // no stretch of one period, wherever it begins, holds more than Rate
}

const flowRuleSize = 13

func (f *FlowRule) put(dst []byte) []byte {
	dst = le.AppendUint32(dst, f.Parallelism)
	dst = le.AppendUint32(dst, f.Rate)
	dst = le.AppendUint32(dst, f.Period)
	if f.Sliding {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func (f *FlowRule) decode(v []byte) error {
	if len(v) < flowRuleSize {
		return ErrTruncated
	}
	if v[12] > 1 {
		return fmt.Errorf("%w: flow-control flags %#x", ErrUnknown, v[12])
	}
	*f = FlowRule{Parallelism: le.Uint32(v), Rate: le.Uint32(v[4:]), Period: le.Uint32(v[8:]), Sliding: v[12] == 1}
	return nil
}

// cutFlow decodes a field of a flow-control key, which has a name. It aliases v.
func cutFlow(v []byte) (f FlowRule, key []byte, err error) {
	if err := f.decode(v); err != nil {
		return f, nil, err
	}
	if key = v[flowRuleSize:]; len(key) == 0 {
		err = fmt.Errorf("%w: a flow-control key without a name", ErrTruncated)
	}
	return f, key, err
}

func appendFlow(dst []byte, f *FlowRule, key string) []byte {
	dst = append(dst, byte(tagFlow))
	dst = binary.AppendUvarint(dst, uint64(flowRuleSize+len(key)))
	return append(f.put(dst), key...)
}

// lineSize returns the number of bytes that appendLine adds.
func (m *Message) lineSize() (n int) {
	if m.Line != (Line{}) {
		n += fieldSize(lineSize)
	}
	for _, s := range [...]string{m.QueueName, m.Ordering, m.Topic, m.Endpoint} {
		if s != "" {
			n += fieldSize(len(s))
		}
	}
	if m.FlowKey != "" {
		n += fieldSize(flowRuleSize + len(m.FlowKey))
	}
	for _, t := range [...][]byte{m.Callback, m.Failure} {
		if len(t) > 0 {
			n += fieldSize(len(t))
		}
	}
	return n
}

func (m *Message) appendLine(dst []byte) []byte {
	if m.Line != (Line{}) {
		dst = m.Line.append(dst)
	}
	text := func(tag Tag, s string) {
		if s != "" {
			dst = appendField(dst, tag, s)
		}
	}
	text(tagQueue, m.QueueName)
	text(tagOrdering, m.Ordering)
	text(tagTopic, m.Topic)
	text(tagEndpoint, m.Endpoint)
	if m.FlowKey != "" {
		dst = appendFlow(dst, &m.FlowRule, m.FlowKey)
	}
	if len(m.Callback) > 0 {
		dst = appendField(dst, tagCallback, m.Callback)
	}
	if len(m.Failure) > 0 {
		dst = appendField(dst, tagFailure, m.Failure)
	}
	return dst
}

// decodeLine takes the fields that appendLine writes, and refuses any other. s says the
// same as v.
func (m *Message) decodeLine(tag Tag, v []byte, s string) error {
	switch tag {
	case tagLine:
		return m.Line.decode(v)
	case tagQueue:
		m.QueueName = s
	case tagOrdering:
		m.Ordering = s
	case tagTopic:
		m.Topic = s
	case tagEndpoint:
		m.Endpoint = s
	case tagFlow:
		rule, key, err := cutFlow(v)
		m.FlowRule, m.FlowKey = rule, string(key)
		return err
	case tagCallback:
		m.Callback = v
		return checkTemplate(v)
	case tagFailure:
		m.Failure = v
		return checkTemplate(v)
	case tagPullQueue:
		m.PullName = s
	case tagPullGroup:
		m.PullGroup = s
	default:
		return unknownTag(TypeMessage, tag)
	}
	return nil
}

// Line returns what holds the message back besides its host.
func (h MessageHead) Line() (l Line, err error) {
	if le.Uint16(h[2:])&FlagLine != 0 {
		err = l.find(h.fields())
	}
	return l, err
}

// Report says whether the message reports the outcome in whose record it stands.
func (h MessageHead) Report() bool { return le.Uint16(h[2:])&FlagReport != 0 }

// LineNames are the names behind a message's Line. They alias the payload.
type LineNames struct {
	Queue, FlowKey []byte // empty: none
	Pull           []byte // the pull queue whose group the line is of, empty: none
	FlowRule
}

// LineNames returns the names of queue and flow-control key and what the message says
// of the latter. It refuses a line without them: its summaries are kept by name.
func (h MessageHead) LineNames() (n LineNames, err error) {
	if le.Uint16(h[2:])&FlagLine == 0 {
		return n, nil
	}
	var l Line
	err = fields(h.fields(), func(tag Tag, v []byte) (err error) {
		switch tag {
		case tagLine:
			return l.decode(v)
		case tagQueue:
			n.Queue = v
		case tagPullQueue:
			n.Pull = v
		case tagFlow:
			n.FlowRule, n.FlowKey, err = cutFlow(v)
		}
		return err
	})
	if err == nil && !l.named(len(n.Queue)+len(n.Pull) > 0, len(n.FlowKey) > 0) {
		err = errUnnamed
	}
	return n, err
}

// Stamp says when an encoded callback was created and is due, unix ms: until then its Due
// is the delay.
func Stamp(m []byte, now int64) {
	le.PutUint64(m[16:], uint64(int64(le.Uint64(m[16:]))+now))
	le.PutUint64(m[24:], uint64(now))
}
