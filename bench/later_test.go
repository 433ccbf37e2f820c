package bench

import (
	"errors"
	"testing"
)

// TestDeliverLater: a server that delivers at once what is not due for an hour fails the run.
func TestDeliverLater(t *testing.T) {
	f := &fake{deliver: true}
	_, err := Deliver(t.Context(), DeliverOptions{Common: quick(inProcess(f.serve), 8), Hosts: 4, Later: 0.5})
	if !errors.Is(err, ErrEarly) {
		t.Errorf("%v, want ErrEarly", err)
	}
	for _, share := range []float64{-0.1, 1} {
		if _, err := Deliver(t.Context(), DeliverOptions{Common: quick(inProcess(f.serve), 8), Later: share}); err == nil {
			t.Errorf("a share of %g is taken", share)
		}
	}
}
