package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// leaseMax bounds the id of a lease, bytes.
const leaseMax = 256

func leaseMember(raw []byte) (string, *failure) { return textMember("lease_id", raw, leaseMax) }

// ackPull is POST /v1/messages/{id}/ack. Without a lease's id it is for the lease that
// there is.
func (x *exchange) ackPull() error {
	var raw []byte
	if fail := x.cutNamed("lease_id", true, rawPlace{"lease_id", &raw}); fail != nil {
		return fail
	}
	l, err := x.lease(raw)
	if err != nil {
		return err
	}
	if err := x.srv.opt.Engine.Ack(x.user, []engine.Lease{l})[0]; err != nil {
		return err
	}
	return x.pullDone()
}

// releasePull is POST /v1/messages/{id}/release, or nack.
func (x *exchange) releasePull() error {
	var raw, rawDelay []byte
	if fail := x.cutNamed("lease_id and delay_seconds", true, rawPlace{"lease_id", &raw}, rawPlace{"delay_seconds", &rawDelay}); fail != nil {
		return fail
	}
	delay, fail := releaseDelay(rawDelay)
	if fail != nil {
		return fail
	}
	l, err := x.lease(raw)
	if err != nil {
		return err
	}
	if err := x.srv.opt.Engine.Release(x.user, l, delay); err != nil {
		return err
	}
	return x.pullDone()
}

func releaseDelay(raw []byte) (time.Duration, *failure) {
	d, fail := secondsMember("delay_seconds", raw, 0, engine.PullVisibilityMax, false)
	return orElse(d, 0), fail
}

// extendPull is POST /v1/messages/{id}/extend. A lease is never shortened, and never
// longer than 12 hours from its receive: what is beyond is cut (QUEUES.md B.4).
func (x *exchange) extendPull() error {
	var raw, rawVisibility []byte
	if fail := x.cutNamed("visibility_seconds and lease_id", false, rawPlace{"lease_id", &raw}, rawPlace{"visibility_seconds", &rawVisibility}); fail != nil {
		return fail
	}
	if isAbsent(rawVisibility) {
		return badRequest("visibility_seconds is missing: it must be a number of seconds")
	}
	f, ok := number(rawVisibility)
	if !ok || f < 1 {
		return badValue("visibility_seconds", rawVisibility, "must be a number of 1 or more; to give a message back, release it")
	}
	l, err := x.lease(raw)
	if err != nil {
		return err
	}
	visible, err := x.srv.opt.Engine.Extend(x.user, l, time.Duration(min(f, engine.PullVisibilityMax.Seconds())*float64(time.Second)))
	if err != nil {
		return err
	}
	return x.one(func(o *obj) {
		o.str("message_id", l.MessageID)
		o.time("visible_at", visible)
	})
}

// lease is the one that the path and a member name, of a queue that the token is for.
func (x *exchange) lease(raw []byte) (l engine.Lease, err error) {
	id, fail := leaseMember(raw)
	if fail != nil {
		return l, fail
	}
	l = engine.Lease{MessageID: string(x.arg), ID: id}
	if !x.who.Limited() {
		return l, nil
	}
	_, err = x.findPull(l.MessageID)
	return l, err
}

// findPull returns a message of a queue that the token is for.
func (x *exchange) findPull(id string) (engine.PullMessage, error) {
	m, err := x.srv.opt.Engine.PullMessage(x.user, id)
	if err == nil && !x.seesQueue(m.Queue) {
		err = engine.ErrNotFound
	}
	return m, err
}

// ackPullBatch is POST /v1/queues/{name}/ack. What cannot be done for a lease is told in
// the warnings, and does not touch the others. When nothing was done for a reason of the
// server's, the call fails with it.
func (x *exchange) ackPullBatch() error {
	if fail := x.pullQueueArg(); fail != nil {
		return fail
	}
	var rawAcks, rawRetries []byte
	if fail := x.cutNamed("acks and retries", false, rawPlace{"acks", &rawAcks}, rawPlace{"retries", &rawRetries}); fail != nil {
		return fail
	}
	b := ackBatch{x: x}
	if fail := b.each("acks", rawAcks, b.addAck); fail != nil {
		return fail
	}
	if fail := b.each("retries", rawRetries, b.addRetry); fail != nil {
		return fail
	}
	acked, retried := 0, 0
	if len(b.acks)+len(b.retries) > 0 {
		ackErrs, retryErrs, err := x.srv.opt.Engine.Settle(x.user, string(x.arg), b.acks, b.retries)
		if err != nil {
			return err
		}
		acked, retried = b.count("acks", ackErrs), b.count("retries", retryErrs)
	}
	if acked+retried == 0 && b.failed != nil {
		return b.failed
	}
	return x.one(func(o *obj) {
		o.num("ack_count", int64(acked))
		o.num("retry_count", int64(retried))
		o.key("warnings")
		o.b = appendStrings(o.b, b.warnings)
	})
}

// ackBatch is one batch under way.
type ackBatch struct {
	x        *exchange
	acks     []engine.Lease
	retries  []engine.LeaseRetry
	warnings []string
	unknown  *failure // one line in the log for all that fail the same unknown way
	failed   *failure // one that the server is to blame for
}

// each calls add with the members of every element of a list.
func (b *ackBatch) each(what string, raw []byte, add func(lease, delay []byte) *failure) *failure {
	switch {
	case isAbsent(raw):
		return nil
	case raw[0] != '[':
		return badRequest("%s must be a list of objects with lease_id", what)
	}
	i := 0
	for c := (cursor{b: raw}); c.next(']'); i++ {
		if len(b.acks)+len(b.retries) == pullAckItems {
			return badRequest("acks and retries: at most %d at once", pullAckItems)
		}
		var lease, delay []byte
		fail := cutMembers(&c, among([]rawPlace{{"lease_id", &lease}, {"delay_seconds", &delay}}))
		if fail == nil && (isAbsent(lease) || string(lease) == `""`) {
			fail = badRequest("lease_id is missing")
		}
		if fail == nil {
			fail = add(lease, delay)
		}
		if fail != nil {
			return badRequest("%s[%d]: %s", what, i, fail.text)
		}
	}
	return nil
}

func (b *ackBatch) addAck(lease, _ []byte) *failure {
	id, fail := leaseMember(lease)
	b.acks = append(b.acks, engine.Lease{ID: id})
	return fail
}

func (b *ackBatch) addRetry(lease, rawDelay []byte) *failure {
	id, fail := leaseMember(lease)
	if fail != nil {
		return fail
	}
	delay, fail := releaseDelay(rawDelay)
	b.retries = append(b.retries, engine.LeaseRetry{Lease: engine.Lease{ID: id}, Delay: delay})
	return fail
}

// count returns how many leases had no error, and warns of the others.
func (b *ackBatch) count(what string, errs []error) (done int) {
	for i, err := range errs {
		if err == nil {
			done++
			continue
		}
		text := "no such lease in this queue"
		if !errors.Is(err, engine.ErrNotFound) {
			f := b.x.itemFailure(err, &b.unknown)
			if f.status >= http.StatusInternalServerError {
				b.failed = f
			}
			text = f.text
		}
		b.warnings = append(b.warnings, fmt.Sprintf("%s[%d]: %s", what, i, text))
	}
	return done
}

// appendStrings appends a JSON array of strings.
func appendStrings(dst []byte, ss []string) []byte {
	dst = append(dst, '[')
	for i, s := range ss {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}
