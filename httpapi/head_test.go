package httpapi

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// scripted is a connection that has some bytes and then ends.
type scripted struct {
	net.Conn
	r bytes.Reader
}

func (s *scripted) Read(p []byte) (int, error)      { return s.r.Read(p) }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }

// FuzzHead: a head that is accepted is one that net/http accepts as well and
// reads the same: where two parsers agree on every boundary nothing can be
// smuggled between them (P43). What net/http minds about URLs is its own.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		request("GET /v2/keys"),
		requestBody("POST /v2/publish/http://h/a//b?c", "body", "X: a", "X:\tb "),
		"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: a, close\r\n\r\n",
		"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: t\r\nX Y: a\r\n b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: t\nX:\x00\r\n\r\n",
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
		if _, err := c.br.Peek(1); err != nil || x.read() != nil {
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

func newTestConn(srv *Server, nc net.Conn) *conn {
	return &conn{srv: srv, nc: nc, br: bufio.NewReaderSize(nc, readerSize)}
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
