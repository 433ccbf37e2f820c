package engine

import (
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// keepToken logs a token again if this is where its record stands (W10). No change comes
// between looking and the copy's being durable.
func (e *Engine) keepToken(lsn uint64, p []byte) error {
	var r record.Token
	if err := record.DecodeToken(p, &r); err != nil {
		return err
	}
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	now := e.users.set.Load().tokens[r.ID()]
	if now == nil || now.pos != lsn {
		return nil
	}
	at, err := e.copyDefinition(p)
	if err != nil {
		return err
	}
	s := e.users.set.Load().clone()
	c := *now
	c.pos = at
	s.tokens[r.ID()] = &c
	e.users.set.Store(s)
	return nil
}

// keepDropUser logs what the newest deletion of an account says of the numbers that were
// given. The account itself stays deleted: what made it stands before the deletion.
func (e *Engine) keepDropUser(lsn uint64, p []byte) error {
	var d record.DropUser
	if err := record.DecodeDropUser(p, &d); err != nil {
		return err
	}
	e.users.mu.Lock()
	defer e.users.mu.Unlock()
	set := e.users.set.Load()
	if set.dropped != lsn {
		return nil
	}
	d.User = 0
	at, err := e.copyDefinition(d.Append(nil))
	if err != nil {
		return err
	}
	s := *set
	s.dropped = at
	e.users.set.Store(&s)
	return nil
}

// copyDefinition appends a record at the head, with the room that reclaiming has, and
// returns where it stands when it is durable.
func (e *Engine) copyDefinition(p []byte) (uint64, error) {
	t, err := e.log.Reserve(len(p), wal.Reclaiming)
	if err != nil {
		return 0, err
	}
	at := uint64(t.LSN)
	copy(t.Buf, p)
	e.log.Done(&t)
	return at, e.log.Commit()
}
