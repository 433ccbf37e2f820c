package httpapi

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// A batch's JSON is read without a tree: a tree of values costs a hundred bytes
// for every digit of a hostile body. It is checked once (checkJSON), and then cut into
// raw values by a cursor that may rely on its syntax. Strings are decoded in place,
// since no escape is shorter than what it stands for.

var errJSON = badRequest("the body is not valid JSON")

// stringEnd returns the length of the string literal that b starts with, or of
// b when it does not end. Most strings hold no quote, and their end is the first one.
func stringEnd(b []byte) int {
	if n := bytes.IndexByte(b[1:], '"'); n >= 0 && bytes.IndexByte(b[1:1+n], '\\') < 0 {
		return n + 2
	}
	for i := 1; i < len(b); {
		if i += plainLen(b[i:]); i == len(b) {
			break
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			i++
		}
	}
	return len(b)
}

// cursor walks a valid JSON text.
type cursor struct {
	b []byte
	i int
}

// peek skips white space and returns the next byte, 0 at the end.
func (c *cursor) peek() byte {
	if c.i = skipSpace(c.b, c.i); c.i < len(c.b) {
		return c.b[c.i]
	}
	return 0
}

// next steps into an array or object, over a comma, or out of it: it says
// whether there is another element before end.
func (c *cursor) next(end byte) bool {
	switch c.peek() {
	case end:
		c.i++
		return false
	case ',', '[', '{':
		c.i++
	}
	if c.peek() == end { // an empty array or object
		c.i++
		return false
	}
	return true
}

// value returns the raw text of the next value.
func (c *cursor) value() []byte {
	first := c.peek()
	at := c.i
	switch first {
	case '"':
		c.i += stringEnd(c.b[c.i:])
	case '[', '{':
		c.skipNested()
	default:
		for c.i < len(c.b) && bytes.IndexByte([]byte(",]} \t\r\n"), c.b[c.i]) < 0 {
			c.i++
		}
	}
	return c.b[at:c.i:c.i]
}

func (c *cursor) skipNested() {
	for depth := 0; c.i < len(c.b); {
		switch c.b[c.i] {
		case '"':
			c.i += stringEnd(c.b[c.i:])
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		c.i++
		if depth == 0 {
			return
		}
	}
}

// member returns the next name and value of an object.
func (c *cursor) member() (name, value []byte) {
	name = c.value()
	if c.peek() == ':' {
		c.i++
	}
	return name, c.value()
}

// text decodes a raw string in place; ok is false for other values.
func text(raw []byte) (s []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	s = raw[1 : len(raw)-1]
	at := bytes.IndexByte(s, '\\')
	if at < 0 {
		return s, true
	}
	to := at
	for from := at; from < len(s); { // s[from] is a backslash
		if c := escapes[s[from+1]]; c != 0 {
			s[to] = c
			to, from = to+1, from+2
		} else {
			r, n := escapedRune(s[from:])
			to, from = to+utf8.EncodeRune(s[to:], r), from+n
		}
		n := plainLen(s[from:])
		to, from = to+copy(s[to:], s[from:from+n]), from+n
	}
	return s[:to], true
}

// escapes holds what a backslash and one letter stand for; u is not among them.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escapedRune decodes the \u escape, or the pair of them, that s starts with and says
// how long it was.
func escapedRune(s []byte) (r rune, n int) {
	r = hexRune(s)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if r = utf16.DecodeRune(r, hexRune(s[6:])); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

// hexRune reads \uXXXX.
func hexRune(s []byte) (r rune) {
	for _, c := range s[2:6] {
		r = r<<4 | rune(hexValue(c))
	}
	return r
}

// compact drops the white space of a raw value, in place.
func compact(raw []byte) []byte {
	out := raw[:0]
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case ' ', '\t', '\n', '\r':
		case '"':
			n := stringEnd(raw[i:])
			out = append(out, raw[i:i+n]...)
			i += n - 1
		default:
			out = append(out, raw[i])
		}
	}
	return out
}

func isNull(raw []byte) bool { return string(raw) == "null" }
