package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves the API on any number of listeners. Serve, Drain and Shutdown may be
// called concurrently.
type Server struct {
	opt      Options              // as made: what is in Live is in live
	live     atomic.Pointer[Live] // in force; what it points to is never changed
	inflight budget               // bodies of authenticated requests
	strange  budget               // bodies of Fallback's requests
	refusing budget               // connections over a limit that are still told so
	boot     string               // distinguishes the request ids of two starts
	requests atomic.Uint64
	counters counters
	date     httpDate
	streams  waiters        // of events
	listing  chan struct{}  // a place for each list of events that is being made
	listed   budget         // bytes of those that are being sent
	draining atomic.Bool    // no more connections; the next answer of each is its last
	stopping atomic.Bool    // after draining: connections without a request end
	handlers sync.WaitGroup // one for each connection
	serving  sync.WaitGroup // one for each Serve
	began    time.Time
	waiting  waiters         // receives that wait for a message
	quit     context.Context // ends with draining: what waits for something answers then
	quitNow  context.CancelFunc

	mu struct {
		sync.Mutex
		listeners map[net.Listener]struct{}
		conns     map[*conn]struct{}
		perIP     map[string]int
	}
}

// New checks the options. It starts nothing.
func New(o Options) (*Server, error) {
	o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Server{opt: o, boot: strconv.FormatUint(rand.Uint64(), 36)}
	if err := s.SetLive(o.Live()); err != nil {
		return nil, err
	}
	s.listed.most.Store(listedMax)
	s.listing = make(chan struct{}, listingMax)
	s.refusing.most.Store(int64(max(o.Concurrency/refusingShare, 1)))
	s.began = time.Now()
	s.streams.init(o.Streams)
	s.waiting.init(o.Concurrency / 2) // the other half is for publishing
	s.quit, s.quitNow = context.WithCancel(context.Background())
	s.mu.listeners = make(map[net.Listener]struct{})
	s.mu.conns = make(map[*conn]struct{})
	s.mu.perIP = make(map[string]int)
	return s, nil
}

// ErrStopped is returned by Serve after Drain or Shutdown.
var ErrStopped = errors.New("httpapi: the server was shut down")

// Serve accepts connections until Drain or Shutdown, and then returns nil. A lack of file
// descriptors is waited out (P35); any other error of ln is returned.
func (s *Server) Serve(ln net.Listener) error {
	if !s.track(ln) {
		return ErrStopped
	}
	defer s.serving.Done()
	defer s.untrack(ln)
	pprof.SetGoroutineLabels(stageAPI) // and so those of its connections
	var pause time.Duration
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(nc)
		case s.draining.Load():
			return nil
		case errors.Is(err, net.ErrClosed) || !temporary(err):
			return err
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.opt.Logger.Warn("cannot accept a connection", "error", err, "pause", pause)
			time.Sleep(pause)
		}
	}
}

// temporary says whether accepting can be tried again: out of descriptors or
// memory, or the client went away first.
func temporary(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	//lint:ignore SA1019 for Accept it is well defined, and net/http relies on it too
	return ok && ne.Temporary()
}

func (s *Server) track(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.mu.listeners[ln] = struct{}{}
	s.serving.Add(1)
	return true
}

func (s *Server) untrack(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.listeners, ln)
}

// refusingShare says how many connections may be lingering at one time after they
// were refused: one for so many that are served.
const refusingShare = 64

// start serves nc on a goroutine of its own, or refuses it.
func (s *Server) start(nc net.Conn) {
	c := newConn(s, nc)
	if fail := s.admit(c); fail != nil {
		s.turnAway(c, fail)
		return
	}
	go func() {
		defer s.handlers.Done()
		defer s.forget(c)
		c.serve()
	}()
}

// turnAway answers a connection that is over a limit. Its client has often sent a
// request by then, and closing at once would reset the connection and take the answer
// back: so it is lingered for, unless too many are already.
func (s *Server) turnAway(c *conn, f *failure) {
	s.counters.refused.Add(1)
	told := c.refuseUnheard(f) == nil
	if !told || !s.mayLinger() {
		c.nc.Close()
		return
	}
	go func() {
		defer s.handlers.Done()
		defer s.refusing.give(1)
		defer c.nc.Close()
		c.acquireReader()
		defer c.releaseReader()
		c.linger()
	}()
}

// mayLinger takes a place among the lingering, and registers with Shutdown.
func (s *Server) mayLinger() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() || !s.refusing.take(1) {
		return false
	}
	s.handlers.Add(1)
	return true
}

// admit registers c within the limits of connections.
func (s *Server) admit(c *conn) *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping.Load():
		return errConnections
	case s.opt.MaxConnsPerIP > 0 && s.mu.perIP[c.ip] >= s.opt.MaxConnsPerIP:
		return tooManyPerIP(s.opt.MaxConnsPerIP)
	case len(s.mu.conns) >= s.opt.Concurrency && !s.evictLocked():
		return errConnections
	}
	s.mu.conns[c] = struct{}{}
	if s.opt.MaxConnsPerIP > 0 {
		s.mu.perIP[c.ip]++
	}
	s.handlers.Add(1)
	return nil
}

// evictLook bounds the connections that are looked at, from a random one on, to find
// one that can make room.
const evictLook = 64

// evictLocked makes room for a connection by closing one that is doing nothing: it is
// idle between two requests or, if there is none such, has not sent a whole head yet.
// So whoever opens all connections there are and then keeps silent, or sends a byte
// now and then, does not keep the others out.
func (s *Server) evictLocked() bool {
	var slow *conn
	looked := 0
	for c := range s.mu.conns {
		if c.closeIn(connIdle) {
			s.removeLocked(c)
			return true
		}
		if c.state.Load() == connHead {
			slow = c
		}
		if looked++; looked == evictLook {
			break
		}
	}
	if slow == nil || !slow.closeIn(connHead) {
		return false
	}
	s.removeLocked(slow)
	return true
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(c)
}

// removeLocked may be called again for the same connection.
func (s *Server) removeLocked(c *conn) {
	if _, there := s.mu.conns[c]; !there {
		return
	}
	delete(s.mu.conns, c)
	if s.opt.MaxConnsPerIP > 0 {
		if s.mu.perIP[c.ip]--; s.mu.perIP[c.ip] == 0 {
			delete(s.mu.perIP, c.ip)
		}
	}
}

// requestID names one request in an answer and in the log.
func (s *Server) requestID() string {
	return s.boot + "-" + strconv.FormatUint(s.requests.Add(1), 10)
}
