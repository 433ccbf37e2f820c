package httpapi

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// sinkSite is a server with the real engine and a destination: what arrives under
// /fails/ is answered with 404.
func sinkSite(t *testing.T) (s realSite, sink string, arrivals chan arrival) {
	t.Helper()
	arrivals = make(chan arrival, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		arrivals <- arrival{r.Header, r.Method + " " + r.RequestURI, string(b)}
		w.Header().Set("X-Answer", "yes")
		if strings.HasPrefix(r.URL.Path, "/fails/") {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, "answer to "+r.URL.Path) //nolint:errcheck // a test server
	}))
	t.Cleanup(server.Close)
	return realSite{startReal(t)}, server.URL, arrivals
}

// body sends a request and returns the text of an answer of this status.
func (s realSite) body(t testing.TB, raw string, status int) string {
	t.Helper()
	a := s.send(t, raw)
	if a.StatusCode != status {
		t.Fatalf("%.120q: %d %s, want %d", raw, a.StatusCode, a.body, status)
	}
	return a.body
}

// same sends a request and compares the answer, byte for byte.
func (s realSite) same(t testing.TB, raw string, status int, want string) {
	t.Helper()
	if got := s.body(t, raw, status); got != want {
		t.Errorf("%.120q: got  %s\nwant %s", raw, got, want)
	}
}

// asOther makes a request that of another account.
func asOther(raw string) string { return strings.ReplaceAll(raw, goodToken, otherToken) }

type queueView struct {
	Name                 string
	Parallelism          int
	CreatedAt, UpdatedAt int64
	Lag                  int
	Paused               bool
}

func TestQueuesEndToEnd(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	s.same(t, request("GET /v2/queues"), 200, "[]")
	s.same(t, request("GET /v2/queues/none"), 404, `{"error":"not found"}`)
	s.same(t, request("DELETE /v2/queues/none"), 200, "{}")
	s.same(t, requestBody("POST /v2/queues/", `{"queueName":"my-queue","parallelism":2,"paused":true,"other":{"x":[1]}}`), 200, "{}")

	var q queueView
	s.want(t, request("GET /v2/queues/my-queue"), 200, &q)
	if age := time.Since(time.UnixMilli(q.CreatedAt)); q.Name != "my-queue" || q.Parallelism != 2 || !q.Paused || q.Lag != 0 || q.UpdatedAt != q.CreatedAt || age < 0 || age > time.Minute {
		t.Errorf("the queue is %+v", q)
	}
	var sent struct{ MessageID, URL string }
	s.want(t, requestBody("POST /v2/enqueue/my-queue/"+sink+"/a//b?x=%20", "one", "Upstash-Forward-X: y"), 200, &sent)
	if sent.URL != sink+"/a//b?x=%20" {
		t.Errorf("enqueued to %+v", sent)
	}
	var m map[string]any
	s.want(t, request("GET /v2/messages/"+sent.MessageID), 200, &m)
	if m["queueName"] != "my-queue" || m["url"] != sent.URL {
		t.Errorf("the message is %v", m)
	}
	s.want(t, request("GET /v2/queues/my-queue"), 200, &q)
	if q.Lag != 1 {
		t.Errorf("a lag of %d, want 1", q.Lag)
	}
	select {
	case a := <-arrivals:
		t.Fatalf("a paused queue delivered %+v", a)
	default:
	}
	s.same(t, request("POST /v2/queues/my-queue/resume"), 200, "{}")
	s.same(t, request("POST /v2/queues/my-queue/resume"), 200, "{}")
	if a := receive(t, arrivals); a.uri != "POST /a//b?x=%20" || a.body != "one" || a.header.Get("X") != "y" || a.header.Get("Upstash-Message-Id") != sent.MessageID {
		t.Errorf("arrived %+v", a)
	}
	s.same(t, request("POST /v2/queues/my-queue/pause"), 200, "{}")
	s.want(t, request("GET /v2/queues/my-queue"), 200, &q)
	if !q.Paused || q.Parallelism != 2 {
		t.Errorf("the paused queue is %+v", q)
	}
	s.same(t, requestBody("POST /v2/queues", `{"queueName":"my-queue","parallelism":3}`), 200, "{}")
	s.want(t, request("GET /v2/queues/my-queue"), 200, &q)
	if !q.Paused || q.Parallelism != 3 {
		t.Errorf("the queue with another parallelism is %+v", q)
	}
	s.same(t, asOther(request("GET /v2/queues/my-queue")), 404, `{"error":"not found"}`)
	s.same(t, request("DELETE /v2/queues/my-queue"), 200, "{}")
	s.same(t, request("GET /v2/queues/my-queue"), 404, `{"error":"not found"}`)
}

