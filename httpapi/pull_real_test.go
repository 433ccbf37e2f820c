package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// pullSeen is a message as a consumer decodes it.
type pullSeen struct {
	ID       string `json:"message_id"`
	Lease    string `json:"lease_id"`
	Queue    string
	Message  json.RawMessage
	Attempts int
	Headers  map[string]string
	Group    string
	Received int64 `json:"first_received_at"`
	Visible  int64 `json:"visible_at"`
	Dead     *struct {
		Source   string `json:"source_queue"`
		Reason   string
		Attempts int
		At       int64
	} `json:"dead_letter"`
}

func (s realSite) post(t testing.TB, path, body string, status int, v any) {
	t.Helper()
	s.want(t, requestBody("POST /v1/"+path, body), status, v)
}

func (s realSite) receive(t testing.TB, queue, body string) []pullSeen {
	t.Helper()
	var got struct{ Messages []pullSeen }
	s.post(t, "queues/"+queue+"/receive", body, 200, &got)
	return got.Messages
}

// receiveOne receives one message, which comes within ten seconds.
func (s realSite) receiveOne(t testing.TB, queue string) pullSeen {
	t.Helper()
	got := s.receive(t, queue, `{"wait_seconds":9,"max_messages":1}`)
	if len(got) != 1 {
		t.Fatalf("received %d messages from %s, want one", len(got), queue)
	}
	return got[0]
}

func (s realSite) publishPull(t testing.TB, body string) (id string) {
	t.Helper()
	var sent struct {
		ID string `json:"message_id"`
	}
	s.post(t, "publish", body, 200, &sent)
	return sent.ID
}

func lease(m *pullSeen) string { return fmt.Sprintf(`{"lease_id":%q}`, m.Lease) }

// TestPullConsumeEndToEnd is the life of a lease over the wire (QUEUES.md B.4).
func TestPullConsumeEndToEnd(t *testing.T) {
	s := realSite{startReal(t)}
	s.post(t, "queues/jobs/receive", "", 404, nil)
	text := `{"b" : 1.50,"a":[1e2,"é\u00e9\/"], "b":2}`
	id := s.publishPull(t, `{"queue":"jobs","message":`+text+`,"headers":{"x-trace":"t"},"idempotency_key":"k"}`)
	if again := s.publishPull(t, `{"queue":"jobs","message":"other","idempotency_key":"k"}`); again != id {
		t.Errorf("published again as %s, first as %s", again, id)
	}
	m := s.receiveOne(t, "jobs")
	if m.ID != id || string(m.Message) != text || m.Attempts != 1 || m.Queue != "jobs" || m.Headers["X-Trace"] != "t" || m.Received == 0 || m.Visible < m.Received+29_000 || m.Lease == "" {
		t.Errorf("received %+v", m)
	}
	if got := s.receive(t, "jobs", ""); len(got) != 0 {
		t.Errorf("a leased message is received: %+v", got)
	}

	// Prolonged by the lease that there is, never shortened, and visible so.
	var extended struct {
		ID      string `json:"message_id"`
		Visible int64  `json:"visible_at"`
	}
	s.post(t, "messages/"+id+"/extend", `{"visibility_seconds":600}`, 200, &extended)
	if extended.ID != id || extended.Visible < m.Visible+500_000 {
		t.Errorf("extended to %+v from %d", extended, m.Visible)
	}
	until := extended.Visible
	s.post(t, "messages/"+id+"/extend", `{"visibility_seconds":1,"lease_id":"`+m.Lease+`"}`, 200, &extended)
	var seen pullSeen
	s.want(t, request("GET /v1/messages/"+id), 200, &seen)
	if extended.Visible != until || seen.Visible != until || seen.Lease != m.Lease {
		t.Errorf("extended to %d, then %d, seen as %+v", until, extended.Visible, seen)
	}

	// Given back, it has a new lease, and the old one is lost.
	s.post(t, "messages/"+id+"/release", lease(&m), 200, nil)
	s.post(t, "messages/"+id+"/extend", `{"visibility_seconds":5}`, 409, nil)
	second := s.receiveOne(t, "jobs")
	if second.ID != id || second.Attempts != 2 || second.Lease == m.Lease {
		t.Errorf("received again: %+v", second)
	}
	for _, operation := range []string{"ack", "release", "extend"} {
		s.post(t, "messages/"+id+"/"+operation, `{"visibility_seconds":5,"lease_id":"`+m.Lease+`"}`, 409, nil)
	}
	s.post(t, "messages/"+id+"/ack", lease(&second), 200, nil)
	s.post(t, "messages/"+id+"/ack", lease(&second), 200, nil) // it is gone: once more changes nothing
	s.post(t, "messages/"+id+"/ack", "", 404, nil)
	s.want(t, request("GET /v1/messages/"+id), 404, nil)
	s.want(t, request("DELETE /v1/messages/"+id), 404, nil)

	// Deleted while somebody has it.
	id = s.publishPull(t, `{"queue":"jobs","message":1}`)
	m = s.receiveOne(t, "jobs")
	s.want(t, request("DELETE /v1/messages/"+id), 202, nil)
	s.post(t, "messages/"+id+"/extend", `{"visibility_seconds":5}`, 404, nil)
	s.post(t, "messages/"+id+"/release", lease(&m), 404, nil)
}

