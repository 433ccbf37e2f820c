package engine

import "testing"

// TestAttemptAfterItsSegment: a worker may come to an attempt after the message was
// canceled and its segment given up. That is no damage: nothing is said of it, and
// nothing is attempted.
func TestAttemptAfterItsSegment(t *testing.T) {
	s := newSim(t, 1, simConfig{resident: 100})
	defer s.abandon()
	s.e.opts.noRecent = true
	m := s.delayed("http://one.example/", 0)
	s.advance(0)
	if len(s.flights) != 1 {
		t.Fatalf("%d attempts start", len(s.flights))
	}
	s.e.inbox.push(event{kind: evCancel, req: &cancelRequest{user: 1, seq: uint64(m.sub.ticket.LSN), nonce: m.sub.nonce, done: func(err error) {
		if m.canceled = err == nil; err != nil {
			t.Error(err)
		}
	}}})
	s.advance(0)
	s.commit()
	s.advance(0)
	for i := 0; i < 3; i++ { // the accounts are copied, then nothing in it counts
		s.applyAll()
		s.rotate()
		s.beginReclaim()
		s.advance(0)
		s.finishReclaim()
		s.rotate()
	}
	if _, err := s.e.log.Read(m.sub.ticket.LSN, 1, nil); err == nil || !m.canceled {
		t.Fatalf("canceled: %v; its record can still be read: %v", m.canceled, err)
	}
	s.land()
	s.advance(0)
	s.healthy()
	if n := s.e.health.messages.Load(); n != 0 || m.ended || len(s.flights) != 0 {
		t.Errorf("%d records count as damaged, on the wire: %v, %d more attempts", n, m.ended, len(s.flights))
	}
}
