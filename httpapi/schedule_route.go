package httpapi

var (
	routeScheduleCreate = &route{name: "schedule create", scoped: true, serve: (*exchange).createSchedule}
	routeScheduleJSON   = &route{name: "schedule create json", scoped: true, batch: true, serve: (*exchange).createScheduleJSON}
	routeSchedules      = &route{name: "schedule list", access: accessRead, scoped: true, serve: (*exchange).schedules}
	routeSchedule       = &route{name: "schedule", access: accessRead, scoped: true, serve: (*exchange).schedule}
	routeScheduleDelete = &route{name: "schedule delete", scoped: true, serve: (*exchange).deleteSchedule}
	routeSchedulePause  = &route{name: "schedule pause", scoped: true, serve: change(Engine.PauseSchedule)}
	routeScheduleResume = &route{name: "schedule resume", scoped: true, serve: change(Engine.ResumeSchedule)}
	routeScheduleNext   = &route{name: "schedule preview", access: accessRead, scoped: true, serve: (*exchange).scheduleNext}
)

// matchSchedules matches what follows /v2/schedules: nothing, a destination of a
// POST, or an id and perhaps what is to be done with it. A URL is a destination
// whatever it ends in; what else is followed by /pause, /resume, /next or /run is an id.
func matchSchedules(method string, rest []byte) (*route, []byte, *failure) {
	if len(rest) <= 1 {
		return matchScheduleAll(method, rest)
	}
	tail := rest[1:]
	id, more := cutSegment(rest)
	if _, url := cutScheme(tail); url {
		r, fail := only(method, "POST", routeScheduleCreate)
		return r, tail, fail
	}
	switch {
	case len(id) == 0 && method != "POST":
		return nil, nil, errNoScheduleID
	case equalFold(more, "/pause"):
		return changeSchedule(method, id, routeSchedulePause)
	case equalFold(more, "/resume"):
		return changeSchedule(method, id, routeScheduleResume)
	case equalFold(more, "/next"):
		r, fail := only(method, "GET", routeScheduleNext)
		return r, id, fail
	case equalFold(more, "/run"):
		r, fail := only(method, "POST", routeScheduleRun)
		if fail == nil && len(id) == 0 {
			fail = errNoScheduleID
		}
		return r, id, fail
	case method == "POST":
		return routeScheduleCreate, tail, nil
	case len(more) > 0:
		return nil, nil, errNoRoute
	case method == "GET":
		return routeSchedule, id, nil
	case method == "DELETE":
		return routeScheduleDelete, id, nil
	}
	return nil, nil, errNotAllowed
}

var errNoScheduleID = badRequest("the id is empty: /v2/schedules/{id}")

// matchScheduleAll matches the collection; rest is empty or a slash. A DELETE with
// a slash is a client's empty id, and must never mean all (QSTASH.md §1.1).
func matchScheduleAll(method string, rest []byte) (*route, []byte, *failure) {
	switch {
	case method == "GET":
		return routeSchedules, nil, nil
	case method == "DELETE" && len(rest) > 0:
		return nil, nil, errNoScheduleID
	case method == "POST" && len(rest) > 0:
		return routeScheduleCreate, nil, nil
	case method == "POST":
		return routeScheduleJSON, nil, nil
	}
	return nil, nil, errNotAllowed
}

// changeSchedule takes the method of the documentation, POST, that of the clients,
// PATCH, and PUT, which was theirs once.
func changeSchedule(method string, id []byte, r *route) (*route, []byte, *failure) {
	switch {
	case method != "POST" && method != "PATCH" && method != "PUT":
		return nil, nil, errNotAllowed
	case len(id) == 0:
		return nil, nil, errNoScheduleID
	}
	return r, id, nil
}
