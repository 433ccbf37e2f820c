package httpapi

import (
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// pullWalkRows are the routes of the pull queues for the walks. {pull} is a queue of
// theirs, {pmsg} a message that is leased, {lease} its lease.
var pullWalkRows = []walkRow{
	{name: "pull queue list", access: accessRead, scoped: true, request: "GET /v1/queues"},
	{name: "pull queue", access: accessRead, scoped: true, request: "GET /v1/queues/{pull}"},
	{name: "pull metrics", access: accessRead, scoped: true, request: "GET /v1/metrics?queue={pull}", moves: true},
	{name: "pull extend", scoped: true, request: "POST /v1/messages/{pmsg}/extend", body: `{"visibility_seconds":5,"lease_id":"{lease}"}`},
	{name: "pull release", scoped: true, request: "POST /v1/messages/{pmsg}/release", body: `{"lease_id":"{lease}"}`},
	{name: "pull ack", scoped: true, request: "POST /v1/messages/{pmsg}/ack", body: `{"lease_id":"{lease}"}`},
	{name: "pull ack batch", scoped: true, request: "POST /v1/queues/{pull}/ack", body: `{"acks":[{"lease_id":"{lease}"}]}`},
	{name: "pull queue change", scoped: true, request: "PATCH /v1/queues/{pull}", body: `{"max_retries":9}`},
	{name: "pull queue pause", scoped: true, request: "POST /v1/queues/{pull}/pause"},
	{name: "pull queue resume", scoped: true, request: "POST /v1/queues/{pull}/resume"},
	{name: "pull queue purge", scoped: true, request: "POST /v1/queues/{pull}/purge"},
	{name: "pull queue redrive", scoped: true, request: "POST /v1/queues/{pull}/redrive"},
	{name: "pull receive", scoped: true, request: "POST /v1/queues/{pull}/receive"},
	{name: "pull publish", access: accessPublish, scoped: true, request: "POST /v1/publish", body: `{"queue":"{pull}","message":1}`},
	{name: "pull publish batch", access: accessPublish, scoped: true, request: "POST /v1/queues/{pull}/messages", body: `{"messages":[{"message":1}]}`},
	{name: "pull queue upsert", scoped: true, request: "POST /v1/queues", body: `{"name":"{pull}"}`, moves: true},
	{name: "pull queue delete", scoped: true, request: "DELETE /v1/queues/{pull}"},
}

func init() { walkRows = append(walkRows, pullWalkRows...) }

// addPull makes the things of account 1 that pullWalkRows speaks of.
func (s *walkSite) addPull(t *testing.T) {
	t.Helper()
	queue := secretMark + "-p"
	s.publishPull(t, `{"queue":"`+queue+`","message":"`+secretMark+`"}`)
	m := s.receiveOne(t, queue)
	s.post(t, "messages/"+m.ID+"/extend", `{"visibility_seconds":3600}`, 200, nil)
	s.mine["pull"], s.mine["pmsg"], s.mine["lease"] = queue, m.ID, m.Lease
	s.nobody["pull"], s.nobody["pmsg"], s.nobody["lease"] = "never-p", "msg_2222222222222222222223", "lse_222222222222222222222322222222223"
}

// TestPullLimits: a token that is limited to a queue publishes to that one and consumes
// from it, and to it there is no other, whatever it is asked by.
func TestPullLimits(t *testing.T) {
	addr, eng := startEngine(t, nil, nil)
	s := realSite{addr}
	token := func(spec engine.TokenSpec) func(raw string) string {
		spec.User = 1
		secret, _, err := eng.CreateToken(&spec)
		if err != nil {
			t.Fatal(err)
		}
		return func(raw string) string { return strings.ReplaceAll(raw, goodToken, secret) }
	}
	worker := token(engine.TokenSpec{Queues: []string{"mine", "mine-dlq"}})
	producer := token(engine.TokenSpec{Queues: []string{"mine"}, Access: engine.AccessPublish})
	send := func(as func(string) string, line, body string, status int) {
		t.Helper()
		if a := s.send(t, as(requestBody(line, body))); a.StatusCode != status {
			t.Errorf("%s %s: %d %s, want %d", line, body, a.StatusCode, a.body, status)
		}
	}
	send(producer, "POST /v1/publish", `{"queue":"mine","message":1}`, 200) // makes the queue
	send(producer, "POST /v1/queues/mine/messages", `{"message":2}`, 200)
	send(producer, "POST /v1/queues/mine/receive", "", 403)
	send(producer, "POST /v1/publish", `{"queue":"other","message":1}`, 403)
	send(producer, "POST /v1/queues/other/messages", `{"messages":[{"message":2}]}`, 403)
	s.want(t, request("GET /v1/queues/other"), 404, nil)

	other := s.publishPull(t, `{"queue":"other","message":1}`)
	held := s.receiveOne(t, "other")
	for _, line := range []string{
		"POST /v1/queues/other/receive", "GET /v1/queues/other", "DELETE /v1/queues/other", "POST /v1/queues/other/purge", "POST /v1/queues/other/pause",
		"POST /v1/queues/other/redrive", "POST /v1/queues/none/receive",
	} {
		send(worker, line, "", 403)
	}
	send(worker, "POST /v1/queues/mine/redrive", `{"to":"other"}`, 403)
	send(worker, "POST /v1/queues", `{"name":"mine","dead_letter_queue":"other"}`, 403)
	send(worker, "POST /v1/queues", `{"name":"mine","dead_letter_queue":"mine-dlq"}`, 200)
	for _, line := range []string{"ack", "release", "extend"} {
		send(worker, "POST /v1/messages/"+other+"/"+line, `{"visibility_seconds":5,"lease_id":"`+held.Lease+`"}`, 404)
		send(worker, "POST /v1/messages/"+other+"/"+line, `{"visibility_seconds":5}`, 404)
	}
	send(worker, "GET /v1/messages/"+other, "", 404)
	send(worker, "DELETE /v1/messages/"+other, "", 404)
	if a := s.send(t, worker(requestBody("POST /v1/queues/mine/ack", `{"acks":[`+lease(&held)+`]}`))); !strings.HasPrefix(a.body, `{"ack_count":0,`) {
		t.Errorf("a lease of another queue: %s", a.body)
	}
	for _, line := range []string{"GET /v1/queues", "GET /v1/metrics"} {
		if a := s.send(t, worker(request(line))); a.StatusCode != 200 || strings.Contains(a.body, "other") || !strings.Contains(a.body, "mine") {
			t.Errorf("%s: %d %s", line, a.StatusCode, a.body)
		}
	}
	var got struct{ Messages []pullSeen }
	s.want(t, worker(requestBody("POST /v1/queues/mine/receive", `{"wait_seconds":9,"max_messages":1}`)), 200, &got)
	id := got.Messages[0].ID
	send(worker, "POST /v1/messages/"+id+"/extend", `{"visibility_seconds":60}`, 200)
	send(worker, "GET /v1/messages/"+id, "", 200)
	send(worker, "POST /v1/messages/"+id+"/ack", lease(&got.Messages[0]), 200)

	hosts := token(engine.TokenSpec{Queues: []string{"mine"}, Hosts: []string{"hooks.test"}})
	send(hosts, "PATCH /v1/queues/mine", `{"webhook_url":"http://other.test/"}`, 403)
	send(hosts, "PATCH /v1/queues/mine", `{"webhook_url":"http://hooks.test/"}`, 200)
}
