package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// The Python and the Go client are not run here. What they send, and which keys they index
// in the answers (QSTASH.md §1.1, §8.1, §12.2, §13), was read from their sources; these are
// the exchanges. A key that is missing is a KeyError in the one, a value of another type an
// error of encoding/json in the other.

// shape are the keys that a client needs of an object, with the types of their values.
type shape map[string]string

// check says what of an object is not in this shape.
func (s shape) check(v any) string {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("%v is no object", v)
	}
	for _, key := range slices.Sorted(maps.Keys(s)) {
		got, there := object[key]
		switch {
		case !there:
			return fmt.Sprintf("%q is missing in %v", key, object)
		case jsonType(got) != s[key]:
			return fmt.Sprintf("%q is %v, want it %s", key, got, s[key])
		}
	}
	return ""
}

func jsonType(v any) string {
	switch v := v.(type) {
	case string:
		return "text"
	case bool:
		return "bool"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "int"
		}
		return "number"
	case map[string]any:
		for _, values := range v {
			if _, ok := values.([]any); !ok {
				return "object"
			}
		}
		return "lists" // header: name to values
	case []any:
		return "list"
	}
	return "null"
}

// Objects, as py and Go read them.
var (
	messageShape = shape{"messageId": "text", "url": "text", "method": "text", "maxRetries": "int", "notBefore": "int", "createdAt": "int"}
	deadShape    = shape{
		"dlqId": "text", "messageId": "text", "url": "text", "method": "text", "maxRetries": "int", "notBefore": "int", "createdAt": "int",
		"responseStatus": "int", "responseHeader": "lists", "responseBody": "text",
	}
	scheduleShape = shape{"scheduleId": "text", "destination": "text", "cron": "text", "createdAt": "int", "method": "text", "retries": "int", "isPaused": "bool"}
	queueShape    = shape{"name": "text", "parallelism": "int", "createdAt": "int", "updatedAt": "int", "lag": "int", "paused": "bool"}
	groupShape    = shape{"name": "text", "createdAt": "int", "updatedAt": "int", "endpoints": "list"}
	logShape      = shape{"time": "int", "messageId": "text", "state": "text", "url": "text"}
	keysShape     = shape{"current": "text", "next": "text"}
	flowShape     = shape{
		"flowControlKey": "text", "waitListSize": "int", "parallelismMax": "int", "parallelismCount": "int", "rateMax": "int", "rateCount": "int",
		"ratePeriod": "int", "ratePeriodStart": "int", "isPaused": "bool", "isPinnedParallelism": "bool", "isPinnedRate": "bool",
	}
)

// foreign is a client of another language at a server.
type foreign struct {
	realSite
	t      *testing.T
	header []string // what its HTTP library adds to a request
}

