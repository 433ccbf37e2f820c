package httpapi

import (
	"errors"
	"strings"

	"github.com/tidemill/tidemill/engine"
)

// The first API's view of history (QSTASH.md §12.1): what is an event to the present API is
// a log there, and what happens to a message at one destination is its task.

// statesV1 are the first API's names of states, of which there are no others: a message
// that waits for its next attempt is planned.
var statesV1 = map[engine.EventState]string{
	engine.EventCreated:         "created",
	engine.EventActive:          "active",
	engine.EventRetry:           "planned",
	engine.EventError:           "error",
	engine.EventDelivered:       "delivered",
	engine.EventFailed:          "failed",
	engine.EventCancelRequested: "canceled",
	engine.EventCanceled:        "canceled",
}

// toldV1 are the states that the first API tells: not the request of a cancel, which comes
// with the cancel.
var toldV1 = []engine.EventState{
	engine.EventCreated, engine.EventActive, engine.EventRetry, engine.EventError,
	engine.EventDelivered, engine.EventFailed, engine.EventCanceled,
}

const (
	taskPrefix    = "tsk_"
	messagePrefix = "msg_"
)

// taskID is the message's id in another form: each endpoint of a topic gets a message.
func taskID(messageID string) string {
	return taskPrefix + strings.TrimPrefix(messageID, messagePrefix)
}

func messageOfTask(id string) (messageID string, ok bool) {
	s, ok := strings.CutPrefix(id, taskPrefix)
	return messagePrefix + s, ok
}

// pageV1 answers {name: [...], "cursor"} with one page of events, each as write has it. The
// cursor is a number, and absent at the end.
func (x *exchange) pageV1(name string, q *engine.EventQuery, write func(o *obj, ev *engine.Event)) error {
	q.User = x.user
	o := obj{b: x.out[:0]}
	o.key(name)
	o.b = append(o.b, '[')
	first := true
	cursor, err := x.listEvents(q, func(ev *engine.Event) error {
		if !first {
			o.b = append(o.b, ',')
		}
		first = false
		in := obj{b: o.b}
		write(&in, ev)
		o.b = in.end()
		return nil
	})
	if err != nil {
		return err
	}
	o.b = append(o.b, ']')
	if cursor != "" {
		o.key("cursor")
		o.b = append(o.b, cursor...)
	}
	x.out = o.end()
	return x.answerList()
}

// queryV1 reads cursor, and what else the present API takes of a listing.
func (x *exchange) queryV1(most int) (engine.EventQuery, *failure) {
	q, fail := x.eventQuery(most)
	if len(q.States) == 0 {
		q.States = toldV1
	}
	return q, fail
}

// logsV1 is GET /v1/logs.
func (x *exchange) logsV1() error {
	q, fail := x.queryV1(logPageMax)
	if fail != nil {
		return fail
	}
	return x.pageV1("logs", &q, (*obj).logV1)
}

// messageLogsV1 is GET /v1/messages/{id}/logs: of a publish to a topic those of all of it.
func (x *exchange) messageLogsV1() error {
	q, fail := x.queryV1(logPageMax)
	if fail != nil {
		return fail
	}
	var err error
	if q.MessageIDs, err = x.srv.opt.Engine.Siblings(x.user, string(x.arg)); err != nil {
		return err
	}
	return x.pageV1("logs", &q, (*obj).logV1)
}

func (o *obj) logV1(ev *engine.Event) {
	o.time("time", ev.Time)
	o.str("state", statesV1[ev.State])
	o.str("messageId", ev.MessageID)
	o.str("taskId", taskID(ev.MessageID))
	if !ev.Next.IsZero() {
		o.time("nextScheduledAt", ev.Next)
	}
	o.opt("error", ev.Error)
}

// eventsV1 is GET /v1/events.
func (x *exchange) eventsV1() error {
	q, fail := x.queryV1(eventPageMax)
	if fail != nil {
		return fail
	}
	return x.pageV1("events", &q, func(o *obj, ev *engine.Event) {
		o.str("id", ev.ID)
		o.time("time", ev.Time)
		o.str("state", statesV1[ev.State])
		o.str("messageId", ev.MessageID)
		o.str("taskId", taskID(ev.MessageID))
		o.str("url", ev.URL)
		if !ev.Next.IsZero() {
			o.time("nextDeliveryTime", ev.Next)
		}
		o.opt("error", ev.Error)
	})
}

// messagesV1 is GET /v1/messages: what was published, ended or not, the newest first.
func (x *exchange) messagesV1() error {
	q, fail := x.queryV1(logPageMax)
	if fail != nil {
		return fail
	}
	q.States = []engine.EventState{engine.EventCreated}
	return x.pageV1("messages", &q, func(o *obj, ev *engine.Event) {
		m, expired := publishedV1(ev)
		x.writeMessageV1(o, m, expired)
	})
}

// messageV1 is GET /v1/messages/{id}. It knows the messages of pull queues too (QUEUES.md
// A.4). This API shows messages that have ended; one that waits for longer than history
// reaches back is not in it.
func (x *exchange) messageV1() error {
	if err := x.pullMessage(); x.who.Limited() || !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	m, expired, err := x.findV1(string(x.arg))
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { x.writeMessageV1(o, m, expired) })
}

func (x *exchange) findV1(id string) (m *engine.Message, expired bool, err error) {
	q := engine.EventQuery{User: x.user, States: []engine.EventState{engine.EventCreated}, Count: 1}
	q.MessageIDs = []string{id}
	_, err = x.listEvents(&q, func(ev *engine.Event) error {
		m, expired = publishedV1(ev)
		return nil
	})
	switch {
	case m == nil && err == nil:
		m, err = x.srv.opt.Engine.Message(x.user, id)
	case m != nil && strings.HasPrefix(m.URL, "/"): // of a pull queue, which does not show what has ended
		err = engine.ErrNotFound
	}
	return m, expired, err
}

// publishedV1 is a message as history has it: without header and body once the log has given
// them up.
func publishedV1(ev *engine.Event) (m *engine.Message, expired bool) {
	if ev.Message != nil {
		return ev.Message, false
	}
	return &engine.Message{
		ID: ev.MessageID, URL: ev.URL, Method: ev.Method, TopicName: ev.TopicName, ScheduleID: ev.ScheduleID, Created: ev.Time,
	}, true
}

// writeMessageV1 writes a message as it was published. header and body are there always: the
// client's types say so. A topic that is gone has no id.
func (x *exchange) writeMessageV1(o *obj, m *engine.Message, expired bool) {
	o.str("messageId", m.ID)
	if m.TopicName != "" {
		if g, err := x.srv.opt.Engine.Group(x.user, m.TopicName); err == nil {
			o.str("topicId", topicID(g.Created))
		}
		o.str("topicName", m.TopicName)
	}
	o.opt("scheduleId", m.ScheduleID)
	o.str("url", m.URL)
	o.opt("method", m.Method)
	o.contentV1(m.Header, m.Body)
	if expired {
		o.flag("bodyExpired", true)
	}
	o.time("createdAt", m.Created)
}
