package dispatch

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"time"
)

// serveBytes answers the first request of each connection with raw bytes and
// closes, or holds the connection open.
func serveBytes(t testing.TB, s string, hold bool) *rawServer {
	return newRawServer(t, func(c *rawConn) {
		if c.request() == "" {
			return
		}
		c.answer(s)
		if hold {
			c.hold()
		}
	})
}

// TestAnswers is one table of what servers send and what becomes of it; half of
// RELIABILITY.md's "Hostile receivers" is here.
func TestAnswers(t *testing.T) {
	zip := new(bytes.Buffer)
	zw := gzip.NewWriter(zip)
	_, _ = zw.Write(make([]byte, 1<<20))
	_ = zw.Close()
	bigHeader := func(n int) string { return "X-Big: " + strings.Repeat("a", n) + "\r\n" }
	const maxBody = 10_000
	for _, tc := range []struct {
		name, method, raw string
		hold              bool
		class             Class
		status            int
		body, err         string
		cut               bool
		gone              bool // although the server holds it, the connection is not kept
	}{
		{name: "plain", raw: ok200, hold: true, status: 200, body: "ok"},
		{name: "no reason", raw: "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", hold: true, status: 200, body: "x"},
		{name: "until close", raw: "HTTP/1.1 201 Created\r\n\r\nabc", status: 201, body: "abc"},
		{name: "http/1.0", raw: "HTTP/1.0 200 OK\r\n\r\nabc", status: 200, body: "abc"},
		{name: "204", raw: "HTTP/1.1 204 No Content\r\n\r\n", hold: true, status: 204},
		{name: "304 with a length", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", hold: true, status: 304},
		{name: "head", method: "HEAD", raw: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", hold: true, status: 200},
		{name: "chunks", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", hold: true, status: 200, body: "abc"},
		{name: "trailers", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nab\r\n0\r\nX-T: 1\r\n\r\n", hold: true, status: 200, body: "ab"},
		{name: "redirect", raw: "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", hold: true, status: 302},
		{name: "101", raw: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", hold: true, status: 101, gone: true},
		{name: "489", raw: "HTTP/1.1 489 x\r\nContent-Length: 0\r\n\r\n", hold: true, status: 489},
		{name: "600", raw: "HTTP/1.1 600 x\r\nContent-Length: 0\r\n\r\n", hold: true, status: 600},
		{name: "interim", raw: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok200, hold: true, status: 200, body: "ok"},
		{name: "1xx flood", raw: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 500), hold: true, class: Protocol, err: "too many 1xx"},
		{name: "gzip is not unpacked", raw: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + zip.String(), status: 200, body: zip.String()},
		{name: "trailing garbage", raw: ok200 + "HTTP/1.1 500 x\r\n\r\n", hold: true, status: 200, body: "ok", gone: true},
		{name: "close, held open", raw: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", hold: true, status: 200, body: "ok", gone: true},
		{name: "close in a list", raw: "HTTP/1.1 200 OK\r\nConnection: x , Close\r\nContent-Length: 2\r\n\r\nok", hold: true, status: 200, body: "ok", gone: true},
		{name: "http/1.0 with a length", raw: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", hold: true, status: 200, body: "ok", gone: true},
		{name: "http/1.0 keep-alive", raw: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", hold: true, status: 200, body: "ok"},
		{name: "204 with a body", raw: "HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\nok", hold: true, status: 204, gone: true},
		{name: "304 with a body", raw: "HTTP/1.1 304 x\r\nContent-Length: 2\r\n\r\nok", hold: true, status: 304, gone: true},
		{name: "head with a body", method: "HEAD", raw: ok200, hold: true, status: 200, gone: true},
		{name: "after the last chunk", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 500 x\r\n\r\n", hold: true, status: 200, gone: true},

		{name: "exactly the limit", raw: "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + strings.Repeat("x", maxBody), hold: true, status: 200, body: strings.Repeat("x", maxBody)},
		{name: "one above", raw: "HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n" + strings.Repeat("x", maxBody+1), hold: true, status: 200, body: strings.Repeat("x", maxBody), cut: true},
		{name: "above, in chunks", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + strings.Repeat("x", 20_000), hold: true, status: 200, body: strings.Repeat("x", maxBody), cut: true},
		{name: "above, until close", raw: "HTTP/1.1 500 x\r\n\r\n" + strings.Repeat("x", 20_000), hold: true, status: 500, body: strings.Repeat("x", maxBody), cut: true},
		{name: "announced, never sent in full", raw: "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n" + strings.Repeat("x", 20_000), hold: true, status: 200, body: strings.Repeat("x", maxBody), cut: true},
		{name: "5 KiB header", raw: "HTTP/1.1 200 OK\r\n" + bigHeader(5000) + "Content-Length: 2\r\n\r\nok", hold: true, status: 200, body: "ok"},
		{name: "60 KiB header, body past it", raw: "HTTP/1.1 200 OK\r\n" + bigHeader(60_000) + "Content-Length: 9000\r\n\r\n" + strings.Repeat("y", 9000), hold: true, status: 200, body: strings.Repeat("y", 9000)},
		{name: "1 MiB header", raw: "HTTP/1.1 200 OK\r\n" + bigHeader(1<<20) + "\r\n", hold: true, class: TooLarge, err: "response headers are larger than 65536 bytes"},
		{name: "endless headers", raw: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 20_000), hold: true, class: TooLarge, err: "65536 bytes"},

		{name: "nothing", class: Closed, err: "connection closed before the response"},
		{name: "half a status line", raw: "HTTP/1.1 20", class: Closed, err: "in the middle of the response headers"},
		{name: "half the headers", raw: "HTTP/1.1 200 OK\r\nA: b\r\n", class: Closed, err: "in the middle of the response headers"},
		{name: "length too long", raw: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", class: Closed, err: "in the middle of the response body (status 200)"},
		{name: "chunk cut off", raw: "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc", class: Closed, err: "in the middle of the response body (status 503)"},
		{name: "no last chunk", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", class: Closed, err: "body (status 200)"},
		{name: "bad chunk", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", hold: true, class: Protocol, err: "malformed response"},
		{name: "chunk size overflow", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", hold: true, class: Protocol, err: "malformed response"},
		{name: "two lengths", raw: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", hold: true, class: Protocol, err: "malformed response"},
		{name: "length -1", raw: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", hold: true, class: Protocol, err: "malformed response"},
		{name: "gzip, chunked", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", hold: true, class: Protocol, err: "malformed response"},
		{name: "status 99", raw: "HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n", hold: true, class: Protocol, err: "malformed response: status 099"},
		{name: "status 1000", raw: "HTTP/1.1 1000 x\r\n\r\n", hold: true, class: Protocol, err: "malformed response"},
		{name: "http/0.9", raw: "<html>hello</html>\r\n", class: Protocol, err: "malformed response"},
		{name: "two equal lengths", raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", hold: true, class: Protocol, err: "malformed response"},
		// Chunks win (RFC 9112 §6.3).
		{name: "length and chunks", raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", hold: true, status: 200, body: "abc"},
		{name: "length of words", raw: "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok", hold: true, class: Protocol, err: "malformed response"},
		{name: "length of 20 digits", raw: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", hold: true, class: Protocol, err: "malformed response"},
		{name: "chunk size -1", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc", hold: true, class: Protocol, err: "malformed response"},
		{name: "chunk longer than its size", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", hold: true, class: Protocol, err: "malformed response"},
		{name: "header without a colon", raw: "HTTP/1.1 200 OK\r\nhello\r\n\r\n", hold: true, class: Protocol, err: "malformed response"},
		{name: "space before the colon", raw: "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", hold: true, status: 200},
		{name: "folded header", raw: "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", hold: true, status: 200},
		{name: "1001 short header lines", raw: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A:b\r\n", 1001) + "\r\n", hold: true, class: TooLarge, err: "response has more than 1000 header lines"},
		{name: "http/2 frames", raw: "\x00\x00\x00\x04\x00\x00\x00\x00\x00\r\n\r\n", hold: true, class: Protocol, err: "malformed response"},
		{name: "http/2", raw: "HTTP/2.0x 200 OK\r\n\r\n", hold: true, class: Protocol, err: "malformed response"},
		{name: "an SSH server", raw: "SSH-2.0-OpenSSH_9.9\r\n", hold: true, class: Protocol, err: "malformed response"},
		{name: "NUL in a header", raw: "HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n", hold: true, class: Protocol, err: "malformed response"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serveBytes(t, tc.raw, tc.hold)
			c := newClient(t, Options{MaxResponse: maxBody})
			if tc.method == "" {
				tc.method = "GET" // what fasthttp itself would repeat
			}
			r := do(t, c, Attempt{Method: tc.method, URL: s.URL})
			r.want(t, tc.class, tc.status, tc.err)
			if string(r.Body) != tc.body || r.Truncated != tc.cut {
				t.Errorf("body of %d bytes, cut %v", len(r.Body), r.Truncated)
			}
			if n := s.reqs.Load(); n != 1 {
				t.Errorf("%d requests were sent", n)
			}
			if idle := c.Stats().Idle == 1; tc.hold && idle != (tc.class == OK && !tc.cut && !tc.gone) {
				t.Errorf("connection kept: %v", idle)
			}
			if r.Err != nil && (len(r.Err.Error()) > maxErrorText || strings.ContainsAny(r.Err.Error(), "\r\n\x00")) {
				t.Errorf("error text %q", r.Err)
			}
		})
	}
}

func TestResponseHeader(t *testing.T) {
	s := serveBytes(t, "HTTP/1.1 200 OK\r\nx-lower: 1\r\nRETRY-AFTER: 5\r\nSet-Cookie: a=1\r\nX-Twice: a\r\nSet-Cookie: b=2\r\nx-twice: b\r\nServer: s\r\ncontent-length: 0\r\n\r\n", true)
	r := do(t, newClient(t, Options{}), Attempt{URL: s.URL})
	for name, want := range map[string]string{
		"X-Lower": "1", "Retry-After": "5", "Set-Cookie": "a=1|b=2", "X-Twice": "a|b", "Server": "s", "Content-Length": "0", "Content-Type": "",
	} {
		if got := headerOf(r, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(r.Header) != 8 {
		t.Errorf("%d header lines: %v", len(r.Header), r.Header)
	}
}

// TestResultReuse: a Result that was used before shows nothing of before.
func TestResultReuse(t *testing.T) {
	s := newRawServer(t, func(c *rawConn) {
		if c.request(); c.n > 1 {
			return
		}
		c.answer("HTTP/1.1 500 x\r\nA: b\r\nContent-Length: 5\r\n\r\nhello")
		c.request()
		c.answer("HTTP/1.1 204 x\r\n\r\n")
		c.request()
	})
	c := newClient(t, Options{})
	var r Result
	a := Attempt{Method: "GET", URL: s.URL, Timeout: time.Minute}
	c.Do(&a, &r)
	r.want(t, OK, 500, "")
	if string(r.Body) != "hello" || headerOf(&r, "A") != "b" {
		t.Fatalf("%+v", r)
	}
	c.Do(&a, &r)
	r.want(t, OK, 204, "")
	if len(r.Body) != 0 || len(r.Header) != 0 || !r.Timing.Reused {
		t.Fatalf("%+v", r)
	}
	c.Do(&a, &r)
	r.want(t, Closed, 0, "") // on the kept connection, and on the one in its place
	if len(r.Header) != 0 {
		t.Fatalf("%+v", r)
	}
}

// FuzzAnswer: whatever bytes a server answers with, in whatever pieces, the attempt
// ends with a class that fits, keeps what it may, and sends nothing twice.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		ok200, "", "H", "HTTP/1.1 204 x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nabc", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;a=b\r\nab\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n c\r\n\r\n" + ok200 + ok200,
		"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nabc", "\r\n\r\n", "HTTP/1.1 600 \x00\r\n\r\n",
	} {
		f.Add([]byte(s), uint16(7), false)
		f.Add([]byte(s), uint16(0), true)
	}
	const maxBody, maxHeader = 100, readBufferSmall + 100
	type script struct {
		raw []byte
		cut int
	}
	next := make(chan script, 1)
	s := newRawServer(f, func(c *rawConn) {
		if c.request() == "" {
			return
		}
		sc := <-next
		cut := min(sc.cut, len(sc.raw))
		_, _ = c.Write(sc.raw[:cut])
		_, _ = c.Write(sc.raw[cut:])
	})
	c := newClient(f, Options{MaxResponse: maxBody, MaxHeader: maxHeader})
	f.Fuzz(func(t *testing.T, raw []byte, cut uint16, head bool) {
		method := "POST"
		if head {
			method = "HEAD"
		}
		before := s.reqs.Load()
		next <- script{raw, int(cut)}
		r := do(t, c, Attempt{Method: method, URL: s.URL})
		switch r.Class {
		case OK:
			if r.Status < 100 || r.Status > 999 || len(r.Body) > maxBody || head && len(r.Body) > 0 || r.Truncated && len(r.Body) == 0 {
				t.Fatalf("%+v", r)
			}
		case Closed, Protocol, TooLarge:
			if text := r.Err.Error(); len(text) > maxErrorText || strings.ContainsAny(text, "\r\n\x00") {
				t.Fatalf("error text %q", text)
			}
		default:
			t.Fatalf("class %v, %v", r.Class, r.Err)
		}
		size := 0
		for _, h := range r.Header {
			if size += len(h.Name) + len(h.Value); h.Name == "" || strings.ContainsAny(h.Name+h.Value, "\r\n\x00") {
				t.Fatalf("header %q", h)
			}
		}
		if n := s.reqs.Load() - before; n != 1 || size > maxHeader {
			t.Fatalf("%d requests, %d bytes of headers", n, size)
		}
	})
}
