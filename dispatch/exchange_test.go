package dispatch

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestReuse(t *testing.T) {
	s := newRawServer(t, serveOK)
	c := newClient(t, Options{})
	for i := range 20 {
		r := do(t, c, Attempt{URL: s.URL})
		r.want(t, OK, 200, "")
		if r.Timing.Reused != (i > 0) || (r.Timing.Connect > 0) != (i == 0) || r.Timing.FirstByte <= 0 || r.Timing.Total < r.Timing.FirstByte {
			t.Fatalf("attempt %d: %+v", i, r.Timing)
		}
	}
	if st := c.Stats(); s.conns.Load() != 1 || st.Dials != 1 || st.Reused != 19 || st.Idle != 1 || st.Open != 1 || st.Outcomes[OK] != 20 {
		t.Errorf("%d connections, stats %+v", s.conns.Load(), st)
	}
}

// TestOldDeadline: the deadline of the previous attempt has passed when its
// connection is used again, and must not count.
func TestOldDeadline(t *testing.T) {
	s := newRawServer(t, serveOK)
	c := newClient(t, Options{})
	do(t, c, Attempt{URL: s.URL, Timeout: 300 * time.Millisecond}).want(t, OK, 200, "")
	time.Sleep(350 * time.Millisecond)
	if r := do(t, c, Attempt{URL: s.URL}); !r.Timing.Reused {
		t.Errorf("not reused: %+v", r)
	}
}

// TestStaleBeforeWrite: a kept connection that the server has closed meanwhile is
// noticed before anything is written.
func TestStaleBeforeWrite(t *testing.T) {
	closed := make(chan struct{})
	s := newRawServer(t, func(c *rawConn) {
		c.request()
		c.answer(ok200)
		if c.n == 1 {
			// What a server does that times an idle connection out.
			c.answer("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
			_ = c.Close()
			close(closed)
			return
		}
		serveOK(c)
	})
	c := newClient(t, Options{})
	do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
	<-closed
	r := do(t, c, Attempt{URL: s.URL})
	r.want(t, OK, 200, "")
	if st := c.Stats(); r.Timing.Reused || s.reqs.Load() != 2 || st.Redials != 0 {
		t.Errorf("reused %v, %d requests, stats %+v", r.Timing.Reused, s.reqs.Load(), st)
	}
}

// TestRedialOnce: the server reads the request on a kept connection and closes it
// without a byte. The attempt gets one fresh connection, and no second one.
func TestRedialOnce(t *testing.T) {
	for _, big := range []bool{false, true} {
		for _, method := range []string{"POST", "GET"} {
			dead := false
			var mu sync.Mutex
			s := newRawServer(t, func(c *rawConn) {
				for i := 0; c.request() != ""; i++ {
					mu.Lock()
					stop := dead || i == 1
					mu.Unlock()
					if stop {
						return
					}
					c.answer(ok200)
				}
			})
			var body []byte
			if big {
				body = make([]byte, 3*earlyAnswerBytes)
			}
			c := newClient(t, Options{})
			a := Attempt{Method: method, URL: s.URL, Body: body}
			do(t, c, a).want(t, OK, 200, "")
			r := do(t, c, a)
			r.want(t, OK, 200, "")
			if n, st := s.reqs.Load(), c.Stats(); n != 3 || st.Redials != 1 || r.Timing.Reused {
				t.Fatalf("%s: %d requests, stats %+v", method, n, st)
			}
			mu.Lock()
			dead = true
			mu.Unlock()
			do(t, c, a).want(t, Closed, 0, "connection closed before the response")
			if n, st := s.reqs.Load(), c.Stats(); n != 5 || st.Redials != 2 {
				t.Fatalf("%s: %d requests, stats %+v", method, n, st)
			}
		}
	}
}

// TestNoRepeat: on a fresh connection, or once a byte of an answer has come,
// nothing is ever sent twice, whatever the method.
func TestNoRepeat(t *testing.T) {
	for _, method := range []string{"POST", "GET", "PUT", "HEAD", "DELETE"} {
		fresh := newRawServer(t, func(c *rawConn) { c.request() })
		c := newClient(t, Options{})
		do(t, c, Attempt{Method: method, URL: fresh.URL}).want(t, Closed, 0, "before the response")
		half := newRawServer(t, func(c *rawConn) {
			c.request()
			c.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.request()
			c.answer("H")
		})
		do(t, c, Attempt{Method: method, URL: half.URL}).want(t, OK, 200, "")
		do(t, c, Attempt{Method: method, URL: half.URL}).want(t, Closed, 0, "in the middle of the response headers")
		if fresh.reqs.Load() != 1 || half.reqs.Load() != 2 || c.Stats().Redials != 0 {
			t.Errorf("%s: %d and %d requests", method, fresh.reqs.Load(), half.reqs.Load())
		}
	}
}

func TestReset(t *testing.T) {
	s := newRawServer(t, func(c *rawConn) {
		c.request()
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
	})
	r := do(t, newClient(t, Options{}), Attempt{URL: s.URL})
	r.want(t, Closed, 0, "connection closed before the response")
}

func TestConnectionRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	r := do(t, newClient(t, Options{}), Attempt{URL: "http://" + addr})
	r.want(t, Connect, 0, "dial tcp "+addr+": connection refused")
}

