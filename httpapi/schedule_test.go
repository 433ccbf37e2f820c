package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/cron"
)

func describeSchedule(s *engine.Schedule) string {
	return fmt.Sprintf("id=%q cron=%q %+v %s", s.ID, s.Cron, s.Time, describe(&s.Message))
}

// viewSchedule has every member, bareSchedule none that may be left out.
var (
	viewSchedule = engine.ScheduleInfo{
		ID: "one", Cron: "CRON_TZ=Europe/Berlin 0 9 * * *", Created: time.UnixMilli(1_700_000_000_123), Paused: true,
		URL: "https://h.test/p?x=1", Method: "PUT", Header: []engine.Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "A", Value: "b"}},
		Body: []byte("hello"), CallerIP: "192.0.2.1", Retries: 5, RetryDelay: "1000 * retried", Timeout: 90 * time.Second, Delay: 1500 * time.Millisecond,
		Last: time.UnixMilli(1_700_000_100_000), Next: time.UnixMilli(1_700_000_200_000), Error: "the body is damaged",
		State: []engine.ScheduleRun{{MessageID: "msg_a", State: engine.RunFail}, {MessageID: "msg_b", State: engine.RunSuccess}},
		Time: engine.TimeRules{
			Seconds: true, DST: cron.Both, Missed: engine.MissedAll, MissedMax: 5, MissedWindow: 36 * time.Hour, Jitter: 1500 * time.Millisecond,
		},
	}
	bareSchedule = engine.ScheduleInfo{
		ID: "next", Cron: "* * * * *", Created: time.UnixMilli(5), URL: "http://h", Method: "POST", Body: []byte{0xff}, Retries: 3,
		Time: engine.TimeRules{MissedMax: engine.DefaultMissedMax, MissedWindow: engine.DefaultMissedWindow},
	}
)

const (
	viewJSON = `{"scheduleId":"one","cron":"CRON_TZ=Europe/Berlin 0 9 * * *","createdAt":1700000000123,"destination":"https://h.test/p?x=1","method":"PUT",` +
		`"header":{"Content-Type":["text/plain"],"A":["b"]},"body":"hello","retries":5,"delay":2,"timeout":90,` +
		`"retryDelayExpression":"1000 * retried","retryDelayExpr":"1000 * retried","callerIP":"192.0.2.1","callerIp":"192.0.2.1","isPaused":true,` +
		`"lastScheduleTime":1700000100000,"nextScheduleTime":1700000200000,"lastScheduleStates":{"msg_a":"FAIL","msg_b":"SUCCESS"},"error":"the body is damaged",` +
		`"tidemill":{"cronSeconds":true,"dst":"both","missed":"all","missedMax":5,"missedWindow":"36h","jitter":"1.5s"}}`
	bareJSON = `{"scheduleId":"next","cron":"* * * * *","createdAt":5,"destination":"http://h","method":"POST","bodyBase64":"/w==","retries":3,"isPaused":false}`
)

