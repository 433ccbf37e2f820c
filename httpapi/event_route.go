package httpapi

import "net/http"

// The pages of the two routes differ (QSTASH.md §8.2, §14).
const (
	eventPageMax = 1000
	logPageMax   = 100
)

var (
	routeEvents = &route{name: "events", access: accessRead, serve: listEvents(eventPageMax)}
	routeLogs   = &route{name: "logs", access: accessRead, serve: listEvents(logPageMax)}
)

// matchEvents matches /v2/events and /v2/logs, with a slash behind it or not.
func matchEvents(method string, rest []byte, r *route) (*route, *failure) {
	if len(rest) > 1 {
		return nil, errNoRoute
	}
	return only(method, "GET", "GET", r)
}

// listEvents is GET /v2/events and GET /v2/logs, with pages of up to most events.
func listEvents(most int) func(x *exchange) error {
	return func(x *exchange) error {
		q, fail := x.eventQuery(most)
		if fail != nil {
			return fail
		}
		q.User = x.user
		o := obj{b: x.out[:0]}
		o.key("events")
		from := len(o.b)
		var err error
		o.b, q.Cursor, err = x.appendEvents(append(o.b, '['), &q)
		if err != nil {
			return err
		}
		o.b = append(o.b, ']')
		to := len(o.b)
		o.key("logs") // clients differ in which they read (QSTASH.md §13, 7)
		o.b = append(o.b, o.b[from:to]...)
		o.opt("cursor", q.Cursor) // absent at the end: clients loop while there is one
		x.out = o.end()
		return x.ok(http.StatusOK)
	}
}
