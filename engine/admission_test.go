package engine

import (
	"testing"
	"time"
)

// TestAdmission: as long as deliveries are late for want of processor, publishes come in
// at the rate of attempts, more while the wait is short, and all of them afterwards.
func TestAdmission(t *testing.T) {
	var a admission
	wall := func() int64 { return bareNow }
	accepted := func(offered int) (n int) {
		for range offered {
			if a.admit(wall) {
				n++
			}
		}
		return n
	}
	a.observe(bareNow, lateMax, 100)
	if n := accepted(50); n != 50 {
		t.Fatalf("%d of 50 accepted before anything is late", n)
	}
	a.observe(bareNow, lateMax+time.Millisecond, 100)
	if n := accepted(200); n != 50 || !a.pressed(bareNow) || a.pressed(bareNow+2000) || a.pressed(bareNow-1) {
		t.Errorf("%d accepted for 100 attempts while they are a second late, pressed: %v", n, a.pressed(bareNow))
	}
	a.observe(bareNow, lateMax/2, 100)
	if n := accepted(200); n != 100 {
		t.Errorf("%d accepted for 100 attempts that are half a second late", n)
	}
	a.observe(bareNow, lateMax/2, 100*tokensMax)
	if n := accepted(3 * tokensMax); n != tokensMax {
		t.Errorf("%d accepted in a burst", n)
	}
	a.observe(bareNow+lateMax.Milliseconds(), 0, 0)
	if accepted(1) != 0 {
		t.Error("it is over before nothing has waited for a while")
	}
	a.observe(bareNow+lateMax.Milliseconds()+1, 0, 0)
	if n := accepted(10_000); n != 10_000 {
		t.Errorf("%d of 10000 accepted when it is over", n)
	}
}
