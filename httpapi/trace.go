package httpapi

import (
	"bytes"

	"github.com/tidemill/tidemill/engine"
)

// trace is the W3C trace context (www.w3.org/TR/trace-context) of a publish, as header lines named
// traceparent and tracestate bring it. What is not valid is dropped and is no error, as the standard has
// it: whoever publishes may not know what a proxy on the way adds.
type trace struct {
	parent, state []byte
	given         bool // there was a traceparent, valid or not
	broken        bool // so there is none
}

// Bounds of what is carried. The standard wants at least 512 bytes of tracestate, and a traceparent of the
// version there is has 55.
const (
	traceParentMax  = 256
	traceStateMax   = 512
	traceMembersMax = 32
)

// add takes a header line, and says whether it is one of a trace.
func (t *trace) add(name, value []byte) bool {
	switch {
	case equalFold(name, "traceparent"):
		t.broken = t.given || !isTraceParent(value)
		t.given, t.parent = true, value
	case equalFold(name, "tracestate"):
		if t.state != nil { // lines are a list
			value = bytes.Join([][]byte{t.state, value}, []byte{','})
		}
		t.state = value
	default:
		return false
	}
	return true
}

// inherit takes the trace of the call around a batch's element, for one that has none.
func (t *trace) inherit(fields []field) {
	if t.given {
		return
	}
	*t = trace{}
	for _, f := range fields {
		t.add(f.name, f.value)
	}
}

// engine returns what a message carries. It aliases the request.
func (t *trace) engine() (out engine.Trace) {
	if !t.given || t.broken {
		return out
	}
	out.Parent = view(t.parent)
	if isTraceState(t.state) {
		out.State = view(t.state)
	}
	return out
}

// isTraceParent says whether v is a traceparent: version, trace id, parent id and flags in lower-case
// hexadecimal digits. A later version may have more behind a dash.
func isTraceParent(v []byte) bool {
	const length = len("00-") + 32 + len("-") + 16 + len("-00")
	if len(v) < length || len(v) > traceParentMax || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return false
	}
	version, id, parent, flags := v[:2], v[3:35], v[36:52], v[53:55]
	if !isHex(version) || !isHex(id) || !isHex(parent) || !isHex(flags) || allZero(id) || allZero(parent) {
		return false
	}
	switch string(version) {
	case "ff":
		return false
	case "00":
		return len(v) == length
	}
	return len(v) == length || v[length] == '-'
}

func isHex(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func allZero(s []byte) bool { return len(bytes.Trim(s, "0")) == 0 }

// isTraceState says whether v is a list of key=value, as far as passing it on asks for.
func isTraceState(v []byte) bool {
	if len(v) == 0 || len(v) > traceStateMax {
		return false
	}
	members := 0
	for rest, more := v, true; more; {
		var member []byte
		member, rest, more = bytes.Cut(rest, []byte{','})
		if member = bytes.Trim(member, " \t"); len(member) == 0 {
			continue // an empty member is allowed
		}
		if members++; !isTraceMember(member) {
			return false
		}
	}
	return 0 < members && members <= traceMembersMax
}

func isTraceMember(m []byte) bool {
	key, value, ok := bytes.Cut(m, []byte{'='})
	if !ok || len(key) == 0 || len(value) == 0 {
		return false
	}
	for _, c := range key {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && bytes.IndexByte([]byte("_-*/@"), c) < 0 {
			return false
		}
	}
	for _, c := range value {
		if c < ' ' || c > '~' || c == '=' {
			return false
		}
	}
	return true
}
