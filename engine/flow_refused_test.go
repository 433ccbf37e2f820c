package engine

import (
	"errors"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
)

// TestRefusedFlowIsForgotten: a key that was made by a request that the log had no room
// for leaves nothing behind, no timer either: its slot may be another key's by then.
func TestRefusedFlowIsForgotten(t *testing.T) {
	b := newBareCore(t, 100)
	b.askFlow(&flowRequest{ask: flowPause, user: 1, key: "k", done: func(error) {}})
	if len(b.out.flows) != 1 {
		t.Fatalf("%d records are logged, want 1", len(b.out.flows))
	}
	full := errors.New("no room")
	b.flowRefused(b.out.flows[0], full)
	if d := b.out.flowed; len(d) != 1 || !errors.Is(d[0].err, full) {
		t.Errorf("the answers are %v", d)
	}
	if _, ok := b.flows.byID[record.FlowID(1, "k")]; ok || b.wheel.Len() > 0 {
		t.Errorf("the key is known: %v, with %d timers", ok, b.wheel.Len())
	}
}
