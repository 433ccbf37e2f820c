package engine

import (
	"testing"
	"time"
)

// delayed publishes one message of a simulation and makes it durable.
func (s *sim) delayed(url string, d time.Duration) *simMessage {
	s.t.Helper()
	m := &simMessage{created: s.now, due: s.now + d.Milliseconds(), starts: map[int]int{}, life: s.crashes}
	s.submit(&Publish{User: 1, URL: url, Delay: d}, m)
	s.commit()
	s.healthy()
	return m
}

// healthy fails the test on what the simulator has found.
func (s *sim) healthy() {
	s.t.Helper()
	if s.failed != nil {
		s.t.Fatal(s.failed)
	}
}

// TestClockIsReadBeforeTheWire is T3: the clock may be set back after the core has
// decided that a message is due and before a worker has come to it. The attempt is
// not made then, uses up no retry, and comes when the clock says so again.
func TestClockIsReadBeforeTheWire(t *testing.T) {
	s := newSim(t, 1, simConfig{resident: 100})
	defer s.abandon()
	m := s.delayed("http://one.example/", 5*time.Second)
	s.advance(5000)
	if len(s.flights) != 1 {
		t.Fatalf("%d attempts start when the message is due", len(s.flights))
	}
	s.now--
	s.land()
	s.healthy()
	if m.ended {
		t.Fatal("attempted a millisecond before its time, by the clock as it reads")
	}
	s.advance(0)
	if len(s.flights) != 0 {
		t.Fatal("starts again before its time")
	}
	s.advance(1)
	if len(s.flights) != 1 || s.flights[0].attempt != 1 {
		t.Fatalf("when it is due again: %+v", s.flights)
	}
	s.land()
	s.healthy()
	if !m.ended {
		t.Error("not attempted when it was due again")
	}
}

// TestClockBackProvesNoHost: a host that answered at a time that the clock has not
// reached again is not taken for one that answers (L4): for as long as the step was,
// it could hold all its permits and hang.
func TestClockBackProvesNoHost(t *testing.T) {
	b := newBareCore(t, 100)
	b.message(1, bareNow)
	ok := &attemptResult{success: true, answered: true}
	first := b.after(0).starts[0]
	b.after(0, event{kind: evFinished, slot: first.slot, result: ok})
	h := &b.hosts[b.byHost[7]]
	h.inflight, b.inflight = 20, 900 // a hundred are free: a tenth of them for a host that may hang
	if !b.permit(h) {
		t.Error("a host that has just answered is held to a share of what is free")
	}
	b.after(-24 * time.Hour)
	if b.permit(h) {
		t.Error("after the clock was set back by a day, it counts as having just answered")
	}
}
