package record

import "fmt"

// Flags of a Message. A decoder refuses those it does not know: they may say
// how the body is to be read.
const (
	FlagZstd uint16 = 1 << 0 // the stored body is one zstd frame
	FlagTick uint16 = 1 << 1 // Tick is set
	FlagLine uint16 = 1 << 2 // Line is set; Append sees to it

	// FlagReport says that the message is a callback (QSTASH.md §7): it has no body of
	// its own but reports the outcome in whose record it stands.
	FlagReport uint16 = 1 << 3

	// FlagFailure says that a callback reports that its message has failed for good: it
	// names the dead letter.
	FlagFailure uint16 = 1 << 4

	// FlagPull says that the message is one of a pull queue (QUEUES.md): Lane and Host are
	// the queue's, and it has no destination of its own.
	FlagPull uint16 = 1 << 12

	messageFlags = FlagZstd | FlagTick | FlagLine | FlagReport | FlagFailure | FlagPull
)

// messageHead is the length of a Message's fixed head. Offsets:
//
//	 4 user u32      8 nonce u64    16 due i64      24 created i64
//	32 lane u64     40 host u64     48 timeout u32  52 retries u16
//	54 method u8    55 zero         56 body u32     60 fields u32
const messageHead = 64

// Message is what was published: destination, body and every option of its
// delivery. Encoded by Append, decoded by DecodeMessage.
type Message struct {
	Flags   uint16
	User    uint32
	Nonce   uint64
	Due     int64  // unix ms; never attempted before
	Created int64  // unix ms
	Lane    uint64 // the lane it waits in (L1)
	Host    uint64 // the host pool it goes to
	Timeout uint32 // ms per attempt, 0: the server's default
	Retries uint16 // attempts = 1 + Retries
	Method  Method

	URL        string
	Header     []Header // delivered as they are: Content-Type and the forwarded ones
	CallerIP   string
	RetryDelay string       // expression, "" for the default backoff
	DedupKey   [16]byte     // zero: none
	FromDead   FromDead     // the dead letter that this redrives, or zero
	Schedule   string       // the id of the schedule that it comes from, "" for none
	Tick       ScheduleTick // with FlagTick: its schedule has come as far as this

	Line               // zero: nothing but its host holds it back
	QueueName string   // "" for none
	Ordering  string   // key within the queue, "" for none
	FlowKey   string   // "" for none
	FlowRule           // what the message says of its flow-control key
	Topic     string   // the URL group that it was published to, "" for none
	Endpoint  string   // name of the group's endpoint, "" if it has none
	Labels    []string // at most LabelsMax, each of 1 to LabelMax bytes; order is kept
	Redact    Redact   // what views of it show as a hash
	PullName  string   // with FlagPull: the pull queue that it was published to
	PullGroup string   // key within that, "" for none

	// Callback and Failure are what becomes a message after each attempt, and after
	// the last one that failed: encoded messages whose Due is a delay, ms. Decoded
	// ones alias the payload.
	Callback, Failure []byte

	Body    []byte // as stored: a zstd frame when FlagZstd is set
	BodyLen uint32 // length of the body as published
}

// FromDead names a dead letter that a message redrives, and so ends.
type FromDead struct {
	Dead  uint64 // the LSN that names it; 0: none
	Freed Freed
}

const (
	fromDeadSize   = 8 + freedSize
	fromDeadSizeV1 = 8 // without Freed, as the first version wrote it
)

func (f *FromDead) append(dst []byte) []byte {
	var b [fromDeadSize]byte
	le.PutUint64(b[:], f.Dead)
	f.Freed.put(b[8:])
	return appendField(dst, tagFromDead, b[:])
}

func (f *FromDead) decode(v []byte) error {
	if len(v) != fromDeadSize && len(v) != fromDeadSizeV1 {
		return ErrTruncated
	}
	f.Dead = le.Uint64(v)
	if len(v) == fromDeadSize {
		f.Freed.get(v[8:])
	}
	return nil
}

// Method is the delivery's HTTP method as one byte.
type Method uint8

// methods lists the allowed methods; a Method is an index into it.
var methods = [...]string{"POST", "GET", "PUT", "PATCH", "DELETE"}

// ParseMethod returns the Method of an upper-case name (QSTASH.md §3.4).
func ParseMethod(s string) (Method, bool) {
	for i, m := range methods {
		if m == s {
			return Method(i), true
		}
	}
	return 0, false
}

func (m Method) String() string {
	if int(m) < len(methods) {
		return methods[m]
	}
	return fmt.Sprintf("Method(%d)", uint8(m))
}

