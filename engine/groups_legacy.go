package engine

import (
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// What the first API can do to a URL group and the present one cannot (QSTASH.md §12.1):
// there a group has a name that changes, and stays when it has no endpoint left.

// creation returns when a group is created at now: no two are at the same time, since that is
// what the first API knows a group by over its names. The change lock is held.
func (s *groups) creation(now int64) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return max(now, s.mu.newest+1)
}

// GroupCreated returns the URL group of an account that was created at this time. It looks
// at all of the account's.
func (e *Engine) GroupCreated(u UserID, at time.Time) (*GroupInfo, error) {
	g := e.groups.created(u, at.UnixMilli())
	if g == nil {
		return nil, ErrNotFound
	}
	info := g.info()
	return &info, nil
}

// created returns nil also where two groups could be meant: earlier versions created several
// at one time.
func (s *groups) created(u UserID, at int64) (found *group) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, g := range s.mu.byUser[u] {
		if g.Created != at {
			continue
		}
		if found != nil {
			return nil
		}
		found = g
	}
	return found
}

// RenameGroup gives a group another name, which no other group may have, and returns when
// that is on disk. What was published before keeps the old one, and schedules that publish
// to the old name find no group. It is two records, the new definition first: a crash
// between them leaves both names.
func (e *Engine) RenameGroup(u UserID, old, name string) error {
	if name == "" || len(name) > GroupNameMax {
		return limitError("invalid topic name: it must be of 1 to %d bytes", GroupNameMax)
	}
	e.groups.change.Lock()
	defer e.groups.change.Unlock()
	from := e.groups.get(u, old)
	switch {
	case from == nil:
		return topicNotFound(old)
	case old == name:
		return nil
	case e.groups.get(u, name) != nil:
		return limitError("invalid topic name %q: there is a topic of this name", name)
	}
	g := from.draft()
	g.Name = name
	if err := e.defineGroupLocked(nil, &g); err != nil {
		return err
	}
	return e.dropGroupLocked(from)
}

// RemoveEndpoint removes the endpoint with this URL from a group and returns when that is
// on disk. A group that has none left stays, unlike after RemoveEndpoints.
func (e *Engine) RemoveEndpoint(u UserID, name, url string) error {
	e.groups.change.Lock()
	defer e.groups.change.Unlock()
	old := e.groups.get(u, name)
	if old == nil {
		return topicNotFound(name)
	}
	g := old.draft()
	g.Endpoints = slices.DeleteFunc(g.Endpoints, func(x record.Endpoint) bool { return x.URL == url })
	return e.defineGroupLocked(old, &g)
}
