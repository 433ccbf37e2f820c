package httpapi

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine"
)

// The encoders append to a buffer that the connection owns. Objects are written
// by obj, which puts the commas.

const hexDigits = "0123456789abcdef"

// jsonSafe marks the ASCII bytes that stand for themselves in a JSON string.
var jsonSafe = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\' && c != 0x7f
	}
	return t
}()

// appendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD, as
// encoding/json writes it (FuzzAppendString).
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if jsonSafe[s[i]] {
			i++
			continue
		}
		if s[i] < utf8.RuneSelf {
			dst = appendEscaped(append(dst, s[start:i]...), s[i])
			i++
			start = i
			continue
		}
		r, size := decodeRune(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + size
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

func decodeRune[T string | []byte](s T) (rune, int) {
	var b [utf8.UTFMax]byte
	return utf8.DecodeRune(b[:copy(b[:], s)])
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// obj writes one JSON object. The zero value with its buffer is ready; end
// returns the buffer.
type obj struct {
	b    []byte
	more bool
}

func (o *obj) separate() {
	if o.more {
		o.b = append(o.b, ',')
		return
	}
	o.b = append(o.b, '{')
	o.more = true
}

// key begins a member whose name is a literal of this package.
func (o *obj) key(name string) {
	o.separate()
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *obj) str(name, v string) {
	o.key(name)
	o.b = appendString(o.b, v)
}

// opt writes v unless it is empty.
func (o *obj) opt(name, v string) {
	if v != "" {
		o.str(name, v)
	}
}

func (o *obj) num(name string, v int64) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, v, 10)
}

func (o *obj) flag(name string, v bool) {
	o.key(name)
	o.b = strconv.AppendBool(o.b, v)
}

// nested writes a member that is an object.
func (o *obj) nested(name string, write func(in *obj)) {
	o.key(name)
	in := obj{b: o.b}
	write(&in)
	o.b = in.end()
}

// content writes v as text under name when it is UTF-8, else in base64 under
// name64, and nothing when it is empty.
func (o *obj) content(name, name64 string, v []byte) {
	switch {
	case len(v) == 0:
	case utf8.Valid(v):
		o.key(name)
		o.b = appendString(o.b, v)
	default:
		o.key(name64)
		o.b = append(o.b, '"')
		o.b = base64.StdEncoding.AppendEncode(o.b, v)
		o.b = append(o.b, '"')
	}
}

// header writes a map from name to the list of its values, names in the order
// of their first appearance, and nothing when there are none.
func (o *obj) header(name string, hs []engine.Header) {
	if len(hs) == 0 {
		return
	}
	o.key(name)
	in := obj{b: o.b}
	for i := range hs {
		if seenBefore(hs, i) {
			continue
		}
		in.separate()
		in.b = appendString(in.b, hs[i].Name)
		in.b = append(in.b, ':', '[')
		in.b = appendValues(in.b, hs[i:], hs[i].Name)
		in.b = append(in.b, ']')
	}
	o.b = in.end()
}

func seenBefore(hs []engine.Header, i int) bool {
	for j := range i {
		if hs[j].Name == hs[i].Name {
			return true
		}
	}
	return false
}

func appendValues(dst []byte, hs []engine.Header, name string) []byte {
	first := true
	for i := range hs {
		if hs[i].Name != name {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(dst, hs[i].Value)
	}
	return dst
}

func (o *obj) end() []byte {
	if !o.more {
		o.b = append(o.b, '{')
	}
	return append(o.b, '}')
}

func appendError(dst []byte, text string) []byte {
	o := obj{b: dst}
	o.str("error", text)
	return o.end()
}
