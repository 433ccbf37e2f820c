package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// curl makes a request as curl sends it.
func curl(line, body string, headers ...string) string {
	return requestBody(line, body, append([]string{"User-Agent: curl/7.84.0", "Accept: */*"}, headers...)...)
}

// TestAnnouncement does what the three curl lines of the product's first announcement do.
func TestAnnouncement(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	hello := `{ "hello" : "world" }`
	var sent struct{ MessageID, ScheduleID string }
	s.want(t, curl("POST /v1/publish/"+sink, hello, "Content-Type: application/json"), 200, &sent)
	a := receive(t, arrivals)
	if a.uri != "POST /" || a.body != hello || a.header.Get("Content-Type") != "application/json" || a.header.Get("Upstash-Message-Id") != sent.MessageID ||
		a.header.Get("User-Agent") != "Upstash-QStash" || a.header.Get("Accept") != "" {
		t.Errorf("arrived %+v of %+v", a, sent)
	}

	s.same(t, curl("POST /v1/publish/user-apis", hello, "Content-Type: application/json"), 404, `{"error":"topic user-apis not found"}`)
	s.want(t, requestBody("POST /v1/topics", `{"name":"user-apis"}`), 200, nil)
	s.same(t, curl("POST /v1/publish/user-apis", hello, "Content-Type: application/json"), 400, `{"error":"topic user-apis has no endpoints"}`)
	for _, path := range []string{"/one", "/two"} {
		s.want(t, requestBody("POST /v1/endpoints", `{"url":"`+sink+path+`","topicName":"user-apis"}`), 200, nil)
	}
	got := s.body(t, curl("POST /v1/publish/user-apis", hello, "Content-Type: application/json"), 200)
	if err := json.Unmarshal([]byte(got), &sent); err != nil || got != `{"messageId":"`+sent.MessageID+`"}` {
		t.Errorf("the answer for a topic is %s", got)
	}
	ids := map[string]string{}
	for range 2 {
		a := receive(t, arrivals)
		if a.body != hello || a.header.Get("Upstash-Topic-Name") != "user-apis" {
			t.Errorf("arrived %+v", a)
		}
		ids[a.uri] = a.header.Get("Upstash-Message-Id")
	}
	if ids["POST /one"] != sent.MessageID || ids["POST /two"] == "" || ids["POST /two"] == ids["POST /one"] {
		t.Errorf("arrived as %v, published as %s", ids, sent.MessageID)
	}

	s.want(t, curl("POST /v1/publish/"+sink+"/cron", hello, "Content-type: application/json", "Upstash-Cron: * * * * *"), 200, &sent)
	if v := s.view(t, sent.ScheduleID); v.Cron != "* * * * *" || v.Destination != sink+"/cron" || v.Body != hello || v.Header["Content-Type"][0] != "application/json" {
		t.Errorf("the schedule is %+v", v)
	}
}

