package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

func waiting(seconds int) string {
	return requestBody("POST /v1/queues/q/receive", fmt.Sprintf(`{"wait_seconds":%d}`, seconds))
}

// ended waits until a receive's context has ended, which no receive of these tests does
// by itself in time.
func ended(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the receive still waits")
	}
}

// TestReceiveEndsWithItsClient: a receive that waits ends when the client closes its
// connection, or its half of it, in whatever way.
func TestReceiveEndsWithItsClient(t *testing.T) {
	s, e := startPull(t, nil)
	ways := map[string]func(c *net.TCPConn) error{
		"close": func(c *net.TCPConn) error { return c.Close() },
		"reset": func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) },
		"half":  func(c *net.TCPConn) error { return c.CloseWrite() },
	}
	for name, end := range ways {
		c := s.dial(t).(*net.TCPConn)
		io.WriteString(c, waiting(20)) //nolint:errcheck // the receive tells
		ctx := <-e.receiving
		if err := end(c); err != nil {
			t.Fatal(err)
		}
		ended(t, ctx)
		if name != "half" {
			continue
		}
		if a := readAnswer(t, bufio.NewReader(c), http.MethodPost); a.StatusCode != 200 || a.body != `{"messages":[]}` {
			t.Errorf("a client that sends no more is answered %d %s", a.StatusCode, a.body)
		}
	}
}

// TestReceiveEndsWithTheServer: Shutdown does not wait for the time that receives wait,
// and their clients get an answer and the end of the connection.
func TestReceiveEndsWithTheServer(t *testing.T) {
	s, e := startPull(t, nil)
	c := s.dial(t)
	io.WriteString(c, waiting(20)) //nolint:errcheck // the receive tells
	<-e.receiving
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	if a := readAnswer(t, bufio.NewReader(c), http.MethodPost); a.StatusCode != 200 || a.body != `{"messages":[]}` || !a.Close {
		t.Errorf("answered %d %s, close %t", a.StatusCode, a.body, a.Close)
	}
	wg.Wait()
}

// TestReceiveKeepsTheConnection: after a receive that waited for nothing, and also when
// the next request came during it, the connection serves on.
func TestReceiveKeepsTheConnection(t *testing.T) {
	t.Run("connection=recorded", func(t *testing.T) { keepsConnection(t, listen(t)) })
	t.Run("connection=plain", func(t *testing.T) { keepsConnection(t, listenPlain(t)) }) // with turns
}

func keepsConnection(t *testing.T, ln net.Listener) {
	s, e := startPullOn(t, ln, nil)
	for _, early := range []bool{true, false} {
		c := s.dial(t)
		br := bufio.NewReader(c)
		next := requestBody("POST /v1/publish", `{"queue":"q","message":"after"}`)
		io.WriteString(c, requestBody("POST /v1/queues/q/receive", `{"wait_seconds":0.2}`)) //nolint:errcheck // the answer tells
		<-e.receiving
		if early {
			io.WriteString(c, next) //nolint:errcheck // the answer tells
		}
		if a := readAnswer(t, br, http.MethodPost); a.StatusCode != 200 || a.body != `{"messages":[]}` || a.Close {
			t.Fatalf("the receive answers %d %s, close %t", a.StatusCode, a.body, a.Close)
		}
		if !early {
			io.WriteString(c, next) //nolint:errcheck // the answer tells
		}
		if a := readAnswer(t, br, http.MethodPost); a.StatusCode != 200 {
			t.Errorf("the publish after it answers %d %s", a.StatusCode, a.body)
		}
	}
	for _, p := range e.messagesSent() {
		if string(p.Body) != `"after"` {
			t.Errorf("published %s", p.Body)
		}
	}
}

// TestReceivesThatWaitAreBounded: beyond the bound they are refused, those without a
// wait are not, and a place is free again when its client goes.
func TestReceivesThatWaitAreBounded(t *testing.T) {
	s, e := startPull(t, func(o *Options) { o.Concurrency = 8 })
	first := s.dial(t)
	io.WriteString(first, waiting(20)) //nolint:errcheck // the receive tells
	ctx := <-e.receiving
	second := s.dial(t)
	io.WriteString(second, waiting(20)) //nolint:errcheck // the receive tells
	<-e.receiving
	if a, _ := s.send(t, waiting(20)); a.StatusCode != 429 || a.Header.Get("Retry-After") == "" || a.body != string(appendError(nil, errWaiters.text)) {
		t.Errorf("a third of two answers %d %v %s", a.StatusCode, a.Header, a.body)
	}
	if a, _ := s.send(t, waiting(0)); a.StatusCode != 200 {
		t.Errorf("one that does not wait answers %d %s", a.StatusCode, a.body)
	}
	first.Close()
	ended(t, ctx)
	again := s.dial(t)
	br := bufio.NewReader(again)
	for {
		// The place is given back after the context has ended: until then it is refused.
		io.WriteString(again, waiting(20)) //nolint:errcheck // the receive tells
		answered := make(chan answer, 1)
		go func() {
			if resp, err := http.ReadResponse(br, nil); err == nil {
				io.Copy(io.Discard, resp.Body) //nolint:errcheck // the status tells
				answered <- answer{Response: resp}
			}
		}()
		select {
		case <-e.receiving:
			return
		case a := <-answered:
			if a.StatusCode != 429 {
				t.Fatalf("answered %d", a.StatusCode)
			}
		}
	}
}

// TestWaitersOfOneAccount: one account does not take all places.
func TestWaitersOfOneAccount(t *testing.T) {
	var w waiters
	w.init(4)
	for i, tt := range []struct {
		user engine.UserID
		in   bool
	}{{1, true}, {1, true}, {1, false}, {2, true}, {3, true}, {4, false}} {
		if in := w.enter(tt.user); in != tt.in {
			t.Errorf("%d: account %d gets in: %t", i, tt.user, in)
		}
	}
	w.leave(1)
	if !w.enter(4) || w.enter(5) || len(w.users) != 4 {
		t.Errorf("after one left: %d waiting, %v", w.all, w.users)
	}
}

// TestReceiveCountsItsBodies: what is handed out counts among the bodies in flight, and
// where these are many no message is leased.
func TestReceiveCountsItsBodies(t *testing.T) {
	s, e := startPull(t, func(o *Options) { o.InflightBytes = 1 << 20 })
	e.message = pullView
	if a, _ := s.send(t, waiting(0)); a.StatusCode != 200 {
		t.Fatalf("answered %d %s", a.StatusCode, a.body)
	}
	if used := s.inflight.used.Load(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
	e.take()
	s.inflight.take(1<<20 - 1<<18)
	defer s.inflight.give(1<<20 - 1<<18)
	a, _ := s.send(t, request("POST /v1/queues/q/receive"))
	if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || len(e.take()) > 0 {
		t.Errorf("answered %d %s", a.StatusCode, a.body)
	}
}
