package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// walkRow is one route for the walks of this file. Its request names things as {msg},
// {dlq}, {scd}, {queue}, {group}, {key}, {user} and {token}; {url} is a destination.
type walkRow struct {
	name    string // the route's
	access  access
	scoped  bool
	request string // line
	body    string
	moves   bool // its answer differs from one moment to the next by itself
	stream  bool // its answer has no end
}

// walkRows has every route of the router: TestEveryRouteIsWalked fails for one without
// a row. What only reads comes first.
var walkRows = []walkRow{
	{name: "message", access: accessRead, scoped: true, request: "GET /v2/messages/{msg}"},
	{name: "dlq list", access: accessRead, request: "GET /v2/dlq"},
	{name: "dlq item", access: accessRead, scoped: true, request: "GET /v2/dlq/{dlq}"},
	{name: "queue list", access: accessRead, scoped: true, request: "GET /v2/queues"},
	{name: "queue", access: accessRead, scoped: true, request: "GET /v2/queues/{queue}"},
	{name: "topic list", access: accessRead, scoped: true, request: "GET /v2/topics"},
	{name: "topic", access: accessRead, scoped: true, request: "GET /v2/topics/{group}"},
	{name: "flow control list", access: accessRead, request: "GET /v2/flowControl"},
	{name: "flow control", access: accessRead, request: "GET /v2/flowControl/{key}"},
	{name: "global parallelism", access: accessRead, request: "GET /v2/globalParallelism", moves: true},
	{name: "host list", access: accessRead, request: "GET /v2/hosts", moves: true},
	{name: "schedule list", access: accessRead, scoped: true, request: "GET /v2/schedules"},
	{name: "schedule", access: accessRead, scoped: true, request: "GET /v2/schedules/{scd}"},
	{name: "schedule preview", access: accessRead, scoped: true, request: "GET /v2/schedules/{scd}/next"},
	{name: "keys", request: "GET /v2/keys"},
	{name: "events", access: accessRead, request: "GET /v2/events?messageId={msg}"},
	{name: "logs", access: accessRead, request: "GET /v2/logs"},
	{name: "event stream", access: accessRead, request: "GET /v2/logs/stream?fromDate=1", moves: true, stream: true},
	{name: "dlq list of 2.0", access: accessRead, request: "GET /v2/dlq/messages"},
	{name: "v1 message", access: accessRead, scoped: true, request: "GET /v1/messages/{msg}"},
	{name: "v1 schedule list", access: accessRead, request: "GET /v1/schedules"},
	{name: "v1 schedule", access: accessRead, request: "GET /v1/schedules/{scd}"},
	{name: "v1 topic list", access: accessRead, request: "GET /v1/topics"},
	{name: "v1 topic", access: accessRead, request: "GET /v1/topics/{group}"},
	{name: "v1 endpoint list", access: accessRead, request: "GET /v1/endpoints"},
	{name: "v1 endpoint", access: accessRead, request: "GET /v1/endpoints/{ept}"},
	{name: "replay list", access: accessRead, request: "GET /v2/replay"},
	{name: "replay", access: accessRead, request: "GET /v2/replay/{job}"},
	{name: "stats", access: accessRead, request: "GET /v2/stats", moves: true},
	{name: "v1 events", access: accessRead, request: "GET /v1/events"},
	{name: "v1 logs", access: accessRead, request: "GET /v1/logs"},
	{name: "v1 message list", access: accessRead, request: "GET /v1/messages"},
	{name: "v1 message logs", access: accessRead, request: "GET /v1/messages/{msg}/logs"},
	{name: "v1 message tasks", access: accessRead, request: "GET /v1/messages/{msg}/tasks"},
	{name: "v1 task", access: accessRead, request: "GET /v1/tasks/{tsk}"},
	{name: "v1 quota", access: accessRead, request: "GET /v1/quota", moves: true},
	{name: "user list", access: accessAdmin, request: "GET /v2/users"},
	{name: "token list", access: accessAdmin, request: "GET /v2/tokens"},
	{name: "token", access: accessAdmin, request: "GET /v2/tokens/{token}"},

	{name: "publish", access: accessPublish, scoped: true, request: "POST /v2/publish/{group}", body: "x"},
	{name: "batch", access: accessPublish, scoped: true, request: "POST /v2/batch", body: `[{"destination":"{group}"}]`},
	{name: "enqueue", access: accessPublish, scoped: true, request: "POST /v2/enqueue/{queue}/{url}", body: "x"},
	{name: "v1 publish", access: accessPublish, scoped: true, request: "POST /v1/publish/{group}", body: "x"},
	{name: "bulk cancel", request: "DELETE /v2/messages?messageIds={msg}"},
	{name: "v1 cancel", scoped: true, request: "DELETE /v1/messages/{msg}"},
	{name: "v1 endpoint update", request: "PUT /v1/endpoints/{ept}", body: `{"url":"{url}"}`},
	{name: "v1 endpoint delete", request: "DELETE /v1/endpoints/{ept}"},
	{name: "v1 endpoint create", request: "POST /v1/endpoints", body: `{"url":"{url}","topicName":"{group}"}`},
	{name: "v1 topic update", request: "PUT /v1/topics/{group}", body: `{"name":"renamed"}`},
	{name: "v1 topic delete", request: "DELETE /v1/topics/{group}"},
	{name: "v1 schedule delete", request: "DELETE /v1/schedules/{scd}"},
	{name: "schedule run", scoped: true, request: "POST /v2/schedules/{scd}/run"},
	{name: "cancel", scoped: true, request: "DELETE /v2/messages/{msg}"},
	{name: "dlq delete", scoped: true, request: "DELETE /v2/dlq/{dlq}"},
	{name: "dlq retry", scoped: true, request: "POST /v2/dlq/retry/{dlq}"},
	{name: "dlq bulk delete", request: "DELETE /v2/dlq?dlqIds={dlq}"},
	{name: "dlq bulk retry", request: "POST /v2/dlq/retry?dlqIds={dlq}"},
	{name: "queue pause", scoped: true, request: "POST /v2/queues/{queue}/pause"},
	{name: "queue resume", scoped: true, request: "POST /v2/queues/{queue}/resume"},
	{name: "queue upsert", scoped: true, request: "POST /v2/queues", body: `{"queueName":"{queue}","parallelism":3}`},
	{name: "queue delete", scoped: true, request: "DELETE /v2/queues/{queue}"},
	{name: "topic remove endpoints", scoped: true, request: "DELETE /v2/topics/{group}/endpoints", body: `{"endpoints":[{"url":"{url}"}]}`},
	{name: "topic headers", scoped: true, request: "PATCH /v2/topics/{group}", body: `{"headers":{"Upstash-Retries":"1"}}`},
	{name: "topic add endpoints", scoped: true, request: "POST /v2/topics/{group}/endpoints", body: `{"endpoints":[{"url":"{url}"}]}`},
	{name: "topic delete", scoped: true, request: "DELETE /v2/topics/{group}"},
	{name: "flow control pause", request: "POST /v2/flowControl/{key}/pause"},
	{name: "flow control resume", request: "POST /v2/flowControl/{key}/resume"},
	{name: "flow control pin", request: "POST /v2/flowControl/{key}/pin?parallelism=2"},
	{name: "flow control unpin", request: "POST /v2/flowControl/{key}/unpin?parallelism=true"},
	{name: "flow control reset rate", request: "POST /v2/flowControl/{key}/resetRate"},
	{name: "flow control reset", request: "POST /v2/flowControl/{key}/reset"},
	{name: "schedule pause", scoped: true, request: "POST /v2/schedules/{scd}/pause"},
	{name: "schedule resume", scoped: true, request: "POST /v2/schedules/{scd}/resume"},
	{name: "schedule delete", scoped: true, request: "DELETE /v2/schedules/{scd}"},
	{name: "schedule create", scoped: true, request: "POST /v2/schedules/{group}?upstash-cron=0+0+1+1+*&upstash-schedule-id={scd}"},
	{name: "schedule create json", scoped: true, request: "POST /v2/schedules", body: `{"destination":"{group}","cron":"0 0 1 1 *"}`},
	{name: "replay create", request: "POST /v2/replay", body: `{"messageIds":["{msg}"]}`, moves: true},
	{name: "replay stop", request: "DELETE /v2/replay/{job}"},
	{name: "rotate keys", request: "POST /v2/keys/rotate", moves: true},
	{name: "v1 topic create", request: "POST /v1/topics", body: `{"name":"v1-{group}"}`},
	{name: "user create", access: accessAdmin, request: "POST /v2/users", body: `{"name":"of {queue}"}`},
	{name: "user delete", access: accessAdmin, request: "DELETE /v2/users/{user}"},
	{name: "token create", access: accessAdmin, request: "POST /v2/tokens", body: `{"user":{user}}`},
	{name: "token revoke", access: accessAdmin, request: "DELETE /v2/tokens/{token}"},
}