// TestPullBatchesEndToEnd: what is published in one call is received in one, and settled
// in one; leases find their messages, of this queue only.
func TestPullBatchesEndToEnd(t *testing.T) {
	s := realSite{startReal(t)}
	s.post(t, "queues/q/messages", `{"messages":[{"message":0},{"message":1},{"message":2},{"message":3,"delay_seconds":3600},{"x":1}]}`, 200, nil)
	s.publishPull(t, `{"queue":"other","message":"o"}`)
	got := s.receive(t, "q", `{"max_messages":100,"wait_seconds":9}`)
	for len(got) < 3 {
		got = append(got, s.receive(t, "q", `{"max_messages":100,"wait_seconds":9}`)...)
	}
	other := s.receiveOne(t, "other")
	var settled struct {
		Acks     int `json:"ack_count"`
		Retries  int `json:"retry_count"`
		Warnings []string
	}
	s.post(t, "queues/q/ack", fmt.Sprintf(`{"acks":[%s,%s,%s],"retries":[{"lease_id":%q},{"lease_id":"nonsense"}]}`,
		lease(&got[0]), lease(&got[1]), lease(&other), got[2].Lease), 200, &settled)
	if settled.Acks != 2 || settled.Retries != 1 || len(settled.Warnings) != 2 ||
		!strings.HasPrefix(settled.Warnings[0], "acks[2]: ") || !strings.HasPrefix(settled.Warnings[1], "retries[1]: ") {
		t.Errorf("settled %+v", settled)
	}
	if again := s.receiveOne(t, "q"); string(again.Message) != string(got[2].Message) || again.Attempts != 2 {
		t.Errorf("of the queue is left %+v, want %s", again, got[2].Message)
	}
	s.want(t, request("GET /v1/messages/"+other.ID), 200, nil)

	var metrics struct {
		Queues map[string]struct{ Pending, Delayed, Published, Delivered, Retried int }
	}
	s.want(t, request("GET /v1/metrics?queue=q"), 200, &metrics)
	if q := metrics.Queues["q"]; len(metrics.Queues) != 1 || q.Published != 4 || q.Delivered != 2 || q.Delayed != 1 || q.Retried != 1 {
		t.Errorf("metrics %+v", metrics)
	}
	var purged struct{ Purged int }
	s.post(t, "queues/q/purge", "", 200, &purged)
	if purged.Purged != 2 {
		t.Errorf("purged %d, want the leased one and the delayed one", purged.Purged)
	}
}

