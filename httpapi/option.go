package httpapi

import (
	"bytes"
	"math/bits"
	"net/http"

	"github.com/tidemill/tidemill/engine"
)

const (
	optionPrefix  = "upstash-"
	forwardPrefix = "forward-"
)

// option is one of the singleton options of a publish (QSTASH.md §3.4).
type option int

const (
	optContentType option = iota
	optMethod
	optTimeout
	optRetries
	optRetryDelay
	optDelay
	optNotBefore
	optDedupID
	optDedupContent
	optForwardAll
	optCron
	optScheduleID
	optQueue
	optFlowKey
	optFlowValue
	optCallback
	optFailure
	optLabel
	optRedact

	// The extensions, see extension.go: of any message, then of schedules.
	optOrdering
	optFlowMode
	optCronSeconds
	optDST
	optMissed
	optMissedMax
	optMissedWindow
	optJitter
	optCount
)

var optionNames = [optCount]string{
	optContentType:  "Content-Type",
	optMethod:       "Upstash-Method",
	optTimeout:      "Upstash-Timeout",
	optRetries:      "Upstash-Retries",
	optRetryDelay:   "Upstash-Retry-Delay",
	optDelay:        "Upstash-Delay",
	optNotBefore:    "Upstash-Not-Before",
	optDedupID:      "Upstash-Deduplication-Id",
	optDedupContent: "Upstash-Content-Based-Deduplication",
	optForwardAll:   "Upstash-Header-Forward",
	optCron:         "Upstash-Cron",
	optScheduleID:   "Upstash-Schedule-Id",
	optQueue:        "Upstash-Queue-Name",
	optFlowKey:      "Upstash-Flow-Control-Key",
	optFlowValue:    "Upstash-Flow-Control-Value",
	optCallback:     "Upstash-Callback",
	optFailure:      "Upstash-Failure-Callback",
	optLabel:        "Upstash-Label",
	optRedact:       "Upstash-Redact-Fields",
	optOrdering:     "Tidemill-Ordering-Key",
	optFlowMode:     "Tidemill-Flow-Control-Mode",
	optCronSeconds:  "Tidemill-Cron-Seconds",
	optDST:          "Tidemill-Dst",
	optMissed:       "Tidemill-Missed",
	optMissedMax:    "Tidemill-Missed-Max",
	optMissedWindow: "Tidemill-Missed-Window",
	optJitter:       "Tidemill-Jitter",
}

// optNone is a name that means nothing here: it is ignored and never forwarded.
// optLater is one whose feature a later version brings.
const (
	optNone  option = -1
	optLater option = -2
)

// optionOf finds the option of a name without its prefix.
func optionOf(name []byte) option {
	var buf [40]byte
	low := lowered(buf[:0], name)
	switch string(low) {
	case "method":
		return optMethod
	case "timeout":
		return optTimeout
	case "retries":
		return optRetries
	case "retry-delay":
		return optRetryDelay
	case "delay":
		return optDelay
	case "not-before":
		return optNotBefore
	case "deduplication-id":
		return optDedupID
	case "content-based-deduplication":
		return optDedupContent
	case "header-forward":
		return optForwardAll
	case "cron":
		return optCron
	case "schedule-id":
		return optScheduleID
	case "queue-name":
		return optQueue
	case "flow-control-key":
		return optFlowKey
	case "flow-control-value":
		return optFlowValue
	case "callback":
		return optCallback
	case "failure-callback":
		return optFailure
	case "label":
		return optLabel
	case "redact-fields":
		return optRedact
	}
	if isWorkflow(name) {
		return optLater
	}
	return optNone
}

// isWorkflow says whether an option, without its prefix, is one of workflows.
func isWorkflow(name []byte) bool {
	return hasPrefixFold(name, "workflow-") || equalFold(name, "feature-set")
}

// optionSet is a set of options.
type optionSet uint64

// next takes the first one out of a set that is not empty.
func (s *optionSet) next() option {
	opt := bits.TrailingZeros64(uint64(*s))
	*s &= *s - 1
	return option(opt)
}

