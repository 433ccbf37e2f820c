//go:build unix

package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// splitRequests are requests of all the kinds that a turn serves, or ends with.
var splitRequests = []struct {
	raw    string
	bodies []string // that are published
}{
	{requestBody("POST /v2/publish/http://h/1", "first"), []string{"first"}},
	{requestBody("POST /v2/batch", `[{"destination":"http://h/2","body":"a\"b"},{"destination":"http://h/3","body":"c"}]`), []string{`a"b`, "c"}},
	{request("GET /v2/keys"), nil},
	{request("POST /v2/publish/http://h/4"), []string{""}},
	{request("POST /v2/publish/http://h/5", "Transfer-Encoding: chunked") + "3\r\nxyz\r\n0\r\n\r\n", []string{"xyz"}},
	{"\r\n" + requestBody("POST /v2/publish/http://h/6", "last"), []string{"last"}},
}

// splitClient sends splitRequests on one connection, and checks what comes of them.
type splitClient struct {
	t  *testing.T
	s  *site
	c  net.Conn
	br *bufio.Reader

	sent, answered int // bytes, requests
}

// newSplitClient forgets what was published before.
func newSplitClient(t *testing.T, s *site, c net.Conn, br *bufio.Reader) *splitClient {
	s.eng.mu.Lock()
	defer s.eng.mu.Unlock()
	s.eng.published = nil
	return &splitClient{t: t, s: s, c: c, br: br}
}

// send sends raw up to a byte and waits until the server has answered what is whole of it,
// and has begun with the rest.
func (p *splitClient) send(raw string, upTo int) {
	p.t.Helper()
	if _, err := io.WriteString(p.c, raw[p.sent:upTo]); err != nil {
		p.t.Fatal(err)
	}
	p.sent = upTo
	end := 0
	for i := range splitRequests {
		begin := end
		if end += len(splitRequests[i].raw); end > upTo {
			if upTo > begin {
				waitFor(p.t, func() bool { return p.s.active() == 1 })
			}
			return
		}
		if i < p.answered {
			continue
		}
		if a := readAnswer(p.t, p.br, "POST"); a.StatusCode != 200 {
			p.t.Fatalf("split at %d, answer %d: %d %s", upTo, i, a.StatusCode, a.body)
		}
		p.answered++
	}
}

// finish checks that everything was published once and in order, and nothing else answered.
func (p *splitClient) finish() {
	p.t.Helper()
	got := p.s.eng.messages()
	var want []string
	for i := range splitRequests {
		want = append(want, splitRequests[i].bodies...)
	}
	if len(got) != len(want) || p.answered != len(splitRequests) || p.br.Buffered() != 0 {
		p.t.Fatalf("published %d of %d, answered %d, %d bytes more", len(got), len(want), p.answered, p.br.Buffered())
	}
	for i := range got {
		if string(got[i].Body) != want[i] {
			p.t.Fatalf("message %d is %q, want %q", i, got[i].Body, want[i])
		}
	}
}

// TestTurnSplit: requests that follow each other without waiting, cut in two at every byte,
// on connections that were served before and on new ones.
func TestTurnSplit(t *testing.T) {
	var all strings.Builder
	for i := range splitRequests {
		all.WriteString(splitRequests[i].raw)
	}
	raw := all.String()
	for _, served := range []bool{true, false} {
		t.Run(fmt.Sprintf("served=%t", served), func(t *testing.T) {
			s, c, br := inTurn(t)
			for at := 1; at <= len(raw); at++ {
				if !served {
					c.Close()
					waitFor(t, func() bool { return s.connections() == 0 })
					c = s.dial(t)
					br = bufio.NewReader(c)
				}
				p := newSplitClient(t, s, c, br)
				p.send(raw, at)
				p.send(raw, len(raw))
				p.finish()
			}
		})
	}
	t.Run("bytes", func(t *testing.T) {
		s, c, br := inTurn(t)
		p := newSplitClient(t, s, c, br)
		for at := 1; at <= len(raw); at++ {
			p.send(raw, at)
		}
		p.finish()
	})
}
