package httpapi

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// TestPullRoutesRefuse: what is wrong with a call is named, and the engine never sees it.
func TestPullRoutesRefuse(t *testing.T) {
	s, e := startPull(t, func(o *Options) {
		o.CheckDestination = func(url string) error {
			if strings.Contains(url, "refused") {
				return errors.New("endpoint is refused.test")
			}
			return nil
		}
	})
	const (
		noJSON   = "the body is not valid JSON"
		badName  = ": must be 1 to 128 of the characters A-Z a-z 0-9 . _ - and neither . nor .."
		noName   = "the queue name is empty: /v1/queues/{name}"
		noText   = " must be a string without control characters"
		badDelay = ": must be a number of seconds from 0 to 7776000"
		badList  = " must be a list of objects with "
		secret   = "webhook_secret must be a string of 1 to 256 bytes without control characters"
	)
	deep := strings.Repeat("[", 63) + strings.Repeat("]", 63)
	tests := []struct {
		line, body string
		status     int
		text       string
	}{
		{"POST /v1/queues/a%20b/receive", "", 400, `invalid queue name "a%20b"` + badName},
		{"POST /v1/queues/../receive", "", 400, `invalid queue name ".."` + badName},
		{"GET /v1/queues/a:b", "", 400, `invalid queue name "a:b"` + badName},
		{"DELETE /v1/queues/", "", 400, noName},
		{"POST /v1/queues//receive", "", 400, noName},
		{"GET /v1/queues/" + strings.Repeat("q", 129), "", 400, `invalid queue name "` + strings.Repeat("q", 64) + `"... (129 bytes)` + badName},
		{"POST /v1/queues/q/recieve", "", 404, "not found"},
		{"POST /v1/queues/q/receive/", "", 404, "not found"},
		{"GET /v1/metrics/q", "", 404, "not found"},
		{"POST /v1/messages//ack", "", 400, "the message id is empty: /v1/messages/{id}"},

		{"POST /v1/publish", "", 400, noJSON},
		{"POST /v1/publish", `{"queue":"q","message":1`, 400, noJSON},
		{"POST /v1/publish", `{"queue":"q","message":01}`, 400, noJSON},
		{"POST /v1/publish", `[]`, 400, "the body must be a JSON object with queue and message: not an object"},
		{"POST /v1/publish", `{"queue":"q","queue":"q"}`, 400, `the body must be a JSON object with queue and message: "queue" is there twice`},
		{"POST /v1/publish", `{"message":1}`, 400, "queue is missing: it must be the name of a queue"},
		{"POST /v1/publish", `{"queue":null,"message":1}`, 400, `invalid queue ""` + badName},
		{"POST /v1/publish", `{"queue":"","message":1}`, 400, `invalid queue ""` + badName},
		{"POST /v1/publish", `{"queue":7,"message":1}`, 400, "queue" + noText},
		{"POST /v1/publish", `{"queue":"a/b","message":1}`, 400, `invalid queue "a/b"` + badName},
		{"POST /v1/publish", `{"queue":"q"}`, 400, "message is missing: it can be any JSON value, null included"},
		{"POST /v1/publish", `{"queue":"q","message":` + deep + `}`, 200, ""},
		{"POST /v1/publish", `{"queue":"q","message":[` + deep + `]}`, 400, "the body is nested deeper than 64 levels of JSON"},
		{"POST /v1/publish", `{"queue":"q","message":"` + "\xff" + `"}`, 400, "message is not valid UTF-8"},
		{"POST /v1/publish", `{"queue":"q","message":"` + strings.Repeat("x", 1<<20-1) + `"}`, 413, "the message is larger than the limit of 1048576 bytes"},
		{"POST /v1/publish", `{"queue":"q","message":1,"x":"` + strings.Repeat("x", 1<<20+128<<10) + `"}`, 413, "the body is larger than the limit of 1179648 bytes"},
		{"POST /v1/publish", `{"queue":"q","message":1,"delay_seconds":-1}`, 400, `invalid delay_seconds "-1"` + badDelay},
		{"POST /v1/publish", `{"queue":"q","message":1,"delay_seconds":-0.001}`, 400, `invalid delay_seconds "-0.001"` + badDelay},
		{"POST /v1/publish", `{"queue":"q","message":1,"delay_seconds":7776001}`, 400, `invalid delay_seconds "7776001"` + badDelay},
		{"POST /v1/publish", `{"queue":"q","message":1,"delay_seconds":1e999}`, 400, `invalid delay_seconds "1e999"` + badDelay},
		{"POST /v1/publish", `{"queue":"q","message":1,"delay_seconds":"5"}`, 400, `invalid delay_seconds "\"5\""` + badDelay},
		{"POST /v1/publish", `{"queue":"q","message":1,"delay_seconds":true}`, 400, `invalid delay_seconds "true"` + badDelay},
		{"POST /v1/publish", `{"queue":"q","message":1,"idempotency_key":5}`, 400, "idempotency_key" + noText},
		{"POST /v1/publish", `{"queue":"q","message":1,"idempotency_key":"a\u0000"}`, 400, "idempotency_key" + noText},
		{"POST /v1/publish", `{"queue":"q","message":1,"idempotency_key":"` + strings.Repeat("k", 257) + `"}`, 400, `invalid idempotency_key "` + strings.Repeat("k", 64) + `"... (257 bytes): must be at most 256 bytes`},
		{"POST /v1/publish", `{"queue":"q","message":1,"group":"` + strings.Repeat("g", 257) + `"}`, 400, `invalid group "` + strings.Repeat("g", 64) + `"... (257 bytes): must be at most 256 bytes`},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":["x"]}`, 400, "headers must be an object"},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":{"a b":"c"}}`, 400, `"a b" is not the name of a header`},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":{"X":5}}`, 400, `the header "X" must be a string without control characters, or a list of them`},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":{"X":"a\r\nY: b"}}`, 400, `the header "X" must be a string without control characters, or a list of them`},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":{"X":"a","x":"b"}}`, 400, `headers: "X" is there twice`},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":{"X":["a","b"]}}`, 400, `headers: "X" is there twice`},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":{"QStash-Signature":"a"}}`, 400, `headers: "QStash-Signature" is one that the server itself sets, or that belongs to a connection`},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":{"content-length":"1"}}`, 400, `headers: "content-length" is one that the server itself sets, or that belongs to a connection`},
		{"POST /v1/publish", `{"queue":"q","message":1,"headers":{"Upstash-Delay":"1"}}`, 400, `headers: "Upstash-Delay" is one that the server itself sets, or that belongs to a connection`},

		{"POST /v1/queues/q/messages", `{}`, 400, "message is missing: it can be any JSON value, null included"},
		{"POST /v1/queues/q/messages", `{"messages":[],"message":1}`, 400, "messages and message: only one of them can be there"},
		{"POST /v1/queues/q/messages", `{"messages":{}}`, 400, "messages" + badList + "message"},
		{"POST /v1/queues/q/messages", `{"messages":null}`, 400, "messages" + badList + "message"},
		{"POST /v1/queues/q/messages", `{"messages":[]}`, 400, "messages is empty: it must hold at least one"},
		{"POST /v1/queues/q/messages", `{"messages":[{"message":1},2]}`, 400, "messages[1]: not an object"},
		{"POST /v1/queues/q/messages", `{"messages":[{"message":1,"message":2}]}`, 400, `messages[0]: "message" is there twice`},
		{"POST /v1/queues/q/messages", `{"messages":[` + strings.Repeat(`{"message":1},`, 100) + `{"message":1}]}`, 400, "messages: at most 100 can be published at once"},
		{"POST /v1/queues/q/messages", `{"messages":[],"x":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "the body is larger than the limit of 10485760 bytes"},

		{"POST /v1/queues/q/receive", `{`, 400, noJSON},
		{"POST /v1/queues/q/receive", `null`, 400, "the body must be a JSON object with max_messages, wait_seconds and visibility_seconds: not an object"},
		{"POST /v1/queues/q/receive", `{"max_messages":0}`, 400, `invalid max_messages "0": must be a whole number from 1 to 100`},
		{"POST /v1/queues/q/receive", `{"max_messages":101}`, 400, `invalid max_messages "101": must be a whole number from 1 to 100`},
		{"POST /v1/queues/q/receive", `{"max_messages":1.5}`, 400, `invalid max_messages "1.5": must be a whole number from 1 to 100`},
		{"POST /v1/queues/q/receive", `{"wait_seconds":20.5}`, 400, `invalid wait_seconds "20.5": must be a number of seconds from 0 to 20`},
		{"POST /v1/queues/q/receive", `{"wait_seconds":-1}`, 400, `invalid wait_seconds "-1": must be a number of seconds from 0 to 20`},
		{"POST /v1/queues/q/receive", `{"visibility_seconds":0}`, 400, `invalid visibility_seconds "0": must be a number of seconds from 1 to 43200`},
		{"POST /v1/queues/q/receive", `{"visibility_seconds":43201}`, 400, `invalid visibility_seconds "43201": must be a number of seconds from 1 to 43200`},

		{"POST /v1/messages/msg_one/ack", `{"lease_id":5}`, 400, "lease_id" + noText},
		{"POST /v1/messages/msg_one/ack", `{"lease_id":"` + strings.Repeat("l", 257) + `"}`, 400, `invalid lease_id "` + strings.Repeat("l", 64) + `"... (257 bytes): must be at most 256 bytes`},
		{"POST /v1/messages/msg_one/release", `{"delay_seconds":43201}`, 400, `invalid delay_seconds "43201": must be a number of seconds from 0 to 43200`},
		{"POST /v1/messages/msg_one/extend", "", 400, noJSON},
		{"POST /v1/messages/msg_one/extend", `{}`, 400, "visibility_seconds is missing: it must be a number of seconds"},
		{"POST /v1/messages/msg_one/extend", `{"visibility_seconds":0}`, 400, `invalid visibility_seconds "0": must be a number of 1 or more; to give a message back, release it`},
		{"POST /v1/messages/msg_one/extend", `{"visibility_seconds":"60"}`, 400, `invalid visibility_seconds "\"60\"": must be a number of 1 or more; to give a message back, release it`},
		{"POST /v1/queues/q/ack", "", 400, noJSON},
		{"POST /v1/queues/q/ack", `{"acks":"l1"}`, 400, "acks" + badList + "lease_id"},
		{"POST /v1/queues/q/ack", `{"acks":[{"lease_id":"l1"},"l2"]}`, 400, "acks[1]: not an object"},
		{"POST /v1/queues/q/ack", `{"acks":[{}]}`, 400, "acks[0]: lease_id is missing"},
		{"POST /v1/queues/q/ack", `{"acks":[{"lease_id":"l1"}],"retries":[{"lease_id":""}]}`, 400, "retries[0]: lease_id is missing"},
		{"POST /v1/queues/q/ack", `{"retries":[{"lease_id":"l","delay_seconds":-1}]}`, 400, `retries[0]: invalid delay_seconds "-1": must be a number of seconds from 0 to 43200`},
		{"POST /v1/queues/q/ack", `{"acks":[` + strings.Repeat(`{"lease_id":"l1"},`, 1000) + `{"lease_id":"l1"}]}`, 400, "acks and retries: at most 1000 at once"},

		{"POST /v1/queues", `{}`, 400, "name is missing: it must be the name of the queue"},
		{"POST /v1/queues", `{"name":"a b"}`, 400, `invalid name "a b"` + badName},
		{"POST /v1/queues", `{"name":"q","dead_letter_queue":"a b"}`, 400, `invalid dead_letter_queue "a b"` + badName},
		{"POST /v1/queues", `{"name":"q","dead_letter_queue":"q"}`, 400, "dead_letter_queue must differ from the queue's own name"},
		{"POST /v1/queues", `{"name":"q","max_retries":1001}`, 400, `invalid max_retries "1001": must be a whole number from 0 to 1000`},
		{"POST /v1/queues", `{"name":"q","visibility_seconds":0}`, 400, `invalid visibility_seconds "0": must be a whole number of seconds from 1 to 43200`},
		{"POST /v1/queues", `{"name":"q","retention_seconds":59}`, 400, `invalid retention_seconds "59": must be a whole number of seconds from 60 to 315360000`},
		{"POST /v1/queues", `{"name":"q","delay_seconds":1.5}`, 400, `invalid delay_seconds "1.5": must be a whole number of seconds from 0 to 7776000`},
		{"POST /v1/queues", `{"name":"q","max_concurrency":0}`, 400, `invalid max_concurrency "0": must be a whole number from 1 to 1000`},
		{"POST /v1/queues", `{"name":"q","timeout_seconds":7201}`, 400, `invalid timeout_seconds "7201": must be a whole number of seconds from 1 to 7200`},
		{"POST /v1/queues", `{"name":"q","retry_delay":"pow("}`, 400, ""},
		{"POST /v1/queues", `{"name":"q","webhook_url":"h.test/x"}`, 400, "webhook_url: invalid destination url: endpoint has invalid scheme, add http:// or https://"},
		{"POST /v1/queues", `{"name":"q","webhook_url":"ftp://h.test/x"}`, 400, "webhook_url: invalid destination url: endpoint has invalid scheme, add http:// or https://"},
		{"POST /v1/queues", `{"name":"q","webhook_url":"http://u:p@h.test/"}`, 400, "webhook_url: invalid destination url: it contains a user name or password; use an Upstash-Forward-Authorization header"},
		{"POST /v1/queues", `{"name":"q","webhook_url":"http://refused.test/"}`, 400, "webhook_url: invalid destination url: endpoint is refused.test"},
		{"POST /v1/queues", `{"name":"q","webhook_url":5}`, 400, "webhook_url: webhook_url" + noText},
		{"POST /v1/queues", `{"name":"q","webhook_secret":""}`, 400, secret},
		{"POST /v1/queues", `{"name":"q","webhook_secret":5}`, 400, secret},
		{"POST /v1/queues", `{"name":"q","webhook_secret":"` + strings.Repeat("canary", 50) + `"}`, 400, secret},
		{"PATCH /v1/queues/q", `{"name":"r"}`, 400, `invalid name "r": a queue cannot be renamed`},
		{"PATCH /v1/queues/none", `{"max_retries":1}`, 404, "not found"},
		{"POST /v1/queues/q/redrive", `{"to":"q"}`, 400, "to must differ from the queue's own name"},
		{"POST /v1/queues/q/redrive", `{"to":"a b"}`, 400, `invalid to "a b"` + badName},
		{"POST /v1/queues/q/redrive", `{"max":0}`, 400, `invalid max "0": must be a whole number from 1 to 1073741824`},
		{"GET /v1/metrics?queue=a%20b", "", 400, `invalid queue "a b"` + badName},
		{"GET /v1/metrics?" + strings.Repeat("queue=q&", 1001), "", 400, "queue: at most 1000 can be named"},
	}
	for _, tt := range tests {
		t.Run(tt.line[:min(len(tt.line), 40)]+tt.body[:min(len(tt.body), 60)], func(t *testing.T) {
			a, _ := s.send(t, requestBody(tt.line, tt.body))
			want := string(appendError(nil, tt.text))
			if a.StatusCode != tt.status || tt.text != "" && a.body != want {
				t.Errorf("got  %d %s\nwant %d %s", a.StatusCode, a.body, tt.status, want)
			}
			if tt.status == 400 {
				if asked := e.take(); len(asked) > 0 {
					t.Errorf("the engine was asked %v", asked)
				}
			}
			lookForSecrets(t, "the answer", a.body)
		})
	}
	if got := e.messagesSent(); len(got) != 1 {
		t.Errorf("published %d messages, want the one that was right", len(got))
	}
}

