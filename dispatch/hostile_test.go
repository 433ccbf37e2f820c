package dispatch

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the scripts of hostile receivers send again and again. Nothing is made per
// answer, so that what TestHostile measures is the client's.
var (
	junk       = bytes.Repeat([]byte("x"), 64<<10)
	tinyChunks = bytes.Repeat([]byte("1\r\nx\r\n"), 10_000)
	someLines  = bytes.Repeat([]byte("A: b\r\n"), 10_000)
	someBlanks = bytes.Repeat([]byte("A:b\r\n"), 1000)
	earlyHints = []byte("HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("y", 30_000) + "\r\n\r\n")
	processing = []byte("HTTP/1.1 102 Processing\r\n\r\n")
	zeros      = func() []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		for range 16 {
			_, _ = w.Write(make([]byte, 1<<20))
		}
		_ = w.Close()
		return b.Bytes()
	}()
)

// forever sends piece until the client ends the connection.
func (c *rawConn) forever(piece []byte) {
	for {
		if _, err := c.Write(piece); err != nil {
			return
		}
	}
}

// drip sends a byte every few milliseconds until the client ends the connection.
func (c *rawConn) drip(piece string) {
	for i := 0; ; i++ {
		if _, err := io.WriteString(c, piece[i%len(piece):i%len(piece)+1]); err != nil {
			return
		}
		time.Sleep(3 * time.Millisecond)
	}
}

func (c *rawConn) reset() { _ = c.Conn.(*net.TCPConn).SetLinger(0) }

// answers is a script that reads a request, says head and then does rest.
func answers(head string, rest func(c *rawConn)) func(c *rawConn) {
	return func(c *rawConn) {
		if c.request() != "" {
			c.answer(head)
			rest(c)
		}
	}
}

// floods is answers with one piece for ever.
func floods(head string, piece []byte) func(c *rawConn) {
	return answers(head, func(c *rawConn) { c.forever(piece) })
}

func drips(head, piece string) func(c *rawConn) {
	return answers(head, func(c *rawConn) { c.drip(piece) })
}

const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

