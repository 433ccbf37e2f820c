package dispatch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// capture returns a server that records each request's exact bytes.
func capture(t testing.TB) (*rawServer, <-chan string) {
	reqs := make(chan string, 64)
	return newRawServer(t, func(c *rawConn) {
		for {
			req := c.request()
			if req == "" {
				return
			}
			reqs <- req
			c.answer(ok200)
		}
	}), reqs
}

// TestRequestBytes pins the whole request: nothing added, dropped or reordered.
func TestRequestBytes(t *testing.T) {
	s, reqs := capture(t)
	c := newClient(t, Options{})
	host := strings.TrimPrefix(s.URL, "http://")
	for _, tc := range []struct {
		a    Attempt
		path string
		want string
	}{
		{Attempt{Method: "POST"}, "", "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n"},
		{Attempt{Method: "GET"}, "/", "GET / HTTP/1.1\r\nHost: %s\r\n\r\n"},
		{Attempt{Method: "DELETE"}, "/x", "DELETE /x HTTP/1.1\r\nHost: %s\r\n\r\n"},
		{Attempt{Method: "GET", Body: []byte("b")}, "/", "GET / HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\n\r\nb"},
		{Attempt{Method: "HEAD", Body: []byte("b")}, "/", "HEAD / HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\n\r\nb"},
		{Attempt{Method: "PATCH", Body: []byte("{}"), Header: []Header{
			{"User-Agent", "Upstash-QStash"},
			{"Content-Type", "text/plain"},
			{"x-lower", "1"},
			{"X-Twice", "a"},
			{"Cookie", "a=b; c=\"d\";;e"},
			{"X-Twice", "b, c"},
			{"X-Empty", ""},
			{"X-Tab", "a\tb \xc3\xbc"},
			{"Authorization", "Bearer x"},
		}}, "/p?", "PATCH /p? HTTP/1.1\r\nHost: %s\r\nUser-Agent: Upstash-QStash\r\nContent-Type: text/plain\r\nx-lower: 1\r\nX-Twice: a\r\n" +
			"Cookie: a=b; c=\"d\";;e\r\nX-Twice: b, c\r\nX-Empty: \r\nX-Tab: a\tb \xc3\xbc\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n{}"},
		{Attempt{Method: "PUT"}, "/a//b/../c/./%2e%2E/%zz?x=%2F&y=a+b&&=;a|b", "PUT /a//b/../c/./%2e%2E/%zz?x=%2F&y=a+b&&=;a|b HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n"},
		{Attempt{Method: "POST"}, "?q=http://u:p@h/?", "POST /?q=http://u:p@h/? HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n"},
		{Attempt{Method: "POST"}, "//evil.example/x", "POST //evil.example/x HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n"},
		{Attempt{Method: "M-SEARCH"}, "/*", "M-SEARCH /* HTTP/1.1\r\nHost: %s\r\n\r\n"},
	} {
		tc.a.URL = s.URL + tc.path
		do(t, c, tc.a).want(t, OK, 200, "")
		want := strings.Replace(tc.want, "%s", host, 1)
		if got := <-reqs; got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}
}

// TestInjection: what could end a header, or frame the request, is not sent.
func TestInjection(t *testing.T) {
	s := newRawServer(t, serveOK)
	c := newClient(t, Options{})
	bad := []Attempt{
		{Method: "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"},
		{Method: "GE T"},
		{Method: "G\x00"},
		{Method: "GÉT"},
		{URL: s.URL + "/a b"},
		{URL: s.URL + "/\r\nX: y"},
		{URL: s.URL + "/#f"},
		{URL: "http://u@" + s.URL[7:]},
		{URL: "gopher://h/"},
		{URL: s.URL + "/\x00"},
		{URL: s.URL + "/ HTTP/1.1"},
	}
	for _, name := range []string{
		"", "A B", "A:", "A\r\nB", "A\n", "\tA", "A\x00", "Ä", "Host", "hOST", "content-length", "Transfer-Encoding", "Connection",
		"Keep-Alive", "Upgrade", "TE", "Trailer", "Expect", "Proxy-Connection",
	} {
		bad = append(bad, Attempt{Header: []Header{{"X-Ok", "1"}, {name, "v"}}})
	}
	for _, value := range []string{"a\r\nB: c", "a\nB: c", "a\rb", "a\x00", "\x7f", " a", "a\t", "\x1b"} {
		bad = append(bad, Attempt{Header: []Header{{"X-A", value}}})
	}
	for _, a := range bad {
		if a.URL == "" {
			a.URL = s.URL
		}
		if r := do(t, c, a); r.Class != Protocol {
			t.Errorf("%+v: class %v, error %v", a, r.Class, r.Err)
		}
	}
	if n := s.conns.Load(); n != 0 {
		t.Errorf("%d connections were made for attempts that must not start", n)
	}
}

// FuzzHeader (P47): whatever headers are given, a strict reader sees one request.
func FuzzHeader(f *testing.F) {
	f.Add("X-A", "b", "POST", "body")
	f.Add("X\r\nA", "b\r\n\r\nGET / HTTP/1.1", "GET", "")
	f.Fuzz(func(t *testing.T, name, value, method, body string) {
		tg := target{authority: "h.example", uri: "/x"}
		a := Attempt{Method: method, Header: []Header{{name, value}}, Body: []byte(body)}
		if checkRequest(&a) != nil {
			return
		}
		out := string(appendHead(nil, &a, &tg)) + body
		want := method + " /x HTTP/1.1\r\nHost: h.example\r\n" + name + ": " + value + "\r\n"
		if body != "" || sendsLength(method) {
			want += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		if want += "\r\n" + body; out != want {
			t.Fatalf("got %q\nwant %q", out, want)
		}
		if strings.ContainsAny(name+value+method, "\r\n\x00") {
			t.Fatalf("%q %q %q passed", name, value, method)
		}
	})
}

// TestBodies: bodies of every size around the buffers arrive and come back whole.
func TestBodies(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &fasthttp.Server{
		Handler:            func(ctx *fasthttp.RequestCtx) { ctx.Response.SetBody(ctx.Request.Body()) },
		MaxRequestBodySize: 8 << 20,
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	c := newClient(t, Options{MaxResponse: 2 << 20})
	t.Cleanup(func() {
		_ = c.Close()
		_ = srv.Shutdown()
		<-done
	})
	const seed = 7
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var r Result
	for _, n := range []int{0, 1, 511, 512, 513, 4095, 4096, 4097, earlyAnswerBytes - 1, earlyAnswerBytes, 200_000, 2 << 20, 2<<20 + 1, 4 << 20} {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(rnd.Uint32())
		}
		c.Do(&Attempt{Method: "POST", URL: "http://" + ln.Addr().String() + "/", Body: body, Timeout: 20 * time.Second}, &r)
		r.want(t, OK, 200, "")
		want := body[:min(n, 2<<20)]
		if !bytes.Equal(r.Body, want) || r.Truncated != (n > 2<<20) {
			t.Fatalf("size %d: got %d bytes back, truncated %v", n, len(r.Body), r.Truncated)
		}
	}
	// Only the two cut answers cost their connections.
	if s := c.Stats(); s.Dials > 3 || s.Redials != 0 {
		t.Errorf("stats %+v", s)
	}
}
