package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestTraceOverTheWire: the trace of a publish arrives with the delivery and with its callback, and a log at
// level debug names it, so that the two sides can be put together.
func TestTraceOverTheWire(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	const parent = "00-" + id + "-00f067aa0ba902b7-01"
	got := make(chan *http.Request, 8)
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	t.Cleanup(sink.Close)
	p := start(t, "dev", "--port", "0", "--logging.level", "debug")
	publishTo(t, p, sink.URL+"/delivery", "x", "traceparent", parent, "tracestate", "rojo=1", "Upstash-Callback", sink.URL+"/callback")
	for _, path := range []string{"/delivery", "/callback"} {
		select {
		case r := <-got:
			if r.URL.Path != path || r.Header.Get("Traceparent") != parent || r.Header.Get("Tracestate") != "rojo=1" || len(r.Header.Values("Traceparent")) != 1 {
				t.Errorf("%s has %v", r.URL, r.Header)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no request to %s\n%s", path, p.output())
		}
	}
	await(t, p, `"trace_id":"`+id+`"`)
	p.stop(t)
	attempts := 0
	for _, line := range logLines(t, p.stderr.String()) {
		if line["msg"] == "engine: attempt" {
			attempts++
			if line["host"] != strings.TrimSuffix(sink.URL, "/") || line["trace_id"] != id || line["status"] != float64(200) {
				t.Errorf("the line is %v", line)
			}
		}
	}
	if attempts != 2 {
		t.Errorf("%d lines of attempts, want 2", attempts)
	}
}
