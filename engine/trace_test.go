package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

var testTrace = Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "rojo=1"}

// TestTraceIsCarried: to each attempt of a message and of its callbacks, also after a retry from the dead
// letter queue, and into no view.
func TestTraceIsCarried(t *testing.T) {
	w := newFakeWire()
	w.reply = func(a *fakeAttempt, r *dispatch.Result) {
		if strings.Contains(a.url, "fails") {
			*r = dispatch.Result{Status: 500}
		}
	}
	e := open(t, testOptions(vfs.NewMem(), w))
	carried := func(what string) fakeAttempt {
		t.Helper()
		a := w.next(t)
		if !strings.Contains(a.url, what) || a.header["traceparent"] != testTrace.Parent || a.header["tracestate"] != testTrace.State {
			t.Fatalf("an attempt at %s has %v, want the trace at %s", a.url, a.header, what)
		}
		return a
	}
	publish(t, e, Publish{
		URL: "http://fails.example/", Retries: 1, RetryDelay: "0", Trace: testTrace, Header: []Header{{Name: "X-Own", Value: "1"}},
		Failure: &Callback{URL: "http://callback.example/failure", Header: []Header{{Name: "X-Cb", Value: "1"}}},
	})
	carried("fails")
	carried("fails")
	report := carried("failure")
	if strings.Contains(string(report.body), testTrace.Parent) || !strings.Contains(string(report.body), "X-Own") {
		t.Errorf("the callback reports headers that were not forwarded: %s", report.body)
	}
	eventually(t, func() bool { return len(allDead(t, e)) == 1 })
	d := allDead(t, e)[0]
	if !slices.Equal(d.Header, []Header{{Name: "X-Own", Value: "1"}}) || !slices.Equal(d.Failure.Header[1:], []Header{{Name: "X-Cb", Value: "1"}}) {
		t.Errorf("the dead letter shows %v and %v", d.Header, d.Failure)
	}
	none := 0
	if _, err := e.RetryDeadLetter(1, d.ID, &RetryOptions{
		Retries: &none, Callback: &Callback{URL: "http://callback.example/again", Retries: InheritRetries},
	}); err != nil {
		t.Fatal(err)
	}
	carried("fails")
	for range 2 {
		carried("callback.example")
	}
}

// TestTraceOfOnesOwn: who forwards a trace means that one, and no part of another.
func TestTraceOfOnesOwn(t *testing.T) {
	own := func(names ...string) (hs []Header) {
		for _, name := range names {
			hs = append(hs, Header{Name: name, Value: "mine"})
		}
		return hs
	}
	for _, tt := range []struct {
		trace Trace
		hs    []Header
		want  string
	}{
		{testTrace, own("X"), "X traceparent tracestate"},
		{testTrace, own("X", "Traceparent"), "X Traceparent"},
		{testTrace, own("Tracestate"), "Tracestate traceparent"},
		{Trace{State: "rojo=1"}, own("X"), "X"},
		{Trace{Parent: testTrace.Parent}, nil, "traceparent"},
	} {
		var names []string
		room := append(make([]Header, 0, 8), tt.hs...)
		got := tt.trace.carry(room)
		for _, h := range got {
			names = append(names, h.Name)
		}
		if strings.Join(names, " ") != tt.want {
			t.Errorf("%v carries %v, want %s", tt.hs, names, tt.want)
		}
		if back := withoutTrace(got); fmt.Sprint(back) != fmt.Sprint(room) {
			t.Errorf("of %v is shown %v", tt.hs, back)
		}
		if len(room) < cap(room) && room[:len(room)+1][len(room)].Name != "" {
			t.Errorf("carry wrote into the memory of its caller")
		}
	}
}

// TestTraceIsNoContent: two messages that differ in their trace alone are duplicates by content.
func TestTraceIsNoContent(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	p := Publish{User: 1, URL: "http://example.com/hook", Body: []byte("x"), DedupContent: true}
	for i, trace := range []Trace{{}, testTrace} {
		p.Trace = trace
		r, err := e.Publish(&p)
		if err != nil || r.Deduplicated != (i > 0) {
			t.Errorf("publish %d: %+v %v", i, r, err)
		}
	}
}