// TestPublishV1 checks what the options of a publish do under /v1.
func TestPublishV1(t *testing.T) {
	s := start(t, nil)
	tests := []struct {
		raw    string
		status int
		body   string
	}{
		{curl("POST /v1/publish/https://h.test/a//b?x=1&qstash_token=t", "b", "Upstash-Forward-X: y", "My-Header: z"), 200, `{"messageId":"msg_1"}`},
		{curl("PUT /V1/Publish/https:/h.test/?upstash-retries=7", "", "Upstash-Delay: 10s", "Upstash-Callback: https://c.test/"), 200, `{"messageId":"msg_2"}`},
		{curl("POST /v1/publish/https%3A%2F%2Fh.test", "b", "Upstash-Cron: 1 * * * *"), 200, `{"scheduleId":"scd_1"}`},
		{curl("POST /v1/publish/h.test/x", "b"), 400, `{"error":"invalid destination url: endpoint has invalid scheme, add http:// or https://"}`},
		{curl("POST /v1/publish/api/llm", "b"), 400, `{"error":"invalid destination url: \"api/llm\" is a service of the hosted product: publish to the URL of your own"}`},
		{curl("POST /v1/publish/https://h.test", "b", "Upstash-Retries: 101"), 412, `{"error":"quota maxRetries exceeded"}`},
		{curl("POST /v1/publish/https://h.test", "b", "Upstash-Deduplication-Id: a:b"), 400, `{"error":"DeduplicationId cannot contain ':'"}`},
		{curl("HEAD /v1/publish/https://h.test", ""), 405, ""},
	}
	for _, tt := range tests {
		a, _ := s.send(t, tt.raw)
		if a.StatusCode != tt.status || a.body != tt.body {
			t.Errorf("%.60q: %d %s, want %d %s", tt.raw, a.StatusCode, a.body, tt.status, tt.body)
		}
	}
	got := s.eng.messages()
	if len(got) != 2 {
		t.Fatalf("published %d messages, want 2", len(got))
	}
	if m := got[0]; m.URL != "https://h.test/a//b?x=1" || fmt.Sprint(m.Header) != "[{X y}]" || m.Retries != engine.DefaultRetries || m.RetryDelay != "" {
		t.Errorf("published %+v", m)
	}
	if m := got[1]; m.URL != "https://h.test/" || m.Retries != 7 || m.Delay.Seconds() != 10 || m.Callback == nil || m.Callback.URL != "https://c.test/" {
		t.Errorf("published %+v", m)
	}
}

func TestDuplicatesV1(t *testing.T) {
	s, sink, _ := sinkSite(t)
	s.same(t, requestBody("PUT /v1/topics/none", `{"name":"x"}`), 404, `{"error":"topic none not found"}`)
	s.want(t, requestBody("POST /v1/topics", `{"name":"twice"}`), 200, nil)
	s.want(t, requestBody("POST /v1/endpoints", `{"url":"`+sink+`/1","topicName":"twice"}`), 200, nil)
	s.want(t, requestBody("POST /v1/endpoints", `{"url":"`+sink+`/2","topicName":"twice"}`), 200, nil)
	for _, to := range []string{sink, "twice"} {
		var first struct{ MessageID string }
		raw := requestBody("POST /v1/publish/"+to, "x", "Upstash-Deduplication-Id: once-"+strings.TrimPrefix(to, "http://")[:4])
		s.want(t, raw, 200, &first)
		s.same(t, raw, 202, `{"messageId":"`+first.MessageID+`","deduplicated":true}`)
	}
}

// TestMessagesV1 cancels a message, and a publish to a topic as one.
func TestMessagesV1(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	s.want(t, requestBody("POST /v1/topics", `{"name":"many"}`), 200, nil)
	for i := range 3 {
		s.want(t, requestBody("POST /v1/endpoints", fmt.Sprintf(`{"url":"%s/%d","topicName":"many"}`, sink, i)), 200, nil)
	}
	var one, many struct{ MessageID string }
	s.want(t, requestBody("POST /v1/publish/"+sink+"/later", "x", "Upstash-Delay: 1h", "Upstash-Forward-A: b"), 200, &one)
	s.want(t, requestBody("POST /v1/publish/many", "", "Upstash-Delay: 1h"), 200, &many)
	var m struct {
		MessageID, URL, Method, TopicID, Body string
		Header                                map[string][]string
		CreatedAt                             int64
	}
	s.want(t, request("GET /v1/messages/"+one.MessageID), 200, &m)
	if m.MessageID != one.MessageID || m.URL != sink+"/later" || m.Method != "POST" || m.TopicID != "" || m.Body != "x" || m.Header["A"][0] != "b" || m.CreatedAt == 0 {
		t.Errorf("the message is %+v", m)
	}
	s.want(t, request("GET /v1/messages/"+many.MessageID), 200, &m)
	var topic topicV1
	s.want(t, request("GET /v1/topics/many"), 200, &topic)
	if m.MessageID != many.MessageID || m.TopicID != topic.ID || m.URL != sink+"/0" || m.Header == nil {
		t.Errorf("the message is %+v", m)
	}
	// The first of a topic's messages ends, and its id still stands for the others.
	s.same(t, request("DELETE /v2/messages/"+many.MessageID), 200, `{"cancelled":1}`)
	for _, id := range []string{one.MessageID, many.MessageID} {
		for _, line := range []string{"GET /v1/messages/" + id, "DELETE /v1/messages/" + id, "GET /v1/messages/" + id + "/logs", "GET /v1/messages/" + id + "/tasks"} {
			s.same(t, asOther(request(line)), 404, `{"error":"not found"}`)
		}
		s.same(t, request("DELETE /v1/messages/"+id), 202, `{"status":"accepted"}`)
		s.same(t, request("DELETE /v1/messages/"+id), 404, `{"error":"not found"}`)
		s.want(t, request("GET /v1/messages/"+id), 200, &m) // it is kept
		if m.MessageID != id || m.Method != "POST" {
			t.Errorf("the ended message is %+v", m)
		}
	}
	var tasks struct{ Tasks []taskView }
	s.want(t, request("GET /v1/messages/"+many.MessageID+"/tasks"), 200, &tasks)
	if len(tasks.Tasks) != 3 {
		t.Fatalf("the tasks are %+v", tasks)
	}
	for i, task := range tasks.Tasks {
		if task.State != "canceled" || task.URL != fmt.Sprintf("%s/%d", sink, i) {
			t.Errorf("task %d is %+v", i, task)
		}
	}
	select {
	case a := <-arrivals:
		t.Errorf("arrived %+v", a)
	default:
	}
}

