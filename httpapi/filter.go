package httpapi

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// Filters select messages, events and dead letters (QSTASH.md §8). They come as
// parameters of the query or as members of a JSON body, and mean the same in both:
// values of one name are alternatives, given by repetition, as a list or with commas
// between them; different names all apply.
//
// A list ignores what it does not know. A call that changes what it selects does not:
// a filter that is misspelt, empty or of another kind of call would select more than
// was meant, so it is refused.

// filterName is a set of names that a call takes.
type filterName uint32

const (
	filterMessageID filterName = 1 << iota // messageId, messageIds
	filterDeadID                           // dlqId, dlqIds
	filterURL
	filterHost
	filterPath
	filterTopic
	filterQueue
	filterSchedule
	filterLabel
	filterFlow
	filterCallerIP // callerIp, callerIP
	filterFrom     // fromDate
	filterTo       // toDate
	filterStatus   // responseStatus
	filterState
	filterSource
	filterOrder
	filterCount
	filterCursor

	filterIDs     = filterMessageID | filterDeadID
	filterPage    = filterOrder | filterCount | filterCursor
	filterContent = filterURL | filterTopic | filterQueue | filterSchedule | filterLabel | filterFlow | filterCallerIP | filterFrom | filterTo
)

var filterNames = map[string]filterName{
	"messageId": filterMessageID, "messageIds": filterMessageID, "dlqId": filterDeadID, "dlqIds": filterDeadID,
	"url": filterURL, "host": filterHost, "path": filterPath, "topicName": filterTopic, "queueName": filterQueue,
	"scheduleId": filterSchedule, "label": filterLabel, "flowControlKey": filterFlow,
	"callerIp": filterCallerIP, "callerIP": filterCallerIP, "fromDate": filterFrom, "toDate": filterTo,
	"responseStatus": filterStatus, "state": filterState, "source": filterSource,
	"order": filterOrder, "count": filterCount, "cursor": filterCursor,
}

// filterCall says what a call takes.
type filterCall struct {
	names     filterName
	strict    bool // it changes what it selects: what is not understood is refused
	options   bool // its query has options of messages beside the filters
	countMax  int  // of count
	valuesMax int  // of all names but ids together; more is refused
	idsMax    int  // of ids; more is refused. 0: valuesMax
}

// filterValuesMax bounds the values of a call that has no bound of its own.
const filterValuesMax = 1000

// filter is what a call was given.
type filter struct {
	call *filterCall
	engine.Filter
	given    filterName // those that had a value, and ids that were an empty list
	null     filterName // those that were null
	deadIDs  []string
	statuses []int
	states   []string // upper-case, one of filterStates
	workflow bool     // source=workflow
	latest   bool     // order=latestFirst
	earliest bool     // order=earliestFirst; neither: the call's default
	count    int      // 0: none was given
	cursor   string
	values   int // that were given, and how many of them are ids
	ids      int
}

// selects says whether anything was given that selects: the others but page what does.
func (f *filter) selects() bool { return f.given&^filterPage != 0 }

// paged says whether a number was given, and no filter that came out as null: so clients
// say that they mean all.
func (f *filter) paged() bool { return f.given&filterCount != 0 && f.null&^filterPage == 0 }

// filterStates are the values of state (QSTASH.md §5.2).
var filterStates = []string{"CREATED", "ACTIVE", "RETRY", "ERROR", "DELIVERED", "FAILED", "CANCEL_REQUESTED", "CANCELED", "IN_PROGRESS"}

// filterOf reads the filters of a request: of its query, and of its body if the call is
// strict, as older clients have it.
func (x *exchange) filterOf(call *filterCall) (f filter, fail *failure) {
	f.call = call
	if fail = f.addQuery(x.query); fail == nil && call.strict {
		fail = f.addBody(x.body.b)
	}
	return f, fail
}

func (f *filter) addQuery(query []byte) *failure {
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		if len(pair) == 0 || f.skips(paramKind(name)) {
			continue
		}
		if fail := f.add(string(unescapeForm(name)), string(unescapeForm(value))); fail != nil {
			return fail
		}
	}
	return nil
}

