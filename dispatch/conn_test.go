package dispatch

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestTLSAnswerAhead: TLS reads ahead of what it is asked for. An answer that
// nobody asked for, in the same segment as the one that somebody did, must not
// become the answer to the next request on that connection.
func TestTLSAnswerAhead(t *testing.T) {
	ca := newTestCA(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.leaf(time.Now().Add(time.Hour))}}
	s := newRawServer(t, func(c *rawConn) {
		both := &joined{Conn: c.Conn}
		tc := tls.Server(both, cfg)
		if tc.Handshake() != nil {
			return
		}
		buf := make([]byte, 4096)
		for {
			if _, err := tc.Read(buf); err != nil {
				return
			}
			c.s.reqs.Add(1)
			both.hold = true // two records, one segment
			_, _ = tc.Write([]byte(ok200))
			_, _ = tc.Write([]byte("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"))
			both.flush()
		}
	})
	c := newClient(t, Options{RootCAs: ca.Pool})
	for range 3 {
		r := do(t, c, Attempt{URL: "https" + s.URL[4:]})
		r.want(t, OK, 200, "")
		if r.Timing.Reused {
			t.Error("the connection was used again")
		}
	}
	if n := s.reqs.Load(); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// joined holds writes back until flush and makes one of them.
type joined struct {
	net.Conn
	hold bool
	buf  []byte
}

func (j *joined) Write(p []byte) (int, error) {
	if !j.hold {
		return j.Conn.Write(p)
	}
	j.buf = append(j.buf, p...)
	return len(p), nil
}

func (j *joined) flush() {
	_, _ = j.Conn.Write(j.buf)
	j.hold, j.buf = false, nil
}

// TestCloseGoesToTCP: closing does not wait for TLS, which sends an alert first and
// waits up to 5 s for a peer whose window is full.
func TestCloseGoesToTCP(t *testing.T) {
	s := newRawServer(t, func(c *rawConn) {
		c.request()
		c.answer(ok200)
		c.request()
		c.answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx")
	})
	c := newClient(t, Options{})
	do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
	p := poolOf(c, s.URL)
	idle := p.mu.idle[0]
	idle.Conn = noClose{idle.Conn, t}
	do(t, c, Attempt{URL: s.URL}).want(t, Closed, 0, "in the middle of the response body")
}

type noClose struct {
	net.Conn
	t testing.TB
}

func (n noClose) Close() error { n.t.Error("Close of the outer connection"); return n.Conn.Close() }

// panicking is a connection whose use is a bug.
type panicking struct {
	net.Conn
	read, write bool
}

func (p *panicking) Read(b []byte) (int, error) {
	if p.read {
		panic("read failpoint")
	}
	return p.Conn.Read(b)
}

func (p *panicking) Write(b []byte) (int, error) {
	if p.write {
		panic("write failpoint")
	}
	return p.Conn.Write(b)
}

// TestPanic: a panic while writing or reading reaches the caller of Do, who can
// recover it, from the writer's goroutine too. It leaves no connection and no
// goroutine, and the body is the caller's again (P50).
func TestPanic(t *testing.T) {
	for _, tc := range []struct {
		body        int
		read, write bool
	}{
		{0, true, false},
		{0, false, true},
		{3 * earlyAnswerBytes, true, false},
		{3 * earlyAnswerBytes, false, true},
		{3 * earlyAnswerBytes, true, true},
	} {
		t.Run(fmt.Sprintf("body=%d/read=%v/write=%v", tc.body, tc.read, tc.write), func(t *testing.T) {
			s := newRawServer(t, serveOK)
			c := newClient(t, Options{})
			a := Attempt{URL: s.URL, Body: make([]byte, tc.body), Timeout: time.Minute}
			do(t, c, a).want(t, OK, 200, "")
			p := poolOf(c, s.URL)
			idle := p.mu.idle[0]
			idle.Conn = &panicking{idle.Conn, tc.read, tc.write}
			func() {
				defer func() {
					if text := fmt.Sprint(recover()); !strings.Contains(text, "failpoint") {
						t.Errorf("recovered %q", text)
					}
				}()
				do(t, c, a)
			}()
			if st := c.Stats(); st.Open != 0 || st.Idle != 0 || p.mu.users != 0 {
				t.Errorf("%d users, stats %+v", p.mu.users, st)
			}
			do(t, c, a).want(t, OK, 200, "")
		})
	}
}
