package bench

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// The sides of the messages in an outage, as their stamps say.
const (
	sideOut     = iota // to the hosts that are out, published before they are healed
	sideStorm          // to them, afterwards
	sideHealthy        // to the healthy host
	outageSides
)

// outage is a healthy host and others that are out until they are healed. It looks at
// every attempt that comes: how often a message is tried, and how soon again.
type outage struct {
	*sink     // the healthy host, and what arrives at any
	kind      string
	retries   int
	delay     time.Duration
	of        []string // the hosts that are out
	out       atomic.Bool
	attempts  atomic.Int64 // that failed at a host that is out and answers
	retried   atomic.Int64 // that had failed of all that arrived, as their headers say
	reordered atomic.Int64 // attempts whose header does not say how many were seen before

	mu     sync.Mutex
	trials map[stampKey]trial // of messages whose last attempt failed
}

// stampKey names a message.
type stampKey struct{ side, seq uint64 }

// trial is what is known of one.
type trial struct {
	failed int
	ended  time.Duration // the last one, since the run began
}

// openOutage makes the hosts. All of them are healthy but for those that are out. The
// caller closes it.
func openOutage(o *RetriesOptions, b *bodies) (*outage, error) {
	s, err := openSink(1, outageSides, b)
	if err != nil {
		return nil, err
	}
	g := &outage{sink: s, kind: o.Kind, retries: o.Retries, delay: o.RetryDelay, trials: make(map[stampKey]trial)}
	g.out.Store(true)
	listeners, err := listenLoopback("127.4.0", o.Hosts)
	if err != nil {
		return nil, fmt.Errorf("%w, %w", err, s.close())
	}
	for _, ln := range listeners {
		g.of = append(g.of, ln.Addr().String())
		if o.Kind == OutageRefuse {
			ln.Close() // heal listens there again
			continue
		}
		g.serve(ln, g.attempt)
	}
	return g, nil
}

// heal ends the outage.
func (g *outage) heal() error {
	g.out.Store(false)
	if g.kind != OutageRefuse {
		return nil
	}
	for _, addr := range g.of {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("heal a host: %w", err)
		}
		g.serve(ln, g.attempt)
	}
	return nil
}

// attempt is the handler of a host that is out, or was.
func (g *outage) attempt(ctx *fasthttp.RequestCtx) {
	now, out := g.bodies.elapsed(), g.out.Load()
	s, ours, err := g.bodies.read(ctx.Request.Body())
	if err == nil && !ours {
		return
	}
	if err == nil {
		err = g.look(ctx, stampKey{s.side, s.seq}, s.from, now, out)
	}
	if err != nil {
		g.damage.CompareAndSwap(nil, &err)
	}
	if out {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		return
	}
	g.handle(ctx)
}

// clockGrain is how much sooner than asked for a retry may come: a server that counts in
// full milliseconds rounds the end of an attempt down.
const clockGrain = time.Millisecond

// look notes an attempt that came at a time, for a message of a time, and fails if it
// should not have been made. How many failed before is what the message says (QSTASH.md §4),
// which counts those that were refused, too.
func (g *outage) look(ctx *fasthttp.RequestCtx, key stampKey, from, now time.Duration, out bool) error {
	header := ctx.Request.Header.Peek("Upstash-Retried")
	n, err := strconv.Atoi(string(header))
	if err != nil {
		return fmt.Errorf("%w: an attempt with Upstash-Retried: %q", ErrRetries, header)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.trials[key]
	if g.kind == OutageStatus && n != t.failed {
		g.reordered.Add(1)
	}
	n = max(n, t.failed)
	switch least := time.Duration(n) * (g.delay - clockGrain); {
	case n > g.retries:
		return fmt.Errorf("%w: number %d came for the %dth time, and asked for %d retries", ErrRetries, key.seq, n+1, g.retries)
	case now-from < least:
		return fmt.Errorf("%w: number %d had been retried %d times %v after its publish, and asked for %v each", ErrRetries, key.seq, n, now-from, g.delay)
	case t.failed > 0 && now-t.ended < g.delay-clockGrain:
		return fmt.Errorf("%w: number %d was retried after %v, and asked for %v", ErrRetries, key.seq, now-t.ended, g.delay)
	}
	if out {
		g.attempts.Add(1)
		g.trials[key] = trial{failed: n + 1, ended: g.bodies.elapsed()}
		return nil
	}
	g.retried.Add(int64(n))
	delete(g.trials, key)
	return nil
}
