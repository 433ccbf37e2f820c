package record

import "fmt"

// Kind is what an outcome means for its message.
type Kind uint8

// The kinds of outcome. Retry is the only one that leaves the message pending.
const (
	Delivered Kind = 1
	Retry     Kind = 2
	Dead      Kind = 3 // to the dead letter queue
	Canceled  Kind = 4
)

// Final says whether the message has ended.
func (k Kind) Final() bool { return k != Retry }

func (k Kind) String() string {
	switch k {
	case Delivered:
		return "delivered"
	case Retry:
		return "retry"
	case Dead:
		return "dead"
	case Canceled:
		return "canceled"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// outcomeHead is the length of an Outcome's fixed head. Offsets:
//
//	 4 user u32     8 nonce u64    16 seq u64      24 pos u64
//	32 lane u64    40 host u64     48 due i64      56 next i64
//	64 at i64      72 length u32   76 attempt u16  78 status u16
//	80 kind u8     81 callbacks u8 82 tries u16    84 fields u32
//	88 took u32    92 zero u32
const outcomeHead = 96

// Outcome ends one attempt, or cancels a message. It repeats the keys of the
// rows that it changes (X1).
type Outcome struct {
	Row            // as the row stands before this outcome
	Kind    Kind   //
	Next    int64  // unix ms: when the next attempt is due (Retry)
	At      int64  // unix ms: when the attempt ended
	Attempt uint16 // number of the attempt that ended, from 1; 0 for a cancel
	Status  uint16 // of the response, 0 if none came
	Took    uint32 // ms the attempt lasted

	Error  string   // "" or why the attempt failed, for people
	Header []Header // of the response
	Body   []byte   // of the response, as far as it is kept
	Timing Timing   // of the attempt

	// Callbacks are messages that this outcome publishes (QSTASH.md §7): encoded ones
	// with FlagReport, at most CallbacksMax. What they report is in this record, with
	// the message that they are about, encoded, in Source. The seq of the n-th is the
	// record's LSN plus 1 plus n. Decoded ones alias the payload.
	Callbacks [][]byte
	Source    []byte

	Step PullStep // of a message of a pull queue
}

// CallbacksMax bounds the callbacks of one outcome: one after the attempt, and one
// because it was the last.
const CallbacksMax = 2

// outcomeLine says that the row has a Line.
const (
	outcomeLine uint16 = 1 << 0
	outcomePull uint16 = 1 << 1 // and Step is set
)

// Row is what the index knows of a pending message: the keys of its rows and
// what is needed to attempt it.
type Row struct {
	User  uint32
	Nonce uint64
	Seq   uint64 // the message's number: where it was published
	Pos   uint64 // where its record stands now
	Len   uint32 // length of that record's payload, bytes
	Lane  uint64
	Host  uint64
	Due   int64  // unix ms
	Tries uint16 // attempts that ended so far; of a pull queue those that began
	Line
	Pull Pull
}

// Size returns the number of bytes that Append adds.
func (o *Outcome) Size() int { return outcomeHead + o.fieldsSize() + len(o.Body) }

func (o *Outcome) fieldsSize() int {
	n := headersSize(o.Header)
	if o.Error != "" {
		n += fieldSize(len(o.Error))
	}
	if o.Line != (Line{}) {
		n += fieldSize(lineSize)
	}
	if o.Timing != (Timing{}) {
		n += fieldSize(o.Timing.size())
	}
	if o.Step.Op != 0 {
		n += fieldSize(o.Step.size())
	}
	for _, m := range o.Callbacks {
		n += fieldSize(len(m))
	}
	if len(o.Callbacks) > 0 {
		n += fieldSize(len(o.Source))
	}
	return n
}

// Append appends the encoded outcome to dst. It keeps nothing.
func (o *Outcome) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, outcomeHead)...)
	h := dst[at:]
	h[0], h[1] = byte(TypeOutcome), version
	le.PutUint16(h[2:], o.flags())
	le.PutUint32(h[4:], o.User)
	le.PutUint64(h[8:], o.Nonce)
	le.PutUint64(h[16:], o.Seq)
	le.PutUint64(h[24:], o.Pos)
	le.PutUint64(h[32:], o.Lane)
	le.PutUint64(h[40:], o.Host)
	le.PutUint64(h[48:], uint64(o.Due))
	le.PutUint64(h[56:], uint64(o.Next))
	le.PutUint64(h[64:], uint64(o.At))
	le.PutUint32(h[72:], o.Len)
	le.PutUint16(h[76:], o.Attempt)
	le.PutUint16(h[78:], o.Status)
	h[80], h[81] = byte(o.Kind), byte(len(o.Callbacks))
	le.PutUint16(h[82:], o.Tries)
	le.PutUint32(h[84:], uint32(o.fieldsSize()))
	le.PutUint32(h[88:], o.Took)
	if o.Line != (Line{}) {
		dst = o.Line.append(dst)
	}
	if o.Step.Op != 0 {
		dst = o.Step.append(dst)
	}
	if o.Timing != (Timing{}) {
		dst = o.Timing.append(dst)
	}
	if o.Error != "" {
		dst = appendField(dst, tagError, o.Error)
	}
	dst = appendHeaders(dst, o.Header, tagResName, tagResVal)
	for _, m := range o.Callbacks {
		dst = appendField(dst, tagCallback, m)
	}
	if len(o.Callbacks) > 0 {
		dst = appendField(dst, tagSource, o.Source)
	}
	return append(dst, o.Body...)
}

