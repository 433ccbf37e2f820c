package dispatch

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

const (
	// nameTTL bounds how long an answer is used. The records' own TTL is not told
	// by the resolver; 30 s is short enough for a failover by DNS.
	nameTTL = 30 * time.Second
	// maxNames bounds the cache, in host names.
	maxNames = 4096
	// nameSample is how many entries are looked at to make room for one.
	nameSample = 16
	// maxCachedAddrs bounds the answers that are kept, and with maxNames the cache: 6 MiB.
	maxCachedAddrs = 64
	// maxNameAddrs bounds one answer. All of it is checked, so a larger one is an
	// error rather than cut.
	maxNameAddrs = 1024
)

var (
	errNoAddress   = errors.New("the name has no address")
	errManyAddress = errors.New("the name has too many addresses")
)

// A nameCache remembers what names resolve to. It holds addresses only, never
// that they were allowed: the policy is asked at each dial. Failures are not kept.
type nameCache struct {
	resolver Resolver
	mu       struct {
		sync.Mutex
		names map[string]nameEntry
	}
}

type nameEntry struct {
	addrs   []netip.Addr // never written after it was stored
	expires time.Time
}

func newNameCache(r Resolver) *nameCache {
	n := &nameCache{resolver: r}
	n.mu.names = make(map[string]nameEntry)
	return n
}

// lookup returns at least one address, unmapped and without zones. The slice is
// shared: callers only read it.
func (n *nameCache) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if addrs := n.cached(host, time.Now()); addrs != nil {
		return addrs, nil
	}
	found, err := n.resolver.LookupNetIP(ctx, "ip", host)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, errNoAddress
	case len(found) > maxNameAddrs:
		return nil, errManyAddress
	}
	addrs := make([]netip.Addr, len(found))
	for i, a := range found {
		addrs[i] = a.WithZone("").Unmap()
	}
	if len(addrs) <= maxCachedAddrs {
		n.store(host, addrs, time.Now())
	}
	return addrs, nil
}

func (n *nameCache) cached(host string, now time.Time) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.mu.names[host]
	if !ok || !now.Before(e.expires) {
		return nil
	}
	return e.addrs
}

func (n *nameCache) store(host string, addrs []netip.Addr, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.mu.names) >= maxNames {
		n.makeRoomLocked(now)
	}
	n.mu.names[host] = nameEntry{addrs, now.Add(nameTTL)}
}

// makeRoomLocked looks at a few entries, which the map picks at random, and drops
// those that have expired, or the last one looked at if none has. Looking at all
// of them would make each dial pay for the size of the cache.
func (n *nameCache) makeRoomLocked(now time.Time) {
	looked := 0
	for host, e := range n.mu.names {
		if !now.Before(e.expires) || looked == nameSample-1 && len(n.mu.names) >= maxNames {
			delete(n.mu.names, host)
		}
		if looked++; looked == nameSample {
			return
		}
	}
}

// forget drops a name, so that a connection refused at an old address asks anew.
func (n *nameCache) forget(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.mu.names, host)
}