// call sends a request and decodes the answer, which is JSON in any case.
func (c *foreign) call(line, body string, status int, header ...string) any {
	c.t.Helper()
	a := c.send(c.t, requestBody(line, body, append(slices.Clone(c.header), header...)...))
	d := json.NewDecoder(strings.NewReader(a.body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || a.StatusCode != status || a.Header.Get("Content-Type") != "application/json" {
		c.t.Fatalf("%s: %d %s %s, want %d in JSON", line, a.StatusCode, a.Header.Get("Content-Type"), a.body, status)
	}
	if status >= 400 {
		c.is(shape{"error": "text"}, v)
	}
	return v
}

// is asserts a shape; of a list, that of its elements, of which there is at least one.
func (c *foreign) is(s shape, v any) any {
	c.t.Helper()
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 {
		c.t.Fatal("the list is empty")
	}
	for _, v := range list {
		if why := s.check(v); why != "" {
			c.t.Fatal(why)
		}
	}
	return v
}

// textOf returns a member of an object.
func textOf(v any, key string) string {
	return fmt.Sprint(v.(map[string]any)[key])
}

// listOf returns the list in a member of an object.
func listOf(v any, key string) []any {
	l, _ := v.(map[string]any)[key].([]any)
	return l
}

const asJSON = "Content-Type: application/json"

// refuser is a destination that answers 404 with a body.
func refuser(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Why", "gone")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "404 Not Found") //nolint:errcheck // a test server
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// dead publishes what fails for good and returns its dead letter's id.
func (c *foreign) dead(sink string) string {
	c.t.Helper()
	sent := c.call("POST /v2/publish/"+sink, "b", 200, "Upstash-Retries: 0")
	var letters []any
	waitFor(c.t, func() bool {
		letters = listOf(c.call("GET /v2/dlq?messageId="+textOf(sent, "messageId"), "", 200), "messages")
		return len(letters) > 0
	})
	c.is(deadShape, letters)
	return textOf(letters[0], "dlqId")
}

func startForeign(t *testing.T, header ...string) *foreign {
	return &foreign{realSite{startReal(t)}, t, header}
}

func startPython(t *testing.T) *foreign {
	return startForeign(t, "Accept: */*", "Accept-Encoding: gzip, deflate", "Connection: keep-alive", "User-Agent: python-httpx/0.28.1")
}

func TestPythonMessages(t *testing.T) {
	c := startPython(t)
	options := []string{
		asJSON, "Upstash-Method: PUT", "Upstash-Forward-My-Header: my-value", "Upstash-Callback-Forward-A: b", "Upstash-Failure-Callback-Retries: 1",
		"Upstash-Retries: 2", "Upstash-Retry-Delay: 7000 * retried", "Upstash-Callback: https://h.test/cb", "Upstash-Failure-Callback: https://h.test/fail",
		"Upstash-Delay: 3600s", "Upstash-Timeout: 30s", "Upstash-Flow-Control-Key: py", "Upstash-Flow-Control-Value: parallelism=3, rate=4, period=1h30m3s",
		"Upstash-Label: py-label",
	}
	unique := func(v string) []string {
		return append(slices.Clone(options), "Upstash-Content-Based-Deduplication: "+v)
	}
	to := "POST /v2/publish/https://h.test/p?sleep=1"
	first := c.is(shape{"messageId": "text"}, c.call(to, `{"a": 1}`, 200, unique("True")...))
	again := c.is(shape{"messageId": "text", "deduplicated": "bool"}, c.call(to, `{"a": 1}`, 202, unique("True")...))
	other := c.call(to, `{"a": 1}`, 200, unique("False")...)
	if textOf(first, "messageId") != textOf(again, "messageId") || textOf(first, "messageId") == textOf(other, "messageId") {
		t.Errorf("published as %v, %v and %v", first, again, other)
	}
	m := c.is(messageShape, c.call("GET /v2/messages/"+textOf(first, "messageId"), "", 200))
	c.is(shape{
		"header": "lists", "body": "text", "callback": "text", "callbackHeader": "lists", "failureCallback": "text", "retryDelayExpression": "text",
		"callerIP": "text", "flowControlKey": "text", "parallelism": "int", "rate": "int", "period": "int", "label": "text",
	}, m)
	if textOf(m, "period") != "5403" || textOf(m, "url") != "https://h.test/p?sleep=1" || textOf(m, "maxRetries") != "2" || textOf(m, "label") != "py-label" {
		t.Errorf("the message is %v", m)
	}
	f := c.is(flowShape, c.call("GET /v2/flowControl/py", "", 200))
	if textOf(f, "ratePeriod") != "5403" {
		t.Errorf("the key is %v", f)
	}
	c.is(shape{"parallelismMax": "int", "parallelismCount": "int"}, c.call("GET /v2/globalParallelism", "", 200))

	batch := c.call("POST /v2/batch", `[{"destination": "https://h.test/1", "headers": {"Upstash-Delay": "3600s", "Upstash-Forward-A": "b"}, "body": null, "queue": null},`+
		` {"destination": "https://h.test/2", "headers": {"Upstash-Delay": "3600s"}, "body": "two", "queue": "py-queue"}]`, 200, asJSON)
	c.is(shape{"messageId": "text"}, batch)
	ids := batch.([]any)
	c.call("DELETE /v2/messages/"+textOf(first, "messageId"), "", 200)
	c.call("GET /v2/messages/"+textOf(first, "messageId"), "", 404)
	many := c.call("DELETE /v2/messages", fmt.Sprintf(`{"messageIds": [%q, %q]}`, textOf(first, "messageId"), textOf(ids[0], "messageId")), 200, asJSON)
	if textOf(c.is(shape{"cancelled": "int"}, many), "cancelled") != "1" {
		t.Errorf("cancelled %v, want 1", many)
	}
	all := c.call("DELETE /v2/messages", "", 200)
	if textOf(c.is(shape{"cancelled": "int"}, all), "cancelled") != "2" {
		t.Errorf("cancelled %v, want 2", all)
	}
}

func TestPythonGroupsAndQueues(t *testing.T) {
	c := startPython(t)
	c.call("DELETE /v2/topics/py-group", "", 200)
	c.call("POST /v2/topics/py-group/endpoints", `{"endpoints": [{"url": "https://h.test/1", "name": "First endpoint"}, {"url": "https://h.test/2"}]}`, 200, asJSON)
	c.is(groupShape, c.call("GET /v2/topics", "", 200))
	g := c.is(groupShape, c.call("GET /v2/topics/py-group", "", 200))
	c.is(shape{"url": "text"}, g.(map[string]any)["endpoints"])
	publish := func(status int) any {
		return c.is(shape{"messageId": "text", "url": "text"}, c.call("POST /v2/publish/py-group", "b", status, "Upstash-Delay: 3600s", "Upstash-Deduplication-Id: py"))
	}
	publish(200)
	c.is(shape{"deduplicated": "bool"}, publish(202))
	c.is(shape{"messageId": "text", "url": "text"}, c.call("POST /v2/enqueue/py-queue/py-group", "b", 200, "Upstash-Delay: 3600s"))
	c.call("DELETE /v2/topics/py-group/endpoints", `{"endpoints": [{"name": "First endpoint"}, {"url": "https://h.test/2"}]}`, 200, asJSON)
	c.call("GET /v2/topics/py-group", "", 404)

	c.call("POST /v2/queues", `{"queueName": "py-queue", "parallelism": 2, "paused": true}`, 200, asJSON)
	c.is(shape{"messageId": "text"}, c.call("POST /v2/enqueue/py-queue/https://h.test", "b", 200))
	c.is(queueShape, c.call("GET /v2/queues", "", 200))
	q := c.is(queueShape, c.call("GET /v2/queues/py-queue", "", 200))
	if textOf(q, "lag") != "3" || textOf(q, "paused") != "true" || textOf(q, "parallelism") != "2" {
		t.Errorf("the queue is %v", q)
	}
	c.call("POST /v2/queues/py-queue/resume", "", 200)
	c.call("POST /v2/queues/py-queue/pause", "", 200)
	c.call("DELETE /v2/queues/py-queue", "", 200)
	c.call("GET /v2/queues/py-queue", "", 404)

	c.is(keysShape, c.call("GET /v2/keys", "", 200))
	c.is(keysShape, c.call("POST /v2/keys/rotate", "", 200))
}

func TestPythonSchedules(t *testing.T) {
	c := startPython(t)
	made := c.is(shape{"scheduleId": "text"}, c.call("POST /v2/schedules/https://h.test/tick", `{"ex_key": "ex_value"}`, 200, asJSON,
		"Upstash-Cron: 1 1 1 1 1", "Upstash-Forward-A: b", "Upstash-Retries: 4", "Upstash-Delay: 60s", "Upstash-Timeout: 30s", "Upstash-Callback: https://h.test/cb"))
	id := textOf(made, "scheduleId")
	s := c.is(scheduleShape, c.call("GET /v2/schedules/"+id, "", 200))
	c.is(shape{"header": "lists", "body": "text", "delay": "int", "timeout": "int", "callback": "text", "callerIP": "text"}, s)
	c.is(scheduleShape, c.call("GET /v2/schedules", "", 200))
	for what, paused := range map[string]string{"pause": "true", "resume": "false"} {
		c.call("PATCH /v2/schedules/"+id+"/"+what, "", 200)
		if s := c.call("GET /v2/schedules/"+id, "", 200); textOf(s, "isPaused") != paused {
			t.Errorf("after %s: %v", what, s)
		}
	}
	c.call("DELETE /v2/schedules/"+id, "", 200)
	c.call("GET /v2/schedules/"+id, "", 404)
}

func TestPythonDeadLettersAndLogs(t *testing.T) {
	c, sink := startPython(t), refuser(t)
	ids := []string{c.dead(sink), c.dead(sink), c.dead(sink)}
	page := c.call("GET /v2/dlq?count=2&url="+sink+"&responseStatus=404", "", 200)
	if c.is(shape{"cursor": "text"}, page); len(listOf(page, "messages")) != 2 {
		t.Errorf("a page of %v", page)
	}
	rest := c.call("GET /v2/dlq?count=2&url="+sink+"&cursor="+textOf(page, "cursor"), "", 200)
	if len(listOf(rest, "messages")) != 1 || rest.(map[string]any)["cursor"] != nil {
		t.Errorf("the last page is %v", rest)
	}
	d := c.is(deadShape, c.call("GET /v2/dlq/"+ids[0], "", 200))
	if textOf(d, "responseBody") != "404 Not Found" || textOf(d, "responseStatus") != "404" {
		t.Errorf("the dead letter is %v", d)
	}
	c.call("DELETE /v2/dlq/"+ids[0], "", 200)
	c.call("DELETE /v2/dlq/"+ids[0], "", 404)
	gone := c.is(shape{"deleted": "int"}, c.call("DELETE /v2/dlq", fmt.Sprintf(`{"dlqIds": [%q, %q]}`, ids[0], ids[1]), 200, asJSON))
	if textOf(gone, "deleted") != "1" {
		t.Errorf("deleted %v, want 1", gone)
	}

	message := textOf(d, "messageId")
	logs := c.call("GET /v2/events?count=10&messageIds="+message+"&messageIds="+textOf(c.call("GET /v2/dlq/"+ids[2], "", 200), "messageId"), "", 200)
	c.is(logShape, listOf(logs, "events"))
	if len(listOf(logs, "events")) != 8 {
		t.Errorf("the logs of two messages are %v", logs)
	}
	failed := listOf(c.call("GET /v2/events?messageId="+message+"&state=ERROR&url="+sink, "", 200), "events")
	c.is(shape{"error": "text", "responseStatus": "int", "responseBody": "text", "responseHeader": "lists", "method": "text", "maxRetries": "int"}, failed)
	next := c.call("GET /v2/events?count=3&messageId="+message, "", 200)
	if c.is(shape{"cursor": "text"}, next); len(listOf(c.call("GET /v2/events?count=3&messageId="+message+"&cursor="+textOf(next, "cursor"), "", 200), "events")) != 1 {
		t.Errorf("the first page is %v", next)
	}
}

// TestGoClient sends what the Go client sends otherwise than the Python one.
func TestGoClient(t *testing.T) {
	c, sink := startForeign(t, "User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip"), refuser(t)
	made := c.is(shape{"scheduleId": "text"}, c.call("POST /v2/Schedules/https://h.test/tick", "b", 200, "Upstash-Cron: 1 1 1 1 1"))
	id := textOf(made, "scheduleId")
	c.is(scheduleShape, c.call("GET /v2/Schedules/"+id, "", 200))
	c.call("PATCH /v2/schedules/"+id+"/pause", "", 200)
	c.call("DELETE /v2/schedules/"+id, "", 200)
	c.is(keysShape, c.call("POST /v2/rotate", "", 200))

	c.call("POST /v2/topics/go-group/endpoints", `{"endpoints":[{"url":"https://h.test/1"},{"url":"https://h.test/2","name":"n"}]}`, 200, asJSON)
	batch := c.call("POST /v2/batch", `[{"body":"","destination":"https://h.test/1","headers":{"Upstash-Delay":["1h"],"Upstash-Forward-Test-Header":["test-value"]},"queue":""},`+
		`{"body":"b","destination":"go-group","headers":{"Upstash-Delay":["1h"]},"queue":"go-queue"}]`, 200, asJSON).([]any)
	c.is(shape{"messageId": "text"}, batch[0])
	c.is(shape{"messageId": "text", "url": "text"}, batch[1])
	m := c.is(messageShape, c.call("GET /v2/messages/"+textOf(batch[0], "messageId"), "", 200))
	if fmt.Sprint(m.(map[string]any)["header"]) != "map[Test-Header:[test-value]]" { // the client's own test compares the whole map
		t.Errorf("the message is %v", m)
	}
	c.call("DELETE /v2/messages/"+textOf(batch[0], "messageId"), "", 200)
	if all := c.call("DELETE /v2/messages", "", 200, asJSON); textOf(all, "cancelled") != "2" {
		t.Errorf("cancelled %v, want 2", all)
	}
	dead := c.dead(sink)
	if gone := c.call("DELETE /v2/dlq", `{"dlqIds":["`+dead+`"]}`, 200, asJSON); textOf(gone, "deleted") != "1" {
		t.Errorf("deleted %v, want 1", gone)
	}

	// It decodes the body of every answer of 400 and above.
	for _, tt := range []struct {
		line, body string
		status     int
	}{
		{"GET /v2/messages/msg_none", "", 404},
		{"DELETE /v2/messages/msg_none", "", 404},
		{"GET /v2/Schedules/none", "", 404},
		{"GET /v2/topics/none", "", 404},
		{"DELETE /v2/topics/none/endpoints", `{"endpoints":[{"name":"n"}]}`, 404},
		{"GET /v2/queues/none", "", 404},
		{"GET /v2/dlq/none", "", 404},
		{"DELETE /v2/dlq/1-1", "", 404},
		{"POST /v2/publish/none", "", 404},
		{"POST /v2/publish/api/llm", "", 400},
		{"POST /v2/Schedules/https://h.test", "", 400},
		{"POST /v2/batch", "{", 400},
		{"POST /v2/queues", "", 400},
		{"GET /v2/nothing", "", 404},
		{"PUT /v2/keys", "", 405},
	} {
		c.call(tt.line, tt.body, tt.status, asJSON)
	}
}