// Where options come from, in the order of precedence.
const (
	fromHeader = iota
	fromQuery
	fromGroup // the defaults of a URL group
)

// options are the options of one message or of one of its callbacks, as they were
// given. Values alias the request.
type options struct {
	values  [optCount][]byte
	source  [optCount]int8
	given   optionSet // those that have a value
	forward []engine.Header
	named   int // how many of forward are of sources that go before the one at hand

	// The options of callbacks, nil while there are none; and of which callback these
	// are, "" for those of a message.
	callback, failure *options
	prefix            string
	depth             int8 // 0 for a message, 1 for its callback, 2 for that one's
}

// name is how a sender writes an option.
func (o *options) name(opt option) string {
	if o.prefix == "" {
		return optionNames[opt]
	}
	return o.prefix + optionNames[opt][len(optionPrefix):]
}

// publisher collects the options of one message and builds its engine.Publish.
type publisher struct {
	options
	scratch []byte // decoded parts of the query, the destination
	message engine.Publish
	rules   engine.TimeRules // of a schedule
	trace   trace
}

// scratchPooledMax bounds what a pooled publisher keeps.
const scratchPooledMax = 32 << 10

func (p *publisher) reset() {
	clear(p.forward[:cap(p.forward)])
	if cap(p.scratch) > scratchPooledMax {
		p.scratch = nil
	}
	*p = publisher{options: options{forward: p.forward[:0]}, scratch: p.scratch[:0]}
}

// add takes one header line or query parameter. The name is a token without
// meaning yet; the value has no control characters.
func (p *publisher) add(name, value []byte, from int) *failure {
	if !hasPrefixFold(name, optionPrefix) {
		return p.addBare(name, value, from)
	}
	rest := name[len(optionPrefix):]
	if hasPrefixFold(rest, forwardPrefix) {
		return p.addForward(rest[len(forwardPrefix):], value, from)
	}
	if which, of := cutCallback(rest); which != optNone {
		if len(value) == 0 {
			return nil
		}
		return p.inner(which).addOfCallback(of, value, from)
	}
	switch opt := optionOf(rest); {
	case opt == optLater && len(value) > 0:
		return unsupported(string(canonical(bytes.Clone(name))))
	case opt >= 0:
		return p.set(opt, value, from)
	}
	return nil
}

// addBare takes a header line without our prefix. In a query such a name is the
// destination's.
func (p *publisher) addBare(name, value []byte, from int) *failure {
	if from == fromQuery || len(name) == 0 {
		return nil
	}
	switch lowerByte(name[0]) { // most lines are for others than us
	case 'c':
		if equalFold(name, "content-type") {
			return p.set(optContentType, value, from)
		}
	case 't':
		if hasPrefixFold(name, extensionPrefix) {
			return p.addExtension(name[len(extensionPrefix):], value, from)
		}
		if from == fromHeader {
			p.trace.add(name, value)
		}
	}
	return nil
}

// set stores an option. An empty value is an absent one. Of those that are lists a
// second one goes on, as header lines do; of the others there is one.
func (o *options) set(opt option, value []byte, from int) *failure {
	switch {
	case len(value) == 0:
		return nil
	case o.values[opt] == nil:
		o.values[opt], o.source[opt] = value, int8(from)
		o.given |= 1 << opt
		return nil
	case int(o.source[opt]) == from && (opt == optLabel || opt == optRedact):
		o.values[opt] = bytes.Join([][]byte{o.values[opt], value}, []byte{','})
	case int(o.source[opt]) == from:
		return badRequest("more than one %s", o.name(opt))
	}
	return nil // the header wins over the query, and both over a group's defaults
}

func (p *publisher) addForward(name, value []byte, from int) *failure {
	if hasPrefixFold(name, extensionPrefix) && isToken(name) {
		return p.addExtension(name[len(extensionPrefix):], value, from)
	}
	return p.options.addForward("Upstash-Forward-", name, value)
}

