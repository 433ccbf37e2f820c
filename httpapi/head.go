package httpapi

import (
	"bytes"
	"net/http"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// field is one header line; both slices alias the request's head.
type field struct {
	name, value []byte
}

// head is what the strict reading of a request's head found. fasthttp has parsed
// the same bytes before; scan refuses what it lets through and what another
// parser might read differently (P43):
//
//	Content-Length with Transfer-Encoding   400   (fasthttp runs the smuggled request)
//	a transfer coding other than chunked    400   (fasthttp ignores identity)
//	two Authorization, two Host             400   (fasthttp takes the first)
//	a folded line, a bare line feed         400   (fasthttp joins, or waits)
//	a name that is no token                 400   (fasthttp allows spaces inside)
//	an absolute or asterisk target          400   (fasthttp lets it replace Host)
//	bytes outside ASCII in the target       400
//	a version other than 1.0 and 1.1        505
//	an unknown method                       405
//	an expectation other than 100-continue  417
//
// What remains wrong (bad lengths, spaces before a colon, no Host) fasthttp
// refuses itself.
type head struct {
	method string // one of the known methods, a literal of this package
	target []byte // as sent, starts with a slash
	fields []field
	auth   []byte // value of Authorization, nil when there is none

	length    int64 // of the body; -1: chunked
	http10    bool
	keepAlive bool // the connection may serve another request afterwards
	expect    bool // the client waits for 100 Continue
}

var (
	errHead      = badRequest("malformed request head")
	errFolded    = badRequest("malformed request head: folded header lines are not accepted")
	errLineFeed  = badRequest("malformed request head: lines must end with CR LF")
	errFraming   = badRequest("malformed request head: Content-Length together with Transfer-Encoding")
	errCoding    = badRequest("malformed request head: the only transfer coding is chunked")
	errTwoAuth   = badRequest("more than one Authorization header")
	errTwoHosts  = badRequest("malformed request head: more than one Host")
	errTarget    = badRequest("the request target must be a path that starts with / and holds only visible ASCII")
	errFields    = &failure{status: http.StatusRequestHeaderFieldsTooLarge, text: "too many header lines"}
	errHeadSize  = &failure{status: http.StatusRequestHeaderFieldsTooLarge, text: "the request head is too large"}
	errVersion   = &failure{status: http.StatusHTTPVersionNotSupported, text: "only HTTP/1.0 and HTTP/1.1 are supported"}
	errMethod    = &failure{status: http.StatusMethodNotAllowed, text: "unknown method", allow: knownMethods}
	errExpect    = &failure{status: http.StatusExpectationFailed, text: "only 100-continue can be expected"}
	errTimeout   = &failure{status: http.StatusRequestTimeout, text: "the request did not arrive in time"}
	errTruncated = badRequest("the request ended before its body was complete")
)

const knownMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

func knownMethod(m []byte) string {
	switch string(m) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "PATCH":
		return "PATCH"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	}
	return ""
}

// scan fills in h from a head that fasthttp has parsed. h.fields keeps its
// memory. Everything h refers to is valid until rh is read again.
func (h *head) scan(rh *fasthttp.RequestHeader) *failure {
	*h = head{fields: h.fields[:0], target: rh.RequestURI(), length: int64(rh.ContentLength())}
	if h.length == -2 { // fasthttp's word for: neither length nor coding
		h.length = 0
	}
	switch string(rh.Protocol()) {
	case "HTTP/1.1":
		h.keepAlive = true
	case "HTTP/1.0":
		h.http10 = true
	default:
		return errVersion
	}
	if h.method = knownMethod(rh.Method()); h.method == "" {
		return errMethod
	}
	if !legalTarget(h.target) {
		return errTarget
	}
	return h.scanFields(rh.RawHeaders())
}

func legalTarget(t []byte) bool {
	if len(t) == 0 || t[0] != '/' {
		return false
	}
	for _, c := range t {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// scanFields walks the header lines up to and including the empty one.
func (h *head) scanFields(raw []byte) *failure {
	var hosts, framings int
	for {
		i := bytes.IndexByte(raw, '\n')
		if i < 1 || raw[i-1] != '\r' {
			return errLineFeed
		}
		line := raw[:i-1]
		raw = raw[i+1:]
		if len(line) == 0 {
			break
		}
		f, fail := cutField(line)
		if fail != nil {
			return fail
		}
		if len(h.fields) == fieldsMax {
			return errFields
		}
		h.fields = append(h.fields, f)
		if fail := h.special(f, &hosts, &framings); fail != nil {
			return fail
		}
	}
	if len(raw) != 0 { // a blank line before the end that fasthttp saw
		return errHead
	}
	return nil
}

// cutField relies on fasthttp for the bytes of names and values: it has refused
// control characters in both, and what is no token but for spaces (FuzzHead).
func cutField(line []byte) (field, *failure) {
	if line[0] == ' ' || line[0] == '\t' {
		return field{}, errFolded
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || bytes.IndexByte(line[:colon], ' ') >= 0 {
		return field{}, errHead
	}
	return field{name: line[:colon], value: trimSpace(line[colon+1:])}, nil
}

// special handles the fields that decide about the connection. The switch on
// the length keeps the usual line at one comparison.
func (h *head) special(f field, hosts, framings *int) *failure {
	switch len(f.name) {
	case len("Host"):
		if equalFold(f.name, "host") {
			if *hosts++; *hosts > 1 {
				return errTwoHosts
			}
		}
	case len("Expect"):
		if equalFold(f.name, "expect") {
			if !equalFold(f.value, "100-continue") {
				return errExpect
			}
			h.expect = !h.http10
		}
	case len("Connection"):
		if equalFold(f.name, "connection") {
			h.connection(f.value)
		}
	case len("Authorization"):
		if equalFold(f.name, "authorization") {
			if h.auth != nil {
				return errTwoAuth
			}
			h.auth = f.value
		}
	case len("Content-Length"):
		if equalFold(f.name, "content-length") {
			*framings++
		}
	case len("Transfer-Encoding"):
		if equalFold(f.name, "transfer-encoding") {
			*framings++
			if !equalFold(f.value, "chunked") {
				return errCoding
			}
		}
	}
	if *framings > 1 {
		return errFraming
	}
	return nil
}

func (h *head) connection(v []byte) {
	for part := range bytes.SplitSeq(v, []byte{','}) {
		part = trimSpace(part)
		if equalFold(part, "close") {
			h.keepAlive = false
			return
		}
		if h.http10 && equalFold(part, "keep-alive") {
			h.keepAlive = true
		}
	}
}

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

// tokenByte marks the bytes of RFC 9110's token.
var tokenByte = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenByte[c] {
			return false
		}
	}
	return len(b) > 0
}

// isFieldValue says whether b can stand in a header line: no control byte but
// the tab, so no CR, LF or NUL (P47).
func isFieldValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

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
