//go:build unix

package httpapi

import (
	"io"
	"net"
	"syscall"
)

func (t *turn) init(c *conn) {
	if tcp, ok := c.nc.(*net.TCPConn); ok {
		t.raw, _ = tcp.SyscallConn()
		t.step = c.advance
	}
}

// readAtHand reads what a descriptor that does not block has at hand; errDry is nothing.
func readAtHand(fd int, p []byte) (n int, err error) {
	for {
		switch n, err = syscall.Read(fd, p); {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, errDry
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
