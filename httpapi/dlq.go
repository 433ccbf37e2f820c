package httpapi

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// deadPageMax is the default and the largest page (QSTASH.md §8.3).
const deadPageMax = 100

func formatSeconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// deadLetters is GET /v2/dlq.
func (x *exchange) deadLetters() error {
	f, fail := x.filterOf(&listDead)
	if fail != nil {
		return fail
	}
	var items []engine.DeadLetter
	var cursor string
	if !f.workflow { // none is of a workflow yet
		var err error
		if items, cursor, err = x.srv.opt.Engine.DeadLetters(x.deadLetterQuery(&f)); err != nil {
			return err
		}
	}
	o := obj{b: x.out[:0]}
	o.key("messages")
	o.b = append(o.b, '[')
	for i := range items {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		in := obj{b: o.b}
		in.deadLetter(&items[i])
		o.b = in.end()
	}
	o.b = append(o.b, ']')
	o.opt("cursor", cursor) // absent at the end: clients loop while there is one
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// listDead is what GET /v2/dlq takes.
var listDead = filterCall{
	names:    filterContent | filterMessageID | filterDeadID | filterStatus | filterSource | filterPage,
	countMax: deadPageMax, valuesMax: filterValuesMax,
}

// deadLetterQuery is what f asks for, of the caller's account.
func (x *exchange) deadLetterQuery(f *filter) engine.DeadLetterQuery {
	q := engine.DeadLetterQuery{
		User: x.user, Filter: f.Filter, IDs: f.deadIDs, Statuses: f.statuses, Descending: f.latest, Cursor: f.cursor, Count: f.count,
	}
	if q.Count == 0 {
		q.Count = deadPageMax
	}
	return q
}

// unescapeForm decodes a parameter of ours as a form does, plus signs included.
func unescapeForm(s []byte) []byte {
	return unescape(nil, bytes.ReplaceAll(s, []byte{'+'}, []byte{' '}))
}

func (x *exchange) deadLetter() error {
	d, err := x.srv.opt.Engine.DeadLetter(x.user, string(x.arg))
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.deadLetter(d)
	x.out = o.end()
	return x.ok(http.StatusOK)
}

func (x *exchange) deleteDeadLetter() error {
	if err := x.srv.opt.Engine.DeleteDeadLetter(x.user, string(x.arg)); err != nil {
		return err
	}
	return x.done()
}

// retryDeadLetter is POST /v2/dlq/retry/{id}.
func (x *exchange) retryDeadLetter() error {
	if fail := x.refuseOptions(); fail != nil {
		return fail
	}
	id, err := x.srv.opt.Engine.RetryDeadLetter(x.user, string(x.arg))
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.str("messageId", id)
	x.out = o.end()
	return x.ok(http.StatusCreated)
}

// refuseOptions refuses options that would change a message that is retried,
// rather than ignoring them.
func (x *exchange) refuseOptions() *failure {
	for _, f := range x.head.fields {
		if fail := refuseOption(f.name, f.value); fail != nil {
			return fail
		}
	}
	for query := x.query; len(query) > 0; {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		if fail := refuseOption(unescape(nil, name), value); fail != nil {
			return fail
		}
	}
	return nil
}

func refuseOption(name, value []byte) *failure {
	if len(value) == 0 || !hasPrefixFold(name, optionPrefix) {
		return nil
	}
	rest := name[len(optionPrefix):]
	callback, _ := cutCallback(rest)
	if !hasPrefixFold(rest, forwardPrefix) && optionOf(rest) == optNone && callback == optNone {
		return nil
	}
	return unsupported(string(canonical(bytes.Clone(name))) + " on a retry from the dead letter queue")
}
