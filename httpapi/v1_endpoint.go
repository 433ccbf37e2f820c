package httpapi

import (
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/engine"
)

// endpointV1 writes an endpoint of a topic, with both sets of keys.
func (o *obj) endpointV1(topic *engine.GroupInfo, e *engine.Endpoint) {
	id := endpointID(topic.Created, e)
	o.str("endpointId", id)
	o.str("id", id)
	o.str("url", e.URL)
	o.str("topicId", topicID(topic.Created))
	o.str("topicName", topic.Name)
}

// endpointsV1 is GET /v1/endpoints: those of all topics.
func (x *exchange) endpointsV1() error {
	gs, err := x.srv.opt.Engine.Groups(x.user)
	if err != nil {
		return err
	}
	type place struct{ group, endpoint int }
	var all []place
	for i := range gs {
		for j := range gs[i].Endpoints {
			all = append(all, place{i, j})
		}
	}
	return x.list(len(all), func(o *obj, i int) {
		g := &gs[all[i].group]
		o.endpointV1(g, &g.Endpoints[all[i].endpoint])
	})
}

// endpointOfArg finds the endpoint that the path names.
func (x *exchange) endpointOfArg() (topic *engine.GroupInfo, e *engine.Endpoint, err error) {
	id := string(x.arg)
	missing := fmt.Errorf("endpoint %s %w", short(id), engine.ErrNotFound)
	created, ok := topicOfEndpoint(id)
	if !ok {
		return nil, nil, missing
	}
	topic, err = x.srv.opt.Engine.GroupCreated(x.user, created)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil, missing
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range topic.Endpoints {
		if endpointID(created, &topic.Endpoints[i]) == id {
			return topic, &topic.Endpoints[i], nil
		}
	}
	return nil, nil, missing
}

func (x *exchange) endpointV1() error {
	topic, e, err := x.endpointOfArg()
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.endpointV1(topic, e) })
}

// createEndpointV1 is POST /v1/endpoints: it adds a URL to a topic that there is.
func (x *exchange) createEndpointV1() error {
	given, url, fail := x.endpointMembersV1()
	if fail != nil {
		return fail
	}
	topic, err := x.topic(given)
	if err != nil {
		return err
	}
	if err := x.srv.opt.Engine.AddEndpoints(x.user, topic.Name, []engine.Endpoint{{URL: url}}); err != nil {
		return err
	}
	return x.answerEndpointV1(topic.Name, url)
}

// answerEndpointV1 shows the endpoint of a topic that has this URL.
func (x *exchange) answerEndpointV1(topic, url string) error {
	g, err := x.srv.opt.Engine.Group(x.user, topic)
	if err != nil {
		return err
	}
	for i := range g.Endpoints {
		if g.Endpoints[i].URL == url {
			return x.one(func(o *obj) { o.endpointV1(g, &g.Endpoints[i]) })
		}
	}
	return fmt.Errorf("endpoint %s %w", short(url), engine.ErrNotFound) // removed meanwhile
}

// endpointMembersV1 reads {"url", "topicName" or "topicId"}.
func (x *exchange) endpointMembersV1() (topic []byte, url string, fail *failure) {
	var rawURL, rawName, rawID []byte
	fail = x.cutBody("url and topicName", func(name []byte) *[]byte {
		switch string(name) {
		case "url":
			return &rawURL
		case "topicName":
			return &rawName
		case "topicId":
			return &rawID
		}
		return nil
	})
	if fail == nil {
		url, fail = x.urlMemberV1(rawURL)
	}
	if fail == nil {
		topic, fail = stringMember("topicName", rawName)
	}
	if fail == nil && len(topic) == 0 {
		topic, fail = stringMember("topicId", rawID)
	}
	if fail == nil && len(topic) == 0 {
		fail = badRequest("one of topicName and topicId must be there")
	}
	return topic, url, fail
}

func (x *exchange) urlMemberV1(raw []byte) (string, *failure) {
	url, fail := stringMember("url", raw)
	switch {
	case fail != nil:
		return "", fail
	case len(url) == 0:
		return "", badRequest("the url is missing")
	}
	return string(url), x.endpointURL(string(url))
}

// updateEndpointV1 is PUT /v1/endpoints/{id}, which changes the URL. The endpoint gets its
// id as its name, so that it keeps the id.
func (x *exchange) updateEndpointV1() error {
	topic, e, err := x.endpointOfArg()
	if err != nil {
		return err
	}
	var raw []byte
	if fail := x.cutBody("url", oneMember("url", &raw)); fail != nil {
		return fail
	}
	url, fail := x.urlMemberV1(raw)
	if fail != nil {
		return fail
	}
	named := engine.Endpoint{URL: e.URL, Name: e.Name}
	if e.Name == "" {
		named.Name = string(x.arg)
	}
	moved := engine.Endpoint{URL: url, Name: named.Name}
	if err := x.srv.opt.Engine.AddEndpoints(x.user, topic.Name, []engine.Endpoint{named, moved}); err != nil {
		return err
	}
	return x.answerEndpointV1(topic.Name, url)
}

// deleteEndpointV1 is DELETE /v1/endpoints/{id}. The topic stays, even without endpoints.
func (x *exchange) deleteEndpointV1() error {
	topic, e, err := x.endpointOfArg()
	if err != nil {
		return err
	}
	if err := x.srv.opt.Engine.RemoveEndpoint(x.user, topic.Name, e.URL); err != nil {
		return err
	}
	return x.one(func(o *obj) { o.str("status", "ok") })
}
