package httpapi

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/delay"
)

// bounds are what the options of a message are checked against.
type bounds struct {
	engine.Limits
	now   time.Time
	check func(url string) error // of destinations and callbacks
}

func (x *exchange) bounds() bounds {
	o := &x.srv.opt
	return bounds{Limits: o.Engine.Limits(), now: o.Now(), check: o.CheckDestination}
}

// build checks the collected options and turns them into the message, without
// its destination and body, and into the rules of a schedule if they say that it
// is one. Everything in it aliases the request.
func (p *publisher) build(b *bounds) *failure {
	m := &p.message
	m.Retries = engine.DefaultRetries
	m.DedupID = view(p.values[optDedupID])
	for given := p.given; given != 0; {
		opt := given.next()
		if fail := p.parse(opt, p.values[opt], b); fail != nil {
			return fail
		}
	}
	m.Header = p.forward
	if fail := p.buildLine(b); fail != nil {
		return fail
	}
	return p.checkSchedule()
}

// buildLine checks what options say together: of flow control, order and callbacks.
func (p *publisher) buildLine(b *bounds) (fail *failure) {
	m := &p.message
	sliding := m.Flow.Sliding
	if m.Flow, fail = p.flow(); fail != nil {
		return fail
	}
	m.Flow.Sliding = sliding
	switch {
	case p.values[optFlowMode] != nil && m.Flow.Key == "":
		return badOption(optFlowMode, p.values[optFlowMode], "it needs an Upstash-Flow-Control-Key")
	case m.Ordering != "" && m.Queue == "":
		return badOption(optOrdering, p.values[optOrdering], "it is an option of messages of a queue, and needs one")
	}
	if m.Callback, fail = p.buildCallback(optCallback, b); fail != nil {
		return fail
	}
	m.Failure, fail = p.buildCallback(optFailure, b)
	return fail
}

// parse checks one option.
func (p *publisher) parse(opt option, v []byte, b *bounds) (fail *failure) {
	m := &p.message
	name := optionNames[opt]
	switch opt {
	case optContentType:
		p.forward = append(p.forward, engine.Header{Name: "Content-Type", Value: view(v)})
	case optMethod:
		m.Method, fail = method(name, v)
	case optTimeout:
		m.Timeout, fail = duration(name, v, 1, b.AttemptMax)
	case optRetries:
		m.Retries, fail = retries(name, v, b.MaxRetries)
	case optRetryDelay:
		m.RetryDelay, fail = retryDelay(name, v)
	case optDelay:
		m.Delay, fail = duration(name, v, 0, b.MaxDelay)
	case optNotBefore:
		if p.scheduled() {
			return errCronBefore
		}
		m.NotBefore, fail = notBefore(v, b.now, b.MaxDelay)
	case optDedupID:
		if bytes.IndexByte(v, ':') >= 0 {
			fail = errDedupColon
		}
	case optDedupContent:
		m.DedupContent, fail = boolean(name, v)
	case optForwardAll:
		_, fail = boolean(name, v)
	case optQueue:
		m.Queue, fail = view(v), checkName(name, v)
	case optLabel:
		m.Labels, fail = labels(v)
	case optRedact:
		m.Redact, fail = redact(v)
	case optOrdering:
		m.Ordering = view(v)
		if len(v) > keyMax {
			fail = badOption(opt, v, "must be at most "+strconv.Itoa(keyMax)+" bytes")
		}
	case optFlowMode:
		m.Flow.Sliding = equalFold(v, "sliding")
		if !m.Flow.Sliding && !equalFold(v, "fixed") {
			fail = badOption(opt, v, "must be fixed or sliding")
		}
	default:
		fail = p.parseRule(opt, v)
	}
	return fail
}

// duration parses a duration between least and most; a bare number is seconds
// (QSTASH.md §0.1).
func duration(name string, v []byte, least, most time.Duration) (time.Duration, *failure) {
	d, err := delay.ParseDuration(view(v))
	switch {
	case err != nil:
		return 0, badValue(name, v, "must be a duration like 10s, 1d10h30m or 500ms")
	case d < least && least == 1:
		return 0, badValue(name, v, "must be positive")
	case d < least:
		return 0, badValue(name, v, "must be at least "+delay.Format(least))
	case d > most:
		return 0, badValue(name, v, "the limit is "+delay.Format(most))
	}
	return d, nil
}

// digits parses an unsigned decimal; what is too large for an int64 is the
// largest one.
func digits(v []byte) (n int64, ok bool) {
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		if n != math.MaxInt64 {
			n = n*10 + int64(c-'0')
		}
	}
	return n, len(v) > 0
}

func retries(name string, v []byte, most int) (int, *failure) {
	n, ok := digits(v)
	switch {
	case !ok:
		return 0, badValue(name, v, "must be a whole number of 0 or more")
	case n > int64(most):
		return 0, errMaxRetries
	}
	return int(n), nil
}

// notBefore parses unix seconds. A time in the past means now.
func notBefore(v []byte, now time.Time, most time.Duration) (time.Time, *failure) {
	n, ok := digits(v)
	if !ok {
		return time.Time{}, badOption(optNotBefore, v, "must be a unix time in whole seconds")
	}
	if last := now.Add(most).Unix(); n > last {
		return time.Time{}, badOption(optNotBefore, v,
			"unix seconds (not milliseconds), at most "+strconv.FormatInt(last, 10)+", which is "+delay.Format(most)+" from now")
	}
	return time.Unix(max(n, 1), 0), nil
}

func boolean(name string, v []byte) (bool, *failure) {
	switch {
	case equalFold(v, "true"):
		return true, nil
	case equalFold(v, "false"):
		return false, nil
	}
	return false, badValue(name, v, "must be true or false")
}
