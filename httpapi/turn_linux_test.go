package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
)

// TestTurnEndWithRequest: the end of a client's side that comes in one packet with a later
// request is found as well, though the poller tells of both at once.
func TestTurnEndWithRequest(t *testing.T) {
	t.Parallel()
	_, c, br := inTurn(t)
	cork(t, c.(*net.TCPConn))
	fmt.Fprint(c, requestBody("POST /v2/publish/http://h", "x"))
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(t, br, "POST"); a.StatusCode != 200 {
		t.Fatalf("got %d %s", a.StatusCode, a.body)
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the answer: %v", err)
	}
}

// cork has the connection send what it is given from here on in one packet with its end.
func cork(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1)
	})
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
}