type endpointV1 struct{ EndpointID, ID, URL, TopicID string }

type topicV1 struct {
	TopicID, ID, Name string
	Endpoints         []endpointV1
	EndpointIDs       []string
}

// check checks that both sets of keys say the same.
func (v *topicV1) check(t *testing.T) {
	t.Helper()
	ok := v.TopicID != "" && v.TopicID == v.ID && v.Endpoints != nil && v.EndpointIDs != nil && len(v.Endpoints) == len(v.EndpointIDs)
	for i := range v.EndpointIDs {
		e := v.Endpoints[i]
		ok = ok && e.EndpointID != "" && e.EndpointID == e.ID && e.ID == v.EndpointIDs[i] && e.TopicID == v.ID
	}
	if !ok {
		t.Errorf("the topic is %+v", v)
	}
}

func TestTopicsV1(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	s.same(t, request("GET /v1/topics"), 200, `[]`)
	s.same(t, request("GET /v1/endpoints/"), 200, `[]`)
	var v topicV1
	s.want(t, requestBody("POST /v1/topics", `{"name":"my.topic"}`), 200, &v)
	v.check(t)
	id := v.ID
	if !strings.HasPrefix(id, "tpc_") || v.Name != "my.topic" || len(v.Endpoints) != 0 {
		t.Errorf("created %+v", v)
	}
	var e, again endpointV1
	s.want(t, requestBody("POST /v1/endpoints", `{"url":"`+sink+`/1","topicId":"`+id+`"}`), 200, &e)
	s.want(t, requestBody("POST /v1/endpoints", `{"url":"`+sink+`/1","topicName":"my.topic"}`), 200, &again)
	if e != again || !strings.HasPrefix(e.ID, "ept_") || e.ID != e.EndpointID || e.URL != sink+"/1" || e.TopicID != id {
		t.Errorf("created %+v and %+v", e, again)
	}
	// A name of the present API is no obstacle.
	s.same(t, requestBody("POST /v2/topics/my.topic/endpoints", `{"endpoints":[{"url":"`+sink+`/2","name":"Second"}]}`), 200, "{}")
	for _, arg := range []string{"my.topic", id} {
		s.want(t, request("GET /v1/topics/"+arg), 200, &v)
		v.check(t)
		if v.ID != id || len(v.Endpoints) != 2 || v.Endpoints[0] != e || v.Endpoints[1].URL != sink+"/2" {
			t.Errorf("%s is %+v", arg, v)
		}
	}
	s.want(t, requestBody("POST /v1/publish/"+id, "x"), 200, nil)
	receive(t, arrivals)
	receive(t, arrivals)

	// A changed URL leaves an endpoint its id, whether it has a name or not.
	for i, old := range v.Endpoints {
		url := fmt.Sprintf("%s/changed/%d", sink, i)
		s.want(t, requestBody("PUT /v1/endpoints/"+old.ID, `{"url":"`+url+`"}`), 200, &e)
		if want := (endpointV1{old.ID, old.ID, url, id}); e != want {
			t.Errorf("updated to %+v, want %+v", e, want)
		}
		s.want(t, request("GET /v1/endpoints/"+old.ID), 200, &again)
		if again != e {
			t.Errorf("the endpoint is %+v, want %+v", again, e)
		}
		s.same(t, asOther(request("GET /v1/endpoints/"+old.ID)), 404, `{"error":"endpoint \"`+old.ID+`\" not found"}`)
	}
	var all []endpointV1
	s.want(t, request("GET /v1/endpoints"), 200, &all)
	if len(all) != 2 {
		t.Errorf("the endpoints are %+v", all)
	}
	s.same(t, request("DELETE /v1/endpoints/"+all[0].ID), 200, `{"status":"ok"}`)
	s.same(t, request("DELETE /v1/endpoints/"+all[1].ID), 200, `{"status":"ok"}`)
	s.same(t, request("DELETE /v1/endpoints/"+all[1].ID), 404, `{"error":"endpoint \"`+all[1].ID+`\" not found"}`)
	s.want(t, request("GET /v1/topics/my.topic"), 200, &v) // a topic stays without endpoints
	v.check(t)

	s.want(t, requestBody("POST /v1/topics", `{"name":"taken"}`), 200, nil)
	s.same(t, requestBody("PUT /v1/topics/my.topic", `{"name":"taken"}`), 400, `{"error":"invalid topic name \"taken\": there is a topic of this name"}`)
	s.want(t, requestBody("PUT /v1/topics/"+id, `{"name":"renamed"}`), 200, &v)
	v.check(t)
	if v.Name != "renamed" || v.ID != id {
		t.Errorf("renamed to %+v", v)
	}
	s.want(t, request("GET /v1/topics/"+id), 200, &v) // an id outlives the name
	if v.Name != "renamed" {
		t.Errorf("by its id it is %+v", v)
	}
	s.want(t, requestBody("POST /v1/topics", `{"name":"my.topic"}`), 200, &v) // and is not that of another of the name
	if v.ID == id {
		t.Errorf("the new topic is %+v", v)
	}
	s.same(t, request("DELETE /v1/topics/"+v.ID), 200, `{"status":"ok"}`)
	s.want(t, requestBody("POST /v1/topics", `{"name":"`+v.ID+`"}`), 200, nil) // a name may look like an id
	s.want(t, request("GET /v1/topics/"+v.ID), 200, &v)
	if v.ID == v.Name {
		t.Errorf("the topic is %+v", v)
	}
	s.same(t, request("DELETE /v1/topics/"+v.ID), 200, `{"status":"ok"}`)
	s.same(t, asOther(request("GET /v1/topics/"+id)), 404, `{"error":"topic `+id+` not found"}`)
	s.same(t, asOther(request("POST /v1/publish/"+id)), 404, `{"error":"topic `+id+` not found"}`)
	s.same(t, request("GET /v1/topics/my.topic"), 404, `{"error":"topic my.topic not found"}`)
	s.same(t, asOther(request("GET /v1/topics/renamed")), 404, `{"error":"topic renamed not found"}`)
	s.same(t, request("DELETE /v1/topics/"+id), 200, `{"status":"ok"}`)
	s.same(t, request("DELETE /v1/topics/"+id), 200, `{"status":"ok"}`)
	s.same(t, request("GET /v1/topics/renamed"), 404, `{"error":"topic renamed not found"}`)
}

