package httpapi

import (
	"bytes"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/delay"
	"github.com/tidemill/tidemill/engine/record"
)

// The options of a callback are those of the message that it becomes, with the
// callback's own prefix: Upstash-Callback-Retries (QSTASH.md §3.4). A callback may have
// a failure callback of its own; what that one had would be one too many.

// callbackDepth is how deep callbacks nest.
const callbackDepth = 2

// cutCallback cuts the name of a callback off an option, both without their prefix:
// failure-callback-retries is retries of the failure callback.
func cutCallback(name []byte) (which option, of []byte) {
	switch {
	case hasPrefixFold(name, "callback-"):
		return optCallback, name[len("callback-"):]
	case hasPrefixFold(name, "failure-callback-"):
		return optFailure, name[len("failure-callback-"):]
	}
	return optNone, nil
}

// inner returns the options of a callback of o's, which begin with its first one.
func (o *options) inner(which option) *options {
	at := &o.callback
	if which == optFailure {
		at = &o.failure
	}
	if *at == nil {
		*at = &options{prefix: o.name(which) + "-", depth: o.depth + 1}
	}
	return *at
}

// addOfCallback takes an option of a callback, named without o's prefix. Those that
// mean nothing for a callback are ignored, as the contract has it.
func (o *options) addOfCallback(name, value []byte, from int) *failure {
	if hasPrefixFold(name, forwardPrefix) {
		return o.addForward(o.prefix+"Forward-", name[len(forwardPrefix):], value)
	}
	if isWorkflow(name) {
		return unsupported(o.prefix + string(canonical(bytes.Clone(name))))
	}
	if which, of := cutCallback(name); which == optFailure && o.depth < callbackDepth {
		return o.inner(which).addOfCallback(of, value, from)
	}
	switch opt := optionOf(name); opt {
	case optMethod, optTimeout, optRetries, optRetryDelay, optDelay, optFlowKey, optFlowValue:
		return o.set(opt, value, from)
	case optFailure:
		if o.depth < callbackDepth {
			return o.set(opt, value, from)
		}
	}
	return nil
}

// buildCallback turns one callback of o's into what the engine takes; nil when there
// is none. All of it aliases the request.
func (o *options) buildCallback(which option, b *bounds) (*engine.Callback, *failure) {
	url, in := o.values[which], o.callback
	if which == optFailure {
		in = o.failure
	}
	if url == nil {
		return nil, in.withoutURL(o.name(which))
	}
	if fail := b.callbackURL(o.name(which), url); fail != nil {
		return nil, fail
	}
	c := &engine.Callback{URL: view(url), Retries: engine.InheritRetries}
	if in == nil {
		return c, nil
	}
	c.Header = in.forward
	for given := in.given; given != 0; {
		opt := given.next()
		if fail := in.parseOfCallback(c, opt, in.values[opt], b); fail != nil {
			return nil, fail
		}
	}
	var fail *failure
	if c.Flow, fail = in.flow(); fail != nil {
		return nil, fail
	}
	c.Failure, fail = in.buildCallback(optFailure, b)
	return c, fail
}

func (o *options) parseOfCallback(c *engine.Callback, opt option, v []byte, b *bounds) (fail *failure) {
	name := o.name(opt)
	switch opt {
	case optMethod:
		c.Method, fail = method(name, v)
	case optTimeout:
		c.Timeout, fail = duration(name, v, 1, b.AttemptMax)
	case optRetries:
		c.Retries, fail = retries(name, v, b.MaxRetries)
	case optRetryDelay:
		c.RetryDelay, fail = retryDelay(name, v)
	case optDelay:
		c.Delay, fail = duration(name, v, 0, b.MaxDelay)
	}
	return fail
}

// withoutURL refuses the options of a callback that has no URL: whoever sends them
// waits for it in vain. There are none when o is nil.
func (o *options) withoutURL(missing string) *failure {
	if o == nil {
		return nil
	}
	return badRequest("%s is missing: %s... are options of a callback, which needs its URL", missing, o.prefix)
}

// callbackURL checks the URL of a callback as that of a destination is.
func (b *bounds) callbackURL(name string, url []byte) *failure {
	if form, fail := formOf(url); fail != nil || form != formLiteral {
		return badValue(name, url, "must be a URL that starts with http:// or https://")
	}
	why := urlFlaw(url)
	if why == "" {
		if err := b.check(view(url)); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		return badValue(name, url, why)
	}
	return nil
}

func method(name string, v []byte) (engine.Method, *failure) {
	m, ok := record.ParseMethod(view(v))
	if !ok {
		return m, badValue(name, v, "must be GET, POST, PUT, PATCH or DELETE")
	}
	return m, nil
}

func retryDelay(name string, v []byte) (string, *failure) {
	if _, err := delay.Parse(view(v)); err != nil {
		return "", badValue(name, v, err.Error())
	}
	return view(v), nil
}
