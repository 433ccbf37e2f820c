package httpapi

import (
	"net/http"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine"
)

// rawPull holds the raw JSON of a message's members; nil is an absent one.
type rawPull struct {
	queue, message, delay, key, headers, group []byte
}

func (r *rawPull) member(name []byte) *[]byte {
	switch string(name) {
	case "queue":
		return &r.queue
	case "message":
		return &r.message
	case "delay_seconds":
		return &r.delay
	case "idempotency_key":
		return &r.key
	case "headers":
		return &r.headers
	case "group":
		return &r.group
	}
	return nil
}

// pullPublish is POST /v1/publish (QUEUES.md B.3). It answers 200 after the message is on
// disk, and for a repeat as well: the article's clients take anything else for a failure.
func (x *exchange) pullPublish() error {
	var raw rawPull
	if fail := x.cutBody("queue and message", raw.member); fail != nil {
		return fail
	}
	if raw.queue == nil {
		return badRequest("queue is missing: it must be the name of a queue")
	}
	name, fail := stringMember("queue", raw.queue)
	if fail == nil {
		fail = pullName("queue", name)
	}
	if fail != nil {
		return fail
	}
	return x.publishPull(view(name), &raw)
}

// publishPull publishes one message and answers.
func (x *exchange) publishPull(queue string, raw *rawPull) error {
	if fail := x.mayQueue(queue); fail != nil {
		return fail
	}
	limits := x.srv.opt.Engine.Limits()
	var one [1]engine.PullPublish
	if fail := x.buildPull(&one[0], queue, raw, &limits); fail != nil {
		return fail
	}
	result := &x.srv.opt.Engine.PublishPull(x.user, one[:])[0]
	if result.Err != nil {
		return result.Err
	}
	x.out = appendPullReceipt(x.out[:0], &result.Receipt)
	return x.ok(http.StatusOK)
}

func appendPullReceipt(dst []byte, r *engine.Receipt) []byte {
	o := obj{b: dst}
	o.str("message_id", r.MessageID)
	o.flag("deduplicated", r.Deduplicated)
	return o.end()
}

// buildPull checks a message and fills p in, which aliases the body. The JSON text of
// the message is kept byte for byte.
func (x *exchange) buildPull(p *engine.PullPublish, queue string, raw *rawPull, limits *engine.Limits) (fail *failure) {
	p.Queue, p.Body, p.CallerIP = queue, raw.message, x.c.ip
	switch {
	case raw.message == nil:
		return badRequest("message is missing: it can be any JSON value, null included")
	case len(raw.message) > limits.MessageMax:
		return tooLong("the message", int64(limits.MessageMax))
	case !utf8.Valid(raw.message):
		// It would make the answer to whoever receives it, and all that come with it,
		// a text that JSON parsers refuse.
		return badRequest("message is not valid UTF-8")
	}
	if p.Delay, fail = secondsMember("delay_seconds", raw.delay, 0, pullDelay(limits), false); fail != nil {
		return fail
	}
	if p.DedupID, fail = textMember("idempotency_key", raw.key, pullKeyMax); fail != nil {
		return fail
	}
	if p.Group, fail = textMember("group", raw.group, pullKeyMax); fail != nil {
		return fail
	}
	p.Header, fail = x.pullHeader(raw.headers)
	return fail
}

// pullHeader reads the headers that go to the webhook, or to who receives the message.
// One that the server sets itself is refused rather than dropped: who receives the
// message would miss it.
func (x *exchange) pullHeader(raw []byte) ([]engine.Header, *failure) {
	if isAbsent(raw) {
		return nil, nil
	}
	var b batch
	if fail := b.cutHeaders(raw, x.srv.opt.HeaderMax); fail != nil {
		return nil, fail
	}
	hs := make([]engine.Header, 0, len(b.fields))
	for _, f := range b.fields {
		switch {
		case isPullHeader(f.name):
			return nil, badRequest("headers: %s is one that the server itself sets, or that belongs to a connection", short(f.name))
		case has(hs, f.name):
			return nil, badRequest("headers: %s is there twice", short(f.name))
		}
		hs = append(hs, engine.Header{Name: view(canonical(f.name)), Value: view(f.value)})
	}
	return hs, nil
}

