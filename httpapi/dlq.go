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
	items, cursor, err := x.listDead()
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.key("messages")
	o.b = appendDeadLetters(o.b, items)
	o.opt("cursor", cursor) // absent at the end: clients loop while there is one
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// deadLetterArray is GET /v2/dlq/messages of the 2.0 and 2.1 clients: the same items,
// without their object and its cursor (QSTASH.md §12.2).
func (x *exchange) deadLetterArray() error {
	items, _, err := x.listDead()
	if err != nil {
		return err
	}
	x.out = appendDeadLetters(x.out[:0], items)
	return x.ok(http.StatusOK)
}

func (x *exchange) listDead() (items []engine.DeadLetter, cursor string, err error) {
	f, fail := x.filterOf(&listDead)
	if fail != nil {
		return nil, "", fail
	}
	if f.workflow { // none is of a workflow yet
		return nil, "", nil
	}
	return x.srv.opt.Engine.DeadLetters(x.deadLetterQuery(&f))
}

func appendDeadLetters(dst []byte, items []engine.DeadLetter) []byte {
	dst = append(dst, '[')
	for i := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		o := obj{b: dst}
		o.deadLetter(&items[i])
		dst = o.end()
	}
	return append(dst, ']')
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
	if err == nil && !x.sees(&d.Message) {
		err = engine.ErrNotFound
	}
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.deadLetter(d)
	x.out = o.end()
	return x.ok(http.StatusOK)
}

func (x *exchange) deleteDeadLetter() error {
	if err := x.mayDead(string(x.arg)); err != nil {
		return err
	}
	if err := x.srv.opt.Engine.DeleteDeadLetter(x.user, string(x.arg)); err != nil {
		return err
	}
	return x.done()
}
