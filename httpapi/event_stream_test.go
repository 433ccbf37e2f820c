package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// eventSource reads a stream as a browser does.
type eventSource struct {
	t    testing.TB
	nc   net.Conn
	body *bufio.Scanner
	id   string // of the last event
}

// openStream connects and checks the head of the answer.
func openStream(t testing.TB, addr, query string, headers ...string) *eventSource {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a dead connection fails the reads
	fmt.Fprint(nc, request("GET /v2/logs/stream"+query, headers...))
	req, _ := http.NewRequest("GET", "http://x", nil)
	resp, err := http.ReadResponse(bufio.NewReader(nc), req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		b, _ := io.ReadAll(resp.Body)
		t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, b)
	}
	return &eventSource{t: t, nc: nc, body: bufio.NewScanner(resp.Body)}
}

// next returns the next event; ok is false at the end of the stream.
func (s *eventSource) next() (ev eventView, ok bool) {
	s.t.Helper()
	data := ""
	for s.body.Scan() {
		line := s.body.Text()
		if id, is := strings.CutPrefix(line, "id: "); is {
			s.id = id
		}
		if d, is := strings.CutPrefix(line, "data: "); is {
			data = d
		}
		if line == "" && data != "" {
			if err := json.Unmarshal([]byte(data), &ev); err != nil {
				s.t.Fatalf("%s: %v", data, err)
			}
			return ev, true
		}
	}
	return ev, false
}

func (s *eventSource) expect(id, states string) {
	s.t.Helper()
	for _, want := range strings.Fields(states) {
		if ev, ok := s.next(); !ok || ev.State != want || ev.MessageID != id {
			s.t.Fatalf("%+v, %v; want %s of %s", ev, ok, want, id)
		}
	}
}

// TestEventStream: a stream sends what becomes visible of its account, as its filters say,
// goes on where another has ended, and shows what was before if it is asked to.
func TestEventStream(t *testing.T) {
	s, sink, _ := sinkSite(t)
	publish := func(path string, as func(string) string) string {
		t.Helper()
		var m struct{ MessageID string }
		s.want(t, as(requestBody("POST /v2/publish/"+sink+path, "x", "Upstash-Retries: 0")), 200, &m)
		return m.MessageID
	}
	self := func(s string) string { return s }
	before := publish("/before", self)
	s.events(t, "messageId="+before, ending("DELIVERED ACTIVE CREATED"))
	all := openStream(t, s.addr, "?order=latestFirst&count=1")
	failed := openStream(t, s.addr, "?state=FAILED")
	publish("/ok", asOther)
	one := publish("/ok", self)
	all.expect(one, "CREATED ACTIVE DELIVERED")
	again := openStream(t, s.addr, "", "Last-Event-ID: "+all.id)
	two := publish("/fails/", self)
	all.expect(two, "CREATED ACTIVE ERROR FAILED")
	failed.expect(two, "FAILED")
	again.expect(two, "CREATED ACTIVE ERROR FAILED")
	past := openStream(t, s.addr, "?fromDate=1000")
	past.expect(before, "CREATED ACTIVE DELIVERED")
	past.expect(one, "CREATED ACTIVE DELIVERED")
}

