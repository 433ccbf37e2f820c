package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// describeFilter is what a filter selects, in words.
func describeFilter(f *filter) string {
	var parts []string
	add := func(name string, values []string) {
		if len(values) > 0 {
			parts = append(parts, name+"="+strings.Join(values, "|"))
		}
	}
	add("message", f.MessageIDs)
	add("dead", f.deadIDs)
	add("url", f.URLs)
	add("host", f.Hosts)
	add("path", f.Paths)
	add("topic", f.TopicNames)
	add("queue", f.QueueNames)
	add("schedule", f.ScheduleIDs)
	add("label", f.Labels)
	add("flow", f.FlowKeys)
	add("ip", f.CallerIPs)
	add("state", f.states)
	add("cursor", strings.Fields(f.cursor))
	if len(f.statuses) > 0 {
		parts = append(parts, fmt.Sprint("status=", f.statuses))
	}
	for name, at := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !at.IsZero() {
			parts = append(parts, fmt.Sprint(name, "=", at.UnixMilli()))
		}
	}
	if f.count > 0 {
		parts = append(parts, fmt.Sprint("count=", f.count))
	}
	for name, is := range map[string]bool{"workflow": f.workflow, "latest": f.latest, "earliest": f.earliest} {
		if is {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, " ")
}

const filterAll = filterContent | filterHost | filterPath | filterMessageID | filterDeadID | filterStatus | filterState | filterSource | filterPage