// TestQueuesAreMadeByMessages: with the name that they gave, whatever the connection
// carries afterwards; and none resets what was set.
func TestQueuesAreMadeByMessages(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	s.same(t, requestBody("POST /v2/queues", `{"queueName":"set","parallelism":7}`), 200, "{}")
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a dead connection fails the read
	br := bufio.NewReader(c)
	for _, raw := range []string{
		request("POST /v2/enqueue/by-enqueue/" + sink + "/1"),
		request("POST /v2/publish/"+sink+"/2", "Upstash-Queue-Name: by-header"),
		requestBody("POST /v2/batch", `[{"destination":"`+sink+`/3","queue":"by-batch"},{"destination":"`+sink+`/4","queue":"set"}]`),
		request("POST /v2/publish/"+sink+"/5", "Upstash-Flow-Control-Key: by-header-too", "Upstash-Flow-Control-Value: rate=1000"),
		request("GET /v2/dlq?url=" + strings.Repeat("overwritten", 100)),
	} {
		io.WriteString(c, raw) //nolint:errcheck // the answer tells
		if a := readAnswer(t, br, raw[:4]); a.StatusCode != 200 {
			t.Fatalf("%.60q: %d %s", raw, a.StatusCode, a.body)
		}
	}
	for range 5 {
		receive(t, arrivals)
	}
	var list []queueView
	s.want(t, request("GET /v2/queues/"), 200, &list)
	var got []string
	for _, q := range list {
		got = append(got, fmt.Sprint(q.Name, " ", q.Parallelism, " ", q.Paused))
	}
	if want := "by-batch 1 false, by-enqueue 1 false, by-header 1 false, set 7 false"; strings.Join(got, ", ") != want {
		t.Errorf("the queues are %v, want %s", got, want)
	}
}

type groupView struct {
	Name                 string
	CreatedAt, UpdatedAt int64
	Endpoints            []struct{ Name, URL string }
}

func (s realSite) group(t testing.TB, name string) (g groupView) {
	t.Helper()
	s.want(t, request("GET /v2/topics/"+name), 200, &g)
	return g
}

