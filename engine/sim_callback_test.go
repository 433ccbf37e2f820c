package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// simReport is what a message says of a callback that it wants.
type simReport struct {
	url     string
	retries int
	delay   int64 // ms
	flow    uint64
	failure bool // it wants to have its own failure reported
}

// reportOf returns what a template says, nil if there is none.
func reportOf(template []byte) (*simReport, error) {
	if len(template) == 0 {
		return nil, nil
	}
	var m record.Message
	if err := record.DecodeMessage(template, &m); err != nil {
		return nil, err
	}
	return &simReport{strings.Clone(m.URL), int(m.Retries), m.Due, m.Flow, len(m.Failure) > 0}, nil
}

func (s *sim) chooseCallback() *Callback {
	cb := &Callback{URL: fmt.Sprintf("http://h%d.example/cb", s.rng.IntN(5)), Retries: InheritRetries}
	if s.rng.IntN(3) == 0 {
		cb.Delay = time.Duration(s.rng.Int64N(5000)) * time.Millisecond
	}
	if s.rng.IntN(4) == 0 {
		cb.Flow = s.chooseFlow()
	}
	if s.rng.IntN(4) == 0 {
		cb.Failure = &Callback{URL: "http://h1.example/cbf", Retries: s.rng.IntN(2)}
	}
	return cb
}

// owed returns the callbacks that an outcome owes, in their order.
func (l *simLine) owed(kind record.Kind) (out []*simReport) {
	if l.callback != nil && kind != record.Canceled {
		out = append(out, l.callback)
	}
	if l.failure != nil && kind == record.Dead {
		out = append(out, l.failure)
	}
	return out
}

// observeReports is S18 for one outcome.
func (s *sim) observeReports(lsn uint64, o *record.Outcome, l *simLine, src *simMessage) error {
	if l.callback != nil && o.Kind != record.Canceled && int(o.Attempt) != l.reported+1 {
		s.fail("S18: %s of %s reports attempt %d after %d", o.Kind, src.id, o.Attempt, l.reported)
	}
	if o.Kind != record.Canceled {
		l.reported = int(o.Attempt)
	}
	owed := l.owed(o.Kind)
	if len(o.Callbacks) != len(owed) {
		s.fail("S18: %s of %s has %d callbacks, it owes %d", o.Kind, src.id, len(o.Callbacks), len(owed))
		return nil
	}
	for n, p := range o.Callbacks {
		var m record.Message
		if err := record.DecodeMessage(p, &m); err != nil {
			return err
		}
		s.checkCallback(o, l, src, owed[n], &m)
		if err := s.observeCallback(lsn, n, o, src, &m); err != nil {
			return err
		}
		if failure := m.Flags&record.FlagFailure != 0; failure != (owed[n] == l.failure) {
			s.fail("S18: callback %d of %s is for a failure, or is not", n, src.id)
		}
	}
	return nil
}

// checkCallback: a callback goes where its message said, and shares its turn.
func (s *sim) checkCallback(o *record.Outcome, l *simLine, src *simMessage, want *simReport, m *record.Message) {
	if got := (simReport{m.URL, int(m.Retries), m.Due - o.At, m.Flow, len(m.Failure) > 0}); got != *want {
		s.fail("S18: a callback of %s is %+v, it asked for %+v", src.id, got, *want)
	}
	if l.Queue == 0 {
		if m.Line.Queue != 0 {
			s.fail("S16: a callback of %s stands in a queue, and it did not", src.id)
		}
	} else if m.Line.Queue != l.Queue || m.Root != l.turn || m.Lane != l.lane {
		s.fail("S16: a callback of %s has a turn of its own: %+v", src.id, m.Line)
	}
}

func (s *sim) observeCallback(lsn uint64, n int, o *record.Outcome, src *simMessage, m *record.Message) error {
	failure := m.Flags&record.FlagFailure != 0
	body, err := renderReport(o, lsn, failure)
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(body, &r); err != nil {
		return err
	}
	switch answer, attempted := src.answers[int(o.Attempt)]; {
	case r.SourceMessageID != src.id || string(r.SourceBody) != string(src.body):
		s.fail("S18: a callback of %s reports %s, with a body of %d bytes for %d", src.id, r.SourceMessageID, len(r.SourceBody), len(src.body))
	case r.Status != answer || !attempted:
		s.fail("S18: a callback of %s reports %d for attempt %d, which was answered with %d", src.id, r.Status, o.Attempt, answer)
	case r.Retried != int(o.Attempt)-1 || r.MaxRetries != src.retries:
		s.fail("S18: a callback of %s reports %+v of %+v", src.id, r, o)
	case failure != (r.DLQID == deadID(o.At, lsn)):
		s.fail("S18: a callback of %s names the dead letter %q", src.id, r.DLQID)
	}
	s.lines.callbacks++
	if failure {
		s.lines.failures++
	}
	seq := lsn + 1 + uint64(n)
	if err := s.observeMessage(seq, m); err != nil {
		return err
	}
	s.expect(seq, m, body)
	return nil
}
