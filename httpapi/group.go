package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/tidemill/tidemill/engine"
)

const groupName = "URL group" // in errors

func (x *exchange) groups() error {
	gs, err := x.srv.opt.Engine.Groups(x.user)
	if err != nil {
		return err
	}
	gs = slices.DeleteFunc(gs, func(g engine.GroupInfo) bool { return !x.seesGroup(g.Name) })
	return x.list(len(gs), func(o *obj, i int) { o.group(&gs[i]) })
}

// namedGroup checks the URL group that the path names.
func (x *exchange) namedGroup() *failure {
	if fail := checkName(groupName, x.arg); fail != nil {
		return fail
	}
	return x.mayGroup(view(x.arg))
}

func (x *exchange) group() error {
	if fail := x.namedGroup(); fail != nil {
		return fail
	}
	g, err := x.srv.opt.Engine.Group(x.user, string(x.arg))
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.group(g) })
}

// group writes the members of a group, all of them always (QSTASH.md §8.5).
func (o *obj) group(g *engine.GroupInfo) {
	o.str("name", g.Name)
	o.time("createdAt", g.Created)
	o.time("updatedAt", g.Updated)
	o.key("endpoints")
	o.b = append(o.b, '[')
	for i := range g.Endpoints {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		in := obj{b: o.b}
		in.opt("name", g.Endpoints[i].Name)
		in.str("url", g.Endpoints[i].URL)
		o.b = in.end()
	}
	o.b = append(o.b, ']')
}

// deleteGroup is DELETE /v2/topics/{name}. One that is not there is no failure. With a
// body it is the older clients' way to remove endpoints, so a body that is none of
// theirs must not be taken for no body.
func (x *exchange) deleteGroup() error {
	if len(x.body.b) > 0 {
		return x.removeEndpoints()
	}
	if fail := x.namedGroup(); fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.DeleteGroup(x.user, string(x.arg)); err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	return x.done()
}

// addEndpoints is POST /v2/topics/{name}/endpoints: it makes the group if there is
// none, and changes the endpoints that are there by URL or name.
func (x *exchange) addEndpoints() error {
	es, fail := x.endpoints(func(e *engine.Endpoint) *failure {
		if e.URL == "" {
			return badRequest("the url is missing")
		}
		return x.endpointURL(e.URL)
	})
	if fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.AddEndpoints(x.user, string(x.arg), es); err != nil {
		return err
	}
	return x.done()
}

func (x *exchange) endpointURL(url string) *failure {
	if form, fail := formOf([]byte(url)); fail != nil || form != formLiteral {
		return errScheme
	}
	if fail := x.srv.opt.checkURL([]byte(url)); fail != nil {
		return fail
	}
	return x.mayURL(url)
}

// removeEndpoints is DELETE /v2/topics/{name}/endpoints.
func (x *exchange) removeEndpoints() error {
	es, fail := x.endpoints(func(e *engine.Endpoint) *failure {
		if e.URL == "" && e.Name == "" {
			return badRequest("one of url and name must be there")
		}
		return nil
	})
	if fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.RemoveEndpoints(x.user, string(x.arg), es); err != nil {
		return err
	}
	return x.done()
}

// endpoints reads {"endpoints":[{"url","name"}]}; check looks at each.
func (x *exchange) endpoints(check func(e *engine.Endpoint) *failure) (es []engine.Endpoint, fail *failure) {
	if fail := x.namedGroup(); fail != nil {
		return nil, fail
	}
	var raw []byte
	fail = x.cutBody("endpoints", oneMember("endpoints", &raw))
	switch {
	case fail != nil:
		return nil, fail
	case isAbsent(raw) || raw[0] != '[':
		return nil, badRequest("endpoints must be a list of objects with url and name")
	}
	for c := (cursor{b: raw}); c.next(']'); {
		e, fail := cutEndpoint(&c)
		if fail == nil {
			fail = check(&e)
		}
		switch {
		case fail != nil && fail.status == http.StatusForbidden:
			return nil, fail // it names the URL
		case fail != nil:
			return nil, badRequest("endpoint %d: %s", len(es), fail.text)
		}
		es = append(es, e)
	}
	if len(es) == 0 {
		return nil, badRequest("endpoints is empty: it must name at least one")
	}
	return es, nil
}

func oneMember(want string, at *[]byte) func(name []byte) *[]byte {
	return func(name []byte) *[]byte {
		if string(name) == want {
			return at
		}
		return nil
	}
}

// endpointNameMax bounds the name of an endpoint, bytes. It is any text.
const endpointNameMax = 256

func cutEndpoint(c *cursor) (e engine.Endpoint, fail *failure) {
	var rawURL, rawName []byte
	fail = cutMembers(c, func(name []byte) *[]byte {
		switch string(name) {
		case "url":
			return &rawURL
		case "name":
			return &rawName
		}
		return nil
	})
	if fail != nil {
		return e, fail
	}
	url, fail := stringMember("url", rawURL)
	if fail != nil {
		return e, fail
	}
	name, fail := stringMember("name", rawName)
	if fail != nil {
		return e, fail
	}
	if len(name) > endpointNameMax {
		return e, badValue("name", name, fmt.Sprintf("must be at most %d bytes", endpointNameMax))
	}
	return engine.Endpoint{URL: string(url), Name: string(name)}, nil
}

// setGroupHeader is PATCH /v2/topics/{name}: the options of every publish to the group
// that does not say otherwise. They replace the former ones.
func (x *exchange) setGroupHeader() error {
	if fail := x.namedGroup(); fail != nil {
		return fail
	}
	var raw []byte
	if fail := x.cutBody("headers", oneMember("headers", &raw)); fail != nil {
		return fail
	}
	if isAbsent(raw) {
		return badRequest("headers is missing: it must be an object of options, such as Upstash-Retries")
	}
	hs, fail := x.groupHeader(raw)
	if fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.SetGroupHeader(x.user, string(x.arg), hs); err != nil {
		return err
	}
	return x.done()
}

// groupHeader reads the options and checks them as if they were those of a publish
// that says nothing else, so that they are right for any.
func (x *exchange) groupHeader(raw []byte) ([]engine.Header, *failure) {
	var b batch
	if fail := b.cutHeaders(raw, x.srv.opt.HeaderMax); fail != nil {
		return nil, fail
	}
	hs := make([]engine.Header, len(b.fields))
	for i, f := range b.fields {
		hs[i] = engine.Header{Name: string(f.name), Value: string(f.value)}
	}
	p := publisher{}
	if fail := p.addFields(b.fields); fail != nil {
		return nil, fail
	}
	for _, opt := range []option{optCron, optScheduleID, optDedupID, optNotBefore} {
		if p.values[opt] != nil {
			return nil, badOption(opt, p.values[opt], "it cannot be the same for every message to a group")
		}
	}
	limits := x.bounds()
	if fail := p.build(&limits); fail != nil {
		return nil, fail
	}
	return hs, x.mayCallBack(&p.options)
}
