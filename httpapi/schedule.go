package httpapi

import (
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

var (
	errNoCron     = badRequest("Upstash-Cron is missing: a schedule needs a cron expression such as */5 * * * *")
	errCronBefore = badRequest("Upstash-Not-Before cannot be combined with Upstash-Cron: each tick publishes at its time, or Upstash-Delay after it")
)

// scheduled says whether the collected options are those of a schedule.
func (p *publisher) scheduled() bool { return p.values[optCron] != nil }

// checkSchedule checks what depends on whether there is a cron. A schedule id
// without one has no meaning and is ignored: what a schedule of another server
// publishes to this one carries its id.
func (p *publisher) checkSchedule() *failure {
	if !p.scheduled() {
		return p.refuseRules()
	}
	if id := p.values[optScheduleID]; id != nil {
		if fail := checkName(optionNames[optScheduleID], id); fail != nil {
			return fail
		}
	}
	return p.checkRules()
}

// schedule is what was collected, as the engine takes it. It aliases the request.
func (p *publisher) schedule() engine.Schedule {
	return engine.Schedule{ID: view(p.values[optScheduleID]), Cron: view(p.values[optCron]), Time: p.rules, Message: p.message}
}

// createSchedule is POST /v2/schedules/{destination}.
func (x *exchange) createSchedule() error {
	if len(x.arg) == 0 {
		return errScheme // as the original answers (QSTASH.md §1.3)
	}
	if fail := x.single(); fail != nil {
		return fail
	}
	return x.define()
}

// define gives the engine the schedule that x.pub holds; the answer comes after
// the record is on disk (I1).
func (x *exchange) define() error {
	if !x.pub.scheduled() {
		return errNoCron
	}
	if fail := x.mayDefine(); fail != nil {
		return fail
	}
	s := x.pub.schedule()
	receipt, err := x.srv.opt.Engine.DefineSchedule(&s)
	if err != nil {
		return err
	}
	x.out = appendScheduleReceipt(x.out, &receipt)
	if receipt.Deduplicated {
		return x.ok(http.StatusAccepted)
	}
	return x.ok(http.StatusOK)
}

// appendScheduleReceipt appends the answer to one schedule (QSTASH.md §3.8).
func appendScheduleReceipt(dst []byte, r *engine.ScheduleReceipt) []byte {
	o := obj{b: dst}
	o.str("scheduleId", r.ID)
	if r.Deduplicated {
		o.flag("deduplicated", true)
	}
	return o.end()
}

// change makes a handler of an operation on one schedule that has nothing to tell.
func change(operation func(e Engine, u engine.UserID, id string) error) func(x *exchange) error {
	return func(x *exchange) error {
		if err := x.maySchedule(string(x.arg)); err != nil {
			return err
		}
		if err := operation(x.srv.opt.Engine, x.user, string(x.arg)); err != nil {
			return err
		}
		return x.done()
	}
}