// publicRoutes need no token.
var publicRoutes = []string{"readiness", "health", "options", "document", "dashboard"}

// names are the things of one account that rows speak of.
type names map[string]string

func (n names) fill(s string) string {
	for k, v := range n {
		s = strings.ReplaceAll(s, "{"+k+"}", v)
	}
	return s
}

// blank is the inverse of fill, so that what is said of two accounts' things compares.
func (n names) blank(s string) string {
	for k, v := range n {
		if len(v) > 2 { // not the number of an account, which is in any number
			s = strings.ReplaceAll(s, v, "{"+k+"}")
		}
	}
	return s
}

// raw is the row's request about the things of n, with a token.
func (r *walkRow) raw(n names, token string) string {
	var options []string
	if r.access == accessPublish {
		options = append(options, "Upstash-Delay: 1h") // nothing is delivered while the test looks
	}
	raw := requestBody(n.fill(r.request), n.fill(r.body), options...)
	if token == "" {
		return strings.Replace(raw, "Authorization: Bearer "+goodToken+"\r\n", "", 1)
	}
	return strings.Replace(raw, goodToken, token, 1)
}

// TestEveryRouteIsWalked finds the routes in the source.
func TestEveryRouteIsWalked(t *testing.T) {
	rows := map[string]*walkRow{}
	for i := range walkRows {
		r := &walkRows[i]
		if rows[r.name] != nil {
			t.Errorf("route %q has two rows", r.name)
		}
		rows[r.name] = r
	}
	found := routeNames(t)
	for _, name := range found {
		if rows[name] == nil && !slices.Contains(publicRoutes, name) {
			t.Errorf("route %q has no row in walkRows: say what it needs, and make a request of it", name)
		}
	}
	if len(found) < len(walkRows) {
		t.Fatalf("found %d routes for %d rows", len(found), len(walkRows))
	}
	n := names{"msg": "msg_x", "dlq": "1-2", "scd": "s", "queue": "q", "group": "g", "key": "k", "user": "9", "token": "tok_x", "url": "http://h/", "ept": "ept_x", "tsk": "tsk_x", "job": "rpl_x", "pull": "p", "pmsg": "msg_x", "lease": "l"}
	for name, row := range rows {
		method, target, _ := strings.Cut(n.fill(row.request), " ")
		path, _ := cutQuery([]byte(target))
		r, _, fail := match(method, path)
		switch {
		case fail != nil || r.name != name:
			t.Errorf("%s is not a request of route %q: %v", row.request, name, fail)
		case r.access != row.access || r.scoped != row.scoped:
			t.Errorf("route %q has access %d, scoped %v; its row says %d, %v", name, r.access, r.scoped, row.access, row.scoped)
		}
	}
}

