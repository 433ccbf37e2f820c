package httpapi

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// deadPageMax is the default and the largest page (QSTASH.md §8.3).
const deadPageMax = 100

func formatSeconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// deadLetters is GET /v2/dlq.
func (x *exchange) deadLetters() error {
	q, nothing, fail := deadLetterQuery(x.query)
	if fail != nil {
		return fail
	}
	q.User = x.user
	var items []engine.DeadLetter
	var cursor string
	if !nothing {
		var err error
		if items, cursor, err = x.srv.opt.Engine.DeadLetters(q); err != nil {
			return err
		}
	}
	o := obj{b: x.out[:0]}
	o.key("messages")
	o.b = append(o.b, '[')
	for i := range items {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		in := obj{b: o.b}
		in.deadLetter(&items[i])
		o.b = in.end()
	}
	o.b = append(o.b, ']')
	o.opt("cursor", cursor) // absent at the end: clients loop while there is one
	x.out = o.end()
	return x.ok(http.StatusOK)
}

// deadLetterQuery reads the filters of a listing. nothing is set when a filter
// names what no message of this version has (a label), so that nothing can match.
// Unknown names are ignored on listings (QSTASH.md §8.2).
func deadLetterQuery(query []byte) (q engine.DeadLetterQuery, nothing bool, fail *failure) {
	q.Count = deadPageMax
	for len(query) > 0 && fail == nil {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		v := string(unescapeForm(value))
		if v == "" {
			continue
		}
		n := string(unescapeForm(name))
		switch n {
		case "label", "source":
			nothing = true
		default:
			fail = setFilter(&q, n, v)
		}
	}
	return q, nothing, fail
}

func setFilter(q *engine.DeadLetterQuery, name, v string) (fail *failure) {
	switch name {
	case "dlqIds", "dlqId":
		q.IDs = append(q.IDs, splitList(v)...)
	case "messageId", "messageIds":
		q.MessageIDs = append(q.MessageIDs, splitList(v)...)
	case "url":
		q.URLs = append(q.URLs, splitURLs(v)...)
	case "callerIp", "callerIP":
		q.CallerIPs = append(q.CallerIPs, splitList(v)...)
	case "scheduleId":
		q.ScheduleIDs = append(q.ScheduleIDs, splitList(v)...)
	case "topicName":
		q.TopicNames = append(q.TopicNames, splitList(v)...)
	case "queueName":
		q.QueueNames = append(q.QueueNames, splitList(v)...)
	case "flowControlKey": // any text, so a comma is part of it
		q.FlowKeys = append(q.FlowKeys, v)
	case "responseStatus":
		for _, s := range splitList(v) {
			n, ok := digits([]byte(s))
			if !ok || n > 999 {
				return badFilter(name, s, "an HTTP status, or 0 for no response")
			}
			q.Statuses = append(q.Statuses, int(n))
		}
	case "fromDate":
		q.From, fail = filterTime(name, v)
	case "toDate":
		q.To, fail = filterTime(name, v)
	case "order":
		if v != "earliestFirst" && v != "latestFirst" {
			return badFilter(name, v, "earliestFirst or latestFirst")
		}
		q.Descending = v == "latestFirst"
	case "cursor":
		if _, ok := digits([]byte(v)); !ok {
			return badFilter(name, v, "the cursor of an earlier answer")
		}
		q.Cursor = v
	case "count":
		n, ok := digits([]byte(v))
		if !ok || n < 1 {
			return badFilter(name, v, "a number from 1 to 100")
		}
		q.Count = int(min(n, deadPageMax))
	}
	return fail
}

func badFilter(name, v, right string) *failure {
	return badRequest("invalid %s %s: must be %s", name, short(v), right)
}

// filterTime reads unix milliseconds, up to the year 9999.
func filterTime(name, v string) (time.Time, *failure) {
	n, ok := digits([]byte(v))
	if !ok || n > 253402300799999 {
		return time.Time{}, badFilter(name, v, "a unix time in milliseconds")
	}
	return time.UnixMilli(n), nil
}

// splitList splits a comma-separated list; empty elements are dropped.
func splitList(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' })
}

// splitURLs splits a list of URLs, which may hold commas themselves: a new one
// starts where a scheme does.
func splitURLs(v string) (urls []string) {
	for part := range strings.SplitSeq(v, ",") {
		_, absolute := cutScheme([]byte(part))
		if len(urls) > 0 && !absolute {
			urls[len(urls)-1] += "," + part
			continue
		}
		urls = append(urls, part)
	}
	return urls
}

// unescapeForm decodes a parameter of ours as a form does, plus signs included.
func unescapeForm(s []byte) []byte {
	return unescape(nil, bytes.ReplaceAll(s, []byte{'+'}, []byte{' '}))
}

func (x *exchange) deadLetter() error {
	d, err := x.srv.opt.Engine.DeadLetter(x.user, string(x.arg))
	if err == nil && !x.sees(&d.Message) {
		err = engine.ErrNotFound
	}
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.deadLetter(d)
	x.out = o.end()
	return x.ok(http.StatusOK)
}

func (x *exchange) deleteDeadLetter() error {
	if err := x.mayDead(string(x.arg)); err != nil {
		return err
	}
	if err := x.srv.opt.Engine.DeleteDeadLetter(x.user, string(x.arg)); err != nil {
		return err
	}
	return x.done()
}

// retryDeadLetter is POST /v2/dlq/retry/{id}.
func (x *exchange) retryDeadLetter() error {
	if fail := x.refuseOptions(); fail != nil {
		return fail
	}
	if err := x.mayDead(string(x.arg)); err != nil {
		return err
	}
	id, err := x.srv.opt.Engine.RetryDeadLetter(x.user, string(x.arg))
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.str("messageId", id)
	x.out = o.end()
	return x.ok(http.StatusCreated)
}

// refuseOptions refuses options that would change a message that is retried,
// rather than ignoring them.
func (x *exchange) refuseOptions() *failure {
	for _, f := range x.head.fields {
		if fail := refuseOption(f.name, f.value); fail != nil {
			return fail
		}
	}
	for query := x.query; len(query) > 0; {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		if fail := refuseOption(unescape(nil, name), value); fail != nil {
			return fail
		}
	}
	return nil
}

func refuseOption(name, value []byte) *failure {
	if len(value) == 0 || !hasPrefixFold(name, optionPrefix) {
		return nil
	}
	rest := name[len(optionPrefix):]
	callback, _ := cutCallback(rest)
	if !hasPrefixFold(rest, forwardPrefix) && optionOf(rest) == optNone && callback == optNone {
		return nil
	}
	return unsupported(string(canonical(bytes.Clone(name))) + " on a retry from the dead letter queue")
}
