package dispatch

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

var (
	errStalePool = errors.New("dispatch: pool was evicted")
	errBusy      = errors.New("dispatch: too many connections to the host")
)

// A pool holds the connections to one host.
type pool struct {
	c    *Client
	key  hostKey
	by   *trust // by which its connections are made
	ep   endpoint
	kept bool // in the registry; false: over MaxHosts, nothing is kept
	mu   struct {
		sync.Mutex
		idle    []*conn            // oldest first; taken from the end
		conns   map[*conn]struct{} // all of them, for cut
		users   int                // attempts that hold the pool
		open    int                // connections, those being dialled included
		lastUse time.Time
		dead    bool // evicted or closed: takes no users, keeps no connection
		retired bool // stale: the same, but those that it has go on
	}
}

func newPool(c *Client, key hostKey, t *target, kept bool) *pool {
	by := c.trust.Load()
	p := &pool{c: c, key: key, by: by, ep: by.endpoint(t, key.host), kept: kept}
	p.mu.conns = make(map[*conn]struct{})
	return p
}

// stale reports whether the rules by which p makes connections were replaced.
func (p *pool) stale() bool { return p.by != p.c.trust.Load() }

// enter counts an attempt in; it fails if the pool was evicted meanwhile or is stale.
func (p *pool) enter(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.dead || p.stale() {
		return false
	}
	p.mu.users++
	p.mu.lastUse = now
	return true
}

// leave counts an attempt out, and says whether the registry may forget p.
func (p *pool) leave() (forget bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.users--
	return !p.kept || p.mu.retired && p.mu.users == 0
}

// get returns the kept connection used last, or nil. The most recently used one is the
// least likely to have been closed by the server, which the caller finds out.
func (p *pool) get(now time.Time) *conn {
	for {
		c := p.pop()
		if c == nil || now.Sub(c.idleAt) < p.c.opts.IdleTimeout && !p.stale() {
			return c
		}
		p.discard(c)
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.mu.idle)
	if n == 0 {
		return nil
	}
	c := p.mu.idle[n-1]
	p.mu.idle[n-1] = nil
	p.mu.idle = p.mu.idle[:n-1]
	p.c.counters.idle.Add(-1)
	return c
}

// reserve takes one of the host's connection permits before a dial.
func (p *pool) reserve() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.mu.dead:
		return errStalePool
	case p.mu.open >= int(p.c.maxConns.Load()):
		return errBusy
	}
	p.mu.open++
	p.c.counters.open.Add(1)
	return nil
}

// unreserve gives the permit of a failed dial back.
func (p *pool) unreserve() {
	p.mu.Lock()
	p.mu.open--
	p.mu.Unlock()
	p.c.counters.open.Add(-1)
}

// add makes a dialled connection known, so that Close can cut it.
func (p *pool) add(c *conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.dead {
		return errStalePool
	}
	p.mu.conns[c] = struct{}{}
	return nil
}

// put keeps c, which was used until now, for a later attempt, or closes it if there is no
// room.
func (p *pool) put(c *conn, now time.Time) {
	if !p.keep(c, now) {
		p.discard(c)
	}
}

func (p *pool) keep(c *conn, now time.Time) bool {
	idle := &p.c.counters.idle
	c.idleAt = now
	if !p.kept || c.idleAt.Sub(c.madeAt) > maxConnAge {
		return false
	}
	if idle.Add(1) > int64(p.c.opts.MaxIdleConns) {
		idle.Add(-1)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.dead || p.mu.retired || p.stale() {
		idle.Add(-1)
		return false
	}
	p.mu.idle = append(p.mu.idle, c)
	return true
}

// discard closes a connection that is not idle and returns its permit.
func (p *pool) discard(c *conn) {
	p.mu.Lock()
	delete(p.mu.conns, c)
	p.mu.Unlock()
	p.unreserve()
	_ = c.Close()
}

// expire closes connections idle since before and reports whether the pool itself
// was marked dead for having had no user since evict.
func (p *pool) expire(before, evict time.Time) (dead bool) {
	var old []*conn
	p.mu.Lock()
	n := 0
	for n < len(p.mu.idle) && p.mu.idle[n].idleAt.Before(before) {
		n++
	}
	old = append(old, p.mu.idle[:n]...)
	p.forgetLocked(old)
	rest := copy(p.mu.idle, p.mu.idle[n:])
	clear(p.mu.idle[rest:])
	p.mu.idle = p.mu.idle[:rest]
	p.mu.open -= n
	if p.mu.users == 0 && rest == 0 && p.mu.lastUse.Before(evict) {
		p.mu.dead = true
	}
	dead = p.mu.dead
	p.mu.Unlock()
	p.closeIdle(old)
	return dead
}

// forgetLocked takes connections out of those that are known.
func (p *pool) forgetLocked(conns []*conn) {
	for _, c := range conns {
		delete(p.mu.conns, c)
	}
}

func (p *pool) closeIdle(conns []*conn) {
	p.c.counters.idle.Add(-int64(len(conns)))
	p.c.counters.open.Add(-int64(len(conns)))
	for _, c := range conns {
		_ = c.Close()
	}
}

// retire has p keep no connection from now on. It returns those that are idle, which the
// caller closes, and how many attempts are under way in it: they end there.
func (p *pool) retire() (idle []*conn, users int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.retired = true
	idle, p.mu.idle = p.mu.idle, nil
	p.forgetLocked(idle)
	p.mu.open -= len(idle)
	return idle, p.mu.users
}

// cut closes everything, active connections too; their attempts see it and end.
func (p *pool) cut() {
	p.mu.Lock()
	p.mu.dead = true
	idle := p.mu.idle
	p.mu.idle = nil
	p.forgetLocked(idle)
	p.mu.open -= len(idle)
	active := slices.Collect(maps.Keys(p.mu.conns))
	p.mu.Unlock()
	p.closeIdle(idle)
	for _, c := range active {
		_ = c.Close()
	}
}