// isPullHeader says whether a header of a webhook's request is not the producer's.
func isPullHeader(name []byte) bool {
	return isDropped(name) || hasPrefixFold(name, "qstash-") || hasPrefixFold(name, optionPrefix) || equalFold(name, "user-agent")
}

// pullBatch is POST /v1/queues/{name}/messages: a list of messages, or a single one. Its
// items succeed or fail one by one. When none was stored for a reason of the server's,
// the call fails with it, so that a client that looks at the status alone tries again.
func (x *exchange) pullBatch() error {
	if fail := x.pullQueueArg(); fail != nil {
		return fail
	}
	queue := view(x.arg)
	var single rawPull
	var list []byte
	fail := x.cutBody("messages, or with message", func(name []byte) *[]byte {
		if string(name) == "messages" {
			return &list
		}
		return single.member(name)
	})
	switch {
	case fail != nil:
		return fail
	case list == nil:
		return x.publishPull(queue, &single)
	case single.message != nil:
		return badRequest("messages and message: only one of them can be there")
	case list[0] != '[':
		return badRequest("messages must be a list of objects with message")
	}
	items, fail := x.pullItems(queue, list)
	if fail != nil {
		return fail
	}
	return x.answerPullBatch(items)
}

// pullItem is one element of a batch under way.
type pullItem struct {
	fail   *failure
	result engine.Result
}

// pullItems checks the elements and publishes those that are right.
func (x *exchange) pullItems(queue string, list []byte) ([]pullItem, *failure) {
	var items []pullItem
	var ready []engine.PullPublish
	limits := x.srv.opt.Engine.Limits()
	for c := (cursor{b: list}); c.next(']'); {
		if len(items) == pullBatchItems {
			return nil, badRequest("messages: at most %d can be published at once", pullBatchItems)
		}
		var raw rawPull
		var p engine.PullPublish
		fail := cutMembers(&c, raw.member)
		if fail != nil { // the cursor is lost
			return nil, badRequest("messages[%d]: %s", len(items), fail.text)
		}
		if fail = x.buildPull(&p, queue, &raw, &limits); fail == nil {
			ready = append(ready, p)
		}
		items = append(items, pullItem{fail: fail})
	}
	if len(items) == 0 {
		return nil, badRequest("messages is empty: it must hold at least one")
	}
	x.publishPullItems(items, ready)
	return items, nil
}

func (x *exchange) publishPullItems(items []pullItem, ready []engine.PullPublish) {
	if len(ready) == 0 {
		return
	}
	results := x.srv.opt.Engine.PublishPull(x.user, ready)
	var unknown *failure
	for i := range items {
		it := &items[i]
		if it.fail != nil {
			continue
		}
		it.result, results = results[0], results[1:]
		if it.result.Err != nil {
			it.fail = x.itemFailure(it.result.Err, &unknown)
		}
	}
}

func (x *exchange) answerPullBatch(items []pullItem) error {
	stored := 0
	var server *failure // the first item that is not the client's fault
	x.out = append(x.out[:0], `{"results":[`...)
	for i := range items {
		it := &items[i]
		if i > 0 {
			x.out = append(x.out, ',')
		}
		if it.fail != nil {
			x.out = appendError(x.out, it.fail.text)
			if server == nil && it.fail.status >= http.StatusInternalServerError {
				server = it.fail
			}
			continue
		}
		stored++
		x.out = appendPullReceipt(x.out, &it.result.Receipt)
	}
	if stored == 0 && server != nil {
		return server
	}
	x.out = append(x.out, `]}`...)
	return x.ok(http.StatusOK)
}
