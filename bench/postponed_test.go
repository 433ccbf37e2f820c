package bench

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// TestPostponed: the first whose time has come is the next; there is room for so many.
func TestPostponed(t *testing.T) {
	var refused atomic.Int64
	p := postponed{refused: &refused}
	busy := func(after time.Duration) error { return &refusal{status: 503, later: true, after: after} }
	for _, err := range []error{nil, errStopped, &refusal{status: 503}, &refusal{status: 400, later: true}} {
		if p.put(owed{}, err) {
			t.Errorf("%v was taken for a refusal that asks for the message again", err)
		}
	}
	if _, ok, err := p.next(true, nil); ok || err != nil {
		t.Fatalf("nothing is kept: %v, %v", ok, err)
	}
	if !p.put(owed{seq: 1}, busy(time.Hour)) || !p.put(owed{seq: 2}, busy(0)) || !p.put(owed{seq: 3}, busy(time.Minute)) {
		t.Fatal("a refusal was not kept")
	}
	if m, ok, err := p.next(true, nil); m.seq != 2 || !ok || err != nil {
		t.Fatalf("next: %+v, %v, %v, want 2", m, ok, err)
	}
	if _, ok, err := p.next(false, nil); ok || err != nil {
		t.Fatalf("one whose time has not come: %v, %v", ok, err)
	}
	stop := make(chan struct{})
	close(stop)
	if _, _, err := p.next(true, stop); !errors.Is(err, errStopped) {
		t.Fatalf("error %v, want %v", err, errStopped)
	}
	for len(p.each) < postponedMost {
		p.put(owed{}, busy(0))
	}
	if p.put(owed{}, busy(0)) || refused.Load() != postponedMost+2 {
		t.Fatalf("one more than %d was kept, or %d refusals were counted", postponedMost, refused.Load())
	}
}
