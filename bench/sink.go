package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// sink is the destination of all deliveries. It listens on many loopback
// addresses, which are as many hosts to whoever delivers.
type sink struct {
	hosts   []string // host:port
	bodies  *bodies
	clock   func() time.Duration     // the present, on the clock of the stamps
	ledgers []atomic.Pointer[ledger] // by side
	meter   atomic.Pointer[meter]    // of the round that is measured; may be nil

	damage atomic.Pointer[error] // the first
	cancel context.CancelFunc
	wg     sync.WaitGroup
	errs   chan error
}

// openSink starts to listen and serve. The caller closes it.
func openSink(hosts, sides int, b *bodies) (*sink, error) {
	listeners, err := listenLoopback(hosts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &sink{bodies: b, clock: b.elapsed, ledgers: make([]atomic.Pointer[ledger], sides), cancel: cancel}
	s.errs = make(chan error, hosts)
	for _, ln := range listeners {
		s.hosts = append(s.hosts, ln.Addr().String())
		s.wg.Go(func() { s.errs <- serve(ctx, ln, s.handle) })
	}
	return s, nil
}

// listenLoopback opens one port on each of 127.0.0.1, 127.0.0.2 and so on. Where
// only the first of these exists, as on macOS, the hosts differ by port alone.
func listenLoopback(n int) (open []net.Listener, err error) {
	for i := range n {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			ln, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			for _, ln := range open {
				ln.Close()
			}
			return nil, fmt.Errorf("open host %d of the sink: %w", i+1, err)
		}
		open = append(open, ln)
	}
	return open, nil
}

// close stops the sink and returns what its servers said.
func (s *sink) close() error {
	s.cancel()
	s.wg.Wait()
	close(s.errs)
	var err error
	for e := range s.errs {
		err = errors.Join(err, e)
	}
	return err
}

func (s *sink) handle(ctx *fasthttp.RequestCtx) {
	if err := s.arrive(ctx.Request.Body()); err != nil {
		s.damage.CompareAndSwap(nil, &err)
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
	}
}

func (s *sink) arrive(body []byte) error {
	now := s.clock() // before anything else: it is the arrival
	stamp, ours, err := s.bodies.read(body)
	if err != nil || !ours {
		return err
	}
	latency := now - stamp.from
	var l *ledger
	if stamp.side < uint64(len(s.ledgers)) {
		l = s.ledgers[stamp.side].Load()
	}
	if l == nil {
		return fmt.Errorf("%w: side %d does not exist", ErrCorrupt, stamp.side)
	}
	first, err := l.arrive(stamp.seq)
	if m := s.meter.Load(); first && m != nil && !l.unmeasured {
		m.record(stamp.seq, latency)
	}
	if latency < 0 {
		err = errors.Join(err, fmt.Errorf("%w: number %d, by %v", ErrEarly, stamp.seq, -latency))
	}
	return err
}

func (s *sink) damaged() error {
	if err := s.damage.Load(); err != nil {
		return *err
	}
	return nil
}
