package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// bulkCase is a call that ends what it selects. call is what the engine is asked for, ""
// for nothing: a call that is refused leaves no trace.
type bulkCase struct {
	line, body string
	headers    []string
	status     int
	answer     string
	call       string
}

func runBulk(t *testing.T, cases []bulkCase) {
	for _, c := range cases {
		t.Run(c.line[:min(len(c.line), 80)]+c.body[:min(len(c.body), 80)], func(t *testing.T) {
			s := start(t, nil)
			s.eng.cursor = "42"
			s.eng.dead = []engine.DeadLetter{{ID: "17-1", Message: engine.Message{ID: "msg_1", URL: "http://h", Method: "POST"}}}
			s.eng.endErr = map[string]error{"17-3": engine.ErrOverloaded, "msg_busy": engine.ErrOverloaded, "17-2": engine.ErrNotFound}
			a, _ := s.send(t, requestBody(c.line, c.body, c.headers...))
			if a.StatusCode != c.status || a.body != c.answer {
				t.Errorf("got  %d %s\nwant %d %s", a.StatusCode, a.body, c.status, c.answer)
			}
			if a.StatusCode == 503 && a.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if got := strings.Join(s.eng.calls, ", "); got != c.call && !(len(got) > 200 && strings.HasPrefix(got, c.call) && c.call != "") {
				t.Errorf("asked for %q, want %q", got, c.call)
			}
		})
	}
}

func manyIDs(n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("1-%d", i)
	}
	return strings.Join(ids, ",")
}

func refused(text string) string { return `{"error":` + string(appendString(nil, text)) + `}` }

