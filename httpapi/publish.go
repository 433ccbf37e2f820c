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
	url, scratch, fail := destination(tail, p.scratch)
	p.scratch = scratch
	if fail != nil {
		return fail
	}
	if fail := x.collect(); fail != nil {
		return fail
	}
	m := &p.message
	m.User, m.Body, m.CallerIP = x.user, x.body.b, x.c.ip
	return x.srv.opt.setURL(m, url)
}

// collect gathers the options of a single publish: header lines, then the query.
func (x *exchange) collect() *failure {
	p := &x.pub
	if fail := p.addFields(x.head.fields); fail != nil {
		return fail
	}
	if fail := p.addQuery(x.query); fail != nil {
		return fail
	}
	if equalFold(p.values[optForwardAll], "true") {
		p.forwardAll(x.head.fields)
	}
	limits := x.srv.opt.Engine.Limits()
	return p.build(&limits, x.srv.opt.Now())
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
