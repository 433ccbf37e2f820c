package httpapi

import (
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

var errNoDeadID = badRequest("the id is empty: DELETE /v2/dlq/{id}")

// What the calls on many dead letters take (QSTASH.md §8.3), in a query or in a JSON
// body: clients differ in which they use. A retry costs a copy of each message, so it
// takes fewer ids.
var (
	deleteDead = filterCall{names: listDead.names, strict: true, countMax: deadPageMax, valuesMax: filterValuesMax, idsMax: 1000}
	retryDead  = filterCall{names: listDead.names, strict: true, options: true, countMax: deadPageMax, valuesMax: filterValuesMax, idsMax: deadPageMax}
)

// deadToEnd reads what a call on many dead letters is about: those with its ids, else a
// page of what its filters select; a count alone means all, page by page. nothing is set
// if none can be meant. all says how the call is refused that names nothing at all.
func (x *exchange) deadToEnd(call *filterCall, all *failure) (q engine.DeadLetterQuery, nothing bool, fail *failure) {
	f, fail := x.filterOf(call)
	switch {
	case fail != nil:
	case f.given&filterDeadID != 0 && len(f.deadIDs) == 0:
		fail = badRequest("dlqIds names no dead letter: give the ids, separated by commas or in a list")
	case !f.selects() && (!f.paged() || len(x.arg) > 0):
		fail = all
	}
	return x.deadLetterQuery(&f), f.workflow && len(f.deadIDs) == 0, fail
}

// deleteDeadLetters is DELETE /v2/dlq. An id that is unknown is no failure: it was
// deleted or retried before.
func (x *exchange) deleteDeadLetters() error {
	all := badRequest("nothing is named: give dlqIds or a filter, or count=100 to delete all, page by page")
	if len(x.arg) > 0 { // DELETE /v2/dlq/ is a client's empty id, and must never mean all (QSTASH.md §1.1)
		all = errNoDeadID
	}
	q, nothing, fail := x.deadToEnd(&deleteDead, all)
	if fail != nil {
		return fail
	}
	var n int
	var cursor string
	if !nothing {
		var err error
		if n, cursor, err = x.srv.opt.Engine.DeleteDeadLetters(q); err != nil {
			return partly(err, "deleted", n)
		}
	}
	o := obj{b: x.out[:0]}
	o.num("deleted", int64(n))
	o.opt("cursor", cursor) // absent at the end
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// retryDeadLetters is POST /v2/dlq/retry. Nothing is retried when one of the ids is
// unknown.
func (x *exchange) retryDeadLetters() error {
	options, fail := x.retryOptions()
	if fail != nil {
		return fail
	}
	q, nothing, fail := x.deadToEnd(&retryDead, badRequest("nothing is named: give dlqIds or a filter, or count=100 to retry all, page by page"))
	if fail != nil {
		return fail
	}
	var ids []string
	var cursor string
	if !nothing {
		var err error
		if ids, cursor, err = x.srv.opt.Engine.RetryDeadLetters(q, options); err != nil {
			return partly(err, "retried", len(ids))
		}
	}
	o := obj{b: x.out[:0]}
	o.str("cursor", cursor) // "" at the end, as the original answers (QSTASH.md §14, 20)
	o.key("responses")
	o.b = append(o.b, '[')
	for i, id := range ids {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		in := obj{b: o.b}
		in.str("messageId", id)
		o.b = in.end()
	}
	o.b = append(o.b, ']')
	x.out = o.end()
	return x.ok(http.StatusCreated)
}
