package httpapi

import (
	"errors"

	"github.com/tidemill/tidemill/engine"
)

// topic returns the topic that arg names by its name or by its id. The name goes first,
// since it may look like an id.
func (x *exchange) topic(arg []byte) (*engine.GroupInfo, error) {
	if fail := checkName(groupName, arg); fail != nil {
		return nil, fail
	}
	g, err := x.srv.opt.Engine.Group(x.user, string(arg))
	if !errors.Is(err, engine.ErrNotFound) {
		return g, err
	}
	if created, ok := topicOfID(string(arg)); ok {
		if g, idErr := x.srv.opt.Engine.GroupCreated(x.user, created); !errors.Is(idErr, engine.ErrNotFound) {
			return g, idErr
		}
	}
	return nil, err
}

func (x *exchange) topicsV1() error {
	gs, err := x.srv.opt.Engine.Groups(x.user)
	if err != nil {
		return err
	}
	return x.list(len(gs), func(o *obj, i int) { o.topicV1(&gs[i]) })
}

func (x *exchange) topicV1() error {
	g, err := x.topic(x.arg)
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.topicV1(g) })
}

// topicV1 writes a topic with the keys of the documentation and with those of the client
// (QSTASH.md §14, 27).
func (o *obj) topicV1(g *engine.GroupInfo) {
	id := topicID(g.Created)
	o.str("topicId", id)
	o.str("id", id)
	o.str("name", g.Name)
	o.key("endpoints")
	o.b = append(o.b, '[')
	for i := range g.Endpoints {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		in := obj{b: o.b}
		in.endpointV1(g, &g.Endpoints[i])
		o.b = in.end()
	}
	o.b = append(o.b, ']')
	o.key("endpointIds")
	o.b = append(o.b, '[')
	for i := range g.Endpoints {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendString(o.b, endpointID(g.Created, &g.Endpoints[i]))
	}
	o.b = append(o.b, ']')
}

// createTopicV1 is POST /v1/topics. A topic that is there is no failure.
func (x *exchange) createTopicV1() error {
	name, fail := x.nameMemberV1()
	if fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.AddEndpoints(x.user, name, nil); err != nil {
		return err
	}
	return x.answerTopicV1(name)
}

// updateTopicV1 is PUT /v1/topics/{id or name}, which can change the name alone.
func (x *exchange) updateTopicV1() error {
	name, fail := x.nameMemberV1()
	if fail != nil {
		return fail
	}
	old, err := x.topic(x.arg)
	if err != nil {
		return err
	}
	if err := x.srv.opt.Engine.RenameGroup(x.user, old.Name, name); err != nil {
		return err
	}
	return x.answerTopicV1(name)
}

func (x *exchange) answerTopicV1(name string) error {
	g, err := x.srv.opt.Engine.Group(x.user, name)
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.topicV1(g) })
}

// nameMemberV1 reads {"name"}.
func (x *exchange) nameMemberV1() (string, *failure) {
	var raw []byte
	if fail := x.cutBody("name", oneMember("name", &raw)); fail != nil {
		return "", fail
	}
	name, fail := stringMember("name", raw)
	if fail == nil {
		fail = checkName("name", name)
	}
	return string(name), fail
}

// deleteTopicV1 is DELETE /v1/topics/{id or name}. One that is not there is no failure.
func (x *exchange) deleteTopicV1() error {
	g, err := x.topic(x.arg)
	if err == nil {
		err = x.srv.opt.Engine.DeleteGroup(x.user, g.Name)
	}
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	return x.one(func(o *obj) { o.str("status", "ok") })
}
