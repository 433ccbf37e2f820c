package httpapi

// The bodies of this API are JSON around a message, or around nothing.
const (
	// pullRoom is what the JSON around a message may take: its headers and options.
	pullRoom = 128 << 10
	// pullBatchMax bounds one batch, bytes (QUEUES.md B.1). A single message may have more.
	pullBatchMax = 10 << 20
)

var (
	routePullPublish = &route{name: "pull publish", access: accessPublish, scoped: true, room: pullRoom, serve: (*exchange).pullPublish}
	routePullBatch   = &route{name: "pull publish batch", access: accessPublish, scoped: true, room: pullRoom, least: pullBatchMax, serve: (*exchange).pullBatch}

	routePullQueues      = &route{name: "pull queue list", access: accessRead, scoped: true, room: pullRoom, serve: (*exchange).pullQueues}
	routePullQueueSet    = &route{name: "pull queue upsert", scoped: true, room: pullRoom, serve: (*exchange).setPullQueue}
	routePullQueue       = &route{name: "pull queue", access: accessRead, scoped: true, room: pullRoom, serve: (*exchange).pullQueue}
	routePullQueuePatch  = &route{name: "pull queue change", scoped: true, room: pullRoom, serve: (*exchange).changePullQueue}
	routePullQueueDelete = &route{name: "pull queue delete", scoped: true, room: pullRoom, serve: (*exchange).deletePullQueue}
	routePullMetrics     = &route{name: "pull metrics", access: accessRead, scoped: true, room: pullRoom, serve: (*exchange).pullMetrics}

	routePullAck     = &route{name: "pull ack", scoped: true, room: pullRoom, serve: (*exchange).ackPull}
	routePullRelease = &route{name: "pull release", scoped: true, room: pullRoom, serve: (*exchange).releasePull}
	routePullExtend  = &route{name: "pull extend", scoped: true, room: pullRoom, serve: (*exchange).extendPull}
)

// pullQueueOperations are what can be done with a queue by POST, names in lower case.
var pullQueueOperations = map[string]*route{
	"messages": routePullBatch,
	"receive":  routePullReceive,
	"pull":     routePullReceive,
	"ack":      {name: "pull ack batch", scoped: true, room: pullRoom, serve: (*exchange).ackPullBatch},
	"purge":    {name: "pull queue purge", scoped: true, room: pullRoom, serve: (*exchange).purgePull},
	"pause":    {name: "pull queue pause", scoped: true, room: pullRoom, serve: pausePull(true)},
	"resume":   {name: "pull queue resume", scoped: true, room: pullRoom, serve: pausePull(false)},
	"redrive":  {name: "pull queue redrive", scoped: true, room: pullRoom, serve: (*exchange).redrivePull},
}

var routePullReceive = &route{name: "pull receive", scoped: true, room: pullRoom, serve: (*exchange).receivePull}

// pullMessageOperations are what can be done with a message by POST.
var pullMessageOperations = map[string]*route{
	"ack":     routePullAck,
	"release": routePullRelease,
	"nack":    routePullRelease,
	"extend":  routePullExtend,
}

var (
	errNoPullQueueName = badRequest("the queue name is empty: /v1/queues/{name}")
	errNoPullMessage   = badRequest("the message id is empty: /v1/messages/{id}")
)

// matchPull finds the route of a path under /v1, whose first segment in lower case is
// family. mine says whether it is of this API at all; version 1 has the others
// (QUEUES.md A.4).
func matchPull(method, family string, rest []byte) (r *route, arg []byte, fail *failure, mine bool) {
	switch family {
	case "publish":
		if len(rest) > 1 { // a destination
			return nil, nil, nil, false
		}
		r, fail = only(method, "POST", routePullPublish)
	case "metrics":
		r, fail = leaf(rest, method, "GET", routePullMetrics)
	case "queues":
		r, arg, fail = matchPullQueues(method, rest)
	case "messages":
		return matchPullMessages(method, rest)
	default:
		return nil, nil, nil, false
	}
	return r, arg, fail, true
}

func matchPullQueues(method string, rest []byte) (*route, []byte, *failure) {
	if len(rest) <= 1 {
		return collection(method, rest, errNoPullQueueName, routePullQueues, routePullQueueSet)
	}
	name, more := cutSegment(rest)
	switch {
	case len(name) == 0:
		return nil, nil, errNoPullQueueName
	case len(more) > 0:
		r, fail := pullOperation(method, more, pullQueueOperations)
		return r, name, fail
	case method == "GET":
		return routePullQueue, name, nil
	case method == "PATCH":
		return routePullQueuePatch, name, nil
	case method == "DELETE":
		return routePullQueueDelete, name, nil
	}
	return nil, nil, errNotAllowed
}

// pullOperation takes one segment, of a POST.
func pullOperation(method string, rest []byte, operations map[string]*route) (*route, *failure) {
	var low [16]byte
	r := operations[string(lowered(low[:0], rest[1:]))]
	if r == nil {
		return nil, errNoRoute
	}
	return only(method, "POST", r)
}

// matchPullMessages takes what can be done with a leased message. Version 1 has the
// rest, and asks pullMessage and deletePullMessage for an id that is none of its own.
func matchPullMessages(method string, rest []byte) (r *route, arg []byte, fail *failure, mine bool) {
	id, more := cutSegment(rest)
	if len(more) == 0 {
		return nil, nil, nil, false
	}
	var low [16]byte
	r = pullMessageOperations[string(lowered(low[:0], more[1:]))]
	switch {
	case r == nil:
		return nil, nil, nil, false
	case len(id) == 0:
		return nil, nil, errNoPullMessage, true
	}
	r, fail = only(method, "POST", r)
	return r, id, fail, true
}