// walkSite is a server on which account 1 has one of everything.
type walkSite struct {
	realSite
	eng    *engine.Engine
	sink   string
	mine   names // of account 1
	nobody names // the same forms, and nobody ever had them
}

// secretMark is in everything that account 1 has.
const secretMark = "secretofone"

func newWalkSite(t *testing.T) *walkSite {
	t.Helper()
	addr, eng := startEngine(t, nil, nil)
	s := &walkSite{realSite: realSite{addr}, eng: eng, sink: "http://127.0.0.1:1/" + secretMark}
	var sent struct{ MessageID string }
	s.same(t, requestBody("POST /v2/queues", `{"queueName":"`+secretMark+`-q","parallelism":2,"paused":true}`), 200, "{}")
	s.same(t, requestBody("POST /v2/topics/"+secretMark+"-g/endpoints", `{"endpoints":[{"url":"`+s.sink+`"}]}`), 200, "{}")
	s.want(t, requestBody("POST /v2/enqueue/"+secretMark+"-q/"+s.sink, secretMark), 200, &sent)
	s.same(t, request("POST /v2/flowControl/"+secretMark+"-k/pin?parallelism=7"), 200, "{}")
	s.want(t, request("POST /v2/schedules/"+s.sink, "Upstash-Cron: 0 0 1 1 *", "Upstash-Schedule-Id: "+secretMark+"-s"), 200, nil)
	s.want(t, request("POST /v2/publish/"+s.sink, "Upstash-Retries: 0"), 200, nil)
	job := s.replay(t, sent.MessageID)
	_, info, err := eng.CreateToken(&engine.TokenSpec{User: 1, Name: secretMark})
	if err != nil {
		t.Fatal(err)
	}
	group, err := eng.Group(1, secretMark+"-g")
	if err != nil {
		t.Fatal(err)
	}
	s.mine = names{
		"msg": sent.MessageID, "dlq": s.deadLetter(t), "scd": secretMark + "-s", "queue": secretMark + "-q", "group": secretMark + "-g",
		"key": secretMark + "-k", "user": "1", "token": info.ID, "url": "http://127.0.0.1:1/other",
		"ept": endpointID(group.Created, &engine.Endpoint{URL: s.sink}), "tsk": taskID(sent.MessageID), "job": job,
	}
	s.nobody = names{
		"msg": "msg_2222222222222222222222", "dlq": "1-2", "scd": "never-s", "queue": "never-q", "group": "never-g",
		"key": "never-k", "user": "77", "token": "tok_22222222222", "url": "http://127.0.0.1:1/other",
		"ept": endpointID(time.UnixMilli(1), &engine.Endpoint{URL: s.sink}), "tsk": taskID("msg_2222222222222222222222"), "job": "rpl_22222222222",
	}
	s.addPull(t)
	return s
}