// skips says whether a parameter of this kind is none of the filters. In a strict call
// without options upstash-label is a label that was misspelt.
func (f *filter) skips(kind int) bool {
	return kind == paramToken || kind == paramOption && (f.call.options || !f.call.strict)
}

// addBody reads a JSON object; no body at all, and null for a member, are absent.
func (f *filter) addBody(body []byte) *failure {
	if len(body) == 0 {
		return nil
	}
	if fail := checkJSON(body); fail != nil {
		return fail
	}
	c := cursor{b: body}
	if c.peek() != '{' {
		return badRequest("the body must be a JSON object of filters")
	}
	for c.next('}') {
		rawName, value := c.member()
		name, _ := text(rawName)
		if fail := f.addMember(string(name), value); fail != nil {
			return fail
		}
	}
	return nil
}

func (f *filter) addMember(name string, raw []byte) *failure {
	n, fail := f.known(name)
	switch {
	case fail != nil || n == 0:
		return fail
	case isNull(raw):
		f.null |= n
		return nil
	case raw[0] != '[':
		return f.addJSON(name, raw)
	}
	return f.addList(n, name, raw)
}

// addList takes a list of values. One that is empty selects nothing, where no filter at
// all would select everything: it is refused, by the call itself if it is one of ids.
func (f *filter) addList(n filterName, name string, raw []byte) *failure {
	f.given |= n
	before := f.values
	c := cursor{b: raw}
	for c.next(']') {
		if fail := f.addJSON(name, c.value()); fail != nil {
			return fail
		}
	}
	if f.values == before && n&filterIDs == 0 {
		return badRequest("%s is empty: name a value, or leave it out", name)
	}
	return nil
}

// addJSON takes a string or a number.
func (f *filter) addJSON(name string, raw []byte) *failure {
	if raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' {
		return f.add(name, string(raw))
	}
	v, ok := text(raw)
	if !ok {
		return badRequest("%s must be a string or a number, or a list of them", name)
	}
	return f.add(name, string(v))
}

// known returns the set of a name, 0 for one that is to be ignored.
func (f *filter) known(name string) (filterName, *failure) {
	if n := filterNames[name]; n&f.call.names != 0 {
		return n, nil
	}
	if f.call.strict {
		return 0, badRequest("unknown filter %s", short(name))
	}
	return 0, nil
}

// add takes one value, which may be a list.
func (f *filter) add(name, v string) *failure {
	n, fail := f.known(name)
	if fail != nil || n == 0 {
		return fail
	}
	if v == "" && !f.call.strict {
		return nil
	}
	once := f.given&n == 0
	f.given |= n
	before := f.values
	if fail := f.set(n, name, v, once); fail != nil {
		return fail
	}
	if f.values == before {
		return badRequest("%s is empty: name a value, or leave it out", name)
	}
	return f.checkValues(name)
}

func (f *filter) checkValues(name string) *failure {
	idsMax := f.call.idsMax
	if idsMax == 0 {
		idsMax = f.call.valuesMax
	}
	switch {
	case f.ids > idsMax:
		return badRequest("%s names more than %d", name, idsMax)
	case f.values-f.ids > f.call.valuesMax:
		return badRequest("the filters name more than %d values", f.call.valuesMax)
	}
	return nil
}

func (f *filter) set(n filterName, name, v string, once bool) *failure {
	switch n {
	case filterMessageID:
		f.takeIDs(&f.MessageIDs, splitList(v))
	case filterDeadID:
		f.takeIDs(&f.deadIDs, splitList(v))
	case filterURL:
		f.take(&f.URLs, splitAt(v, startsURL))
	case filterHost:
		f.take(&f.Hosts, splitList(v))
	case filterPath:
		f.take(&f.Paths, splitAt(v, func(part string) bool { return strings.HasPrefix(part, "/") }))
	case filterTopic:
		f.take(&f.TopicNames, splitList(v))
	case filterQueue:
		f.take(&f.QueueNames, splitList(v))
	case filterSchedule:
		f.take(&f.ScheduleIDs, splitList(v))
	case filterLabel:
		f.take(&f.Labels, splitList(v))
	case filterFlow:
		f.take(&f.FlowKeys, flowKeys(v))
	case filterCallerIP:
		f.take(&f.CallerIPs, splitList(v))
	case filterStatus:
		return f.setStatuses(name, v)
	case filterState:
		return f.setStates(name, v)
	default:
		if f.values++; v == "" && n != filterCursor || !once {
			return badRequest("%s must be there once, with a value", name)
		}
		return f.setOne(n, name, v)
	}
	return nil
}

