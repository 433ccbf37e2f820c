package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// pullQueueArg checks the queue that the path names.
func (x *exchange) pullQueueArg() *failure {
	if fail := pullName(queueName, x.arg); fail != nil {
		return fail
	}
	return x.mayQueue(view(x.arg))
}

// rawPullQueue holds the raw JSON of what defines a queue.
type rawPullQueue struct {
	name, dead, maxRetries, visibility, retention, delay []byte

	url, secret, secretNext, concurrency, timeout, retryDelay []byte // of the webhook
}

func (r *rawPullQueue) places() []rawPlace {
	return []rawPlace{
		{"name", &r.name},
		{"dead_letter_queue", &r.dead},
		{"max_retries", &r.maxRetries},
		{"visibility_seconds", &r.visibility},
		{"retention_seconds", &r.retention},
		{"delay_seconds", &r.delay},
		{"webhook_url", &r.url},
		{"webhook_secret", &r.secret},
		{"webhook_secret_next", &r.secretNext},
		{"max_concurrency", &r.concurrency},
		{"timeout_seconds", &r.timeout},
		{"retry_delay", &r.retryDelay},
	}
}

// setPullQueue is POST /v1/queues: it makes a queue or changes one (QUEUES.md B.6).
func (x *exchange) setPullQueue() error {
	var raw rawPullQueue
	if fail := x.cutNamed("name", false, raw.places()...); fail != nil {
		return fail
	}
	if isAbsent(raw.name) {
		return badRequest("name is missing: it must be the name of the queue")
	}
	name, fail := nameMember("name", raw.name)
	if fail == nil {
		fail = x.mayQueue(name)
	}
	if fail != nil {
		return fail
	}
	return x.definePullQueue(name, &raw)
}

// changePullQueue is PATCH /v1/queues/{name}. The queue must be there.
func (x *exchange) changePullQueue() error {
	if fail := x.pullQueueArg(); fail != nil {
		return fail
	}
	var raw rawPullQueue
	if fail := x.cutNamed("what is to change", false, raw.places()...); fail != nil {
		return fail
	}
	name := string(x.arg)
	if given, fail := nameMember("name", raw.name); fail != nil {
		return fail
	} else if given != "" && given != name {
		return badValue("name", []byte(given), "a queue cannot be renamed")
	}
	if _, err := x.srv.opt.Engine.PullQueue(x.user, name); err != nil {
		return err
	}
	return x.definePullQueue(name, &raw)
}

func (x *exchange) definePullQueue(name string, raw *rawPullQueue) error {
	var c engine.PullChange
	fail := x.pullChange(&c, name, raw)
	if fail == nil {
		fail = x.webhookChange(&c, raw)
	}
	if fail != nil {
		return fail
	}
	q, secret, err := x.srv.opt.Engine.SetPullQueue(x.user, name, c)
	if err != nil {
		return err
	}
	return x.one(func(o *obj) {
		o.pullQueue(&q)
		o.opt("webhook_secret", secret)
	})
}

// pullChange reads what any queue has.
func (x *exchange) pullChange(c *engine.PullChange, name string, raw *rawPullQueue) (fail *failure) {
	limits := x.srv.opt.Engine.Limits()
	if c.DeadLetterQueue, fail = clearable(raw.dead, func() (string, *failure) { return deadQueue(name, raw.dead) }); fail != nil {
		return fail
	}
	if c.DeadLetterQueue != nil && *c.DeadLetterQueue != "" {
		if fail := x.mayQueue(*c.DeadLetterQueue); fail != nil {
			return fail
		}
	}
	if c.MaxRetries, fail = wholeMember("max_retries", raw.maxRetries, 0, engine.PullRetriesMax); fail != nil {
		return fail
	}
	if c.Visibility, fail = secondsMember("visibility_seconds", raw.visibility, time.Second, engine.PullVisibilityMax, true); fail != nil {
		return fail
	}
	if c.Retention, fail = secondsMember("retention_seconds", raw.retention, pullRetentionMin, pullRetentionMax, true); fail != nil {
		return fail
	}
	c.Delay, fail = secondsMember("delay_seconds", raw.delay, 0, pullDelay(&limits), true)
	return fail
}