// TestEventStreamRefuses: what is no stream, or one too many.
func TestEventStreamRefuses(t *testing.T) {
	s := start(t, func(o *Options) { o.Streams, o.Engine.(*fakeEngine).EventEngine = 4, &endlessEvents{} })
	for _, c := range []struct {
		raw, want string
		status    int
	}{
		{request("POST /v2/logs/stream"), "method", 405},
		{request("HEAD /v2/logs/stream"), "", 405},
		{request("GET /v2/events/stream"), "not found", 404},
		{request("GET /v2/logs/stream/"), "not found", 404},
		{request("GET /v2/logs/stream?state=SENT"), "invalid state", 400},
		{request("GET /v2/logs/stream", "Last-Event-ID: -1"), "invalid Last-Event-ID", 400},
		{strings.Replace(request("GET /v2/logs/stream"), goodToken, badToken, 1), "token", 401},
	} {
		if a, _ := s.send(t, c.raw); a.StatusCode != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%.40q: %d %s", c.raw, a.StatusCode, a.body)
		}
	}
	open := []*eventSource{openStream(t, s.addr, "?cursor=1"), openStream(t, s.addr, "?cursor=1")}
	a, _ := s.send(t, request("GET /v2/logs/stream"))
	if a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("a stream too many: %d %s", a.StatusCode, a.body)
	}
	if !s.streams.enter(8) {
		t.Error("one account keeps out the others")
	}
	s.streams.leave(8)
	open[0].nc.Close()
	waitFor(t, func() bool { return s.streams.held() == 1 })
}

// endlessEvents has an event whenever it is asked, if that is set, and else none ever.
type endlessEvents struct {
	EventEngine
	event  bool
	waited atomic.Int64
}

func (e *endlessEvents) EventsEnd() string { return "17" }

func (e *endlessEvents) EventsSince(q *engine.EventQuery, fn func(ev *engine.Event) error) (string, error) {
	for range 100 {
		if e.event {
			if err := fn(&engine.Event{ID: "18", URL: strings.Repeat("u", 4096)}); err != nil {
				return q.Cursor, err
			}
		}
	}
	return "18", nil
}

func (e *endlessEvents) WaitEvents(_ string, _ time.Duration, stop <-chan struct{}) (bool, error) {
	e.waited.Add(1)
	select {
	case <-stop:
		return false, nil
	case <-time.After(time.Millisecond): // as if streamBeat had passed
		return e.event, nil
	}
}

// held is how many are inside.
func (w *waiters) held() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

// TestEventStreamBeats: a stream without events sends comments with the place that it has
// come to, and ends with the token.
func TestEventStreamBeats(t *testing.T) {
	s := start(t, func(o *Options) { o.Engine.(*fakeEngine).EventEngine = &endlessEvents{} })
	src := openStream(t, s.addr, "")
	for _, want := range []string{": nothing new", "id: 18", "", ": nothing new", "id: 18", ""} {
		if !src.body.Scan() || src.body.Text() != want {
			t.Fatalf("got %q, want %q", src.body.Text(), want)
		}
	}
	s.eng.revoked.Store(true)
	if _, ok := src.next(); ok || src.body.Err() != nil {
		t.Errorf("after its token was revoked the stream ended with %v", src.body.Err())
	}
}

// TestEventStreamSlowReader: a client that takes nothing is cut off.
func TestEventStreamSlowReader(t *testing.T) {
	s := start(t, func(o *Options) {
		o.WriteTimeout, o.Engine.(*fakeEngine).EventEngine = 50*time.Millisecond, &endlessEvents{event: true}
	})
	openStream(t, s.addr, "")
	waitFor(t, func() bool { return s.streams.held() == 0 })
}

// TestEventStreamShutdown: a stream that waits ends at once, and properly, when the server
// stops and already when it drains.
func TestEventStreamShutdown(t *testing.T) {
	for name, stop := range map[string]func(*Server, context.Context) error{"drain": (*Server).Drain, "shutdown": (*Server).Shutdown} {
		t.Run(name, func(t *testing.T) { streamEndsWith(t, stop) })
	}
}

func streamEndsWith(t *testing.T, stop func(*Server, context.Context) error) {
	waiting := &endlessEvents{event: true}
	s := start(t, func(o *Options) { o.Engine.(*fakeEngine).EventEngine = waiting })
	src := openStream(t, s.addr, "")
	src.next()
	waitFor(t, func() bool { return waiting.waited.Load() > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- stop(s.Server, ctx) }()
	for ok := true; ok && ctx.Err() == nil; {
		_, ok = src.next()
	}
	if err := src.body.Err(); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
	if err := <-done; err != nil || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}
