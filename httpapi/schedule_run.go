package httpapi

import "net/http"

var routeScheduleRun = &route{name: "schedule run", scoped: true, serve: (*exchange).runSchedule}

// runSchedule is POST /v2/schedules/{id}/run. It answers as a publish of the schedule's
// message does (QSTASH.md §3.8).
func (x *exchange) runSchedule() error {
	if err := x.maySchedule(string(x.arg)); err != nil {
		return err
	}
	r, err := x.srv.opt.Engine.RunSchedule(x.user, string(x.arg))
	if err != nil {
		return err
	}
	if r.Members != nil {
		x.out = appendMembers(x.out[:0], r.Members)
	} else {
		x.out = appendReceipt(x.out[:0], &r.Receipt, r.URL)
	}
	return x.ok(http.StatusOK)
}
