package httpapi

import (
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

// The pages of the two routes differ (QSTASH.md §8.2, §14).
const (
	eventPageMax = 1000
	logPageMax   = 100
)

// A list is made in memory, since both of its halves are the same, and may be some 12 MiB
// long (engine.Engine.Events). So a few are made at one time, which takes a fraction of a
// second each, the others wait; and those that clients are slow to take have a bound.
const (
	listingMax = 4
	listedMax  = 32 << 20
)

var errListed = &failure{
	status: http.StatusServiceUnavailable, text: "too many lists of events are being sent: try again in a moment", retry: true,
}

var (
	routeEvents = &route{name: "events", access: accessRead, serve: events(eventPageMax)}
	routeLogs   = &route{name: "logs", access: accessRead, serve: events(logPageMax)}
)

// matchEvents matches /v2/events and /v2/logs, with a slash behind it or not.
func matchEvents(method string, rest []byte, r *route) (*route, *failure) {
	if len(rest) > 1 {
		return nil, errNoRoute
	}
	return only(method, "GET", r)
}

func matchLogs(method string, rest []byte) (*route, *failure) {
	if equalFold(rest, "/stream") {
		return only(method, "GET", routeEventStream)
	}
	return matchEvents(method, rest, routeLogs)
}

// events is GET /v2/events and GET /v2/logs, with pages of up to most events.
func events(most int) func(x *exchange) error {
	return func(x *exchange) error {
		q, fail := x.eventQuery(most)
		if fail != nil {
			return fail
		}
		q.User = x.user
		if err := x.makeList(&q); err != nil {
			return err
		}
		return x.answerList()
	}
}

// answerList answers the list that is in x.out, if clients do not have too much to take yet.
func (x *exchange) answerList() error {
	if !x.srv.listed.take(len(x.out)) {
		x.out = nil
		return errListed
	}
	x.listed = len(x.out)
	return x.ok(http.StatusOK)
}

// listEvents is Engine.Events when it is this request's turn.
func (x *exchange) listEvents(q *engine.EventQuery, fn func(ev *engine.Event) error) (cursor string, err error) {
	x.srv.listing <- struct{}{}
	defer func() { <-x.srv.listing }()
	return x.srv.opt.Engine.Events(q, fn)
}

// makeList makes the answer of one page.
func (x *exchange) makeList(q *engine.EventQuery) (err error) {
	o := obj{b: x.out[:0]}
	o.key("events")
	from := len(o.b)
	if o.b, q.Cursor, err = x.appendEvents(append(o.b, '['), q); err != nil {
		return err
	}
	o.b = append(o.b, ']')
	to := len(o.b)
	o.key("logs") // clients differ in which they read (QSTASH.md §13, 7)
	o.b = append(o.b, o.b[from:to]...)
	o.opt("cursor", q.Cursor) // absent at the end: clients loop while there is one
	x.out = o.end()
	return nil
}
