package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// canary is a server and the secrets that were given to it: tokens and keys, and what its users put into
// headers, bodies, paths and queries.
type canary struct {
	t       *testing.T
	p       *process
	token   string
	secrets map[string]string // by what they are
	places  map[string]string // what somebody may read who is not to see them
}

func (c *canary) request(method, path, body string, header ...string) (int, string) {
	c.t.Helper()
	return call(c.t, method, c.p.url()+path, c.token, body, header...)
}

// raw sends bytes that are no good request, and ignores the answer.
func (c *canary) raw(text string) {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.p.url(), "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err == nil {
		_, _ = bufio.NewReader(conn).ReadString('\n')
	}
}

// look compares every place with every secret.
func (c *canary) look() {
	c.t.Helper()
	for place, text := range c.places {
		for what, secret := range c.secrets {
			if i := strings.Index(text, secret); i >= 0 {
				c.t.Errorf("%s stands in %s: ...%.200s", what, place, text[max(0, i-100):])
			}
		}
	}
}

// TestCanary runs the real server through all it may have to complain about, with a secret in every place
// that can hold one, and looks for them in everything that is written for others than their owner (P45).
func TestCanary(t *testing.T) {
	dir := t.TempDir()
	first := start(t, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "off") // prints its credentials, once
	first.stop(t)
	cred := readCredentials(t, dir)

	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/fail") {
			w.Header().Set("Set-Cookie", "canary-cookie")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "canary-answer")
		}
	}))
	t.Cleanup(sink.Close)
	dead := "http://" + freeAddr(t)
	c := &canary{t: t, token: cred.Token, places: map[string]string{}, secrets: map[string]string{
		"the token": cred.Token, "the current key": cred.Current, "the next key": cred.Next,
		"a value that is marked": "canary-",
	}}
	// The address is one that is refused, so that there is a line of an alert that was not delivered.
	c.p = launch(t, []string{
		"TIDEMILL_ALERTS_WEBHOOK=http://169.254.169.254/canary-webhook?key=canary", "TIDEMILL_ALERTS_WEBHOOK_SECRET=canary-webhook-key",
	}, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0", "--destinations.allow", "127.0.0.0/8", "--logging.level", "debug")
	if err := c.p.ready(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	c.traffic(sink.URL, dead)
	c.otherAccount()
	c.adminPages()
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.p.pid()))
	if err != nil {
		t.Fatal(err)
	}
	c.places["/proc/PID/cmdline"] = string(cmdline)
	c.fail()
	c.places["standard output"], c.places["standard error"] = c.p.stdout.String(), c.p.stderr.String()
	for _, line := range []string{"engine: attempt", "probed by one attempt", "become dead letters", "alert was not delivered", "the log failed"} {
		if !strings.Contains(c.p.stderr.String(), line) {
			t.Errorf("the run did not come to %q", line)
		}
	}
	c.look()
}

// traffic publishes with secrets everywhere, to who answers, who fails, who is dead and who is refused, and sends what is no request.
func (c *canary) traffic(sink, dead string) {
	secret := []string{
		"Upstash-Forward-Authorization", "Bearer canary-forward", "Upstash-Forward-X-Api-Key", "canary-key",
		"Upstash-Forward-Cookie", "canary-cookie", "Upstash-Retries", "0",
	}
	for _, to := range []string{
		sink + "/ok/canary-path?key=canary-query", sink + "/fail/canary-path?key=canary-query", dead + "/canary-path?key=canary-query",
		"http://10.0.0.1/canary-path?key=canary-query", "http://canary-user:canary-password@10.0.0.1/", "ftp://canary-scheme/", "canary-nothing",
	} {
		for _, path := range []string{"/v2/publish/", "/v2/enqueue/q/", "/v2/publish/http:canary-broken/"} {
			c.request("POST", path+to, "canary-body", secret...)
			_, _, _ = request(c.t.Context(), "POST", c.p.url()+path+to+"&qstash_token="+c.token, "", "canary-body", secret...)
		}
		c.request("POST", "/v2/publish/"+to, "canary-body", append([]string{"Upstash-Callback", sink + "/fail/canary-callback"}, secret...)...)
	}
	for range 10 { // the host's circuit opens
		c.request("POST", "/v2/publish/"+dead+"/canary-path", "canary-body", secret...)
	}
	for _, path := range []string{"/v2/nothing", "/v2/messages/msg_canary-id", "/elsewhere", "/metrics", "/debug/pprof/"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			c.request(method, path+"?a=canary-query", "canary-body", "X-Canary", "canary-header")
			_, _, _ = request(c.t.Context(), method, c.p.url()+path, "canary-wrong-token", "canary-body")
		}
	}
	for _, broken := range []string{"Host: u\r\n", "X: \x00\r\n", "X\r\n", "Content-Length: x\r\n", " fold\r\n", "Transfer-Encoding: nope\r\n"} {
		c.raw("POST /v2/publish/http://h/canary-path HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + c.token + "\r\n" + broken + "\r\n")
	}
	c.raw("GET /v2/keys?qstash_token=" + c.token + " HTTP/9.9\r\n\r\n")
	c.raw("canary-line " + c.token + "\r\n\r\n")
	await(c.t, c.p, "probed by one attempt", "become dead letters", "alert was not delivered")
}

