package httpapi

import (
	"net/http"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// Retry-After of the answers that ask for another try, in seconds.
var retryAfter = formatSeconds(engine.RetryAfter)

func (x *exchange) message() error {
	m, err := x.srv.opt.Engine.Message(x.user, string(x.arg))
	if err == nil && !x.sees(m) {
		err = engine.ErrNotFound
	}
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.message(m)
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// message writes the members of a message object (QSTASH.md §8.1). Doubled
// spellings are there because clients differ in which they read (§13.7).
func (o *obj) message(m *engine.Message) {
	o.str("messageId", m.ID)
	o.str("url", m.URL)
	o.str("method", m.Method)
	o.header("header", m.Header)
	o.content("body", "bodyBase64", m.Body)
	o.num("maxRetries", int64(m.Retries))
	o.opt("retryDelayExpression", m.RetryDelay)
	o.opt("retryDelayExpr", m.RetryDelay)
	notBefore := m.NotBefore
	if notBefore.IsZero() {
		notBefore = m.Created
	}
	o.time("notBefore", notBefore)
	o.time("createdAt", m.Created)
	o.opt("callerIP", m.CallerIP)
	o.opt("callerIp", m.CallerIP)
	o.opt("scheduleId", m.ScheduleID)
	o.opt("topicName", m.TopicName)
	o.opt("endpointName", m.Endpoint)
	o.opt("queueName", m.QueueName)
	o.labels(m.Labels)
	o.flowRule(&m.Flow)
	o.callback("callback", "callbackHeader", m.Callback)
	o.callback("failureCallback", "failureCallbackHeader", m.Failure)
	in := obj{}
	in.order(m.Ordering, &m.Flow)
	o.extension(&in)
}

// flowRule writes what a message says of its flow-control key: a limit that it does not
// set is left out, the period in seconds is there always (QSTASH.md §13, 18).
func (o *obj) flowRule(f *engine.FlowControl) {
	if f.Key == "" {
		return
	}
	o.str("flowControlKey", f.Key)
	if f.Parallelism > 0 {
		o.num("parallelism", int64(f.Parallelism))
	}
	if f.Rate > 0 {
		o.num("rate", int64(f.Rate))
	}
	o.num("period", periodSeconds(f.Period))
}

func (o *obj) callback(url, header string, c *engine.CallbackInfo) {
	if c != nil {
		o.str(url, c.URL)
		o.header(header, c.Header)
	}
}

// order writes the extensions of a message, those that are not at their defaults.
func (o *obj) order(ordering string, f *engine.FlowControl) {
	o.opt("orderingKey", ordering)
	if f.Sliding {
		o.str("flowControlMode", "sliding")
	}
}

// extension writes what in collected of our own, unless that is nothing.
func (o *obj) extension(in *obj) {
	if in.more {
		o.key("tidemill")
		o.b = append(o.b, in.end()...)
	}
}

// deadLetter writes a dead letter (QSTASH.md §8.3).
func (o *obj) deadLetter(d *engine.DeadLetter) {
	o.str("dlqId", d.ID)
	o.message(&d.Message)
	o.num("responseStatus", int64(d.ResponseStatus))
	o.header("responseHeader", d.ResponseHeader)
	o.header("responseHeaders", d.ResponseHeader)
	o.content("responseBody", "responseBodyBase64", d.ResponseBody)
	o.opt("error", d.Error)
}

// time writes unix milliseconds, 0 where it is not known: of what is damaged.
func (o *obj) time(name string, t time.Time) {
	ms := int64(0)
	if !t.IsZero() {
		ms = t.UnixMilli()
	}
	o.num(name, ms)
}

func (x *exchange) cancel() error {
	if err := x.mayMessage(string(x.arg)); err != nil {
		return err
	}
	if err := x.srv.opt.Engine.Cancel(x.user, string(x.arg)); err != nil {
		return err
	}
	x.out = append(x.out[:0], `{"cancelled":1}`...)
	return x.ok(http.StatusOK)
}

func (x *exchange) keys() error {
	k, err := x.srv.opt.Engine.Keys(x.user)
	return x.answerKeys(&k, err)
}

func (x *exchange) rotateKeys() error {
	k, err := x.srv.opt.Engine.RotateKeys(x.user)
	return x.answerKeys(&k, err)
}

func (x *exchange) answerKeys(k *engine.Keys, err error) error {
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.str("current", k.Current)
	o.str("next", k.Next)
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// ready tells whether publishes are accepted (QSTASH.md §9). It needs no token,
// so the reason stays in the log.
func (x *exchange) ready() error {
	if err := x.srv.opt.Engine.Ready(); err != nil {
		x.srv.opt.Logger.Warn("not ready", "error", err)
		return &failure{status: http.StatusServiceUnavailable, text: "not ready", retry: true}
	}
	x.out = append(x.out[:0], `{"ready":true}`...)
	return x.ok(http.StatusOK)
}

// health tells that the process answers; it asks nobody.
func (x *exchange) health() error {
	x.out = append(x.out[:0], `{"status":"ok"}`...)
	return x.ok(http.StatusOK)
}