// TestTimeouts: one deadline for everything, and the text says what it cut.
func TestTimeouts(t *testing.T) {
	const limit = 150 * time.Millisecond
	drip := func(head string) func(c *rawConn) {
		return func(c *rawConn) {
			c.request()
			c.answer(head)
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	for _, tc := range []struct {
		name   string
		body   int
		script func(c *rawConn)
		err    string
	}{
		{"black hole", 0, (*rawConn).hold, "timeout after 150ms waiting for the response"},
		{"black hole, large body", 100_000, (*rawConn).hold, "timeout after 150ms waiting for the response"},
		{"reads nothing", 32 << 20, func(c *rawConn) { <-closedWhen(c) }, "timeout after 150ms sending the request"},
		{"slow headers", 0, drip("HTTP/1.1 200 OK\r\nA: "), "timeout after 150ms reading the response"},
		{"slow body", 0, drip("HTTP/1.1 200 OK\r\n\r\n"), "timeout after 150ms reading the response"},
		{"slow body with a length", 0, drip("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"), "timeout after 150ms reading the response"},
		{"stalled body", 0, func(c *rawConn) { c.request(); c.answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"); c.hold() }, "timeout after 150ms reading the response"},
		{"interim for ever", 0, func(c *rawConn) { c.request(); c.answer("HTTP/1.1 100 Continue\r\n\r\n"); c.hold() }, "timeout after 150ms reading the response"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRawServer(t, tc.script)
			c := newClient(t, Options{})
			r := do(t, c, Attempt{URL: s.URL, Timeout: limit, Body: make([]byte, tc.body)})
			r.want(t, Timeout, 0, tc.err)
			if !errors.Is(r.Err, os.ErrDeadlineExceeded) || r.Timing.Total < limit {
				t.Errorf("%v after %v", r.Err, r.Timing.Total)
			}
			if st := c.Stats(); s.conns.Load() != 1 || st.Open != 0 || st.Idle != 0 {
				t.Errorf("%d connections, stats %+v", s.conns.Load(), st)
			}
		})
	}
}

// closedWhen returns a channel that closes with the server, for scripts that must
// not read.
func closedWhen(c *rawConn) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			// Zero-byte writes fail once the server closed the connection.
			if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return done
}

// TestTrickledHeaders: headers in thousands of pieces are given up on before the
// parser, which starts over at each, has cost anything worth mentioning.
func TestTrickledHeaders(t *testing.T) {
	s := newRawServer(t, func(c *rawConn) {
		c.request()
		c.answer("HTTP/1.1 200 OK\r\nA: ")
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(20 * time.Microsecond) // one segment each
		}
	})
	r := do(t, newClient(t, Options{}), Attempt{URL: s.URL, Timeout: 30 * time.Second})
	if r.Class != Protocol && r.Class != TooLarge {
		t.Errorf("class %v, %v", r.Class, r.Err)
	}
}

// TestEarlyAnswer: an answer that comes before the body was sent counts, whether
// the server then closes, or holds the connection without reading on.
func TestEarlyAnswer(t *testing.T) {
	body := []byte(strings.Repeat("x", 32<<20))
	for name, end := range map[string]func(c *rawConn){
		"hold":  func(c *rawConn) { <-closedWhen(c) },
		"close": func(*rawConn) {},
		"reset": func(c *rawConn) {
			// Give the answer time to be read; the reset may overtake it.
			time.Sleep(50 * time.Millisecond)
			_ = c.Conn.(*net.TCPConn).SetLinger(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newRawServer(t, func(c *rawConn) {
				_, _ = c.br.ReadString('\n')
				c.answer("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")
				if name == "close" {
					_ = c.Conn.(*net.TCPConn).CloseWrite()
					time.Sleep(50 * time.Millisecond)
				}
				end(c)
			})
			c := newClient(t, Options{})
			r := do(t, c, Attempt{URL: s.URL, Body: body, Timeout: 20 * time.Second})
			r.want(t, OK, 202, "")
			if st := c.Stats(); string(r.Body) != "ok" || st.Idle != 0 || st.Open != 0 {
				t.Errorf("body %q, stats %+v", r.Body, st)
			}
		})
	}
}

// TestConcurrent: many goroutines, many hosts, answers never mixed up.
func TestConcurrent(t *testing.T) {
	echo := func(c *rawConn) {
		for {
			req := c.request()
			if req == "" {
				return
			}
			line, _, _ := strings.Cut(req, " HTTP/1.1")
			c.answer("HTTP/1.1 200 OK\r\nX-Echo: " + line + "\r\nContent-Length: 0\r\n\r\n")
		}
	}
	var servers []*rawServer
	for range 4 {
		servers = append(servers, newRawServer(t, echo))
	}
	c := newClient(t, Options{MaxIdleConns: 8})
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			var r Result
			for i := range 100 {
				path := "/" + strings.Repeat("a", g+1) + "/" + strings.Repeat("b", i)
				c.Do(&Attempt{Method: "POST", URL: servers[(g+i)%4].URL + path, Timeout: 20 * time.Second}, &r)
				if r.Err != nil || headerOf(&r, "X-Echo") != "POST "+path {
					t.Errorf("%v: %q", r.Err, headerOf(&r, "X-Echo"))
					return
				}
			}
		})
	}
	wg.Wait()
	if st := c.Stats(); st.Outcomes[OK] != 1600 || st.Idle > 8 || st.Open != st.Idle || st.Hosts != 4 {
		t.Errorf("stats %+v", st)
	}
}

