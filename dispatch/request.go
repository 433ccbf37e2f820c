package dispatch

import (
	"strconv"
	"strings"
)

// ForbiddenHeader is true for names that decide where a message ends, who is
// asked, or what happens to the connection (P47). They are set here or not at
// all; callers drop or refuse them before they build an Attempt.
func ForbiddenHeader(name string) bool {
	// The switch on length keeps the common case at one comparison.
	switch len(name) {
	case 2:
		return strings.EqualFold(name, "TE")
	case 4:
		return strings.EqualFold(name, "Host")
	case 6:
		return strings.EqualFold(name, "Expect")
	case 7:
		return strings.EqualFold(name, "Upgrade") || strings.EqualFold(name, "Trailer")
	case 10:
		return strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Keep-Alive")
	case 14:
		return strings.EqualFold(name, "Content-Length")
	case 16:
		return strings.EqualFold(name, "Proxy-Connection")
	case 17:
		return strings.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

// checkRequest refuses an attempt of which something would end a header line, or frame
// the request: whatever passes is on the wire as it stands.
func checkRequest(a *Attempt) error {
	if !isToken(a.Method) {
		return fail(Protocol, nil, "invalid method %q", a.Method)
	}
	for i := range a.Header {
		name, value := a.Header[i].Name, a.Header[i].Value
		if !isToken(name) || ForbiddenHeader(name) {
			return fail(Protocol, nil, "header name %q cannot be sent", name)
		}
		if !isFieldValue(value) {
			return fail(Protocol, nil, "header %s has a value that cannot be sent", name)
		}
	}
	return nil
}

// appendHead appends what goes before the body, of an attempt that was checked: the
// request line, Host, the caller's headers in order under their names, Content-Length.
func appendHead(dst []byte, a *Attempt, t *target) []byte {
	dst = append(dst, a.Method...)
	dst = append(dst, ' ')
	dst = append(dst, t.uri...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendLine(dst, "Host", t.authority)
	for i := range a.Header {
		dst = appendLine(dst, a.Header[i].Name, a.Header[i].Value)
	}
	if len(a.Body) > 0 || sendsLength(a.Method) {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(a.Body)), 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func appendLine(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// sendsLength is true for methods whose request says "Content-Length: 0" when it
// has no body (RFC 9110 §8.6).
func sendsLength(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// tokenTable marks the characters of RFC 9110 tokens.
var tokenTable = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenTable[s[i]] {
			return false
		}
	}
	return s != ""
}

// isFieldValue lets visible characters, spaces, tabs and bytes above ASCII pass.
// Outer white space is refused, because a receiver strips it and the delivered
// value would not be the published one.
func isFieldValue(s string) bool {
	i := 0
	for ; i+8 <= len(s); i += 8 { // signatures are long: eight bytes at a time
		if mayControl(s[i:i+8]) && !visible(s[i:i+8]) {
			return false
		}
	}
	if !visible(s[i:]) {
		return false
	}
	return s == "" || !isBlank(s[0]) && !isBlank(s[len(s)-1])
}

func visible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// mayControl says whether one of the eight bytes of s is below a space or is DEL. The
// tests are those of "Bit Twiddling Hacks" for a byte less than n and for a zero byte.
func mayControl(s string) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	del := x ^ ones*0x7f
	return ((x-ones*' ')&^x|(del-ones)&^del)&tops != 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
