package engine

import (
	"testing"
	"time"
)

// TestAdmission: as long as deliveries are late for want of processor, publishes come in
// at the rate of attempts, more while the wait is short, and all of them afterwards.
func TestAdmission(t *testing.T) {
	var a admission
	now := int64(bareNow)
	wall := func() int64 { return now }
	accepted := func(offered int) (n int) {
		for range offered {
			if a.admit(wall) {
				n++
			}
		}
		return n
	}
	// run lets so many ms pass, each with ten attempts that are late and twenty publishes.
	run := func(ms int, late time.Duration) (n int) {
		for range ms {
			now++
			a.observe(now, late, 10)
			n += accepted(20)
		}
		return n
	}
	about := func(what string, got, want int) {
		t.Helper()
		if got < want*95/100 || got > want*105/100 {
			t.Errorf("%s: %d accepted, want about %d", what, got, want)
		}
	}
	about("nothing is too late", run(1000, lateMax), 20_000)
	run(10_000, lateMax+time.Millisecond)
	about("attempts are a second late", run(1000, lateMax+time.Millisecond), 5000)
	if !a.pressed(now) || a.pressed(now+2000) || a.pressed(now-1) {
		t.Error("pressed, or not")
	}
	run(10_000, lateMax/2)
	about("they are half a second late", run(1000, lateMax/2), 10_000)
	for range 5 { // one after the other begins early and late
		run(100, 0)
		run(100, lateMax)
	}
	about("the wait jumps", run(100, 0)+run(100, lateMax), 2000)

	now += 3
	a.observe(now, lateMax/2, 100*tokensMax)
	for range 1000 {
		now++
		a.observe(now, lateMax/2, 100)
	}
	if n := accepted(3 * tokensMax); n != tokensMax {
		t.Errorf("%d accepted in a burst", n)
	}
	for range 60_000 {
		now++
		a.observe(now, lateMax, 0)
		accepted(1)
	}
	if n := run(1, lateMax); n > 2 {
		t.Errorf("no attempt began for a minute: %d accepted", n)
	}
	for range int(10 * calmAfter.Milliseconds()) { // nothing is refused
		now++
		a.observe(now, 0, 1)
	}
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