// replay starts a replay of nothing that was delivered, and waits for its end.
func (s *walkSite) replay(t *testing.T, messageID string) (id string) {
	t.Helper()
	var job struct{ JobID string }
	s.want(t, requestBody("POST /v2/replay", `{"messageIds":["`+messageID+`"]}`), 201, &job)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if info, err := s.eng.Replay(1, job.JobID); err != nil || info.State == engine.ReplayDone {
			return job.JobID
		}
	}
	t.Fatal("the replay does not end")
	return ""
}

// deadLetter waits for the one that there will be.
func (s *walkSite) deadLetter(t *testing.T) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		dead, _, err := s.eng.DeadLetters(engine.DeadLetterQuery{User: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(dead) == 1 {
			return dead[0].ID
		}
	}
	t.Fatal("there is no dead letter")
	return ""
}

var randomIDs = regexp.MustCompile(`"(msg|scd|tpc|ept|lse)_[^"]+"|"(createdAt|[a-z_]+_at)":\d+`)

// ask sends a row's request about the things of n. Of an answer without an end it takes
// what comes at once.
func (s *walkSite) ask(t *testing.T, r *walkRow, n names, token string) answer {
	t.Helper()
	if !r.stream {
		return s.send(t, r.raw(n, token))
	}
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // a dead connection fails the read
	io.WriteString(c, r.raw(n, token))              //nolint:errcheck // the answer tells
	head, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	defer head.Body.Close()
	if head.StatusCode == http.StatusOK {
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) //nolint:errcheck // it ends the read that follows
	}
	b, _ := io.ReadAll(head.Body)
	return answer{head, string(b)}
}

// state is all that account 1 can see, as it should stay.
func (s *walkSite) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for i := range walkRows {
		if r := &walkRows[i]; strings.HasPrefix(r.request, "GET ") && !r.moves {
			fmt.Fprintln(&b, r.name, s.body(t, r.raw(s.mine, goodToken), http.StatusOK))
		}
	}
	return b.String()
}

