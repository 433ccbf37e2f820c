package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// The kinds of hosts of a crowd, and what their messages say in the stamp's side.
const (
	kindHealthy = iota // answers at once
	kindDead           // refuses connections
	kindHole           // accepts them, takes in what comes, and never answers
	kindSlow           // answers after a while
	kinds              // of Isolation

	kindReset   = iota - 1 // takes in a request and resets the connection
	kindFailing            // answers 503
	kindHuge               // answers with more than anybody wants
	kindsAll
)

var kindNames = [kindsAll]string{"healthy", "dead", "black hole", "slow", "resetting", "failing", "huge"}

// crowd is healthy hosts among others that are not. Each has an address of its own.
type crowd struct {
	*sink // of what arrives, at whatever host
	of    [kindsAll][]string
	holes []*hole
	slow  time.Duration
	huge  int // bytes of a huge answer

	// revived is done once all hosts are to be healthy.
	revived context.Context
	revive  context.CancelFunc
}

// openCrowd makes so many hosts of each kind. The caller closes it.
func openCrowd(counts [kindsAll]int, slow time.Duration, huge int, b *bodies) (c *crowd, err error) {
	s, err := openSink(counts[kindHealthy], kindsAll, b)
	if err != nil {
		return nil, err
	}
	c = &crowd{sink: s, slow: slow, huge: huge}
	c.revived, c.revive = context.WithCancel(context.Background())
	c.of[kindHealthy] = s.hosts
	for kind, open := range [kindsAll]func(net.Listener) error{
		kindDead:    func(ln net.Listener) error { return ln.Close() },
		kindHole:    func(ln net.Listener) error { return c.openHole(ln, swallow) },
		kindSlow:    func(ln net.Listener) error { c.serve(ln, c.dawdle); return nil },
		kindReset:   func(ln net.Listener) error { return c.openHole(ln, reset) },
		kindFailing: func(ln net.Listener) error { c.serve(ln, c.fail); return nil },
		kindHuge:    func(ln net.Listener) error { c.serve(ln, c.ramble); return nil },
	} {
		if kind == kindHealthy {
			continue
		}
		if err := c.listen(kind, fmt.Sprintf("127.%d.0", kind), counts[kind], open); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

func (c *crowd) listen(kind int, net24 string, n int, open func(net.Listener) error) error {
	listeners, err := listenLoopback(net24, n)
	if err != nil {
		return err
	}
	for _, ln := range listeners {
		c.of[kind] = append(c.of[kind], ln.Addr().String())
		err = errors.Join(err, open(ln))
	}
	return err
}

func (c *crowd) openHole(ln net.Listener, treat func(net.Conn)) error {
	h := &hole{Listener: ln, filled: c.revived, treat: treat}
	c.holes = append(c.holes, h)
	c.serve(h, c.handle)
	return nil
}

// dawdle is the handler of a slow host.
func (c *crowd) dawdle(ctx *fasthttp.RequestCtx) {
	c.handle(ctx)
	_ = pause(c.revived, c.slow) // revived: at once
}

// fail is the handler of a failing host. What it refuses has not arrived.
func (c *crowd) fail(ctx *fasthttp.RequestCtx) {
	if c.revived.Err() == nil {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		return
	}
	c.handle(ctx)
}

// ramble is the handler of a host with huge answers: they are as good as others.
func (c *crowd) ramble(ctx *fasthttp.RequestCtx) {
	c.handle(ctx)
	if c.revived.Err() == nil {
		ctx.SetBodyStream(io.LimitReader(zeros{}, int64(c.huge)), c.huge)
	}
}

// zeros is read without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// heal makes all hosts healthy, so that everything that waits for them can arrive.
func (c *crowd) heal() error {
	c.revive()
	for _, addr := range c.of[kindDead] {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("revive a dead host: %w", err)
		}
		c.serve(ln, c.handle)
	}
	return nil
}

// await waits until all that was acknowledged to a kind of hosts has arrived, for a while
// that began before.
func (c *crowd) await(ctx context.Context, kind int, begin time.Time, most time.Duration) error {
	if err := c.ledgers[kind].Load().await(ctx, c.damaged, most-time.Since(begin), 0); err != nil {
		return fmt.Errorf("%s hosts: %w", kindNames[kind], err)
	}
	return nil
}

// close ends all hosts.
func (c *crowd) close() error {
	c.revive()
	err := c.sink.close()
	for _, h := range c.holes {
		h.held.Wait()
	}
	return err
}

// hole is a listener that keeps its connections to itself until it is filled.
type hole struct {
	net.Listener
	filled context.Context
	treat  func(net.Conn) // what it does with one; its end closes it
	held   sync.WaitGroup
}

func (h *hole) Accept() (net.Conn, error) {
	for {
		conn, err := h.Listener.Accept()
		if err != nil || h.filled.Err() != nil {
			return conn, err
		}
		h.held.Go(func() { h.keep(conn) })
	}
}

func (h *hole) keep(conn net.Conn) {
	stop := context.AfterFunc(h.filled, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	h.treat(conn)
}

// swallow reads until the client gives up or the hole is filled.
func swallow(conn net.Conn) {
	buf := make([]byte, 512)
	for {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

// reset reads the beginning of a request, or all of it, and has the connection end with an
// error, and not with the end of the stream.
func reset(conn net.Conn) {
	_, err := conn.Read(make([]byte, 4096))
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		_ = tcp.SetLinger(0) // if not, it ends in the usual way
	}
}
