package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// eventPage is an answer as the clients decode it.
type eventPage struct {
	Events, Logs json.RawMessage
	Cursor       *string
}

type eventView struct {
	Time                                  int64
	State, MessageID, URL, Error, Body    string
	NextDeliveryTime                      int64
	ResponseStatus                        *int
	ResponseBody                          string
	ResponseHeader, ResponseHeaders       map[string][]string
	Header                                map[string][]string
	QueueName, FlowControlKey, ScheduleID string
	Timeout                               int64
	BodyExpired                           bool
}

// events asks until what it got is what done wants.
func (s realSite) events(t testing.TB, query string, done func(evs []eventView) bool) (evs []eventView, p eventPage) {
	t.Helper()
	for range 2000 {
		p, evs = eventPage{}, nil
		s.want(t, request("GET /v2/events?"+query), 200, &p)
		if string(p.Events) != string(p.Logs) {
			t.Fatalf("events are %s, logs are %s", p.Events, p.Logs)
		}
		if err := json.Unmarshal(p.Events, &evs); err != nil {
			t.Fatal(err)
		}
		if done(evs) {
			return evs, p
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("GET /v2/events?%s has still %s", query, p.Events)
	return nil, p
}

func statesOf(evs []eventView) string {
	var s []string
	for i := range evs {
		s = append(s, evs[i].State)
	}
	return strings.Join(s, " ")
}

func ending(states string) func([]eventView) bool {
	return func(evs []eventView) bool { return statesOf(evs) == states }
}

// TestEventsEndToEnd (QSTASH.md §5.2, §8.2): the entries of a delivered and of a failed
// message, byte for byte where they do not tell the time.
func TestEventsEndToEnd(t *testing.T) {
	s, sink, _ := sinkSite(t)
	var good, bad struct{ MessageID string }
	s.want(t, requestBody("POST /v2/publish/"+sink+"/ok?x=1", "hello", "Content-Type: text/plain", "Upstash-Timeout: 7s",
		"Upstash-Forward-X-Own: 1", "Upstash-Method: PUT", "Upstash-Flow-Control-Key: key", "Upstash-Flow-Control-Value: parallelism=3",
		"Upstash-Retry-Delay: 1000"), 200, &good)
	evs, p := s.events(t, "order=earliestFirst&messageId="+good.MessageID, ending("CREATED ACTIVE DELIVERED"))
	if p.Cursor != nil {
		t.Errorf("the last page has the cursor %s", *p.Cursor)
	}
	if e := evs[2]; *e.ResponseStatus != 200 || e.ResponseHeader["X-Answer"][0] != "yes" || e.ResponseHeaders["X-Answer"][0] != "yes" ||
		e.ResponseBody != base64.StdEncoding.EncodeToString([]byte("answer to /ok")) {
		t.Errorf("delivered: %+v", e)
	}
	var raw struct{ Events []json.RawMessage }
	if err := json.Unmarshal([]byte(s.body(t, request("GET /v2/logs?state=created"), 200)), &raw); err != nil || len(raw.Events) != 1 {
		t.Fatalf("%v, %d entries", err, len(raw.Events))
	}
	want := fmt.Sprintf(`{"time":%d,"messageId":"%s","url":"%s/ok?x=1","state":"CREATED","callerIP":"127.0.0.1","callerIp":"127.0.0.1",`+
		`"method":"PUT","maxRetries":3,"header":{"X-Own":["1"],"Content-Type":["text/plain"]},"body":"aGVsbG8=","timeout":7000,`+
		`"retryDelayExpression":"1000","retryDelayExpr":"1000","flowControlKey":"key","parallelism":3,"period":1}`, evs[0].Time, good.MessageID, sink)
	if string(raw.Events[0]) != want {
		t.Errorf("got  %s\nwant %s", raw.Events[0], want)
	}

	s.want(t, requestBody("POST /v2/publish/"+sink+"/fails/", "x", "Upstash-Retries: 0"), 200, &bad)
	evs, _ = s.events(t, "messageIds="+bad.MessageID, ending("FAILED ERROR ACTIVE CREATED"))
	if e := evs[1]; e.Error != "the destination answered 404" || *e.ResponseStatus != 404 {
		t.Errorf("the error: %+v", e)
	}
	if evs[0].Error != "" || evs[2].ResponseStatus != nil {
		t.Errorf("%+v", evs)
	}
}

// TestEventFilters (QSTASH.md §8.2): each selects, alone and with others, and of one
// account only.
func TestEventFilters(t *testing.T) {
	s, sink, _ := sinkSite(t)
	var id struct{ MessageID string }
	s.want(t, requestBody("POST /v2/publish/"+sink+"/a,b/c", "x", "Upstash-Delay: 1h", "Upstash-Flow-Control-Key: k,1", "Upstash-Flow-Control-Value: rate=9"), 200, &id)
	s.want(t, requestBody("POST /v2/enqueue/q/"+sink+"/other", "x", "Upstash-Delay: 1h"), 200, nil)
	s.want(t, requestBody("POST /v2/topics/group/endpoints", `{"endpoints":[{"url":"`+sink+`/other","name":"one"}]}`), 200, nil)
	s.want(t, requestBody("POST /v2/publish/group", "x", "Upstash-Delay: 1h"), 200, nil)
	s.want(t, asOther(requestBody("POST /v2/publish/"+sink+"/a,b/c", "x", "Upstash-Delay: 1h")), 200, nil)
	host := strings.TrimPrefix(sink, "http://")
	for query, want := range map[string]int{
		"": 3, "unknown=1&urlGroup=g&api=x": 3, "messageId=" + id.MessageID: 1, "messageIds=" + id.MessageID + ",msg_none": 1, "messageId=none": 0,
		"url=" + sink + "/a,b/c": 1, "url=" + sink + "/other," + sink + "/a,b/c": 3, "host=" + host: 3, "host=h": 0,
		"path=/other": 2, "path=/other,/x": 2, "queueName=q": 1, "queueName=q&path=/a": 0, "topicName=group": 1, "topicName=group&topicName=x": 1,
		"flowControlKey=k,1": 1, "callerIp=127.0.0.1": 3, "callerIP=::1": 0, "scheduleId=s": 0, "label=l": 0,
		"state=CREATED": 3, "state=CANCELLED": 0, "state=IN_PROGRESS": 0, "state=created,ACTIVE": 3,
		"fromDate=4102444800000": 0, "toDate=4102444800000": 3, "toDate=1000": 0, "fromDate=1000&toDate=4102444800000": 3,
		"cursor=": 3, "cursor=0": 3,
	} {
		evs, p := s.events(t, query, func([]eventView) bool { return true })
		if len(evs) != want || p.Cursor != nil {
			t.Errorf("?%s: %d events, cursor %v, want %d", query, len(evs), p.Cursor, want)
		}
	}
	for query, field := range map[string]string{
		"state=SENT": "state", "order=up": "order", "count=0": "count", "count=x": "count", "cursor=1-2": "cursor",
		"fromDate=yesterday": "fromDate", "toDate=-1": "toDate", "cursor=99999999999999999999999": "cursor",
	} {
		a := s.send(t, request("GET /v2/logs?"+query))
		if a.StatusCode != 400 || !strings.Contains(a.body, field) {
			t.Errorf("?%s: %d %s", query, a.StatusCode, a.body)
		}
	}
	a := s.send(t, requestBody("DELETE /v2/events", ""))
	if a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("DELETE: %d, allowed %q", a.StatusCode, a.Header.Get("Allow"))
	}
}

// TestEventPages: pages have at most count entries, cursors are digits below 2^53 and are
// absent at the end.
func TestEventPages(t *testing.T) {
	s, sink, _ := sinkSite(t)
	var ids []string
	for range 7 {
		var m struct{ MessageID string }
		s.want(t, requestBody("POST /v2/publish/"+sink+"/", "x", "Upstash-Delay: 1h"), 200, &m)
		ids = append(ids, m.MessageID)
	}
	for _, order := range []string{"earliestFirst", "latestFirst", ""} {
		var got []string
		cursor, pages := "", 0
		for done := false; !done; pages++ {
			evs, p := s.events(t, "count=3&order="+order+"&cursor="+cursor, func([]eventView) bool { return true })
			for i := range evs {
				got = append(got, evs[i].MessageID)
			}
			if done = p.Cursor == nil; !done {
				cursor = *p.Cursor
				if n, ok := digits([]byte(cursor)); !ok || n <= 0 || n >= 1<<53 {
					t.Errorf("the cursor %s", cursor)
				}
			}
		}
		if order != "earliestFirst" {
			slices.Reverse(got)
		}
		if !slices.Equal(got, ids) || pages != 3 {
			t.Errorf("order %q: %d pages with %v, want 3 with %v", order, pages, got, ids)
		}
	}
}
