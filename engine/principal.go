package engine

import (
	"slices"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
)

// Access is what a token allows its holder to do in its account.
type Access uint8

// The kinds of access.
const (
	AccessFull    = Access(record.AccessFull)
	AccessPublish = Access(record.AccessPublish) // it adds messages, and sees nothing
	AccessRead    = Access(record.AccessRead)    // it sees everything, and changes nothing
)

var accessNames = [...]string{AccessFull: "full", AccessPublish: "publish", AccessRead: "read"}

func (a Access) String() string { return accessNames[a] }

// ParseAccess is the inverse of String.
func ParseAccess(s string) (Access, bool) {
	i := slices.Index(accessNames[:], s)
	return Access(max(i, 0)), i >= 0
}

// Principal is who shows a token, and what that allows. It never changes: who holds one
// keeps what it allowed when it was shown.
type Principal struct {
	User   UserID
	Access Access
	Admin  bool // it manages accounts and tokens, of every account

	// What the token is limited to, nil for no limit: names of queues and URL groups, and
	// hosts as dispatch.ParseHostSet has them.
	Queues, Groups, Hosts []string

	hosts   *dispatch.HostSet // of Hosts
	hash    [32]byte          // of the token
	expires int64             // unix ms, 0: never
	dev     bool
}

// Limited says whether the token is limited to anything.
func (p *Principal) Limited() bool {
	return len(p.Queues)+len(p.Groups)+len(p.Hosts) > 0
}

// AllowsQueue says whether the token may use a queue, by its name; "" is none, which a
// token that is limited to queues may not go without.
func (p *Principal) AllowsQueue(name string) bool {
	return len(p.Queues) == 0 || slices.Contains(p.Queues, name)
}

// NamesQueue says whether a queue is one of those that the token is limited to.
func (p *Principal) NamesQueue(name string) bool { return slices.Contains(p.Queues, name) }

// NamesGroup is NamesQueue of a URL group.
func (p *Principal) NamesGroup(name string) bool { return slices.Contains(p.Groups, name) }

// AllowsGroup says whether the token may send to a URL group. Groups and Hosts are one
// limit: with either, a destination must be in one of them.
func (p *Principal) AllowsGroup(name string) bool {
	return len(p.Groups)+len(p.Hosts) == 0 || slices.Contains(p.Groups, name)
}

// AllowsURL says whether the token may send to a URL, or name it for others to be sent to.
func (p *Principal) AllowsURL(url string) bool {
	return len(p.Groups)+len(p.Hosts) == 0 || p.hosts != nil && p.hosts.Contains(url)
}

// Authenticate returns who shows a bearer token. Only the token's hash is kept, and it
// is found by that hash, so no comparison's duration tells anything about a token (P44).
// It allocates nothing.
func (e *Engine) Authenticate(token []byte) (*Principal, bool) {
	p := e.users.set.Load().byHash[tokenHash(token)]
	if p == nil || !e.inForce(p) {
		return nil, false
	}
	return p, true
}

// Stands says whether the token that p was returned for is as good as it was then: neither
// revoked nor expired, nor replaced by one that allows something else.
func (e *Engine) Stands(p *Principal) bool {
	return e.users.set.Load().byHash[p.hash] == p && e.inForce(p)
}

func (e *Engine) inForce(p *Principal) bool {
	return (!p.dev || e.users.dev.Load()) && (p.expires == 0 || p.expires > e.wallMillis())
}

// ownerDigits are those bits of an account's number that tell the operator's account,
// which serve makes at its first start, and the first of the development users: both are
// 1. What User has of them as a token is an admin's.
const ownerDigits = 1<<31 - 1

func principalOfUser(r *record.User) *Principal {
	return &Principal{User: UserID(r.ID), Admin: r.ID&ownerDigits == 1, hash: r.TokenHash, dev: r.Dev}
}

func principalOfToken(t *record.Token, dev bool) (*Principal, error) {
	p := &Principal{
		User: UserID(t.User), Access: Access(t.Access), Admin: t.Flags&record.TokenAdmin != 0,
		Queues: t.Queues, Groups: t.Groups, Hosts: t.Hosts, hash: t.Hash, expires: t.Expires, dev: dev,
	}
	if len(t.Hosts) == 0 {
		return p, nil
	}
	var err error
	p.hosts, err = dispatch.ParseHostSet(t.Hosts)
	return p, err
}
