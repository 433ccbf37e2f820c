package index

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tidemill/tidemill/engine/record"
)

// Recount makes the summaries of lanes, queues and flow-control keys, and the counts of
// live bytes, agree with the rows. They are kept by counting publishes and outcomes,
// which is right as long as each outcome's publish was counted; a log of which a repair
// gave up records holds outcomes of messages that nobody published. A summary that
// counts too few would hide other messages of its lane. Recount reads every row, so it is
// for the end of a replay that came across such a gap. The batch must be flushed; what
// has changed is written by one of its own.
func (a *Applier) Recount() error {
	if a.Open() {
		return fmt.Errorf("index: BUG: recount with an open batch")
	}
	a.clearCounts()
	err := a.x.scan([]byte{kindPending}, []byte{kindPending + 1}, func(k, v []byte) error {
		var r record.Row
		if err := decodeRow(v, &r); err != nil || len(k) != 25 {
			return errBadValue
		}
		a.recountRow(&r)
		return nil
	})
	if err == nil {
		err = a.recountBytes()
	}
	if err != nil {
		return fmt.Errorf("recount what the index summarizes: %w", err)
	}
	return a.Flush()
}

// clearCounts marks every summary for writing, with a count of nothing.
func (a *Applier) clearCounts() {
	for _, id := range inOrder(a.lanes) {
		a.lane(id).Count = 0
	}
	for _, id := range inOrder(a.queues) {
		a.queues[id].Count = 0
		a.touchQueue(a.queues[id])
	}
	for _, id := range inOrder(a.flows) {
		a.flows[id].Count = 0
		a.touchFlow(a.flows[id])
	}
	for _, user := range slices.Sorted(maps.Keys(a.accounts.byUser)) {
		a.account(user).pending = 0
	}
	a.pendingSeen.Store(0)
	for _, id := range inOrder(a.pulls.byID) {
		q := a.pulls.byID[id]
		q.Count, q.Visible, q.Leased = 0, 0, 0
		a.touchPull(q)
	}
	for _, s := range inOrder(a.live.bytes) {
		a.live.add(s<<32, -a.live.bytes[s])
	}
}

func (a *Applier) recountRow(r *record.Row) {
	l := a.lane(r.Lane)
	if l.Count == 0 { // rows of a lane come in their order
		l.Lane = laneWith(r)
		l.low = math.MaxInt64
	}
	l.Count++
	a.pend(r.User, 1)
	if q := a.queues[r.Queue]; q != nil {
		q.Count++
	}
	if f := a.flows[r.Flow]; f != nil {
		f.Count++
	}
	if r.Pull.Published != 0 {
		q := a.pullOf(r.Host)
		q.Count++
		q.appear(r.Due, r.Pull.Lease != 0)
	}
	a.gain(r.Pos, r.Len)
}

// recountBytes counts what stands in the log besides pending messages. What is left over
// by now of queues and flow-control keys is taken out again when the batch ends.
func (a *Applier) recountBytes() error {
	if err := a.x.AllDead(func(d *Dead) error {
		a.gain(d.Place(), d.Row.Len)
		a.gain(d.Out, d.Len)
		return nil
	}); err != nil {
		return err
	}
	if err := a.x.Schedules(func(s *Schedule) error {
		a.gain(s.Pos, s.Len)
		return nil
	}); err != nil {
		return err
	}
	for _, id := range inOrder(a.queues) {
		a.stands(a.queues[id].Pos, a.queues[id].Len)
	}
	for _, id := range inOrder(a.flows) {
		a.stands(a.flows[id].Pos, a.flows[id].Len)
	}
	for _, id := range inOrder(a.pulls.byID) {
		a.stands(a.pulls.byID[id].Pos, a.pulls.byID[id].Len)
	}
	return a.x.Groups(func(g *Group) error {
		a.gain(g.Pos, g.Len)
		return nil
	})
}

// stands counts a definition in if it has a record.
func (a *Applier) stands(pos uint64, n uint32) {
	if pos != 0 {
		a.gain(pos, n)
	}
}

// inOrder returns the keys of what is kept by number: no map order reaches the disk.
func inOrder[V any](m map[uint64]V) []uint64 { return slices.Sorted(maps.Keys(m)) }
