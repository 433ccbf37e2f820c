package dispatch

import (
	"strings"
	"sync"
	"time"

	"github.com/puzpuzpuz/xsync/v3"
)

// poolIdle is how long a host pool without users and connections is remembered.
const poolIdle = time.Minute

// A registry finds the pool of a host. The map is sharded, so that attempts to
// different hosts do not meet; this is the only file that knows xsync.
type registry struct {
	c     *Client
	pools *xsync.MapOf[hostKey, *pool]
	// loose holds the pools that are in use and not among pools, for Close to cut: those
	// over MaxHosts, and those that were set aside.
	mu struct {
		sync.Mutex
		loose map[*pool]struct{}
	}
}

func (g *registry) init(c *Client) {
	g.c = c
	g.pools = xsync.NewMapOf[hostKey, *pool]()
	g.mu.loose = make(map[*pool]struct{})
}

func (g *registry) size() int { return g.pools.Size() }

// A hostKey is what a pool is known by: equal for URLs that may share connections.
type hostKey struct {
	host string // lower case
	port uint16
	tls  bool
}

// hostKey returns the key of t's pool. It aliases the URL, unless that has capital letters.
func (t *target) hostKey() hostKey {
	return hostKey{strings.ToLower(t.host), t.port, t.tls}
}

// acquire returns the pool of t and counts the attempt in.
func (g *registry) acquire(t *target, now time.Time) *pool {
	key := t.hostKey()
	for {
		p, ok := g.pools.Load(key)
		if !ok {
			if g.pools.Size() >= g.c.opts.MaxHosts {
				return g.acquireLoose(key, t, now)
			}
			key.host = strings.Clone(key.host) // it outlives the attempt, which may be the owner of its URL
			p, _ = g.pools.LoadOrStore(key, newPool(g.c, key, t, true))
		}
		if p.enter(now) {
			return p
		}
		g.setAside(p)
	}
}

// setAside takes a pool out that no attempt enters any more. Close has to find those that
// are under way in it, so it is known until the last one leaves.
func (g *registry) setAside(p *pool) {
	g.mu.Lock()
	idle, users := p.retire()
	if users > 0 {
		g.mu.loose[p] = struct{}{} // before it is taken out: closeAll looks here last
	}
	g.mu.Unlock()
	g.remove(p)
	p.closeIdle(idle)
}

// acquireLoose returns a pool for one attempt, when there are MaxHosts already.
func (g *registry) acquireLoose(key hostKey, t *target, now time.Time) *pool {
	p := newPool(g.c, key, t, false)
	p.enter(now)
	g.mu.Lock()
	g.mu.loose[p] = struct{}{}
	g.mu.Unlock()
	return p
}

func (g *registry) release(p *pool) {
	if p.leave() {
		g.mu.Lock()
		delete(g.mu.loose, p)
		g.mu.Unlock()
	}
}

// remove takes p out, unless another pool has taken its place.
func (g *registry) remove(p *pool) {
	g.pools.Compute(p.key, func(old *pool, loaded bool) (*pool, bool) {
		return old, !loaded || old == p
	})
}

// janitor closes connections that were idle too long and forgets idle pools.
func (g *registry) janitor() {
	every := min(max(g.c.opts.IdleTimeout/2, 10*time.Millisecond), 5*time.Second)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-g.c.ctx.Done():
			return
		case now := <-tick.C:
			g.sweep(now)
		}
	}
}

func (g *registry) sweep(now time.Time) {
	before, evict := now.Add(-g.c.opts.IdleTimeout), now.Add(-poolIdle)
	full := g.pools.Size() >= g.c.opts.MaxHosts
	g.pools.Range(func(_ hostKey, p *pool) bool {
		if p.expire(before, evict) {
			g.remove(p)
		}
		return true
	})
	if full {
		g.c.opts.Logger.Warn("dispatch: host pools are at their bound, further hosts get no kept connections",
			"hosts", g.c.opts.MaxHosts)
	}
}

// closeAll cuts every pool. Attempts that entered before the client was closed
// may still be making one; they find its connections refused by ctx.
func (g *registry) closeAll() {
	g.pools.Range(func(_ hostKey, p *pool) bool {
		p.cut()
		return true
	})
	g.mu.Lock()
	loose := make([]*pool, 0, len(g.mu.loose))
	for p := range g.mu.loose {
		loose = append(loose, p)
	}
	g.mu.Unlock()
	for _, p := range loose {
		p.cut()
	}
}