// TestBulkDeadLetters (QSTASH.md §8.3): calls on many dead letters in each form in which
// clients make them; one that is not understood, or names nothing, is refused.
func TestBulkDeadLetters(t *testing.T) {
	const (
		noIDs  = "dlqIds names no dead letter: give the ids, separated by commas or in a list"
		delAll = "nothing is named: give dlqIds or a filter, or count=100 to delete all, page by page"
		two    = `{"cursor":"42","responses":[{"messageId":"msg_a"},{"messageId":"msg_b"}]}`
	)
	runBulk(t, []bulkCase{
		{"DELETE /v2/dlq?dlqIds=17-1&dlqIds=18-1", "", nil, 200, `{"deleted":2}`, "delete 7 dead=17-1|18-1 count=100"},
		{"DELETE /v2/dlq?dlqIds=17-1,18-1&queueName=q&count=5&cursor=", "", nil, 200, `{"deleted":2}`, "delete 7 dead=17-1|18-1 queue=q count=5"},
		{"DELETE /v2/dlq", ` { "dlqIds" : ["17-1", "18\u002d1"] , "count":2, "label":null } `, nil, 200, `{"deleted":2}`, "delete 7 dead=17-1|18-1 count=2"},
		{"DELETE /v2/dlq/", `{"dlqIds":["17-1"]}`, nil, 200, `{"deleted":1}`, "delete 7 dead=17-1 count=100"},
		{"DELETE /v2/dlq/?label=x", "", nil, 200, `{"deleted":2,"cursor":"42"}`, "delete 7 label=x count=100"},
		{"DELETE /v2/dlq?dlqIds=" + manyIDs(1000), "", nil, 200, `{"deleted":1000}`, "delete 7 dead=1-0|1-1|"},
		{"DELETE /v2/dlq?count=100", "", nil, 200, `{"deleted":2,"cursor":"42"}`, "delete 7 count=100"},
		{"DELETE /v2/dlq?count=50&cursor=7", "", nil, 200, `{"deleted":2,"cursor":"42"}`, "delete 7 cursor=7 count=50"},
		{"DELETE /v2/dlq?label=a&label=b&queueName=q,r&fromDate=1700000000000&order=latestFirst", "", nil, 200, `{"deleted":2,"cursor":"42"}`, "delete 7 queue=q|r label=a|b from=1700000000000 count=100 latest"},
		{"DELETE /v2/dlq", `{"url":"http://h","responseStatus":404,"count":100}`, nil, 200, `{"deleted":2,"cursor":"42"}`, "delete 7 url=http://h status=[404] count=100"},
		{"DELETE /v2/dlq?source=workflow", "", nil, 200, `{"deleted":0}`, ""},
		{"DELETE /v2/dlq?dlqIds=17-3", "", nil, 503, refused(engine.ErrOverloaded.Error()), "delete 7 dead=17-3 count=100"},
		{"DELETE /v2/dlq?dlqIds=17-3,17-1", "", nil, 503, refused("1 were deleted, then: " + engine.ErrOverloaded.Error()), "delete 7 dead=17-3|17-1 count=100"},

		{"DELETE /v2/dlq", "", nil, 400, refused(delAll), ""},
		{"DELETE /v2/dlq", "{}", nil, 400, refused(delAll), ""},
		{"DELETE /v2/dlq", `{"dlqIds":null}`, nil, 400, refused(delAll), ""},
		{"DELETE /v2/dlq?cursor=5", "", nil, 400, refused(delAll), ""},
		{"DELETE /v2/dlq/", "", nil, 400, refused("the id is empty: DELETE /v2/dlq/{id}"), ""},
		{"DELETE /v2/dlq/?count=100", "", nil, 400, refused("the id is empty: DELETE /v2/dlq/{id}"), ""},
		{"DELETE /v2/dlq?dlqIds=", "", nil, 400, refused("dlqIds is empty: name a value, or leave it out"), ""},
		{"DELETE /v2/dlq", `{"dlqIds":[]}`, nil, 400, refused(noIDs), ""},
		{"DELETE /v2/dlq?count=100", `{"dlqIds":[]}`, nil, 400, refused(noIDs), ""},
		{"DELETE /v2/dlq", `{"dlqIds":["17-1",true]}`, nil, 400, refused("dlqIds must be a string or a number, or a list of them"), ""},
		{"DELETE /v2/dlq", `["17-1"]`, nil, 400, refused("the body must be a JSON object of filters"), ""},
		{"DELETE /v2/dlq?dlqIds=17-1", `{"dlqIds":["18-1"]`, nil, 400, refused("the body is not valid JSON"), ""},
		{"DELETE /v2/dlq?dlqIds=17-1&labeel=x", "", nil, 400, refused(`unknown filter "labeel"`), ""},
		{"DELETE /v2/dlq?count=100&labeel=x", "", nil, 400, refused(`unknown filter "labeel"`), ""},
		{"DELETE /v2/dlq?count=100&upstash-label=x", "", nil, 400, refused(`unknown filter "upstash-label"`), ""},
		{"DELETE /v2/dlq", `{"label":[],"count":100}`, nil, 400, refused("label is empty: name a value, or leave it out"), ""},
		{"DELETE /v2/dlq", `{"label":null,"count":100}`, nil, 400, refused(delAll), ""},
		{"DELETE /v2/dlq?host=h", "", nil, 400, refused(`unknown filter "host"`), ""},
		{"DELETE /v2/dlq", `{"path":"/p"}`, nil, 400, refused(`unknown filter "path"`), ""},
		{"DELETE /v2/dlq?count=101", "", nil, 400, refused(`invalid count "101": must be a number from 1 to 100`), ""},
		{"DELETE /v2/dlq?dlqIds=" + manyIDs(1001), "", nil, 400, refused("dlqIds names more than 1000"), ""},

		{"POST /v2/dlq/retry?dlqIds=17-1&dlqIds=18-1", "", nil, 201, `{"cursor":"","responses":[{"messageId":"msg_of_17-1"},{"messageId":"msg_of_18-1"}]}`, "retry 7 dead=17-1|18-1 count=100"},
		{"POST /V2/DLQ/Retry/?label=x", "", nil, 201, two, "retry 7 label=x count=100"},
		{"POST /v2/dlq/retry", `{"queueName":"q","count":2}`, nil, 201, two, "retry 7 queue=q count=2"},
		{"POST /v2/dlq/retry?count=100", "", nil, 201, two, "retry 7 count=100"},
		{"POST /v2/dlq/retry?source=workflow", "", nil, 201, `{"cursor":"","responses":[]}`, ""},
		{"POST /v2/dlq/retry?dlqIds=17-2", "", nil, 404, refused("not found"), "retry 7 dead=17-2 count=100"},
		{"POST /v2/dlq/retry?dlqIds=17-3,17-1", "", nil, 503, refused("1 were retried, then: " + engine.ErrOverloaded.Error()), "retry 7 dead=17-3|17-1 count=100"},
		{"POST /v2/dlq/retry", "", nil, 400, refused("nothing is named: give dlqIds or a filter, or count=100 to retry all, page by page"), ""},
		{"POST /v2/dlq/retry/", "", nil, 400, refused("nothing is named: give dlqIds or a filter, or count=100 to retry all, page by page"), ""},
		{"POST /v2/dlq/retry?upstash-retries=0&label=x", "", nil, 201, two, `retry 7 label=x count=100 with timeout=0s rd="" delay=0s flow=/0/0/0s/false labels=[] retries=0`},
		{"POST /v2/dlq/retry", `{"label":[],"count":100}`, nil, 400, refused("label is empty: name a value, or leave it out"), ""},
		{"POST /v2/dlq/retry?labeel=x", "", nil, 400, refused(`unknown filter "labeel"`), ""},
		{"POST /v2/dlq/retry?dlqIds=" + manyIDs(101), "", nil, 400, refused("dlqIds names more than 100"), ""},
	})
}

