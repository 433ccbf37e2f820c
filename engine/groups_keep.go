package engine

import (
	"cmp"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/wal"
)

// keepGroup adds a group's definition to what is to be copied if it is the newest.
func (e *Engine) keepGroup(lsn uint64, p []byte, batch *survivors) error {
	g, err := decodeGroup(lsn, p)
	if err != nil {
		return err
	}
	if now := e.groups.get(UserID(g.User), g.Name); now == nil || now.pos != lsn || plant.Bug("group-left-behind") {
		return nil
	}
	batch.bytes += len(p)
	batch.groups = append(batch.groups, g)
	return nil
}

// moveGroups logs definitions again that are still the newest. No change comes between
// looking and the copies' being durable: memory is to know where each stands, so that
// what comes next can say what it replaces.
func (e *Engine) moveGroups(gs []*group) error {
	if len(gs) == 0 {
		return nil
	}
	e.groups.change.Lock()
	defer e.groups.change.Unlock()
	copies := make([]*group, 0, len(gs))
	var refused error
	for _, g := range gs {
		now := e.groups.get(UserID(g.User), g.Name)
		if now == nil || now.pos != g.pos {
			continue
		}
		c, err := e.copyGroup(now)
		if err != nil {
			refused = err
			break
		}
		copies = append(copies, c)
	}
	if err := e.log.Commit(); err != nil {
		return err
	}
	for _, c := range copies {
		e.groups.put(c)
	}
	return refused
}

// copyGroup appends a definition at the head, in the place of where it stands.
func (e *Engine) copyGroup(g *group) (*group, error) {
	c := &group{Group: g.Group}
	c.Old, c.OldLen = g.pos, g.len
	p := c.Append(nil)
	t, err := e.log.Reserve(len(p), wal.Reclaiming)
	if err != nil {
		return nil, cmp.Or(tooLong(err), err)
	}
	copy(t.Buf, p)
	e.log.Done(&t)
	c.pos, c.len = uint64(t.LSN), uint32(len(p))
	e.reclaimer.moved.Add(int64(len(p)))
	return c, nil
}
