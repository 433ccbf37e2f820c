package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// UserHost is what an account sees of a destination host that messages of its own go to
// and are in memory. The counts are of its own messages alone; whether a host fails is
// the same for everyone, and nothing else of what others do there is told.
type UserHost struct {
	Host     string    // as in http://example.com:80
	HalfOpen bool      // it keeps failing, and is probed by one attempt at a time (L4)
	Probe    time.Time // when it may be probed next; zero unless HalfOpen
	InFlight int       // attempts
	Messages int       // in memory, those in flight among them; there may be more on disk
}

const (
	// userHostsMax bounds the hosts that are looked at for one account: of more those
	// count that were found first.
	userHostsMax = 16 * HostsMax

	// hostWalk is how many entries are looked at in one go. Other events of the core come
	// between: a request of one account must not hold up the deliveries of all.
	hostWalk = 16 << 10
)

// UserHosts returns the hosts of an account, half-open ones first, then those with most
// messages, at most HostsMax. It looks at all messages in memory, one caller after the
// other and piece by piece, so what comes and goes meanwhile may be missed.
func (e *Engine) UserHosts(u UserID) ([]UserHost, error) {
	e.hostWalk.Lock()
	found, err := e.walkHosts(uint32(u))
	e.hostWalk.Unlock()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *userHost) int { return a.compare(b) })
	found = found[:min(len(found), HostsMax)]
	out := make([]UserHost, 0, len(found))
	for _, f := range found {
		if f.Host = e.hostName(&f.sample); f.Host != "" { // else its last message ended meanwhile
			out = append(out, f.UserHost)
		}
	}
	return out, nil
}

// userHost is a host on its way into an answer.
type userHost struct {
	UserHost
	id     uint64
	sample record.Row // of one of the account's messages
}

func (h *userHost) compare(o *userHost) int {
	if h.HalfOpen != o.HalfOpen {
		if h.HalfOpen {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(o.Messages, h.Messages), cmp.Compare(h.id, o.id))
}

// walkHosts looks at the entries of an account. Hosts are told apart by their ids: a
// place in the core's table may be another host's in the next piece.
func (e *Engine) walkHosts(user uint32) (found []*userHost, err error) {
	byID := map[uint64]*userHost{}
	for at, more := 0, true; more && err == nil; at += hostWalk {
		err = e.query(func(c *core) { more = c.countHosts(user, at, byID) })
	}
	if err != nil || len(byID) == 0 {
		return nil, err
	}
	found = make([]*userHost, 0, len(byID))
	for _, h := range byID { // order does not matter: it is sorted
		found = append(found, h)
	}
	return found, e.query(func(c *core) { c.openHosts(found) })
}

// countHosts counts the entries from at on, hostWalk of them, and says whether there are
// more.
func (c *core) countHosts(user uint32, at int, byID map[uint64]*userHost) (more bool) {
	for i := at; i < min(at+hostWalk, len(c.entries)); i++ {
		e := &c.entries[i]
		flying := e.state != stFree && e.flags&flagFlying != 0
		waiting := e.state != stFree && e.state != stEnded && e.state != stSpilled
		if e.user != user || !flying && !waiting {
			continue
		}
		id := c.hosts[e.host].id
		h := byID[id]
		if h == nil {
			if len(byID) >= userHostsMax {
				continue
			}
			h = &userHost{id: id, sample: c.row(e)}
			byID[id] = h
		}
		h.Messages++
		if flying {
			h.InFlight++
		}
	}
	return at+hostWalk < len(c.entries)
}

// openHosts fills in which hosts are half-open.
func (c *core) openHosts(found []*userHost) {
	for _, f := range found {
		i, ok := c.byHost[f.id]
		if ok && c.hosts[i].failures >= failuresToHalfOpen {
			f.HalfOpen, f.Probe = true, time.UnixMilli(c.hosts[i].probe)
		}
	}
}
