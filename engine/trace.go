package engine

import (
	"strings"

	"github.com/tidemill/tidemill/dispatch"
)

// Trace is the W3C trace context of the request that published a message. It goes with every attempt of the
// message and of its callbacks, unchanged: the server records no spans, and what records none passes on what
// it was given. It is checked by the caller.
type Trace struct {
	Parent string // traceparent; "": there is none, whatever State says
	State  string // tracestate
}

// A trace is kept among the headers of the message's record, under names in lower case: what a client
// forwards is in canonical case, so the two are told apart, and an earlier version just forwards them.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

// carry returns hs with the trace behind them. A client that forwards a trace of its own means that one. hs is
// not changed.
func (t *Trace) carry(hs []Header) []Header {
	if t.Parent == "" || named(hs, traceParent) {
		return hs
	}
	hs = append(hs[:len(hs):len(hs)], Header{Name: traceParent, Value: t.Parent})
	if t.State != "" && !named(hs, traceState) {
		hs = append(hs, Header{Name: traceState, Value: t.State})
	}
	return hs
}

// size is what carry adds to a record, at most.
func (t *Trace) size() int {
	if t.Parent == "" {
		return 0
	}
	return len(traceParent) + len(t.Parent) + len(traceState) + len(t.State) + 24
}

func named(hs []Header, name string) bool {
	for i := range hs {
		if strings.EqualFold(hs[i].Name, name) {
			return true
		}
	}
	return false
}

// traceOf returns the trace that a record carries.
func traceOf(hs []Header) (t Trace) {
	for i := range hs {
		switch hs[i].Name {
		case traceParent:
			t.Parent = hs[i].Value
		case traceState:
			t.State = hs[i].Value
		}
	}
	return t
}

// withoutTrace returns the headers that a view shows: those that the client forwards. hs is not changed.
func withoutTrace(hs []Header) []Header {
	if traceOf(hs).Parent == "" {
		return hs
	}
	out := make([]Header, 0, len(hs))
	for _, h := range hs {
		if h.Name != traceParent && h.Name != traceState {
			out = append(out, h)
		}
	}
	return out
}

// traceID returns the trace id of a request, "" if it has none.
func traceID(hs []dispatch.Header) string {
	const from, to = len("00-"), len("00-") + 32
	if v := find(hs, traceParent); len(v) > to {
		return v[from:to]
	}
	return ""
}