func TestGroupsEndToEnd(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	const noGroup = `{"error":"topic my-group not found"}`
	s.same(t, request("GET /v2/topics"), 200, "[]")
	s.same(t, request("GET /v2/topics/my-group"), 404, noGroup)
	s.same(t, request("POST /v2/publish/my-group"), 404, noGroup)
	s.same(t, request("POST /v2/enqueue/q/my-group"), 404, noGroup)
	s.same(t, request("POST /v2/schedules/my-group", "Upstash-Cron: * * * * *"), 404, noGroup)
	s.same(t, requestBody("POST /v2/batch", `[{"destination":"my-group"}]`), 404, noGroup)
	s.same(t, request("DELETE /v2/topics/my-group"), 200, "{}")
	s.same(t, requestBody("DELETE /v2/topics/my-group/endpoints", `{"endpoints":[{"name":"x"}]}`), 404, noGroup)

	s.same(t, requestBody("POST /v2/topics/my-group/endpoints", `{"endpoints":[{"url":"`+sink+`/1","name":"First endpoint"},{"url":"`+sink+`/2?x=\u0031","name":null}]}`), 200, "{}")
	s.same(t, requestBody("POST /v2/topics/my-group", `{"endpoints":[{"url":"`+sink+`/3"}]}`), 200, "{}")
	g := s.group(t, "my-group")
	if fmt.Sprint(g.Name, g.Endpoints) != fmt.Sprintf("my-group[{First endpoint %s/1} { %s/2?x=1} { %s/3}]", sink, sink, sink) || g.CreatedAt == 0 || g.UpdatedAt < g.CreatedAt {
		t.Errorf("the group is %+v", g)
	}
	s.same(t, asOther(request("GET /v2/topics/my-group")), 404, noGroup)

	var sent []struct {
		MessageID, URL string
		Deduplicated   bool
	}
	s.want(t, requestBody("POST /v2/publish/my-group?ignored=1&upstash-retries=1", "hello", "Upstash-Forward-X: y", "Upstash-Deduplication-Id: once"), 200, &sent)
	if len(sent) != 3 || sent[0].URL != sink+"/1" || sent[1].URL != sink+"/2?x=1" || sent[2].URL != sink+"/3" {
		t.Fatalf("published %+v", sent)
	}
	byID := map[string]string{}
	for range 3 {
		a := receive(t, arrivals)
		if a.body != "hello" || a.header.Get("X") != "y" || a.header.Get("Upstash-Topic-Name") != "my-group" {
			t.Errorf("arrived %+v", a)
		}
		byID[a.header.Get("Upstash-Message-Id")] = a.uri
	}
	for i, m := range sent {
		if want := "POST " + strings.TrimPrefix(m.URL, sink); byID[m.MessageID] != want {
			t.Errorf("message %d went to %q, want %q", i, byID[m.MessageID], want)
		}
	}
	first := sent[0].MessageID
	s.want(t, requestBody("POST /v2/publish/my-group", "hello", "Upstash-Deduplication-Id: once"), 202, &sent)
	if len(sent) != 3 || sent[0].MessageID != first || !sent[2].Deduplicated {
		t.Errorf("the duplicate is %+v", sent)
	}

	var mixed []json.RawMessage
	s.want(t, requestBody("POST /v2/batch", `[{"destination":"my-group","body":"b","queue":"q"},{"destination":"none"},{"destination":"`+sink+`/4"}]`), 200, &mixed)
	if len(mixed) != 3 || mixed[0][0] != '[' || string(mixed[1]) != `{"error":"topic none not found"}` || mixed[2][0] != '{' {
		t.Errorf("the batch was answered with %s", mixed)
	}
	for range 4 {
		receive(t, arrivals)
	}

	s.same(t, requestBody("DELETE /v2/topics/my-group/endpoints", `{"endpoints":[{"name":"First endpoint"},{"url":"`+sink+`/2?x=1"}]}`), 200, "{}")
	if g := s.group(t, "my-group"); len(g.Endpoints) != 1 || g.Endpoints[0].URL != sink+"/3" {
		t.Errorf("the group is %+v", g)
	}
	s.same(t, requestBody("DELETE /v2/topics/my-group", `{"endpoints":[{"url":"`+sink+`/3"}]}`), 200, "{}")
	s.same(t, request("GET /v2/topics/my-group"), 404, noGroup)
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf(`{"url":"%s/%d"}`, sink, i)
	}
	a := s.send(t, requestBody("POST /v2/topics/my-group/endpoints", `{"endpoints":[`+strings.Join(many, ",")+`]}`))
	if a.StatusCode != 412 {
		t.Errorf("101 endpoints: %d %s", a.StatusCode, a.body)
	}
	s.same(t, request("GET /v2/topics/my-group"), 404, noGroup)
}

