package httpapi

// The routes of the first API (QSTASH.md §12.1), which @upstash/qstash 0.x and the curl
// lines of the product's announcement use.
var (
	routePublishV1 = &route{name: "v1 publish", access: accessPublish, scoped: true, serve: (*exchange).publishV1}
	routeMessageV1 = &route{name: "v1 message", access: accessRead, scoped: true, serve: (*exchange).messageV1}
	routeCancelV1  = &route{name: "v1 cancel", scoped: true, serve: (*exchange).cancelV1}

	routeMessagesV1    = &route{name: "v1 message list", access: accessRead, serve: (*exchange).messagesV1}
	routeMessageLogsV1 = &route{name: "v1 message logs", access: accessRead, serve: (*exchange).messageLogsV1}
	routeTasksV1       = &route{name: "v1 message tasks", access: accessRead, serve: (*exchange).tasksV1}
	routeLogsV1        = &route{name: "v1 logs", access: accessRead, serve: (*exchange).logsV1}
	routeEventsV1      = &route{name: "v1 events", access: accessRead, serve: (*exchange).eventsV1}
	routeQuota         = &route{name: "v1 quota", access: accessRead, serve: (*exchange).quota}

	schedulesV1 = collectionV1{
		empty:  "the id is empty: /v1/schedules/{id}",
		list:   &route{name: "v1 schedule list", access: accessRead, serve: (*exchange).schedulesV1},
		one:    &route{name: "v1 schedule", access: accessRead, serve: (*exchange).scheduleV1},
		remove: &route{name: "v1 schedule delete", serve: (*exchange).deleteScheduleV1},
	}
	tasksV1 = collectionV1{
		empty: "the id is empty: /v1/tasks/{id}",
		one:   &route{name: "v1 task", access: accessRead, serve: (*exchange).taskOfArg},
	}
	topicsV1 = collectionV1{
		empty:  "the topic is empty: /v1/topics/{id or name}",
		list:   &route{name: "v1 topic list", access: accessRead, serve: (*exchange).topicsV1},
		create: &route{name: "v1 topic create", serve: (*exchange).createTopicV1},
		one:    &route{name: "v1 topic", access: accessRead, serve: (*exchange).topicV1},
		update: &route{name: "v1 topic update", serve: (*exchange).updateTopicV1},
		remove: &route{name: "v1 topic delete", serve: (*exchange).deleteTopicV1},
	}
	endpointsV1 = collectionV1{
		empty:  "the id is empty: /v1/endpoints/{id}",
		list:   &route{name: "v1 endpoint list", access: accessRead, serve: (*exchange).endpointsV1},
		create: &route{name: "v1 endpoint create", serve: (*exchange).createEndpointV1},
		one:    &route{name: "v1 endpoint", access: accessRead, serve: (*exchange).endpointV1},
		update: &route{name: "v1 endpoint update", serve: (*exchange).updateEndpointV1},
		remove: &route{name: "v1 endpoint delete", serve: (*exchange).deleteEndpointV1},
	}
)

// matchV1 matches what follows /v1. The JSON queue API has some of it (QUEUES.md A.4).
func matchV1(method string, rest []byte) (r *route, arg []byte, fail *failure) {
	segment, rest := cutSegment(rest)
	var low [24]byte
	family := string(lowered(low[:0], segment))
	if r, arg, fail, mine := matchPull(method, family, rest); mine {
		return r, arg, fail
	}
	switch family {
	case "publish":
		r, arg, fail = matchPublish(rest)
		if fail == nil {
			r = routePublishV1
		}
		return r, arg, fail
	case "messages":
		return matchMessagesV1(method, rest)
	case "schedules":
		return schedulesV1.match(method, rest)
	case "topics":
		return topicsV1.match(method, rest)
	case "endpoints":
		return endpointsV1.match(method, rest)
	case "keys":
		r, fail = matchKeys(method, rest)
	case "quota":
		r, fail = leafV1(rest, method, routeQuota)
	case "logs":
		r, fail = leafV1(rest, method, routeLogsV1)
	case "events":
		r, fail = leafV1(rest, method, routeEventsV1)
	case "tasks":
		return tasksV1.match(method, rest)
	default:
		fail = errNoRoute
	}
	return r, nil, fail
}

// leafV1 is a GET without anything after it but a slash, which the old documentation wrote.
func leafV1(rest []byte, method string, r *route) (*route, *failure) {
	if len(rest) > 1 {
		return nil, errNoRoute
	}
	return only(method, "GET", r)
}

func matchMessagesV1(method string, rest []byte) (*route, []byte, *failure) {
	id, more := cutSegment(rest)
	switch {
	case len(id) == 0 && method == "DELETE":
		return nil, nil, badRequest("the id is empty: DELETE /v1/messages/{id}")
	case len(id) == 0 && len(more) == 0:
		r, fail := leafV1(rest, method, routeMessagesV1)
		return r, nil, fail
	case len(id) == 0:
		return nil, nil, errNoRoute
	case equalFold(more, "/logs"):
		r, fail := only(method, "GET", routeMessageLogsV1)
		return r, id, fail
	case equalFold(more, "/tasks"):
		r, fail := only(method, "GET", routeTasksV1)
		return r, id, fail
	case len(more) > 0:
		return nil, nil, errNoRoute
	case method == "GET":
		return routeMessageV1, id, nil
	case method == "DELETE":
		return routeCancelV1, id, nil
	}
	return nil, nil, errMethod
}

// collectionV1 are the routes of one kind of things; what it does not offer is nil.
type collectionV1 struct {
	list, create        *route // of the collection
	one, update, remove *route // of one thing
	empty               string // says that a path lacks its last segment
}

func (c *collectionV1) match(method string, rest []byte) (r *route, arg []byte, fail *failure) {
	id, more := cutSegment(rest)
	switch {
	case len(more) > 0:
		return nil, nil, errNoRoute
	case len(id) > 0:
		r = c.ofOne(method)
	case len(rest) > 0 && method != "GET": // a client's empty id, which must never mean all (QSTASH.md §1.1)
		return nil, nil, badRequest("%s", c.empty)
	case method == "GET":
		r = c.list
	case method == "POST":
		r = c.create
	}
	switch {
	case r != nil:
		return r, id, nil
	case len(id) == 0 && c.list == nil:
		return nil, nil, errNoRoute
	}
	return nil, nil, errMethod
}

func (c *collectionV1) ofOne(method string) *route {
	switch method {
	case "GET":
		return c.one
	case "PUT":
		return c.update
	case "DELETE":
		return c.remove
	}
	return nil
}
