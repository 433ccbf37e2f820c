package httpapi

import (
	"bytes"
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

	// The extensions of schedules, see extension.go.
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
	case "callback", "failure-callback", "queue-name", "flow-control-key", "flow-control-value",
		"label", "redact-fields", "feature-set":
		return optLater
	}
	for _, prefix := range []string{"callback-", "failure-callback-", "flow-control-", "workflow-"} {
		if hasPrefixFold(name, prefix) {
			return optLater
		}
	}
	return optNone
}

// Where options come from, in the order of precedence.
const (
	fromHeader = iota
	fromQuery
)

// publisher collects the options of one message and builds its engine.Publish.
// Values alias the request.
type publisher struct {
	values  [optCount][]byte
	source  [optCount]int8
	forward []engine.Header
	named   int    // how many of forward came from headers
	scratch []byte // decoded parts of the query, the destination
	message engine.Publish
	rules   engine.TimeRules // of a schedule
}

// scratchPooledMax bounds what a pooled publisher keeps.
const scratchPooledMax = 32 << 10

func (p *publisher) reset() {
	clear(p.forward[:cap(p.forward)])
	if cap(p.scratch) > scratchPooledMax {
		p.scratch = nil
	}
	*p = publisher{forward: p.forward[:0], scratch: p.scratch[:0]}
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
	switch opt := optionOf(rest); {
	case opt == optLater && len(value) > 0:
		return unsupported(string(canonical(append([]byte(nil), name...))))
	case opt >= 0:
		return p.set(opt, value, from)
	}
	return nil
}

// addBare takes a header line without our prefix. In a query such a name is the
// destination's.
func (p *publisher) addBare(name, value []byte, from int) *failure {
	switch {
	case from != fromHeader:
		return nil
	case equalFold(name, "content-type"):
		return p.set(optContentType, value, from)
	case hasPrefixFold(name, extensionPrefix):
		return p.addExtension(name[len(extensionPrefix):], value, from)
	}
	return nil
}

// set stores a singleton. An empty value is an absent one.
func (p *publisher) set(opt option, value []byte, from int) *failure {
	switch {
	case len(value) == 0:
		return nil
	case p.values[opt] == nil:
		p.values[opt], p.source[opt] = value, int8(from)
		return nil
	case int(p.source[opt]) == from:
		return badRequest("more than one %s", optionNames[opt])
	}
	return nil // the header wins over the query
}

func (p *publisher) addForward(name, value []byte, from int) *failure {
	if !isToken(name) {
		return badRequest("Upstash-Forward-%s: not the name of a header", short(name))
	}
	if hasPrefixFold(name, extensionPrefix) {
		return p.addExtension(name[len(extensionPrefix):], value, from)
	}
	if isDropped(name) || from == fromQuery && has(p.forward[:p.named], name) {
		return nil
	}
	p.forward = append(p.forward, engine.Header{Name: view(canonical(name)), Value: view(value)})
	if from == fromHeader {
		p.named = len(p.forward)
	}
	return nil
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
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		if paramKind(name) != paramOption {
			continue
		}
		name = p.unescape(name)
		if equalFold(name, "upstash-cron") { // it is full of blanks, and forms write them as plus signs
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

// unescape copies s, decoded, into the scratch memory, so that it can be
// changed in place and outlives the query's decoding.
func (p *publisher) unescape(s []byte) []byte {
	at := len(p.scratch)
	p.scratch = unescape(p.scratch, s)
	return p.scratch[at:len(p.scratch):len(p.scratch)]
}

// badOption names the header, the value and what would be right.
func badOption(opt option, value []byte, right string) *failure {
	return &failure{status: http.StatusBadRequest, text: "invalid " + optionNames[opt] + " " + short(value) + ": " + right}
}