// TestGroupHeaders: the defaults of a group apply to every publish to it, and to none
// after they were taken away.
func TestGroupHeaders(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	s.same(t, requestBody("POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"`+sink+`/1"}]}`), 200, "{}")
	s.same(t, requestBody("PATCH /v2/topics/g", `{"headers":{"Upstash-Header-Forward":["true"],"upstash-retries":"3","Upstash-Method":"PUT","Upstash-Forward-X":"default","Content-Type":"a/b"}}`), 200, "{}")
	var sent []struct{ MessageID string }
	s.want(t, requestBody("POST /v2/publish/g?qstash_token="+goodToken, "hook", "X-Event: push", "Upstash-Delay: 1s"), 200, &sent)
	var m map[string]any
	s.want(t, request("GET /v2/messages/"+sent[0].MessageID), 200, &m)
	if m["maxRetries"] != 3.0 || m["method"] != "PUT" || m["topicName"] != "g" {
		t.Errorf("the message is %v", m)
	}
	a := receive(t, arrivals)
	if a.uri != "PUT /1" || a.header.Get("X-Event") != "push" || a.header.Get("X") != "default" || a.header.Get("Content-Type") != "a/b" {
		t.Errorf("arrived %+v", a)
	}
	s.want(t, requestBody("POST /v2/publish/g", "hook", "X-Event: push", "Upstash-Header-Forward: false", "Upstash-Method: POST", "Upstash-Forward-X: mine", "Content-Type: c/d"), 200, &sent)
	a = receive(t, arrivals)
	if a.uri != "POST /1" || a.header.Get("X-Event") != "" || strings.Join(a.header["X"], ",") != "mine" || a.header.Get("Content-Type") != "c/d" {
		t.Errorf("arrived %+v", a)
	}
	s.same(t, requestBody("PATCH /v2/topics/g", `{"headers":{}}`), 200, "{}")
	s.want(t, requestBody("POST /v2/publish/g", "hook", "X-Event: push"), 200, &sent)
	if a = receive(t, arrivals); a.uri != "POST /1" || a.header.Get("X-Event") != "" || a.header.Get("X") != "" {
		t.Errorf("arrived %+v", a)
	}
}

type flowView struct {
	FlowControlKey                                          string
	WaitListSize, ParallelismMax, ParallelismCount, RateMax int
	RateCount, RatePeriod                                   int
	RatePeriodStart                                         int64
	IsPaused, IsPinnedParallelism, IsPinnedRate             bool
}

func (s realSite) flow(t testing.TB, path string) (f flowView) {
	t.Helper()
	s.want(t, request("GET /v2/flowControl/"+path), 200, &f)
	return f
}

func TestFlowControlEndToEnd(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	s.same(t, request("GET /v2/flowControl"), 200, "[]")
	s.same(t, request("GET /v2/flowControl/none"), 404, `{"error":"not found"}`)
	for _, operation := range []string{"resume", "unpin?rate=true", "resetRate", "reset"} { // nothing to undo
		s.same(t, request("POST /v2/flowControl/none/"+operation), 200, "{}")
	}
	s.same(t, request("GET /v2/flowControl"), 200, "[]")
	publish := func() (id string) {
		t.Helper()
		var sent struct{ MessageID string }
		s.want(t, request("POST /v2/publish/"+sink+"/f", "Upstash-Flow-Control-Key: a b/c", "Upstash-Flow-Control-Value: parallelism=5, rate=1, period=10s"), 200, &sent)
		return sent.MessageID
	}
	before := time.Now().Unix()
	publish()
	f := s.flow(t, "a%20b/c")
	if f.FlowControlKey != "a b/c" || f.ParallelismMax != 5 || f.RateMax != 1 || f.RateCount != 1 || f.RatePeriod != 10 ||
		f.RatePeriodStart > time.Now().Unix() || f.RatePeriodStart < before-1 || f.IsPaused || f.IsPinnedRate {
		t.Errorf("the key is %+v", f)
	}
	receive(t, arrivals)
	waiting := publish()
	// The first one is among those that wait until its outcome is on disk.
	for deadline := time.Now().Add(5 * time.Second); ; {
		f := s.flow(t, "a%20b%2Fc")
		if f.RateCount != 1 || f.WaitListSize < 1 || time.Now().After(deadline) {
			t.Fatalf("with one that waits the key is %+v", f)
		}
		if f.WaitListSize == 1 {
			break
		}
	}
	var m map[string]any
	s.want(t, request("GET /v2/messages/"+waiting), 200, &m)
	if m["flowControlKey"] != "a b/c" || m["parallelism"] != 5.0 || m["rate"] != 1.0 || m["period"] != 10.0 {
		t.Errorf("the message is %v", m)
	}
	s.same(t, request("POST /v2/flowControl/a%20b/c/resetRate"), 200, "{}")
	receive(t, arrivals)

	s.same(t, request("POST /v2/flowControl/a%20b/c/pause"), 200, "{}")
	s.same(t, request("POST /v2/flowControl/a%20b/c/pin?rate=7&period=60"), 200, "{}")
	publish()
	if f := s.flow(t, "a%20b/c"); !f.IsPaused || !f.IsPinnedRate || f.IsPinnedParallelism || f.RateMax != 7 || f.RatePeriod != 60 || f.WaitListSize < 1 {
		t.Errorf("paused and pinned the key is %+v", f)
	}
	s.same(t, request("POST /v2/flowControl/a%20b/c/resume"), 200, "{}")
	receive(t, arrivals)
	s.same(t, request("POST /v2/flowControl/a%20b/c/unpin?rate=True"), 200, "{}")
	if f := s.flow(t, "a%20b/c"); f.IsPaused || f.IsPinnedRate || f.RateMax != 7 {
		t.Errorf("unpinned the key is %+v", f)
	}
	s.same(t, request("POST /v2/flowControl/new/pin?parallelism=2"), 200, "{}")
	if f := s.flow(t, "new"); f.ParallelismMax != 2 || !f.IsPinnedParallelism || f.RatePeriod != 1 {
		t.Errorf("a key that was only pinned is %+v", f)
	}
	s.same(t, request("POST /v2/flowControl/new/reset"), 200, "{}")
	var keys []flowView
	for search, want := range map[string]string{"": "a b/c,new", "?search=b%2Fc": "a b/c", "?search=ew&other=1": "new", "?search=zz": ""} {
		var names []string
		s.want(t, request("GET /v2/flowControl"+search), 200, &keys)
		for _, k := range keys {
			names = append(names, k.FlowControlKey)
		}
		if got := strings.Join(names, ","); got != want {
			t.Errorf("%q lists %q, want %q", search, got, want)
		}
	}
	s.same(t, asOther(request("GET /v2/flowControl/new")), 404, `{"error":"not found"}`)
	var global struct{ ParallelismMax, ParallelismCount *int }
	s.want(t, request("GET /v2/globalParallelism"), 200, &global)
	if global.ParallelismMax == nil || *global.ParallelismMax < 1 || global.ParallelismCount == nil {
		t.Errorf("global parallelism %+v", global)
	}
}

// report is the body of a callback.
type report struct {
	Status                          int
	Header, SourceHeader            map[string][]string
	Body, SourceBody                string
	Retried, MaxRetries             int
	DlqID                           string
	SourceMessageID, MessageID      string
	TopicName, EndpointName         string
	URL, Method                     string
	NotBefore, CreatedAt            int64
	ScheduleID, CallerIP, QueueName string
}

func TestCallbacksEndToEnd(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	var sent struct{ MessageID string }
	s.want(t, requestBody("POST /v2/publish/"+sink+"/ok", "body", "Content-Type: a/b", "Upstash-Method: PATCH", "Upstash-Callback: "+sink+"/cb?x=1",
		"Upstash-Callback-Forward-X: y", "Upstash-Callback-Method: PUT", "Upstash-Failure-Callback: "+sink+"/never"), 200, &sent)
	if a := receive(t, arrivals); a.uri != "PATCH /ok" {
		t.Fatalf("arrived %+v", a)
	}
	a := receive(t, arrivals)
	var r report
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		t.Fatal(err)
	}
	if a.uri != "PUT /cb?x=1" || a.header.Get("X") != "y" || a.header.Get("Content-Type") != "application/json" || a.header.Get("Upstash-Signature") == "" ||
		a.header.Get("Upstash-Message-Id") == sent.MessageID {
		t.Errorf("the callback is %+v", a)
	}
	if r.Status != 200 || r.SourceMessageID != sent.MessageID || r.URL != sink+"/ok" || r.Method != "PATCH" || r.MaxRetries != 3 ||
		base64.StdEncoding.EncodeToString([]byte("answer to /ok")) != r.Body || base64.StdEncoding.EncodeToString([]byte("body")) != r.SourceBody ||
		strings.Join(r.Header["X-Answer"], ",") != "yes" || strings.Join(r.SourceHeader["Content-Type"], ",") != "a/b" || r.DlqID != "" || r.CreatedAt == 0 {
		t.Errorf("it reports %+v", r)
	}

	s.want(t, requestBody("POST /v2/enqueue/q/"+sink+"/fails/1", "body", "Upstash-Retries: 0", "Upstash-Failure-Callback: "+sink+"/failed",
		"Upstash-Flow-Control-Key: a,b", "Upstash-Flow-Control-Value: rate=9",
		"Upstash-Failure-Callback-Flow-Control-Key: fk", "Upstash-Failure-Callback-Flow-Control-Value: parallelism=1"), 200, &sent)
	if a := receive(t, arrivals); a.uri != "POST /fails/1" {
		t.Fatalf("arrived %+v", a)
	}
	a = receive(t, arrivals)
	r = report{}
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		t.Fatal(err)
	}
	if a.uri != "POST /failed" || r.Status != 404 || r.DlqID == "" || r.SourceMessageID != sent.MessageID || r.MaxRetries != 0 {
		t.Errorf("the failure callback is %+v, it reports %+v", a, r)
	}
	var dead struct{ Messages []map[string]any }
	for _, none := range []string{"queueName=none", "topicName=q", "flowControlKey=a", "queueName=q&flowControlKey=fk"} {
		if s.want(t, request("GET /v2/dlq?"+none), 200, &dead); len(dead.Messages) != 0 {
			t.Errorf("dead letters with %s: %v", none, dead)
		}
	}
	s.want(t, request("GET /v2/dlq?queueName=none,q&flowControlKey=x&flowControlKey=a%2Cb"), 200, &dead)
	if len(dead.Messages) != 1 || dead.Messages[0]["dlqId"] != r.DlqID || dead.Messages[0]["queueName"] != "q" || dead.Messages[0]["failureCallback"] != sink+"/failed" {
		t.Errorf("dead letters of the queue: %v", dead)
	}
}

