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
	a.observe(bareNow+10, lateMax/2, 0)
	if accepted(1) != 0 {
		t.Error("no attempt starts, and they are still late: one was accepted")
	}
	a.observe(bareNow+20, 0, 0)
	if n := accepted(20); n != 10 {
		t.Errorf("%d accepted 10 ms after nothing is late any more", n)
	}
	calm := bareNow + calmAfter.Milliseconds() // the newest refusal was at bareNow
	a.observe(calm, 0, 0)
	if n := accepted(10 * tokensMax); n != int(lateMax.Milliseconds()) {
		t.Errorf("%d accepted before nothing was refused for a while", n)
	}
	a.observe(calm+1, 0, 0)
	if n := accepted(10 * tokensMax); n != 10*tokensMax {
		t.Errorf("%d of %d accepted when it is over", n, 10*tokensMax)
	}
}

// TestLateness: what is late because its host did not answer says nothing of the processor,
// as long as others begin in time.
func TestLateness(t *testing.T) {
	b := newBareCore(t, 10)
	b.pace.limit = 0
	b.turn.push(0) // somebody could begin, and may not
	at := func(d time.Duration, late ...int64) time.Duration {
		b.now += d.Milliseconds()
		got := b.lateness()
		for _, ms := range late {
			b.waits.began(ms)
		}
		return got
	}
	at(0)
	at(waitsStretch*time.Millisecond, 90_000, 20)
	if got := at(time.Millisecond); got != 20*time.Millisecond {
		t.Errorf("late by %v, one began 20 ms after it was due", got)
	}
	at(waitsStretch*time.Millisecond, 90_000)
	at(waitsStretch*time.Millisecond, 80_000)
	if got := at(time.Millisecond); got != 80*time.Second {
		t.Errorf("late by %v, all were late by 80 s and more for a second", got)
	}
	at(2 * waitsStretch * time.Millisecond)
	if got := at(waitsStretch * time.Millisecond); got != 0 {
		t.Errorf("late by %v, and nothing begins at all", got)
	}
	b.turn.pop()
	at(time.Millisecond, 5000)
	if got := at(time.Millisecond); got != 0 {
		t.Errorf("late by %v, and nobody waits", got)
	}
}

// TestLatenessInBursts: where the processor is what attempts wait for only now and then, it
// is not what makes them late.
func TestLatenessInBursts(t *testing.T) {
	for _, part := range []struct {
		short int64 // ms of every 50
		late  bool
	}{{10, false}, {40, true}} {
		b := newBareCore(t, 10)
		b.turn.push(0)
		most := time.Duration(0)
		for range 4 * waitsStretch / 50 {
			b.waits.began(5000)
			b.pace.limit = 0
			most = max(most, b.lateness())
			b.now += part.short
			b.pace.limit = 1
			most = max(most, b.lateness())
			b.now += 50 - part.short
		}
		if got := most > 0; got != part.late {
			t.Errorf("%d of 50 ms short of processor: late by %v", part.short, most)
		}
	}
}