// TestBulkCancel (QSTASH.md §8.1): DELETE /v2/messages in each form in which clients make
// it, and those in which it must not be understood as all.
func TestBulkCancel(t *testing.T) {
	const unnamed = "the body names no filter: name one, or leave the body out to mean all"
	runBulk(t, []bulkCase{
		{"DELETE /v2/messages", "", nil, 200, `{"cancelled":3}`, "cancel 7 "}, // cancel_all, deleteAll
		{"DELETE /v2/messages?qstash_token=" + goodToken, "", nil, 200, `{"cancelled":3}`, "cancel 7 "},
		{"DELETE /v2/messages?count=100", "", nil, 200, `{"cancelled":3}`, "cancel 7 "}, // {all: true}
		{"DELETE /v2/messages?count=7", "", nil, 200, `{"cancelled":3,"more":true}`, "cancel 7 count=7"},
		{"DELETE /v2/messages?messageIds=msg_a&messageIds=msg_b&label=x", "", nil, 200, `{"cancelled":2}`, "cancel 7 message=msg_a|msg_b label=x"},
		{"DELETE /v2/messages", `{"messageIds":["msg_a","msg_b"]}`, nil, 200, `{"cancelled":2}`, "cancel 7 message=msg_a|msg_b"},
		{"DELETE /v2/messages?upstash-label=x", "", nil, 400, refused(`unknown filter "upstash-label"`), ""},
		{"DELETE /v2/messages", `{"label":[]}`, nil, 400, refused("label is empty: name a value, or leave it out"), ""},
		{"DELETE /v2/messages", `{"topicName":[],"count":100}`, nil, 400, refused("topicName is empty: name a value, or leave it out"), ""},
		{"DELETE /v2/messages?count=100", `{"label":null}`, nil, 400, refused(unnamed), ""},
		{"DELETE /v2/messages?messageIds=" + manyIDs(700), "", nil, 200, `{"cancelled":700}`, "cancel 7 message=1-0|1-1|"},
		{"DELETE /v2/messages?topicName=t&queueName=q&url=http://h/p&host=h&path=/p&label=l&flowControlKey=k&scheduleId=s&callerIp=1&count=500", "", nil, 200, `{"cancelled":3}`, "cancel 7 url=http://h/p host=h path=/p topic=t queue=q schedule=s label=l flow=k ip=1 count=500"},
		{"DELETE /v2/messages?fromDate=1700000000000", "", nil, 200, `{"cancelled":3}`, "cancel 7 from=1700000000000"},
		{"DELETE /v2/messages", `{"toDate":1700000000000,"callerIP":"1"}`, nil, 200, `{"cancelled":3}`, "cancel 7 ip=1 to=1700000000000"},
		{"DELETE /v2/messages/?label=x", "", nil, 200, `{"cancelled":3}`, "cancel 7 label=x"},
		{"DELETE /v2/messages?messageIds=msg_busy", "", nil, 503, refused("1 were cancelled, then: " + engine.ErrOverloaded.Error()), "cancel 7 message=msg_busy"},

		{"DELETE /v2/messages/", "", nil, 400, refused("the id is empty: DELETE /v2/messages/{id}"), ""},
		{"DELETE /v2/messages/?count=100", "", nil, 400, refused("the id is empty: DELETE /v2/messages/{id}"), ""},
		{"DELETE /v2/messages?messageIds=", "", nil, 400, refused("messageIds is empty: name a value, or leave it out"), ""},
		{"DELETE /v2/messages", `{"messageIds":[]}`, nil, 400, refused("messageIds names no message: give the ids, separated by commas or in a list"), ""},
		{"DELETE /v2/messages?label=x", `{"messageIds":[]}`, nil, 400, refused("messageIds names no message: give the ids, separated by commas or in a list"), ""},
		{"DELETE /v2/messages", `{}`, nil, 400, refused(unnamed), ""},
		{"DELETE /v2/messages", `{"messageIds":null,"label":null}`, nil, 400, refused(unnamed), ""},
		{"DELETE /v2/messages", `{"labeel":"x"}`, nil, 400, refused(`unknown filter "labeel"`), ""},
		{"DELETE /v2/messages?dlqIds=1-1", "", nil, 400, refused(`unknown filter "dlqIds"`), ""},
		{"DELETE /v2/messages?state=ACTIVE", "", nil, 400, refused(`unknown filter "state"`), ""},
		{"DELETE /v2/messages?responseStatus=404", "", nil, 400, refused(`unknown filter "responseStatus"`), ""},
		{"DELETE /v2/messages?cursor=1", "", nil, 400, refused(`unknown filter "cursor"`), ""},
		{"DELETE /v2/messages?count=0", "", nil, 400, refused(`invalid count "0": must be a number from 1 to 500`), ""},
		{"DELETE /v2/messages?count=501", "", nil, 400, refused(`invalid count "501": must be a number from 1 to 500`), ""},
		{"DELETE /v2/messages?label=", "", nil, 400, refused("label is empty: name a value, or leave it out"), ""},
		{"DELETE /v2/messages", `{"messageIds":["a"`, nil, 400, refused("the body is not valid JSON"), ""},
	})
}

