package httpapi

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// taskV1 is how far a message has come.
type taskV1 struct {
	messageID, url, state, error string
	retries, attempts            int
	completed, next, lastError   time.Time
}

// taskEventsMax is how many of a message's newest events tell its task: the last failed
// attempt is among them.
const taskEventsMax = 8

// task folds a message's newest events, nil if history knows none.
func (x *exchange) task(messageID string) (*taskV1, error) {
	var t *taskV1
	q := engine.EventQuery{User: x.user, States: toldV1, Count: taskEventsMax}
	q.MessageIDs = []string{messageID}
	_, err := x.listEvents(&q, func(ev *engine.Event) error {
		if t == nil { // the newest
			t = &taskV1{messageID: ev.MessageID, url: ev.URL, retries: ev.Retries, state: statesV1[ev.State], next: ev.Next}
			if ev.State == engine.EventDelivered {
				t.completed = ev.Time
			}
		}
		t.attempts = max(t.attempts, ev.Attempt)
		if ev.State == engine.EventError && t.lastError.IsZero() {
			t.lastError, t.error = ev.Time, ev.Error
		}
		return nil
	})
	return t, err
}

func (o *obj) taskV1(t *taskV1) {
	o.str("taskId", taskID(t.messageID))
	o.str("messageId", t.messageID)
	o.str("url", t.url)
	o.str("state", t.state)
	o.num("maxRetry", int64(t.retries))
	o.num("retried", int64(max(t.attempts-1, 0)))
	for _, p := range [...]struct {
		name string
		at   time.Time
	}{{"completedAt", t.completed}, {"nextProcessAt", t.next}, {"lastErrorAt", t.lastError}} {
		if !p.at.IsZero() {
			o.time(p.name, p.at)
		}
	}
	o.opt("error", t.error)
}

// taskOfArg is GET /v1/tasks/{id}.
func (x *exchange) taskOfArg() error {
	missing := fmt.Errorf("task %s %w", short(x.arg), engine.ErrNotFound)
	id, ok := messageOfTask(string(x.arg))
	if !ok {
		return missing
	}
	t, err := x.task(id)
	if err != nil {
		return err
	}
	if t == nil {
		return missing
	}
	return x.one(func(o *obj) { o.taskV1(t) })
}

// tasksV1 is GET /v1/messages/{id}/tasks: one for each endpoint of a topic, all at once, so
// that there is no cursor.
func (x *exchange) tasksV1() error {
	ids, err := x.srv.opt.Engine.Siblings(x.user, string(x.arg))
	if err != nil {
		return err
	}
	tasks := make([]*taskV1, 0, len(ids))
	for _, id := range ids {
		t, err := x.task(id)
		if err != nil {
			return err
		}
		if t != nil {
			tasks = append(tasks, t)
		}
	}
	return x.one(func(o *obj) {
		o.key("tasks")
		o.b = append(o.b, '[')
		for i, t := range tasks {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			in := obj{b: o.b}
			in.taskV1(t)
			o.b = in.end()
		}
		o.b = append(o.b, ']')
	})
}
