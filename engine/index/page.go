package index

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/record"
)

// Page is a slice of a lane's pending rows.
type Page struct {
	Rows []record.Row
	Next Cursor // the first row that is not in Rows
	More bool   // there is such a row, so far as the index has applied
	// Applied is the LSN that this page reflects: nothing is concluded from it
	// about later records.
	Applied uint64
	Stepped int // keys that were looked at for it, deleted ones included (X4)
}

// ReadPage reads up to limit rows of a lane, from the cursor on, whose order is no
// greater than maxOrder: that are due no later than that (unix ms) or, in a queue, whose
// turn is not after it. It seeks to the cursor, so that no iteration
// starts inside a consumed range (X4).
func (x *Index) ReadPage(lane uint64, from Cursor, maxOrder int64, limit int, rows []record.Row) (Page, error) {
	leave, err := x.enter()
	if err != nil {
		return Page{}, err
	}
	defer leave()
	snap := x.db.NewSnapshot()
	defer snap.Close()
	var pos Position // zero as long as nothing was applied
	if _, err := get(snap, []byte{kindApplied}, func(v []byte) error { return decodePosition(v, &pos) }); err != nil {
		return Page{}, err
	}
	p := Page{Rows: rows[:0], Applied: pos.LSN}
	it, err := snap.NewIter(&pebble.IterOptions{
		LowerBound: pendingKey(nil, lane, from.Due, from.Seq),
		UpperBound: append(pendingKey(nil, lane, -1, ^uint64(0)), 0),
	})
	if err != nil {
		return Page{}, err
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		var r record.Row
		if err := decodeRow(it.Value(), &r); err != nil {
			return Page{}, err
		}
		if len(p.Rows) == limit || r.Order() > maxOrder {
			p.Next, p.More = pendingCursor(it.Key()), true
			break
		}
		p.Rows = append(p.Rows, r)
	}
	stats := it.Stats()
	p.Stepped = int(stats.InternalStats.PointCount)
	return p, it.Error()
}
