package httpapi

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The states of a connection. Shutdown may close an idle one; one that has no whole
// head yet may also have to make room for another client (Server.evict).
const (
	connIdle int32 = iota
	connHead
	connActive
	connClosed
)

// conn is one client connection. Its goroutine owns it; others touch state and nc
// only.
type conn struct {
	srv   *Server
	nc    net.Conn
	br    *bufio.Reader // of in
	in    source
	turn  turn
	ip    string // of the peer: the caller's address (QSTASH.md §4)
	state atomic.Int32

	served   bool      // a request was answered before
	answered time.Time // when that was, zero if nobody has looked at the clock
	requests uint8     // that were begun, around
	unread   bool      // the last request was answered before it was read to its end
	known    bool      // its token was good
	shown    shown
	readBy   time.Time // deadlines as they are set
	writeBy  time.Time
}

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readerSize) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}
)

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, ip: peerIP(nc)}
	c.in = source{conn: c, fd: -1}
	c.turn.init(c)
	return c
}

func peerIP(nc net.Conn) string {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("").String()
	}
	return ""
}

// serve answers requests until the connection ends.
func (c *conn) serve() {
	defer c.nc.Close()
	c.acquireReader()
	defer c.releaseReader()
	for c.idle() {
		x, err := c.next()
		if x == nil || !c.end(x, err) {
			break
		}
	}
	if c.unread {
		c.linger()
	}
}

// next waits for a request and reads its head. There is none when the connection ended
// or has to; err is of the head.
func (c *conn) next() (x *exchange, err error) {
	if c.turn.raw != nil && c.br.Buffered() == 0 { // else idle has set no deadline
		return c.takeTurn()
	}
	if c.arrived() != nil {
		return nil, nil
	}
	return c.begin()
}

// begin begins the request whose first byte is there.
func (c *conn) begin() (*exchange, error) {
	x := c.srv.acquire(c)
	return x, x.begin()
}

// end answers a request that was begun, and says whether another may follow.
func (c *conn) end(x *exchange, err error) (keep bool) {
	keep = x.end(err)
	c.srv.release(x)
	c.served = true
	return keep
}

func (c *conn) acquireReader() {
	c.br = readers.Get().(*bufio.Reader)
	c.br.Reset(&c.in)
}

func (c *conn) releaseReader() {
	if c.br.Size() == readerSize {
		c.br.Reset(nil)
		readers.Put(c.br)
	}
}

// idle begins the wait for a request. It says no when the connection has to end.
func (c *conn) idle() bool {
	c.state.Store(connIdle)
	if c.srv.stopping.Load() { // Shutdown stores first and closes idle ones then
		return false
	}
	now := c.answered
	c.answered = time.Time{} // of what follows, too long ago
	if c.br.Buffered() > 0 {
		return true
	}
	d := c.srv.opt.ReadTimeout
	if c.served {
		d = c.srv.opt.IdleTimeout
		if c.turn.raw != nil {
			d, c.turn.looked = min(d, idleLook), false
		}
	}
	if now.IsZero() {
		now = time.Now()
	}
	c.readWithin(now, d)
	return true
}

// arrived waits for the first byte of a request.
func (c *conn) arrived() error {
	if _, err := c.br.Peek(1); err != nil {
		return err
	}
	if !c.state.CompareAndSwap(connIdle, connHead) {
		return net.ErrClosed
	}
	return nil
}

// closeIn closes the connection if it is in a state, and says so.
func (c *conn) closeIn(state int32) bool {
	if !c.state.CompareAndSwap(state, connClosed) {
		return false
	}
	c.nc.Close()
	return true
}

// readWithin sets the read deadline to d from now, to an eighth: moving a timer for every
// request costs more than it is worth.
func (c *conn) readWithin(now time.Time, d time.Duration) {
	by := now.Add(d)
	if later := by.Sub(c.readBy); later >= 0 && later < d/8 {
		return
	}
	c.readBy = by
	c.nc.SetReadDeadline(by) //nolint:errcheck // the read that follows reports it
}

