package record

import (
	"encoding/binary"
	"fmt"
)

// Tag names one field behind the fixed head. A decoder refuses tags it does not
// know, so that an older binary never drops what a newer one stored.
type Tag uint8

// Tags shared by all types. The ones without a use yet are spoken for, so that
// what later versions store has its number.
const (
	tagURL        Tag = 1
	tagHeaderName Tag = 2 // followed by its tagHeaderValue
	tagHeaderVal  Tag = 3
	tagCallerIP   Tag = 4
	tagRetryDelay Tag = 5 // the expression's text
	tagDedupKey   Tag = 6 // 16 bytes
	tagFromDead   Tag = 7 // the dead letter this message redrives: 8 bytes, or 32 with what that frees
	tagError      Tag = 8
	tagResName    Tag = 9
	tagResVal     Tag = 10
	tagTokenHash  Tag = 11
	tagName       Tag = 12
	tagKeyCurrent Tag = 13
	tagKeyNext    Tag = 14
	tagTiming     Tag = 15

	tagLimitQueue Tag = 16 // what a token is limited to: the name of a queue,
	tagLimitGroup Tag = 17 // of a URL group,
	tagLimitHost  Tag = 18 // or a host

	tagQueue    Tag = 32 // the name of a queue
	tagTopic    Tag = 33 // the name of a URL group
	tagEndpoint Tag = 34 // the name of one of its endpoints
	tagSchedule Tag = 35 // the id of a schedule
	tagFlow     Tag = 36 // a FlowRule and the name of its key
	tagCallback Tag = 37 // an encoded message
	tagFailure  Tag = 38 // an encoded message
	tagLabel    Tag = 39 // one label; there as often as there are labels
	tagRedact   Tag = 40 // a Redact
	tagCron     Tag = 42 // an expression's text
	tagTick     Tag = 43 // 16 bytes: the tick that a message is
	tagLine     Tag = 44 // 24 bytes: a Line
	tagOrdering Tag = 45 // a key within a queue
	tagSource   Tag = 46 // an encoded message: the one that callbacks report of

	tagPull           Tag = 48 // of an outcome: a PullStep
	tagPullQueue      Tag = 49 // the name of a pull queue
	tagPullGroup      Tag = 50 // a key within it
	tagPullDead       Tag = 51 // the name of its dead letter queue
	tagPullSecret     Tag = 52 // keys of a webhook's signature
	tagPullSecretNext Tag = 53

	tagReservedWorkflow Tag = 41
)

// fieldSize is the encoded size of a field of n bytes.
func fieldSize(n int) int { return 1 + uvarintSize(uint64(n)) + n }

func uvarintSize(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

// appendField appends one field; an empty value is left out by the callers that
// treat empty as absent.
func appendField[T string | []byte](dst []byte, tag Tag, v T) []byte {
	return append(appendHeadOf(dst, tag, len(v)), v...)
}

// appendHeadOf appends what stands before the value of a field, which has n bytes.
func appendHeadOf(dst []byte, tag Tag, n int) []byte {
	return binary.AppendUvarint(append(dst, byte(tag)), uint64(n))
}

// fields walks the tagged section. The value aliases p.
func fields(p []byte, fn func(tag Tag, v []byte) error) error {
	return fieldsAt(p, func(tag Tag, v []byte, _ int) error { return fn(tag, v) })
}

// fieldsAt is fields that also says where the value stands: v is p[at:at+len(v)].
func fieldsAt(p []byte, fn func(tag Tag, v []byte, at int) error) error {
	for i := 0; i < len(p); {
		tag := Tag(p[i])
		n, w := binary.Uvarint(p[i+1:])
		at := i + 1 + w
		if w <= 0 || n > uint64(len(p)-at) {
			return ErrTruncated
		}
		i = at + int(n)
		if err := fn(tag, p[at:i], at); err != nil {
			return err
		}
	}
	return nil
}

func unknownTag(t Type, tag Tag) error {
	return fmt.Errorf("%w: type %d has a field %d that this version does not know", ErrUnknown, t, tag)
}

func headersSize(hs []Header) int {
	n := 0
	for i := range hs {
		n += fieldSize(len(hs[i].Name)) + fieldSize(len(hs[i].Value))
	}
	return n
}

func appendHeaders(dst []byte, hs []Header, name, value Tag) []byte {
	for i := range hs {
		dst = appendField(dst, name, hs[i].Name)
		dst = appendField(dst, value, hs[i].Value)
	}
	return dst
}

// headerReader collects name and value fields, which alternate.
type headerReader struct {
	hs   []Header
	open bool
}

func (r *headerReader) name(v string) error {
	if r.open {
		return fmt.Errorf("%w: a header name without its value", ErrTruncated)
	}
	r.open = true
	r.hs = append(r.hs, Header{Name: v})
	return nil
}

func (r *headerReader) value(v string) error {
	if !r.open {
		return fmt.Errorf("%w: a header value without its name", ErrTruncated)
	}
	r.open = false
	r.hs[len(r.hs)-1].Value = v
	return nil
}

func (r *headerReader) done() error {
	if r.open {
		return fmt.Errorf("%w: a header name without its value", ErrTruncated)
	}
	return nil
}
