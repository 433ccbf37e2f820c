package engine

import (
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// TestFlowRefusedLooksAgainLater: a block of permits that the log has no room for is not
// asked for again at once, which nothing would bound, but in a while.
func TestFlowRefusedLooksAgainLater(t *testing.T) {
	b := newBareCore(t, 100)
	key := record.FlowID(1, "k")
	f := b.flowOf(key)
	b.flows.list[f].user, b.flows.list[f].key, b.flows.list[f].pending = 1, "k", 1
	b.flows.list[f].rule = record.FlowRule{Rate: 10, Period: 60_000}
	r := record.Row{User: 1, Nonce: 1, Seq: 1, Pos: 1, Len: 100, Lane: 5, Host: 7, Due: bareNow, Line: record.Line{Flow: key}}
	b.place(&r)
	b.arrange(b.admit(b.laneOf(&r), &r, stTimer))
	out := b.after(0)
	if len(out.flows) != 1 {
		t.Fatalf("%d blocks are asked for, want 1", len(out.flows))
	}
	if out = b.after(0, event{kind: evFlowRefused, flowRecord: out.flows[0], err: wal.ErrNoSpace}); len(out.flows) != 0 {
		t.Fatal("a block that was refused is asked for again at once")
	}
	if out = b.after(flowRetry * time.Millisecond); len(out.flows) != 1 {
		t.Errorf("%d blocks are asked for after a while, want 1", len(out.flows))
	}
}

// TestFlowRefusedLeavesNothing: a pause of a key that nobody knows, for which the log has
// no room, leaves no key and no timer behind.
func TestFlowRefusedLeavesNothing(t *testing.T) {
	b := newBareCore(t, 100)
	var got error
	req := &flowRequest{ask: flowPause, user: 1, key: "k", done: func(err error) { got = err }}
	out := b.after(0, event{kind: evFlow, flow: req})
	out = b.after(0, event{kind: evFlowRefused, flowRecord: out.flows[0], err: wal.ErrNoSpace})
	if len(out.flowed) != 1 || out.flowed[0].err == nil || got != nil {
		t.Errorf("answered %+v", out.flowed)
	}
	if _, ok := b.nextTimer(); ok || len(b.flows.byID) != 0 {
		t.Errorf("%d keys are left, timer %v", len(b.flows.byID), ok)
	}
}

// TestFlowAnswersAllWhoWaited: one who waited for a key and turns out to have nothing to
// do there does not keep from their answers who came behind: reclaiming asks for each
// record of a key that it meets, all but one of which are of the past, and waits.
func TestFlowAnswersAllWhoWaited(t *testing.T) {
	b := newBareCore(t, 100)
	ask := func(a flowAsk, keep uint64) event {
		return event{kind: evFlow, flow: &flowRequest{ask: a, user: 1, key: "k", keep: keep}}
	}
	events := []event{ask(flowPause, 0)}
	for old := range uint64(5) {
		events = append(events, ask(flowKeep, old+1))
	}
	out := b.after(0, append(events, ask(flowResume, 0), ask(flowKeep, 6))...)
	answered := 0
	for len(out.flows) > 0 {
		p := out.flows[0].Append(nil)
		b.out.reset()
		b.lsn++
		if err := b.commit(b.lsn, p); err != nil {
			t.Fatal(err)
		}
		answered += len(b.out.flowed)
		out = &b.out
	}
	if answered != 8 || len(b.flows.byID) != 0 {
		t.Errorf("%d of 8 requests were answered, %d keys are left", answered, len(b.flows.byID))
	}
}
