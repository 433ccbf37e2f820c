package httpapi

import (
	"bytes"
	"net/http"
)

// route is one operation. Literal segments of a path match in any case
// (QSTASH.md §1.1); the path is never cleaned, and what is matched is what is
// authorised.
type route struct {
	name    string // for logs
	access  access // what a token must allow
	scoped  bool   // the handler holds a token to its limits (access.go)
	public  bool   // answered without a token and without reading a body
	batch   bool   // the body is JSON around messages, bounded by Options.BatchMax
	room    int64  // bytes that the body may have beyond those of one message, for the JSON around it
	least   int64  // bytes that the body may have in any case, within Options.BatchMax
	secret  bool   // it changes nothing, and yet who may only read is not told
	endless bool   // the answer goes on until the client goes
	serve   func(x *exchange) error
}

// access is what a route does, and so what a token must allow for it.
type access uint8

const (
	accessFull    access = iota // it changes or deletes what is there
	accessRead                  // it changes nothing
	accessPublish               // it adds messages
	accessAdmin                 // it manages accounts and tokens
)

var (
	routePublish    = &route{name: "publish", access: accessPublish, scoped: true, serve: (*exchange).publish}
	routeBatch      = &route{name: "batch", access: accessPublish, scoped: true, batch: true, serve: (*exchange).batch}
	routeMessage    = &route{name: "message", access: accessRead, scoped: true, serve: (*exchange).message}
	routeCancel     = &route{name: "cancel", scoped: true, serve: (*exchange).cancel}
	routeCancels    = &route{name: "bulk cancel", serve: (*exchange).cancelMany}
	routeDead       = &route{name: "dlq list", access: accessRead, serve: (*exchange).deadLetters}
	routeDeadArray  = &route{name: "dlq list of 2.0", access: accessRead, serve: (*exchange).deadLetterArray}
	routeDeadOne    = &route{name: "dlq item", access: accessRead, scoped: true, serve: (*exchange).deadLetter}
	routeDeadDelete = &route{name: "dlq delete", scoped: true, serve: (*exchange).deleteDeadLetter}
	routeDeadRetry  = &route{name: "dlq retry", scoped: true, serve: (*exchange).retryDeadLetter}
	routeDeletes    = &route{name: "dlq bulk delete", serve: (*exchange).deleteDeadLetters}
	routeRetries    = &route{name: "dlq bulk retry", serve: (*exchange).retryDeadLetters}
	routeKeys       = &route{name: "keys", secret: true, serve: (*exchange).keys}
	routeRotate     = &route{name: "rotate keys", serve: (*exchange).rotateKeys}
	routeReady      = &route{name: "readiness", access: accessRead, public: true, serve: (*exchange).ready}
	routeHealth     = &route{name: "health", access: accessRead, public: true, serve: (*exchange).health}
)

// outside says whether a path does not belong to the API, so that Fallback has it.
func outside(path []byte) bool {
	first, _ := cutSegment(path)
	return !equalFold(first, "v1") && !equalFold(first, "v2") && !equalFold(first, "llm") && !equalFold(first, "healthz") &&
		!equalFold(first, documentName) && !equalFold(first, uiName)
}

// cutSegment cuts "/a/rest" into "a" and "/rest".
func cutSegment(path []byte) (segment, rest []byte) {
	if len(path) == 0 {
		return nil, nil
	}
	path = path[1:]
	if i := bytes.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, nil
}

// match finds the route of a request with one of the methods of methods; arg is the rest
// of the path that it takes.
func match(method string, path []byte) (r *route, arg []byte, fail *failure) {
	first, rest := cutSegment(path)
	switch {
	case equalFold(first, "healthz") && len(rest) == 0:
		r, fail = only(method, "GET", routeHealth)
		return r, nil, fail
	case equalFold(first, documentName) && len(rest) == 0:
		r, fail = only(method, "GET", routeDocument)
		return r, nil, fail
	case equalFold(first, uiName):
		r, fail = only(method, "GET", routeUI)
		return r, rest, fail
	case equalFold(first, "v1"):
		return matchV1(method, rest)
	case !equalFold(first, "v2"):
		return nil, nil, errNoRoute
	}
	family, rest := cutSegment(rest)
	var low [24]byte
	return matchV2(method, string(lowered(low[:0], family)), rest)
}

// lowered appends s in lower case, or nothing when it does not fit: no literal
// segment is that long.
func lowered(dst, s []byte) []byte {
	if len(s) > cap(dst) {
		return dst
	}
	for _, c := range s {
		dst = append(dst, lowerByte(c))
	}
	return dst
}

