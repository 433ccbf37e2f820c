package httpapi

import (
	"net"
	"strings"
	"testing"
	"time"
)

// deadline is a connection that has nothing to read and keeps the time until which somebody
// wants to.
type deadline struct {
	net.Conn
	by time.Time
}

func (c *deadline) Read([]byte) (int, error) { return 0, net.ErrClosed }

func (c *deadline) SetReadDeadline(by time.Time) error {
	c.by = by
	return nil
}

// TestIdleAfterPipelined: a connection is idle from its last answer on. When the one before
// that was written, which is noted for nobody if the next request was there already, counts
// for nothing, however long that one took.
func TestIdleAfterPipelined(t *testing.T) {
	srv, err := New(Options{Engine: newFake(), IdleTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	nc := new(deadline)
	c := newTestConn(srv, nc)
	c.served, c.answered = true, time.Now().Add(-time.Hour)
	c.br.Reset(oneByte{})
	if _, err := c.br.Peek(1); err != nil {
		t.Fatal(err)
	}
	if !c.idle() || c.arrived() != nil { // the request that was there
		t.Fatal("no request")
	}
	c.br.Reset(nc)
	if c.idle(); time.Until(nc.by) <= 0 {
		t.Errorf("it may be idle until %s ago", time.Since(nc.by))
	}
}

// TestChunkedDeadline: a chunked body has its own time to arrive, also when its beginning
// came with the head: how long the connection was idle before counts for nothing.
func TestChunkedDeadline(t *testing.T) {
	srv, err := New(Options{Engine: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	nc := new(deadline)
	c := newTestConn(srv, nc)
	c.br.Reset(strings.NewReader("1\r\nc\r\n"))
	if _, err := c.br.Peek(1); err != nil {
		t.Fatal(err)
	}
	x := srv.acquire(c)
	defer srv.release(x)
	x.head.length = -1
	if fail := x.readBody(&srv.inflight, 100); fail != errTruncated {
		t.Fatalf("got %v", fail)
	}
	if time.Until(nc.by) <= 0 {
		t.Error("no deadline was set")
	}
}

// oneByte reads as one byte.
type oneByte struct{}

func (oneByte) Read(p []byte) (int, error) { return copy(p, "G"), nil }
