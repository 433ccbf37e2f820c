package dispatch

import (
	"crypto/tls"
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
	tcp      *net.TCPConn
	madeAt   time.Time
	idleAt   time.Time
	until    time.Time // the deadline of both reading and writing; zero: not known
	raw      syscall.RawConn
	peek     func(fd uintptr) bool // sets quiet; made once to keep get free of allocations
	quiet    bool
	probe    [1]byte
}

func newConn(nc net.Conn, tcp *net.TCPConn) *conn {
	c := &conn{Conn: nc, tcp: tcp, madeAt: time.Now()}
	c.raw, _ = tcp.SyscallConn()
	c.peek = func(fd uintptr) bool {
		c.quiet = peekQuiet(fd)
		return true
	}
	return c
}

// lateMax bounds how late an attempt on a kept connection may time out.
const lateMax = 250 * time.Millisecond

// arm sees to it that the connection gives up after deadline, of an attempt that may take
// timeout. Moving a deadline costs more than it should on each attempt: one that was set a
// little later stands for those of a while.
func (c *conn) arm(deadline time.Time, timeout time.Duration) {
	slack := min(timeout/8, lateMax)
	if late := c.until.Sub(deadline); late >= 0 && late <= slack {
		return
	}
	c.until = deadline
	if !c.idleAt.IsZero() { // it was kept, and others will follow
		c.until = deadline.Add(slack)
	}
	_ = c.SetDeadline(c.until)
}

// usable is true if a kept connection is still open and silent. A server that
// closed it left an end of stream there, and one that timed it out may have left
// a 408 that would be read as the answer to our next request.
func (c *conn) usable() bool {
	c.quiet = false
	if c.raw == nil || c.raw.Read(c.peek) != nil || !c.quiet {
		return false
	}
	if tc, ok := c.Conn.(*tls.Conn); ok {
		return c.drained(tc)
	}
	return true
}

// drained is true if TLS holds nothing for us either. It reads ahead of what it is
// asked for, so bytes that follow an answer in the same segment are not in the
// socket any more when that is peeked at.
func (c *conn) drained(tc *tls.Conn) bool {
	_ = tc.SetReadDeadline(time.Unix(1, 0)) // only what is there, no system call
	n, err := tc.Read(c.probe[:])
	_ = tc.SetReadDeadline(c.until)
	return n == 0 && isTimeout(err)
}

// Close ends the connection without the alert that TLS would send first: that can
// wait up to 5 s for a peer that reads nothing, and an attempt or the janitor with
// it. HTTP frames its messages itself and needs no such alert.
func (c *conn) Close() error { return c.tcp.Close() }

// resetOnClose makes Close discard what is not sent yet. What a peer does not read
// would stay in the kernel, up to 4 MiB of it per attempt, as long as that peer
// acknowledges that its window is full.
func (c *conn) resetOnClose() { _ = c.tcp.SetLinger(0) }