// TestPullRoutesMatch: which route a path takes, and what of it is the argument. What is
// not of this API is version 1's.
func TestPullRoutesMatch(t *testing.T) {
	tests := []struct {
		method, path string
		route        *route
		arg          string
	}{
		{"POST", "/v1/publish", routePullPublish, ""},
		{"POST", "/V1/Publish/", routePullPublish, ""},
		{"GET", "/v1/queues", routePullQueues, ""},
		{"POST", "/v1/queues/", routePullQueueSet, ""},
		{"GET", "/v1/queues/a.b", routePullQueue, "a.b"},
		{"GET", "/v1/queues/receive", routePullQueue, "receive"},
		{"PATCH", "/v1/queues/q", routePullQueuePatch, "q"},
		{"DELETE", "/v1/queues/q", routePullQueueDelete, "q"},
		{"POST", "/v1/queues/Q/Receive", routePullReceive, "Q"},
		{"POST", "/v1/queues/q/pull", routePullReceive, "q"},
		{"POST", "/v1/queues/q/messages", routePullBatch, "q"},
		{"POST", "/v1/queues/q/ack", pullQueueOperations["ack"], "q"},
		{"POST", "/v1/queues/q/redrive", pullQueueOperations["redrive"], "q"},
		{"POST", "/v1/messages/msg_1/ack", routePullAck, "msg_1"},
		{"POST", "/v1/messages/msg_1/nack", routePullRelease, "msg_1"},
		{"POST", "/v1/messages/msg_1/release", routePullRelease, "msg_1"},
		{"POST", "/v1/messages/msg_1/extend", routePullExtend, "msg_1"},
		{"GET", "/v1/metrics", routePullMetrics, ""},
	}
	for _, tt := range tests {
		r, arg, fail := match(tt.method, []byte(tt.path))
		if fail != nil || r != tt.route || string(arg) != tt.arg {
			t.Errorf("%s %s: %v %q %v, want %v %q", tt.method, tt.path, r, arg, fail, tt.route, tt.arg)
		}
	}
	for _, path := range []string{"publish:/a-topic", "publish:/https://h/x", "messages:", "messages:/msg_1", "messages:/msg_1/logs", "messages:/msg_1/tasks", "topics:", "metric:"} {
		family, rest, _ := strings.Cut(path, ":")
		for _, method := range methods {
			if r, _, fail, mine := matchPull(method, family, []byte(rest)); mine {
				t.Errorf("%s /v1/%s%s is taken: %v %v", method, family, rest, r, fail)
			}
		}
	}
	for _, path := range []string{"/v1/publish", "/v1/queues", "/v1/queues/q", "/v1/queues/q/receive", "/v1/messages/m/ack", "/v1/metrics"} {
		if _, _, fail := find("PUT", []byte(path)); fail == nil || fail.status != 405 || fail.allow == "" {
			t.Errorf("PUT %s: %+v, want a 405", path, fail)
		}
	}
}

