package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A Client makes attempts over per-host pools of kept connections. It is safe for
// concurrent use.
type Client struct {
	opts     Options // as opened: what SetTrust and SetLimits replace is below
	trust    atomic.Pointer[trust]
	dialer   dialer
	registry registry
	origins  origins // of attempts
	counters counters

	maxResponse, maxConns atomic.Int64

	// ctx ends with Close and with it every look-up and dial.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // attempts and the janitor
	mu     struct {
		sync.RWMutex
		closed bool
	}
}

// New returns a client that owns one goroutine until Close.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Client{opts: o}
	c.SetTrust(o.Policy, o.RootCAs)
	c.SetLimits(o.MaxResponse, o.MaxConnsPerHost)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.dialer = dialer{
		trust: &c.trust,
		names: newNameCache(c.opts.Resolver),
		limit: c.opts.ConnectTimeout,
	}
	c.registry.init(c)
	c.wg.Go(c.registry.janitor)
	return c, nil
}

// Do makes one attempt and fills r. It blocks until the answer was read, the
// attempt failed or its timeout ran out. It returns nothing of a: both may be
// reused at once.
func (c *Client) Do(a *Attempt, r *Result) {
	start := time.Now()
	r.reset()
	end, err := c.do(a, r, start)
	if err != nil || end.IsZero() {
		end = time.Now()
	}
	r.Timing.Total = end.Sub(start)
	if err != nil {
		c.fail(r, err)
	}
	c.counters.count(r)
}

// do returns when the answer was complete.
func (c *Client) do(a *Attempt, r *Result, start time.Time) (end time.Time, err error) {
	if !c.enter() {
		return end, fail(Canceled, ErrClosed, "the server is shutting down")
	}
	defer c.wg.Done()
	x := acquireExchange(c, a, r, start)
	defer releaseExchange(x)
	err = x.run()
	return x.end, err
}

// fail leaves nothing of an answer in r that did not come whole.
func (c *Client) fail(r *Result, err error) {
	timing := r.Timing
	r.reset()
	r.Timing, r.Err, r.Class = timing, err, Protocol
	var f *failure
	if errors.As(err, &f) {
		r.Class = f.class
	}
}

// enter counts an attempt in, unless the client is closed.
func (c *Client) enter() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.mu.closed {
		return false
	}
	c.wg.Add(1)
	return true
}

// Close cuts attempts in flight, which end with Canceled, closes all connections
// and waits for the client's goroutines. To let attempts finish, wait for them
// before. It may be called twice.
func (c *Client) Close() error {
	c.mu.Lock()
	c.mu.closed = true
	c.mu.Unlock()
	c.cancel()
	c.registry.closeAll()
	c.wg.Wait()
	return nil
}

// Stats are the client's counters since New and its gauges now.
type Stats struct {
	// Outcomes counts finished attempts by Class.
	Outcomes [classCount]uint64
	// Statuses counts those with an answer by the first digit of its status; 0: of 600 and above.
	Statuses [6]uint64
	// Dials counts connections made or tried; Reused counts attempts that began on
	// a kept one; Redials those that had to be repeated on a fresh one.
	Dials, Reused, Redials uint64
	// Hosts is the number of host pools, Idle the connections kept in them, Open
	// all connections.
	Hosts, Idle, Open int
}

type counters struct {
	classes                [classCount]atomic.Uint64
	statuses               [6]atomic.Uint64
	dials, reused, redials atomic.Uint64
	idle, open             atomic.Int64
}

// Stats returns a snapshot; its numbers are each exact but not of one moment.
func (c *Client) Stats() Stats {
	s := Stats{
		Dials:   c.counters.dials.Load(),
		Reused:  c.counters.reused.Load(),
		Redials: c.counters.redials.Load(),
		Hosts:   c.registry.size(),
		Idle:    int(c.counters.idle.Load()),
		Open:    int(c.counters.open.Load()),
	}
	for i := range s.Outcomes {
		s.Outcomes[i] = c.counters.classes[i].Load()
	}
	for i := range s.Statuses {
		s.Statuses[i] = c.counters.statuses[i].Load()
	}
	return s
}
