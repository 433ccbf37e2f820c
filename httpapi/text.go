package httpapi

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The text of a request: bytes, ASCII where they mean something to us, compared without
// regard to case.

// equalFold compares b with an ASCII text in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if lowerByte(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

func hasPrefixFold(b []byte, lower string) bool {
	return len(b) >= len(lower) && equalFold(b[:len(lower)], lower)
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// cutByte is bytes.Cut at one byte.
func cutByte(b []byte, at byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, at); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

// tokenByte marks the bytes of RFC 9110's token.
var tokenByte = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

func isToken(b []byte) bool { return len(b) > 0 && tokenLen(b) == len(b) }

// tokenLen returns how many bytes of a token b begins with.
func tokenLen(b []byte) int {
	for i, c := range b {
		if !tokenByte[c] {
			return i
		}
	}
	return len(b)
}

// What follows looks at eight bytes at a time: every byte of a head is looked at, and one
// by one that costs as much as all else that is done with it. anyBelow and anyEqual are not zero
// when a byte of w is below c, which is at most 0x80, or is c: then the lowest bit is in
// the first such byte. Above it there may be bits by mistake.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

func anyBelow(w uint64, c byte) uint64 { return (w - ones*uint64(c)) &^ w & highs }
func anyEqual(w uint64, c byte) uint64 { return anyBelow(w^ones*uint64(c), 1) }

// isFieldValue says whether b can stand in a header line: no control byte but
// the tab, so no CR, LF or NUL (P47).
func isFieldValue(b []byte) bool { return valueLen(b) == len(b) }

// valueLen returns how many bytes b begins with that can stand in a header line.
func valueLen(b []byte) int {
	n := 0
	for len(b)-n >= 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		found := anyBelow(w, ' ') | anyEqual(w, 0x7f)
		if found == 0 {
			n += 8
			continue
		}
		n += bits.TrailingZeros64(found) / 8 // the lowest one is none by mistake
		if b[n] != '\t' {
			return n
		}
		n++
	}
	for n < len(b) && (b[n] >= ' ' && b[n] != 0x7f || b[n] == '\t') {
		n++
	}
	return n
}

// plainLen returns how many bytes b begins with that stand for themselves in a JSON
// string: neither a control character nor a quote nor a backslash.
func plainLen(b []byte) int {
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		// One bit turned round, the quote is the first byte behind the control characters.
		if found := anyBelow(w^ones*2, ' '+1) | anyEqual(w, '\\'); found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// isVisible says whether b holds nothing but visible ASCII.
func isVisible(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		if (anyBelow(w, ' '+1)|anyEqual(w, 0x7f)|w)&highs != 0 {
			return false
		}
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func legalTarget(t []byte) bool { return len(t) > 0 && t[0] == '/' && isVisible(t) }

// canonical turns a token into canonical case, in place: a-b into A-B.
func canonical(name []byte) []byte {
	upper := true
	for i, c := range name {
		switch {
		case upper && 'a' <= c && c <= 'z':
			name[i] = c - ('a' - 'A')
		case !upper:
			name[i] = lowerByte(c)
		}
		upper = c == '-'
	}
	return name
}

// view returns b as a string without copying it. The string is valid as long as
// b's bytes stay as they are; it may be passed to the engine, which keeps
// nothing, and to nobody who does.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
