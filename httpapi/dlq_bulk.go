package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/tidemill/tidemill/engine"
)

// The calls on many dead letters take ids, from the query or from a JSON body:
// clients differ in which they use (QSTASH.md §8.3). Calls by filter, and those
// that mean all, are not built yet and refused, so nothing ends here that was
// not named.

// bulkMax bounds the dead letters of one call; each costs a read of its record
// and a commit.
const bulkMax = 100

// deadIDs collects the ids that a bulk call names, each once, in order.
type deadIDs struct {
	ids   []string
	named bool // dlqIds is there, be it empty
}

// add takes a comma-separated list.
func (d *deadIDs) add(list string) {
	d.named = true
	for _, id := range splitList(list) {
		if len(d.ids) <= bulkMax && !slices.Contains(d.ids, id) {
			d.ids = append(d.ids, id)
		}
	}
}

// bulkIDs returns the ids that a bulk call names, at least one. what says how the
// call is refused that names none.
func (x *exchange) bulkIDs(what *failure) ([]string, *failure) {
	var d deadIDs
	if fail := d.addQuery(x.query); fail != nil {
		return nil, fail
	}
	if fail := d.addBody(x.body.b); fail != nil {
		return nil, fail
	}
	switch {
	case !d.named:
		return nil, what
	case len(d.ids) == 0:
		return nil, badRequest("dlqIds names no dead letter: give the ids, separated by commas or in a list")
	case len(d.ids) > bulkMax:
		return nil, badRequest("dlqIds names more than %d dead letters", bulkMax)
	}
	return d.ids, nil
}

func (d *deadIDs) addQuery(query []byte) *failure {
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		if len(pair) == 0 || paramKind(name) != paramForeign {
			continue
		}
		n := string(unescapeForm(name))
		if fail := checkBulkFilter(n); fail != nil {
			return fail
		}
		if n == "dlqIds" {
			d.add(string(unescapeForm(value)))
		}
	}
	return nil
}

// checkBulkFilter refuses what is no filter of dead letters: one that is misspelt
// must not be taken for one that is absent. Beside ids the filters themselves
// have no effect (QSTASH.md §8.3).
func checkBulkFilter(name string) *failure {
	switch name {
	case "dlqIds", "messageId", "url", "topicName", "scheduleId", "queueName", "fromDate", "toDate", "responseStatus",
		"callerIp", "callerIP", "label", "flowControlKey", "source", "order", "count", "cursor":
		return nil
	}
	return badRequest("unknown filter %s", short(name))
}

// addBody reads a JSON body; none at all, and null for a member, are absent.
func (d *deadIDs) addBody(body []byte) *failure {
	if len(body) == 0 {
		return nil
	}
	if fail := checkJSON(body); fail != nil {
		return fail
	}
	c := cursor{b: body}
	if c.peek() != '{' {
		return badRequest("the body must be a JSON object with dlqIds")
	}
	for c.next('}') {
		rawName, value := c.member()
		name, _ := text(rawName)
		if fail := checkBulkFilter(string(name)); fail != nil {
			return fail
		}
		if string(name) != "dlqIds" || isNull(value) {
			continue
		}
		if fail := d.addList(value); fail != nil {
			return fail
		}
	}
	return nil
}

func (d *deadIDs) addList(raw []byte) *failure {
	errList := badRequest("dlqIds must be a list of strings")
	if raw[0] != '[' {
		return errList
	}
	d.named = true
	c := cursor{b: raw}
	for c.next(']') {
		id, ok := text(c.value())
		if !ok {
			return errList
		}
		d.add(string(id))
	}
	return nil
}

// deleteDeadLetters is DELETE /v2/dlq. An id that is unknown is no failure: it
// was deleted or retried before.
func (x *exchange) deleteDeadLetters() error {
	what := unsupported("DELETE /v2/dlq without dlqIds")
	if len(x.arg) > 0 { // DELETE /v2/dlq/ is a client's empty id, and must never mean all (QSTASH.md §1.1)
		what = badRequest("the id is empty: DELETE /v2/dlq/{id}")
	}
	ids, fail := x.bulkIDs(what)
	if fail != nil {
		return fail
	}
	deleted := 0
	for _, id := range ids {
		switch err := x.srv.opt.Engine.DeleteDeadLetter(x.user, id); {
		case err == nil:
			deleted++
		case !errors.Is(err, engine.ErrNotFound):
			return partly(err, "deleted", deleted, len(ids))
		}
	}
	o := obj{b: x.out[:0]}
	o.num("deleted", int64(deleted))
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// retryDeadLetters is POST /v2/dlq/retry. Nothing is retried when one of the ids
// is unknown; one that another call takes meanwhile is that call's.
func (x *exchange) retryDeadLetters() error {
	if fail := x.refuseOptions(); fail != nil {
		return fail
	}
	ids, fail := x.bulkIDs(unsupported("POST /v2/dlq/retry without dlqIds"))
	if fail != nil {
		return fail
	}
	for _, id := range ids {
		if _, err := x.srv.opt.Engine.DeadLetter(x.user, id); err != nil {
			return fmt.Errorf("dead letter %s: %w; nothing was retried", short(id), err)
		}
	}
	o := obj{b: x.out[:0]}
	o.str("cursor", "") // as the original answers (QSTASH.md §14, 20)
	o.key("responses")
	retried := 0
	for _, id := range ids {
		messageID, err := x.srv.opt.Engine.RetryDeadLetter(x.user, id)
		switch {
		case errors.Is(err, engine.ErrNotFound):
			continue
		case err != nil:
			return partly(err, "retried", retried, len(ids))
		}
		o.b = append(o.b, "[,"[min(retried, 1)])
		item := obj{b: o.b}
		item.str("messageId", messageID)
		o.b = item.end()
		retried++
	}
	if retried == 0 {
		return engine.ErrNotFound
	}
	o.b = append(o.b, ']')
	x.out = o.end()
	return x.ok(http.StatusCreated)
}

// partly tells how far a call came that then failed.
func partly(err error, verb string, done, of int) error {
	if done == 0 {
		return err
	}
	return fmt.Errorf("%d of %d were %s, then: %w", done, of, verb, err)
}
