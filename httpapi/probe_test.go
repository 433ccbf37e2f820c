package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// noNames is a resolver that knows none: what is published here goes nowhere.
type noNames struct{}

func (noNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("no such host")
}

// prober sends malformed requests to a real server, one after the other on the same
// connection while that lasts, and holds to every one of them that it is not answered
// with a 5xx, that a refusal changes nothing, and that the server goes on serving.
type prober struct {
	t    *testing.T
	addr string
	c    net.Conn
	br   *bufio.Reader

	state            string // as the listings show it
	asked, refused   int
	complaints, most int
}

// probed are the listings that show what a request has changed. What becomes of messages
// later is left out.
var probed = []string{
	"/v2/events?state=CREATED&count=1", "/v2/queues", "/v2/topics", "/v2/schedules", "/v2/flowControl", "/v2/dlq", "/v2/keys", "/v1/queues", "/v2/users", "/v2/tokens",
}

// newProber starts a server with a queue, orders, in which messages wait.
func newProber(t *testing.T) *prober {
	addr, _ := startEngine(t, nil, noNames{})
	p := &prober{t: t, addr: addr, most: 20}
	t.Cleanup(func() { p.hangUp() })
	p.must(requestBody("POST /v2/queues", `{"queueName":"orders","paused":true}`))
	p.state = p.look()
	return p
}

func (p *prober) hangUp() {
	if p.c != nil {
		p.c.Close()
		p.c = nil
	}
}

func (p *prober) complain(format string, args ...any) {
	p.t.Helper()
	if p.complaints++; p.complaints <= p.most {
		p.t.Errorf(format, args...)
	}
}

// ask sends one request and returns its answer. Where the server ends the connection
// after it, the next request has another one.
func (p *prober) ask(raw string) answer {
	p.t.Helper()
	if p.c == nil {
		var err error
		if p.c, err = net.Dial("tcp", p.addr); err != nil {
			p.t.Fatal(err)
		}
		p.br = bufio.NewReader(p.c)
	}
	p.c.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // a dead connection fails the read
	if _, err := io.WriteString(p.c, raw); err != nil {
		p.t.Fatalf("%.200q: %v", raw, err)
	}
	method, _, _ := strings.Cut(raw, " ")
	a := readAnswer(p.t, p.br, method)
	if a.Close {
		p.hangUp()
	}
	return a
}

func (p *prober) must(raw string) {
	p.t.Helper()
	if a := p.ask(raw); a.StatusCode >= 300 {
		p.t.Fatalf("%.200q: %d %s", raw, a.StatusCode, a.body)
	}
}

func (p *prober) look() string {
	p.t.Helper()
	var b strings.Builder
	for _, path := range probed {
		a := p.ask(request("GET " + path))
		fmt.Fprintf(&b, "%s: %d %s\n", path, a.StatusCode, a.body)
	}
	return b.String()
}

// probe sends a request that has something wrong with it. Whether it is refused is for
// the caller to say.
func (p *prober) probe(raw string) answer {
	p.t.Helper()
	p.asked++
	a := p.ask(raw)
	after := p.state
	if !isQuestion(raw) {
		after = p.look()
	}
	switch {
	case a.StatusCode >= http.StatusInternalServerError && a.StatusCode != http.StatusNotImplemented:
		p.complain("%.300q: %d %s", raw, a.StatusCode, a.body)
	case a.StatusCode >= http.StatusBadRequest:
		p.refused++
		if after != p.state {
			p.complain("%.300q: %d %s, and yet something changed:\n%s\nwas\n%s", raw, a.StatusCode, a.body, after, p.state)
		}
	}
	p.state = after
	return a
}

// refuse sends a request that must be refused, with a text that says where.
func (p *prober) refuse(raw, says string) {
	p.t.Helper()
	if a := p.probe(raw); a.StatusCode < 400 || a.StatusCode >= 500 || !strings.Contains(a.body, says) {
		p.complain("%.300q: %d %.300s\nwant a 4xx that says %q", raw, a.StatusCode, a.body, says)
	}
}

// accept sends a request that is right, if only just.
func (p *prober) accept(raw string) {
	p.t.Helper()
	if a := p.probe(raw); a.StatusCode >= 300 {
		p.complain("%.300q: %d %.300s\nwant a 2xx", raw, a.StatusCode, a.body)
	}
}

// done logs what was done.
func (p *prober) done() {
	p.t.Helper()
	if p.complaints > p.most {
		p.t.Errorf("and %d complaints more", p.complaints-p.most)
	}
	p.t.Logf("%d requests, %d of them refused", p.asked, p.refused)
}

// percent encodes every byte of a value for a query.
func percent(v string) string { return strings.ReplaceAll(url.QueryEscape(v), "+", "%20") }

// isQuestion says whether a request changes nothing, whatever is wrong with it.
func isQuestion(raw string) bool {
	return strings.HasPrefix(raw, "GET /") && !strings.Contains(raw, "/publish") && !strings.Contains(raw, "/enqueue")
}
