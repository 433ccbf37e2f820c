package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

func TestRoutes(t *testing.T) {
	s := start(t, nil)
	s.eng.dead = []engine.DeadLetter{
		{
			Message: viewMessage, ID: "17-1", At: time.UnixMilli(17), ResponseStatus: 404, ResponseBody: []byte("404 Not Found"),
			ResponseHeader: []engine.Header{{Name: "X-A", Value: "1"}},
		},
		{Message: engine.Message{ID: "msg_2", URL: "http://h", Method: "POST"}, ID: "18-1", Error: "timeout", ResponseBody: []byte{0xff}},
	}
	s.eng.cursor = "42"
	const (
		message = `"messageId":"msg_one","url":"https://h.test/p?x=1","method":"PUT","header":{"Test-Header":["a","b"],"Content-Type":["text/plain"]},` +
			`"body":"hello \"you\"","maxRetries":3,"retryDelayExpression":"1000 * retried","retryDelayExpr":"1000 * retried",` +
			`"notBefore":1700000060000,"createdAt":1700000000123,"callerIP":"192.0.2.1","callerIp":"192.0.2.1"`
		dead1 = `{"dlqId":"17-1",` + message + `,"responseStatus":404,"responseHeader":{"X-A":["1"]},"responseHeaders":{"X-A":["1"]},"responseBody":"404 Not Found"}`
		dead2 = `{"dlqId":"18-1","messageId":"msg_2","url":"http://h","method":"POST","maxRetries":0,"notBefore":0,"createdAt":0,` +
			`"responseStatus":0,"responseBodyBase64":"/w==","error":"timeout"}`
		notYet = ` is not supported by this version of tidemill yet"}`
	)
	tests := []struct {
		line   string
		status int
		body   string
	}{
		{"POST /v2/publish/https://h.test/a//b?x=1", 200, `{"messageId":"msg_1","url":"https://h.test/a//b?x=1"}`},
		{"PUT /V2/Publish/https://h.test/", 200, `{"messageId":"msg_2","url":"https://h.test/"}`},
		{"HEAD /v2/publish/https://h.test/", 405, ""},
		{"POST /v2/publish/", 400, `{"error":"a non-empty destination must be provided"}`},
		{"POST /v2/publish", 400, `{"error":"a non-empty destination must be provided"}`},
		{"POST /v2/publish/api/llm", 400, `{"error":"invalid destination url: \"api/llm\" is a service of the hosted product: publish to the URL of your own"}`},
		{"POST /v2/publish/h.test/x", 400, `{"error":"invalid destination url: endpoint has invalid scheme, add http:// or https://"}`},
		{"GET /v2/messages/msg_one", 200, "{" + message + "}"},
		{"GET /v2/messages/msg_plain", 200, `{"messageId":"msg_plain","url":"http://h","method":"POST","bodyBase64":"/wA=","maxRetries":0,"notBefore":5,"createdAt":5}`},
		{"GET /v2/messages/msg_none", 404, `{"error":"not found"}`},
		{"GET /v2/messages/msg_damaged", 500, `{"error":"message msg_damaged: the stored record is damaged"}`},
		{"GET /v2/messages/a/b", 404, `{"error":"not found"}`},
		{"GET /v2/messages", 405, `{"error":"method not allowed here, allowed: DELETE"}`},
		{"DELETE /v2/messages/msg_one", 200, `{"cancelled":1}`},
		{"DELETE /v2/messages/msg_none", 404, `{"error":"not found"}`},
		{"DELETE /v2/messages/", 400, `{"error":"the id is empty: DELETE /v2/messages/{id}"}`},
		{"GET /v2/dlq", 200, `{"messages":[` + dead1 + "," + dead2 + `],"cursor":"42"}`},
		{"GET /v2/dlq/", 200, `{"messages":[` + dead1 + "," + dead2 + `],"cursor":"42"}`},
		{"GET /v2/dlq?source=workflow", 200, `{"messages":[]}`},
		{"GET /v2/dlq?count=0", 400, `{"error":"invalid count \"0\": must be a number from 1 to 100"}`},
		{"GET /v2/dlq?cursor=1-2", 400, `{"error":"invalid cursor \"1-2\": must be the cursor of an earlier answer"}`},
		{"GET /v2/dlq?order=up", 400, `{"error":"invalid order \"up\": must be earliestFirst or latestFirst"}`},
		{"GET /v2/dlq/17-1", 200, dead1},
		{"GET /v2/dlq/19-1", 404, `{"error":"not found"}`},
		{"DELETE /v2/dlq/17-1", 200, `{}`},
		{"DELETE /v2/dlq/19-1", 404, `{"error":"not found"}`},
		{"POST /v2/dlq/retry/17-1", 201, `{"messageId":"msg_again"}`},
		{"POST /v2/dlq/retry/19-1", 404, `{"error":"not found"}`},
		{"GET /v2/keys", 200, `{"current":"sig_a","next":"sig_b"}`},
		{"POST /v2/keys/rotate", 200, `{"current":"sig_b","next":"sig_c"}`},
		{"POST /v2/rotate", 200, `{"current":"sig_b","next":"sig_c"}`},
		{"GET /v2/rotate", 405, `{"error":"method not allowed here, allowed: POST"}`},
		{"GET /v2/readiness", 200, `{"ready":true}`},
		{"GET /healthz", 200, `{"status":"ok"}`},
		{"HEAD /healthz", 200, ""},
		{"POST /v2/batch/trigger", 501, `{"error":"/v2/batch/...` + notYet},
		{"POST /v2/trigger/https://h", 501, `{"error":"/v2/trigger` + notYet},
		{"POST /v1/publish/https://h", 200, `{"messageId":"msg_3"}`},
		{"POST /llm/v1/chat/completions", 404, `{"error":"not found"}`},
		{"GET /v2/nothing", 404, `{"error":"not found"}`},
		{"GET /v2/a-name-longer-than-any-segment-there-is", 404, `{"error":"not found"}`},
		{"GET /", 404, `{"error":"not found"}`},
		{"GET /v2/publish/../keys", 400, `{"error":"invalid destination url: endpoint has invalid scheme, add http:// or https://"}`},
		{"GET /v2/%6beys", 404, `{"error":"not found"}`},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			a, _ := s.send(t, request(tt.line))
			if a.StatusCode != tt.status || a.body != tt.body {
				t.Errorf("got %d %s\nwant %d %s", a.StatusCode, a.body, tt.status, tt.body)
			}
			if got := a.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			if a.StatusCode == 405 && a.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestReadinessSaysNo(t *testing.T) {
	s := start(t, nil)
	s.eng.ready = engine.ErrLogFailed
	a, _ := s.send(t, "GET /v2/readiness HTTP/1.1\r\nHost: t\r\n\r\n")
	if a.StatusCode != 503 || a.body != `{"error":"not ready"}` || a.Header.Get("Retry-After") != "1" {
		t.Errorf("got %d %s %v", a.StatusCode, a.body, a.Header)
	}
}

func TestAuthentication(t *testing.T) {
	s := start(t, nil)
	tests := []struct {
		name, line, headers string
		status              int
	}{
		{"header", "GET /v2/keys", "Authorization: Bearer " + goodToken, 200},
		{"scheme in any case", "GET /v2/keys", "authorization: bEARER  " + goodToken, 200},
		{"query", "GET /v2/keys?qstash_token=" + goodToken, "", 200},
		{"query, escaped", "GET /v2/keys?a=b&qstash%5Ftoken=token%2Dcanary-7f3a", "", 200},
		{"header wins", "GET /v2/keys?qstash_token=" + goodToken, "Authorization: Bearer " + badToken, 401},
		{"another scheme leaves it to the query", "GET /v2/keys?qstash_token=" + goodToken, "Authorization: Basic eDp5", 200},
		{"none", "GET /v2/keys", "", 401},
		{"empty", "GET /v2/keys?qstash_token=", "Authorization: Bearer ", 401},
		{"wrong", "GET /v2/keys", "Authorization: Bearer " + badToken, 401},
		{"unknown route", "GET /v2/nothing", "", 401},
		{"later route", "GET /v2/queues", "", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := tt.line + " HTTP/1.1\r\nHost: t\r\n"
			if tt.headers != "" {
				raw += tt.headers + "\r\n"
			}
			a, _ := s.send(t, raw+"\r\n")
			if a.StatusCode != tt.status {
				t.Fatalf("got %d %s, want %d", a.StatusCode, a.body, tt.status)
			}
			if tt.status == 401 && a.body != `{"error":"unable to authenticate: invalid token"}` {
				t.Errorf("body %s", a.body)
			}
		})
	}
}

func TestDeadLetterFilters(t *testing.T) {
	s := start(t, nil)
	s.send(t, request("GET /v2/dlq?scheduleId=s,t&dlqIds=a&dlqIds=b,c&messageId=m&url=http%3A%2F%2Fh%2F1,2,https://g&callerIp=1.1.1.1&responseStatus=0,404"+
		"&topicName=g,h&queueName=q&queueName=r&flowControlKey=a%2Cb+c&flowControlKey=d"+
		"&label=l,m&fromDate=5&toDate=6&order=latestFirst&cursor=77&count=500&unknown=x&urlGroup="))
	if len(s.eng.queries) != 1 {
		t.Fatalf("%d queries", len(s.eng.queries))
	}
	got := fmt.Sprintf("%+v", s.eng.queries[0])
	want := fmt.Sprintf("%+v", engine.DeadLetterQuery{
		User: 7, IDs: []string{"a", "b", "c"}, Statuses: []int{0, 404}, Filter: engine.Filter{
			MessageIDs: []string{"m"}, URLs: []string{"http://h/1,2", "https://g"},
			CallerIPs: []string{"1.1.1.1"}, ScheduleIDs: []string{"s", "t"}, TopicNames: []string{"g", "h"}, QueueNames: []string{"q", "r"},
			Labels: []string{"l", "m"}, FlowKeys: []string{"a", "b c", "a,b c", "d"}, From: time.UnixMilli(5), To: time.UnixMilli(6),
		},
		Descending: true, Cursor: "77", Count: 100,
	})
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEngineErrors(t *testing.T) {
	s := start(t, nil)
	tests := []struct {
		err    error
		status int
		retry  bool
		body   string
	}{
		{engine.ErrOverloaded, 503, true, engine.ErrOverloaded.Error()},
		{fmt.Errorf("append: %w", engine.ErrLogFailed), 503, false, engine.ErrLogFailed.Error()},
		{fmt.Errorf("%w, try again", engine.ErrStalled), 503, true, engine.ErrStalled.Error() + ", try again"},
		{engine.ErrClosed, 503, true, engine.ErrClosed.Error()},
		{engine.ErrTooLarge, 413, false, engine.ErrTooLarge.Error()},
		{&engine.LimitError{Text: "Upstash-Delay is too long"}, 400, false, "Upstash-Delay is too long"},
		{&engine.LimitError{Quota: true, Text: "quota maxRetries exceeded"}, 412, false, "quota maxRetries exceeded"},
	}
	for _, tt := range tests {
		s.eng.answer = func(*engine.Publish) (engine.Receipt, error) { return engine.Receipt{}, tt.err }
		a, _ := s.send(t, request("POST /v2/publish/http://h"))
		if a.StatusCode != tt.status || a.body != fmt.Sprintf(`{"error":%q}`, tt.body) || (a.Header.Get("Retry-After") != "") != tt.retry {
			t.Errorf("%v: got %d %s, Retry-After %q", tt.err, a.StatusCode, a.body, a.Header.Get("Retry-After"))
		}
	}
}

func TestDuplicateIs202(t *testing.T) {
	s := start(t, nil)
	s.eng.answer = func(*engine.Publish) (engine.Receipt, error) {
		return engine.Receipt{MessageID: "msg_old", Deduplicated: true}, nil
	}
	a, _ := s.send(t, request("POST /v2/publish/http://h", "Upstash-Deduplication-Id: d"))
	if a.StatusCode != http.StatusAccepted || a.body != `{"messageId":"msg_old","deduplicated":true}` {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
}

func TestUnknownErrorAndPanic(t *testing.T) {
	s := start(t, nil)
	for _, id := range []string{"msg_strange", "msg_panic"} {
		a, _ := s.send(t, request("GET /v2/messages/"+id))
		number, ok := strings.CutPrefix(a.body, `{"error":"internal error, request `)
		if a.StatusCode != 500 || !ok {
			t.Errorf("%s: got %d %s", id, a.StatusCode, a.body)
		}
		number = strings.TrimSuffix(number, `"}`)
		if log := s.log.String(); !strings.Contains(log, "request="+number) || !strings.Contains(log, "route=message") {
			t.Errorf("%s: the log does not name request %s: %s", id, number, log)
		}
	}
	if log := s.log.String(); !strings.Contains(log, "secret detail") || !strings.Contains(log, "failpoint") {
		t.Errorf("the log lacks the causes: %s", log)
	}
}