// TestRetryOptions (QSTASH.md §8.3, config headers on a retry).
func TestRetryOptions(t *testing.T) {
	const plain = ` with timeout=0s rd="" delay=0s flow=/0/0/0s/false labels=[]`
	one := `{"messageId":"msg_again"}`
	no := func(what string) string { return refused("invalid " + what + ": " + onRetry) }
	runBulk(t, []bulkCase{
		{"POST /v2/dlq/retry/17-1", "", []string{"Content-Type: application/json", "Upstash-Telemetry-Sdk: js"}, 201, one, "retry 7 17-1, dead 7 17-1"},
		{"POST /v2/dlq/retry/17-1", "", []string{"upstash-retries: 0"}, 201, one, "retry 7 17-1" + plain + " retries=0, dead 7 17-1"},
		{
			"POST /v2/dlq/retry/17-1?upstash-delay=5s", "",
			[]string{
				"Upstash-Timeout: 3", "Upstash-Retry-Delay: 1000", "Upstash-Flow-Control-Key: k", "Upstash-Flow-Control-Value: rate=2", "Upstash-Label: a,b",
				"Upstash-Callback: http://c", "Upstash-Callback-Retries: 1", "Upstash-Failure-Callback: http://f",
			},
			201, one,
			`retry 7 17-1 with timeout=3s rd="1000" delay=5s flow=k/0/2/0s/false labels=[a b] callback(POST http://c [] retries=1 rd="" timeout=0s delay=0s) failure(POST http://f [] retries=-1 rd="" timeout=0s delay=0s), dead 7 17-1`,
		},
		{"POST /v2/dlq/retry?label=x", "", []string{"Upstash-Label: y"}, 201, `{"cursor":"42","responses":[{"messageId":"msg_a"},{"messageId":"msg_b"}]}`, `retry 7 label=x count=100 with timeout=0s rd="" delay=0s flow=/0/0/0s/false labels=[y]`},
		{"POST /v2/dlq/retry/17-1", "", []string{"Upstash-Retries: 101"}, 412, refused("quota maxRetries exceeded"), ""},
		{"POST /v2/dlq/retry/17-1", "", []string{"Upstash-Delay: soon"}, 400, refused(`invalid Upstash-Delay "soon": must be a duration like 10s, 1d10h30m or 500ms`), ""},
		{"POST /v2/dlq/retry/17-1", "", []string{"Upstash-Callback-Retries: 1"}, 400, refused("Upstash-Callback is missing: Upstash-Callback-... are options of a callback, which needs its URL"), ""},
		{"POST /v2/dlq/retry/17-1", "", []string{"Upstash-Method: PUT"}, 400, no(`Upstash-Method "PUT"`), ""},
		{"POST /v2/dlq/retry/17-1", "", []string{"Upstash-Queue-Name: q"}, 400, no(`Upstash-Queue-Name "q"`), ""},
		{"POST /v2/dlq/retry/17-1", "", []string{"Upstash-Cron: * * * * *"}, 400, no(`Upstash-Cron "* * * * *"`), ""},
		{"POST /v2/dlq/retry/17-1", "", []string{"Upstash-Redact-Fields: body"}, 400, no(`Upstash-Redact-Fields "body"`), ""},
		{"POST /v2/dlq/retry/17-1", "", []string{"Tidemill-Ordering-Key: o"}, 400, no(`Tidemill-Ordering-Key "o"`), ""},
		{"POST /v2/dlq/retry/17-1", "", []string{"Upstash-Forward-X: 1"}, 400, no("Upstash-Forward-X"), ""},
	})
}