// take adds values that are not there yet.
func (f *filter) take(to *[]string, values []string) {
	for _, v := range values {
		if f.values++; len(*to) <= f.call.valuesMax && !slices.Contains(*to, v) {
			*to = append(*to, v)
		}
	}
}

// takeIDs is take of ids, of which there may be many: one that is there twice stays so.
func (f *filter) takeIDs(to *[]string, ids []string) {
	f.values, f.ids = f.values+len(ids), f.ids+len(ids)
	*to = append(*to, ids...)
}

func (f *filter) setStatuses(name, v string) *failure {
	for _, s := range splitList(v) {
		n, ok := digits([]byte(s))
		if !ok || n > 999 {
			return badFilter(name, s, "an HTTP status, or 0 for no response")
		}
		f.values++
		f.statuses = append(f.statuses, int(n))
	}
	return nil
}

func (f *filter) setStates(name, v string) *failure {
	for _, s := range splitList(v) {
		state := strings.ToUpper(s)
		if state == "CANCELLED" { // as the vendor's OpenAPI file has it (QSTASH.md §14, 5)
			state = "CANCELED"
		}
		if !slices.Contains(filterStates, state) {
			return badFilter(name, s, "one of "+strings.Join(filterStates, ", "))
		}
		f.values++
		f.states = append(f.states, state)
	}
	return nil
}

// setOne takes what a call has one of.
func (f *filter) setOne(n filterName, name, v string) (fail *failure) {
	switch n {
	case filterFrom:
		f.From, fail = filterTime(name, v)
	case filterTo:
		f.To, fail = filterTime(name, v)
	case filterSource:
		if f.workflow = v == "workflow"; !f.workflow {
			return badFilter(name, v, "workflow")
		}
	case filterOrder:
		if f.latest, f.earliest = v == "latestFirst", v == "earliestFirst"; !f.latest && !f.earliest {
			return badFilter(name, v, "earliestFirst or latestFirst")
		}
	case filterCursor:
		if _, ok := digits([]byte(v)); !ok && v != "" { // an empty one is that of a last page
			return badFilter(name, v, "the cursor of an earlier answer")
		}
		f.cursor = v
	case filterCount:
		f.count, fail = f.countOf(name, v)
	}
	return fail
}

// countOf reads count. A list gives as many as it may where more are asked for.
func (f *filter) countOf(name, v string) (int, *failure) {
	n, ok := digits([]byte(v))
	if !ok || n < 1 || f.call.strict && n > int64(f.call.countMax) {
		return 0, badFilter(name, v, "a number from 1 to "+strconv.Itoa(f.call.countMax))
	}
	return int(min(n, int64(f.call.countMax))), nil
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

// splitAt splits a list whose elements may hold commas themselves: a new one starts
// where starts says so.
func splitAt(v string, starts func(part string) bool) (list []string) {
	for part := range strings.SplitSeq(v, ",") {
		switch {
		case len(list) > 0 && !starts(part):
			list[len(list)-1] += "," + part
		case part != "":
			list = append(list, part)
		}
	}
	return list
}

func startsURL(part string) bool {
	_, absolute := cutScheme([]byte(part))
	return absolute
}

// flowKeys are the keys that a value stands for. A key is any text: one with a comma in
// it and a list look the same, and both are meant.
func flowKeys(v string) []string {
	keys := splitList(v)
	if len(keys) > 1 {
		keys = append(keys, v)
	}
	return keys
}
