package httpapi

import (
	"net/http"
	"time"

	"github.com/tidemill/tidemill/engine"
)

var (
	routeReplays      = &route{name: "replay list", access: accessRead, serve: (*exchange).replays}
	routeReplayCreate = &route{name: "replay create", serve: (*exchange).createReplay}
	routeReplay       = &route{name: "replay", access: accessRead, serve: (*exchange).replay}
	routeReplayStop   = &route{name: "replay stop", serve: (*exchange).stopReplay}
)

// matchReplay matches what follows /v2/replay: nothing, or the id of a job.
func matchReplay(method string, rest []byte) (*route, []byte, *failure) {
	id, more := cutSegment(rest)
	switch {
	case len(more) > 0:
		return nil, nil, errNoRoute
	case len(id) == 0 && method == "GET":
		return routeReplays, nil, nil
	case len(id) == 0 && method == "POST":
		return routeReplayCreate, nil, nil
	case len(id) == 0:
		return nil, nil, errNotAllowed
	case method == "GET":
		return routeReplay, id, nil
	case method == "DELETE":
		return routeReplayStop, id, nil
	}
	return nil, nil, errNotAllowed
}

// replayFilters are the filters of a replay. What is not understood would replay more than
// was meant, so it is refused.
var replayFilters = &filterCall{
	names: filterContent | filterMessageID | filterHost | filterPath, strict: true, valuesMax: engine.ReplayValuesMax,
}

// replayRate is the rate of a replay that names none, messages per second.
const replayRate = 100

// createReplay is POST /v2/replay: filters, rate and destination are members of one
// object.
func (x *exchange) createReplay() error {
	r := engine.Replay{Rate: replayRate}
	f := filter{call: replayFilters}
	if fail := f.addQuery(x.query); fail != nil {
		return fail
	}
	if fail := x.readReplay(&r, &f); fail != nil {
		return fail
	}
	r.Filter = f.Filter
	id, err := x.srv.opt.Engine.StartReplay(x.user, &r)
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.str("jobId", id)
	x.out = o.end()
	return x.ok(http.StatusCreated)
}

func (x *exchange) readReplay(r *engine.Replay, f *filter) *failure {
	if fail := checkJSON(x.body.b); fail != nil {
		return fail
	}
	c := cursor{b: x.body.b}
	if c.peek() != '{' {
		return badRequest("the body must be a JSON object with filters, rate and destination")
	}
	for c.next('}') {
		rawName, value := c.member()
		name, _ := text(rawName)
		var fail *failure
		switch string(name) {
		case "rate":
			fail = readRate(r, value)
		case "destination":
			fail = x.readDestination(r, value)
		default:
			fail = f.addMember(string(name), value)
		}
		if fail != nil {
			return fail
		}
	}
	return nil
}

func readRate(r *engine.Replay, raw []byte) *failure {
	n, fail := numberMember("rate", raw)
	if fail == nil && n != nil {
		r.Rate = *n
	}
	return fail
}

// readDestination takes a URL: a group has no messages of its own to be delivered again.
func (x *exchange) readDestination(r *engine.Replay, raw []byte) *failure {
	v, fail := stringMember("destination", raw)
	if fail != nil || v == nil {
		return fail
	}
	if !startsURL(string(v)) {
		return errScheme
	}
	r.URL = string(v)
	return x.srv.opt.checkURL(v)
}

func (x *exchange) replays() error {
	rs, err := x.srv.opt.Engine.Replays(x.user)
	if err != nil {
		return err
	}
	return x.list(len(rs), func(o *obj, i int) { o.replay(&rs[i]) })
}

func (x *exchange) replay() error {
	r, err := x.srv.opt.Engine.Replay(x.user, string(x.arg))
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.replay(r) })
}

func (x *exchange) stopReplay() error {
	if err := x.srv.opt.Engine.StopReplay(x.user, string(x.arg)); err != nil {
		return err
	}
	return x.done()
}

// replay writes the members of a replay. Its filter is in the form in which it can be
// given again.
func (o *obj) replay(r *engine.ReplayInfo) {
	o.str("jobId", r.ID)
	o.str("state", string(r.State))
	o.num("rate", int64(r.Rate))
	o.opt("destination", r.URL)
	o.key("filter")
	in := obj{b: o.b}
	in.filter(&r.Filter)
	o.b = in.end()
	o.time("createdAt", r.Created)
	o.time("updatedAt", r.Updated)
	o.num("matched", int64(r.Matched))
	o.num("replayed", int64(r.Replayed))
	o.num("expired", int64(r.Expired))
	o.num("failed", int64(r.Failed))
	o.moment("position", r.Position)
	o.opt("error", r.Error)
}

func (o *obj) filter(f *engine.Filter) {
	o.texts("messageIds", f.MessageIDs)
	o.texts("url", f.URLs)
	o.texts("host", f.Hosts)
	o.texts("path", f.Paths)
	o.texts("topicName", f.TopicNames)
	o.texts("queueName", f.QueueNames)
	o.texts("scheduleId", f.ScheduleIDs)
	o.texts("label", f.Labels)
	o.texts("flowControlKey", f.FlowKeys)
	o.texts("callerIp", f.CallerIPs)
	o.moment("fromDate", f.From)
	o.moment("toDate", f.To)
}

// texts writes a list of strings, unless it is empty.
func (o *obj) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	o.key(name)
	o.b = append(o.b, '[')
	for i, v := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendString(o.b, v)
	}
	o.b = append(o.b, ']')
}

// moment writes unix milliseconds, unless there is none.
func (o *obj) moment(name string, t time.Time) {
	if !t.IsZero() {
		o.time(name, t)
	}
}