// Size returns the number of bytes that Append adds.
func (m *Message) Size() int { return messageHead + m.fieldsSize() + len(m.Body) }

func (m *Message) fieldsSize() int {
	n := fieldSize(len(m.URL)) + headersSize(m.Header)
	if m.CallerIP != "" {
		n += fieldSize(len(m.CallerIP))
	}
	if m.RetryDelay != "" {
		n += fieldSize(len(m.RetryDelay))
	}
	if m.DedupKey != ([16]byte{}) {
		n += fieldSize(len(m.DedupKey))
	}
	if m.FromDead.Dead != 0 {
		n += fieldSize(fromDeadSize)
	}
	if m.Schedule != "" {
		n += fieldSize(len(m.Schedule))
	}
	if m.Flags&FlagTick != 0 {
		n += fieldSize(scheduleTickSize)
	}
	return n + m.lineSize() + m.pullSize() + labelsSize(m.Labels) + m.Redact.size()
}

// Append appends the encoded message to dst and returns the result. It does not
// keep m or anything m points to.
func (m *Message) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, messageHead)...)
	h := dst[at:]
	h[0], h[1] = byte(TypeMessage), version
	le.PutUint16(h[2:], m.flags())
	le.PutUint32(h[4:], m.User)
	le.PutUint64(h[8:], m.Nonce)
	le.PutUint64(h[16:], uint64(m.Due))
	le.PutUint64(h[24:], uint64(m.Created))
	le.PutUint64(h[32:], m.Lane)
	le.PutUint64(h[40:], m.Host)
	le.PutUint32(h[48:], m.Timeout)
	le.PutUint16(h[52:], m.Retries)
	h[54] = byte(m.Method)
	le.PutUint32(h[56:], m.BodyLen)
	le.PutUint32(h[60:], uint32(m.fieldsSize()))
	dst = m.appendFields(dst)
	return append(dst, m.Body...)
}

func (m *Message) flags() uint16 {
	f := m.Flags &^ FlagLine
	if m.Line != (Line{}) {
		f |= FlagLine
	}
	return f
}

func (m *Message) appendFields(dst []byte) []byte {
	dst = m.appendPull(m.appendLine(dst))
	dst = appendField(dst, tagURL, m.URL)
	dst = appendHeaders(dst, m.Header, tagHeaderName, tagHeaderVal)
	if m.CallerIP != "" {
		dst = appendField(dst, tagCallerIP, m.CallerIP)
	}
	if m.RetryDelay != "" {
		dst = appendField(dst, tagRetryDelay, m.RetryDelay)
	}
	if m.DedupKey != ([16]byte{}) {
		dst = appendField(dst, tagDedupKey, m.DedupKey[:])
	}
	if m.FromDead.Dead != 0 {
		dst = m.FromDead.append(dst)
	}
	if m.Schedule != "" {
		dst = appendField(dst, tagSchedule, m.Schedule)
	}
	if m.Flags&FlagTick != 0 {
		dst = m.Tick.append(dst)
	}
	return m.Redact.append(appendLabels(dst, m.Labels))
}

// MessageHead is a view of an encoded message's fixed head: what the step
// function and the index need, without decoding the rest. It aliases the
// payload.
type MessageHead []byte

// HeadOfMessage checks the payload's type, version, flags and length.
func HeadOfMessage(p []byte) (MessageHead, error) {
	if err := check(p, TypeMessage, messageHead, messageFlags); err != nil {
		return nil, err
	}
	if f := le.Uint16(p[2:]); f&FlagFailure != 0 && f&FlagReport == 0 {
		return nil, fmt.Errorf("%w: a failure callback that reports nothing", ErrUnknown)
	}
	if uint64(messageHead)+uint64(le.Uint32(p[60:])) > uint64(len(p)) {
		return nil, ErrTruncated
	}
	if err := zero(TypeMessage, p[55:56]); err != nil {
		return nil, err
	}
	return MessageHead(p), nil
}

// Tick returns the schedule that a message with FlagTick is a tick of; ok is false
// for any other message. id aliases the payload.
func (h MessageHead) Tick() (id []byte, k ScheduleTick, ok bool, err error) {
	if le.Uint16(h[2:])&FlagTick == 0 {
		return nil, k, false, nil
	}
	err = fields(h.fields(), func(tag Tag, v []byte) error {
		switch tag {
		case tagSchedule:
			id = v
		case tagTick:
			return k.decode(v)
		}
		return nil
	})
	if err == nil && (len(id) == 0 || k.Time == 0) {
		err = ErrTruncated
	}
	return id, k, true, err
}