func deadQueue(name string, raw []byte) (string, *failure) {
	dead, fail := nameMember("dead_letter_queue", raw)
	if fail == nil && dead == name {
		fail = badRequest("dead_letter_queue must differ from the queue's own name")
	}
	return dead, fail
}

// webhookChange reads what only a queue with a webhook has.
func (x *exchange) webhookChange(c *engine.PullChange, raw *rawPullQueue) (fail *failure) {
	if c.WebhookURL, fail = clearable(raw.url, func() (string, *failure) { return x.webhookURL(raw.url) }); fail != nil {
		return fail
	}
	if !isAbsent(raw.secret) {
		secret, fail := secretMember("webhook_secret", raw.secret)
		if fail != nil {
			return fail
		}
		c.WebhookSecret = &secret
	}
	if c.WebhookSecretNext, fail = clearable(raw.secretNext, func() (string, *failure) { return secretMember("webhook_secret_next", raw.secretNext) }); fail != nil {
		return fail
	}
	if c.MaxConcurrency, fail = wholeMember("max_concurrency", raw.concurrency, 1, engine.PullConcurrencyMax); fail != nil {
		return fail
	}
	if c.Timeout, fail = secondsMember("timeout_seconds", raw.timeout, time.Second, x.srv.opt.Engine.Limits().AttemptMax, true); fail != nil {
		return fail
	}
	c.RetryDelay, fail = clearable(raw.retryDelay, func() (string, *failure) {
		v, fail := stringMember("retry_delay", raw.retryDelay)
		if fail == nil {
			_, fail = retryDelay("retry_delay", v)
		}
		return string(v), fail
	})
	return fail
}

// clearable reads a member of which null and "" say that there shall be none.
func clearable(raw []byte, read func() (string, *failure)) (*string, *failure) {
	var v string
	switch {
	case raw == nil:
		return nil, nil
	case !isNull(raw) && string(raw) != `""`:
		var fail *failure
		if v, fail = read(); fail != nil {
			return nil, fail
		}
	}
	return &v, nil
}

// webhookURL checks a webhook as an endpoint of a URL group is checked, and so as a
// publish checks a destination.
func (x *exchange) webhookURL(raw []byte) (string, *failure) {
	url, fail := stringMember("webhook_url", raw)
	if fail == nil {
		fail = x.endpointURL(view(url))
	}
	if fail != nil && fail.status == http.StatusBadRequest {
		fail = badRequest("webhook_url: %s", fail.text)
	}
	return string(url), fail
}

// secretMember returns a key of signatures. No error says what it is (P45).
func secretMember(what string, raw []byte) (string, *failure) {
	s, ok := text(raw)
	if !ok || len(s) == 0 || len(s) > pullSecretMax || !isFieldValue(s) {
		return "", badRequest("%s must be a string of 1 to %d bytes without control characters", what, pullSecretMax)
	}
	return string(s), nil
}

// pullQueue is GET /v1/queues/{name}.
func (x *exchange) pullQueue() error {
	if fail := x.pullQueueArg(); fail != nil {
		return fail
	}
	return x.answerPullQueue(string(x.arg))
}

func (x *exchange) answerPullQueue(name string) error {
	q, err := x.srv.opt.Engine.PullQueue(x.user, name)
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.pullQueue(&q) })
}

// pullQueues is GET /v1/queues.
func (x *exchange) pullQueues() error {
	qs, err := x.srv.opt.Engine.PullQueues(x.user)
	if err != nil {
		return err
	}
	qs = slices.DeleteFunc(qs, func(q engine.PullQueueInfo) bool { return !x.seesQueue(q.Name) })
	x.out = append(x.out[:0], `{"queues":`...)
	return x.pullList(len(qs), func(o *obj, i int) { o.pullQueue(&qs[i]) })
}