// addForward takes a header that is to be forwarded, without its prefix.
func (o *options) addForward(prefix string, name, value []byte) *failure {
	if !isToken(name) {
		return badRequest("%s%s: not the name of a header", prefix, short(name))
	}
	if isDropped(name) || has(o.forward[:o.named], name) {
		return nil
	}
	o.forward = append(o.forward, engine.Header{Name: view(canonical(name)), Value: view(value)})
	return nil
}

// nextSource ends one source: what comes after it does not add to its headers.
func (o *options) nextSource() {
	o.named = len(o.forward)
	for _, in := range [...]*options{o.callback, o.failure} {
		if in != nil {
			in.nextSource()
		}
	}
}

func has(hs []engine.Header, name []byte) bool {
	for i := range hs {
		if len(hs[i].Name) == len(name) && string(canonical(name)) == hs[i].Name {
			return true
		}
	}
	return false
}

// isDropped says whether a forwarded header is left out: hop-by-hop ones, those
// of the body's framing, and those that the server itself sets (QSTASH.md §3.4).
func isDropped(name []byte) bool {
	if hasPrefixFold(name, "proxy-") {
		return true
	}
	var buf [24]byte
	switch string(lowered(buf[:0], name)) {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
		"content-type", "upstash-signature", "upstash-message-id", "upstash-retried", "upstash-region",
		"upstash-caller-ip", "upstash-schedule-id", "upstash-topic-name":
		return true
	}
	return false
}

// forwardAll forwards the incoming headers themselves, for senders that cannot
// add a prefix (Upstash-Header-Forward). What is named with the prefix wins.
func (p *publisher) forwardAll(fields []field) {
	named := len(p.forward)
	for _, f := range fields {
		if hasPrefixFold(f.name, optionPrefix) || hasPrefixFold(f.name, extensionPrefix) || equalFold(f.name, "authorization") || equalFold(f.name, "accept-encoding") ||
			isDropped(f.name) || has(p.forward[:named], f.name) {
			continue
		}
		p.forward = append(p.forward, engine.Header{Name: view(canonical(f.name)), Value: view(f.value)})
	}
}

// addFields takes the header lines of a request or of a batch item.
func (p *publisher) addFields(fields []field) *failure {
	for _, f := range fields {
		if fail := p.add(f.name, f.value, fromHeader); fail != nil {
			return fail
		}
	}
	return nil
}

// addQuery takes our own parameters out of a raw query.
func (p *publisher) addQuery(query []byte) *failure {
	p.nextSource()
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		if paramKind(name) != paramOption {
			continue
		}
		name = p.unescape(name)
		if plusIsBlank(name) {
			value = bytes.ReplaceAll(value, []byte{'+'}, []byte{' '})
		}
		value = trimSpace(p.unescape(value))
		if !isFieldValue(value) {
			return badRequest("the query parameter %s contains a control character", short(name))
		}
		if fail := p.add(name, value, fromQuery); fail != nil {
			return fail
		}
	}
	return nil
}

// plusIsBlank says whether a plus sign in the value of a parameter is a blank: forms write
// it so, and these values are full of blanks and have no plus signs of their own.
func plusIsBlank(name []byte) bool {
	const flow = "flow-control-value"
	return equalFold(name, "upstash-cron") || equalFold(name, "upstash-label") || equalFold(name, "upstash-redact-fields") || len(name) > len(flow) && equalFold(name[len(name)-len(flow):], flow)
}

// unescape copies s, decoded, into the scratch memory, so that it can be
// changed in place and outlives the query's decoding.
func (p *publisher) unescape(s []byte) []byte {
	at := len(p.scratch)
	p.scratch = unescape(p.scratch, s)
	return p.scratch[at:len(p.scratch):len(p.scratch)]
}

// badOption names the header, the value and what would be right.
func badOption(opt option, value []byte, right string) *failure {
	return badValue(optionNames[opt], value, right)
}

func badValue(name string, value []byte, right string) *failure {
	return &failure{status: http.StatusBadRequest, text: "invalid " + name + " " + short(value) + ": " + right}
}