func matchV2(method, family string, rest []byte) (r *route, arg []byte, fail *failure) {
	switch family {
	case "publish":
		return matchPublish(rest)
	case "batch":
		if len(rest) > 0 {
			return nil, nil, unsupported("/v2/batch/...")
		}
		r, fail = only(method, "POST", routeBatch)
	case "messages":
		return matchMessages(method, rest)
	case "dlq":
		return matchDead(method, rest)
	case "users":
		return matchUsers(method, rest)
	case "tokens":
		return matchTokens(method, rest)
	case "keys":
		r, fail = matchKeys(method, rest)
	case "rotate":
		r, fail = leaf(rest, method, "POST", routeRotate)
	case "readiness":
		r, fail = leaf(rest, method, "GET", routeReady)
	case "schedules":
		return matchSchedules(method, rest)
	case "enqueue":
		return matchEnqueue(rest)
	case "queues":
		return matchQueues(method, rest)
	case "topics":
		return matchTopics(method, rest)
	case "flowcontrol":
		return matchFlows(method, rest)
	case "globalparallelism":
		r, fail = leaf(rest, method, "GET", routeGlobalParallelism)
	case "replay":
		return matchReplay(method, rest)
	case "hosts":
		r, fail = leaf(rest, method, "GET", routeHosts)
	case "stats":
		r, fail = leaf(rest, method, "GET", routeStats)
	case "events":
		r, fail = matchEvents(method, rest, routeEvents)
	case "logs":
		r, fail = matchLogs(method, rest)
	case "workflows", "trigger", "wait", "notify", "waiters":
		fail = unsupported("/v2/" + family)
	default:
		fail = errNoRoute
	}
	return r, nil, fail
}

// only allows the method want.
func only(method, want string, r *route) (*route, *failure) {
	if method != want {
		return nil, errNotAllowed
	}
	return r, nil
}

// leaf is a route without anything after it.
func leaf(rest []byte, method, want string, r *route) (*route, *failure) {
	if len(rest) > 0 {
		return nil, errNoRoute
	}
	return only(method, want, r)
}

// errNotAllowed says that a path has no route for the method. find makes the answer of
// it: which methods there are it asks the routes themselves.
var errNotAllowed = &failure{status: http.StatusMethodNotAllowed}

// matchPublish takes any method that can carry a message: webhook senders may
// use PUT (QSTASH.md §2).
func matchPublish(rest []byte) (*route, []byte, *failure) {
	if len(rest) > 0 {
		rest = rest[1:]
	}
	return routePublish, rest, nil
}

func matchMessages(method string, rest []byte) (*route, []byte, *failure) {
	id, more := cutSegment(rest)
	switch {
	case len(more) > 0:
		return nil, nil, errNoRoute
	case len(id) == 0 && method == "DELETE":
		return routeCancels, rest, nil
	case len(id) == 0:
		return nil, nil, errNotAllowed
	case method == "GET":
		return routeMessage, id, nil
	case method == "DELETE":
		return routeCancel, id, nil
	}
	return nil, nil, errNotAllowed
}

func matchDead(method string, rest []byte) (*route, []byte, *failure) {
	id, more := cutSegment(rest)
	switch {
	case len(id) == 0 && len(more) == 0:
		return matchDeadAll(method, rest)
	case equalFold(id, "retry"):
		return matchRetry(method, more)
	case equalFold(id, "messages"):
		return matchDeadMessages(method, more)
	case len(more) > 0:
		return nil, nil, errNoRoute
	case method == "GET":
		return routeDeadOne, id, nil
	case method == "DELETE":
		return routeDeadDelete, id, nil
	}
	return nil, nil, errNotAllowed
}

// matchDeadAll matches the collection itself; rest is empty or a slash.
func matchDeadAll(method string, rest []byte) (*route, []byte, *failure) {
	switch method {
	case "GET":
		return routeDead, nil, nil
	case "DELETE":
		return routeDeletes, rest, nil
	}
	return nil, nil, errNotAllowed
}

// matchDeadMessages matches what @upstash/qstash 2.0 and 2.1 call (QSTASH.md §12.2).
func matchDeadMessages(method string, rest []byte) (*route, []byte, *failure) {
	id, more := cutSegment(rest)
	switch {
	case len(more) > 0:
		return nil, nil, errNoRoute
	case len(id) == 0 && method == "GET":
		return routeDeadArray, nil, nil
	case len(id) == 0 && method == "DELETE" && len(rest) > 0:
		return nil, nil, errNoDeadID
	case len(id) == 0:
		return nil, nil, errNotAllowed
	case method == "DELETE":
		return routeDeadDelete, id, nil
	}
	return nil, nil, errNotAllowed
}

func matchRetry(method string, rest []byte) (*route, []byte, *failure) {
	id, more := cutSegment(rest)
	switch {
	case len(more) > 0:
		return nil, nil, errNoRoute
	case method != "POST":
		return nil, nil, errNotAllowed
	case len(id) == 0:
		return routeRetries, nil, nil
	}
	return routeDeadRetry, id, nil
}

func matchKeys(method string, rest []byte) (*route, *failure) {
	sub, more := cutSegment(rest)
	switch {
	case len(sub) == 0 && len(more) == 0:
		return only(method, "GET", routeKeys)
	case equalFold(sub, "rotate") && len(more) == 0:
		return only(method, "POST", routeRotate)
	}
	return nil, errNoRoute
}
