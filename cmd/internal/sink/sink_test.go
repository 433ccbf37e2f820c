package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/cmd/internal/receive/receivetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // fasthttp's helpers sleep for up to 10 s before they look whether to end
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// running is a sink with a client that has a connection for each request.
type running struct {
	t    *testing.T
	url  string
	stop func() string // returns all that it printed
}

func start(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	o, err := parse(environ, args...)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- run(ctx, ln, o, &out) }()
	stopped := false
	r := &running{t: t, url: "http://" + ln.Addr().String()}
	r.stop = func() string {
		if cancel(); !stopped {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		stopped = true
		return out.String()
	}
	t.Cleanup(func() { r.stop() })
	return r
}

// send posts body to path with headers given as names and values.
func (r *running) send(ctx context.Context, path, body string, header ...string) (*http.Response, string, error) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func (r *running) post(path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	resp, text, err := r.send(r.t.Context(), path, body, header...)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, text
}

func (r *running) stats() (s stats) {
	r.t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(r.url + "/stats")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func TestEcho(t *testing.T) {
	r := start(t, nil, "--print", "body")
	resp, body := r.post("/a/b?c=d", "hällo\x00", "Content-Type", "x/y", "Upstash-Message-Id", "msg_1", "Upstash-Retried", "0")
	if resp.StatusCode != 200 || body != "hällo\x00" || resp.Header.Get("Content-Type") != "x/y" {
		t.Errorf("%v %q", resp, body)
	}
	r.post("/a/b?c=d", "again", "Upstash-Message-Id", "msg_1", "Upstash-Retried", "1")
	r.post("/stats", "", "Upstash-Message-Id", "msg_2") // a delivery like any other
	s := r.stats()
	if s.Receive != 3 || s.Bytes != 12 || s.Outcome["ok"] != 3 || s.Retries != 1 || s.Duplicates != 1 || s.Signature != nil {
		t.Errorf("%+v", s)
	}
	out := r.stop()
	for _, want := range []string{
		"Sink is running at " + r.url + "\n",
		"POST /a/b?c=d  msg_1  retried 0  ok 200  7 B\n    hällo\\x00\n",
		"POST /a/b?c=d  msg_1  retried 1  ok 200  DUPLICATE  5 B\n    again\n",
		"Received 3 requests with 12 bytes in ",
		": 3 ok, 1 retries, 1 duplicates\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestFail(t *testing.T) {
	r := start(t, nil, "--fail-first", "1", "--status", "503", "--retry-after", "2", "--body", "mine", "--header", "X-A: b", "--print", "none")
	resp, body := r.post("/", "yours", "Upstash-Message-Id", "msg_1", "Upstash-Retried", "0")
	if resp.StatusCode != 503 || body != "mine" || resp.Header.Get("Retry-After") != "2" || resp.Header.Get("X-A") != "b" {
		t.Errorf("%v %q", resp, body)
	}
	resp, _ = r.post("/", "yours", "Upstash-Message-Id", "msg_1", "Upstash-Retried", "1")
	if resp.StatusCode != 200 || resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-A") != "b" {
		t.Errorf("%v", resp)
	}
	// A message whose first attempt failed is no duplicate.
	if s := r.stats(); s.Outcome["failed"] != 1 || s.Outcome["ok"] != 1 || s.Duplicates != 0 {
		t.Errorf("%+v", s)
	}
	if out := r.stop(); strings.Contains(out, "POST") {
		t.Errorf("printed in spite of --print none:\n%s", out)
	}
	r = start(t, nil, "--status", "204")
	if resp, _ := r.post("/", "x"); resp.StatusCode != 204 {
		t.Errorf("%v", resp)
	}
	if s := r.stats(); s.Outcome["ok"] != 1 {
		t.Errorf("a 204 counts as %+v", s)
	}
}

func TestReset(t *testing.T) {
	r := start(t, nil, "--reset", "100%")
	if _, _, err := r.send(t.Context(), "/", "x"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset connection", err)
	}
	if out := r.stop(); !strings.Contains(out, "  reset  1 B\n") {
		t.Errorf("printed\n%s", out)
	}
}

// TestHang: nobody is answered, a client that gives up frees its connection, and one that does not
// cannot keep the sink from stopping.
func TestHang(t *testing.T) {
	r := start(t, nil, "--hang", "100%", "--connections", "32")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	for i := range 64 {
		go func() {
			_, _, err := r.send(ctx, "/", "x")
			gone <- err
		}()
		for r.stats().Outcome["hung"] <= int64(i) {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		ctx, cancel = context.WithCancel(t.Context())
	}
	defer cancel()
	go func() {
		_, _, err := r.send(ctx, "/", "x")
		gone <- err
	}()
	for r.stats().Outcome["hung"] < 65 {
		time.Sleep(time.Millisecond)
	}
	r.stop()
	if err := <-gone; err == nil {
		t.Error("it was answered")
	}
}

// TestSlow: a stop does not wait for an answer that is being slow.
func TestSlow(t *testing.T) {
	r := start(t, nil, "--slow", "1h", "-o", "json")
	answered := make(chan string, 1)
	go func() {
		_, body, _ := r.send(t.Context(), "/", "x")
		answered <- body
	}()
	for r.stats().Receive < 1 {
		time.Sleep(time.Millisecond)
	}
	out := r.stop()
	<-answered
	if !strings.Contains(out, `"wait_ms":3600000`) {
		t.Errorf("printed\n%s", out)
	}
}

func TestLimits(t *testing.T) {
	r := start(t, nil, "--max-body", "1KiB")
	if resp, _ := r.post("/", strings.Repeat("x", 1024)); resp.StatusCode != 200 {
		t.Errorf("%v", resp)
	}
	// The sink answers without reading on, so a client may see the answer or the closed connection.
	resp, _, err := r.send(t.Context(), "/", strings.Repeat("x", 1025))
	if err == nil && resp.StatusCode != 413 {
		t.Errorf("%v", resp)
	}
	if s := r.stats(); s.Broken != 1 || s.Receive != 1 {
		t.Errorf("%+v", s)
	}
}

func TestVerify(t *testing.T) {
	environ := []string{currentKey + "=sig_a", nextKey + "=sig_b"}
	for _, c := range []struct {
		flag   string
		status int
	}{{"--verify", 200}, {"--refuse", 401}} {
		r := start(t, environ, c.flag)
		sign := func(key, body string) string {
			return receivetest.Sign(key, r.url+"/x?y", []byte(body), time.Now(), nil)
		}
		for _, key := range []string{"sig_a", "sig_b"} {
			if resp, _ := r.post("/x?y", "hi", "Upstash-Signature", sign(key, "hi")); resp.StatusCode != 200 {
				t.Errorf("%s, %s: %v", c.flag, key, resp)
			}
		}
		for _, signature := range []string{sign("sig_c", "hi"), sign("sig_a", "ho"), ""} {
			if resp, _ := r.post("/x?y", "hi", "Upstash-Signature", signature); resp.StatusCode != c.status {
				t.Errorf("%s: %v, want %d", c.flag, resp, c.status)
			}
		}
		if s := r.stats(); s.Signature == nil || *s.Signature != (signatures{Verified: 2, Bad: 2, Missing: 1}) {
			t.Errorf("%+v", s.Signature)
		}
		out := r.stop()
		for _, want := range []string{
			"  signature verified  ", "SIGNATURE NOT VERIFIED: no key", "SIGNATURE NOT VERIFIED: the body was changed", "  not signed  ",
			"signatures: 2 verified, 2 bad, 1 missing\n",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	}
}

// TestJSON: every line is an object with a type, and no secret is in any.
func TestJSON(t *testing.T) {
	r := start(t, nil, "-o", "json", "--print", "headers")
	r.post("/x", "héllo", "Authorization", "Bearer canary", "Cookie", "canary=1", "Upstash-Signature", "canary.canary", "X-Plain", "plain")
	r.post("/x", "\xff\x00")
	r.post("/x", strings.Repeat("y", 100_000))
	out := r.stop()
	if strings.Contains(out, "canary") {
		t.Errorf("a secret is printed:\n%s", out)
	}
	var types []string
	var events []eventJSON
	for line := range strings.Lines(out) {
		var e eventJSON
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		types = append(types, e.Type)
		if e.Type == "request" {
			events = append(events, e)
		}
	}
	if got := fmt.Sprint(types); got != "[listening request request request summary]" {
		t.Fatal(got)
	}
	if e := events[0]; e.Body != "héllo" || e.Headers["X-Plain"][0] != "plain" || e.Headers["Authorization"][0] != "(not shown, 13 bytes)" || e.Status != 200 || e.Cut {
		t.Errorf("%+v", e)
	}
	if e := events[1]; string(e.BodyBytes) != "\xff\x00" || e.Body != "" {
		t.Errorf("%+v", e)
	}
	if e := events[2]; len(e.Body) != shownJSONBody || !e.Cut || e.Bytes != 100_000 {
		t.Errorf("a long body is shown with %d bytes", len(e.Body))
	}
	r = start(t, nil, "--print", "headers")
	r.post("/x", "hello", "Authorization", "Bearer canary", "X-Plain", "plain")
	if out := r.stop(); strings.Contains(out, "canary") || !strings.Contains(out, "    X-Plain: plain\n") || !strings.Contains(out, "    hello\n") {
		t.Errorf("printed\n%s", out)
	}
}

func TestListen(t *testing.T) {
	ln, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := listen(ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "choose another with --listen") {
		t.Error(err)
	}
}
