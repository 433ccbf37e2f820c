package httpapi

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/delay"
	"github.com/tidemill/tidemill/engine/record"
)

// build checks the collected options and turns them into the message, without
// its destination and body, and into the rules of a schedule if they say that it
// is one. Everything in it aliases the request.
func (p *publisher) build(limits *engine.Limits, now time.Time) *failure {
	m := &p.message
	m.Retries = engine.DefaultRetries
	m.DedupID = view(p.values[optDedupID])
	m.RetryDelay = view(p.values[optRetryDelay])
	for opt := range optCount {
		v := p.values[opt]
		if v == nil {
			continue
		}
		if fail := p.parse(opt, v, limits, now); fail != nil {
			return fail
		}
	}
	m.Header = p.forward
	return p.checkSchedule()
}

// parse checks one option.
func (p *publisher) parse(opt option, v []byte, limits *engine.Limits, now time.Time) (fail *failure) {
	m := &p.message
	switch opt {
	case optContentType:
		p.forward = append(p.forward, engine.Header{Name: "Content-Type", Value: view(v)})
	case optMethod:
		var ok bool
		if m.Method, ok = record.ParseMethod(view(v)); !ok {
			fail = badOption(opt, v, "must be GET, POST, PUT, PATCH or DELETE")
		}
	case optTimeout:
		m.Timeout, fail = duration(opt, v, 1, limits.MaxTimeout)
	case optRetries:
		m.Retries, fail = retries(v, limits.MaxRetries)
	case optRetryDelay:
		if _, err := delay.Parse(m.RetryDelay); err != nil {
			fail = badOption(opt, v, err.Error())
		}
	case optDelay:
		m.Delay, fail = duration(opt, v, 0, limits.MaxDelay)
	case optNotBefore:
		if p.scheduled() {
			return errCronBefore
		}
		m.NotBefore, fail = notBefore(v, now, limits.MaxDelay)
	case optDedupID:
		if bytes.IndexByte(v, ':') >= 0 {
			fail = errDedupColon
		}
	case optDedupContent:
		m.DedupContent, fail = boolean(opt, v)
	case optForwardAll:
		_, fail = boolean(opt, v)
	default:
		fail = p.parseRule(opt, v)
	}
	return fail
}

// duration parses a duration between least and most; a bare number is seconds
// (QSTASH.md §0.1).
func duration(opt option, v []byte, least, most time.Duration) (time.Duration, *failure) {
	d, err := delay.ParseDuration(view(v))
	switch {
	case err != nil:
		return 0, badOption(opt, v, "must be a duration like 10s, 1d10h30m or 500ms")
	case d < least && least == 1:
		return 0, badOption(opt, v, "must be positive")
	case d < least:
		return 0, badOption(opt, v, "must be at least "+delay.Format(least))
	case d > most:
		return 0, badOption(opt, v, "the limit is "+delay.Format(most))
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

func retries(v []byte, most int) (int, *failure) {
	n, ok := digits(v)
	switch {
	case !ok:
		return 0, badOption(optRetries, v, "must be a whole number of 0 or more")
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

func boolean(opt option, v []byte) (bool, *failure) {
	switch {
	case equalFold(v, "true"):
		return true, nil
	case equalFold(v, "false"):
		return false, nil
	}
	return false, badOption(opt, v, "must be true or false")
}