// TestPullFailures: what the engine cannot do is told, and asks to come back where that
// helps.
func TestPullFailures(t *testing.T) {
	s, e := startPull(t, nil)
	tests := []struct {
		err    error
		status int
	}{
		{engine.ErrNotFound, 404},
		{engine.ErrLeaseLost, 409},
		{engine.ErrPushQueue, 409},
		{engine.ErrOverloaded, 503},
		{engine.ErrDiskFull, 507},
		{&engine.LimitError{Text: "dead_letter_queue: q, d and q would be a circle"}, 400},
		{errors.New("pebble: canary"), 500},
	}
	calls := []string{
		requestBody("POST /v1/publish", `{"queue":"q","message":1}`),
		requestBody("POST /v1/queues", `{"name":"q"}`),
		request("POST /v1/queues/q/receive"),
		request("POST /v1/messages/msg_one/ack"),
		request("POST /v1/messages/msg_one/release"),
		requestBody("POST /v1/messages/msg_one/extend", `{"visibility_seconds":1}`),
		request("GET /v1/queues"),
		request("GET /v1/metrics"),
	}
	for _, tt := range tests {
		e.fails = tt.err
		for _, raw := range calls {
			a, _ := s.send(t, raw)
			if a.StatusCode != tt.status || (a.Header.Get("Retry-After") != "") != (tt.status == 503 || tt.status == 507) {
				t.Errorf("%v: %.40q answers %d %v %s", tt.err, raw, a.StatusCode, a.Header, a.body)
			}
			lookForSecrets(t, "the answer", a.body)
		}
	}
	e.fails = engine.ErrOverloaded
	for _, raw := range []string{
		requestBody("POST /v1/queues/q/messages", `{"messages":[{"message":1},{"message":2}]}`),
		requestBody("POST /v1/queues/q/ack", `{"acks":[{"lease_id":"l1"},{"lease_id":"none"}]}`),
	} {
		if a, _ := s.send(t, raw); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("a batch of which nothing was done answers %d %s", a.StatusCode, a.body)
		}
	}
}
