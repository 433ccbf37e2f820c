package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// TestPullPublish: what the engine gets of a message, and the answers. The text of the
// message is that of the producer, to the byte.
func TestPullPublish(t *testing.T) {
	s, e := startPull(t, nil)
	tests := []struct{ line, body, answer string }{
		{"POST /v1/publish", `{"queue":"order-events", "message": {"b" : 1.50, "a":[1e2,"\u00e9é\/"]} ,"unknown":{"x":[]}}`, `{"message_id":"msg_1","deduplicated":false}`},
		{"POST /v1/publish/", `{"idempotency_key":"twice","message":null,"queue":"q","delay_seconds":0}`, `{"message_id":"msg_2","deduplicated":true}`},
		{"POST /v1/publish", `{"queue":"q","message":"","delay_seconds":1.5,"headers":{"x-trace":" v ","Y":"é"},"group":"g/1","idempotency_key":null}`, `{"message_id":"msg_3","deduplicated":false}`},
		{"POST /v1/queues/q/messages", `{"message":false,"queue":"ignored","delay_seconds":30.0}`, `{"message_id":"msg_4","deduplicated":false}`},
		{
			"POST /v1/queues/q/messages", `{"messages":[{"message":1,"idempotency_key":"twice"},{"delay_seconds":1},{"message":"full"},{"message": [ ] ,"headers":{},"delay_seconds":null}]}`,
			`{"results":[{"message_id":"msg_5","deduplicated":true},{"error":"message is missing: it can be any JSON value, null included"},` +
				`{"error":"the server is overloaded, nothing was stored: try again in a moment"},{"message_id":"msg_7","deduplicated":false}]}`,
		},
		{"POST /v1/queues/q/messages", `{"messages":[{"delay_seconds":1}]}`, `{"results":[{"error":"message is missing: it can be any JSON value, null included"}]}`},
	}
	for _, tt := range tests {
		a, _ := s.send(t, requestBody(tt.line, tt.body, "Content-Type: text/plain"))
		if a.StatusCode != 200 || a.body != tt.answer {
			t.Errorf("%s: %d\ngot  %s\nwant %s", tt.body, a.StatusCode, a.body, tt.answer)
		}
	}
	want := []string{
		`order-events {"b" : 1.50, "a":[1e2,"\u00e9é\/"]} delay=- key="" [] group="" ip=127.0.0.1`,
		`q null delay=0s key="twice" [] group="" ip=127.0.0.1`,
		`q "" delay=1.5s key="" [{X-Trace v} {Y é}] group="g/1" ip=127.0.0.1`,
		`q false delay=30s key="" [] group="" ip=127.0.0.1`,
		`q 1 delay=- key="twice" [] group="" ip=127.0.0.1`,
		`q "full" delay=- key="" [] group="" ip=127.0.0.1`,
		`q [ ] delay=- key="" [] group="" ip=127.0.0.1`,
	}
	var got []string
	for _, p := range e.messagesSent() {
		delay := "-"
		if p.Delay != nil {
			delay = p.Delay.String()
		}
		got = append(got, fmt.Sprintf("%s %s delay=%s key=%q %v group=%q ip=%s", p.Queue, p.Body, delay, p.DedupID, p.Header, p.Group, p.CallerIP))
	}
	if !slices.Equal(got, want) {
		t.Errorf("published\n%q\nwant\n%q", got, want)
	}
}

var pullView = engine.PullMessage{
	ID: "msg_one", Queue: "q", Body: []byte(`{"order_id": 1.0}`), LeaseID: "l1", Attempts: 2,
	Header:    []engine.Header{{Name: "X-A", Value: "b\"c"}, {Name: "Y", Value: ""}},
	Published: time.UnixMilli(1000), Received: time.UnixMilli(2000), Visible: time.UnixMilli(3000), Group: "g",
	Dead: &engine.PullDead{Source: "invoices", Reason: "status", Attempts: 4, Status: 500, At: time.UnixMilli(900)},
}