// TestTiming: every attempt says where its time went, also one that failed, each
// part from a resolver or a server that takes its time.
func TestTiming(t *testing.T) {
	const pause = 30 * time.Millisecond
	ca := newTestCA(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.leaf(time.Now().Add(time.Hour), "slow.example")}}
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		time.Sleep(pause)
		return nil, nil
	}
	s, _ := newTLSServer(t, cfg, func(c *rawConn) {
		for n := 0; c.request() != ""; n++ {
			time.Sleep(pause)
			if n == 2 {
				return // on a kept connection: the attempt gets a fresh one
			}
			c.answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
			time.Sleep(pause)
			c.answer("x")
		}
	})
	c := newClient(t, Options{RootCAs: ca.Pool, Resolver: slowResolver{pause}})
	u := "https://slow.example:" + portOf(s)
	check := func(what string, tm Timing, fresh, reused bool, before time.Duration) {
		t.Helper()
		if tm.Reused != reused || (tm.TLS >= pause) != fresh || (tm.Connect > 0) != fresh ||
			tm.FirstByte < tm.DNS+tm.Connect+tm.TLS+before || tm.Total < tm.FirstByte ||
			tm.Total < tm.DNS+tm.Connect+tm.TLS+before+pause {
			t.Errorf("%s: %+v", what, tm)
		}
	}
	r := do(t, c, Attempt{URL: u})
	if check("first", r.Timing, true, false, pause); r.Timing.DNS < pause {
		t.Errorf("first: %+v", r.Timing)
	}
	r = do(t, c, Attempt{URL: u})
	if check("kept", r.Timing, false, true, pause); r.Timing.DNS != 0 {
		t.Errorf("kept: %+v", r.Timing)
	}
	check("dialled again", do(t, c, Attempt{URL: u}).Timing, true, false, 2*pause)
	// The first byte is seen late on a busy machine: the pause after it shows in one of many.
	for n := 0; r.Timing.Total < r.Timing.FirstByte+pause/2; n++ {
		if n == 50 {
			t.Fatalf("the first byte always came with the last: %+v", r.Timing)
		}
		r = do(t, c, Attempt{URL: u})
	}

	r = do(t, c, Attempt{URL: "https://other.example:" + portOf(s)})
	r.want(t, TLS, 0, "not valid for this name")
	if tm := r.Timing; tm.DNS < pause || tm.Connect <= 0 || tm.TLS < pause || tm.FirstByte != 0 || tm.Total < tm.DNS+tm.Connect+tm.TLS {
		t.Errorf("failed: %+v", tm)
	}
}

type slowResolver struct{ pause time.Duration }

func (r slowResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	time.Sleep(r.pause)
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// TestRoomForAPart: a socket that takes only a part of the request at once gets the rest,
// on a fresh connection and on a kept one.
func TestRoomForAPart(t *testing.T) {
	s, reqs := capture(t)
	c := newClient(t, Options{})
	long := strings.Repeat("v", 1<<20)
	for i := range 3 {
		do(t, c, Attempt{URL: s.URL, Header: []Header{{"X-Long", long}}, Body: []byte("body")}).want(t, OK, 200, "")
		if req := <-reqs; !strings.HasSuffix(req, "\r\nX-Long: "+long+"\r\nContent-Length: 4\r\n\r\nbody") {
			t.Fatalf("attempt %d: %d bytes arrived, or others", i, len(req))
		}
		if err := poolOf(c, s.URL).mu.idle[0].tcp.SetWriteBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
	}
}
