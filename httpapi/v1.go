package httpapi

import (
	"errors"
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

// publishV1 is POST /v1/publish/{url, topic or id of a topic} (QSTASH.md §12.1). It takes
// the options of the present publish. Headers are forwarded only with their prefix, as the
// documentation of the time says and not as that of @upstash/qstash 0.3.6, which sends its
// user's headers as they are: nothing tells them from those of the HTTP client.
func (x *exchange) publishV1() error {
	if fail := x.singleV1(); fail != nil {
		return fail
	}
	switch {
	case x.pub.scheduled():
		return x.define()
	case x.pub.message.Group != "":
		members, err := x.srv.opt.Engine.PublishGroup(&x.pub.message)
		if err != nil {
			return err
		}
		return x.answerV1(&engine.Receipt{MessageID: members[0].MessageID, Deduplicated: allDuplicates(members)})
	}
	receipt, err := x.srv.opt.Engine.Publish(&x.pub.message)
	if err != nil {
		return err
	}
	return x.answerV1(&receipt)
}

// singleV1 is single with the ids of topics.
func (x *exchange) singleV1() *failure {
	created, ok := topicOfID(view(x.arg))
	if !ok {
		return x.single()
	}
	if _, err := x.srv.opt.Engine.Group(x.user, string(x.arg)); err == nil { // it looks like an id
		return x.single()
	}
	g, err := x.srv.opt.Engine.GroupCreated(x.user, created)
	if err != nil { // it is the name of no topic, either
		return x.single()
	}
	return x.singleTo(target{group: []byte(g.Name)})
}

// answerV1 is one object for a topic as well, with the id of the message to the topic's
// first endpoint: it stands for all of them in what this API asks later (Engine.Siblings).
func (x *exchange) answerV1(r *engine.Receipt) error {
	o := obj{b: x.out[:0]}
	o.str("messageId", r.MessageID)
	if r.Deduplicated {
		o.flag("deduplicated", true)
	}
	x.out = o.end()
	if r.Deduplicated {
		return x.ok(http.StatusAccepted)
	}
	return x.ok(http.StatusOK)
}

// contentV1 writes header and body, both always, a body that is no text in base64.
func (o *obj) contentV1(hs []engine.Header, body []byte) {
	o.header("header", hs)
	if len(hs) == 0 {
		o.key("header")
		o.b = append(o.b, `{}`...)
	}
	o.content("body", "bodyBase64", body)
	if len(body) == 0 {
		o.str("body", "")
	}
}

// cancelV1 is DELETE /v1/messages/{id}: of a publish to a topic it ends all that is pending.
func (x *exchange) cancelV1() error {
	if err := x.deletePullMessage(); x.who.Limited() || !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	if err := x.cancelAllV1(string(x.arg)); err != nil {
		return err
	}
	return x.accepted()
}

func (x *exchange) cancelAllV1(id string) error {
	ids, err := x.srv.opt.Engine.Siblings(x.user, id)
	if err != nil {
		return err
	}
	missing := 0
	for _, sibling := range ids {
		err := x.srv.opt.Engine.Cancel(x.user, sibling)
		switch {
		case errors.Is(err, engine.ErrNotFound):
			missing++
		case err != nil:
			return err
		}
	}
	if missing == len(ids) {
		return engine.ErrNotFound
	}
	return nil
}

// accepted answers what the first API says was begun.
func (x *exchange) accepted() error {
	o := obj{b: x.out[:0]}
	o.str("status", "accepted")
	x.out = o.end()
	return x.ok(http.StatusAccepted)
}

// quota is GET /v1/quota. There is no limit of requests, which is 0 there.
func (x *exchange) quota() error {
	l := x.srv.opt.Engine.Limits()
	return x.one(func(o *obj) {
		o.num("maxTopics", engine.GroupsMax)
		o.num("maxEndpointsPerTopic", engine.GroupEndpointsMax)
		o.num("maxMessageSize", int64(l.MessageMax))
		o.num("maxRetries", int64(l.MaxRetries))
		o.num("maxSchedules", engine.SchedulesMax)
		o.num("maxRequestsPerDay", 0)
		o.num("retention", int64(l.HistoryAge.Seconds()))
		o.num("timeout", int64(l.AttemptTimeout.Seconds()))
		o.num("maxDelay", int64(l.MaxDelay.Seconds()))
	})
}