// TestPullCalls: what each call asks the engine for, defaults included, and its answer.
func TestPullCalls(t *testing.T) {
	s, e := startPull(t, nil)
	e.message = pullView
	const (
		message = `{"message_id":"msg_one","queue":"q","message":{"order_id": 1.0},"lease_id":"l1","attempts":2,"published_at":1000,"first_received_at":2000,"visible_at":3000,` +
			`"headers":{"X-A":"b\"c","Y":""},"group":"g","dead_letter":{"source_queue":"invoices","reason":"status","attempts":4,"last_status":500,"at":900}}`
		queue = `{"name":"q","dead_letter_queue":"d","max_retries":3,"visibility_seconds":30,"retention_seconds":1209600,"delay_seconds":5,"created_at":1000,"updated_at":2000,` +
			`"paused":false,"pending":4,"in_flight":5,"delayed":6}`
		other = `{"name":"r","max_retries":0,"visibility_seconds":0,"retention_seconds":0,"delay_seconds":0,"webhook_url":"https://h.test/w","max_concurrency":7,"timeout_seconds":60,` +
			`"created_at":3,"updated_at":3,"paused":false,"pending":0,"in_flight":0,"delayed":0}`
		ok = `{"status":"ok"}`
	)
	tests := []struct {
		line, body string
		asked      string
		status     int
		answer     string
	}{
		{"POST /v1/queues/q/receive", "", "receive 7 q 10 0s 0s", 200, `{"messages":[` + message + `]}`},
		{"POST /v1/queues/q/pull", `{"max_messages":100,"wait_seconds":null,"visibility_seconds":43200,"x":1}`, "receive 7 q 100 0s 12h0m0s", 200, `{"messages":[` + message + `]}`},
		{"POST /v1/queues/none/receive", `{}`, "receive 7 none 10 0s 0s", 404, `{"error":"not found"}`},
		{"POST /v1/messages/msg_one/ack", `{"lease_id":"l1"}`, "ack msg_one l1", 200, ok},
		{"POST /v1/messages/msg_one/ack", "", "ack msg_one ", 200, ok},
		{"POST /v1/messages/msg_one/ack", `{"lease_id":"old"}`, "ack msg_one old", 409, ""},
		{"POST /v1/messages/none/ack", `{}`, "ack none ", 404, `{"error":"not found"}`},
		{"POST /v1/messages/msg_one/release", `{"lease_id":"l1","delay_seconds":2.5}`, "release msg_one l1 2.5s", 200, ok},
		{"POST /v1/messages/msg_one/nack", "", "release msg_one  0s", 200, ok},
		{"POST /v1/messages/msg_one/extend", `{"visibility_seconds":60}`, "extend msg_one  1m0s", 200, `{"message_id":"msg_one","visible_at":1700000000123}`},
		{"POST /v1/messages/msg_one/extend", `{"visibility_seconds":99999999999,"lease_id":"l2"}`, "extend msg_one l2 12h0m0s", 200, `{"message_id":"msg_one","visible_at":1700000000123}`},
		{
			"POST /v1/queues/q/ack", `{"acks":[{"lease_id":"l1"},{"lease_id":"old"},{"lease_id":"l\u0032"}],"retries":[{"lease_id":"l1","delay_seconds":9},{"lease_id":"none"}]}`,
			"settle q, release  l1 9s, release  none 0s, ack  l1, ack  old, ack  l2", 200,
			`{"ack_count":2,"retry_count":1,"warnings":["acks[1]: ` + engine.ErrLeaseLost.Error() + `","retries[1]: no such lease in this queue"]}`,
		},
		{"POST /v1/queues/none/ack", `{"acks":[{"lease_id":"l1"}]}`, "settle none, ack  l1", 404, `{"error":"not found"}`},
		{"GET /v1/messages/msg_one", "", "", 200, message},
		{"DELETE /v1/messages/msg_one", "", "", 202, `{"status":"accepted"}`},
		{"POST /v1/queues/q/ack", `{}`, "", 200, `{"ack_count":0,"retry_count":0,"warnings":[]}`},

		{"GET /v1/queues", "", "queues", 200, `{"queues":[` + queue + `,` + other + `]}`},
		{"GET /v1/queues/q", "", "", 200, queue},
		{"GET /v1/queues/none", "", "", 404, `{"error":"not found"}`},
		{"POST /v1/queues", `{"name":"q"}`, "set 7 q", 200, queue},
		{"DELETE /v1/queues/q", "", "delete q", 200, ok},
		{"DELETE /v1/queues/none", "", "delete none", 404, `{"error":"not found"}`},
		{"POST /v1/queues/q/pause", "", "pause q true", 200, queue},
		{"POST /v1/queues/q/resume", "", "pause q false", 200, queue},
		{"POST /v1/queues/none/pause", "", "pause none true", 404, `{"error":"not found"}`},
		{"POST /v1/queues/q/purge", "", "purge q", 200, `{"purged":12}`},
		{"POST /v1/queues/q/redrive", "", `redrive q "" 0`, 200, `{"moved":3}`},
		{"POST /v1/queues/q/redrive", `{"to":"r","max":5}`, `redrive q "r" 5`, 200, `{"moved":3}`},
	}
	for _, tt := range tests {
		a, _ := s.send(t, requestBody(tt.line, tt.body))
		if a.StatusCode != tt.status || tt.answer != "" && a.body != tt.answer {
			t.Errorf("%s %s: %d\ngot  %s\nwant %s", tt.line, tt.body, a.StatusCode, a.body, tt.answer)
		}
		asked := ""
		for i, what := range e.take() {
			if i > 0 {
				asked += ", "
			}
			asked += what
		}
		if asked != tt.asked {
			t.Errorf("%s %s: asked %q, want %q", tt.line, tt.body, asked, tt.asked)
		}
		lookForSecrets(t, tt.line, a.body)
	}
}

