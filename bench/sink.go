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
	answer  time.Duration            // how long each request takes
	decode  func([]byte) []byte      // what bodies travel in, if anything
	signed  *signatures              // looks at some of them; may be nil

	damage atomic.Pointer[error] // the first
	ctx    context.Context       // until close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	err    error // of the servers; guarded by mu
}

// openSink starts to listen and serve. The caller closes it.
func openSink(hosts, sides int, b *bodies) (*sink, error) {
	listeners, err := listenLoopback("127.0.0", hosts)
	if err != nil {
		return nil, err
	}
	s := &sink{bodies: b, clock: b.elapsed, ledgers: make([]atomic.Pointer[ledger], sides)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, ln := range listeners {
		s.hosts = append(s.hosts, ln.Addr().String())
		s.serve(ln, s.handle)
	}
	return s, nil
}

// serve serves ln until the sink is closed. It takes ln over.
func (s *sink) serve(ln net.Listener, handler fasthttp.RequestHandler) {
	s.wg.Go(func() {
		err := serve(s.ctx, ln, handler)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = errors.Join(s.err, err)
	})
}

// listenLoopback opens one port on each of n addresses: with a net24 of 127.0.0 on
// 127.0.0.1, 127.0.0.2 and so on. Where these do not exist, as on macOS, the hosts differ by
// port alone.
func listenLoopback(net24 string, n int) (open []net.Listener, err error) {
	for i := range n {
		ln, err := net.Listen("tcp", fmt.Sprintf("%s.%d:0", net24, i+1))
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
	return s.err
}

func (s *sink) handle(ctx *fasthttp.RequestCtx) {
	err := s.arrive(ctx.Request.Body())
	if err == nil && s.signed != nil {
		err = s.signed.check(&ctx.Request)
	}
	if err != nil {
		s.spoil(ctx, err)
	}
	if s.answer > 0 {
		_ = pause(s.ctx, s.answer)
	}
}

// spoil notes that something arrived which voids the run.
func (s *sink) spoil(ctx *fasthttp.RequestCtx, err error) {
	s.damage.CompareAndSwap(nil, &err)
	ctx.SetStatusCode(fasthttp.StatusBadRequest)
}

func (s *sink) arrive(body []byte) error {
	now := s.clock() // before anything else: it is the arrival
	if s.decode != nil {
		body = s.decode(body)
	}
	stamp, ours, err := s.bodies.read(body)
	if err != nil || !ours {
		return err
	}
	return s.take(stamp, now)
}

// arrivalShards is how many parts of a meter arrivals are spread over.
const arrivalShards = 16

// take notes the arrival of a message of this run.
func (s *sink) take(stamp stamp, now time.Duration) (err error) {
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
		m.record(stamp.seq%arrivalShards, latency)
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