// TestScheduleRoutes walks all that a schedule's path can be.
func TestScheduleRoutes(t *testing.T) {
	s := start(t, func(o *Options) { o.Now = func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) } })
	s.eng.views = []engine.ScheduleInfo{bareSchedule, viewSchedule}
	const (
		notYet = ` is not supported by this version of tidemill yet"}`
		ticks  = `{"next":[{"time":1700000000000,"local":"2023-11-15T00:13:20+02:00","skipped":false},` +
			`{"time":1700000060250,"local":"2023-11-15T00:14:20.25+02:00","skipped":true,"note":"why"}]}`
		noID     = `{"error":"the id is empty: /v2/schedules/{id}"}`
		notFound = `{"error":"not found"}`
		noScheme = `{"error":"invalid destination url: endpoint has invalid scheme, add http:// or https://"}`
		noCron   = `{"error":"Upstash-Cron is missing: a schedule needs a cron expression such as */5 * * * *"}`
		badN     = `: must be a number from 1 to 1000"}`
	)
	tests := []struct {
		line   string
		status int
		body   string
		call   string // the engine's last
	}{
		{"GET /v2/schedules", 200, "[" + bareJSON + "," + viewJSON + "]", ""},
		{"GET /v2/Schedules/", 200, "[" + bareJSON + "," + viewJSON + "]", ""},
		{"GET /v2/schedules/one", 200, viewJSON, "schedule 7 one"},
		{"GET /v2/Schedules/none", 404, notFound, "schedule 7 none"},
		{"GET /v2/schedules/one/", 404, notFound, ""},
		{"GET /v2/schedules/one/more", 404, notFound, ""},
		{"GET /v2/schedules//", 400, noID, ""},
		{"GET /v2/schedules/next", 200, bareJSON, "schedule 7 next"},
		{"GET /v2/schedules/next?n=3", 200, bareJSON, "schedule 7 next"},
		{"DELETE /v2/schedules/one", 200, "{}", "drop 7 one"},
		{"DELETE /v2/schedules/none", 200, "{}", "drop 7 none"},
		{"DELETE /v2/schedules/", 400, noID, ""},
		{"DELETE /v2/schedules//", 400, noID, ""},
		{"DELETE /v2/schedules", 405, `{"error":"method not allowed here, allowed: GET, POST"}`, ""},
		{"DELETE /v2/schedules/one/pause", 405, `{"error":"method not allowed here, allowed: POST, PATCH, PUT"}`, ""},
		{"DELETE /v2/schedules/https://h.test/", 405, `{"error":"method not allowed here, allowed: POST"}`, ""},
		{"PATCH /v2/schedules/one", 405, `{"error":"method not allowed here, allowed: GET, POST, DELETE"}`, ""},
		{"POST /v2/schedules/one/pause", 200, "{}", "pause 7 one"},
		{"PATCH /v2/schedules/one/Pause", 200, "{}", "pause 7 one"},
		{"PUT /v2/schedules/pause/pause", 404, notFound, "pause 7 pause"},
		{"POST /v2/schedules/one/resume", 200, "{}", "resume 7 one"},
		{"PATCH /v2/schedules/one/resume", 200, "{}", "resume 7 one"},
		{"PUT /v2/schedules/none/resume", 404, notFound, "resume 7 none"},
		{"POST /v2/schedules//pause", 400, noID, ""},
		{"GET /v2/schedules/one/pause", 405, `{"error":"method not allowed here, allowed: POST, PATCH, PUT"}`, ""},
		{"POST /v2/schedules/", 400, noScheme, ""},
		{"POST /v2/schedules", 400, `{"error":"the body is not valid JSON"}`, ""},
		{"POST /v2/schedules/api/llm", 400, `{"error":"invalid destination url: \"api/llm\" is a service of the hosted product: publish to the URL of your own"}`, ""},
		{"POST /v2/schedules/h.test/x", 400, noScheme, ""},
		{"POST /v2/schedules/https://h.test/", 400, noCron, ""},
		{"POST /v2/schedules/https://h.test/pause", 400, noCron, ""},
		{"GET /v2/schedules/one/next", 200, ticks, "ticks 10 7 one"},
		{"GET /v2/schedules/one/Next?n=1000&qstash_token=x", 200, ticks, "ticks 1000 7 one"},
		{"GET /v2/schedules/none/next", 404, notFound, "ticks 10 7 none"},
		{"POST /v2/schedules/one/next", 405, `{"error":"method not allowed here, allowed: GET"}`, ""},
		{"GET /v2/schedules/one/next?n=0", 400, `{"error":"invalid n \"0\"` + badN, ""},
		{"GET /v2/schedules/one/next?n=1001", 400, `{"error":"invalid n \"1001\"` + badN, ""},
		{"GET /v2/schedules/one/next?n=-1", 400, `{"error":"invalid n \"-1\"` + badN, ""},
		{"GET /v2/schedules/one/next?n=", 400, `{"error":"invalid n \"\"` + badN, ""},
		{"GET /v2/schedules/one/next?n=1&n=2", 400, `{"error":"more than one n"}`, ""},
		{"GET /v2/schedules/one/next?count=5", 400, `{"error":"unknown parameter \"count\": a preview takes n, and that of an expression cron, seconds and dst"}`, ""},
		{"GET /v2/schedules/one/next?dst=skip", 400, `{"error":"unknown parameter \"dst\": a preview takes n, and that of an expression cron, seconds and dst"}`, ""},
		{
			"GET /v2/schedules/next?cron=CRON_TZ%3DEurope/Berlin+30+9+*+*+mon&n=2", 200,
			`{"next":[{"time":1772440200000,"local":"2026-03-02T09:30:00+01:00","skipped":false},{"time":1773045000000,"local":"2026-03-09T09:30:00+01:00","skipped":false}]}`, "",
		},
		{
			"GET /v2/schedules/next?seconds=true&cron=*/30%20*%20*%20*%20*%20*&n=1", 200,
			`{"next":[{"time":1772323230000,"local":"2026-03-01T00:00:30Z","skipped":false}]}`, "",
		},
		{"GET /v2/schedules/next?cron=*+*+*+*+*&n=x", 400, `{"error":"invalid n \"x\"` + badN, ""},
		{"GET /v2/schedules/next?cron=*+*+*+*+*&dst=maybe", 400, `{"error":"invalid dst \"maybe\": must be fire-once, skip or both"}`, ""},
		{"GET /v2/schedules/next?cron=*+*+*+*+*&seconds=2", 400, `{"error":"invalid seconds \"2\": must be true or false"}`, ""},
		{"GET /v2/schedules/next?cron=*+*+*+*+*&cron=*+*+*+*+*", 400, `{"error":"more than one cron"}`, ""},
		{"GET /v2/schedules/next?cron=*+*+*+*+*&n=1&n=2", 400, `{"error":"more than one n"}`, ""},
		{"GET /v2/schedules/next?cron=60+*+*+*+*", 400, `{"error":"invalid cron expression: minute: \"60\" is not valid; want 0 to 59"}`, ""},
		{"GET /v2/schedules/next?cron=*+*+*+*+*&jitter=1s", 400, `{"error":"unknown parameter \"jitter\": a preview takes n, and that of an expression cron, seconds and dst"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			s.eng.calls = nil
			a, _ := s.send(t, request(tt.line))
			if a.StatusCode != tt.status || a.body != tt.body {
				t.Errorf("got %d %s\nwant %d %s", a.StatusCode, a.body, tt.status, tt.body)
			}
			call := ""
			if n := len(s.eng.calls); n > 0 {
				call = s.eng.calls[n-1]
			}
			if call != tt.call {
				t.Errorf("asked the engine for %q, want %q", call, tt.call)
			}
		})
	}
	s.expectNothing(t)
}

// TestScheduleOptions: every option of a publish is one of a schedule, and each way
// to create one leads to the same.
func TestScheduleOptions(t *testing.T) {
	const target = "https://h.test/p"
	full := []string{
		"content-type: text/x", "UPSTASH-METHOD: PATCH", "Upstash-Timeout: 90", "Upstash-Retries: 0", "Upstash-Retry-Delay: 1000 * retried",
		"Upstash-Delay: 1d", "Upstash-Deduplication-Id: my id", "Upstash-Forward-X-A: b", "Upstash-Cron: CRON_TZ=Asia/Tokyo  */5 * * * * ", "Upstash-Schedule-Id: My.id_-9",
	}
	wantFull := func(w *engine.Schedule) {
		w.ID, w.Cron = "My.id_-9", "CRON_TZ=Asia/Tokyo  */5 * * * *"
		m := &w.Message
		m.Header = []engine.Header{{Name: "X-A", Value: "b"}, {Name: "Content-Type", Value: "text/x"}}
		m.Method, m.Timeout, m.Retries, m.RetryDelay, m.Delay, m.DedupID = mustMethod("PATCH"), 90*time.Second, 0, "1000 * retried", 24*time.Hour, "my id"
	}
	rules := []string{
		"Upstash-Cron: 0 * * * * *", "Tidemill-Cron-Seconds: true", "tidemill-dst: skip", "Tidemill-Missed: all", "Tidemill-Missed-Max: 1000",
		"Tidemill-Missed-Window: 366d", "Tidemill-Jitter: 24h",
	}
	wantRules := func(w *engine.Schedule) {
		w.Cron = "0 * * * * *"
		w.Time = engine.TimeRules{
			Seconds: true, DST: cron.Skip, Missed: engine.MissedAll, MissedMax: 1000, MissedWindow: 366 * 24 * time.Hour, Jitter: 24 * time.Hour,
		}
	}
	simple := func(w *engine.Schedule) { w.Cron = "*/5 * * * *" }
	tests := []struct {
		name, line, body string
		headers          []string
		want             func(w *engine.Schedule)
	}{
		{"create", "POST /v2/schedules/" + target, "body", full, wantFull},
		{"publish", "POST /v2/publish/" + target, "body", full, wantFull},
		{"capital S", "POST /v2/Schedules/" + target, "body", full, wantFull},
		{"only a cron", "POST /v2/schedules/" + target, "body", []string{"Upstash-Cron: */5 * * * *"}, simple},
		{"empty is absent", "POST /v2/schedules/" + target, "body", []string{"Upstash-Cron: */5 * * * *", "Upstash-Not-Before:", "Tidemill-Jitter: ", "Tidemill-Unknown:"}, simple},
		{"a pause in the path", "POST /v2/schedules/https://h.test/one/pause", "body", []string{"Upstash-Cron: */5 * * * *"}, func(w *engine.Schedule) {
			simple(w)
			w.Message.URL = "https://h.test/one/pause"
		}},
		{"encoded", "POST /v2/schedules/https%3A%2F%2Fh.test%2Fp", "body", []string{"Upstash-Cron: */5 * * * *"}, simple},
		{
			"query", "POST /v2/schedules/" + target + "?upstash-cron=*/5%20*%20*%20*%20*&a=1&tidemill-jitter=5s&upstash-delay=5s&upstash-schedule-id=q", "body", nil,
			func(w *engine.Schedule) {
				simple(w)
				w.ID, w.Message.URL, w.Message.Delay = "q", target+"?a=1&tidemill-jitter=5s", 5*time.Second
			},
		},
		{
			"a query as forms write it", "POST /v2/publish/" + target + "?upstash-cron=CRON_TZ%3DEtc/GMT%2B5+*/5+*+*+*+*&b=x+y&upstash-forward-x=c+d&Upstash-Forward-Tidemill-Dst=skip", "body", nil,
			func(w *engine.Schedule) {
				w.Cron, w.Message.URL = "CRON_TZ=Etc/GMT+5 */5 * * * *", target+"?b=x+y"
				w.Time.DST = cron.Skip
				w.Message.Header = []engine.Header{{Name: "X", Value: "c+d"}}
			},
		},
		{"rules", "POST /v2/schedules/" + target, "body", rules, wantRules},
		{"rules on publish", "PUT /v2/publish/" + target, "body", rules, wantRules},
		{"rules as the clients write them", "POST /v2/schedules/" + target, "body", []string{
			rules[0], "Upstash-Forward-Tidemill-Cron-Seconds: TRUE", "upstash-forward-tidemill-dst: skip",
			"Upstash-Forward-Tidemill-Missed: all", "Upstash-Forward-Tidemill-Missed-Max: 1000", "Upstash-Forward-Tidemill-Missed-Window: 366d", "Upstash-Forward-Tidemill-Jitter: 24h",
		}, wantRules},
		{"rules are not forwarded", "POST /v2/schedules/" + target, "body", append(rules, "Upstash-Header-Forward: true", "X-Mine: 1"), func(w *engine.Schedule) {
			wantRules(w)
			w.Message.Header = []engine.Header{{Name: "X-Mine", Value: "1"}}
		}},
		{
			"batch", "POST /v2/batch", `[{"destination":"https://h.test/p","body":"body","headers":{"content-type":"text/x","Upstash-Method":"PATCH","Upstash-Timeout":"90",
			"upstash-retries":"0","Upstash-Retry-Delay":"1000 * retried","upstash-delay":"1d","Upstash-Deduplication-Id":"my id","Upstash-Forward-X-A":"b",
			"upstash-cron":" CRON_TZ=Asia/Tokyo  */5 * * * * ","Upstash-Schedule-Id":"My.id_-9"}}]`, nil, wantFull,
		},
		{
			"batch with rules", "POST /v2/batch", `[{"destination":"https://h.test/p","body":"body","headers":{"Upstash-Cron":"0 * * * * *","Tidemill-Cron-Seconds":"true",
			"Tidemill-Dst":"skip","tidemill-missed":"all","Tidemill-Missed-Max":"1000","Tidemill-Missed-Window":"366d","Upstash-Forward-Tidemill-Jitter":"24h"}}]`, nil, wantRules,
		},
		{
			"JSON", "POST /v2/schedules", `{"destination":"https://h.test/p","cron":"*/5 * * * * ","body":"body","delay":60,"retries":7,"method":"PUT","callback":null,
			"headers":{"Content-Type":"text/x","Upstash-Forward-X-A":"b","Upstash-Schedule-Id":"j"}}`,
			[]string{"Content-Type: application/json", "Upstash-Forward-Outer: no"},
			func(w *engine.Schedule) {
				simple(w)
				w.ID = "j"
				m := &w.Message
				m.Delay, m.Retries, m.Method = time.Minute, 7, mustMethod("PUT")
				m.Header = []engine.Header{{Name: "X-A", Value: "b"}, {Name: "Content-Type", Value: "text/x"}}
			},
		},
		{"JSON, least", "POST /v2/Schedules", `{"destination":"https://h.test/p","cron":"*/5 * * * *","body":"body"}`, nil, simple},
		{"JSON, part of a second", "POST /v2/schedules", `{"destination":"https://h.test/p","cron":"*/5 * * * *","body":"body","delay":0.5}`, nil, func(w *engine.Schedule) {
			simple(w)
			w.Message.Delay = 500 * time.Millisecond
		}},
		{
			"JSON with rules", "POST /v2/schedules", `{"cron":"0 * * * * *","headers":{"Tidemill-Cron-Seconds":"true","Tidemill-Dst":"skip","Tidemill-Missed":"all",
			"Tidemill-Missed-Max":"1000","Tidemill-Missed-Window":"366d","Tidemill-Jitter":"24h"},"body":"body","destination":"https://h.test/p"}`, nil, wantRules,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, nil)
			a, _ := s.send(t, requestBody(tt.line, tt.body, tt.headers...))
			got := s.eng.defined()
			if a.StatusCode != 200 || len(got) != 1 || len(s.eng.messages()) != 0 {
				t.Fatalf("%d %s, %d schedules", a.StatusCode, a.body, len(got))
			}
			want := engine.Schedule{Message: engine.Publish{User: 7, URL: target, Body: []byte("body"), CallerIP: "127.0.0.1", Retries: 3}}
			tt.want(&want)
			if g, w := describeSchedule(&got[0]), describeSchedule(&want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
			id := want.ID
			if id == "" {
				id = "scd_1"
			}
			answer := `{"scheduleId":"` + id + `"}`
			if strings.Contains(tt.line, "batch") {
				answer = "[" + answer + "]"
			}
			if a.body != answer {
				t.Errorf("answered %s, want %s", a.body, answer)
			}
		})
	}
}

// TestScheduleRefuses: what is wrong is named, with what would be right, and
// nothing is created.
func TestScheduleRefuses(t *testing.T) {
	s := start(t, nil)
	long := strings.Repeat("a", engine.ScheduleIDMax+1)
	const badID = `: must be at most 256 of the characters A-Z a-z 0-9 . _ - and neither . nor ..`
	tests := []struct {
		headers string // after a cron
		status  int
		text    string // of the error, its beginning
	}{
		{"Upstash-Not-Before: 1900000000", 400, "Upstash-Not-Before cannot be combined with Upstash-Cron"},
		{"Upstash-Schedule-Id: ..", 400, `invalid Upstash-Schedule-Id ".."` + badID},
		{"Upstash-Schedule-Id: .", 400, `invalid Upstash-Schedule-Id "."` + badID},
		{"Upstash-Schedule-Id: /", 400, `invalid Upstash-Schedule-Id "/"` + badID},
		{"Upstash-Schedule-Id: a/b", 400, `invalid Upstash-Schedule-Id "a/b"` + badID},
		{"Upstash-Schedule-Id: %2f", 400, `invalid Upstash-Schedule-Id "%2f"` + badID},
		{"Upstash-Schedule-Id: a b", 400, `invalid Upstash-Schedule-Id "a b"` + badID},
		{"Upstash-Schedule-Id: é", 400, `invalid Upstash-Schedule-Id "é"` + badID},
		{"Upstash-Schedule-Id: " + long, 400, `invalid Upstash-Schedule-Id "` + long[:64] + `"... (257 bytes)` + badID},
		{"Upstash-Schedule-Id: a\r\nupstash-schedule-id: b", 400, "more than one Upstash-Schedule-Id"},
		{"Upstash-Cron: 0 0 * * *", 400, "more than one Upstash-Cron"},
		{"Upstash-Retries: 101", 412, "quota maxRetries exceeded"},
		{"Upstash-Delay: 366d", 400, `invalid Upstash-Delay "366d": the limit is 365d`},
		{"Tidemill-Cron-Seconds: yes", 400, `invalid Tidemill-Cron-Seconds "yes": must be true or false`},
		{"Tidemill-Dst: Skip", 400, `invalid Tidemill-Dst "Skip": must be fire-once, skip or both`},
		{"Tidemill-Missed: last", 400, `invalid Tidemill-Missed "last": must be latest, skip or all`},
		{"Tidemill-Missed: all\r\nTidemill-Missed-Max: 0", 400, `invalid Tidemill-Missed-Max "0": must be a whole number from 1 to 1000`},
		{"Tidemill-Missed: all\r\nTidemill-Missed-Max: 1001", 400, `invalid Tidemill-Missed-Max "1001": must be a whole number from 1 to 1000`},
		{"Tidemill-Missed-Max: 5", 400, `invalid Tidemill-Missed-Max "5": it has a meaning with Tidemill-Missed: all only`},
		{"Tidemill-Missed: skip\r\nTidemill-Missed-Window: 1h", 400, `invalid Tidemill-Missed-Window "1h": it has no meaning with Tidemill-Missed: skip`},
		{"Tidemill-Missed-Window: 0", 400, `invalid Tidemill-Missed-Window "0": must be at least 1s`},
		{"Tidemill-Missed-Window: 367d", 400, `invalid Tidemill-Missed-Window "367d": the limit is 366d`},
		{"Tidemill-Jitter: -1s", 400, `invalid Tidemill-Jitter "-1s": must be a duration`},
		{"Tidemill-Jitter: 25h", 400, `invalid Tidemill-Jitter "25h": the limit is 1d`},
		{"Tidemill-Jitter: 1s\r\nUpstash-Forward-Tidemill-Jitter: 1s", 400, `more than one Tidemill-Jitter`},
		{"Tidemill-Jiter: 1s", 400, `unknown option Tidemill-"Jiter": the options are Tidemill-Ordering-Key, -Flow-Control-Mode, -Cron-Seconds, -Dst, -Missed, -Missed-Max, -Missed-Window and -Jitter`},
	}
	for _, tt := range tests {
		for _, path := range []string{"/v2/schedules/", "/v2/publish/"} {
			a, _ := s.send(t, request("POST "+path+"https://h.test/p", "Upstash-Cron: * * * * *", tt.headers))
			want := appendError(nil, tt.text)
			if a.StatusCode != tt.status || !strings.HasPrefix(a.body, string(want[:len(want)-2])) {
				t.Errorf("%s: got %d %s\nwant %d %s...", tt.headers, a.StatusCode, a.body, tt.status, want)
			}
		}
	}
	for _, header := range []string{"Tidemill-Jitter: 1s", "Upstash-Forward-Tidemill-Jitter: 1s"} {
		a, _ := s.send(t, request("POST /v2/publish/https://h.test/p", header))
		if want := `{"error":"invalid Tidemill-Jitter \"1s\": it is an option of schedules, and needs an Upstash-Cron"}`; a.StatusCode != 400 || a.body != want {
			t.Errorf("%s without a cron: %d %s", header, a.StatusCode, a.body)
		}
	}
	s.expectNothing(t)
}

// TestScheduleJSONRefuses is the body form of @upstash/qstash 2.0 and 2.1.
func TestScheduleJSONRefuses(t *testing.T) {
	s := start(t, nil)
	const noScheme = `{"error":"invalid destination url: endpoint has invalid scheme, add http:// or https://"}`
	tests := []struct {
		body   string
		status int
		answer string
	}{
		{`[]`, 400, `{"error":"the body must be a JSON object with destination and cron: not an object"}`},
		{`{"destination":`, 400, `{"error":"the body is not valid JSON"}`},
		{`{"destination":"http://h","cron":"* * * * *","cron":"* * * * *"}`, 400, `{"error":"the body must be a JSON object with destination and cron: \"cron\" is there twice"}`},
		{`{"cron":"* * * * *"}`, 400, noScheme},
		{`{"destination":null,"cron":"* * * * *"}`, 400, noScheme},
		{`{"destination":["http://h"],"cron":"* * * * *"}`, 400, noScheme},
		{`{"destination":"","cron":"* * * * *"}`, 400, `{"error":"a non-empty destination must be provided"}`},
		{`{"destination":"ftp://h","cron":"* * * * *"}`, 400, noScheme},
		{`{"destination":"http://h"}`, 400, `{"error":"Upstash-Cron is missing: a schedule needs a cron expression such as */5 * * * *"}`},
		{`{"destination":"http://h","cron":""}`, 400, `{"error":"Upstash-Cron is missing: a schedule needs a cron expression such as */5 * * * *"}`},
		{`{"destination":"http://h","cron":["* * * * *"]}`, 400, `{"error":"cron must be a string without control characters, or a number"}`},
		{`{"destination":"http://h","cron":"* * * * *\u0000"}`, 400, `{"error":"cron must be a string without control characters, or a number"}`},
		{`{"destination":"http://h","cron":"x"}`, 400, `{"error":"invalid Upstash-Cron: want five fields"}`},
		{`{"destination":"http://h","cron":"* * * * *","delay":-1}`, 400, `{"error":"invalid Upstash-Delay \"-1s\": must be a duration like 10s, 1d10h30m or 500ms"}`},
		{`{"destination":"http://h","cron":"* * * * *","retries":1.5}`, 400, `{"error":"invalid Upstash-Retries \"1.5\": must be a whole number of 0 or more"}`},
		{`{"destination":"http://h","cron":"* * * * *","retries":1000}`, 412, `{"error":"quota maxRetries exceeded"}`},
		{`{"destination":"http://h","cron":"* * * * *","method":"BREW"}`, 400, `{"error":"invalid Upstash-Method \"BREW\": must be GET, POST, PUT, PATCH or DELETE"}`},
		{`{"destination":"http://h","cron":"* * * * *","callback":"ftp://c"}`, 400, `{"error":"invalid Upstash-Callback \"ftp://c\": must be a URL that starts with http:// or https://"}`},
		{`{"destination":"http://h","cron":"* * * * *","callback":{}}`, 400, `{"error":"callback must be a string without control characters, or a number"}`},
		{`{"destination":"http://h","cron":"* * * * *","queue":7}`, 400, `{"error":"queue must be a string without control characters"}`},
		{`{"destination":"http://h","cron":"* * * * *","queue":"a b"}`, 400, `{"error":"invalid queue \"a b\": must be at most 256 of the characters A-Z a-z 0-9 . _ - and neither . nor .."}`},
		{`{"destination":"http://h","cron":"* * * * *","headers":[]}`, 400, `{"error":"headers must be an object"}`},
		{`{"destination":"http://h","cron":"* * * * *","retries":1,"headers":{"Upstash-Retries":"2"}}`, 400, `{"error":"more than one Upstash-Retries"}`},
		{`{"destination":"http://h","cron":"* * * * *","body":"` + strings.Repeat("a", 1<<20+1) + `"}`, 413, `{"error":"the message is larger than the limit of 1048576 bytes"}`},
	}
	for _, tt := range tests {
		a, _ := s.send(t, requestBody("POST /v2/schedules", tt.body))
		if a.StatusCode != tt.status || a.body != tt.answer {
			t.Errorf("%.100s\ngot  %d %s\nwant %d %s", tt.body, a.StatusCode, a.body, tt.status, tt.answer)
		}
	}
	s.expectNothing(t)
}

// TestBatchMixed: messages and schedules, good and bad, each with its own answer in
// its place.
func TestBatchMixed(t *testing.T) {
	s := start(t, nil)
	body := `[{"destination":"http://h/1","headers":{"Upstash-Cron":"1 * * * *","Upstash-Schedule-Id":"same"}},
		{"destination":"http://h/2"},
		{"destination":"http://h/3","headers":{"Upstash-Cron":"x"}},
		{"destination":"http://h/4","headers":{"Upstash-Cron":"2 * * * *","Upstash-Schedule-Id":"same"}},
		{"destination":"http://h/5","headers":{"Upstash-Cron":"3 * * * *","Tidemill-Dst":"no"}},
		{"destination":"http://h/6","headers":{"Upstash-Cron":"4 * * * *","Upstash-Deduplication-Id":"twice"}},
		{"destination":"http://h/7"}]`
	a, _ := s.send(t, requestBody("POST /v2/batch", body))
	want := `[{"scheduleId":"same"},{"messageId":"msg_1","url":"http://h/2"},{"error":"invalid Upstash-Cron: want five fields"},{"scheduleId":"same"},` +
		`{"error":"invalid Tidemill-Dst \"no\": must be fire-once, skip or both"},{"scheduleId":"scd_3","deduplicated":true},{"messageId":"msg_2","url":"http://h/7"}]`
	if a.StatusCode != 200 || a.body != want {
		t.Errorf("got  %d %s\nwant 200 %s", a.StatusCode, a.body, want)
	}
	var crons []string
	for _, d := range s.eng.defined() {
		crons = append(crons, d.Cron)
	}
	if got := strings.Join(crons, ","); got != "1 * * * *,2 * * * *,4 * * * *" {
		t.Errorf("defined %s", got)
	}
	a, _ = s.send(t, requestBody("POST /v2/batch", `[{"destination":"http://h/3","headers":{"Upstash-Cron":"x"}}]`))
	if a.StatusCode != 400 || a.body != `{"error":"invalid Upstash-Cron: want five fields"}` {
		t.Errorf("one that fails: %d %s", a.StatusCode, a.body)
	}
}

func TestDuplicateScheduleIs202(t *testing.T) {
	s := start(t, nil)
	a, _ := s.send(t, request("POST /v2/schedules/http://h", "Upstash-Cron: * * * * *", "Upstash-Schedule-Id: old", "Upstash-Deduplication-Id: twice"))
	if a.StatusCode != 202 || a.body != `{"scheduleId":"old","deduplicated":true}` {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
}

// TestScheduleIDWithoutCron: a message that a schedule of another server publishes
// to this one is a message.
func TestScheduleIDWithoutCron(t *testing.T) {
	s := start(t, nil)
	a, _ := s.send(t, request("POST /v2/publish/http://h", "Upstash-Schedule-Id: theirs, or not even a name"))
	if a.StatusCode != 200 || len(s.eng.messages()) != 1 {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
}