// Write sends p within WriteTimeout, so that a slow reader of a long answer is
// measured by its progress.
func (c *conn) Write(p []byte) (int, error) { return c.writeAt(time.Now(), p) }

// writeAt is Write by who has just looked at the clock.
func (c *conn) writeAt(now time.Time, p []byte) (int, error) {
	d := c.srv.opt.WriteTimeout
	by := now.Add(d)
	if by.Sub(c.writeBy) >= d/8 {
		c.writeBy = by
		if err := c.nc.SetWriteDeadline(by); err != nil {
			return 0, err
		}
	}
	return c.nc.Write(p)
}

// fill reads until a whole head is buffered and returns its length. The reader
// grows by four, up to HeaderMax: a client pays with bytes for memory.
func (c *conn) fill() (int, error) {
	seen, blank := 0, false
	for {
		if !blank && c.skipBlankLine() {
			seen, blank = 0, true
		}
		b, _ := c.br.Peek(c.br.Buffered())
		n, fail := headEnd(b, seen)
		switch {
		case fail != nil:
			return 0, fail
		case n > c.srv.opt.HeaderMax || n == 0 && len(b) >= c.srv.opt.HeaderMax:
			return 0, errHeadSize
		case n > 0:
			return n, nil
		}
		if len(b) == c.br.Size() {
			c.grow()
		}
		if seen == 0 {
			c.readWithin(time.Now(), c.srv.opt.ReadTimeout)
		}
		seen = len(b)
		if _, err := c.br.Peek(len(b) + 1); err != nil {
			return 0, err
		}
	}
}

// skipBlankLine drops one empty line before a request, which old clients send
// after a body (RFC 9112 §2.2), and says whether it was there, whole.
func (c *conn) skipBlankLine() bool {
	b, _ := c.br.Peek(min(2, c.br.Buffered()))
	if string(b) != "\r\n" {
		return false
	}
	c.br.Discard(2) //nolint:errcheck // it is buffered
	return true
}

// grow gives the connection a larger reader with what is buffered. It is not
// pooled: few clients send such heads, and the next ones fit as well.
func (c *conn) grow() {
	b, _ := c.br.Peek(c.br.Buffered())
	size := min(4*c.br.Size(), max(c.srv.opt.HeaderMax, 2*c.br.Size()))
	next := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(b)), &c.in), size)
	next.Peek(len(b)) //nolint:errcheck // from memory
	c.releaseReader()
	c.br = next
}

// Bounds of linger. A stranger may send on as much as the largest message has by
// default; who has shown a good token may send all of it, while there is time.
const (
	lingerIdle     = 500 * time.Millisecond // without a byte
	lingerStranger = time.Second
	lingerKnown    = 5 * time.Second
	strangerBytes  = 1 << 20
)

// linger closes the sending side and then takes in, within bounds, what the
// client still sends: closing at once would reset the connection, and the client
// might lose the answer it was given, take that for a failed network and send
// everything again.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	end, left := time.Now().Add(lingerStranger), strangerBytes
	if c.known {
		end, left = time.Now().Add(lingerKnown), math.MaxInt
	}
	for left > 0 && !c.srv.stopping.Load() {
		n, _ := c.br.Discard(c.br.Buffered())
		left -= n
		by := time.Now().Add(lingerIdle)
		if by.After(end) {
			by = end
		}
		c.nc.SetReadDeadline(by) //nolint:errcheck // the read reports it
		if _, err := c.br.Peek(1); err != nil {
			return
		}
	}
}

// refuseUnheard answers a connection that is over a limit, without reading. The answer
// fits the socket's buffer, so it waits for nobody.
func (c *conn) refuseUnheard(f *failure) error {
	x := c.srv.acquire(c)
	defer c.srv.release(x)
	x.fail(f)
	return x.write(false)
}
