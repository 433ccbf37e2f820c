package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// gate is a sink that can be shut: what comes then is held, and is answered with 503 and
// not counted once the gate opens. So it is certain that a server that is killed
// meanwhile has something to deliver afterwards.
type gate struct {
	*sink

	held  atomic.Int64
	first atomic.Int64 // since the run began, on the sink's clock, plus 1; 0: nothing came since mark

	mu   sync.Mutex
	shut chan struct{} // closed when the gate opens; nil: it is open
}

// openGate starts to listen and serve. The caller closes it.
func openGate(hosts, sides int, b *bodies) (*gate, error) {
	s, err := openSink(0, sides, b)
	if err != nil {
		return nil, err
	}
	g := &gate{sink: s}
	s.clock = b.wall
	listeners, err := listenLoopback("127.0.0", hosts)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	for _, ln := range listeners {
		s.hosts = append(s.hosts, ln.Addr().String())
		s.serve(ln, g.receive)
	}
	return g, nil
}

func (g *gate) close() error {
	g.open()
	return g.sink.close()
}

// receive is the handler.
func (g *gate) receive(ctx *fasthttp.RequestCtx) {
	if g.wait() {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		return
	}
	g.first.CompareAndSwap(0, int64(g.clock())+1)
	g.handle(ctx)
}

// wait returns true after it has held a request.
func (g *gate) wait() bool {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return false
	}
	g.held.Add(1)
	select {
	case <-shut:
	case <-g.ctx.Done():
	}
	return true
}

// hold shuts the gate. held counts from here on.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held.Store(0)
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

// open lets what comes from now on through.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// mark forgets the first arrival.
func (g *gate) mark() { g.first.Store(0) }

// firstSince is when something came for the first time since mark, on the sink's clock.
func (g *gate) firstSince() (at time.Duration, came bool) {
	n := g.first.Load()
	return time.Duration(n - 1), n != 0
}

// await waits until all of a ledger that was acknowledged has arrived, but for so many.
func (g *gate) await(ctx context.Context, l *ledger, but int64, timeout time.Duration) error {
	for begin := time.Now(); l.missing() > but && g.damaged() == nil; {
		if time.Since(begin) > timeout {
			return fmt.Errorf("%w: %d of %d had not arrived after %v", ErrLost, l.missing()-but, l.acked.Load(), timeout)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
	return g.damaged()
}