func TestSchedulesV1(t *testing.T) {
	s, sink, _ := sinkSite(t)
	s.same(t, request("GET /v1/schedules"), 200, "[]")
	s.want(t, requestBody("POST /v1/topics", `{"name":"tick"}`), 200, nil)
	s.want(t, requestBody("POST /v1/endpoints", `{"url":"`+sink+`/e","topicName":"tick"}`), 200, nil)
	var toURL, toTopic struct{ ScheduleID string }
	s.want(t, requestBody("POST /v1/publish/"+sink+"/u", "b", "Upstash-Cron: 0 0 1 1 *", "Upstash-Forward-A: 1", "Upstash-Retries: 5", "Upstash-Delay: 90s",
		"Upstash-Callback: "+sink+"/cb"), 200, &toURL)
	s.want(t, requestBody("POST /v1/publish/tick", "", "Upstash-Cron: 0 0 1 1 *"), 200, &toTopic)
	type view struct {
		ScheduleID, Cron string
		CreatedAt        int64
		Content          struct {
			Header map[string][]string
			Body   *string
		}
		Destination struct {
			Type, URL string
			Topic     *topicV1
		}
		Settings struct {
			Retries  *int
			Delay    int
			Callback string
		}
	}
	var v view
	s.want(t, request("GET /v1/schedules/"+toURL.ScheduleID), 200, &v)
	if v.ScheduleID != toURL.ScheduleID || v.Cron != "0 0 1 1 *" || v.CreatedAt == 0 || v.Content.Header["A"][0] != "1" || *v.Content.Body != "b" ||
		v.Destination.Type != "url" || v.Destination.URL != sink+"/u" || v.Destination.Topic != nil || *v.Settings.Retries != 5 || v.Settings.Delay != 90 || v.Settings.Callback != sink+"/cb" {
		t.Errorf("the schedule is %+v", v)
	}
	var all []view
	s.want(t, request("GET /v1/schedules/"), 200, &all)
	if len(all) != 2 {
		t.Fatalf("the schedules are %+v", all)
	}
	for i := range all {
		if all[i].ScheduleID != toTopic.ScheduleID {
			continue
		}
		d := &all[i].Destination
		if d.Type != "topic" || d.URL != "" || d.Topic == nil || all[i].Content.Header == nil || all[i].Content.Body == nil {
			t.Fatalf("the schedule is %+v", all[i])
		}
		d.Topic.check(t)
		if d.Topic.Name != "tick" || len(d.Topic.Endpoints) != 1 {
			t.Errorf("the topic is %+v", d.Topic)
		}
	}
	s.same(t, request("DELETE /v1/schedules/"+toURL.ScheduleID), 202, `{"status":"accepted"}`)
	s.same(t, request("DELETE /v1/schedules/"+toURL.ScheduleID), 202, `{"status":"accepted"}`)
	s.same(t, request("GET /v1/schedules/"+toURL.ScheduleID), 404, `{"error":"not found"}`)
}

