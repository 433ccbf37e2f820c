package bench

import (
	"context"
	"errors"
	"fmt"
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
	kinds
)

var kindNames = [kinds]string{"healthy", "dead", "black hole", "slow"}

// crowd is one healthy host among many that are not. Each has an address of its own.
type crowd struct {
	*sink // of what arrives, at whatever host
	of    [kinds][]string
	holes []*hole
	slow  time.Duration

	// revived is done once all hosts are to be healthy.
	revived context.Context
	revive  context.CancelFunc
}

// openCrowd makes one healthy host and each of the other kinds. The caller closes it.
func openCrowd(each int, slow time.Duration, b *bodies) (c *crowd, err error) {
	s, err := openSink(1, kinds, b)
	if err != nil {
		return nil, err
	}
	c = &crowd{sink: s, slow: slow}
	c.revived, c.revive = context.WithCancel(context.Background())
	c.of[kindHealthy] = s.hosts
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if err := c.listen(kindDead, "127.1.0", each, func(ln net.Listener) error { return ln.Close() }); err != nil {
		return nil, err
	}
	if err := c.listen(kindHole, "127.2.0", each, c.openHole); err != nil {
		return nil, err
	}
	if err := c.listen(kindSlow, "127.3.0", each, func(ln net.Listener) error { c.serve(ln, c.dawdle); return nil }); err != nil {
		return nil, err
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

func (c *crowd) openHole(ln net.Listener) error {
	h := &hole{Listener: ln, filled: c.revived}
	c.holes = append(c.holes, h)
	c.serve(h, c.handle)
	return nil
}

// dawdle is the handler of a slow host.
func (c *crowd) dawdle(ctx *fasthttp.RequestCtx) {
	c.handle(ctx)
	_ = pause(c.revived, c.slow) // revived: at once
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
	held   sync.WaitGroup
}

func (h *hole) Accept() (net.Conn, error) {
	for {
		conn, err := h.Listener.Accept()
		if err != nil || h.filled.Err() != nil {
			return conn, err
		}
		h.held.Go(func() { h.swallow(conn) })
	}
}

// swallow reads until the client gives up or the hole is filled.
func (h *hole) swallow(conn net.Conn) {
	stop := context.AfterFunc(h.filled, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	buf := make([]byte, 512)
	for {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}
