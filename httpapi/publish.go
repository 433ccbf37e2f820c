package httpapi

import (
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

// publish is POST /v2/publish/{destination}, which makes a schedule when it names
// a cron. What it gives the engine aliases the request; the answer comes after the
// record is on disk (I1).
func (x *exchange) publish() error {
	if fail := x.single(); fail != nil {
		return fail
	}
	if x.pub.scheduled() {
		return x.define()
	}
	m := &x.pub.message
	if m.Group != "" {
		return x.publishGroup()
	}
	receipt, err := x.srv.opt.Engine.Publish(m)
	if err != nil {
		return err
	}
	x.out = appendReceipt(x.out, &receipt, m.URL)
	if receipt.Deduplicated {
		return x.ok(http.StatusAccepted)
	}
	return x.ok(http.StatusOK)
}

// single fills in x.pub from a request whose path ends in its destination.
func (x *exchange) single() *failure {
	p := &x.pub
	path, _ := cutQuery(x.head.target)
	tail := x.head.target[len(path)-len(x.arg):]
	to, scratch, fail := destination(tail, p.scratch)
	p.scratch = scratch
	if fail != nil {
		return fail
	}
	return x.singleTo(to)
}

// singleTo fills in x.pub from a request whose destination is known.
func (x *exchange) singleTo(to target) *failure {
	p := &x.pub
	if fail := p.addFields(x.head.fields); fail != nil {
		return fail
	}
	if fail := p.addQuery(x.query); fail != nil {
		return fail
	}
	p.message.Body = x.body.b
	b := x.bounds()
	fail := x.complete(to, x.head.fields, &b)
	if !p.scheduled() {
		p.message.Accepted, p.message.Untimed = b.now, !x.timing.on
	}
	return fail
}

// complete makes x.pub's message of the options that its sender gave, in fields
// and elsewhere; the body is there already.
func (x *exchange) complete(to target, fields []field, b *bounds) *failure {
	p := &x.pub
	var defaults []engine.Header
	if to.group != nil {
		var fail *failure
		if defaults, fail = x.groupDefaults(to.group); fail != nil {
			return fail
		}
		if fail = p.addDefaults(defaults); fail != nil {
			return fail
		}
	}
	if equalFold(p.values[optForwardAll], "true") {
		p.forwardAll(fields)
	}
	if fail := p.addDefaultForwards(defaults); fail != nil {
		return fail
	}
	if fail := p.build(b); fail != nil {
		return fail
	}
	m := &p.message
	if !p.scheduled() { // a trace is of one request: the ticks to come are not part of it
		m.Trace = p.trace.engine()
	}
	m.User, m.CallerIP, m.URL, m.Group = x.user, x.c.ip, view(to.url), view(to.group)
	if to.group == nil {
		if fail := x.srv.opt.checkURL(to.url); fail != nil {
			return fail
		}
	}
	return x.maySend()
}

// appendReceipt appends the answer to one message (QSTASH.md §3.8).
func appendReceipt(dst []byte, r *engine.Receipt, url string) []byte {
	o := obj{b: dst}
	o.str("messageId", r.MessageID)
	if r.Deduplicated {
		o.flag("deduplicated", true)
	} else {
		o.str("url", url)
	}
	return o.end()
}
