package httpapi

import (
	"net/http"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/engine"
)

// batch is POST /v2/batch (QSTASH.md §3.7). What is wrong with the call as a
// whole is found before anything is published; items then succeed or fail one by
// one, and when all fail the call does, with the first one's status, since a
// client that sends one step as a batch of one looks at nothing else.
func (x *exchange) batch() error {
	if fail := checkJSON(x.body.b); fail != nil {
		return fail
	}
	c := cursor{b: x.body.b}
	if c.peek() != '[' {
		return badRequest("the body must be a JSON array of messages")
	}
	defer func() { x.pub = publisher{} }() // its memory holds views of the body
	b := batches.Get().(*batch)
	defer b.free()
	for c.next(']') {
		if len(b.items) == batchItemsMax {
			return badRequest("a batch holds at most %d messages", batchItemsMax)
		}
		b.items = append(b.items, batchItem{})
		if fail := b.items[len(b.items)-1].raw.cut(&c); fail != nil {
			return badRequest("message %d: %s", len(b.items)-1, fail.text)
		}
		if !x.body.reserve(batchItemCost) {
			return errBusy
		}
	}
	x.prepare(b)
	x.publishAll(b)
	return x.answerBatch(b)
}

// batchItemCost is what an element takes of Options.InflightBytes beside its text: an
// element can be 27 bytes long, and what is made of it is not. So the budget bounds the
// number of messages that wait for the disk, too.
const batchItemCost = 1 << 10

// batch is one call under way. Items and publishes refer to the body.
type batch struct {
	items     []batchItem
	ready     []engine.Publish  // of the items without a failure and without a cron, in order
	schedules []engine.Schedule // of those with one
	fields    []field           // of the item at hand
}

// batches holds the memory of calls of usual size.
var batches = sync.Pool{New: func() any { return new(batch) }}

// batchPooledMax is how many items a batch may have had whose memory is kept: 640 bytes
// for each item and its message.
const batchPooledMax = 1 << 10

// free forgets what the call was about and keeps the memory.
func (b *batch) free() {
	if len(b.items) > batchPooledMax {
		return
	}
	clear(b.items)
	clear(b.ready)
	clear(b.schedules)
	clear(b.fields[:cap(b.fields)]) // it was begun anew with each item
	b.items, b.ready, b.schedules, b.fields = b.items[:0], b.ready[:0], b.schedules[:0], b.fields[:0]
	batches.Put(b)
}

type batchItem struct {
	raw       rawItem
	fail      *failure
	result    engine.Result
	url       string
	group     bool // it went to a URL group: result.Members tells
	scheduled bool // it is of schedules, and has what follows
	schedule  engine.ScheduleReceipt
}

// rawItem holds the raw JSON of an element's members; nil is an absent one.
type rawItem struct {
	destination, headers, body, queue []byte
}

// cutMembers cuts an object into the places that member has for its members.
// Those without a place are ignored; one that is there twice is refused, since
// parsers differ in which they take.
func cutMembers(c *cursor, member func(name []byte) *[]byte) *failure {
	if c.peek() != '{' {
		return badRequest("not an object")
	}
	for c.next('}') {
		name, value := c.member()
		name, _ = text(name)
		dst := member(name)
		if dst == nil {
			continue
		}
		if *dst != nil {
			return badRequest("%q is there twice", name)
		}
		*dst = value
	}
	return nil
}

// cut cuts one element.
func (it *rawItem) cut(c *cursor) *failure {
	if fail := cutMembers(c, it.member); fail != nil {
		return fail
	}
	switch {
	case it.destination == nil || isNull(it.destination):
		return badRequest("the destination is missing")
	case it.destination[0] != '"':
		return badRequest("the destination is not a string")
	}
	return nil
}

func (it *rawItem) member(name []byte) *[]byte {
	switch string(name) {
	case "destination":
		return &it.destination
	case "headers":
		return &it.headers
	case "body":
		return &it.body
	case "queue":
		return &it.queue
	}
	return nil
}

// prepare turns the items into messages.
func (x *exchange) prepare(b *batch) {
	b.ready = slices.Grow(b.ready, len(b.items))
	limits := x.bounds()
	for i := range b.items {
		it := &b.items[i]
		it.fail = x.prepareItem(b, &it.raw, &limits)
		if it.fail == nil && x.pub.scheduled() {
			it.fail = x.mayDefine()
		}
		switch {
		case it.fail != nil:
		case x.pub.scheduled():
			b.schedules = append(b.schedules, x.pub.schedule())
			it.scheduled = true
		default:
			b.ready = append(b.ready, x.pub.message)
			it.url, it.group = x.pub.message.URL, x.pub.message.Group != ""
		}
		x.pub.next()
	}
}

// next makes p ready for another item. Forwarded headers of earlier items keep
// their memory.
func (p *publisher) next() {
	*p = publisher{options: options{forward: p.forward[len(p.forward):]}, scratch: p.scratch[len(p.scratch):]}
}

func (x *exchange) prepareItem(b *batch, raw *rawItem, limits *bounds) *failure {
	if fail := b.cutHeaders(raw.headers, x.srv.opt.HeaderMax); fail != nil {
		return fail
	}
	return x.finishItem(b, raw, limits)
}

