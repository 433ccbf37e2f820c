package engine

import (
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Siblings returns the ids of all messages of the publish whose first message is id, in
// the order of the group's endpoints, those that have ended included. Of a publish to one
// URL, and for the id of a later message, that is the id alone. It is ErrNotFound when
// none of them is pending.
func (e *Engine) Siblings(u UserID, id string) ([]string, error) {
	seq, nonce, err := parseMessageID(id)
	if err != nil {
		return nil, ErrNotFound
	}
	if err := e.catchUp(); err != nil {
		return nil, err
	}
	// The first may have ended: any that is pending knows the others, and the nonce of the
	// first says that it is this publish.
	for n := range uint64(record.MembersMax) {
		ids, err := e.siblingsAt(u, seq, nonce, n)
		if ids != nil || err != nil {
			return ids, err
		}
	}
	return nil, ErrNotFound
}

// siblingsAt looks at the n-th message of the publish whose first one has this seq and
// nonce. It returns nothing if that is not pending or of another publish.
func (e *Engine) siblingsAt(u UserID, seq, nonce, n uint64) ([]string, error) {
	for range readTries {
		row, ok, err := e.idx.Row(seq + n)
		if err != nil {
			return nil, indexError(err)
		}
		if !ok || UserID(row.User) != u || n == 0 && row.Nonce != nonce {
			return nil, nil
		}
		p, err := e.readRecord(row.Pos, int(row.Len))
		if errors.Is(err, wal.ErrNotFound) {
			continue // it was moved meanwhile
		}
		if err != nil {
			return nil, err
		}
		return fanoutIDs(p, seq, nonce, n, row.Nonce)
	}
	return nil, fmt.Errorf("%w: %s", ErrDamaged, MessageID(seq, nonce))
}

// fanoutIDs reads the ids out of the record p of the n-th message, whose nonce is own.
func fanoutIDs(p []byte, seq, nonce, n, own uint64) ([]string, error) {
	if t, err := record.TypeOf(p); err != nil || t != record.TypeFanout {
		if n > 0 || err != nil {
			return nil, err
		}
		return []string{MessageID(seq, nonce)}, nil
	}
	var f record.Fanout
	if err := record.DecodeFanout(p, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if f.Members[0].Nonce != nonce {
		if n > 0 {
			return nil, nil
		}
		return []string{MessageID(seq, nonce)}, nil
	}
	if n >= uint64(len(f.Members)) || f.Members[n].Nonce != own {
		return nil, nil
	}
	ids := make([]string, len(f.Members))
	for i := range f.Members {
		ids[i] = MessageID(seq+uint64(i), f.Members[i].Nonce)
	}
	return ids, nil
}