func TestKeysAndQuotaV1(t *testing.T) {
	s, _, _ := sinkSite(t)
	s.same(t, request("GET /v1/keys"), 200, `{"current":"sig_a","next":"sig_b"}`)
	var keys struct{ Current, Next string }
	s.want(t, request("POST /v1/keys/rotate"), 200, &keys)
	if keys.Current != "sig_b" || !strings.HasPrefix(keys.Next, "sig_") {
		t.Errorf("rotated to %+v", keys)
	}
	s.same(t, request("GET /v1/quota/"), 200, `{"maxTopics":100000,"maxEndpointsPerTopic":100,"maxMessageSize":1048576,"maxRetries":100,`+
		`"maxSchedules":1000000,"maxRequestsPerDay":0,"retention":1209600,"timeout":900,"maxDelay":31536000}`)
}

// TestBadInputV1 sends what is wrong; the engine is not asked (fakeEngine panics).
func TestBadInputV1(t *testing.T) {
	s := start(t, nil)
	long := strings.Repeat("a", nameMax+1)
	tests := []struct {
		raw    string
		status int
		text   string
	}{
		{request("GET /v1"), 404, "not found"},
		{request("GET /v1/nothing"), 404, "not found"},
		{request("GET /v1/topics/a/b"), 404, "not found"},
		{request("PATCH /v1/topics/a"), 405, "allowed: GET, PUT, DELETE"},
		{request("DELETE /v1/topics"), 405, "allowed: GET, POST"},
		{request("DELETE /v1/topics/"), 400, "the topic is empty: /v1/topics/{id or name}"},
		{request("DELETE /v1/endpoints/"), 400, "the id is empty"},
		{request("DELETE /v1/schedules/"), 400, "the id is empty"},
		{request("GET /v1/tasks"), 404, "not found"},
		{request("GET /v1/tasks/"), 404, "not found"},
		{request("POST /v1/messages"), 405, "allowed: GET"},
		{request("POST /v1/messages/m/logs"), 405, "allowed: GET"},
		{request("GET /v1/messages//logs"), 404, "not found"},
		{request("GET /v1/logs?cursor=x"), 400, "cursor"},
		{request("DELETE /v1/messages/"), 400, "the id is empty: DELETE /v1/messages/{id}"},
		{request("POST /v1/schedules/s"), 405, "allowed: GET, DELETE"},
		{request("POST /v1/quota"), 405, "allowed: GET"},
		{request("GET /v1/topics/a%20b"), 400, `invalid URL group "a%20b"`},
		{request("GET /v1/topics/" + long), 400, "invalid URL group"},
		{request("GET /v1/endpoints/nothing"), 404, `endpoint "nothing" not found`},
		{request("GET /v1/endpoints/ept_"), 404, `endpoint "ept_" not found`},
		{request("PUT /v1/endpoints/ept_AAAA"), 404, `endpoint "ept_AAAA" not found`},
		{request("POST /v1/topics"), 400, "the body"},
		{requestBody("POST /v1/topics", `{}`), 400, "invalid name"},
		{requestBody("POST /v1/topics", `{"name":7}`), 400, "name must be a string"},
		{requestBody("POST /v1/topics", `{"name":"a b"}`), 400, `invalid name "a b"`},
		{requestBody("POST /v1/topics", `{"name":"`+long+`"}`), 400, "invalid name"},
		{requestBody("POST /v1/topics", `[]`), 400, "the body must be a JSON object with name"},
		{requestBody("POST /v1/topics", `{"name":"a"`), 400, ""},
		{requestBody("PUT /v1/topics/a", `{"name":null}`), 400, "invalid name"},
		{requestBody("POST /v1/endpoints", `{"topicName":"a"}`), 400, "the url is missing"},
		{requestBody("POST /v1/endpoints", `{"url":"https://h.test"}`), 400, "one of topicName and topicId must be there"},
		{requestBody("POST /v1/endpoints", `{"url":"h.test","topicName":"a"}`), 400, "invalid destination url"},
		{requestBody("POST /v1/endpoints", `{"url":"https://h.test#x","topicName":"a"}`), 400, "fragment"},
		{requestBody("POST /v1/endpoints", `{"url":{},"topicName":"a"}`), 400, "url must be a string"},
		{strings.Replace(request("GET /v1/topics"), goodToken, badToken, 1), 401, "unable to authenticate: invalid token"},
	}
	for _, tt := range tests {
		a, _ := s.send(t, tt.raw)
		var e struct{ Error string }
		if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.StatusCode != tt.status || !strings.Contains(e.Error, tt.text) || e.Error == "" {
			t.Errorf("%.80q: %d %s, want %d with %q", tt.raw, a.StatusCode, a.body, tt.status, tt.text)
		}
	}
	s.expectNothing(t)
}

