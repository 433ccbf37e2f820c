package main

import (
	"bytes"
	"encoding/json"
)

// lineReport is a callback, or a failure callback: one message for each outcome, so that
// whatever crashes its id is one and the same (P23, W9).
type lineReport struct {
	id    string
	tries tries
	done  bool   // answered with 200
	dlqID string // a failure callback's
}

// reportBody is what is read of a callback (QSTASH.md §7).
type reportBody struct {
	Status, Retried, MaxRetries         int
	SourceMessageID, URL, Method, DLQID string
	Body, SourceBody                    []byte
}

// report returns the callback that a request is an attempt of.
func (c *lineCopy) report(r *lineRequest) *lineReport {
	if r.kind == kindFailure {
		return &c.failed
	}
	return &c.reports[r.reports]
}

// reported says whether all callbacks of a copy whose last attempt was answered have come.
func (c *lineCopy) reported(s *lineSpec) bool {
	for i := range c.reports {
		if s.callback && !c.reports[i].done {
			return false
		}
	}
	return c.failed.done || !s.failure || !s.exhausted()
}

// reportLocked checks a callback: it comes after the attempt it reports was answered, and
// says how. The first attempt of one in eight fails.
func (b *lineBook) reportLocked(r *lineRequest, m *lineMessage) {
	var j reportBody
	if err := json.Unmarshal(r.body, &j); err != nil {
		b.complainLocked("callback", "one of message %d: %v", m.seq, err)
		m.open, r.m = m.open-1, nil
		return
	}
	c := &m.copies[r.copy]
	want := lineRequest{seq: m.seq, copy: r.copy, retried: j.Retried}
	switch {
	case j.Retried < 0 || j.Retried >= len(c.answered) || c.answered[j.Retried] == 0:
		b.complainLocked("callback", "one of attempt %d of message %d came before that was answered", j.Retried, m.seq)
		m.open, r.m = m.open-1, nil
		return
	case j.Status != c.answered[j.Retried] || string(j.Body) != want.answerText() || j.MaxRetries != m.retries:
		b.complainLocked("callback", "attempt %d of message %d, answered with %d, is reported as %+v", j.Retried, m.seq, c.answered[j.Retried], j)
	case j.SourceMessageID != c.id || !bytes.Equal(j.SourceBody, b.body(m.seq)) || j.Method != "POST":
		b.complainLocked("callback", "message %d, with the id %s, is reported as %+v", m.seq, c.id, j)
	case r.kind == kindCallback && (!m.callback || j.DLQID != ""), r.kind == kindFailure && (!m.failure || !m.exhausted() || j.DLQID == ""):
		b.complainLocked("callback", "%s of message %d, which is %+v: %+v", r.kind, m.seq, m.lineSpec, j)
	case r.kind == kindFailure && j.Retried != m.retries:
		b.complainLocked("callback", "the failure of message %d is reported after attempt %d", m.seq, j.Retried)
	}
	r.reports = j.Retried
	b.reportTriedLocked(r, m, c.report(r), j.DLQID)
	if (m.seq+uint64(j.Retried))%8 == 0 && r.retried == 0 {
		r.status = 503
	}
}

func (b *lineBook) reportTriedLocked(r *lineRequest, m *lineMessage, p *lineReport, dlqID string) {
	if p.id == "" {
		p.id, p.dlqID = r.id, dlqID
		if r.kind == kindFailure {
			b.failureCallbacks++
		} else {
			b.callbacks++
		}
	}
	if p.id != r.id || p.id == "" || p.dlqID != dlqID {
		b.complainLocked("callback", "attempt %d of message %d is reported by %s (%q) and %s (%q)", r.reports, m.seq, p.id, p.dlqID, r.id, dlqID)
	}
	again, wrong := p.tries.come(r.retried, b.life)
	if wrong != "" {
		b.complainLocked("twice", "%s of message %d: %s", r.kind, m.seq, wrong)
	}
	if again {
		b.repeated++
	}
}

// deadLetters returns what failure callbacks name: dead letter id to message id.
func (b *lineBook) deadLetters() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	dead := map[string]string{}
	for _, m := range b.messages {
		for i := range m.copies {
			if c := &m.copies[i]; c.failed.dlqID != "" {
				dead[c.failed.dlqID] = c.id
			}
		}
	}
	return dead
}

// reportedURL is the URL that a callback is about.
func reportedURL(body []byte) string {
	var j struct{ URL string }
	_ = json.Unmarshal(body, &j) // reportLocked complains
	return j.URL
}
