package httpapi

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

const (
	traceA = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	traceB = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// TestTraceParent has the examples of the standard and those of its test suite.
func TestTraceParent(t *testing.T) {
	const id, parent = "12345678901234567890123456789012", "1234567890123456"
	for v, want := range map[string]bool{
		traceA: true, traceB: true,
		"00-" + id + "-" + parent + "-ff":                               true,
		"cc-" + id + "-" + parent + "-01":                               true,
		"cc-" + id + "-" + parent + "-01-what-the-future-will-be-like":  true,
		"cc-" + id + "-" + parent + "-01.what-the-future-will-be-like":  false,
		"00-" + id + "-" + parent + "-01-what-the-future-will-be-like":  false,
		"00-" + id + "-" + parent + "-01-":                              false,
		"00-" + id + "-" + parent + "-01.":                              false,
		"ff-" + id + "-" + parent + "-01":                               false,
		"0x-" + id + "-" + parent + "-01":                               false,
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01":          false,
		"00-" + id + "-" + strings.Repeat("0", 16) + "-01":              false,
		"00-" + id + "-" + parent + "-0X":                               false,
		"00-" + id + "-" + parent + "-1":                                false,
		"00-" + id + "-" + parent + "-001":                              false,
		"00-" + strings.Replace(id, "1", ".", 1) + "-" + parent + "-01": false,
		"00-ABCDEFABCDEFABCDEFABCDEFABCDEFAB-" + parent + "-01":         false,
		"00-" + id + "0-" + parent + "-01":                              false,
		"00-" + id[1:] + "-" + parent + "-01":                           false,
		"00-" + id + "_" + parent + "-01":                               false,
		"cc-" + id + "-" + parent + "-01-" + strings.Repeat("x", 300):   false,
		"": false, "00": false,
	} {
		if got := isTraceParent([]byte(v)); got != want {
			t.Errorf("%q: %t, want %t", v, got, want)
		}
	}
}

func TestTraceState(t *testing.T) {
	for v, want := range map[string]bool{
		"foo=1": true, "foo=1,bar=2": true, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE": true,
		"foo=1 \t , \t bar=2, \t baz=3": true, "foo=1,": true, ",foo=1": true, "fw529a3039@dt=FfAAAA": true, "foo=\xc3\xa4": false,
		"": false, ",": false, "foo": false, "foo=": false, "=1": false, "foo=bar=baz": false, "Foo=1": false, "foo@=1,bar=2": true,
		"foo =1": false, "foo.bar=1": false,
		strings.Repeat("k=v,", 32): true, strings.Repeat("k=v,", 33): false, "a=" + strings.Repeat("x", 510): true, "a=" + strings.Repeat("x", 511): false,
	} {
		if got := isTraceState([]byte(v)); got != want {
			t.Errorf("%q: %t, want %t", v, got, want)
		}
	}
}

// FuzzTraceParent: what is taken for a traceparent reads as one by another way, and nothing breaks it.
func FuzzTraceParent(f *testing.F) {
	for _, v := range []string{traceA, traceB, "cc" + traceA[2:] + "-more", "ff" + traceA[2:], "", "-"} {
		f.Add(v, "foo=1,bar=2")
	}
	f.Fuzz(func(t *testing.T, v, state string) {
		isTraceState([]byte(state))
		if !isTraceParent([]byte(v)) {
			return
		}
		parts := strings.SplitN(v, "-", 5)
		for i, n := range []int{1, 16, 8, 1} {
			if b, err := hex.DecodeString(parts[i]); err != nil || len(b) != n || strings.ToLower(parts[i]) != parts[i] {
				t.Fatalf("part %d of %q is %q", i, v, parts[i])
			}
		}
		if len(v) > traceParentMax || parts[0] == "00" && len(parts) > 4 {
			t.Fatalf("%q is taken", v)
		}
	})
}

// TestTraceOfPublish: what a publish carries, of the headers that its request has.
func TestTraceOfPublish(t *testing.T) {
	s := start(t, nil)
	tests := []struct {
		name   string
		header []string
		want   engine.Trace
	}{
		{"none", nil, engine.Trace{}},
		{"parent", []string{"traceparent: " + traceA}, engine.Trace{Parent: traceA}},
		{"any case", []string{"TraceParent: " + traceA, "TRACESTATE: a=1"}, engine.Trace{Parent: traceA, State: "a=1"}},
		{"state in lines", []string{"tracestate: a=1", "traceparent: " + traceA, "tracestate: b=2"}, engine.Trace{Parent: traceA, State: "a=1,b=2"}},
		{"state alone", []string{"tracestate: a=1"}, engine.Trace{}},
		{"bad state", []string{"traceparent: " + traceA, "tracestate: a"}, engine.Trace{Parent: traceA}},
		{"bad parent", []string{"traceparent: " + strings.ToUpper(traceA), "tracestate: a=1"}, engine.Trace{}},
		{"two parents", []string{"traceparent: " + traceA, "traceparent: " + traceB}, engine.Trace{}},
	}
	for i, tt := range tests {
		if a, _ := s.send(t, requestBody("POST /v2/publish/https://h/p", "x", tt.header...)); a.StatusCode != 200 {
			t.Fatalf("%s: %d %s", tt.name, a.StatusCode, a.body)
		}
		if got := s.eng.messages()[i]; got.Trace != tt.want || len(got.Header) != 0 {
			t.Errorf("%s: carries %+v and forwards %v, want %+v", tt.name, got.Trace, got.Header, tt.want)
		}
	}
}

// TestTraceOfQuery: a traceparent in a query is the destination's.
func TestTraceOfQuery(t *testing.T) {
	s := start(t, nil)
	s.send(t, requestBody("POST /v2/publish/https://h/p?traceparent="+traceA+"&upstash-traceparent="+traceA, "x"))
	if got := s.eng.messages(); len(got) != 1 || got[0].Trace != (engine.Trace{}) {
		t.Errorf("%+v", got)
	}
}

// TestTraceOfBatch: an element has its own trace, else that of the call, never half of each.
func TestTraceOfBatch(t *testing.T) {
	s := start(t, nil)
	item := func(headers string) string { return `{"destination":"https://h/","headers":{` + headers + `}}` }
	body := "[" + strings.Join([]string{
		item(""), item(`"traceparent":"` + traceB + `"`), item(`"tracestate":"z=9"`), item(`"Traceparent":"nonsense","tracestate":"z=9"`),
	}, ",") + "]"
	a, _ := s.send(t, requestBody("POST /v2/batch", body, "traceparent: "+traceA, "tracestate: a=1"))
	var got []string
	for _, p := range s.eng.messages() {
		got = append(got, fmt.Sprint(p.Trace))
	}
	outer := fmt.Sprint(engine.Trace{Parent: traceA, State: "a=1"})
	want := []string{outer, fmt.Sprint(engine.Trace{Parent: traceB}), outer, fmt.Sprint(engine.Trace{})}
	if a.StatusCode != 200 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d: %v, want %v", a.StatusCode, got, want)
	}
}

// TestTraceOfSchedule: a trace is of one request, so the ticks of a schedule are not part of the one that made it.
func TestTraceOfSchedule(t *testing.T) {
	s := start(t, nil)
	a, _ := s.send(t, requestBody("POST /v2/schedules/https://h/p", "x", "Upstash-Cron: * * * * *", "traceparent: "+traceA))
	if a.StatusCode != 200 || len(s.eng.schedules) != 1 || s.eng.schedules[0].Message.Trace != (engine.Trace{}) {
		t.Errorf("%d %s: %+v", a.StatusCode, a.body, s.eng.schedules)
	}
}
