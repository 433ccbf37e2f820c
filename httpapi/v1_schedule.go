package httpapi

import (
	"errors"
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

// schedulesV1 is GET /v1/schedules: an array of all.
func (x *exchange) schedulesV1() error {
	return x.eachSchedule((*exchange).writeScheduleV1)
}

func (x *exchange) scheduleV1() error {
	s, err := x.srv.opt.Engine.Schedule(x.user, string(x.arg))
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	x.writeScheduleV1(&o, s)
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// writeScheduleV1 writes a schedule in the form of the first API (QSTASH.md §12.1).
func (x *exchange) writeScheduleV1(o *obj, s *engine.ScheduleInfo) {
	o.str("scheduleId", s.ID)
	o.str("cron", s.Cron)
	o.time("createdAt", s.Created)
	o.nested("content", func(o *obj) { o.contentV1(s.Header, s.Body) })
	o.nested("destination", func(o *obj) { x.writeDestinationV1(o, s) })
	o.nested("settings", func(o *obj) {
		o.num("retries", int64(s.Retries))
		o.seconds("delay", s.Delay)
		if s.Callback != nil {
			o.str("callback", s.Callback.URL)
		}
	})
}

// writeDestinationV1 shows the topic as it is now; one that was deleted has no endpoints.
func (x *exchange) writeDestinationV1(o *obj, s *engine.ScheduleInfo) {
	if s.TopicName == "" {
		o.str("type", "url")
		o.str("url", s.URL)
		return
	}
	g, err := x.srv.opt.Engine.Group(x.user, s.TopicName)
	if err != nil {
		g = &engine.GroupInfo{Name: s.TopicName}
	}
	o.str("type", "topic")
	o.nested("topic", func(o *obj) { o.topicV1(g) })
}

// deleteScheduleV1 is DELETE /v1/schedules/{id}. One that is not there is no failure.
func (x *exchange) deleteScheduleV1() error {
	if err := x.srv.opt.Engine.DeleteSchedule(x.user, string(x.arg)); err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	return x.accepted()
}
