package httpapi

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// A turn serves one request after the other inside a single RawConn.Read, for as long as
// each is a publish that has arrived whole: between two of them it waits for the poller
// without another look at the socket, which would find nothing, since no client has sent
// its next request when it has just been answered. net.Conn.Read has to look: it forgets
// what the poller told it before. RawConn.Read does so once, when it begins.
//
// Inside of it nothing else can read from the connection. So a request that is not all
// there, or that some handler waits with, ends the turn, is served as on any other
// connection, and the next turn begins behind it.
type turn struct {
	raw  syscall.RawConn              // nil: this connection, or this system, has no turns
	step func(fd uintptr) (done bool) // conn.advance, made once

	looked bool // at the socket, since the connection has been idle for idleLook

	x   *exchange // begun in the turn, and to be ended behind it
	err error     // of x.begin
}

// source is what a connection's buffer reads from: the connection or, in a turn, what its
// descriptor has at hand.
type source struct {
	conn *conn
	fd   int  // in a turn, else -1
	dry  bool // the descriptor has nothing; the poller will tell when it has
}

// errDry is returned in a turn when nothing is at hand.
var errDry = errors.New("httpapi: BUG: nothing to read, and nobody waits")

func (s *source) Read(p []byte) (n int, err error) {
	switch {
	case s.fd < 0:
		return s.conn.nc.Read(p)
	case s.dry:
		return 0, errDry
	}
	n, err = readAtHand(s.fd, p)
	// A read that fills less than it could has emptied the socket (epoll(7)), but for the
	// end: that may have come with the last bytes, and then nobody tells of it again. Who
	// sends a request and closes its side without waiting is found on its first one, and
	// on a later one after idleLook.
	s.dry = err == errDry || n < len(p) && s.conn.served
	return n, err
}

// idleLook is how long a connection that was served is idle before its turn looks at the
// socket again, once: the client's end may be there, see source.Read.
const idleLook = 2 * time.Second

// takeTurn is next by a turn.
func (c *conn) takeTurn() (x *exchange, err error) {
	t := &c.turn
	for {
		err = t.raw.Read(t.step) // fails by a deadline or a closed connection: then there is no x
		if !errors.Is(err, os.ErrDeadlineExceeded) || !c.idleOn() {
			break
		}
	}
	c.in.fd = -1
	x, err = t.x, t.err
	t.x, t.err = nil, nil
	if err == errDry { // of the head is more to come
		err = x.read()
	}
	return x, err
}

// idleOn says whether a connection whose time to be idle is over was given idleLook of it,
// and gives it the rest.
func (c *conn) idleOn() bool {
	rest := c.srv.opt.IdleTimeout - idleLook
	if c.turn.looked || !c.served || rest <= 0 {
		return false
	}
	c.turn.looked = true
	c.readWithin(time.Now(), rest)
	return true
}

// advance is called with the connection's descriptor: to begin with, and then whenever
// there may be something to read.
func (c *conn) advance(fd uintptr) (done bool) {
	c.in.fd, c.in.dry = int(fd), false
	for {
		if err := c.arrived(); err != nil {
			return err != errDry
		}
		x, err := c.begin()
		if err == errDry || err == nil && !x.atHand() {
			c.turn.x, c.turn.err = x, err
			return true
		}
		if !c.end(x, err) || !c.idle() {
			return true
		}
	}
}

// atHand says whether the request can be answered in a turn: all of it is there, and its
// handler leaves the connection alone.
func (x *exchange) atHand() bool {
	return x.route != nil && x.route.access == accessPublish && x.head.length >= 0 && int64(x.c.br.Buffered()) >= x.head.length
}

// cut ends the connection whatever it is doing. To close one in a turn is to wait until
// that ends, and so perhaps for the engine: its client hears of the end before.
func (c *conn) cut() {
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok || c.turn.raw == nil {
		c.nc.Close()
		return
	}
	_ = tcp.CloseWrite() // of a connection that has ended already
	go tcp.Close()
}
