package engine

import (
	"testing"

	"github.com/tidemill/tidemill/engine/record"
)

// keyed makes a message with a flow-control key resident, due now.
func (b *bareCore) keyed(seq uint64, rule record.FlowRule) *flow {
	b.t.Helper()
	id := record.FlowID(1, "k")
	r := record.Row{
		User: 1, Nonce: seq, Seq: seq, Pos: seq, Len: 100, Lane: record.FlowLane(id, 7), Host: 7, Due: b.now, Line: record.Line{Flow: id},
	}
	b.heardFlow(&r, &record.LineNames{FlowKey: []byte("k"), FlowRule: rule})
	if !b.place(&r) {
		b.t.Fatalf("message %d found no place", seq)
	}
	b.arrange(b.admit(b.laneOf(&r), &r, stTimer))
	return &b.flows.list[b.flows.byID[id]]
}

// TestFlowViewCountsWhatWaitsForABlock: a message that is due takes its permit before its
// publish is answered, so a view shows it though the permits of a long window have still
// to be logged; and once they are, it is not counted twice.
func TestFlowViewCountsWhatWaitsForABlock(t *testing.T) {
	for _, sliding := range []bool{false, true} {
		b := newBareCore(t, 100)
		f := b.keyed(50, record.FlowRule{Rate: 10, Period: 60_000, Sliding: sliding})
		out := b.after(0)
		if len(out.flows) != 1 || len(out.starts) != 0 {
			t.Fatalf("%d records and %d attempts, want a record first", len(out.flows), len(out.starts))
		}
		block := out.flows[0].Append(nil)
		check := func(when string) {
			t.Helper()
			i := b.flowInfo(f)
			if i.Count != 1 || i.Waiting != 0 || i.PeriodStart.UnixMilli() != bareNow {
				t.Errorf("sliding %v, %s: %d count, %d wait, the period began at %v", sliding, when, i.Count, i.Waiting, i.PeriodStart)
			}
		}
		check("before the block is durable")
		b.out.reset()
		b.lsn++
		if err := b.commit(b.lsn, block); err != nil {
			t.Fatal(err)
		}
		if out := b.after(0); len(out.starts) != 1 {
			t.Fatalf("%d attempts start", len(out.starts))
		}
		check("in flight")
	}
}

// TestFlowViewAfterRestart: a short window counts as used up until it is certainly over.
func TestFlowViewAfterRestart(t *testing.T) {
	b := newBareCore(t, 100)
	b.flows.began = b.now
	f := b.keyed(50, record.FlowRule{Rate: 3, Period: 5000})
	if out := b.after(0); len(out.starts) != 0 {
		t.Fatal("an attempt starts in a window of which nothing is known")
	}
	if i := b.flowInfo(f); i.Count != 3 || i.Waiting != 1 || i.PeriodStart.UnixMilli() != bareNow {
		t.Errorf("%d count, %d wait, the period began at %v", i.Count, i.Waiting, i.PeriodStart)
	}
	if out := b.after(5e9); len(out.starts) != 1 {
		t.Fatal("nothing starts when it is over")
	}
	if i := b.flowInfo(f); i.Count != 1 || i.Waiting != 0 || i.PeriodStart.UnixMilli() != bareNow+5000 {
		t.Errorf("then %d count, %d wait, the period began at %v", i.Count, i.Waiting, i.PeriodStart)
	}
}
