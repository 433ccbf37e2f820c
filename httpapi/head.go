package httpapi

import (
	"bufio"
	"bytes"
	"math"
	"net/http"
)

// field is one header line; both slices alias the request's head.
type field struct {
	name, value []byte
}

// head is what the reading of a request's head found. It is read once, by this parser,
// which is stricter than fasthttp's; that one reads it again only for a Fallback
// (exchange.legacy), and is the oracle of FuzzHead: what is taken here it takes as well,
// and understands the same. Refused is whatever another parser might read differently
// (P43), among it:
//
//	Content-Length with Transfer-Encoding   400   (fasthttp runs the smuggled request)
//	a transfer coding other than chunked    400   (fasthttp ignores identity)
//	two Authorization                       400   (fasthttp takes the first)
//	two Host, two Content-Length            400
//	a folded line, a bare line feed         400   (fasthttp joins, or waits)
//	a name that is no token                 400   (fasthttp allows spaces inside)
//	a control character                     400
//	an absolute or asterisk target          400   (fasthttp lets it replace Host)
//	bytes outside ASCII in the target       400
//	a version other than 1.0 and 1.1        505
//	an unknown method                       405
//	an expectation other than 100-continue  417
type head struct {
	method string // one of the known methods, a literal of this package
	target []byte // as sent, starts with a slash
	fields []field
	auth   []byte // value of Authorization, nil when there is none

	length    int64 // of the body; -1: chunked
	http10    bool
	keepAlive bool // the connection may serve another request afterwards
	expect    bool // the client waits for 100 Continue
	trailers  bool // it announces some

	hosts, lengths, codings bool // header lines that may be there once
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

// headEnd returns the length of the head that b begins with, or 0 while its end is not
// there; before from there is no line feed. A first line that is empty, and a line that
// ends without CR, are refused at once: who sends such waits for an answer.
func headEnd(b []byte, from int) (n int, fail *failure) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0, nil
		}
		at := from + i
		if at < 2 || b[at-1] != '\r' {
			return 0, errLineFeed
		}
		if b[at-2] == '\n' {
			return at + 1, nil
		}
		from = at + 1
	}
}

// parse fills in h from raw, a whole head of which headEnd has found the end. h.fields
// keeps its memory. Everything h refers to is part of raw.
func (h *head) parse(raw []byte) *failure {
	*h = head{fields: h.fields[:0]}
	i := bytes.IndexByte(raw, '\n')
	if fail := h.parseLine(raw[:i-1]); fail != nil {
		return fail
	}
	if fail := h.parseFields(raw[i+1:]); fail != nil {
		return fail
	}
	if !h.hosts && !h.http10 {
		return errHead
	}
	return nil
}

// parseLine parses the request line.
func (h *head) parseLine(line []byte) *failure {
	method, rest, _ := cutByte(line, ' ')
	target, version, _ := cutByte(rest, ' ')
	switch {
	case string(version) == "HTTP/1.1":
		h.keepAlive = true
	case string(version) == "HTTP/1.0":
		h.http10 = true
	case isVersion(version) && isToken(method):
		return errVersion
	default:
		return errHead
	}
	if h.method = knownMethod(method); h.method == "" {
		if isToken(method) {
			return errMethod
		}
		return errHead
	}
	if !legalTarget(target) {
		return errTarget
	}
	h.target = target
	return nil
}

func isVersion(v []byte) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	return len(v) == len("HTTP/1.1") && string(v[:5]) == "HTTP/" && digit(v[5]) && v[6] == '.' && digit(v[7])
}

// parseFields parses the header lines; raw ends with the empty one.
func (h *head) parseFields(raw []byte) *failure {
	for len(raw) > len("\r\n") {
		f, rest, fail := cutField(raw)
		if fail != nil {
			return fail
		}
		if len(h.fields) == fieldsMax {
			return errFields
		}
		h.fields = append(h.fields, f)
		if fail := h.special(f); fail != nil {
			return fail
		}
		raw = rest
	}
	return nil
}

// cutField cuts the first line off raw. Behind it there is at least the empty one, so what
// is looked for is found.
func cutField(raw []byte) (f field, rest []byte, fail *failure) {
	colon := tokenLen(raw)
	if colon == 0 || raw[colon] != ':' {
		if raw[0] == ' ' || raw[0] == '\t' {
			return f, nil, errFolded
		}
		return f, nil, errHead
	}
	value := raw[colon+1:]
	end := valueLen(value)
	if value[end] != '\r' || value[end+1] != '\n' {
		return f, nil, errHead
	}
	return field{name: raw[:colon], value: trimSpace(value[:end])}, value[end+2:], nil
}

// special handles the fields that decide about the connection. The switch on
// the length keeps the usual line at one comparison.
func (h *head) special(f field) *failure {
	switch len(f.name) {
	case len("Host"):
		if equalFold(f.name, "host") {
			return h.host(f.value)
		}
	case len("Expect"):
		if equalFold(f.name, "expect") {
			h.expect = !h.http10
			if !equalFold(f.value, "100-continue") {
				return errExpect
			}
		}
	case len("Trailer"):
		if equalFold(f.name, "trailer") {
			h.trailers = true
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
			return h.contentLength(f.value)
		}
	case len("Transfer-Encoding"):
		if equalFold(f.name, "transfer-encoding") {
			return h.coding(f.value)
		}
	}
	return nil
}

func (h *head) host(v []byte) *failure {
	switch {
	case h.hosts:
		return errTwoHosts
	case len(v) == 0 && !h.http10:
		return errHead
	}
	h.hosts = true
	return nil
}

func (h *head) contentLength(v []byte) *failure {
	switch {
	case h.lengths || len(v) == 0:
		return errHead
	case h.codings:
		return errFraming
	}
	h.lengths = true
	for _, c := range v {
		d := int64(c) - '0'
		if d < 0 || d > 9 || h.length > (math.MaxInt64-d)/10 {
			return errHead
		}
		h.length = 10*h.length + d
	}
	return nil
}

func (h *head) coding(v []byte) *failure {
	switch {
	case h.http10 || h.codings:
		return errHead
	case !equalFold(v, "chunked"):
		return errCoding
	case h.lengths:
		return errFraming
	}
	h.codings, h.length = true, -1
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

// legacy has fasthttp read the head, for what knows nothing else: a Fallback, and its
// list of trailers that nobody may announce. It says whether fasthttp takes it.
func (x *exchange) legacy() bool {
	br := bufio.NewReaderSize(bytes.NewReader(x.raw), len(x.raw))
	return x.context().Request.Header.Read(br) == nil && br.Buffered() == 0
}