// TestPullReceiveWaits: a receive that waits is answered with what is published meanwhile,
// and messages of one group come one at a time, in order.
func TestPullReceiveWaits(t *testing.T) {
	s := realSite{startReal(t)}
	s.post(t, "queues", `{"name":"q"}`, 200, nil)
	got := make(chan []pullSeen)
	go func() { got <- s.receive(t, "q", `{"wait_seconds":9}`) }()
	for i := range 3 {
		s.publishPull(t, fmt.Sprintf(`{"queue":"q","message":%d,"group":"g"}`, i))
	}
	for i := range 3 {
		ms := <-got
		if len(ms) != 1 || string(ms[0].Message) != fmt.Sprint(i) || ms[0].Group != "g" {
			t.Fatalf("turn %d: received %+v", i, ms)
		}
		if more := s.receive(t, "q", ""); len(more) != 0 {
			t.Errorf("beside the first of its group: %+v", more)
		}
		if i < 2 {
			go func() { got <- s.receive(t, "q", `{"wait_seconds":9}`) }()
		}
		s.post(t, "messages/"+ms[0].ID+"/ack", lease(&ms[0]), 200, nil)
	}
}

// TestPullQueuesEndToEnd: definitions, pausing, dead letter queues and their way back, and
// that the queues of both APIs are apart.
func TestPullQueuesEndToEnd(t *testing.T) {
	s := realSite{startReal(t)}
	const canary = "canary-of-the-webhook"
	s.post(t, "queues", `{"name":"push","webhook_url":"http://127.0.0.1:9/x","webhook_secret":"`+canary+`","webhook_secret_next":"`+canary+`2"}`, 200, nil)
	s.post(t, "queues/push/receive", "", 409, nil)
	for _, line := range []string{"GET /v1/queues/push", "GET /v1/queues", "GET /v1/metrics", "GET /v2/queues", "POST /v1/queues/push/pause", "POST /v1/queues/push/resume"} {
		if a := s.send(t, request(line)); a.StatusCode != 200 || strings.Contains(a.body, "canary") {
			t.Errorf("%s: %d %s", line, a.StatusCode, a.body)
		}
	}
	a := s.send(t, requestBody("PATCH /v1/queues/push", `{"timeout_seconds":5}`))
	if a.StatusCode != 200 || strings.Contains(a.body, "secret") || !strings.Contains(a.body, `"timeout_seconds":5,`) {
		t.Errorf("changed: %d %s", a.StatusCode, a.body)
	}

	s.post(t, "queues", `{"name":"src","dead_letter_queue":"dlq","max_retries":0}`, 200, nil)
	s.post(t, "queues", `{"name":"dlq","dead_letter_queue":"src"}`, 400, nil)
	id := s.publishPull(t, `{"queue":"src","message":"m"}`)
	m := s.receiveOne(t, "src")
	s.post(t, "messages/"+id+"/nack", lease(&m), 200, nil)
	m = s.receiveOne(t, "dlq")
	if m.ID != id || m.Queue != "dlq" || m.Attempts != 1 || m.Dead == nil || m.Dead.Source != "src" || m.Dead.Attempts != 1 || m.Dead.At == 0 || m.Dead.Reason == "" {
		t.Errorf("in the dead letter queue: %+v", m)
	}
	s.post(t, "messages/"+id+"/release", lease(&m), 200, nil)
	var moved struct{ Moved int }
	s.post(t, "queues/dlq/redrive", `{"max":5}`, 200, &moved)
	if moved.Moved != 1 {
		t.Errorf("moved %d", moved.Moved)
	}
	s.post(t, "queues/src/pause", "", 200, nil)
	if got := s.receive(t, "src", `{"wait_seconds":0.2}`); len(got) != 0 {
		t.Errorf("a paused queue hands out %+v", got)
	}
	s.post(t, "queues/src/resume", "", 200, nil)
	if m = s.receiveOne(t, "src"); m.ID != id || m.Attempts != 1 {
		t.Errorf("moved back: %+v", m)
	}

	s.want(t, requestBody("POST /v2/queues", `{"queueName":"src"}`), 200, nil)
	var fifo []struct{ Name string }
	s.want(t, request("GET /v2/queues"), 200, &fifo)
	if len(fifo) != 1 || fifo[0].Name != "src" {
		t.Errorf("the queues of version 2 are %+v", fifo)
	}
	s.want(t, request("GET /v2/messages/"+id), 404, nil)
	s.want(t, request("DELETE /v1/queues/src"), 200, nil)
	s.want(t, request("GET /v1/queues/src"), 404, nil)
	s.want(t, request("GET /v1/messages/"+id), 404, nil)
	s.want(t, request("GET /v2/queues/src"), 200, nil)
}

