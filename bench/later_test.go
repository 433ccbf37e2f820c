package bench

import (
	"errors"
	"testing"
	"time"
)

// TestDeliverLater: some of the messages stay, and one of those that is delivered fails the run.
func TestDeliverLater(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	o := DeliverOptions{Common: quick(k.spawn(nil), 4), Hosts: 2, Later: 0.5}
	r, err := Deliver(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	run := &r.Runs[0]
	if len(run.Sides) != 1 || run.Sides[0].Messages == 0 || run.Sides[0].Failed != 0 {
		t.Fatalf("run %+v", run)
	}
	k.mu.Lock()
	kept := len(k.pending)
	for _, m := range k.pending {
		if wait := time.Until(m.due); wait < laterMin-time.Minute || wait > laterMax {
			t.Errorf("a message waits for %v", wait)
		}
	}
	k.mu.Unlock()
	if delivered := run.Sides[0].operations - int64(kept); kept == 0 || delivered < int64(kept)/2 || delivered > 2*int64(kept) {
		t.Errorf("%d messages stay, and about %d were delivered: want halves", kept, delivered)
	}
	o.Spawn = inProcess((&fake{deliver: true}).serve) // which knows no delay
	if _, err := Deliver(t.Context(), o); !errors.Is(err, ErrEarly) {
		t.Errorf("error %v, want %v", err, ErrEarly)
	}
}
