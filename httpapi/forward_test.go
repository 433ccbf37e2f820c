package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
)

// strictRequest is one request as the strictest parser reads it: CRLF and nothing
// else ends a line, names are tokens, one space after the colon, one Host, at most
// one Content-Length, no other framing.
type strictRequest struct {
	line   string
	header []engine.Header
	body   string
}

var (
	strictLine = regexp.MustCompile(`^[!#$%&'*+\-.^_\x60|~0-9A-Za-z]+ /[!-~]* HTTP/1\.1$`)
	strictName = regexp.MustCompile(`^[!#$%&'*+\-.^_\x60|~0-9A-Za-z]+$`)
)

// strictField takes a header line apart, byte by byte: values need not be UTF-8.
func strictField(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ": ")
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", "", false
		}
	}
	return name, value, ok && strictName.MatchString(name) && strings.Trim(value, " \t") == value
}

func readStrict(br *bufio.Reader) (*strictRequest, error) {
	var lines []string
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			if line == "" && len(lines) == 0 {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("cut off in %q after %q", line, lines)
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok || strings.ContainsAny(text, "\r\x00") {
			return nil, fmt.Errorf("line %q", line)
		}
		if text == "" {
			break
		}
		lines = append(lines, text)
	}
	if len(lines) == 0 || !strictLine.MatchString(lines[0]) {
		return nil, fmt.Errorf("request line in %q", lines)
	}
	r, length, count := &strictRequest{line: lines[0]}, 0, map[string]int{}
	for _, line := range lines[1:] {
		name, value, ok := strictField(line)
		if !ok {
			return nil, fmt.Errorf("header line %q", line)
		}
		low := strings.ToLower(name)
		count[low]++
		switch low {
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return nil, err
			}
			length = int(n)
			continue
		case "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect", "proxy-connection":
			return nil, fmt.Errorf("hop-by-hop header %q", line)
		}
		r.header = append(r.header, engine.Header{Name: name, Value: value})
	}
	if count["host"] != 1 || count["content-length"] > 1 {
		return nil, fmt.Errorf("Host or Content-Length in %q", lines)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(br, body); err != nil {
		return nil, err
	}
	r.body = string(body)
	return r, nil
}

// strictReceiver answers each request on its connections after reading it strictly.
type strictReceiver struct {
	ln   net.Listener
	read chan *strictRequest
	bad  chan error
}