// TestAccountsAreIsolated walks every route with the token of another account: it can
// neither read, list, change nor infer what the first one has. What it asks about
// something of the first account is answered as if that had never been.
func TestAccountsAreIsolated(t *testing.T) {
	s := newWalkSite(t)
	before := s.state(t)
	for i := range walkRows {
		r := &walkRows[i]
		mine, never := s.ask(t, r, s.mine, otherToken), s.ask(t, r, s.nobody, otherToken)
		a, b := s.mine.blank(randomIDs.ReplaceAllString(mine.body, "ID")), s.nobody.blank(randomIDs.ReplaceAllString(never.body, "ID"))
		if !r.moves && (mine.StatusCode != never.StatusCode || a != b) {
			t.Errorf("%s: about another account's thing %d %s\nabout nobody's %d %s", r.name, mine.StatusCode, a, never.StatusCode, b)
		}
		if strings.Contains(a, secretMark) {
			t.Errorf("%s tells of another account: %s", r.name, mine.body)
		}
		if mine.StatusCode == http.StatusUnauthorized || mine.StatusCode >= 500 {
			t.Errorf("%s: %d %s", r.name, mine.StatusCode, mine.body)
		}
	}
	if after := s.state(t); after != before {
		t.Errorf("the walk changed what the first account has:\n%s\nbefore:\n%s", after, before)
	}
}

// TestAccessMatrix: every kind of token against every route, all cells (P44).
func TestAccessMatrix(t *testing.T) {
	s := newWalkSite(t)
	make := func(spec engine.TokenSpec) string {
		if spec.User == 0 {
			spec.User = 2
		}
		secret, _, err := s.eng.CreateToken(&spec)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	all := []access{accessRead, accessPublish, accessFull}
	revoked := make(engine.TokenSpec{})
	tokens := s.eng.Tokens(2)
	if err := s.eng.RevokeToken(tokens[len(tokens)-1].ID); err != nil {
		t.Fatal(err)
	}
	expired := make(engine.TokenSpec{Life: time.Millisecond})
	time.Sleep(2 * time.Millisecond)
	for _, c := range []struct {
		name, token string
		allows      []access
		refused     int // the status of what is not allowed
		limited     bool
	}{
		{name: "none", refused: 401},
		{name: "wrong", token: badToken, refused: 401},
		{name: "revoked", token: revoked, refused: 401},
		{name: "expired", token: expired, refused: 401},
		{name: "read", token: make(engine.TokenSpec{Access: engine.AccessRead}), allows: []access{accessRead}, refused: 403},
		{name: "publish", token: make(engine.TokenSpec{Access: engine.AccessPublish}), allows: []access{accessPublish}, refused: 403},
		{name: "full", token: make(engine.TokenSpec{}), allows: all, refused: 403},
		{name: "an account's first", token: otherToken, allows: all, refused: 403},
		{name: "limited", token: make(engine.TokenSpec{Queues: []string{"q"}}), allows: all, refused: 403, limited: true},
		{name: "admin", token: make(engine.TokenSpec{Admin: true}), allows: append(slices.Clone(all), accessAdmin), refused: 403},
	} {
		for i := range walkRows {
			r := &walkRows[i]
			a := s.ask(t, r, s.nobody, c.token)
			want := slices.Contains(c.allows, r.access) && (!c.limited || r.scoped)
			switch {
			case !want && a.StatusCode != c.refused:
				t.Errorf("%s token, %s: %d %s, want %d", c.name, r.name, a.StatusCode, a.body, c.refused)
			case want && a.StatusCode == 401, want && !c.limited && a.StatusCode == 403, a.StatusCode >= 500:
				t.Errorf("%s token, %s: %d %s", c.name, r.name, a.StatusCode, a.body)
			case a.StatusCode == 403 && !strings.HasPrefix(a.body, `{"error":"forbidden: `):
				t.Errorf("%s token, %s: %s", c.name, r.name, a.body)
			}
		}
		for _, path := range []string{"/v2/readiness", "/healthz"} {
			raw := (&walkRow{request: "GET " + path}).raw(nil, c.token)
			if a := s.send(t, raw); a.StatusCode != 200 {
				t.Errorf("%s token, %s: %d %s", c.name, path, a.StatusCode, a.body)
			}
		}
	}
}
