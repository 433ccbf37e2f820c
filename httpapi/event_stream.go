package httpapi

import (
	"net/http"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// GET /v2/logs/stream sends the events of an account as they become visible, as
// server-sent events: see EXTENSIONS.md. A stream holds no events but those it is sending:
// what its client is slow to take stays in history, and the stream goes on from there, or
// is cut when the client takes nothing within WriteTimeout.
const (
	// streamBeat is how often a stream that has nothing to send says so, which is how a
	// client that has gone is noticed, and how its own proxies are kept from cutting it. The
	// token is looked at again then.
	streamBeat = 15 * time.Second

	// streamPause bounds how often a stream looks at history.
	streamPause = 100 * time.Millisecond

	// streamFlush is how much is collected before it is sent.
	streamFlush = 32 << 10
)

var routeEventStream = &route{name: "event stream", access: accessRead, endless: true, serve: (*exchange).streamEvents}

var errStreams = &failure{status: http.StatusTooManyRequests, text: "too many streams of events are open: try again later", retry: true}

func (x *exchange) streamEvents() error {
	q, fail := x.eventQuery(eventPageMax)
	if fail != nil {
		return fail
	}
	q.User, q.Count = x.user, eventPageMax
	if last := x.lastEventID(); len(last) > 0 {
		if _, ok := digits(last); !ok {
			return badFilter("Last-Event-ID", string(last), "the id of an event of this stream")
		}
		q.Cursor = string(last)
	}
	if q.Cursor == "" && q.From.IsZero() {
		q.Cursor = x.srv.opt.Engine.EventsEnd()
	}
	user := x.user // follow authenticates again
	if !x.srv.streams.enter(user) {
		return errStreams
	}
	defer x.srv.streams.leave(user)
	return x.follow(&q)
}

func (x *exchange) lastEventID() []byte {
	for _, f := range x.head.fields {
		if equalFold(f.name, "last-event-id") {
			return f.value
		}
	}
	return nil
}

// follow sends what q selects until the client goes away, its token is no longer good, or
// the server stops.
func (x *exchange) follow(q *engine.EventQuery) error {
	h := &x.context().Response.Header
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that collects answers would hold it back
	if err := x.beginStream("text/event-stream"); err != nil || x.flush() != nil {
		return errGone
	}
	user := x.user
	for {
		if err := x.sendEvents(q); err != nil {
			return err
		}
		more, err := x.srv.opt.Engine.WaitEvents(q.Cursor, streamBeat, x.srv.quit.Done())
		if err != nil {
			return err
		}
		if x.srv.draining.Load() || !x.authenticate() || x.user != user {
			return x.ok(http.StatusOK)
		}
		if more {
			more = x.rest(streamPause)
		}
		if !more {
			x.out = append(x.out, ": nothing new\nid: "+q.Cursor+"\n\n"...)
			if x.flush() != nil {
				return errGone
			}
		}
	}
}

// rest waits, and says whether the server goes on.
func (x *exchange) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.srv.quit.Done():
		return false
	}
}

// sendEvents sends what there is from q's cursor on, and sets that to where it ends.
func (x *exchange) sendEvents(q *engine.EventQuery) (err error) {
	q.Cursor, err = x.srv.opt.Engine.EventsSince(q, func(ev *engine.Event) error {
		x.out = append(x.out, "id: "+ev.ID+"\ndata: "...)
		x.out = append(appendEvent(x.out, ev), "\n\n"...)
		if len(x.out) < streamFlush {
			return nil
		}
		return x.flush()
	})
	if err == nil {
		err = x.flush()
	}
	return err
}

// flush sends what is in x.out.
func (x *exchange) flush() error {
	if len(x.out) > 0 {
		if _, err := x.stream.body.Write(x.out); err != nil {
			return errGone
		}
		if x.out = x.out[:0]; cap(x.out) > outPooledMax {
			x.out = nil
		}
	}
	if x.stream.head.Flush() != nil {
		return errGone
	}
	return nil
}
