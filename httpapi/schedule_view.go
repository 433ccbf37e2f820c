package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/cron"
	"github.com/tidemill/tidemill/engine/delay"
)

// schedule is GET /v2/schedules/{id}. The name next is an operation when it comes
// with an expression, and an id else.
func (x *exchange) schedule() error {
	if equalFold(x.arg, "next") && hasParam(x.query, "cron") {
		return x.previewCron()
	}
	s, err := x.srv.opt.Engine.Schedule(x.user, string(x.arg))
	if err == nil && !x.seesSchedule(s) {
		err = engine.ErrNotFound
	}
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.schedule(s)
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// schedules is GET /v2/schedules: an array of all, for the contract knows no pages.
func (x *exchange) schedules() error {
	return x.eachSchedule(func(_ *exchange, o *obj, s *engine.ScheduleInfo) { o.schedule(s) })
}

// eachSchedule answers an array of what write makes of each schedule.
func (x *exchange) eachSchedule(write func(x *exchange, o *obj, s *engine.ScheduleInfo)) error {
	x.out = append(x.out[:0], '[')
	n := 0
	err := x.srv.opt.Engine.Schedules(x.user, func(s *engine.ScheduleInfo) error {
		if !x.seesSchedule(s) {
			return nil
		}
		if n++; n > 1 {
			x.out = append(x.out, ',')
		}
		o := obj{b: x.out}
		write(x, &o, s)
		x.out = o.end()
		return x.spill()
	})
	if err != nil {
		return err
	}
	x.out = append(x.out, ']')
	return x.ok(http.StatusOK)
}

// deleteSchedule is DELETE /v2/schedules/{id}. One that is not there is no failure:
// only messages and dead letters are missed when they are deleted (QSTASH.md §1.3).
func (x *exchange) deleteSchedule() error {
	err := x.maySchedule(string(x.arg))
	if err == nil {
		err = x.srv.opt.Engine.DeleteSchedule(x.user, string(x.arg))
	}
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	return x.done()
}

// schedule writes the members of a schedule object (QSTASH.md §8.6): times in
// milliseconds, delay and timeout in seconds. What is not set is left out.
func (o *obj) schedule(s *engine.ScheduleInfo) {
	o.str("scheduleId", s.ID)
	o.str("cron", s.Cron)
	o.time("createdAt", s.Created)
	if s.TopicName != "" {
		o.str("destination", s.TopicName)
	} else {
		o.str("destination", s.URL)
	}
	o.str("method", s.Method)
	o.header("header", s.Header)
	o.content("body", "bodyBase64", s.Body)
	o.num("retries", int64(s.Retries))
	o.seconds("delay", s.Delay)
	o.seconds("timeout", s.Timeout)
	o.opt("retryDelayExpression", s.RetryDelay)
	o.opt("retryDelayExpr", s.RetryDelay)
	o.opt("callerIP", s.CallerIP)
	o.opt("callerIp", s.CallerIP)
	o.opt("queueName", s.QueueName)
	o.labels(s.Labels)
	o.flowRule(&s.Flow)
	o.callback("callback", "callbackHeader", s.Callback)
	o.callback("failureCallback", "failureCallbackHeader", s.Failure)
	o.flag("isPaused", s.Paused)
	if !s.Last.IsZero() {
		o.time("lastScheduleTime", s.Last)
	}
	if !s.Next.IsZero() {
		o.time("nextScheduleTime", s.Next)
	}
	o.states(s.State)
	o.opt("error", s.Error)
	in := obj{}
	in.rules(&s.Time)
	in.order(s.Ordering, &s.Flow)
	o.extension(&in)
}

// states writes the map from message to state.
func (o *obj) states(runs []engine.ScheduleRun) {
	if len(runs) == 0 {
		return
	}
	o.key("lastScheduleStates")
	in := obj{b: o.b}
	for i := range runs {
		in.separate()
		in.b = append(appendString(in.b, runs[i].MessageID), ':')
		in.b = appendString(in.b, string(runs[i].State))
	}
	o.b = in.end()
}

// rules writes the options of a schedule's time that are not at their defaults, in the
// form in which they are given.
func (o *obj) rules(r *engine.TimeRules) {
	if r.Seconds {
		o.flag("cronSeconds", true)
	}
	if r.DST != cron.FireOnce {
		o.str("dst", r.DST.String())
	}
	if r.Missed != engine.MissedLatest {
		o.str("missed", r.Missed.String())
	}
	if r.MissedMax != 0 && r.MissedMax != engine.DefaultMissedMax {
		o.num("missedMax", int64(r.MissedMax))
	}
	if r.MissedWindow != 0 && r.MissedWindow != engine.DefaultMissedWindow {
		o.str("missedWindow", delay.Format(r.MissedWindow))
	}
	if r.Jitter != 0 {
		o.str("jitter", delay.Format(r.Jitter))
	}
}

// seconds writes a duration in whole seconds, rounded up, unless it is zero.
func (o *obj) seconds(name string, d time.Duration) {
	if d > 0 {
		o.num(name, int64((d+time.Second-1)/time.Second))
	}
}
