package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// TestLimitedTokens: what a token is limited to holds wherever a queue, a group or a URL
// is named, and nothing else is seen or touched by its holder.
func TestLimitedTokens(t *testing.T) {
	addr, eng := startEngine(t, nil, nil)
	s := realSite{addr}
	make := func(spec engine.TokenSpec) string {
		spec.User = 1
		secret, _, err := eng.CreateToken(&spec)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	for _, body := range []string{`{"queueName":"in"}`, `{"queueName":"out"}`} {
		s.same(t, requestBody("POST /v2/queues", body), 200, "{}")
	}
	for _, g := range []string{"in", "out"} {
		s.same(t, requestBody("POST /v2/topics/"+g+"/endpoints", `{"endpoints":[{"url":"http://a.test/"}]}`), 200, "{}")
	}
	s.same(t, requestBody("PATCH /v2/topics/in", `{"headers":{"Upstash-Callback":"http://owner.test/"}}`), 200, "{}")
	var inQueue, toURL struct{ MessageID string }
	s.want(t, request("POST /v2/enqueue/in/http://a.test/", "Upstash-Delay: 1h"), 200, &inQueue)
	s.want(t, request("POST /v2/publish/http://other.test/", "Upstash-Delay: 1h"), 200, &toURL)
	s.want(t, request("POST /v2/schedules/http://other.test/", "Upstash-Cron: 0 0 1 1 *", "Upstash-Schedule-Id: other"), 200, nil)

	queue := make(engine.TokenSpec{Queues: []string{"in"}})
	group := make(engine.TokenSpec{Groups: []string{"in"}})
	host := make(engine.TokenSpec{Hosts: []string{"a.test", "*.b.test"}})
	hostOnly := make(engine.TokenSpec{Hosts: []string{"a.test"}, Access: engine.AccessPublish})
	const delay, cron = "Upstash-Delay: 1h", "Upstash-Cron: 0 0 1 1 *"
	for _, c := range []struct {
		token, raw string
		status     int
	}{
		{queue, request("POST /v2/enqueue/in/http://other.test/", delay), 200},
		{queue, request("POST /v2/publish/http://other.test/", delay, "Upstash-Queue-Name: in"), 200},
		{queue, request("POST /v2/publish/http://other.test/?upstash-queue-name=in", delay), 200},
		{queue, request("POST /v2/enqueue/out/http://other.test/", delay), 403},
		{queue, request("POST /v2/enqueue/new/http://other.test/", delay), 403},
		{queue, request("POST /v2/publish/http://other.test/", delay), 403},
		{queue, request("GET /v2/queues/in"), 200},
		{queue, request("GET /v2/queues/out"), 403},
		{queue, request("GET /v2/queues/none"), 403},
		{queue, requestBody("POST /v2/queues", `{"queueName":"in","parallelism":2}`), 200},
		{queue, requestBody("POST /v2/queues", `{"queueName":"out","parallelism":2}`), 403},
		{queue, request("POST /v2/queues/out/pause"), 403},
		{queue, request("DELETE /v2/queues/out"), 403},
		{queue, request("GET /v2/topics/in"), 403},
		{queue, request("DELETE /v2/topics/in"), 403},
		{queue, request("GET /v2/messages/" + inQueue.MessageID), 200},
		{queue, request("GET /v2/messages/" + toURL.MessageID), 404},
		{queue, request("DELETE /v2/messages/" + toURL.MessageID), 404},
		{queue, request("GET /v2/schedules/other"), 404},
		{queue, request("POST /v2/schedules/other/pause"), 404},
		{queue, request("POST /v2/schedules/other/run"), 404},
		{queue, request("DELETE /v2/schedules/other"), 200}, // as one that is not there
		{queue, request("POST /v2/schedules/http://x.test/", cron, "Upstash-Queue-Name: in"), 200},
		{queue, request("POST /v2/schedules/http://x.test/", cron, "Upstash-Queue-Name: in", "Upstash-Schedule-Id: other"), 403},
		{queue, requestBody("POST /v2/schedules", `{"destination":"http://x.test/","cron":"0 0 1 1 *"}`), 403},
		{queue, request("GET /v2/dlq"), 403},
		{queue, request("GET /v2/keys"), 403},
		{queue, request("POST /v2/keys/rotate"), 403},
		{queue, request("GET /v2/flowControl"), 403},

		{group, request("POST /v2/publish/in", delay), 200}, // with the callback that its owner has set
		{group, request("POST /v2/publish/in", delay, "Upstash-Callback: http://a.test/"), 403},
		{group, request("POST /v2/publish/in", delay, "Upstash-Failure-Callback: http://a.test/"), 403},
		{group, request("POST /v2/publish/out", delay), 403},
		{group, request("POST /v2/publish/http://a.test/", delay), 403},
		{group, request("POST /v2/enqueue/any/in", delay), 200},
		{group, requestBody("POST /v2/topics/in/endpoints", `{"endpoints":[{"url":"http://b.test/"}]}`), 403},
		{group, requestBody("POST /v2/topics/out/endpoints", `{"endpoints":[{"url":"http://b.test/"}]}`), 403},
		{group, requestBody("PATCH /v2/topics/in", `{"headers":{"Upstash-Callback":"http://a.test/"}}`), 403},
		{group, request("DELETE /v2/queues/any"), 403},

		{host, request("POST /v2/publish/http://a.test:8080/x", delay), 200},
		{host, request("POST /v2/publish/https://x.B.test/", delay), 200},
		{host, request("POST /v2/publish/https%3A%2F%2Fx.b.test%2F", delay), 200},
		{host, request("POST /v2/publish/http://b.test/", delay), 403},
		{host, request("POST /v2/publish/http://a.test.evil.test/", delay), 403},
		{host, request("POST /v2/publish/http:/other.test/a.test", delay), 403},
		{host, request("POST /v2/publish/in", delay), 403},
		{host, request("POST /v2/publish/http://a.test/", delay, "Upstash-Callback: http://x.b.test/"), 200},
		{host, request("POST /v2/publish/http://a.test/", delay, "Upstash-Callback: http://other.test/"), 403},
		{host, request("POST /v2/publish/http://a.test/", delay, "Upstash-Callback: http://a.test/", "Upstash-Callback-Failure-Callback: http://other.test/"), 403},
		{host, request("POST /v2/publish/http://a.test/?upstash-failure-callback=http%3A%2F%2Fother.test%2F", delay), 403},
		{host, request("GET /v2/messages/" + inQueue.MessageID), 200},
		{host, request("DELETE /v2/messages/" + toURL.MessageID), 404},
		{host, request("POST /v2/schedules/http://a.test/", cron), 200},
		{host, request("POST /v2/schedules/http://other.test/", cron), 403},

		{hostOnly, request("POST /v2/publish/http://a.test/", delay), 200},
		{hostOnly, request("POST /v2/publish/http://a.test/", cron), 403}, // a schedule
		{hostOnly, requestBody("POST /v2/batch", `[{"destination":"http://a.test/","headers":{"Upstash-Cron":"0 0 1 1 *"}}]`), 403},
		{hostOnly, request("GET /v2/schedules"), 403},
		{hostOnly, request("GET /v2/messages/" + inQueue.MessageID), 403},
	} {
		a := s.send(t, strings.Replace(c.raw, goodToken, c.token, 1))
		if a.StatusCode != c.status || a.StatusCode == 403 && !strings.HasPrefix(a.body, `{"error":"forbidden: this token`) {
			line, _, _ := strings.Cut(c.raw, "\r\n")
			t.Errorf("%s: %d %s, want %d", line, a.StatusCode, a.body, c.status)
		}
	}
	with := func(token, raw string) string { return strings.Replace(raw, goodToken, token, 1) }
	var queues []queueView
	s.want(t, with(queue, request("GET /v2/queues")), 200, &queues)
	if len(queues) != 1 || queues[0].Name != "in" {
		t.Errorf("the queues are %+v", queues)
	}
	s.same(t, with(queue, request("GET /v2/topics")), 200, "[]")
	var items []struct{ MessageID, Error string }
	s.want(t, with(host, requestBody("POST /v2/batch",
		`[{"destination":"http://a.test/","headers":{"Upstash-Delay":"1h"}},{"destination":"http://other.test/"},{"destination":"http://x.b.test/","queue":"out","headers":{"Upstash-Delay":"1h"}}]`)), 200, &items)
	if len(items) != 3 || items[0].MessageID == "" || items[1].MessageID != "" || !strings.Contains(items[1].Error, "forbidden") || items[2].MessageID == "" {
		t.Errorf("the batch is answered with %+v", items)
	}
	s.want(t, request("GET /v2/schedules/other"), 200, nil)
	s.want(t, request("GET /v2/messages/"+toURL.MessageID), 200, nil)
}

// TestTokenRoutes follows a token and an account from their making to their end.
func TestTokenRoutes(t *testing.T) {
	s := realSite{startReal(t)}
	var user struct {
		ID                         int
		Name, Token, Current, Next string
		CreatedAt                  int64
	}
	s.want(t, requestBody("POST /v2/users", `{"name":"shop"}`), 201, &user)
	if user.ID != 3 || user.Name != "shop" || user.Token == "" || !strings.HasPrefix(user.Current, "sig_") || user.Next == user.Current || user.CreatedAt == 0 {
		t.Fatalf("the account is %+v", user)
	}
	as := func(token, raw string) string { return strings.Replace(raw, goodToken, token, 1) }
	s.same(t, as(user.Token, request("GET /v2/keys")), 200, fmt.Sprintf(`{"current":"%s","next":"%s"}`, user.Current, user.Next))
	s.body(t, as(user.Token, request("GET /v2/users")), 403)

	type view struct {
		ID, Name, Access, Token string
		User                    int
		Admin                   bool
		CreatedAt, ExpiresAt    int64
		Queues, Groups, Hosts   []string
	}
	var made, got view
	s.want(t, requestBody("POST /v2/tokens", `{"user":3,"name":"n","access":"publish","expiresIn":"1h","queues":["q"],"groups":["g"],"hosts":["*.a.test"]}`), 201, &made)
	if made.Token == "" || made.User != 3 || made.Access != "publish" || made.ExpiresAt-made.CreatedAt != 3_600_000 {
		t.Fatalf("the token is %+v", made)
	}
	s.want(t, request("GET /v2/tokens/"+made.ID), 200, &got)
	if secret := made.Token; secret != "" {
		made.Token = ""
		if fmt.Sprint(got) != fmt.Sprint(made) {
			t.Errorf("it is seen as %+v, made as %+v", got, made)
		}
		made.Token = secret
	}
	var list []view
	s.want(t, request("GET /v2/tokens?user=3"), 200, &list)
	if len(list) != 2 || list[0].Token+list[1].Token != "" {
		t.Errorf("its account's tokens are %+v", list)
	}
	s.body(t, as(made.Token, request("GET /v2/keys")), 403)
	s.same(t, request("DELETE /v2/tokens/"+made.ID), 200, "{}")
	s.body(t, as(made.Token, request("GET /v2/keys")), 401)
	s.same(t, request("DELETE /v2/tokens/"+made.ID), 404, `{"error":"not found"}`)

	s.want(t, as(user.Token, requestBody("POST /v2/queues", `{"queueName":"q"}`)), 200, nil)
	s.same(t, request("DELETE /v2/users/3"), 409, `{"error":"the account is in use: account 3 still has queues; nothing was deleted"}`)
	s.want(t, as(user.Token, request("DELETE /v2/queues/q")), 200, nil)
	s.same(t, request("DELETE /v2/users/3"), 200, "{}")
	s.body(t, as(user.Token, request("GET /v2/keys")), 401)
	s.same(t, request("DELETE /v2/users/3"), 404, `{"error":"not found"}`)

	for body, want := range map[string]string{
		`{}`:                            "",
		`{"acess":"read"}`:              "unknown member",
		`{"access":"write"}`:            "must be full, publish or read",
		`{"queues":[]}`:                 "queues is empty",
		`{"queues":null}`:               "queues is null",
		`{"hosts":null,"queues":["q"]}`: "hosts is null",
		`{"expiresIn":null}`:            "expiresIn is null",
		`{"expiresIn":""}`:              "invalid expiresIn",
		`{"queues":"q"}`:                "queues must be a list",
		`{"hosts":["http://a/"]}`:       `or *.suffix: \"http://a/\":`,
		`{"hosts":[7]}`:                 "hosts must be a string",
		`{"expiresIn":"soon"}`:          "invalid expiresIn",
		`{"expiresIn":"0s"}`:            "invalid expiresIn",
		`{"user":0}`:                    "invalid user",
		`{"user":"x"}`:                  "invalid user",
		`{"user":99}`:                   "there is no such account",
		`{"admin":1}`:                   "admin",
		`{"admin":true,"queues":["q"]}`: "invalid admin",
		`{"name":"\u0007"}`:             "name must be",
		`[]`:                            "JSON object",
	} {
		status := 400
		if want == "" {
			status = 201
		}
		if got := s.body(t, requestBody("POST /v2/tokens", body), status); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	for raw, want := range map[string]string{
		requestBody("POST /v2/users", `{"name":""}`):      "invalid name",
		requestBody("POST /v2/users", `{"name":"other"}`): "account 2 has it",
		requestBody("POST /v2/users", `{"user":"x"}`):     "unknown member",
		request("DELETE /v2/users/"):                      "the id is empty",
		request("DELETE /v2/tokens/"):                     "the id is empty",
		request("DELETE /v2/users/x"):                     "must be the number",
		request("DELETE /v2/users/1"):                     "stays",
		request("GET /v2/tokens?account=1"):               "unknown parameter",
	} {
		if got := s.body(t, raw, 400); !strings.Contains(got, want) {
			t.Errorf("%.50q: %s, want %s", raw, got, want)
		}
	}
}