// TestIDsV1: ids lead back to their topic, and are of one topic and endpoint alone.
func TestIDsV1(t *testing.T) {
	seen := map[string]bool{}
	for _, topic := range []time.Time{time.UnixMilli(0), time.UnixMilli(1_700_000_000_000), time.UnixMilli(1_700_000_000_001), {}} {
		id := topicID(topic)
		if got, ok := topicOfID(id); !ok || !got.Equal(topic) || seen[id] {
			t.Errorf("topicOfID(%s) is %s, seen %v", id, got, seen[id])
		}
		seen[id] = true
		for _, e := range []engine.Endpoint{{URL: "https://h/1"}, {URL: "https://h/2"}, {URL: "https://h/3", Name: "https://h/1"}, {URL: "https://h/4", Name: "ept_YQ"}} {
			id := endpointID(topic, &e)
			if got, ok := topicOfEndpoint(id); !ok || !got.Equal(topic) || seen[id] {
				t.Errorf("endpoint %+v of %s: %s is of %s, seen %v", e, topic, id, got, seen[id])
			}
			seen[id] = true
			if again := endpointID(topic, &engine.Endpoint{URL: "https://new", Name: id}); again != id {
				t.Errorf("with its id as its name %s is %s", id, again)
			}
			if other := endpointID(topic.Add(time.Millisecond), &engine.Endpoint{URL: e.URL, Name: id}); other == id {
				t.Errorf("%s is the id of an endpoint of two topics", id)
			}
		}
	}
	for _, id := range []string{"", "tpc_", "tpc_AAAAAAAAAAB", "tpc_AAAAAAAAAA=", "tpc_AAAAAAAAAAAA", "tpc_????????????", "a", endpointID(time.Time{}, &engine.Endpoint{})} {
		if created, ok := topicOfID(id); ok {
			t.Errorf("%q is the id of a topic of %s", id, created)
		}
	}
}