// TestHostile is RELIABILITY.md's "Hostile receivers" with P40 and P41: whatever a
// receiver does, it costs one attempt on one connection that is not used again, one
// timeout in all, and a bounded piece of memory. Answers that fit into one piece of
// text are in TestAnswers.
func TestHostile(t *testing.T) {
	const (
		maxBody = 64 << 10
		// Growing to maxBody, 64 KiB of headers read, copied and handed over, and the
		// bookkeeping of 64 KiB of the shortest header lines. Each endless script sends
		// many times that, if it is let.
		maxAlloc = 4<<20 + 512<<10
		limit    = 100 * time.Millisecond
	)
	for _, tc := range []struct {
		name   string
		body   int // of the request
		script func(c *rawConn)
		class  Class
		status int
		err    string
		cut    bool
	}{
		{name: "endless body", script: floods("HTTP/1.1 200 OK\r\n\r\n", junk), status: 200, cut: true},
		{name: "endless body, huge length", script: floods("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", junk), status: 200, cut: true},
		{name: "endless chunk", script: floods(chunkedHead+"7ffffff\r\n", junk), status: 200, cut: true},
		{name: "endless tiny chunks", script: floods(chunkedHead, tinyChunks), status: 200, cut: true},
		{name: "endless chunk extension", script: floods(chunkedHead+"1;", junk), status: 200, cut: true},
		{name: "endless chunk size", script: floods(chunkedHead, []byte("00000000")), class: Protocol, err: "malformed response"},
		{name: "endless trailers", script: floods(chunkedHead+"0\r\n", someLines), class: TooLarge, err: "response headers"},
		{name: "endless status line", script: floods("HTTP/1.1 200 ", junk), class: TooLarge, err: "65536 bytes"},
		{name: "endless header", script: floods("HTTP/1.1 200 OK\r\nA: ", junk), class: TooLarge, err: "65536 bytes"},
		{name: "endless header lines", script: floods("HTTP/1.1 200 OK\r\n", someLines), class: TooLarge, err: "65536 bytes"},
		{name: "endless short header lines", script: floods("HTTP/1.1 200 OK\r\n", someBlanks), class: TooLarge, err: "65536 bytes"},
		{name: "13,000 header lines", script: answers("HTTP/1.1 200 OK\r\n"+strings.Repeat("A:b\r\n", 13_000)+"\r\n", (*rawConn).hold), class: TooLarge, err: "more than 1000 header lines"},
		{name: "endless empty lines", script: floods("", []byte(strings.Repeat("\r\n", 4096))), class: Protocol, err: "malformed response"},
		{name: "endless interim answers", script: floods("", processing), class: Protocol, err: "too many 1xx"},
		{name: "endless large interim answers", script: floods("", earlyHints), class: TooLarge, err: "interim responses are larger than"},
		{name: "a bomb is not unpacked", script: floods("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", zeros), status: 200, cut: true},
		{name: "101, then anything", script: floods("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", junk), status: 101},
		{name: "http/0.9 for ever", script: floods("<html>\r\n", junk), class: Protocol, err: "malformed response"},
		{name: "redirect, endless body", script: floods("HTTP/1.1 307 x\r\nLocation: http://169.254.169.254/\r\n\r\n", junk), status: 307, cut: true},

		{name: "slow status line", script: drips("HTTP/1.1 200 ", "x"), class: Timeout, err: "reading the response"},
		{name: "slow header", script: drips("HTTP/1.1 200 OK\r\nA: ", "x"), class: Timeout, err: "reading the response"},
		{name: "slow header lines", script: drips("HTTP/1.1 200 OK\r\n", "A: b\r\n"), class: Timeout, err: "reading the response"},
		{name: "slow body", script: drips("HTTP/1.1 200 OK\r\n\r\n", "x"), class: Timeout, err: "reading the response"},
		{name: "slow chunks", script: drips(chunkedHead, "1\r\nx\r\n"), class: Timeout, err: "reading the response"},
		{name: "slow chunk extension", script: drips(chunkedHead+"1;", "x"), class: Timeout, err: "reading the response"},
		{name: "slow trailers", script: drips(chunkedHead+"0\r\nA: ", "x"), class: Timeout, err: "reading the response"},
		{name: "100-continue for ever", script: answers("", func(c *rawConn) {
			for {
				if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}), class: Timeout, err: "reading the response"},
		{name: "header without an end", script: answers("HTTP/1.1 200 OK\r\nA: b\r\n", (*rawConn).hold), class: Timeout, err: "reading the response"},
		{name: "line feeds alone", script: answers("HTTP/1.1 200 OK\nContent-Length: 0\n\n", (*rawConn).hold), class: Timeout, err: "reading the response"},
		{name: "length too large", script: answers("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", (*rawConn).hold), class: Timeout, err: "reading the response"},
		{name: "length too small", script: answers("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", (*rawConn).hold), status: 200},
		{name: "never answers", script: (*rawConn).hold, class: Timeout, err: "waiting for the response"},
		{name: "never reads", body: 32 << 20, script: func(c *rawConn) { <-closedWhen(c) }, class: Timeout, err: "sending the request"},

		{name: "closes after accept", script: func(*rawConn) {}, class: Closed, err: "connection closed before the response"},
		{name: "resets in the request", script: func(c *rawConn) {
			_, _ = c.br.ReadByte()
			c.reset()
		}, class: Closed, err: "connection closed before the response"},
		{name: "resets after the request", script: answers("", (*rawConn).reset), class: Closed, err: "connection closed before the response"},
		{name: "resets in the headers", script: answers("HTTP/1.1 200 OK\r\nA", waitAndReset), class: Closed, err: "in the middle of the response headers"},
		{name: "resets in the body", script: answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", waitAndReset), class: Closed, err: "in the middle of the response body (status 200)"},
		{name: "closes after half of the request", body: 8 << 20, script: func(c *rawConn) {
			_, _ = io.CopyN(io.Discard, c.br, 4<<20)
		}, class: Closed, err: "connection closed before the response"},
		{name: "answers after half of the request", body: 32 << 20, script: func(c *rawConn) {
			_, _ = io.CopyN(io.Discard, c.br, 4<<20)
			c.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			<-closedWhen(c)
		}, status: 200},
		{name: "answers without reading, for ever", body: 8 << 20, script: func(c *rawConn) {
			c.answer("HTTP/1.1 413 x\r\n\r\n")
			c.forever(junk)
		}, status: 413, cut: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRawServer(t, tc.script)
			c := newClient(t, Options{MaxResponse: maxBody, MaxConnsPerHost: 2})
			timeout := 20 * time.Second
			if tc.class == Timeout {
				timeout = limit
			}
			a := Attempt{Method: "PUT", URL: s.URL, Body: make([]byte, tc.body), Timeout: timeout} // fasthttp would repeat a PUT
			before := allocated()
			r := do(t, c, a)
			alloc := allocated() - before
			r.want(t, tc.class, tc.status, tc.err)
			if r.Truncated != tc.cut || len(r.Body) > maxBody {
				t.Errorf("%d bytes of body, cut %v", len(r.Body), r.Truncated)
			}
			if alloc > maxAlloc {
				t.Errorf("%d KiB allocated", alloc>>10)
			}
			if st := c.Stats(); s.conns.Load() != 1 || st.Dials != 1 || st.Redials != 0 || st.Open != 0 {
				t.Errorf("%d connections, stats %+v", s.conns.Load(), st)
			}
			if tc.class == Timeout && (!errors.Is(r.Err, os.ErrDeadlineExceeded) || r.Timing.Total > 100*limit) {
				t.Errorf("%v after %v", r.Err, r.Timing.Total)
			}
		})
	}
}

// waitAndReset lets the client read what was sent; a reset may overtake it.
func waitAndReset(c *rawConn) {
	time.Sleep(50 * time.Millisecond)
	c.reset()
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestHostileMemory: what a receiver can make an attempt hold while it waits: all
// the headers that are allowed, in as many lines as are allowed, and a body that
// stops one byte before its end (P41).
func TestHostileMemory(t *testing.T) {
	const n, maxBody = 50, 64 << 10
	head := "HTTP/1.1 200 OK\r\n" + strings.Repeat("Abcdefgh: "+strings.Repeat("v", 50)+"\r\n", 990) +
		fmt.Sprintf("Content-Length: %d\r\n\r\n", maxBody) + string(junk[:maxBody-1])
	held, release := make(chan struct{}, n), make(chan struct{})
	s := newRawServer(t, answers(head, func(c *rawConn) {
		held <- struct{}{}
		<-release
		c.answer("x")
		c.hold()
	}))
	c := newClient(t, Options{MaxResponse: maxBody})
	before := inUse()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { do(t, c, Attempt{URL: s.URL, Timeout: time.Minute}).want(t, OK, 200, "") })
	}
	for range n {
		<-held
	}
	// The server has sent everything; the client may still be about to read it.
	// 48 KiB are for goroutines and the server's side, as in TestWaitingMemory.
	const limit = maxBody + 64<<10 + 256<<10 + 48<<10
	per := (inUse() - before) / n
	for until := time.Now().Add(5 * time.Second); per > limit && time.Now().Before(until); {
		per = (inUse() - before) / n
	}
	close(release)
	wg.Wait()
	t.Logf("%d KiB per attempt, heap and stacks, both ends", per>>10)
	if per > limit {
		t.Errorf("%d KiB held per attempt, above %d", per>>10, limit>>10)
	}
	runtime.GC() // twice: a pool lets go of what was not used between two
	if kept := (inUse() - before) / n; kept > 16<<10 {
		t.Errorf("%d KiB kept per attempt after its end", kept>>10)
	}
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestLateAnswer: what comes after the timeout answers nothing that is asked later.
func TestLateAnswer(t *testing.T) {
	timedOut := make(chan struct{})
	late := make(chan struct{})
	s := newRawServer(t, func(c *rawConn) {
		c.request()
		if c.n == 1 {
			<-timedOut
			c.answer("HTTP/1.1 500 late\r\nContent-Length: 0\r\n\r\n")
			close(late)
			return
		}
		<-late
		c.answer(ok200)
		c.hold()
	})
	c := newClient(t, Options{})
	do(t, c, Attempt{URL: s.URL, Timeout: 100 * time.Millisecond}).want(t, Timeout, 0, "waiting for the response")
	close(timedOut)
	r := do(t, c, Attempt{URL: s.URL})
	if r.want(t, OK, 200, ""); r.Timing.Reused || s.conns.Load() != 2 {
		t.Errorf("%d connections, %+v", s.conns.Load(), r.Timing)
	}
}

// TestHostileTLS: receivers that misbehave in TLS, or behind it.
func TestHostileTLS(t *testing.T) {
	ca := newTestCA(t)
	good := ca.leaf(time.Now().Add(time.Hour))
	long := good
	for size := 0; size < 1<<20; size += len(good.Certificate[0]) {
		long.Certificate = append(long.Certificate, good.Certificate[0])
	}
	for _, tc := range []struct {
		name   string
		cfg    *tls.Config
		body   int
		script func(c *rawConn)
		class  Class
		status int
		err    string
	}{
		{name: "1 MiB of certificates", cfg: &tls.Config{Certificates: []tls.Certificate{long}}, script: serveOK, class: TLS, err: "TLS with 127.0.0.1: "},
		{name: "endless body", script: floods("HTTP/1.1 200 OK\r\n\r\n", junk), status: 200},
		{name: "endless header", script: floods("HTTP/1.1 200 OK\r\nA: ", junk), class: TooLarge, err: "65536 bytes"},
		{name: "slow body", script: drips("HTTP/1.1 200 OK\r\n\r\n", "x"), class: Timeout, err: "reading the response"},
		{name: "never answers", script: (*rawConn).hold, class: Timeout, err: "waiting for the response"},
		{name: "never reads", body: 32 << 20, script: func(c *rawConn) { <-closedWhen(c) }, class: Timeout, err: "sending the request"},
		{name: "ends without an alert", script: answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", func(c *rawConn) {
			_ = c.Conn.(*tls.Conn).NetConn().Close()
		}), class: Closed, err: "in the middle of the response body"},
		{name: "drops TLS", script: answers("", func(c *rawConn) {
			_, _ = io.WriteString(c.Conn.(*tls.Conn).NetConn(), ok200)
		}), class: Protocol, err: "malformed response"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := tc.cfg
			if cfg == nil {
				cfg = &tls.Config{Certificates: []tls.Certificate{good}}
			}
			s, _ := newTLSServer(t, cfg, tc.script)
			c := newClient(t, Options{RootCAs: ca.Pool, MaxResponse: 64 << 10})
			timeout := 20 * time.Second
			if tc.class == Timeout {
				timeout = 150 * time.Millisecond
			}
			r := do(t, c, Attempt{URL: "https" + s.URL[4:], Body: make([]byte, tc.body), Timeout: timeout})
			r.want(t, tc.class, tc.status, tc.err)
			if st := c.Stats(); s.conns.Load() != 1 || st.Dials != 1 || st.Open != 0 {
				t.Errorf("%d connections, stats %+v", s.conns.Load(), st)
			}
		})
	}
}