func newStrictReceiver(t testing.TB) *strictReceiver {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &strictReceiver{ln: ln, read: make(chan *strictRequest, 64), bad: make(chan error, 64)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return s
}

func (s *strictReceiver) serve(c net.Conn) {
	defer c.Close()
	for br := bufio.NewReader(c); ; {
		r, err := readStrict(br)
		if err == io.EOF {
			return
		}
		if err != nil {
			s.bad <- err
			return
		}
		s.read <- r
		if _, err := io.WriteString(c, "HTTP/1.1 204 x\r\n\r\n"); err != nil {
			return
		}
	}
}

// toLoopback resolves every name to 127.0.0.1.
type toLoopback struct{}

func (toLoopback) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// wire takes publishes to the bytes that their deliveries are.
type wire struct {
	s      *site
	r      *strictReceiver
	client *dispatch.Client
	host   string
	sent   int // deliveries
}

func newWire(t testing.TB) *wire {
	policy, err := dispatch.NewPolicy(dispatch.PolicyOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	client, err := dispatch.New(dispatch.Options{Policy: policy, Resolver: toLoopback{}})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{s: start(t, func(o *Options) { o.CheckDestination = policy.CheckURL }), r: newStrictReceiver(t), client: client}
	t.Cleanup(func() { _ = client.Close() }) // before the receiver, whose connection it holds
	_, port, _ := net.SplitHostPort(w.r.ln.Addr().String())
	w.host = "http://h.example:" + port
	return w
}

// publish sends a publish with these header lines, as they stand, and one item of a
// batch with the same as JSON strings, which can hold any byte. Both may be refused.
func (w *wire) publish(t testing.TB, headers []engine.Header, tail, method, body string) {
	lines, fields := []string{"Upstash-Method: " + method}, map[string]string{}
	for _, h := range headers {
		lines = append(lines, h.Name+": "+h.Value)
		fields[h.Name] = h.Value
	}
	item, err := json.Marshal([]map[string]any{{"destination": w.host + tail, "method": method, "headers": fields, "body": body}})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{
		requestBody("POST /v2/publish/"+w.host+tail, body, lines...),
		requestBody("POST /v2/batch", string(item)),
	} {
		w.s.eng.mu.Lock()
		w.s.eng.published = nil
		w.s.eng.mu.Unlock()
		c := w.s.dial(t)
		_, _ = io.WriteString(c, raw)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c) // whatever it says; all of it was handled then
		_ = c.Close()
		for _, p := range w.s.eng.messages() {
			w.deliver(t, &p)
		}
	}
}

// deliver sends what was accepted: it arrives as exactly one request, which says
// exactly what was accepted.
func (w *wire) deliver(t testing.TB, p *engine.Publish) {
	if !strings.HasPrefix(p.URL, w.host) {
		return // another receiver's
	}
	a := dispatch.Attempt{Method: p.Method.String(), URL: p.URL, Body: p.Body, Timeout: 10 * time.Second}
	for _, h := range p.Header {
		a.Header = append(a.Header, dispatch.Header(h))
	}
	var res dispatch.Result
	w.client.Do(&a, &res)
	select {
	case err := <-w.r.bad:
		t.Fatalf("%+v: on the wire: %v", p, err)
	default:
	}
	if res.Err != nil {
		t.Fatalf("%+v was accepted and cannot be sent: %v", p, res.Err)
	}
	w.sent++
	got := <-w.r.read
	target := strings.TrimPrefix(p.URL, w.host)
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	want := strictRequest{a.Method + " " + target + " HTTP/1.1", append([]engine.Header{{Name: "Host", Value: w.host[len("http://"):]}}, p.Header...), string(p.Body)}
	if fmt.Sprint(*got) != fmt.Sprint(want) {
		t.Fatalf("on the wire %q\nwant %q", *got, want)
	}
	if len(w.r.read) != 0 {
		t.Fatalf("%+v: a second request on the wire: %q", p, <-w.r.read)
	}
	for _, h := range p.Header {
		switch strings.ToLower(h.Name) {
		case "upstash-signature", "upstash-message-id", "upstash-retried", "upstash-region", "upstash-caller-ip", "upstash-schedule-id":
			t.Fatalf("a publish forges %q", h)
		}
	}
}

// FuzzForward (P47): whatever headers a publish names, what is accepted is one
// request on the wire, with the accepted headers and no other.
func FuzzForward(f *testing.F) {
	f.Add("Upstash-Forward-X", "a", "Upstash-Forward-X", "b", "/p?q", "PUT", "body")
	f.Add("Upstash-Forward-X: a\r\nUpstash-Forward-Y", "b\r\n\r\nGET / HTTP/1.1", "Upstash-Header-Forward", "true", "/ HTTP/1.1\r\nX: y", "GET\r\n", "")
	f.Add("Upstash-Forward-Transfer-Encoding", "chunked", "Upstash-Forward-Host", "evil", "?\\", "HEAD", "0\r\n\r\n")
	f.Add("Upstash-Forward-Upstash-Signature", "x", "Upstash-Forward-Content-Length", "5", "#f", "post", "x")
	f.Add("Upstash-Forward-A\nB", "x\x00y", "Upstash-Forward-", " z ", "", "TRACE", "\r\n")
	w := newWire(f)
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, tail, method, body string) {
		w.publish(t, []engine.Header{{Name: n1, Value: v1}, {Name: n2, Value: v2}}, tail, method, body)
	})
}

