package engine

import "github.com/tidemill/tidemill/engine/record"

// simEnd is what committed outcomes say of a message. No power cut takes that back.
type simEnd struct {
	attempts int         // that count
	kind     record.Kind // how it ended
	over     bool
}

// observeEnd takes a committed outcome.
func (s *sim) observeEnd(p []byte) error {
	var o record.Outcome
	if err := record.DecodeOutcomeHead(p, &o); err != nil {
		return err
	}
	m := s.messages[MessageID(o.Seq, o.Nonce)]
	switch {
	case m == nil:
		s.fail("S5: outcome %v of an unknown message at %d", o.Kind, o.Seq)
	case m.log.over:
		s.fail("S6: %s ends twice, as %v and as %v", m.id, m.log.kind, o.Kind)
	case o.Kind.Final():
		m.log.over, m.log.kind = true, o.Kind
	default:
		m.log.attempts = max(m.log.attempts, int(o.Attempt))
	}
	return nil
}

// checkStart is S6 and S7 across power cuts.
func (s *sim) checkStart(m *simMessage, cmd *startCommand) {
	switch {
	case m.log.over:
		s.fail("S6: %s starts attempt %d after its end is durable", m.id, cmd.attempt)
	case cmd.attempt <= m.log.attempts:
		s.fail("S7: %s starts attempt %d, and %d have durable outcomes", m.id, cmd.attempt, m.log.attempts)
	}
}

// checkEnd is S1 for one message when all is over. isDead says that there is, or was
// until it was deleted or retried, a dead letter of it.
func (s *sim) checkEnd(m *simMessage, isDead bool) {
	if !m.acked {
		return
	}
	switch e := m.log; {
	case !e.over:
		s.fail("S1: %s was acked, and the log does not say how it ended", m.id)
	case e.kind == record.Delivered && !m.ended:
		s.fail("S1: %s counts as delivered and never was", m.id)
	case e.kind == record.Canceled && !m.maybe:
		s.fail("S1: %s counts as canceled, and nobody asked for that", m.id)
	case e.kind == record.Dead && !isDead:
		s.fail("S1: %s is dead and no dead letter", m.id)
	}
}

// checkUndamaged: the simulator's disk loses what was not synced and damages nothing,
// so a record that cannot be read is one that was written or looked for wrongly. The
// engine would make a dead letter of it and go on.
func (s *sim) checkUndamaged(cmd *startCommand) {
	if n := s.e.health.messages.Load(); n > 0 {
		s.fail("S3: the record of message %d at %d counts as damaged", cmd.row.Seq, cmd.row.Pos)
	}
}