// TestFilters: the same filter as a query and as a body, in a list and in a call that
// changes what it selects.
func TestFilters(t *testing.T) {
	list := filterCall{names: filterAll, countMax: 100, valuesMax: 20}
	bulk := filterCall{names: filterAll, strict: true, countMax: 100, valuesMax: 20}
	cancel := filterCall{names: filterAll &^ (filterStatus | filterCursor), strict: true, countMax: 500, valuesMax: 20}
	for _, c := range []struct {
		call        *filterCall
		query, body string
		want        string // what it selects, or with a ! the error
	}{
		{&list, "", "", ""},
		{&list, "label=a&label=b", "", "label=a|b"},
		{&list, "label=a,b&label=b,c", "", "label=a|b|c"},
		{&list, "label=a%2Cb", "", "label=a|b"},
		{&list, "url=http%3A%2F%2Fh%2F1,2,https://g&path=/a,b,/c&host=h:80,g", "", "url=http://h/1,2|https://g host=h:80|g path=/a,b|/c"},
		{&list, "topicName=t&queueName=q&scheduleId=s&messageId=m&messageIds=n&dlqId=d&dlqIds=e", "", "message=m|n dead=d|e topic=t queue=q schedule=s"},
		{&list, "flowControlKey=a,b+c&callerIp=1&callerIP=2", "", "flow=a|b c|a,b c ip=1|2"},
		{&list, "state=active,CANCELLED&state=IN_PROGRESS", "", "state=ACTIVE|CANCELED|IN_PROGRESS"},
		{&list, "responseStatus=0,404&count=7&cursor=12", "", "cursor=12 status=[0 404] count=7"},
		{&list, "count=5000", "", "count=100"},
		{&list, "fromDate=1700000000000", "", "from=1700000000000"},
		{&list, "toDate=5", "", "to=5"},
		{&list, "order=latestFirst", "", "latest"},
		{&list, "order=earliestFirst", "", "earliest"},
		{&list, "source=workflow", "", "workflow"},
		{&list, "labeel=x&urlGroup=y&label=&cursor=&qstash_token=t&upstash-x=1", "", ""},
		{&list, "label=a", `{"label":"b"}`, "label=a"}, // a list has no body
		{&list, "count=0", "", "!invalid count"},
		{&list, "count=x", "", "!invalid count"},
		{&list, "cursor=12-3", "", "!invalid cursor"},
		{&list, "fromDate=yesterday", "", "!invalid fromDate"},
		{&list, "fromDate=99999999999999999999", "", "!invalid fromDate"},
		{&list, "fromDate=1&fromDate=2", "", "!fromDate must be there once"},
		{&list, "state=DONE", "", "!invalid state"},
		{&list, "responseStatus=2xx", "", "!invalid responseStatus"},
		{&list, "order=random", "", "!invalid order"},
		{&list, "source=other", "", "!invalid source"},
		{&list, "label=,", "", "!label is empty"},
		{&list, "label=" + strings.Repeat("x,", 21), "", "!more than 20 values"},

		{&bulk, "", "", ""},
		{&bulk, "", "{}", ""},
		{&bulk, "", `{"label":null,"dlqIds":null}`, ""},
		{&bulk, "", ` {"label":"a,b","queueName":["q","r"],"dlqIds":["1-1"],"url":"http://h","flowControlKey":"k"}`, "dead=1-1 url=http://h queue=q|r label=a|b flow=k"},
		{&bulk, "", `{"fromDate":1700000000000}`, "from=1700000000000"},
		{&bulk, "", `{"toDate":"5","count":100,"cursor":"7"}`, "cursor=7 to=5 count=100"},
		{&bulk, "", `{"responseStatus":404}`, "status=[404]"},
		{&bulk, "label=a", `{"label":["b"]}`, "label=a|b"},
		{&bulk, "cursor=", "", ""},
		{&bulk, "labeel=x", "", `!unknown filter "labeel"`},
		{&bulk, "labeel=", "", `!unknown filter "labeel"`},
		{&bulk, "Label=x", "", `!unknown filter "Label"`},
		{&bulk, "", `{"labeel":null}`, `!unknown filter "labeel"`},
		{&bulk, "label=", "", "!label is empty"},
		{&bulk, "", `{"label":""}`, "!label is empty"},
		{&bulk, "", `{"label":["a",""]}`, "!label is empty"},
		{&bulk, "", `{"label":[]}`, "!label is empty"},
		{&bulk, "", `{"toDate":[],"label":"a"}`, "!toDate is empty"},
		{&bulk, "label=a&upstash-label=x", "", `!unknown filter "upstash-label"`},
		{&bulk, "label=a&qstash_token=t", "", "label=a"},
		{&bulk, "count=101", "", "!invalid count"},
		{&bulk, "", `{"count":-1}`, "!invalid count"},
		{&bulk, "", `{"count":1.5}`, "!invalid count"},
		{&bulk, "", `{"label":{"a":1}}`, "!label must be a string or a number"},
		{&bulk, "", `{"label":true}`, "!label must be a string or a number"},
		{&bulk, "", `{"label":[["a"]]}`, "!label must be a string or a number"},
		{&bulk, "", `["a"]`, "!the body must be a JSON object"},
		{&bulk, "", `{"label":`, "!not valid JSON"},
		{&bulk, "", strings.Repeat("[", 100), "!nested deeper"},
		{&cancel, "responseStatus=404", "", `!unknown filter "responseStatus"`},
		{&cancel, "cursor=1", "", `!unknown filter "cursor"`},
		{&cancel, "count=500", "", "count=500"},
		{&cancel, "count=501", "", "!invalid count"},
	} {
		x := &exchange{query: []byte(c.query), body: body{b: []byte(c.body)}}
		f, fail := x.filterOf(c.call)
		got := describeFilter(&f)
		if fail != nil {
			got = "!" + fail.text
		}
		if wrong, isError := strings.CutPrefix(c.want, "!"); isError && (fail == nil || fail.status != 400 || !strings.Contains(got, wrong)) || !isError && got != c.want {
			t.Errorf("%s %s:\n got  %s\n want %s", c.query, c.body, got, c.want)
		}
	}
}

// FuzzFilter: whatever the bytes, a strict call either refuses them or selects no more
// than a call without them would.
func FuzzFilter(f *testing.F) {
	f.Add("label=a,b&url=http://h/1,2&fromDate=5", `{"messageIds":["m"],"count":5}`)
	f.Add("label=%", `{"label":"\u00"}`)
	f.Fuzz(func(t *testing.T, query, text string) {
		for _, strict := range []bool{false, true} {
			call := filterCall{names: filterAll, strict: strict, countMax: 100, valuesMax: 20}
			x := &exchange{query: []byte(query), body: body{b: []byte(text)}}
			got, fail := x.filterOf(&call)
			if fail != nil && (fail.status != 400 || fail.text == "") {
				t.Fatalf("%d %q", fail.status, fail.text)
			}
			if fail == nil && (got.values > 20 || got.count > 100) {
				t.Fatalf("%+v", got)
			}
			x.query = append(x.query, "&zz=1"...)
			if _, fail = x.filterOf(&call); fail == nil && strict {
				t.Fatalf("an unknown filter is ignored behind %q", query)
			}
		}
	})
}