// await waits for lines of a process's log.
func await(t *testing.T, p *process, lines ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, line := range lines {
		if !p.stderr.await(ctx, line) {
			t.Fatalf("no line %q\n%s", line, p.output())
		}
	}
}

// otherAccount asks for all that another account may see.
func (c *canary) otherAccount() {
	if _, own := c.request("GET", "/v2/dlq", ""); !strings.Contains(own, "canary-body") || !strings.Contains(own, "canary-path") {
		c.t.Errorf("the secrets are not where they belong, so it proves nothing that they are nowhere else: %.500s", own)
	}
	status, body := c.request("POST", "/v2/users", `{"name":"other"}`)
	var other struct{ Token string }
	if err := json.Unmarshal([]byte(body), &other); err != nil || status != 201 {
		c.t.Fatalf("a second account: %d %s", status, body)
	}
	c.secrets["another account's token"] = other.Token
	for _, path := range []string{"/v2/dlq", "/v2/events", "/v2/messages", "/v2/queues", "/v2/schedules", "/v2/topics", "/v2/flowControl"} {
		_, answer, err := request(c.t.Context(), "GET", c.p.url()+path, other.Token, "")
		if err != nil {
			c.t.Fatal(err)
		}
		c.places["another account's "+path] = answer
	}
}

// adminPages reads all that the admin listener shows to who asks.
func (c *canary) adminPages() {
	for _, path := range []string{
		"/metrics", "/stats", "/hosts", "/healthz", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2",
		"/debug/pprof/heap?debug=1", "/debug/pprof/allocs", "/nothing",
	} {
		_, c.places["the admin listener's "+path] = call(c.t, "GET", c.p.admin()+path, "", "")
	}
	for path, body := range map[string]string{
		"/manage/canary": `{"canary-a":1}`, "/manage/token": `canary-b`, "/export": "", "/reload": "",
	} {
		_, c.places["the admin listener's "+path] = call(c.t, "POST", c.p.admin()+path, "", body)
	}
	// Who exports has the owner's messages, but no token or key.
	export := "the admin listener's /export"
	c.places[export] = strings.ReplaceAll(c.places[export], "canary-", "")
}

// fail ends the server by a log that the disk does not take.
func (c *canary) fail() {
	if err := limitFiles(c.p.pid(), 4096); err != nil {
		c.t.Skipf("cannot limit the size of files: %v", err)
	}
	_, _, _ = request(c.t.Context(), "POST", c.p.url()+"/v2/publish/http://127.0.0.1:1/canary-path", c.token, "canary-body")
	c.p.wait(c.t)
}

// TestNoCore: a server that is killed by a signal writes no core, which would hold its secrets.
func TestNoCore(t *testing.T) {
	p := start(t, "dev", "--port", "0")
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.pid()))
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(limits)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (fields[4] != "0" || fields[5] != "0") {
			t.Errorf("the limit is %s", line)
		}
	}
	p.stop(t)
}