type taskView struct {
	TaskID, MessageID, URL, State, Error    string
	MaxRetry, Retried                       *int
	CompletedAt, NextProcessAt, LastErrorAt int64
}

// TestHistoryV1 follows one message that is delivered at once, one that waits for its second
// attempt and one that fails for good, through all that the first API tells of them.
func TestHistoryV1(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	var good, again, bad struct{ MessageID string }
	s.want(t, requestBody("POST /v1/publish/"+sink+"/good", "x"), 200, &good)
	s.want(t, requestBody("POST /v1/publish/"+sink+"/fails/again", "x", "Upstash-Retry-Delay: 3600000"), 200, &again)
	s.want(t, requestBody("POST /v1/publish/"+sink+"/fails/bad", "x", "Upstash-Retries: 0"), 200, &bad)
	for range 3 {
		receive(t, arrivals)
	}
	type log struct {
		Time, NextScheduledAt, NextDeliveryTime int64
		ID, State, MessageID, TaskID, URL       string
		Error                                   string
	}
	type page struct {
		Logs, Events []log
		Messages     []struct{ MessageID, URL, Body string }
		Cursor       *json.Number
	}
	taskOf := func(id string) (v taskView) {
		t.Helper()
		s.want(t, request("GET /v1/tasks/"+taskID(id)), 200, &v)
		if v.TaskID != taskID(id) || v.MessageID != id || v.URL == "" || v.MaxRetry == nil || v.Retried == nil {
			t.Errorf("the task is %+v", v)
		}
		return v
	}
	for _, tt := range []struct {
		id, url string
		states  []string // the newest first
		retries int
	}{
		{good.MessageID, "/good", []string{"delivered", "active", "created"}, 3},
		{again.MessageID, "/fails/again", []string{"planned", "error", "active", "created"}, 3},
		{bad.MessageID, "/fails/bad", []string{"failed", "error", "active", "created"}, 0},
	} {
		var task taskView
		waitFor(t, func() bool { task = taskOf(tt.id); return task.State == tt.states[0] })
		failed := len(tt.states) == 4
		if task.URL != sink+tt.url || *task.MaxRetry != tt.retries || *task.Retried != 0 || (task.CompletedAt > 0) == failed ||
			(task.LastErrorAt > 0) != failed || (task.Error != "") != failed || (task.NextProcessAt > 0) != (tt.states[0] == "planned") {
			t.Errorf("%s: the task is %+v", tt.url, task)
		}
		var p page
		s.want(t, request("GET /v1/messages/"+tt.id+"/tasks"), 200, nil)
		s.want(t, request("GET /v1/messages/"+tt.id+"/logs"), 200, &p)
		if len(p.Logs) != len(tt.states) || p.Cursor != nil {
			t.Fatalf("%s: the logs are %+v", tt.url, p)
		}
		for i, l := range p.Logs {
			if l.State != tt.states[i] || l.MessageID != tt.id || l.TaskID != taskID(tt.id) || l.Time == 0 || (l.Error != "") != (l.State == "error") || (l.NextScheduledAt > 0) != (l.State == "planned") {
				t.Errorf("%s: log %d is %+v, want it %s", tt.url, i, l, tt.states[i])
			}
		}
	}
	var logs, events page
	s.want(t, request("GET /v1/logs"), 200, &logs)
	s.want(t, request("GET /v1/events/"), 200, &events)
	if len(logs.Logs) != 11 || len(events.Events) != 11 {
		t.Fatalf("%d logs, %d events, want 11", len(logs.Logs), len(events.Events))
	}
	for i, e := range events.Events {
		if l := logs.Logs[i]; e.ID == "" || e.URL == "" || e.Time != l.Time || e.State != l.State || e.TaskID != l.TaskID || e.NextDeliveryTime != l.NextScheduledAt {
			t.Errorf("event %d is %+v, the log %+v", i, e, l)
		}
	}
	var messages page
	s.want(t, request("GET /v1/messages"), 200, &messages)
	if m := messages.Messages; len(m) != 3 || m[0].MessageID != bad.MessageID || m[2].MessageID != good.MessageID || m[1].URL != sink+"/fails/again" || m[1].Body != "x" {
		t.Errorf("the messages are %+v", messages)
	}
	var paged []log
	for path := "/v1/logs?count=4"; path != ""; {
		var p page
		s.want(t, request("GET "+path), 200, &p)
		paged = append(paged, p.Logs...)
		path = ""
		if p.Cursor != nil {
			path = "/v1/logs?count=4&cursor=" + p.Cursor.String()
		}
	}
	if fmt.Sprint(paged) != fmt.Sprint(logs.Logs) {
		t.Errorf("in pages %v\nat once  %v", paged, logs.Logs)
	}
	// The loop in the client's documentation begins with the time as its cursor.
	var now page
	s.want(t, request(fmt.Sprintf("GET /v1/logs?cursor=%d", time.Now().UnixMilli())), 200, &now)
	if fmt.Sprint(now.Logs) != fmt.Sprint(logs.Logs) {
		t.Errorf("from now on %v\nat once  %v", now.Logs, logs.Logs)
	}
	s.same(t, request(fmt.Sprintf("GET /v1/logs?cursor=%d", logs.Logs[10].Time-1)), 200, `{"logs":[]}`)
	s.same(t, asOther(request("GET /v1/logs")), 200, `{"logs":[]}`)
	s.same(t, asOther(request("GET /v1/events")), 200, `{"events":[]}`)
	s.same(t, asOther(request("GET /v1/messages")), 200, `{"messages":[]}`)
	id := taskID(good.MessageID)
	s.same(t, asOther(request("GET /v1/tasks/"+id)), 404, `{"error":"task \"`+id+`\" not found"}`)
	s.same(t, request("GET /v1/tasks/"+good.MessageID), 404, `{"error":"task \"`+good.MessageID+`\" not found"}`)
}

// FuzzIDsV1: an id is that of one topic or of none, whatever it looks like.
func FuzzIDsV1(f *testing.F) {
	now := time.UnixMilli(1_700_000_000_000)
	for _, id := range []string{"", "tpc_AAAAAAAAAAA", "tpc_AAAAAAAAAAB", topicID(now), "ept_AA", endpointID(now, &engine.Endpoint{URL: "https://h"})} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if created, ok := topicOfID(id); ok && topicID(created) != id {
			t.Errorf("%q is of %s, whose id is %q", id, created, topicID(created))
		}
		if topic, ok := topicOfEndpoint(id); ok && endpointID(topic, &engine.Endpoint{Name: id}) != id {
			t.Errorf("%q is of the topic of %s, and not kept as a name", id, topic)
		}
		if message, ok := messageOfTask(id); ok && taskID(message) != id {
			t.Errorf("%q is the task of %q, whose task is %q", id, message, taskID(message))
		}
	})
}
