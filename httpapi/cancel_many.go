package httpapi

import (
	"fmt"
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

var errNoMessageID = badRequest("the id is empty: DELETE /v2/messages/{id}")

// cancelFilters are what DELETE /v2/messages takes (QSTASH.md §8.1), in its query or as
// older clients have it in a JSON body.
var cancelFilters = filterCall{
	names: filterContent | filterHost | filterPath | filterMessageID | filterCount, strict: true,
	countMax: 500, valuesMax: filterValuesMax, idsMax: 10_000,
}

// countOfClients is the count that newer clients send with every filter, whether their
// caller gave one or not. They promise him that all are canceled that match, and look for
// no cursor: so it is none.
const countOfClients = 100

// cancelMany is DELETE /v2/messages. Without a query and a body, and with a count alone,
// all are meant, as the clients say it. An id that is unknown is no failure.
func (x *exchange) cancelMany() error {
	f, fail := x.filterOf(&cancelFilters)
	if fail == nil {
		fail = x.checkMeant(&f, errNoMessageID)
	}
	if fail == nil && f.given&filterMessageID != 0 && len(f.MessageIDs) == 0 {
		fail = badRequest("messageIds names no message: give the ids, separated by commas or in a list")
	}
	if fail != nil {
		return fail
	}
	if f.count == countOfClients {
		f.count = 0
	}
	n, more, err := x.srv.opt.Engine.CancelMany(x.user, &engine.CancelQuery{Filter: f.Filter, Count: f.count, Stop: x.srv.quit.Done()})
	if err != nil {
		return partly(err, "cancelled", n)
	}
	o := obj{b: x.out[:0]}
	o.num("cancelled", int64(n))
	if more {
		o.flag("more", true)
	}
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// checkMeant refuses a call on all there are that is not in one of the forms in which
// clients say so: a path with a slash at its end is a client's empty id (QSTASH.md §1.1),
// and a body that names nothing is one that was meant to.
func (x *exchange) checkMeant(f *filter, emptyID *failure) *failure {
	switch {
	case f.selects():
		return nil
	case len(x.arg) > 0:
		return emptyID
	case len(x.body.b) > 0 && !f.paged():
		return badRequest("the body names no filter: name one, or leave the body out to mean all")
	}
	return nil
}

// partly tells how far a call came that then failed.
func partly(err error, verb string, done int) error {
	if done == 0 {
		return err
	}
	return fmt.Errorf("%d were %s, then: %w", done, verb, err)
}
