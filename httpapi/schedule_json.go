package httpapi

import (
	"bytes"
)

// rawSchedule holds the raw JSON of a schedule's members, as @upstash/qstash 2.0
// and 2.1 create one (QSTASH.md §8.6); nil is an absent one.
type rawSchedule struct {
	item    rawItem // destination, headers, body and queue, which mean what they do in a batch
	options [len(scheduleMembers)][]byte
}

// scheduleMembers are the members that stand for options.
var scheduleMembers = [...]struct{ name, option string }{
	{"cron", "Upstash-Cron"},
	{"method", "Upstash-Method"},
	{"delay", "Upstash-Delay"},
	{"retries", "Upstash-Retries"},
	{"callback", "Upstash-Callback"},
	{"failureCallback", "Upstash-Failure-Callback"},
}

func (r *rawSchedule) member(name []byte) *[]byte {
	for i := range scheduleMembers {
		if string(name) == scheduleMembers[i].name {
			return &r.options[i]
		}
	}
	return r.item.member(name)
}

// createScheduleJSON is POST /v2/schedules. The request's own headers are those of
// the JSON, and say nothing about the message.
func (x *exchange) createScheduleJSON() error {
	defer func() { x.pub = publisher{} }() // its memory holds views of the body
	var raw rawSchedule
	if fail := x.cutBody("destination and cron", raw.member); fail != nil {
		return fail
	}
	if d := raw.item.destination; d == nil || d[0] != '"' {
		return errScheme // as the original answers (QSTASH.md §1.3)
	}
	if fail := x.prepareSchedule(&raw); fail != nil {
		return fail
	}
	return x.define()
}

func (x *exchange) prepareSchedule(raw *rawSchedule) *failure {
	var b batch
	if fail := b.cutHeaders(raw.item.headers, x.srv.opt.HeaderMax); fail != nil {
		return fail
	}
	for i := range scheduleMembers {
		m := &scheduleMembers[i]
		v, fail := memberValue(m.name, raw.options[i])
		if fail == nil {
			fail = x.pub.add([]byte(m.option), v, fromHeader)
		}
		if fail != nil {
			return fail
		}
	}
	limits := x.bounds()
	return x.finishItem(&b, &raw.item, &limits)
}

// memberValue is the text of an option that is a string or a number; numbers of
// seconds may have a fraction. Null is an absent one.
func memberValue(name string, raw []byte) ([]byte, *failure) {
	if raw == nil || isNull(raw) {
		return nil, nil
	}
	if raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' {
		if name == "delay" {
			raw = append(bytes.Clone(raw), 's')
		}
		return raw, nil
	}
	v, ok := text(raw)
	if v = trimSpace(v); !ok || !isFieldValue(v) {
		return nil, badRequest("%s must be a string without control characters, or a number", name)
	}
	return v, nil
}
