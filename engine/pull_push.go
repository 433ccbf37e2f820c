package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
)

// errNoWebhook: the queue lost its webhook, or is gone, since the attempt was asked for.
var errNoWebhook = errors.New("the queue of this message has no webhook any more")

// pushRequest builds the call of the webhook that the message's queue has now (QUEUES.md
// B.5). The names of the contract win over those of the message's own headers.
func (a *attempter) pushRequest(cmd *startCommand, body []byte, now time.Time) error {
	m := &a.message
	keys, ok := a.e.users.signing(UserID(m.User))
	if !ok {
		return errors.New("the account of this message does not exist")
	}
	d := a.e.pulls.byID(cmd.row.Host)
	if d == nil || d.URL == "" || d.gone() {
		return errNoWebhook
	}
	m.URL, m.RetryDelay, m.Retries, m.Timeout = d.URL, d.RetryDelay, d.Retries, d.Timeout
	at := &a.attempt
	at.Method, at.URL, at.Body = m.Method.String(), d.URL, body
	at.Timeout = min(millis(int64(d.Timeout)), a.e.limits.Load().AttemptMax)
	a.text = a.signer.append(a.text[:0], keys, d.URL, body, now, a.rand.draw(a.e.opts.Rand))
	mac := hmac.New(sha256.New, []byte(d.Secret))
	mac.Write(body)
	hs := at.Header[:0]
	for i := range m.Header {
		if !pushName(m.Header[i].Name) {
			hs = append(hs, dispatch.Header(m.Header[i]))
		}
	}
	at.Header = append(hs,
		dispatch.Header{Name: "Content-Type", Value: "application/json"},
		dispatch.Header{Name: "User-Agent", Value: userAgent},
		dispatch.Header{Name: "Qstash-Signature", Value: hex.EncodeToString(mac.Sum(nil))},
		dispatch.Header{Name: "Qstash-Message-Id", Value: MessageID(cmd.row.Seq, m.Nonce)},
		dispatch.Header{Name: "Qstash-Queue", Value: d.Name},
		dispatch.Header{Name: "Qstash-Attempt", Value: strconv.Itoa(cmd.attempt)},
		dispatch.Header{Name: "Upstash-Signature", Value: string(a.text)},
	)
	return nil
}

// pushName says whether a header of a webhook's call is the contract's.
func pushName(name string) bool {
	for _, own := range [...]string{"Content-Type", "User-Agent", "Upstash-Signature"} {
		if strings.EqualFold(name, own) {
			return true
		}
	}
	return len(name) >= len("Qstash-") && strings.EqualFold(name[:len("Qstash-")], "Qstash-")
}

// pushMax is how many calls of its webhook a queue may have in flight.
func (c *core) pushMax(h *host) int {
	i, ok := c.pulls.byID[h.id]
	if !ok || c.pulls.list[i].parallel == 0 {
		return 1 // it has just lost its webhook, and what is under way ends
	}
	return c.pulls.list[i].parallel
}

// resting says whether nothing of a queue is to be pushed now.
func (c *core) resting(h *host) bool {
	i, ok := c.pulls.byID[h.id]
	return ok && c.pulls.list[i].paused && !c.pulls.list[i].gone
}

// concludePush decides what the end of a call of a webhook means (QUEUES.md B.5).
func (c *core) concludePush(i uint32, r *attemptResult) {
	e := &c.entries[i]
	o := &r.outcome
	o.Row, o.At, o.Attempt = c.row(e), c.now, min(e.tries, math.MaxUint16-1)+1
	if q, ok := c.pulls.byID[o.Host]; ok {
		r.retries = c.pulls.list[q].retries
	}
	o.Step = record.PullStep{Op: record.PullPush, Leased: o.Pull.Lease != 0, Next: o.Pull}
	if o.Step.Next.Lease = 0; o.Pull.First == 0 {
		o.Step.Next.First = c.now
	}
	o.Kind = decide(r, int(o.Attempt))
	if o.Kind == record.Dead {
		c.buryPushed(o, r.final)
	}
	if o.Kind == record.Dead { // there is no dead letter queue that it went to
		c.tally.dead[r.reason].Add(1)
	}
	switch {
	case c.scarce() && o.Step.Op == record.PullPush && o.Kind == record.Retry:
		o.Next = c.now + ceilMillis(r.delay)
		c.keepRetry(i, o)
		return
	case c.scarce():
		brief(o)
	case o.Kind == record.Retry:
		o.Body = o.Body[:min(len(o.Body), historyMax)]
	}
	if o.Step.Op == record.PullPush && o.Kind == record.Retry {
		o.Next = c.now + ceilMillis(r.delay)
	}
	e.state = stDeciding
	c.decided(o)
}

// buryPushed makes an outcome take the message to its queue's dead letter queue. Without
// one it becomes a dead letter like others.
func (c *core) buryPushed(o *record.Outcome, final bool) {
	if _, ok := c.pulls.byID[o.Host]; !ok {
		return
	}
	reason := record.PullFailed
	if final {
		reason = record.PullGivenUp
	}
	step, ok := c.bury(&o.Row, record.PullDead{At: c.now, Attempts: o.Attempt, Status: o.Status, Reason: reason})
	if !ok {
		return
	}
	step.Leased, step.Next.First = o.Step.Leased, o.Step.Next.First
	o.Kind, o.Step, o.Next, o.Attempt = record.Retry, step, c.now, 0
}
