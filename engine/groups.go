package engine

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// groups holds the URL groups of all accounts (QSTASH.md §8.5). A publish looks at them
// without waiting for the disk; changes are one at a time, and durable before they show.
type groups struct {
	change sync.Mutex // held by a change, over its append
	mu     struct {
		sync.RWMutex
		byUser map[UserID]map[string]*group
		count  int
		bytes  int   // the sum of their weights
		newest int64 // the largest Created that was seen
	}
}

// group is a URL group as the log has it. It never changes: a change makes another one.
type group struct {
	record.Group
	pos uint64 // where its definition stands
	len uint32 // of the payload there
}

// decodeGroup keeps nothing of p, which stands at pos.
func decodeGroup(pos uint64, p []byte) (*group, error) {
	g := &group{pos: pos, len: uint32(len(p))}
	return g, record.DecodeGroup(p, &g.Group)
}

// load reads the groups of all accounts.
func (s *groups) load(x *index.Index) error {
	err := x.Groups(func(row *index.Group) error {
		g, err := decodeGroup(row.Pos, row.Payload)
		if err == nil {
			s.put(g)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("load URL groups: %w", err)
	}
	return nil
}

// weight is about what a group takes in memory: its texts, and what Go puts around them.
func (g *group) weight() int {
	return int(g.len) + 256 + 32*(len(g.Endpoints)+len(g.Header))
}

// get returns a group, or nil.
func (s *groups) get(u UserID, name string) *group {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.byUser[u][name]
}

// of returns the groups of an account, by name.
func (s *groups) of(u UserID) []*group {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*group, 0, len(s.mu.byUser[u]))
	for _, g := range s.mu.byUser[u] {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *group) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// put makes g the newest state of its group.
func (s *groups) put(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := UserID(g.User)
	s.dropLocked(u, g.Name)
	if s.mu.byUser == nil {
		s.mu.byUser = map[UserID]map[string]*group{}
	}
	if s.mu.byUser[u] == nil {
		s.mu.byUser[u] = map[string]*group{}
	}
	s.mu.byUser[u][g.Name] = g
	s.mu.count++
	s.mu.bytes += g.weight()
	s.mu.newest = max(s.mu.newest, g.Created)
}

func (s *groups) drop(u UserID, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(u, name)
}

func (s *groups) dropLocked(u UserID, name string) {
	g := s.mu.byUser[u][name]
	if g == nil {
		return
	}
	delete(s.mu.byUser[u], name)
	if len(s.mu.byUser[u]) == 0 {
		delete(s.mu.byUser, u)
	}
	s.mu.count--
	s.mu.bytes -= g.weight()
}

// size returns how many groups there are, and their weight.
func (s *groups) size() (count, bytes int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.count, s.mu.bytes
}

// topic returns the group that a publish goes to. It fails, in words for the producer,
// where there is nobody to publish to.
func (e *Engine) topic(u UserID, name string) (*group, error) {
	g := e.groups.get(u, name)
	if g == nil {
		return nil, topicNotFound(name)
	}
	if len(g.Endpoints) == 0 {
		return nil, limitError("topic %s has no endpoints", name)
	}
	return g, nil
}

func topicNotFound(name string) error { return fmt.Errorf("topic %s %w", name, ErrNotFound) }

// Group returns a URL group of an account.
func (e *Engine) Group(u UserID, name string) (*GroupInfo, error) {
	g := e.groups.get(u, name)
	if g == nil {
		return nil, topicNotFound(name)
	}
	info := g.info()
	return &info, nil
}

// Groups returns the URL groups of an account, by name.
func (e *Engine) Groups(u UserID) ([]GroupInfo, error) {
	gs := e.groups.of(u)
	out := make([]GroupInfo, len(gs))
	for i, g := range gs {
		out[i] = g.info()
	}
	return out, nil
}

// info returns the group for its owner, who may change what it gets.
func (g *group) info() GroupInfo {
	info := GroupInfo{
		Name: g.Name, Created: time.UnixMilli(g.Created), Updated: time.UnixMilli(g.Updated),
		Endpoints: make([]Endpoint, len(g.Endpoints)), Header: slices.Clone(g.Header),
	}
	for i, ep := range g.Endpoints {
		info.Endpoints[i] = Endpoint(ep)
	}
	return info
}
