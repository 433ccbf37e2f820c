package httpapi

var (
	routeEnqueue = &route{name: "enqueue", access: accessPublish, scoped: true, serve: (*exchange).enqueue}

	routeQueues      = &route{name: "queue list", access: accessRead, scoped: true, serve: (*exchange).queues}
	routeQueueSet    = &route{name: "queue upsert", scoped: true, serve: (*exchange).setQueue}
	routeQueue       = &route{name: "queue", access: accessRead, scoped: true, serve: (*exchange).queue}
	routeQueueDelete = &route{name: "queue delete", scoped: true, serve: (*exchange).deleteQueue}
	routeQueuePause  = &route{name: "queue pause", scoped: true, serve: pauseQueue(true)}
	routeQueueResume = &route{name: "queue resume", scoped: true, serve: pauseQueue(false)}

	routeGroups          = &route{name: "topic list", access: accessRead, scoped: true, serve: (*exchange).groups}
	routeGroup           = &route{name: "topic", access: accessRead, scoped: true, serve: (*exchange).group}
	routeGroupDelete     = &route{name: "topic delete", scoped: true, serve: (*exchange).deleteGroup}
	routeGroupPatch      = &route{name: "topic headers", scoped: true, serve: (*exchange).setGroupHeader}
	routeEndpointsAdd    = &route{name: "topic add endpoints", scoped: true, serve: (*exchange).addEndpoints}
	routeEndpointsRemove = &route{name: "topic remove endpoints", scoped: true, serve: (*exchange).removeEndpoints}

	routeFlows             = &route{name: "flow control list", access: accessRead, serve: (*exchange).flows}
	routeFlow              = &route{name: "flow control", access: accessRead, serve: (*exchange).flow}
	routeGlobalParallelism = &route{name: "global parallelism", access: accessRead, serve: (*exchange).globalParallelism}
)

// flowOperations are what can be done with a flow-control key, names in lower case.
var flowOperations = map[string]*route{
	"pause":     {name: "flow control pause", serve: changeFlow(Engine.PauseFlow)},
	"resume":    {name: "flow control resume", serve: changeFlow(Engine.ResumeFlow)},
	"pin":       {name: "flow control pin", serve: (*exchange).pinFlow},
	"unpin":     {name: "flow control unpin", serve: (*exchange).unpinFlow},
	"resetrate": {name: "flow control reset rate", serve: resetFlow(false)},
	"reset":     {name: "flow control reset", serve: resetFlow(true)},
}

var (
	errNoQueueName = badRequest("the queue name is empty: /v2/queues/{name}")
	errNoGroupName = badRequest("the name of the URL group is empty: /v2/topics/{name}")
	errNoFlowKey   = badRequest("the flow-control key is empty: /v2/flowControl/{key}")
)

// collection matches what follows the name of a collection when it names nothing of
// it: rest is empty or a slash. A DELETE with a slash is a client's empty id, and must
// never mean all (QSTASH.md §1.1).
func collection(method string, rest []byte, empty *failure, list, create *route) (*route, []byte, *failure) {
	switch {
	case method == "GET":
		return list, nil, nil
	case method == "POST" && create != nil:
		return create, nil, nil
	case method == "DELETE" && len(rest) > 0:
		return nil, nil, empty
	}
	return nil, nil, errNotAllowed
}

// matchEnqueue takes the methods of a publish. What follows is a queue and a
// destination.
func matchEnqueue(rest []byte) (*route, []byte, *failure) {
	_, arg, fail := matchPublish(rest)
	return routeEnqueue, arg, fail
}

func matchQueues(method string, rest []byte) (*route, []byte, *failure) {
	if len(rest) <= 1 {
		return collection(method, rest, errNoQueueName, routeQueues, routeQueueSet)
	}
	name, more := cutSegment(rest)
	switch {
	case len(name) == 0:
		return nil, nil, errNoQueueName
	case equalFold(more, "/pause"):
		r, fail := only(method, "POST", routeQueuePause)
		return r, name, fail
	case equalFold(more, "/resume"):
		r, fail := only(method, "POST", routeQueueResume)
		return r, name, fail
	case len(more) > 0:
		return nil, nil, errNoRoute
	case method == "GET":
		return routeQueue, name, nil
	case method == "DELETE":
		return routeQueueDelete, name, nil
	}
	return nil, nil, errNotAllowed
}

// matchTopics knows the older way as well in which endpoints were added and removed:
// without the last segment (QSTASH.md §8.5).
func matchTopics(method string, rest []byte) (*route, []byte, *failure) {
	if len(rest) <= 1 {
		return collection(method, rest, errNoGroupName, routeGroups, nil)
	}
	name, more := cutSegment(rest)
	endpoints := equalFold(more, "/endpoints")
	switch {
	case len(name) == 0:
		return nil, nil, errNoGroupName
	case len(more) > 0 && !endpoints:
		return nil, nil, errNoRoute
	case method == "POST":
		return routeEndpointsAdd, name, nil
	case method == "DELETE" && endpoints:
		return routeEndpointsRemove, name, nil
	case endpoints:
		return nil, nil, errNotAllowed
	case method == "GET":
		return routeGroup, name, nil
	case method == "DELETE":
		return routeGroupDelete, name, nil
	case method == "PATCH":
		return routeGroupPatch, name, nil
	}
	return nil, nil, errNotAllowed
}

// matchFlows: a key may hold slashes. Of a GET all of the rest is the key, of a POST
// all but the last segment.
func matchFlows(method string, rest []byte) (*route, []byte, *failure) {
	if len(rest) <= 1 {
		return collection(method, rest, errNoFlowKey, routeFlows, nil)
	}
	tail := rest[1:]
	switch method {
	case "GET":
		return routeFlow, tail, nil
	case "POST":
		key, operation := cutFlowOperation(tail)
		var low [16]byte
		r := flowOperations[string(lowered(low[:0], operation))]
		if r == nil {
			return nil, nil, errNoRoute
		}
		return r, key, nil
	}
	return nil, nil, errNotAllowed
}