// TestForward is FuzzForward with sets of headers that were put together to do harm.
func TestForward(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	names := []string{
		"X-A", "x-a", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "TE", "Trailer", "Keep-Alive", "Proxy-Connection",
		"Content-Type", "Authorization", "Cookie", "Upstash-Signature", "upstash-message-id", "Upstash-Retried", "Upstash-Caller-IP", "User-Agent",
		"A B", "A:", "A\r\nB", "A\nB", "A\x00", "\x7f", "ü", "", " A", "A ", "A\t", "Content-Length ", "Transfer_Encoding",
	}
	values := []string{
		"", "a", "a b", "a\tb", "a\r\nB: c", "a\r\n\r\nGET / HTTP/1.1\r\n\r\n", "a\nb", "a\rb", "a\x00b", "\x1b[0m", "\x7f", "ü", "\xff", " a ", "0", "7", "chunked", "close",
		"100-continue", "\"a\"; b=c", strings.Repeat("v", 5000),
	}
	w := newWire(t)
	for range 1000 {
		var headers []engine.Header
		for range 1 + rnd.IntN(3) {
			prefix := pick("Upstash-Forward-", "Upstash-Forward-", "upstash-forward-", "UPSTASH-FORWARD-", "")
			headers = append(headers, engine.Header{Name: prefix + pick(names...), Value: pick(values...)})
		}
		if rnd.IntN(4) == 0 {
			headers = append(headers, engine.Header{Name: "Upstash-Header-Forward", Value: "true"})
		}
		tail := pick("", "/", "/p", "/p?q=1", "/p", "/p", "/p", "/p", "/p", "//a/../b", "/%0d%0a", "?", "/ x", "/\r\nX: y", "/p#f", "/\\", "/ü", "/x HTTP/1.1\r\nHost: evil\r\n\r\n")
		w.publish(t, headers, tail, pick("POST", "GET", "PUT", "DELETE", "PATCH", "POST", "POST", "POST", "get", "TRACE", "GET\r\n", "HEAD /", ""), pick("", "body", "\r\n", "0\r\n\r\n"))
	}
	t.Logf("%d of 2000 publishes were accepted and sent", w.sent)
	if w.sent < 100 {
		t.Error("hardly anything was accepted")
	}
}

// TestStrictReader: the parser that the others rely on refuses what it should.
func TestStrictReader(t *testing.T) {
	const good = "POST /p HTTP/1.1\r\nHost: h\r\nX: a b\r\nContent-Length: 2\r\n\r\nok"
	if r, err := readStrict(bufio.NewReader(strings.NewReader(good))); err != nil || r.body != "ok" || len(r.header) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, bad := range [][2]string{
		{"POST /p", "POST  /p"},
		{"POST /p", "POST p"},
		{"HTTP/1.1\r\n", "HTTP/1.1\n"},
		{"HTTP/1.1", "HTTP/1.0"},
		{"X: a b", "X: a\rb"},
		{"X: a b", "X: a\nb"},
		{"X: a b", "X: a\x00b"},
		{"X: a b", "X : a b"},
		{"X: a b", "X: a\r\n b"},
		{"X: a b", "X:a b"},
		{"X: a b", "X: a "},
		{"X: a b", "Host: evil"},
		{"X: a b", "Content-Length: 2"},
		{"X: a b", "Transfer-Encoding: chunked"},
		{"X: a b", "connection: close"},
		{"Host: h", "Hos: h"},
		{"Content-Length: 2", "Content-Length: 9"},
		{"Content-Length: 2", "Content-Length: +2"},
	} {
		raw := strings.Replace(good, bad[0], bad[1], 1)
		if r, err := readStrict(bufio.NewReader(bytes.NewReader([]byte(raw)))); err == nil || errors.Is(err, io.EOF) && !strings.Contains(bad[1], "9") {
			t.Errorf("%q is read as %+v, %v", raw, r, err)
		}
	}
}
