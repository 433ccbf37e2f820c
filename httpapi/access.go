package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/tidemill/tidemill/engine"
)

// What a token allows (P44). Its access is held against the route, in one place, before
// the body is read: a route says what it needs (route.access). Its limits are held
// against the queue, the URL group or the URL that a request names, by the route's
// handler; a route that does not say that its handler does (route.scoped) is about the
// whole account, and refused to every token with limits.

// forbidden is the answer to a good token that is not good enough.
func forbidden(format string, args ...any) *failure {
	return &failure{status: http.StatusForbidden, text: "forbidden: " + fmt.Sprintf(format, args...)}
}

// mayCall says whether the token is good enough for the route.
func (x *exchange) mayCall() *failure {
	r, p := x.route, x.who
	switch {
	case r.access == accessAdmin && !p.Admin:
		return forbidden("%s needs an admin's token: the first of the server's own account, or one made with `tidemill token create --admin`", r.name)
	case p.Access == engine.AccessPublish && r.access != accessPublish:
		return forbidden("this token may only publish; %s needs one with %s", r.name, r.access)
	case p.Access == engine.AccessRead && r.access != accessRead:
		return forbidden("this token may only read; %s needs one with %s", r.name, r.access)
	case !r.scoped && p.Limited():
		return forbidden("this token is limited to %s; %s concerns the whole account and needs one without limits", limits(p), r.name)
	}
	return nil
}

// String says which tokens are good enough.
func (a access) String() string {
	switch a {
	case accessRead:
		return "access read or full"
	case accessPublish:
		return "access publish or full"
	}
	return "access full"
}

// limits tells the owner of a token what it is limited to.
func limits(p *engine.Principal) string {
	var parts []string
	for _, l := range []struct {
		what string
		list []string
	}{{"queue ", p.Queues}, {"URL group ", p.Groups}, {"host ", p.Hosts}} {
		if len(l.list) > 0 {
			parts = append(parts, l.what+some(l.list))
		}
	}
	return strings.Join(parts, " and ")
}

// some names the first few of a list.
func some(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, " or ")
	}
	return fmt.Sprintf("%s or %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// mayDefine says whether the token may make the schedule that x.pub holds. That can be
// the same request as a publish, so its route does not tell. A schedule that the token
// does not see is not replaced.
func (x *exchange) mayDefine() *failure {
	if x.who.Access == engine.AccessFull {
		id := x.pub.values[optScheduleID]
		if id == nil || !x.who.Limited() {
			return nil
		}
		s, err := x.srv.opt.Engine.Schedule(x.user, string(id))
		if err == nil && !x.seesSchedule(s) {
			return forbidden("this token is limited to %s, and the schedule %s that there is sends elsewhere", limits(x.who), short(id))
		}
		return nil
	}
	return forbidden("this token may only publish; Upstash-Cron makes a schedule, which needs one with %s", accessFull)
}

// mayQueue says whether the token may do what its access allows with a queue, of either
// API: a token with limits needs that queue to be one of them. It is called before
// anything is looked up, so that it tells nothing about what there is.
func (x *exchange) mayQueue(name string) *failure {
	return x.mayNamed("queue", name, x.seesQueue(name))
}

// mayGroup is mayQueue of a URL group.
func (x *exchange) mayGroup(name string) *failure {
	return x.mayNamed("URL group", name, x.seesGroup(name))
}

func (x *exchange) mayNamed(what, name string, ok bool) *failure {
	if ok {
		return nil
	}
	return forbidden("this token is limited to %s, not %s %s", limits(x.who), what, short(name))
}

// seesQueue and seesGroup say whether a list may show it to the token.
func (x *exchange) seesQueue(name string) bool { return !x.who.Limited() || x.who.NamesQueue(name) }
func (x *exchange) seesGroup(name string) bool { return !x.who.Limited() || x.who.NamesGroup(name) }

// mayURL says whether the token may have requests sent to a URL.
func (x *exchange) mayURL(url string) *failure {
	if x.who.AllowsURL(url) {
		return nil
	}
	return forbidden("this token is limited to %s, which the destination %s is not in", limits(x.who), short(url))
}

// maySend says whether the token may send x.pub's message, or define the schedule that
// it is of: into its queue, to its destination, with its callbacks. What a URL group's
// owner has set for all messages to it is the owner's business.
func (x *exchange) maySend() *failure {
	m := &x.pub.message
	if !x.who.Limited() {
		return nil
	}
	if !x.who.AllowsQueue(m.Queue) {
		if m.Queue == "" {
			return forbidden("this token is limited to %s, and the message is in no queue", limits(x.who))
		}
		return x.mayNamed("queue", m.Queue, false)
	}
	if m.Group != "" && !x.who.AllowsGroup(m.Group) {
		return x.mayNamed("URL group", m.Group, false)
	}
	if m.Group == "" {
		if fail := x.mayURL(m.URL); fail != nil {
			return fail
		}
	}
	return x.mayCallBack(&x.pub.options)
}

// mayCallBack checks the URLs of callbacks: they are destinations.
func (x *exchange) mayCallBack(o *options) *failure {
	for _, which := range [...]option{optCallback, optFailure} {
		if o.values[which] == nil || o.source[which] == fromGroup {
			continue
		}
		if !x.who.AllowsURL(view(o.values[which])) {
			return forbidden("this token is limited to %s, which %s %s is not in", limits(x.who), o.name(which), short(o.values[which]))
		}
	}
	for _, in := range [...]*options{o.callback, o.failure} {
		if in == nil {
			continue
		}
		if fail := x.mayCallBack(in); fail != nil {
			return fail
		}
	}
	return nil
}

// sees says whether the token may see a message, and do with it what its access allows:
// one that it could have published. To a token of other limits it is not there.
func (x *exchange) sees(m *engine.Message) bool {
	return x.seesAt(m.QueueName, m.TopicName, m.URL)
}

func (x *exchange) seesAt(queue, topic, url string) bool {
	p := x.who
	// What a message of a pull queue shows for its destination is the queue's path.
	pull, ofPull := strings.CutPrefix(url, "/v1/queues/")
	switch {
	case !p.Limited():
		return true
	case ofPull:
		return p.NamesQueue(pull)
	case !p.AllowsQueue(queue):
		return false
	case topic != "":
		return p.AllowsGroup(topic)
	}
	return p.AllowsURL(url)
}

// mayMessage finds out whether the token may touch a message by its id. Without limits
// it asks nobody.
func (x *exchange) mayMessage(id string) error {
	if !x.who.Limited() {
		return nil
	}
	m, err := x.srv.opt.Engine.Message(x.user, id)
	if err == nil && !x.sees(m) {
		err = engine.ErrNotFound
	}
	return err
}

// mayDead is mayMessage of a dead letter.
func (x *exchange) mayDead(id string) error {
	if !x.who.Limited() {
		return nil
	}
	d, err := x.srv.opt.Engine.DeadLetter(x.user, id)
	if err == nil && !x.sees(&d.Message) {
		err = engine.ErrNotFound
	}
	return err
}

// maySchedule is mayMessage of a schedule.
func (x *exchange) maySchedule(id string) error {
	if !x.who.Limited() {
		return nil
	}
	s, err := x.srv.opt.Engine.Schedule(x.user, id)
	if err == nil && !x.seesSchedule(s) {
		err = engine.ErrNotFound
	}
	return err
}

func (x *exchange) seesSchedule(s *engine.ScheduleInfo) bool {
	return x.seesAt(s.QueueName, s.TopicName, s.URL)
}