// finishItem makes x.pub's message complete, of the members of an element and of
// its headers in b.fields. Its options from other members are there already.
func (x *exchange) finishItem(b *batch, raw *rawItem, limits *bounds) *failure {
	p := &x.pub
	queue, fail := stringMember("queue", raw.queue)
	if fail == nil && len(queue) > 0 {
		fail = checkName("queue", queue)
	}
	if fail == nil {
		fail = p.set(optQueue, queue, fromHeader)
	}
	if fail == nil {
		fail = p.addFields(b.fields)
	}
	if fail != nil {
		return fail
	}
	p.trace.inherit(x.head.fields)
	to, fail := itemTarget(raw.destination)
	if fail != nil {
		return fail
	}
	m := &p.message
	m.Body = itemBody(raw.body)
	if len(m.Body) > limits.MessageMax {
		return tooLong("the message", int64(limits.MessageMax))
	}
	return x.complete(to, b.fields, limits)
}

// itemTarget takes a destination as it is written: in JSON nothing of it is ours.
func itemTarget(raw []byte) (target, *failure) {
	s, _ := text(raw)
	switch form, fail := formOf(s); {
	case fail != nil:
		return target{}, fail
	case form == formGroup:
		return target{group: s}, nil
	case form == formLiteral:
		return target{url: s}, nil
	}
	return target{}, errScheme
}

// itemBody is the text of a string, nothing for null, and the compact JSON text
// of any other value.
func itemBody(raw []byte) []byte {
	if raw == nil || isNull(raw) {
		return nil
	}
	if s, ok := text(raw); ok {
		return s
	}
	return compact(raw)
}

// cutHeaders fills in b.fields from an item's headers, at most limit bytes of
// raw JSON. Their names and values are checked here as scan checks those of a
// request.
func (b *batch) cutHeaders(raw []byte, limit int) *failure {
	b.fields = b.fields[:0]
	switch {
	case raw == nil || isNull(raw):
		return nil
	case raw[0] != '{':
		return badRequest("headers must be an object")
	case len(raw) > limit:
		return badRequest("headers of %d bytes are more than the limit of %d", len(raw), limit)
	}
	c := cursor{b: raw}
	for c.next('}') {
		rawName, value := c.member()
		name, _ := text(rawName)
		if !isToken(name) {
			return badRequest("%s is not the name of a header", short(name))
		}
		if fail := b.addValues(name, value); fail != nil {
			return fail
		}
	}
	return nil
}

// addValues takes one value, or a list of them.
func (b *batch) addValues(name, raw []byte) *failure {
	if raw[0] != '[' {
		return b.addValue(name, raw)
	}
	c := cursor{b: raw}
	for c.next(']') {
		if fail := b.addValue(name, c.value()); fail != nil {
			return fail
		}
	}
	return nil
}

func (b *batch) addValue(name, raw []byte) *failure {
	if isNull(raw) {
		return nil
	}
	v, ok := text(raw)
	v = trimSpace(v)
	if !ok || !isFieldValue(v) {
		return badRequest("the header %s must be a string without control characters, or a list of them", short(name))
	}
	if len(b.fields) == fieldsMax {
		return errFields
	}
	b.fields = append(b.fields, field{name: name, value: v})
	return nil
}

// publishAll publishes what is ready and spreads the results over the items. The
// messages wait for the disk together, and so do the schedules.
func (x *exchange) publishAll(b *batch) {
	var results []engine.Result
	if len(b.ready) > 0 {
		results = x.srv.opt.Engine.PublishBatch(b.ready)
	}
	var defined []engine.ScheduleResult
	if len(b.schedules) > 0 {
		defined = x.srv.opt.Engine.DefineSchedules(b.schedules)
	}
	var unknown *failure // one line in the log for all that fail the same unknown way
	for i := range b.items {
		it := &b.items[i]
		var err error
		switch {
		case it.fail != nil:
			continue
		case it.scheduled:
			it.schedule, err = defined[0].ScheduleReceipt, defined[0].Err
			defined = defined[1:]
		default:
			it.result, err = results[0], results[0].Err
			results = results[1:]
		}
		if err != nil {
			it.fail = x.itemFailure(err, &unknown)
		}
	}
}

func (x *exchange) itemFailure(err error, unknown **failure) *failure {
	if f := failureOf(err); f != nil {
		return f
	}
	if *unknown == nil {
		*unknown = x.logUnexpected(err)
	}
	return *unknown
}

func (x *exchange) answerBatch(b *batch) error {
	sent := 0
	x.out = append(x.out[:0], '[')
	for i := range b.items {
		it := &b.items[i]
		if i > 0 {
			x.out = append(x.out, ',')
		}
		if it.fail != nil {
			x.out = appendError(x.out, it.fail.text)
			continue
		}
		sent++
		switch {
		case it.scheduled:
			x.out = appendScheduleReceipt(x.out, &it.schedule)
		case it.group:
			x.out = appendMembers(x.out, it.result.Members)
		default:
			x.out = appendReceipt(x.out, &it.result.Receipt, it.url)
		}
	}
	if sent == 0 && len(b.items) > 0 {
		return b.items[0].fail
	}
	x.out = append(x.out, ']')
	return x.ok(http.StatusOK)
}