// TestScheduleOfAGroup: each tick publishes to what the group has then, by the queue and
// with the callback of the schedule, and the schedule shows them.
func TestScheduleOfAGroup(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	s.same(t, requestBody("POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"`+sink+`/1","name":"one"},{"url":"`+sink+`/2"}]}`), 200, "{}")
	s.want(t, requestBody("POST /v2/schedules/g", "tick", "Upstash-Cron: * * * * * *", "Tidemill-Cron-Seconds: true", "Upstash-Schedule-Id: mine",
		"Upstash-Queue-Name: q", "Upstash-Flow-Control-Key: k", "Upstash-Flow-Control-Value: rate=100", "Upstash-Failure-Callback: "+sink+"/failed",
		"Upstash-Failure-Callback-Forward-X: y"), 200, nil)
	var v map[string]any
	s.want(t, request("GET /v2/schedules/mine"), 200, &v)
	if v["destination"] != "g" || v["queueName"] != "q" || v["flowControlKey"] != "k" || v["rate"] != 100.0 || v["period"] != 1.0 ||
		v["failureCallback"] != sink+"/failed" || fmt.Sprint(v["failureCallbackHeader"].(map[string]any)["X"]) != "[y]" {
		t.Errorf("the schedule is %v", v)
	}
	first, second := receive(t, arrivals), receive(t, arrivals)
	s.want(t, request("DELETE /v2/schedules/mine"), 200, nil)
	if first.uri != "POST /1" || second.uri != "POST /2" || first.header.Get("Upstash-Schedule-Id") != "mine" || first.header.Get("Upstash-Topic-Name") != "g" {
		t.Errorf("arrived %+v and %+v", first, second)
	}
}
