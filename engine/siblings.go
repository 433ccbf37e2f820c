package engine

import (
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Siblings returns the ids of all messages of the publish whose first message is id, in
// the order of the group's endpoints, those that have ended included. Of a publish to one
// URL, for the id of a later message, and once the log has given up the record that says
// more, that is the id alone. It is ErrNotFound for what is neither pending nor in history.
func (e *Engine) Siblings(u UserID, id string) ([]string, error) {
	seq, nonce, err := parseMessageID(id)
	if err != nil {
		return nil, ErrNotFound
	}
	if err := e.catchUp(); err != nil {
		return nil, err
	}
	// The first may be forgotten: any that is not knows the others, and the nonce of the
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
// nonce. It returns nothing if that is not known, or of another publish.
func (e *Engine) siblingsAt(u UserID, seq, nonce, n uint64) ([]string, error) {
	known := false
	for range readTries { // it may be moved between the two reads
		row, ok, err := e.knownMessage(seq + n)
		if err != nil {
			return nil, err
		}
		if !ok || UserID(row.User) != u || n == 0 && row.Nonce != nonce {
			return nil, nil
		}
		p, err := e.readRecord(row.Pos, int(row.Len))
		if err == nil {
			return fanoutIDs(p, seq, nonce, n, row.Nonce)
		}
		if !errors.Is(err, wal.ErrNotFound) {
			return nil, err
		}
		known = n == 0
	}
	if !known {
		return nil, nil
	}
	return []string{MessageID(seq, nonce)}, nil // it has ended, and its record is gone
}

// knownMessage returns the row of a message that is pending, or what history has of its
// row: where its record stood, and whose it is.
func (e *Engine) knownMessage(seq uint64) (row record.Row, ok bool, err error) {
	if row, ok, err = e.idx.Row(seq); ok || err != nil {
		return row, ok, indexError(err)
	}
	var h index.History
	if ok, err = e.idx.HistoryRow(seq, &h); !ok || err != nil || h.Created == nil {
		return row, false, indexError(err)
	}
	return record.Row{Seq: seq, Nonce: h.Nonce, User: h.User, Pos: h.Pos, Len: h.Len}, true, nil
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