func (o *Outcome) flags() (f uint16) {
	if o.Line != (Line{}) {
		f |= outcomeLine
	}
	if o.Step.Op != 0 {
		f |= outcomePull
	}
	return f
}

// DecodeOutcomeHead decodes the fixed head only, and the row's Line and Step if it has
// them: all that the step function and the index need, but for callbacks (EachCallback).
func DecodeOutcomeHead(p []byte, o *Outcome) error {
	if err := check(p, TypeOutcome, outcomeHead, outcomeLine|outcomePull); err != nil {
		return err
	}
	if uint64(outcomeHead)+uint64(le.Uint32(p[84:])) > uint64(len(p)) {
		return ErrTruncated
	}
	*o = Outcome{
		Row: Row{
			User: le.Uint32(p[4:]), Nonce: le.Uint64(p[8:]), Seq: le.Uint64(p[16:]), Pos: le.Uint64(p[24:]),
			Len: le.Uint32(p[72:]), Lane: le.Uint64(p[32:]), Host: le.Uint64(p[40:]), Due: int64(le.Uint64(p[48:])),
			Tries: le.Uint16(p[82:]),
		},
		Kind: Kind(p[80]), Next: int64(le.Uint64(p[56:])), At: int64(le.Uint64(p[64:])),
		Attempt: le.Uint16(p[76:]), Status: le.Uint16(p[78:]), Took: le.Uint32(p[88:]),
	}
	if o.Kind < Delivered || o.Kind > Canceled {
		return fmt.Errorf("%w: outcome kind %d", ErrUnknown, p[80])
	}
	if p[81] > CallbacksMax {
		return fmt.Errorf("%w: an outcome with %d callbacks", ErrUnknown, p[81])
	}
	if le.Uint16(p[2:])&outcomeLine != 0 {
		if err := o.Line.find(outcomeFields(p)); err != nil {
			return err
		}
	}
	if le.Uint16(p[2:])&outcomePull != 0 {
		if err := o.Step.find(outcomeFields(p)); err != nil {
			return err
		}
	}
	return zero(TypeOutcome, p[92:outcomeHead])
}

func outcomeFields(p []byte) []byte { return p[outcomeHead : outcomeHead+int(le.Uint32(p[84:]))] }

// EachCallback calls fn with every message that an outcome publishes, by its number.
// It aliases p, which DecodeOutcomeHead has taken.
func EachCallback(p []byte, fn func(n int, h MessageHead, m []byte) error) error {
	if p[81] == 0 {
		return nil
	}
	n := 0
	err := fields(outcomeFields(p), func(tag Tag, v []byte) error {
		if tag != tagCallback {
			return nil
		}
		if err := checkCallback(v); err != nil {
			return err
		}
		n++
		return fn(n-1, MessageHead(v), v)
	})
	if err == nil && n != int(p[81]) {
		err = fmt.Errorf("%w: %d callbacks where there are %d", ErrTruncated, n, p[81])
	}
	return err
}

// CallbackOf returns the number of the callback with this nonce.
func (o *Outcome) CallbackOf(nonce uint64) (n int, err error) {
	for n, m := range o.Callbacks {
		h, err := HeadOfMessage(m)
		if err != nil {
			return 0, err
		}
		if h.Nonce() == nonce {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: the outcome has no such callback", ErrTruncated)
}

// checkCallback refuses a message that does not report, or that a later version wrote.
func checkCallback(p []byte) error {
	err := checkTemplate(p)
	if err == nil && !MessageHead(p).Report() {
		err = fmt.Errorf("%w: a callback that reports nothing", ErrUnknown)
	}
	return err
}

// CallbackShare returns how many bytes of an outcome's payload count for each of the
// messages that it publishes, which it has. DecodeOutcomeHead has taken p.
func CallbackShare(p []byte) uint32 { return share(len(p), int(p[81])) }

// share returns an even share of the bytes of a record that publishes n messages.
func share(size, n int) uint32 { return uint32((size + n - 1) / n) }

// DecodeOutcome decodes a payload. Strings are copied; Body, Callbacks and Source alias p.
func DecodeOutcome(p []byte, o *Outcome) error {
	if err := DecodeOutcomeHead(p, o); err != nil {
		return err
	}
	fs := outcomeFields(p)
	o.Body = p[outcomeHead+len(fs):]
	var r headerReader
	err := fields(fs, func(tag Tag, v []byte) error {
		switch tag {
		case tagLine: // DecodeOutcomeHead has it, if its flag is there
			if o.Line == (Line{}) {
				return errLineFlag
			}
		case tagPull: // so, too
			if o.Step.Op == 0 {
				return errPullFlag
			}
		case tagTiming:
			return o.Timing.decode(v)
		case tagError:
			o.Error = string(v)
		case tagResName:
			return r.name(string(v))
		case tagResVal:
			return r.value(string(v))
		case tagCallback:
			o.Callbacks = append(o.Callbacks, v)
			return checkCallback(v)
		case tagSource:
			o.Source = v
			return checkTemplate(v)
		default:
			return unknownTag(TypeOutcome, tag)
		}
		return nil
	})
	if err != nil {
		return err
	}
	o.Header = r.hs
	if len(o.Callbacks) != int(p[81]) || len(o.Callbacks) > 0 != (o.Source != nil) {
		return fmt.Errorf("%w: callbacks, their number and what they report do not agree", ErrTruncated)
	}
	return r.done()
}
