package httpapi

import (
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

// retryDeadLetter is POST /v2/dlq/retry/{id}.
func (x *exchange) retryDeadLetter() error {
	options, fail := x.retryOptions()
	if fail != nil {
		return fail
	}
	if err := x.mayDead(string(x.arg)); err != nil {
		return err
	}
	id, err := x.srv.opt.Engine.RetryDeadLetter(x.user, string(x.arg), options)
	if err != nil {
		return err
	}
	o := obj{b: x.out[:0]}
	o.str("messageId", id)
	x.out = o.end()
	return x.ok(http.StatusCreated)
}

// retryOptions are what the request says of the messages that it retries (QSTASH.md
// §8.3, config headers), nil for nothing; callbacks are destinations, which the token must
// allow. It aliases the request.
func (x *exchange) retryOptions() (*engine.RetryOptions, *failure) {
	p := &x.pub
	for _, f := range x.head.fields {
		if !hasPrefixFold(f.name, optionPrefix) && !hasPrefixFold(f.name, extensionPrefix) {
			continue // Content-Type is that of the request's own body
		}
		if fail := p.add(f.name, f.value, fromHeader); fail != nil {
			return nil, fail
		}
	}
	if fail := p.addQuery(x.query); fail != nil {
		return nil, fail
	}
	given, fail := p.changesRetry()
	if fail != nil || !given {
		return nil, fail
	}
	b := x.bounds()
	if fail := p.build(&b); fail != nil {
		return nil, fail
	}
	if fail := x.mayCallBack(&p.options); fail != nil {
		return nil, fail
	}
	m := &p.message
	o := &engine.RetryOptions{
		Timeout: m.Timeout, RetryDelay: m.RetryDelay, Delay: m.Delay, NotBefore: m.NotBefore,
		Flow: m.Flow, Callback: m.Callback, Failure: m.Failure, Labels: m.Labels,
	}
	if p.values[optRetries] != nil {
		o.Retries = &m.Retries
	}
	return o, nil
}

// changesRetry says whether there are options that a retry takes, and refuses those that
// would make another message of it, rather than ignoring them.
func (p *publisher) changesRetry() (given bool, fail *failure) {
	for opt := range optCount {
		if p.values[opt] == nil {
			continue
		}
		switch opt {
		case optTimeout, optRetries, optRetryDelay, optDelay, optNotBefore, optFlowKey, optFlowValue, optFlowMode,
			optCallback, optFailure, optLabel:
			given = true
		default:
			return false, badOption(opt, p.values[opt], onRetry)
		}
	}
	if len(p.forward) > 0 {
		return false, badRequest("invalid Upstash-Forward-%s: %s", p.forward[0].Name, onRetry)
	}
	return given || p.callback != nil || p.failure != nil, nil
}

const onRetry = "a retry takes Upstash-Retries, -Timeout, -Retry-Delay, -Delay, -Not-Before, -Flow-Control-Key and -Value, -Label, " +
	"-Callback and -Failure-Callback with their options, and leaves the rest of the message as it is"
