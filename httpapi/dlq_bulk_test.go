package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// TestBulkDeadLetters: calls that name dead letters by id, in each form in which
// clients do, act on exactly those; all others are refused without a trace.
func TestBulkDeadLetters(t *testing.T) {
	const (
		deleteAll = `{"error":"DELETE /v2/dlq without dlqIds is not supported by this version of tidemill yet"}`
		retryAll  = `{"error":"POST /v2/dlq/retry without dlqIds is not supported by this version of tidemill yet"}`
		noIDs     = `{"error":"dlqIds names no dead letter: give the ids, separated by commas or in a list"}`
		two       = `{"cursor":"","responses":[{"messageId":"msg_again"},{"messageId":"msg_again"}]}`
	)
	many := func(n int) string {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf("1-%d", i)
		}
		return strings.Join(ids, ",")
	}
	tests := []struct {
		line, body string
		status     int
		answer     string
		ended      string // "retry" and "delete" calls
	}{
		{"POST /v2/dlq/retry?dlqIds=17-1&dlqIds=18-1", "", 201, two, "retry 17-1, retry 18-1"},
		{"POST /v2/dlq/retry?dlqIds=17-1,18-1&count=5&cursor=", "", 201, two, "retry 17-1, retry 18-1"},
		{"POST /V2/DLQ/Retry/?dlqIds=17-1%2C18-1", "", 201, two, "retry 17-1, retry 18-1"},
		{"POST /v2/dlq/retry", ` { "dlqIds" : ["17-1", "18\u002d1"] , "count":2 } `, 201, two, "retry 17-1, retry 18-1"},
		{"POST /v2/dlq/retry?dlqIds=17-1", `{"dlqIds":["17-1","18-1","17-1"]}`, 201, two, "retry 17-1, retry 18-1"},
		{"POST /v2/dlq/retry?dlqIds=17-1,19-1", "", 404, `{"error":"dead letter \"19-1\": not found; nothing was retried"}`, ""},
		{"POST /v2/dlq/retry?dlqIds=17-1,17-2", "", 201, `{"cursor":"","responses":[{"messageId":"msg_again"}]}`, "retry 17-1, retry 17-2"},
		{"POST /v2/dlq/retry?dlqIds=17-2", "", 404, `{"error":"not found"}`, "retry 17-2"},
		{
			"POST /v2/dlq/retry?dlqIds=17-1,17-3,18-1", "", 503, `{"error":"1 of 3 were retried, then: ` + engine.ErrOverloaded.Error() + `"}`,
			"retry 17-1, retry 17-3",
		},
		{"DELETE /v2/dlq?dlqIds=17-1&dlqIds=18-1", "", 200, `{"deleted":2}`, "delete 17-1, delete 18-1"},
		{"DELETE /v2/dlq?dlqIds=19-1,17-1,nonsense,17-1", "", 200, `{"deleted":1}`, "delete 19-1, delete 17-1, delete nonsense"},
		{"DELETE /v2/dlq?dlqIds=17-1&queueName=q&label=l", "", 200, `{"deleted":1}`, "delete 17-1"},
		{"DELETE /v2/dlq", `{"dlqIds":["17-1","18-1"],"queueName":null}`, 200, `{"deleted":2}`, "delete 17-1, delete 18-1"},
		{"DELETE /v2/dlq/", `{"dlqIds":["17-1"]}`, 200, `{"deleted":1}`, "delete 17-1"},
		{
			"DELETE /v2/dlq?dlqIds=17-1,17-3,18-1", "", 503, `{"error":"1 of 3 were deleted, then: ` + engine.ErrOverloaded.Error() + `"}`,
			"delete 17-1, delete 17-3",
		},
		{"DELETE /v2/dlq?dlqIds=" + many(100), "", 200, `{"deleted":0}`, "100 calls"},

		{"DELETE /v2/dlq", "", 501, deleteAll, ""},
		{"DELETE /v2/dlq", "{}", 501, deleteAll, ""},
		{"DELETE /v2/dlq", `{"dlqIds":null}`, 501, deleteAll, ""},
		{"DELETE /v2/dlq?count=100", "", 501, deleteAll, ""},
		{"DELETE /v2/dlq?queueName=q", "", 501, deleteAll, ""},
		{"DELETE /v2/dlq", `{"url":"http://h","fromDate":5}`, 501, deleteAll, ""},
		{"DELETE /v2/dlq/", "", 400, `{"error":"the id is empty: DELETE /v2/dlq/{id}"}`, ""},
		{"DELETE /v2/dlq?dlqIds=", "", 400, noIDs, ""},
		{"DELETE /v2/dlq?dlqIds=,", "", 400, noIDs, ""},
		{"DELETE /v2/dlq", `{"dlqIds":[]}`, 400, noIDs, ""},
		{"DELETE /v2/dlq", `{"dlqIds":["","",""]}`, 400, noIDs, ""},
		{"DELETE /v2/dlq", `{"dlqIds":"17-1"}`, 400, `{"error":"dlqIds must be a list of strings"}`, ""},
		{"DELETE /v2/dlq", `{"dlqIds":["17-1",18]}`, 400, `{"error":"dlqIds must be a list of strings"}`, ""},
		{"DELETE /v2/dlq", `["17-1"]`, 400, `{"error":"the body must be a JSON object with dlqIds"}`, ""},
		{"DELETE /v2/dlq?dlqIds=17-1", `{"dlqIds":["18-1"]`, 400, `{"error":"the body is not valid JSON"}`, ""},
		{"DELETE /v2/dlq?dlqIds=17-1&labeel=x", "", 400, `{"error":"unknown filter \"labeel\""}`, ""},
		{"DELETE /v2/dlq?dlqids=17-1", "", 400, `{"error":"unknown filter \"dlqids\""}`, ""},
		{"DELETE /v2/dlq", `{"dlqIds":["17-1"],"host":"h"}`, 400, `{"error":"unknown filter \"host\""}`, ""},
		{"DELETE /v2/dlq?dlqIds=" + many(101), "", 400, `{"error":"dlqIds names more than 100 dead letters"}`, ""},
		{"POST /v2/dlq/retry", "", 501, retryAll, ""},
		{"POST /v2/dlq/retry/", "", 501, retryAll, ""},
		{"POST /v2/dlq/retry?count=100", "", 501, retryAll, ""},
		{"POST /v2/dlq/retry?labeel=x", "", 400, `{"error":"unknown filter \"labeel\""}`, ""},
		{"POST /v2/dlq/retry?dlqIds=17-1&upstash-delay=5s", "", 501, `{"error":"Upstash-Delay on a retry from the dead letter queue is not supported by this version of tidemill yet"}`, ""},
		{"POST /v2/dlq/retry/17-1?upstash-Label=x", "", 501, `{"error":"Upstash-Label on a retry from the dead letter queue is not supported by this version of tidemill yet"}`, ""},
		{"POST /v2/dlq", `{"dlqIds":["17-1"]}`, 405, `{"error":"method not allowed here, allowed: GET, DELETE"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.line[:min(len(tt.line), 60)]+tt.body, func(t *testing.T) {
			s := start(t, nil)
			s.eng.dead = []engine.DeadLetter{{ID: "17-1"}, {ID: "17-2"}, {ID: "17-3"}, {ID: "18-1"}}
			s.eng.endErr = map[string]error{"17-2": engine.ErrNotFound, "17-3": engine.ErrOverloaded} // 17-2: another call was faster
			a, _ := s.send(t, requestBody(tt.line, tt.body))
			if a.StatusCode != tt.status || a.body != tt.answer {
				t.Errorf("got  %d %s\nwant %d %s", a.StatusCode, a.body, tt.status, tt.answer)
			}
			if a.StatusCode == 503 && a.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			var ended []string
			for _, c := range s.eng.calls {
				if verb, id, _ := strings.Cut(c, " 7 "); verb != "dead" {
					ended = append(ended, verb+" "+id)
				}
			}
			got := strings.Join(ended, ", ")
			if len(ended) > 10 {
				got = fmt.Sprint(len(ended), " calls")
			}
			if got != tt.ended {
				t.Errorf("calls %q, want %q", got, tt.ended)
			}
		})
	}
}

func TestBulkDeadLettersNeedAToken(t *testing.T) {
	s := start(t, nil)
	s.eng.dead = []engine.DeadLetter{{ID: "17-1"}}
	for _, line := range []string{"DELETE /v2/dlq?dlqIds=17-1", "POST /v2/dlq/retry?dlqIds=17-1"} {
		a, _ := s.send(t, line+" HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer "+badToken+"\r\n\r\n")
		if a.StatusCode != 401 || len(s.eng.calls) != 0 {
			t.Errorf("%s: %d %s, calls %v", line, a.StatusCode, a.body, s.eng.calls)
		}
	}
}