// TestPullAccountsAreApart: what another account has is answered as what nobody has, to
// the byte, and stays as it is.
func TestPullAccountsAreApart(t *testing.T) {
	s := realSite{startReal(t)}
	id := s.publishPull(t, `{"queue":"mine","message":"m","idempotency_key":"k"}`)
	m := s.receiveOne(t, "mine")
	none := s.publishPull(t, `{"queue":"gone","message":"m"}`)
	gone := s.receiveOne(t, "gone")
	s.want(t, request("DELETE /v1/messages/"+none), 202, nil)
	s.want(t, request("DELETE /v1/queues/gone"), 200, nil)
	lines := []struct{ line, body string }{
		{"GET /v1/messages/ID", ""},
		{"DELETE /v1/messages/ID", ""},
		{"GET /v2/messages/ID", ""},
		{"DELETE /v2/messages/ID", ""},
		{"POST /v1/messages/ID/ack", ""},
		{"POST /v1/messages/ID/ack", `{"lease_id":"LEASE"}`},
		{"POST /v1/messages/ID/release", ""},
		{"POST /v1/messages/ID/release", `{"lease_id":"LEASE"}`},
		{"POST /v1/messages/ID/extend", `{"visibility_seconds":5}`},
		{"POST /v1/messages/ID/extend", `{"visibility_seconds":5,"lease_id":"LEASE"}`},
		{"GET /v1/queues/QUEUE", ""},
		{"PATCH /v1/queues/QUEUE", `{"max_retries":1}`},
		{"DELETE /v1/queues/QUEUE", ""},
		{"POST /v1/queues/QUEUE/receive", ""},
		{"POST /v1/queues/QUEUE/receive", `{"wait_seconds":9}`},
		{"POST /v1/queues/QUEUE/ack", `{"acks":[{"lease_id":"LEASE"}]}`},
		{"POST /v1/queues/QUEUE/purge", ""},
		{"POST /v1/queues/QUEUE/pause", ""},
		{"POST /v1/queues/QUEUE/resume", ""},
		{"POST /v1/queues/QUEUE/redrive", ""},
		{"GET /v1/metrics?queue=QUEUE", ""},
		{"GET /v1/queues", ""},
	}
	for _, tt := range lines {
		as := func(id, lease, queue string) answer {
			r := strings.NewReplacer("ID", id, "LEASE", lease, "QUEUE", queue)
			return s.send(t, asOther(requestBody(r.Replace(tt.line), r.Replace(tt.body))))
		}
		theirs, nobodys := as(id, m.Lease, "mine"), as(none, gone.Lease, "gone")
		if theirs.StatusCode != nobodys.StatusCode || theirs.body != nobodys.body {
			t.Errorf("%s %s: of another account %d %s, of nobody %d %s", tt.line, tt.body, theirs.StatusCode, theirs.body, nobodys.StatusCode, nobodys.body)
		}
	}
	var own struct {
		ID           string `json:"message_id"`
		Deduplicated bool
	}
	s.want(t, asOther(requestBody("POST /v1/publish", `{"queue":"mine","message":"theirs","idempotency_key":"k"}`)), 200, &own)
	if own.ID == id || own.Deduplicated {
		t.Errorf("the other account's key found %+v", own)
	}
	var seen pullSeen
	s.want(t, request("GET /v1/messages/"+id), 200, &seen)
	if seen.Lease != m.Lease || seen.Attempts != 1 || string(seen.Message) != `"m"` {
		t.Errorf("after all that the message is %+v", seen)
	}
	if a := s.send(t, requestBody("POST /v1/messages/"+id+"/ack", lease(&m))); a.StatusCode != http.StatusOK {
		t.Errorf("its holder's ack: %d %s", a.StatusCode, a.body)
	}
}
