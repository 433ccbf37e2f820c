//go:build unix

package dispatch

import (
	"testing"
	"time"
)

// TestAnswerBeforeRequest: a server that answers a fresh connection at once, as one that
// is overloaded does, has been heard, although the poller had told of its answer before
// the request was written, and will not tell again.
func TestAnswerBeforeRequest(t *testing.T) {
	ready := make(chan struct{})
	s := newRawServer(t, func(c *rawConn) {
		<-ready
		c.answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
		c.hold()
	})
	c := newClient(t, Options{})
	a, r := Attempt{Method: "POST", URL: s.URL, Body: []byte("body"), Timeout: 2 * time.Second}, new(Result)
	x := acquireExchange(c, &a, r, time.Now())
	defer releaseExchange(x)
	var err error
	if x.t, err = parseURL(a.URL); err != nil {
		t.Fatal(err)
	}
	x.p = c.registry.acquire(&x.t, x.start)
	defer c.registry.release(x.p)
	if err := x.connect(); err != nil {
		t.Fatal(err)
	}
	asked := false
	err = x.conn.raw.Read(func(fd uintptr) bool { // until the poller has told of the answer
		if !asked {
			asked = true
			close(ready)
			return false
		}
		return !peekQuiet(fd)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.attempt(); err != nil || r.Status != 503 {
		t.Fatalf("status %d, %v", r.Status, x.explain(err))
	}
	if n := c.Stats().Open; n != 0 {
		t.Fatalf("%d connections are kept: one may still answer the request", n)
	}
}