// TestDeadLettersOfOldClients (QSTASH.md §12.2): a bare array, and a path of its own.
func TestDeadLettersOfOldClients(t *testing.T) {
	s := start(t, nil)
	s.eng.dead, s.eng.cursor = []engine.DeadLetter{{ID: "17-1", Message: engine.Message{ID: "msg_1", URL: "http://h", Method: "POST"}}}, "42"
	a, _ := s.send(t, request("GET /v2/dlq/messages?cursor=5"))
	if a.StatusCode != 200 || !strings.HasPrefix(a.body, `[{"dlqId":"17-1"`) || !strings.HasSuffix(a.body, "}]") || s.eng.queries[0].Cursor != "5" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	a, _ = s.send(t, request("DELETE /v2/dlq/messages/17-1"))
	if a.StatusCode != 200 || a.body != "{}" || s.eng.calls[0] != "delete 7 17-1" {
		t.Errorf("%d %s, %v", a.StatusCode, a.body, s.eng.calls)
	}
	for line, status := range map[string]int{"DELETE /v2/dlq/messages/": 400, "DELETE /v2/dlq/messages": 405, "POST /v2/dlq/messages/1-1": 405, "GET /v2/dlq/messages/1-1/x": 404} {
		if a, _ := s.send(t, request(line)); a.StatusCode != status {
			t.Errorf("%s: %d %s, want %d", line, a.StatusCode, a.body, status)
		}
	}
}

func TestBulkCallsNeedAToken(t *testing.T) {
	s := start(t, nil)
	for _, line := range []string{"DELETE /v2/dlq?dlqIds=17-1", "POST /v2/dlq/retry?dlqIds=17-1", "DELETE /v2/messages"} {
		a, _ := s.send(t, line+" HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer "+badToken+"\r\n\r\n")
		if a.StatusCode != 401 || len(s.eng.calls) != 0 {
			t.Errorf("%s: %d %s, calls %v", line, a.StatusCode, a.body, s.eng.calls)
		}
	}
}
