package index

import (
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// Recount makes the lane summaries agree with the pending rows. Summaries are kept
// by counting publishes and outcomes, which is right as long as each outcome's
// publish was counted; a log of which a repair gave up records holds outcomes of
// messages that nobody published. A summary that counts too few would hide other
// messages of its lane. Recount reads every pending row, so it is for the end of a
// replay that came across such a gap. The batch must be flushed.
func (a *Applier) Recount() error {
	if a.Open() {
		return fmt.Errorf("index: BUG: recount with an open batch")
	}
	lanes := map[uint64]*lane{}
	err := a.x.scan([]byte{kindPending}, []byte{kindPending + 1}, func(k, _ []byte) error {
		if len(k) != 25 {
			return errBadValue
		}
		id, at := be.Uint64(k[1:]), pendingCursor(k)
		l := lanes[id]
		if l == nil { // rows of a lane come in order of their due time
			l = &lane{Lane: Lane{ID: id, First: at.Due}, low: math.MaxInt64}
			lanes[id] = l
		}
		l.Count++
		return nil
	})
	if err != nil {
		return fmt.Errorf("recount the lanes: %w", err)
	}
	b := a.x.db.NewBatch()
	defer b.Close()
	if err := b.DeleteRange([]byte{kindLane}, []byte{kindLane + 1}, nil); err != nil {
		return err
	}
	for id, l := range lanes {
		if err := b.Set(laneKey(nil, id), appendLane(nil, &l.Lane), nil); err != nil {
			return err
		}
	}
	a.lanes = lanes
	return a.x.db.Apply(b, pebble.NoSync)
}
