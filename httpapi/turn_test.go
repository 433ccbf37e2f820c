//go:build unix

package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// inTurn returns a server and a client that it has begun to serve in a turn: it was
// answered, and from here on the server reads when the poller tells it to.
func inTurn(t *testing.T) (*site, net.Conn, *bufio.Reader) {
	t.Helper()
	s := startOn(t, listenPlain(t), nil)
	c := s.dial(t)
	br := bufio.NewReader(c)
	for range 2 {
		mustPublish(t, c, br, requestBody("POST /v2/publish/http://h", "x"))
	}
	return s, c, br
}

func mustPublish(t *testing.T, c net.Conn, br *bufio.Reader, raw string) {
	t.Helper()
	fmt.Fprint(c, raw)
	if a := readAnswer(t, br, "POST"); a.StatusCode != 200 {
		t.Fatalf("got %d %s", a.StatusCode, a.body)
	}
}

// TestTurnEarlyBytes: what a client sends while its request is being served is found when
// that is answered: a whole request, its first byte, all but its last one.
func TestTurnEarlyBytes(t *testing.T) {
	next := requestBody("POST /v2/publish/http://h/next", strings.Repeat("y", 100))
	for _, early := range []int{1, len(next) / 2, len(next) - 1, len(next)} {
		t.Run(fmt.Sprintf("bytes=%d", early), func(t *testing.T) {
			s, c, br := inTurn(t)
			s.eng.answer = func(*engine.Publish) (engine.Receipt, error) {
				s.eng.answer = nil
				fmt.Fprint(c, next[:early])
				return engine.Receipt{MessageID: "msg_early"}, nil
			}
			mustPublish(t, c, br, requestBody("POST /v2/publish/http://h", "x"))
			fmt.Fprint(c, next[early:])
			if a := readAnswer(t, br, "POST"); a.StatusCode != 200 {
				t.Fatalf("got %d %s", a.StatusCode, a.body)
			}
			if got := s.eng.messages(); len(got) != 4 || len(got[3].Body) != 100 {
				t.Fatalf("published %+v", got)
			}
		})
	}
}

// TestTurnFullBuffer: requests that fill the buffer to its last byte are followed by another
// look, since more may be there without being told.
func TestTurnFullBuffer(t *testing.T) {
	s, c, br := inTurn(t)
	pad := readerSize - len(requestBody("POST /v2/publish/http://h", "x", "X-Pad: "))
	raw := requestBody("POST /v2/publish/http://h", "x", "X-Pad: "+strings.Repeat("z", pad))
	const requests = 5
	fmt.Fprint(c, strings.Repeat(raw, requests))
	for i := range requests {
		if a := readAnswer(t, br, "POST"); a.StatusCode != 200 {
			t.Fatalf("answer %d: %d %s", i, a.StatusCode, a.body)
		}
	}
	if got := s.eng.messages(); len(got) != 2+requests {
		t.Fatalf("published %d", len(got))
	}
}

// TestTurnMixed: what a turn cannot serve is served behind it, and a turn again behind that.
func TestTurnMixed(t *testing.T) {
	s, c, br := inTurn(t)
	large := strings.Repeat("b", 5*readerSize)
	for range 3 {
		mustPublish(t, c, br, requestBody("POST /v2/publish/http://h", large))
		mustPublish(t, c, br, requestBody("POST /v2/publish/http://h", "x"))
		mustPublish(t, c, br, request("GET /v2/keys"))
		mustPublish(t, c, br, request("POST /v2/publish/http://h", "Transfer-Encoding: chunked")+"1\r\nc\r\n0\r\n\r\n")
		mustPublish(t, c, br, "\r\n"+requestBody("POST /v2/publish/http://h", "x"))
		mustPublish(t, c, br, requestBody("POST /v2/publish/http://h", "x", "X-Large: "+strings.Repeat("h", readerSize)))
	}
	if got := s.eng.messages(); len(got) != 2+3*5 {
		t.Fatalf("published %d", len(got))
	}
}

// TestTurnHalfClosed: who sends a request and closes its side at once gets the answer, and
// then the end.
func TestTurnHalfClosed(t *testing.T) {
	s := startOn(t, listenPlain(t), nil)
	c := s.dial(t)
	fmt.Fprint(c, requestBody("POST /v2/publish/http://h", "x"))
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	if a := readAnswer(t, br, "POST"); a.StatusCode != 200 {
		t.Fatalf("got %d %s", a.StatusCode, a.body)
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the answer: %v", err)
	}
}

// TestTurnEnds: a client that goes away between two requests is noticed, and so is one
// that says nothing for too long.
func TestTurnEnds(t *testing.T) {
	s, c, _ := inTurn(t)
	c.Close()
	waitFor(t, func() bool { return s.connections() == 0 })

	s, c, br := inTurn(t)
	fmt.Fprint(c, "POST /v2/pub")
	waitFor(t, func() bool { return s.silent() == 1 })
	c.(*net.TCPConn).CloseWrite() //nolint:errcheck // the read tells
	if _, err := br.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("half a head, and the end: %v", err)
	}
}

// TestTurnIdleEnds: the look at an idle connection is one, and its time ends behind it.
func TestTurnIdleEnds(t *testing.T) {
	t.Parallel()
	s := startOn(t, listenPlain(t), func(o *Options) { o.IdleTimeout = idleLook + idleLook/8 })
	c := s.dial(t)
	br := bufio.NewReader(c)
	mustPublish(t, c, br, requestBody("POST /v2/publish/http://h", "x"))
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("a connection that is idle: %v", err)
	}
}