// TestPullQueueChange: which fields of a definition set what, which leave it, and that a
// secret that the server made up is told once.
func TestPullQueueChange(t *testing.T) {
	s, e := startPull(t, nil)
	tests := []struct{ body, want string }{
		{`{"name":"q"}`, "{}"},
		{`{"name":"q","dead_letter_queue":null,"max_retries":null,"visibility_seconds":null,"webhook_secret":null}`, `{"DeadLetterQueue":""}`},
		{
			`{"name":"q","dead_letter_queue":"d","max_retries":0,"visibility_seconds":60.0,"retention_seconds":60,"delay_seconds":1}`,
			`{"DeadLetterQueue":"d","MaxRetries":0,"Visibility":60000000000,"Retention":60000000000,"Delay":1000000000}`,
		},
		{
			`{"name":"q","webhook_url":"https://h.test/hook?x=1","webhook_secret":"s","webhook_secret_next":"n","max_concurrency":1000,"timeout_seconds":7200,"retry_delay":"1000 * retried"}`,
			`{"WebhookURL":"https://h.test/hook?x=1","WebhookSecret":"s","WebhookSecretNext":"n","RetryDelay":"1000 * retried","MaxConcurrency":1000,"Timeout":7200000000000}`,
		},
		{`{"webhook_url":"","webhook_secret_next":null,"retry_delay":"","name":"q"}`, `{"WebhookURL":"","WebhookSecretNext":"","RetryDelay":""}`},
	}
	for _, tt := range tests {
		for _, line := range []string{"POST /v1/queues", "PATCH /v1/queues/q"} {
			a, _ := s.send(t, requestBody(line, tt.body))
			if a.StatusCode != 200 {
				t.Fatalf("%s %s: %d %s", line, tt.body, a.StatusCode, a.body)
			}
			b, err := json.Marshal(e.change)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			json.Unmarshal(b, &got) //nolint:errcheck // just marshalled
			var want map[string]any
			json.Unmarshal([]byte(tt.want), &want) //nolint:errcheck // a literal
			for name, v := range got {
				if v == nil && want[name] == nil {
					delete(got, name)
				}
			}
			if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
				t.Errorf("%s %s: sets %s, want %s", line, tt.body, g, w)
			}
			if bytes.Contains([]byte(a.body), []byte("webhook_secret")) {
				t.Errorf("%s %s shows a secret that its caller gave: %s", line, tt.body, a.body)
			}
		}
	}
	a, _ := s.send(t, requestBody("POST /v1/queues", `{"name":"q","webhook_url":"https://h.test/"}`))
	var told struct {
		Secret string `json:"webhook_secret"`
	}
	if err := json.Unmarshal([]byte(a.body), &told); err != nil || told.Secret != "generated" {
		t.Errorf("the secret that was made up is not told: %s", a.body)
	}
}

