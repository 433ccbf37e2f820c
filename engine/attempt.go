package engine

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/delay"
	"github.com/tidemill/tidemill/engine/record"
)

// userAgent is what deliveries call themselves, unless the publish forwards a
// name of its own (QSTASH.md §4).
const userAgent = "Upstash-QStash"

// request builds the attempt's request: the contract's headers and what the
// publish wants forwarded (L7, QSTASH.md §4). The contract's own names always
// win; httpapi drops forwarded ones of these names at publish.
func (a *attempter) request(cmd *startCommand, body []byte, now time.Time) error {
	m := &a.message
	keys, ok := a.e.users.signing(UserID(m.User))
	if !ok {
		return errors.New("the account of this message does not exist")
	}
	at := &a.attempt
	at.Method, at.URL, at.Body = m.Method.String(), m.URL, body
	at.Timeout = a.e.limits.Load().AttemptTimeout
	if m.Timeout > 0 {
		at.Timeout = min(time.Duration(m.Timeout)*time.Millisecond, a.e.limits.Load().AttemptMax)
	}
	hs, agent := at.Header[:0], false
	for i := range m.Header {
		hs = append(hs, dispatch.Header(m.Header[i]))
		agent = agent || strings.EqualFold(m.Header[i].Name, "User-Agent")
	}
	if !agent {
		hs = append(hs, dispatch.Header{Name: "User-Agent", Value: userAgent})
	}
	a.text = appendMessageID(a.text[:0], cmd.row.Seq, m.Nonce)
	end := len(a.text)
	a.text = a.signer.append(a.text, keys, m.URL, body, now, a.rand.draw(a.e.opts.Rand))
	text := string(a.text) // one allocation for both
	hs = append(hs,
		dispatch.Header{Name: "Upstash-Message-Id", Value: text[:end]},
		dispatch.Header{Name: "Upstash-Retried", Value: strconv.Itoa(cmd.attempt - 1)},
		dispatch.Header{Name: "Upstash-Region", Value: a.e.opts.Region},
		dispatch.Header{Name: "Upstash-Signature", Value: text[end:]},
	)
	if m.CallerIP != "" {
		hs = append(hs, dispatch.Header{Name: "Upstash-Caller-Ip", Value: m.CallerIP})
	}
	if m.Schedule != "" {
		hs = append(hs, dispatch.Header{Name: "Upstash-Schedule-Id", Value: m.Schedule})
	}
	if m.Topic != "" {
		hs = append(hs, dispatch.Header{Name: "Upstash-Topic-Name", Value: m.Topic})
	}
	at.Header = hs
	return nil
}

// What is kept of a response: all that dispatch kept for a message that may
// become a dead letter, historyMax bytes of a successful one (L7).
const historyMax = 4 << 10

// classify turns the wire's answer into the end of an attempt (QSTASH.md §5).
func (a *attempter) classify(r *attemptResult, attempt int) {
	m, res := &a.message, &a.result
	r.retries = int(m.Retries)
	// A refused address says nothing about a host that nobody asked.
	r.answered = res.Class == dispatch.OK || res.Class == dispatch.Busy || res.Class == dispatch.Refused
	r.interrupt = res.Class == dispatch.Canceled || res.Class == dispatch.Busy
	if r.interrupt {
		r.delay = readRetry
	}
	r.success = res.Class == dispatch.OK && res.Status >= 200 && res.Status <= 299
	r.outcome.Status = uint16(res.Status)
	if res.Err != nil {
		r.outcome.Error = res.Err.Error()
	}
	keep := min(len(res.Body), a.e.limits.Load().ResponseMax)
	if r.success && len(m.Callback) == 0 {
		keep = min(keep, historyMax)
	}
	r.outcome.Body = append(r.outcome.Body[:0], res.Body[:keep]...)
	r.outcome.Header = r.outcome.Header[:0]
	for i, room := 0, metaMax/2; i < len(res.Header); i++ {
		h := record.Header(res.Header[i])
		if room -= len(h.Name) + len(h.Value) + 12; room < 0 {
			break // an outcome that the log refuses would end the server
		}
		r.outcome.Header = append(r.outcome.Header, h)
	}
	if r.success || r.interrupt {
		return
	}
	switch {
	case res.Class == dispatch.Refused:
		r.final, r.reason = true, DeadBlocked
	case nonRetryable(res):
		r.final, r.reason = true, DeadNonRetryable
	}
	if r.outcome.Error == "" {
		r.outcome.Error = "the destination answered " + strconv.Itoa(res.Status)
	}
	r.delay = a.retryDelay(attempt)
}

// nonRetryable is the answer by which a destination ends a message at once.
func nonRetryable(res *dispatch.Result) bool {
	return res.Status == 489 && strings.EqualFold(find(res.Header, "Upstash-Nonretryable-Error"), "true")
}

// find returns the first value of a header, "" if there is none.
func find(hs []dispatch.Header, name string) string {
	for i := range hs {
		if strings.EqualFold(hs[i].Name, name) {
			return hs[i].Value
		}
	}
	return ""
}

// retryDelay is how long the next attempt waits: as the destination asks
// (§5.4), else as the publish's expression says (§3.5), else the default
// backoff (§5.3). No jitter: nextDeliveryTime tells the truth.
func (a *attempter) retryDelay(attempt int) time.Duration {
	get := func(name string) string { return find(a.result.Header, name) }
	if d, ok := delay.FromResponse(get, a.e.opts.Wall()); ok {
		return d
	}
	if src := a.message.RetryDelay; src != "" {
		if x, err := delay.Parse(src); err == nil {
			return x.Delay(attempt - 1)
		}
	}
	return delay.Default(attempt)
}

// timing says where the time of an attempt went.
func timing(cmd *startCommand, t *dispatch.Timing) record.Timing {
	us := func(d time.Duration) uint32 { return uint32(min(max(d.Microseconds(), 0), 1<<32-1)) }
	return record.Timing{
		Queue: us(millis(cmd.waited)), Flow: us(millis(cmd.heldUp)), DNS: us(t.DNS), Connect: us(t.Connect), TLS: us(t.TLS),
		FirstByte: us(t.FirstByte), Total: us(t.Total),
	}
}