// User, Nonce and the rest return the fields of the same name in Message.
func (h MessageHead) User() uint32   { return le.Uint32(h[4:]) }
func (h MessageHead) Nonce() uint64  { return le.Uint64(h[8:]) }
func (h MessageHead) Due() int64     { return int64(le.Uint64(h[16:])) }
func (h MessageHead) Created() int64 { return int64(le.Uint64(h[24:])) }
func (h MessageHead) Lane() uint64   { return le.Uint64(h[32:]) }
func (h MessageHead) Host() uint64   { return le.Uint64(h[40:]) }

// Special returns the fields that only some messages have and that the index
// needs: the dedup key and the dead letter that is redriven. It refuses tags
// that DecodeMessage would refuse: the applier sees every message first, and a
// later version's message must not be indexed as if it were one of ours.
func (h MessageHead) Special() (dedup [16]byte, fromDead FromDead, err error) {
	var labels int
	var redact Redact
	err = fields(h.fields(), func(tag Tag, v []byte) error {
		switch tag {
		case tagDedupKey:
			if copy(dedup[:], v) != len(v) || len(v) != len(dedup) {
				return ErrTruncated
			}
		case tagFromDead:
			return fromDead.decode(v)
		case tagURL, tagHeaderName, tagHeaderVal, tagCallerIP, tagRetryDelay, tagSchedule, tagTick:
		case tagLine, tagQueue, tagOrdering, tagFlow, tagTopic, tagEndpoint, tagPullQueue, tagPullGroup:
		case tagCallback, tagFailure:
			return checkTemplate(v)
		case tagLabel:
			labels++
			return checkLabel(labels-1, v)
		case tagRedact:
			return redact.decode(v)
		default:
			return unknownTag(TypeMessage, tag)
		}
		return nil
	})
	return dedup, fromDead, err
}

func (h MessageHead) fields() []byte {
	return h[messageHead : messageHead+int(le.Uint32(h[60:]))]
}

// DecodeMessage decodes a payload. Strings are copied, all in one piece: who keeps one of
// them for long clones it. Body, Callback and Failure alias
// p. The memory of m.Header is used again: a caller that decodes into the same Message twice
// must not keep the first one's Header. On an error m holds nothing of use.
func DecodeMessage(p []byte, m *Message) error {
	h, err := HeadOfMessage(p)
	if err != nil {
		return err
	}
	*m = Message{
		Flags: le.Uint16(p[2:]), User: h.User(), Nonce: h.Nonce(), Due: h.Due(), Created: h.Created(),
		Lane: h.Lane(), Host: h.Host(), Timeout: le.Uint32(p[48:]), Retries: le.Uint16(p[52:]),
		Method: Method(p[54]), BodyLen: le.Uint32(p[56:]), Header: m.Header[:0],
	}
	if int(m.Method) >= len(methods) {
		return fmt.Errorf("%w: method %d", ErrUnknown, p[54])
	}
	fs := h.fields()
	m.Body = p[messageHead+len(fs):]
	return m.decodeFields(fs)
}

func (m *Message) decodeFields(fs []byte) error {
	r := headerReader{hs: m.Header}
	text := string(fs) // one allocation for all
	err := fieldsAt(fs, func(tag Tag, v []byte, at int) error {
		s := text[at : at+len(v)]
		switch tag {
		case tagURL:
			m.URL = s
		case tagHeaderName:
			return r.name(s)
		case tagHeaderVal:
			return r.value(s)
		case tagCallerIP:
			m.CallerIP = s
		case tagRetryDelay:
			m.RetryDelay = s
		case tagDedupKey:
			if len(v) != len(m.DedupKey) {
				return ErrTruncated
			}
			copy(m.DedupKey[:], v)
		case tagFromDead:
			return m.FromDead.decode(v)
		case tagSchedule:
			m.Schedule = s
		case tagTick:
			return m.Tick.decode(v)
		case tagLabel:
			if err := checkLabel(len(m.Labels), v); err != nil {
				return err
			}
			m.Labels = append(m.Labels, s)
		case tagRedact:
			return m.Redact.decode(v)
		default:
			return m.decodeLine(tag, v, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.Header = r.hs
	if m.Flags&FlagLine != 0 != (m.Line != Line{}) {
		return errLineFlag
	}
	if !m.Line.named(m.QueueName != "" || m.PullName != "", m.FlowKey != "") {
		return errUnnamed
	}
	if err := m.checkPull(); err != nil {
		return err
	}
	if m.Flags&FlagTick != 0 && (m.Schedule == "" || m.Tick.Time == 0) || m.Flags&FlagTick == 0 && m.Tick.Time != 0 {
		return fmt.Errorf("%w: a tick and its flag, or its schedule, do not agree", ErrTruncated)
	}
	return r.done()
}
