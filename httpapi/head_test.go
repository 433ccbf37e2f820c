package httpapi

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// scripted is a connection that has some bytes and then ends.
type scripted struct {
	net.Conn
	r bytes.Reader
}

func (s *scripted) Read(p []byte) (int, error)      { return s.r.Read(p) }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }

// FuzzHead: a head that is accepted is one that fasthttp and net/http accept as well and
// read the same: where parsers agree on every boundary nothing can be
// smuggled between them (P43). What net/http minds about URLs is its own. A head that is
// refused as malformed, fasthttp or what it is known to let through is the reason.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		request("GET /v2/keys"),
		requestBody("POST /v2/publish/http://h/a//b?c", "body", "X: a", "X:\tb "),
		"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: a, close\r\n\r\n",
		"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: t\r\nX Y: a\r\n b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: t\nX:\x00\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: t\r\nTrailer: X, Host\r\nContent-Length: 007\r\nExpect: 100-Continue\r\n\r\n",
		"PUT /\x7f HTTP/1.0\r\nHost:\r\nConnection: keep-alive\r\nContent-Length: 9223372036854775808\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	srv, err := New(Options{Engine: newFake()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		nc := new(scripted)
		nc.r.Reset(raw)
		c := newTestConn(srv, nc)
		x := srv.acquire(c)
		defer srv.release(x)
		if _, err := c.br.Peek(1); err != nil {
			return
		}
		err := x.read()
		agree(t, raw, x, err)
		if err != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			if strings.Contains(err.Error(), "URL") || strings.Contains(err.Error(), "parse ") || strings.Contains(err.Error(), "malformed Host") {
				return
			}
			t.Fatalf("net/http refuses %q: %v", raw, err)
		}
		compareHeads(t, &x.head, r)
	})
}

// agree holds what was read of raw, or why it was not, against fasthttp.
func agree(t *testing.T, raw []byte, x *exchange, err error) {
	t.Helper()
	raw = bytes.TrimPrefix(raw, []byte("\r\n"))
	end := bytes.Index(raw, []byte("\r\n\r\n")) + len("\r\n\r\n")
	if end < len("\r\n\r\n") {
		return // no head
	}
	var h fasthttp.RequestHeader
	br := bufio.NewReaderSize(bytes.NewReader(raw[:end]), end)
	theirs := h.Read(br)
	if err == nil {
		if theirs != nil || br.Buffered() != 0 {
			t.Fatalf("fasthttp refuses %q: %v", raw, theirs)
		}
		length := int64(max(h.ContentLength(), -1))
		if h.ContentLength() == -2 { // its word for: neither length nor coding
			length = 0
		}
		if string(h.Method()) != x.head.method || string(h.RequestURI()) != string(x.head.target) || length != x.head.length || h.IsHTTP11() == x.head.http10 {
			t.Fatalf("got %s %q, length %d; fasthttp has %s %q, length %d", x.head.method, x.head.target, x.head.length, h.Method(), h.RequestURI(), length)
		}
		return
	}
	if err == errHead && theirs == nil && !spaceInName.Match(raw[:end]) { //nolint:errorlint // it is that one
		t.Fatalf("fasthttp takes %q", raw)
	}
}

// spaceInName finds what fasthttp lets through of what has no text of its own.
var spaceInName = regexp.MustCompile(`\n[^:\r\n]* [^:\r\n]*:`)

func newTestConn(srv *Server, nc net.Conn) *conn {
	c := &conn{srv: srv, nc: nc}
	c.in = source{conn: c, fd: -1}
	c.br = bufio.NewReaderSize(&c.in, readerSize)
	return c
}

func compareHeads(t *testing.T, h *head, r *http.Request) {
	t.Helper()
	if r.Method != h.method || r.RequestURI != string(h.target) || r.ContentLength != h.length || (r.ProtoMinor == 0) != h.http10 {
		t.Fatalf("got %s %q, length %d; net/http has %s %q, length %d", h.method, h.target, h.length, r.Method, r.RequestURI, r.ContentLength)
	}
	own := make(http.Header)
	for _, f := range h.fields {
		name := http.CanonicalHeaderKey(string(f.name))
		if name != "Host" && name != "Transfer-Encoding" && name != "Trailer" { // net/http takes them out
			own[name] = append(own[name], string(f.value))
		}
	}
	delete(r.Header, "Pragma") // net/http adds Cache-Control for it
	delete(own, "Pragma")
	delete(r.Header, "Cache-Control")
	delete(own, "Cache-Control")
	if len(own) != len(r.Header) {
		t.Fatalf("fields %q, net/http has %q", own, r.Header)
	}
	for name, values := range own {
		if strings.Join(values, "\n") != strings.Join(r.Header[name], "\n") {
			t.Fatalf("%s: %q, net/http has %q", name, values, r.Header[name])
		}
	}
}