// pullList ends an answer whose last member is a list, however large it is.
func (x *exchange) pullList(n int, item func(o *obj, i int)) error {
	x.out = append(x.out, '[')
	for i := range n {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		o := obj{b: x.out}
		item(&o, i)
		x.out = o.end()
		if err := x.spill(); err != nil {
			return err
		}
	}
	x.out = append(x.out, `]}`...)
	return x.ok(http.StatusOK)
}

// pullQueue writes a queue object. It never holds a secret (P45).
func (o *obj) pullQueue(q *engine.PullQueueInfo) {
	o.str("name", q.Name)
	o.opt("dead_letter_queue", q.DeadLetterQueue)
	o.num("max_retries", int64(q.MaxRetries))
	o.wholeSeconds("visibility_seconds", q.Visibility)
	o.wholeSeconds("retention_seconds", q.Retention)
	o.wholeSeconds("delay_seconds", q.Delay)
	if q.WebhookURL != "" {
		o.str("webhook_url", q.WebhookURL)
		o.num("max_concurrency", int64(q.MaxConcurrency))
		o.wholeSeconds("timeout_seconds", q.Timeout)
		o.opt("retry_delay", q.RetryDelay)
	}
	o.time("created_at", q.Created)
	o.time("updated_at", q.Updated)
	o.flag("paused", q.Paused)
	o.num("pending", int64(q.Pending))
	o.num("in_flight", int64(q.InFlight))
	o.num("delayed", int64(q.Delayed))
}

func (o *obj) wholeSeconds(name string, d time.Duration) { o.num(name, int64(d/time.Second)) }

// deletePullQueue is DELETE /v1/queues/{name}.
func (x *exchange) deletePullQueue() error {
	if fail := x.pullQueueArg(); fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.DeletePullQueue(x.user, string(x.arg)); err != nil {
		return err
	}
	return x.pullDone()
}

// pullDone answers an operation that has nothing else to tell.
func (x *exchange) pullDone() error {
	x.out = append(x.out[:0], `{"status":"ok"}`...)
	return x.ok(http.StatusOK)
}

// pausePull makes the handler of pause or resume, which answers the queue.
func pausePull(paused bool) func(x *exchange) error {
	return func(x *exchange) error {
		if fail := x.pullQueueArg(); fail != nil {
			return fail
		}
		if err := x.srv.opt.Engine.PausePullQueue(x.user, string(x.arg), paused); err != nil {
			return err
		}
		return x.answerPullQueue(string(x.arg))
	}
}

// purgePull is POST /v1/queues/{name}/purge.
func (x *exchange) purgePull() error {
	if fail := x.pullQueueArg(); fail != nil {
		return fail
	}
	n, err := x.srv.opt.Engine.PurgePull(x.user, string(x.arg))
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.num("purged", int64(n)) })
}

// redrivePull is POST /v1/queues/{name}/redrive.
func (x *exchange) redrivePull() error {
	if fail := x.pullQueueArg(); fail != nil {
		return fail
	}
	var rawTo, rawMax []byte
	if fail := x.cutNamed("to and max", true, rawPlace{"to", &rawTo}, rawPlace{"max", &rawMax}); fail != nil {
		return fail
	}
	name := string(x.arg)
	to, fail := nameMember("to", rawTo)
	switch {
	case fail != nil:
		return fail
	case to == name:
		return badRequest("to must differ from the queue's own name")
	case to == "" && x.who.Limited():
		return forbidden("this token is limited to %s: name one of its queues in to, since each message would go back to where it failed", limits(x.who))
	case to != "":
		if fail := x.mayQueue(to); fail != nil {
			return fail
		}
	}
	most, fail := wholeMember("max", rawMax, 1, 1<<30)
	if fail != nil {
		return fail
	}
	n := 0
	if most != nil {
		n = *most
	}
	moved, err := x.srv.opt.Engine.RedrivePull(x.user, name, to, n)
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.num("moved", int64(moved)) })
}
