package dispatch

import (
	"net"
	"syscall"
	"time"
)

// maxConnAge is how long a busy connection is kept. A host behind DNS is looked up
// again at least that often, or a failover would never be noticed.
const maxConnAge = 5 * time.Minute

// A conn is one connection of a pool. It is owned by one exchange at a time, or
// lies in the pool's idle list.
type conn struct {
	net.Conn // what is read and written: TCP, or TLS over it
	madeAt   time.Time
	idleAt   time.Time
	raw      syscall.RawConn
	peek     func(fd uintptr) bool // sets quiet; made once to keep get free of allocations
	quiet    bool
}

func newConn(nc net.Conn, tcp *net.TCPConn) *conn {
	c := &conn{Conn: nc, madeAt: time.Now()}
	c.raw, _ = tcp.SyscallConn()
	c.peek = func(fd uintptr) bool {
		c.quiet = peekQuiet(fd)
		return true
	}
	return c
}

// usable is true if a kept connection is still open and silent. A server that
// closed it left an end of stream there, and one that timed it out may have left
// a 408 that would be read as the answer to our next request.
func (c *conn) usable() bool {
	c.quiet = false
	if c.raw == nil || c.raw.Read(c.peek) != nil {
		return false
	}
	return c.quiet
}
