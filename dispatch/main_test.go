package dispatch

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's server, which some tests call, leaves these asleep: one per
		// process, and one per server for up to 10 s. Its client's goroutine is not
		// excused; we never start it.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

func mustPolicy(t testing.TB, o PolicyOptions) *Policy {
	t.Helper()
	p, err := NewPolicy(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newClient returns a client that may call loopback, unless o says otherwise.
func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	if o.Policy == nil {
		o.Policy = mustPolicy(t, PolicyOptions{AllowPrivate: true})
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// do makes an attempt with defaults filled in: POST, 10 s.
func do(t testing.TB, c *Client, a Attempt) *Result {
	t.Helper()
	if a.Method == "" {
		a.Method = "POST"
	}
	if a.Timeout == 0 {
		a.Timeout = 10 * time.Second
	}
	r := new(Result)
	c.Do(&a, r)
	if (r.Err == nil) != (r.Class == OK) {
		t.Fatalf("class %v with error %v", r.Class, r.Err)
	}
	if r.Class != OK && (r.Status != 0 || len(r.Header) != 0 || len(r.Body) != 0) {
		t.Fatalf("failed attempt left an answer: %+v", r)
	}
	return r
}

// poolOf returns the pool of a URL's host, which is there.
func poolOf(c *Client, url string) *pool {
	t, _ := parseURL(url)
	p, _ := c.registry.pools.Load(t.hostKey())
	return p
}

// A rawServer speaks TCP by script, so that tests see and send exact bytes.
type rawServer struct {
	ln    net.Listener
	URL   string
	conns atomic.Int64
	reqs  atomic.Int64
	wg    sync.WaitGroup
	mu    sync.Mutex
	open  map[net.Conn]bool
}

// A rawConn is one accepted connection; n counts them from 1.
type rawConn struct {
	net.Conn
	s  *rawServer
	br *bufio.Reader
	n  int
}

func newRawServer(t testing.TB, script func(c *rawConn)) *rawServer {
	t.Helper()
	return newRawServerAt(t, "127.0.0.1:0", script)
}

func newRawServerAt(t testing.TB, addr string, script func(c *rawConn)) *rawServer {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("listen: %v", err)
	}
	s := &rawServer{ln: ln, URL: "http://" + ln.Addr().String(), open: map[net.Conn]bool{}}
	s.wg.Go(func() { s.accept(script) })
	t.Cleanup(s.close)
	return s
}

func (s *rawServer) accept(script func(c *rawConn)) {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		n := int(s.conns.Add(1))
		s.mu.Lock()
		s.open[nc] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			defer nc.Close()
			script(&rawConn{nc, s, bufio.NewReader(nc), n})
		})
	}
}

func (s *rawServer) close() {
	_ = s.ln.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// request reads one request and returns its exact bytes; "" at the end.
func (c *rawConn) request() string {
	var raw bytes.Buffer
	length := 0
	for {
		line, err := c.br.ReadString('\n')
		if err != nil {
			return ""
		}
		raw.WriteString(line)
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Content-Length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
		if line == "\r\n" {
			break
		}
	}
	c.s.reqs.Add(1)
	if _, err := io.CopyN(&raw, c.br, int64(length)); err != nil {
		return ""
	}
	return raw.String()
}

func (c *rawConn) answer(s string) { _, _ = io.WriteString(c, s) }

// hold waits until the client ends the connection.
func (c *rawConn) hold() { _, _ = io.Copy(io.Discard, c.br) }

const ok200 = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// serveOK answers every request of a connection with 200.
func serveOK(c *rawConn) {
	for c.request() != "" {
		c.answer(ok200)
	}
}

// want checks an outcome: class, status, and a piece of the error's text.
func (r *Result) want(t testing.TB, class Class, status int, text string) {
	t.Helper()
	got := fmt.Sprint(r.Err)
	if r.Class != class || r.Status != status || !strings.Contains(got, text) {
		t.Fatalf("got class %v, status %d, error %q; want %v, %d, %q", r.Class, r.Status, got, class, status, text)
	}
}

func headerOf(r *Result, name string) string {
	var values []string
	for _, h := range r.Header {
		if h.Name == name {
			values = append(values, h.Value)
		}
	}
	return strings.Join(values, "|")
}
