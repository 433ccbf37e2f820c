package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRawRequests is RELIABILITY.md (d), the rows of raw HTTP: what is answered,
// that the connection ends, and that nothing was published. The request that
// most of them smuggle along would publish.
func TestRawRequests(t *testing.T) {
	const (
		auth  = "Authorization: Bearer " + goodToken + "\r\n"
		line  = "POST /v2/publish/http://h.test/ HTTP/1.1\r\n"
		post  = line + "Host: t\r\n" + auth
		extra = post + "\r\n"
	)
	tests := []struct {
		name, raw string
		status    int
	}{
		{"length and coding", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + extra, 400},
		{"coding and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + extra, 400},
		{"two equal lengths", post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na" + extra, 400},
		{"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab" + extra, 400},
		{"length +2", post + "Content-Length: +2\r\n\r\nab" + extra, 400},
		{"length -1", post + "Content-Length: -1\r\n\r\nab" + extra, 400},
		{"length 0x2", post + "Content-Length: 0x2\r\n\r\nab" + extra, 400},
		{"length list", post + "Content-Length: 2, 2\r\n\r\nab" + extra, 400},
		{"length of 20 digits", post + "Content-Length: 10000000000000000002\r\n\r\nab" + extra, 400},
		{"two codings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + extra, 400},
		{"gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + extra, 400},
		{"identity", post + "Transfer-Encoding: identity\r\n\r\n" + extra, 400},
		{"no coding named", post + "Transfer-Encoding:\r\n\r\n" + extra, 400},
		{"chunked, chunked", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + extra, 400},
		{"coding with a parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" + extra, 400},
		{"no length named", post + "Content-Length:\r\n\r\n" + extra, 400},
		{"space before the colon", post + "Content-Length : 1\r\n\r\na" + extra, 400},
		{"space in a name", post + "X Y: 1\r\n\r\n" + extra, 400},
		{"no name", post + ": 1\r\n\r\n" + extra, 400},
		{"no colon", post + "X-Alone\r\n\r\n" + extra, 400},
		{"huge chunk", post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + extra, 400},
		{"large chunk", post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n" + extra, 413},
		{"negative chunk", post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + extra, 400},
		{"line feed in a chunk extension", post + "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n" + extra, 400},
		{"chunk longer than it says", post + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + extra, 400},
		{"chunk size missing", post + "Transfer-Encoding: chunked\r\n\r\n\r\na\r\n0\r\n\r\n" + extra, 400},
		{"coding in HTTP/1.0", "POST /v2/publish/http://h HTTP/1.0\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + extra, 400},
		{"bare line feeds", strings.ReplaceAll(extra, "\r\n", "\n"), 400},
		{"bare line feed in the request line", strings.Replace(extra, "\r\n", "\n", 1), 400},
		{"one bare line feed", post + "X: 1\nY: 2\r\n\r\n" + extra, 400},
		{"blank line of line feeds", post + "X: 1\n\nGET / HTTP/1.1\r\n\r\n" + extra, 400},
		{"folded line", post + "X: a\r\n b\r\n\r\n" + extra, 400},
		{"folded line with a tab", post + "X: a\r\n\tb\r\n\r\n" + extra, 400},
		{"folded first line", line + " Host: t\r\n" + auth + "\r\n" + extra, 400},
		{"NUL in a value", post + "X: a\x00b\r\n\r\n" + extra, 400},
		{"CR in a value", post + "X: a\rb\r\n\r\n" + extra, 400},
		{"no Host", line + auth + "\r\n" + extra, 400},
		{"two Hosts", line + "Host: t\r\nHost: t\r\n" + auth + "\r\n" + extra, 400},
		{"space in the target", "POST /v2/publish/http://h.test/a b HTTP/1.1\r\nHost: t\r\n" + auth + "\r\n" + extra, 400},
		{"8-bit byte in the target", "POST /v2/publish/http://h.test/\xc3\xa9 HTTP/1.1\r\nHost: t\r\n" + auth + "\r\n" + extra, 400},
		{"absolute form", "POST http://evil/v2/publish/http://h.test/ HTTP/1.1\r\nHost: t\r\n" + auth + "\r\n" + extra, 400},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n" + extra, 400},
		{"authority form", "CONNECT h.test:80 HTTP/1.1\r\nHost: t\r\n\r\n" + extra, 405},
		{"HTTP/9.9", "POST /v2/publish/http://h.test/ HTTP/9.9\r\nHost: t\r\n" + auth + "\r\n" + extra, 505},
		{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"HTTP/0.9", "GET /v2/keys\r\n\r\n" + extra, 400},
		{"unknown method", "FOO /v2/publish/http://h.test/ HTTP/1.1\r\nHost: t\r\n" + auth + "\r\n" + extra, 405},
		{"method in lower case", "post /v2/publish/http://h.test/ HTTP/1.1\r\nHost: t\r\n" + auth + "\r\n" + extra, 405},
		{"TRACE", "TRACE /v2/keys HTTP/1.1\r\nHost: t\r\n" + auth + "\r\n" + extra, 405},
		{"two Authorizations", line + "Host: t\r\n" + auth + "authorization: Bearer x\r\n\r\n" + extra, 400},
		{"another expectation", post + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\na" + extra, 417},
		{"too many lines", post + strings.Repeat("X: 1\r\n", 1000) + "\r\n" + extra, 431},
		{"too large", post + "X: " + strings.Repeat("a", 64<<10) + "\r\n\r\n" + extra, 431},
		{"too large without an end", post + "X: " + strings.Repeat("a", 70<<10), 431},
		{"body over the limit", post + "Content-Length: 1048577\r\n\r\n", 413},
		{"two blank lines first", "\r\n\r\n" + extra, 400},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
	}
	s := start(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, closed := s.send(t, tt.raw)
			if a.StatusCode != tt.status {
				t.Errorf("status %d %s, want %d", a.StatusCode, a.body, tt.status)
			}
			if !strings.HasPrefix(a.body, `{"error":"`) || a.Header.Get("Content-Type") != "application/json" {
				t.Errorf("not a JSON error: %s %s", a.Header.Get("Content-Type"), a.body)
			}
			if !closed {
				t.Error("the connection goes on")
			}
		})
	}
	s.expectNothing(t)
	if log := s.log.String(); strings.Contains(log, goodToken) {
		t.Errorf("the log has the token: %s", log)
	}
}

// TestAccepted holds what a strict reading must not refuse.
func TestAccepted(t *testing.T) {
	const auth = "Authorization: Bearer " + goodToken + "\r\n"
	tests := []struct{ name, raw, body string }{
		{"chunked", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n" + auth +
			"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=\"v\"\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n", "abcde"},
		{"chunked and empty", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n" + auth + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", ""},
		{"one blank line first", "\r\nPOST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n" + auth + "Content-Length: 2\r\n\r\nab", "ab"},
		{"HTTP/1.0", "POST /v2/publish/http://h HTTP/1.0\r\n" + auth + "Content-Length: 2\r\n\r\nab", "ab"},
		{"a body of line feeds", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n" + auth + "Content-Length: 4\r\n\r\n\n\n\r\n", "\n\n\r\n"},
		{"a large head", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n" + auth + "Content-Length: 2\r\nX: " +
			strings.Repeat("a", 60<<10) + "\r\n\r\nab", "ab"},
		{"GET with a body", "GET /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n" + auth + "Content-Length: 2\r\n\r\nab", "ab"},
		{"gzip is not unpacked", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n" + auth +
			"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", "\x1f\x8b"},
		{"multipart is not parsed", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n" + auth +
			"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2\r\n\r\n--", "--"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, nil)
			a, _ := s.send(t, tt.raw)
			got := s.eng.messages()
			if a.StatusCode != 200 || len(got) != 1 || string(got[0].Body) != tt.body {
				t.Fatalf("%d %s, published %+v", a.StatusCode, a.body, got)
			}
		})
	}
}

// TestEveryCut sends a request and a second one behind it, cut at every byte, so
// that every boundary of a read is met; bodies must arrive whole.
func TestEveryCut(t *testing.T) {
	s := start(t, nil)
	raw := requestBody("POST /v2/publish/http://h/1", "first\n\nbody", "X: y") +
		"POST /v2/publish/http://h/2 HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + goodToken +
		"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nseco\r\n2\r\nnd\r\n0\r\n\r\n"
	for cut := 1; cut < len(raw); cut++ {
		c := s.dial(t)
		io.WriteString(c, raw[:cut]) //nolint:errcheck // the answers tell
		if cut%3 == 0 {              // nothing tells that the first part arrived alone; often enough it does
			time.Sleep(100 * time.Microsecond)
		}
		io.WriteString(c, raw[cut:]) //nolint:errcheck
		br := bufio.NewReader(c)
		for range 2 {
			if a := readAnswer(t, br, "POST"); a.StatusCode != 200 {
				t.Fatalf("cut at %d: %d %s", cut, a.StatusCode, a.body)
			}
		}
		c.Close()
	}
	got := s.eng.messages()
	if len(got) != 2*(len(raw)-1) {
		t.Fatalf("%d messages of %d cuts", len(got), len(raw)-1)
	}
	for i, p := range got {
		if want := []string{"first\n\nbody", "second"}[i%2]; string(p.Body) != want {
			t.Fatalf("message %d has body %q", i, p.Body)
		}
	}
}

// TestSlowBareLineFeeds: a client that ends its lines with LF alone is told at
// once, not after a timeout, also when the bytes come one by one.
func TestSlowBareLineFeeds(t *testing.T) {
	s := start(t, func(o *Options) { o.ReadTimeout = time.Minute })
	c := s.dial(t)
	for _, b := range []byte("GET /v2/keys HTTP/1.1\r\nHost: t\n") {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if a := readAnswer(t, bufio.NewReader(c), "GET"); a.StatusCode != 400 {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
}

func TestHalfAHead(t *testing.T) {
	s := start(t, func(o *Options) { o.ReadTimeout = 50 * time.Millisecond })
	a, closed := s.send(t, "GET /v2/keys HTTP/1.1\r\nHos")
	if a.StatusCode != 408 || !closed {
		t.Errorf("got %d %s, closed %t", a.StatusCode, a.body, closed)
	}
	a, closed = s.send(t, request("POST /v2/publish/http://h", "Content-Length: 10")+"abc")
	if a.StatusCode != 408 || !closed {
		t.Errorf("half a body: got %d %s, closed %t", a.StatusCode, a.body, closed)
	}
	s.expectNothing(t)
}

// TestExpect: the token and the length are judged before 100 Continue.
func TestExpect(t *testing.T) {
	s := start(t, nil)
	expect := func(token, length, want string) (*bufio.Reader, io.Writer) {
		t.Helper()
		c := s.dial(t)
		fmt.Fprintf(c, "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"+
			"Expect: 100-continue\r\nContent-Length: %s\r\n\r\n", token, length)
		br := bufio.NewReader(c)
		if line, err := br.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 "+want) {
			t.Fatalf("%q %v, want %s", line, err, want)
		}
		return br, c
	}
	expect(badToken, "3", "401")
	expect(goodToken, "99999999", "413")
	br, c := expect(goodToken, "3", "100")
	br.ReadString('\n')      //nolint:errcheck // the blank line
	io.WriteString(c, "abc") //nolint:errcheck // the answer tells
	if a := readAnswer(t, br, "POST"); a.StatusCode != http.StatusOK {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
	if got := s.eng.messages(); len(got) != 1 || string(got[0].Body) != "abc" {
		t.Errorf("published %+v", got)
	}
}

// TestPipelining: answers come in order, and a refusal ends the connection with
// what follows unread.
func TestPipelining(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	io.WriteString(c, request("GET /v2/keys")+requestBody("POST /v2/publish/http://h/1", "x")+ //nolint:errcheck
		request("GET /v2/nothing", "Content-Length: 3")+"abc"+
		"POST /v2/publish/http://h/2 HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n"+requestBody("POST /v2/publish/http://h/3", "x"))
	br := bufio.NewReader(c)
	for i, want := range []int{200, 200, 404} {
		if a := readAnswer(t, br, "GET"); a.StatusCode != want {
			t.Fatalf("answer %d: %d %s", i, a.StatusCode, a.body)
		}
	}
	if rest, _ := io.ReadAll(br); len(rest) != 0 {
		t.Errorf("more answers: %q", rest)
	}
	if got := s.eng.messages(); len(got) != 1 {
		t.Errorf("published %d", len(got))
	}
}

// TestTrickle: whoever sends a byte now and then has no more time than who sends none.
func TestTrickle(t *testing.T) {
	s := start(t, func(o *Options) { o.ReadTimeout = 100 * time.Millisecond })
	for _, raw := range []string{
		request("GET /v2/keys", "X: "+strings.Repeat("a", 1000)),
		request("POST /v2/publish/http://h", "Content-Length: 1000") + strings.Repeat("x", 1000),
	} {
		c := s.dial(t)
		stop := make(chan struct{})
		sent := make(chan int)
		go func() {
			n := len(raw) - 1000
			io.WriteString(c, raw[:n]) //nolint:errcheck // the answer tells
			for ; n < len(raw); n++ {
				select {
				case <-stop:
					sent <- n
					return
				case <-time.After(2 * time.Millisecond):
					io.WriteString(c, raw[n:n+1]) //nolint:errcheck
				}
			}
			sent <- n
		}()
		a := readAnswer(t, bufio.NewReader(c), "GET")
		close(stop)
		if n := <-sent; a.StatusCode != http.StatusRequestTimeout || !a.Close || n == len(raw) {
			t.Errorf("%.40q: after %d of %d bytes: %d %s", raw, n, len(raw), a.StatusCode, a.body)
		}
	}
	s.expectNothing(t)
}

// TestPathsAreNotCleaned: what is authorised is what is routed, byte for byte; no
// spelling leads from a public path to another one or past the token.
func TestPathsAreNotCleaned(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{
		"/healthz/../v2/keys", "/healthz/..%2fv2/keys", "/healthz;/../v2/keys", "/v2/readiness/../keys", "/v2/readiness/%2e%2e/keys", "/v2/readiness/%252e%252e/keys",
		"/openapi.json/../v2/keys", "/openapi.json/v2/keys", "//v2/keys", "/./v2/keys", "/v2//keys", "/v2/./keys", "/v2/keys%00", "/v2/keys;x", "/v2%2fkeys", "/%76%32/keys",
		"/v2/publish/../keys", "/v2/publish/%2e%2e/keys", "/v2/publish/..%2f..%2fhealthz",
	} {
		for _, raw := range []string{"GET " + path + " HTTP/1.1\r\nHost: t\r\n\r\n", request("GET " + path)} {
			a, _ := s.send(t, raw)
			known := strings.Contains(raw, goodToken)
			if a.StatusCode < 400 || strings.Contains(a.body, "sig_") || !known && a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusNotFound {
				t.Errorf("%s, with a token %t: %d %s", path, known, a.StatusCode, a.body)
			}
		}
	}
	s.expectNothing(t)
}
