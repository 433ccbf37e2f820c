package engine

import (
	"errors"
	"slices"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Bounds of URL groups. All of them are in memory.
const (
	GroupsMax         = 100_000           // in all accounts together
	GroupEndpointsMax = record.MembersMax // of one group
	GroupNameMax      = 256               // bytes

	// groupTextMax bounds the URLs and names of one group's endpoints together: they
	// stand in the record of each publish to it.
	groupTextMax = 128 << 10
	// groupHeaderMax bounds the options of one group, names and values together.
	groupHeaderMax = 64 << 10
	// groupsWeightMax bounds what all groups together take in memory: 1.3 KB for each if
	// there are as many as there may be.
	groupsWeightMax = 128 << 20
)

// AddEndpoints adds endpoints to a group, which it creates if there is none, and
// returns when that is on disk. All are added or none. An endpoint of the group that
// has the URL of a new one gets its name, and one that has its name gets its URL, and
// keeps its place. Without endpoints it only creates the group.
func (e *Engine) AddEndpoints(u UserID, name string, es []Endpoint) error {
	for i := range es {
		if _, err := dispatch.HostKey(es[i].URL); err != nil {
			return limitError("invalid endpoints[%d].url: %v", i, err)
		}
	}
	return e.changeGroup(u, name, func(g *record.Group) {
		for i := range es {
			g.Endpoints = upsert(g.Endpoints, record.Endpoint(es[i]))
		}
	})
}

// upsert adds an endpoint to a list in which no two have the same URL or the same name,
// and keeps it so. Without a name it leaves the one of an endpoint with its URL.
func upsert(es []record.Endpoint, ep record.Endpoint) []record.Endpoint {
	byURL := slices.IndexFunc(es, func(x record.Endpoint) bool { return x.URL == ep.URL })
	byName := slices.IndexFunc(es, func(x record.Endpoint) bool { return x.Name == ep.Name })
	switch {
	case ep.Name == "" && byURL >= 0:
	case ep.Name == "" || byURL < 0 && byName < 0:
		es = append(es, ep)
	case byName < 0:
		es[byURL].Name = ep.Name
	default:
		es[byName].URL = ep.URL
		if byURL >= 0 && byURL != byName { // the two have become one
			es = slices.Delete(es, byURL, byURL+1)
		}
	}
	return es
}

// RemoveEndpoints removes the endpoints with the given URLs or names, or both where
// both are given, and returns when that is on disk. What the group does not have is no
// error. A group that has none left is deleted.
func (e *Engine) RemoveEndpoints(u UserID, name string, es []Endpoint) error {
	for i := range es {
		if es[i] == (Endpoint{}) {
			return limitError("invalid endpoints[%d]: it must have a url or a name", i)
		}
	}
	e.groups.change.Lock()
	defer e.groups.change.Unlock()
	old := e.groups.get(u, name)
	if old == nil {
		return topicNotFound(name)
	}
	g := old.draft()
	g.Endpoints = slices.DeleteFunc(g.Endpoints, func(x record.Endpoint) bool {
		return slices.ContainsFunc(es, func(y Endpoint) bool {
			return (y.URL == "" || y.URL == x.URL) && (y.Name == "" || y.Name == x.Name)
		})
	})
	if len(g.Endpoints) == 0 {
		return e.dropGroupLocked(old)
	}
	return e.defineGroupLocked(old, &g)
}

// SetGroupHeader sets the options that every publish to a group has unless it says
// otherwise, in place of those before, and returns when that is on disk. If there is no
// such group it is created, without endpoints.
func (e *Engine) SetGroupHeader(u UserID, name string, hs []Header) error {
	return e.changeGroup(u, name, func(g *record.Group) { g.Header = hs })
}

// DeleteGroup deletes a group and returns when that is on disk. It is not an error if
// there is none. What was published to it stays.
func (e *Engine) DeleteGroup(u UserID, name string) error {
	e.groups.change.Lock()
	defer e.groups.change.Unlock()
	old := e.groups.get(u, name)
	if old == nil {
		return nil
	}
	return e.dropGroupLocked(old)
}

// changeGroup changes a group, or a new one.
func (e *Engine) changeGroup(u UserID, name string, change func(*record.Group)) error {
	if name == "" || len(name) > GroupNameMax {
		return limitError("invalid topic name: it must be of 1 to %d bytes", GroupNameMax)
	}
	e.groups.change.Lock()
	defer e.groups.change.Unlock()
	old := e.groups.get(u, name)
	g := record.Group{User: uint32(u), Name: name, Created: e.groups.creation(e.wallMillis())}
	if old != nil {
		g = old.draft()
	}
	change(&g)
	return e.defineGroupLocked(old, &g)
}

// draft returns a copy of a group, to be changed.
func (g *group) draft() record.Group {
	d := g.Group
	d.Endpoints = slices.Clone(d.Endpoints)
	return d
}

// defineGroupLocked makes g the newest state of a group whose state was old, nil if
// there was none. What changes nothing is not logged.
func (e *Engine) defineGroupLocked(old *group, g *record.Group) error {
	if old != nil && slices.Equal(old.Endpoints, g.Endpoints) && slices.Equal(old.Header, g.Header) {
		return nil
	}
	if err := e.busyWith(); err != nil {
		return err
	}
	g.Updated, g.Old, g.OldLen = e.wallMillis(), 0, 0
	if old != nil {
		g.Old, g.OldLen = old.pos, old.len
	}
	if err := e.checkGroup(g); err != nil {
		return err
	}
	p := g.Append(nil)
	now, err := decodeGroup(0, p) // a copy: what the caller gave ends with its request
	if err != nil {
		return err
	}
	if err := e.groups.admit(old, now); err != nil {
		return err
	}
	if now.pos, err = e.appendDefinition(p, wal.Producer); err != nil {
		return err
	}
	e.groups.put(now)
	return nil
}

// checkGroup checks the bounds of one group.
func (e *Engine) checkGroup(g *record.Group) error {
	text, header := 0, 0
	for i := range g.Endpoints {
		text += len(g.Endpoints[i].URL) + len(g.Endpoints[i].Name)
	}
	for i := range g.Header {
		header += len(g.Header[i].Name) + len(g.Header[i].Value)
	}
	switch {
	case len(g.Endpoints) > GroupEndpointsMax:
		return quotaError("quota maxEndpointsPerTopic exceeded. Maximum allowed: %d", GroupEndpointsMax)
	case text > groupTextMax:
		return limitError("invalid endpoints: the URLs and names of topic %s together exceed %d bytes", g.Name, groupTextMax)
	case header > groupHeaderMax:
		return limitError("invalid headers: the names and values of topic %s together exceed %d bytes", g.Name, groupHeaderMax)
	}
	return nil
}

// admit checks the bounds of all groups together, with g in the place of old.
func (s *groups) admit(old, g *group) error {
	count, bytes := s.size()
	if old != nil {
		count, bytes = count-1, bytes-old.weight()
	}
	switch {
	case count >= GroupsMax:
		return quotaError("quota maxTopics exceeded. Maximum allowed: %d", GroupsMax)
	case bytes+g.weight() > groupsWeightMax:
		return quotaError("quota of the topics' endpoints and headers exceeded. Maximum allowed in all: %d bytes", groupsWeightMax)
	}
	return nil
}

// dropGroupLocked deletes a group. It may use the log's reserve, since it makes room.
func (e *Engine) dropGroupLocked(g *group) error {
	d := record.DropGroup{User: g.User, Name: g.Name, Old: g.pos, OldLen: g.len}
	if _, err := e.appendDefinition(d.Append(nil), wal.Lazy); err != nil {
		return err
	}
	e.groups.drop(UserID(g.User), g.Name)
	return nil
}

// appendDefinition logs a record and returns when it is durable, for as long as a disk
// that hangs takes: memory must say what the log says. Nothing is begun while it hangs.
func (e *Engine) appendDefinition(p []byte, class wal.Class) (lsn uint64, err error) {
	if err := e.Ready(); err != nil {
		return 0, err
	}
	t, err := e.log.Reserve(len(p), class)
	if err != nil {
		return 0, refusal(err)
	}
	copy(t.Buf, p)
	e.log.Done(&t)
	err = e.log.Wait(&t)
	if errors.Is(err, wal.ErrStalled) {
		err = e.log.Commit()
	}
	if err != nil {
		return 0, logError(err)
	}
	return uint64(t.LSN), nil
}
