package engine

import (
	"crypto/sha256"
	"encoding/hex"
)

// Redaction (QSTASH.md §10) is about what is shown: the log has the originals, which are
// delivered, reported by callbacks, retried and compared for deduplication. Whatever the
// engine returns to the owner of a message goes through redact, so that no route can
// forget it; an operator's export has the originals. What a destination answered is not
// the message's, and shown as it is.
//
// A callback holds in its body what it reports, so it is redacted as the message that it
// reports of, and its body if anything is.

// checkLabels checks labels and redaction of a publish.
func checkLabels(p *Publish) error {
	if len(p.Labels) > LabelsMax {
		return limitError("Upstash-Label has more than %d labels", LabelsMax)
	}
	for _, l := range p.Labels {
		if l == "" || len(l) > LabelMax {
			return limitError("Upstash-Label: a label must have 1 to %d bytes", LabelMax)
		}
	}
	if len(p.Redact.Names) > RedactNamesMax {
		return limitError("Upstash-Redact-Fields names more than %d headers", RedactNamesMax)
	}
	for _, n := range p.Redact.Names {
		if n == "" {
			return limitError("Upstash-Redact-Fields: a header has no name")
		}
	}
	return nil
}

// redacted is what a view shows in the place of v: the SHA-256 of its bytes, in lower
// case.
func redacted[T string | []byte](v T) string {
	sum := sha256.Sum256([]byte(v))
	return "REDACTED:" + hex.EncodeToString(sum[:])
}

// redactBody returns what a view shows of a body. There is nothing to hide of one that is
// empty: it is not shown.
func redactBody(r *Redact, body []byte) []byte {
	if !r.Body || len(body) == 0 {
		return body
	}
	return []byte(redacted(body))
}

// redactHeader replaces the values that a view must not show, in place.
func redactHeader(r *Redact, hs []Header) {
	for i := range hs {
		if r.Header(hs[i].Name) {
			hs[i].Value = redacted(hs[i].Value)
		}
	}
}

func (c *CallbackInfo) redact(r *Redact) {
	if c != nil {
		redactHeader(r, c.Header)
	}
}

// redact hides what the message's publisher asked to.
func (v *Message) redact() {
	v.Body = redactBody(&v.Redact, v.Body)
	redactHeader(&v.Redact, v.Header)
	v.Callback.redact(&v.Redact)
	v.Failure.redact(&v.Redact)
}

// redact hides what the schedule's owner asked to.
func (v *ScheduleInfo) redact() {
	v.Body = redactBody(&v.Redact, v.Body)
	redactHeader(&v.Redact, v.Header)
	v.Callback.redact(&v.Redact)
	v.Failure.redact(&v.Redact)
}

// redactOfCallback is the redaction of a callback of a message with r.
func redactOfCallback(r *Redact) Redact {
	return Redact{Body: r.Any(), Headers: r.Headers, Names: r.Names}
}
