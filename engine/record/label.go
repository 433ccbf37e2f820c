package record

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Bounds of a message's labels. With them all labels of a message have room in the
// row of its history, uncut, so that events are filtered by them for as long as they
// are kept.
const (
	LabelsMax = 10  // labels of one message
	LabelMax  = 128 // bytes of one
)

// appendLabels appends one field for each label, in order.
func appendLabels(dst []byte, labels []string) []byte {
	for _, l := range labels {
		dst = appendField(dst, tagLabel, l)
	}
	return dst
}

func labelsSize(labels []string) (n int) {
	for _, l := range labels {
		n += fieldSize(len(l))
	}
	return n
}

// checkLabel refuses a label where n are before it.
func checkLabel(n int, v []byte) error {
	if n == LabelsMax || len(v) == 0 || len(v) > LabelMax {
		return fmt.Errorf("%w: label %d of %d bytes", ErrTruncated, n+1, len(v))
	}
	return nil
}

// Labels returns the labels of a message, and what is redacted of it.
func (h MessageHead) Labels() (labels []string, r Redact, err error) {
	err = fields(h.fields(), func(tag Tag, v []byte) error {
		switch tag {
		case tagLabel:
			labels = append(labels, string(v))
		case tagRedact:
			return r.decode(v)
		}
		return nil
	})
	return labels, r, err
}

// Redact says what of a message its views show as a hash (QSTASH.md §10). The zero
// value is nothing. What is delivered is never redacted.
type Redact struct {
	Body    bool
	Headers bool     // the values of all headers
	Names   []string // of headers whose values are redacted, in canonical case
}

// RedactNamesMax bounds Redact.Names.
const RedactNamesMax = 100

// Flags of a redaction.
const (
	redactBody    = 1 << 0
	redactHeaders = 1 << 1
)

// Any says whether anything is redacted.
func (r *Redact) Any() bool { return r.Body || r.Headers || len(r.Names) > 0 }

// Header says whether the value of a header is redacted. Names are compared in any case.
func (r *Redact) Header(name string) bool {
	if r.Headers {
		return true
	}
	for _, n := range r.Names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// valueSize is the size of the field's value: flags u8, then of each name its length uv
// and the name.
func (r *Redact) valueSize() int {
	n := 1
	for _, name := range r.Names {
		n += uvarintSize(uint64(len(name))) + len(name)
	}
	return n
}

func (r *Redact) size() int {
	if !r.Any() {
		return 0
	}
	return fieldSize(r.valueSize())
}

func (r *Redact) append(dst []byte) []byte {
	if !r.Any() {
		return dst
	}
	var flags byte
	if r.Body {
		flags |= redactBody
	}
	if r.Headers {
		flags |= redactHeaders
	}
	dst = appendHeadOf(dst, tagRedact, r.valueSize())
	dst = append(dst, flags)
	for _, name := range r.Names {
		dst = append(binary.AppendUvarint(dst, uint64(len(name))), name...)
	}
	return dst
}

// decode takes the field's value. It refuses flags that it does not know: what they
// hide must not be shown.
func (r *Redact) decode(v []byte) error {
	if len(v) == 0 || r.Any() {
		return fmt.Errorf("%w: an empty redaction, or a second one", ErrTruncated)
	}
	if v[0]&^(redactBody|redactHeaders) != 0 {
		return fmt.Errorf("%w: redaction flags %#x", ErrUnknown, v[0])
	}
	r.Body, r.Headers = v[0]&redactBody != 0, v[0]&redactHeaders != 0
	for v = v[1:]; len(v) > 0; {
		n, w := binary.Uvarint(v)
		if w <= 0 || n == 0 || n > uint64(len(v)-w) || len(r.Names) == RedactNamesMax {
			return fmt.Errorf("%w: name %d of a redaction", ErrTruncated, len(r.Names)+1)
		}
		r.Names, v = append(r.Names, string(v[w:w+int(n)])), v[w+int(n):]
	}
	if !r.Any() {
		return fmt.Errorf("%w: a redaction of nothing", ErrTruncated)
	}
	return nil
}