// TestPullMetrics: the shape, and the filter.
func TestPullMetrics(t *testing.T) {
	s, _ := startPull(t, func(o *Options) { o.Now = func() time.Time { return time.UnixMilli(12_345) } })
	const (
		q = `"q":{"pending":4,"in_flight":5,"delayed":6,"oldest_age_seconds":2.345,"published":1,"delivered":2,"retried":3,"dead_lettered":4,"deferred":5,"expired":6}`
		r = `"r":{"pending":0,"in_flight":0,"delayed":0,"oldest_age_seconds":0.000,"published":0,"delivered":0,"retried":0,"dead_lettered":0,"deferred":0,"expired":0}`
		v = `"fifo":{"lag":8,"paused":true}`
	)
	totals := func(some bool) string {
		if some {
			return `"totals":{"published":1,"delivered":2,"retried":3,"dead_lettered":4}`
		}
		return `"totals":{"published":0,"delivered":0,"retried":0,"dead_lettered":0}`
	}
	for query, want := range map[string]string{
		"":                        `{"queues":{` + q + `,` + r + `},` + totals(true) + `,"v2_queues":{` + v + `},"uptime_seconds":0}`,
		"?queue=r":                `{"queues":{` + r + `},` + totals(false) + `,"v2_queues":{},"uptime_seconds":0}`,
		"?queue=none&queue=%71&x": `{"queues":{` + q + `},` + totals(true) + `,"v2_queues":{},"uptime_seconds":0}`,
		"?queue=fifo":             `{"queues":{},` + totals(false) + `,"v2_queues":{` + v + `},"uptime_seconds":0}`,
	} {
		s.began = time.Now()
		if a, _ := s.send(t, request("GET /v1/metrics"+query)); a.StatusCode != 200 || a.body != want {
			t.Errorf("%s: %d\ngot  %s\nwant %s", query, a.StatusCode, a.body, want)
		}
	}
}

// FuzzPullPublish: whatever a body is, what comes of it is a 4xx, or a message whose text
// is what a JSON parser finds at that place.
func FuzzPullPublish(f *testing.F) {
	for _, seed := range []string{
		`{"queue":"q","message":{"a":1}}`, `{"message":"\ud800","queue":"q","headers":{"a":"b"},"delay_seconds":0.5}`,
		`{"queue":"q","message":[nul]}`, `{"queue":"q","message":-}`, `{"queue":"q" ,"message" : "\\" }`, `{"qu\u0065ue":"q","message":0}`, "{\"queue\":\"0\",\"message\":\"\x11\\b\"}", "{\"queue\":\"q\",\"message\":\"\x01\"}",
	} {
		f.Add([]byte(seed))
	}
	e := newFakePull()
	srv, err := New(Options{Engine: e})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e.lock.Lock()
		e.sent = nil
		e.lock.Unlock()
		x := &exchange{srv: srv, c: &conn{}, route: routePullPublish, who: new(engine.Principal)}
		x.body.b = bytes.Clone(b)
		if err := x.pullPublish(); err != nil {
			if fail := failureOf(err); fail == nil || fail.status >= 500 && !bytes.Contains(b, []byte("full")) {
				t.Fatalf("%q: %v", b, err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%q was published, but: %v", b, err)
		}
		if got := e.messagesSent(); len(got) != 1 || !bytes.Equal(got[0].Body, want["message"]) {
			t.Fatalf("%q: published %q, want %q", b, got, want["message"])
		}
	})
}
