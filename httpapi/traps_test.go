package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The tests of this file walk the list of what clients stumble over (QSTASH.md §13), line
// by line, on the real engine. Lines that have a test of their own elsewhere are named in
// TestTraps, so that the list is whole.

// object returns the JSON object of an answer.
func (s realSite) object(t testing.TB, line string) map[string]any {
	t.Helper()
	var v map[string]any
	s.want(t, request(line), 200, &v)
	return v
}

// hasKeys checks that an object has members, null or not.
func hasKeys(t testing.TB, what string, v map[string]any, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if _, ok := v[k]; !ok {
			t.Errorf("%s lacks %q: %v", what, k, v)
		}
	}
}

func (s realSite) publish(t testing.TB, line string, headers ...string) string {
	t.Helper()
	var sent struct{ MessageID string }
	s.want(t, requestBody(line, "body", headers...), 200, &sent)
	return sent.MessageID
}

// oneDead returns the only dead letter there is, once it is there.
func (s realSite) oneDead(t testing.TB) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		var list struct{ Messages []map[string]any }
		s.want(t, request("GET /v2/dlq"), 200, &list)
		if len(list.Messages) == 1 {
			return list.Messages[0]
		}
	}
	t.Fatal("no dead letter within 10 s")
	return nil
}

// jwt decodes a part of a token.
func jwt(t testing.TB, token string, part int) (v map[string]any) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTraps(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	message := []string{"messageId", "url", "method", "maxRetries", "notBefore", "createdAt"}

	t.Run("1 and 2: slashes and the destination's query stay, ours goes", func(t *testing.T) {
		s.publish(t, "POST /v2/publish/"+sink+"//a//b/../c/?x=%2F&qstash_token=t&upstash-retries=1&y&Upstash-Timeout=5s&z=1")
		if a := receive(t, arrivals); a.uri != "POST //a//b/../c/?x=%2F&y&z=1" {
			t.Errorf("arrived at %s", a.uri)
		}
	})
	t.Run("3: a group's answer is an array, in a batch too", func(t *testing.T) {
		s.same(t, requestBody("POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"`+sink+`/1"},{"url":"`+sink+`/2"}]}`), 200, "{}")
		var one []map[string]any
		s.want(t, request("POST /v2/publish/g"), 200, &one)
		var nested []json.RawMessage
		s.want(t, requestBody("POST /v2/batch", `[{"destination":"g"},{"destination":"`+sink+`"}]`), 200, &nested)
		if len(one) != 2 || len(nested) != 2 || nested[0][0] != '[' || nested[1][0] != '{' {
			t.Errorf("%v %s", one, nested)
		}
		for range 5 {
			receive(t, arrivals)
		}
	})
	t.Run("4: no answer is empty", func(t *testing.T) {
		id := s.publish(t, "POST /v2/publish/"+sink+"?upstash-delay=1h")
		for _, raw := range []string{
			request("DELETE /v2/messages/" + id), request("DELETE /v2/messages"), request("DELETE /v2/dlq?count=1"), request("DELETE /v2/queues/none"),
			request("DELETE /v2/topics/none"), request("DELETE /v2/schedules/none"), requestBody("POST /v2/queues", `{"queueName":"q"}`),
			request("POST /v2/queues/q/pause"), request("POST /v2/queues/q/resume"), request("DELETE /v2/queues/q"), request("POST /v2/keys/rotate"),
			request("GET /v2/dlq"), request("GET /v2/dlq/messages"), request("GET /v2/queues"), request("GET /v2/topics"), request("GET /v2/schedules"),
			request("POST /v2/flowControl/k/pause"), request("POST /v2/flowControl/k/resume"), request("GET /v2/events"), request("GET /healthz"), request("GET /v2/readiness"),
		} {
			a := s.send(t, raw)
			if a.StatusCode != 200 || !json.Valid([]byte(a.body)) || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
				t.Errorf("%.60q: %d %q %s", raw, a.StatusCode, a.body, a.Header.Get("Content-Type"))
			}
		}
	})
	t.Run("5: a canceled message has one L", func(t *testing.T) {
		id := s.publish(t, "POST /v2/publish/"+sink+"?upstash-delay=1h")
		s.same(t, request("DELETE /v2/messages/"+id), 200, `{"cancelled":1}`) // line 9
		for _, filter := range []string{"CANCELED", "CANCELLED"} {
			var v struct{ Events []struct{ State string } }
			s.want(t, request("GET /v2/events?messageId="+id+"&state="+filter), 200, &v)
			if len(v.Events) != 1 || v.Events[0].State != "CANCELED" {
				t.Errorf("%s: %v", filter, v)
			}
		}
	})
	t.Run("6: what the Python client indexes is there, however little was given", func(t *testing.T) {
		id := s.publish(t, "POST /v2/publish/"+sink+"?upstash-delay=1h")
		hasKeys(t, "message", s.object(t, "GET /v2/messages/"+id), message...)
		var sent struct{ ScheduleID string }
		s.want(t, request("POST /v2/schedules/"+sink, "Upstash-Cron: 0 0 1 1 *"), 200, &sent)
		hasKeys(t, "schedule", s.object(t, "GET /v2/schedules/"+sent.ScheduleID), "scheduleId", "cron", "createdAt", "destination", "method", "retries", "isPaused")
		s.same(t, requestBody("POST /v2/queues", `{"queueName":"q6"}`), 200, "{}")
		hasKeys(t, "queue", s.object(t, "GET /v2/queues/q6"), "name", "parallelism", "createdAt", "updatedAt", "lag", "paused")
		g := s.object(t, "GET /v2/topics/g")
		hasKeys(t, "group", g, "name", "createdAt", "updatedAt", "endpoints")
		var events struct{ Events []map[string]any }
		s.want(t, request("GET /v2/events?messageId="+id), 200, &events)
		if len(events.Events) != 1 {
			t.Fatalf("%v", events)
		}
		hasKeys(t, "event", events.Events[0], "time", "messageId", "state", "url")

		s.publish(t, "POST /v2/publish/"+sink+"/fails/6?upstash-retries=0")
		receive(t, arrivals)
		dead := s.oneDead(t)
		hasKeys(t, "dead letter", dead, append([]string{"dlqId", "responseStatus"}, message...)...)
		if dead["responseBody"] != "answer to /fails/6" { // text, not base64
			t.Errorf("%v", dead["responseBody"])
		}
		one := s.object(t, "GET /v2/dlq/"+dead["dlqId"].(string))
		if fmt.Sprint(one) != fmt.Sprint(dead) {
			t.Errorf("one: %v\nlisted: %v", one, dead)
		}
	})
	t.Run("7: both spellings", func(t *testing.T) {
		id := s.publish(t, "POST /v2/publish/"+sink+"?upstash-delay=1h", "Upstash-Retry-Delay: 1000")
		m := s.object(t, "GET /v2/messages/"+id)
		hasKeys(t, "message", m, "callerIP", "callerIp", "retryDelayExpression", "retryDelayExpr")
		hasKeys(t, "dead letter", s.oneDead(t), "responseHeader", "responseHeaders", "callerIP", "callerIp")
		events := s.object(t, "GET /v2/events?messageId="+id)
		hasKeys(t, "events", events, "events", "logs")
		event := events["events"].([]any)[0].(map[string]any)
		hasKeys(t, "event", event, "retryDelayExpression", "retryDelayExpr")
	})
	t.Run("8: cursors are digits, and absent at the end", func(t *testing.T) {
		page := s.object(t, "GET /v2/events?count=1")
		if c, _ := page["cursor"].(string); !regexp.MustCompile(`^[1-9][0-9]*$`).MatchString(c) {
			t.Errorf("%v", page["cursor"])
		}
		for _, line := range []string{"GET /v2/dlq", "GET /v2/events?messageId=msg_none"} {
			if _, there := s.object(t, line)["cursor"]; there {
				t.Errorf("%s has a cursor", line)
			}
		}
	})
	t.Run("10: a schedule is paused by PATCH, POST and PUT, twice too", func(t *testing.T) {
		s.want(t, request("POST /v2/schedules/"+sink, "Upstash-Cron: 0 0 1 1 *", "Upstash-Schedule-Id: ten"), 200, nil)
		for _, method := range []string{"PATCH", "POST", "PUT"} {
			for _, op := range []string{"pause", "pause", "resume", "resume"} {
				s.same(t, request(method+" /v2/schedules/ten/"+op), 200, "{}")
				if s.object(t, "GET /v2/schedules/ten")["isPaused"] != (op == "pause") {
					t.Errorf("%s %s had no effect", method, op)
				}
			}
		}
	})
	t.Run("11: an unknown filter never means all", func(t *testing.T) {
		id := s.publish(t, "POST /v2/publish/"+sink+"?upstash-delay=1h")
		for _, raw := range []string{
			request("DELETE /v2/messages?labeel=x"), request("DELETE /v2/messages/"), requestBody("DELETE /v2/messages", `{"messageIds":[]}`),
			request("DELETE /v2/dlq?labeel=x"), request("POST /v2/dlq/retry?labeel=x"), request("DELETE /v2/dlq?host=h"), request("DELETE /v2/dlq"),
		} {
			s.body(t, raw, 400)
		}
		s.object(t, "GET /v2/messages/"+id)
		s.oneDead(t)
	})
	t.Run("12: True is true", func(t *testing.T) {
		url := "POST /v2/publish/" + sink + "/12?upstash-delay=1h"
		first := s.publish(t, url, "Upstash-Content-Based-Deduplication: True")
		s.same(t, requestBody(url, "body", "Upstash-Content-Based-Deduplication: TRUE"), 202, `{"messageId":"`+first+`","deduplicated":true}`)
		if s.publish(t, url, "Upstash-Content-Based-Deduplication: False") == first {
			t.Error("False is true")
		}
	})
	t.Run("13 and 14: the server's own headers win, and the token is as verifiers want it", func(t *testing.T) {
		id := s.publish(t, "POST /v2/publish/"+sink+"/14?a=%20b", "Upstash-Forward-Upstash-Message-Id: theirs", "Upstash-Forward-Upstash-Signature: theirs", "Upstash-Forward-Content-Type: theirs/x")
		a := receive(t, arrivals)
		if a.header.Get("Upstash-Message-Id") != id || len(a.header["Upstash-Signature"]) != 1 || a.header.Get("Content-Type") == "theirs/x" {
			t.Errorf("%v", a.header)
		}
		token := a.header.Get("Upstash-Signature")
		claims := jwt(t, token, 1)
		sum := sha256.Sum256([]byte("body"))
		if h := jwt(t, token, 0); h["alg"] != "HS256" || claims["sub"] != sink+"/14?a=%20b" || claims["body"] != base64.URLEncoding.EncodeToString(sum[:]) || claims["iss"] != "Upstash" {
			t.Errorf("%v %v", h, claims)
		}
		hasKeys(t, "token", claims, "nbf", "exp", "iat", "jti")
		if claims["exp"].(float64)-claims["iat"].(float64) != 300 {
			t.Errorf("it lives for %v", claims)
		}
	})
	t.Run("15: a batch of one that fails is an HTTP error", func(t *testing.T) {
		s.same(t, requestBody("POST /v2/batch", `[{"destination":"`+sink+`","headers":{"upstash-retries":"101"}}]`), 412, `{"error":"quota maxRetries exceeded"}`)
		s.body(t, requestBody("POST /v2/batch", `[{"destination":"`+sink+`","headers":{"upstash-label":"a b"}}]`), 400)
	})
	t.Run("16: keys", func(t *testing.T) { hasKeys(t, "keys", s.object(t, "GET /v2/keys"), "current", "next") })
	// 17, callbacks after each attempt: TestCallbacksEndToEnd.
	t.Run("18: the period of a flow-control key is in seconds, 1 if none was given", func(t *testing.T) {
		for value, want := range map[string]float64{"parallelism=5": 1, "rate=2, period=1h30m3s": 5403, "rate=2,period=90": 90} {
			id := s.publish(t, "POST /v2/publish/"+sink+"?upstash-delay=1h", "Upstash-Flow-Control-Key: k18", "Upstash-Flow-Control-Value: "+value)
			if m := s.object(t, "GET /v2/messages/"+id); m["period"] != want {
				t.Errorf("%s: %v", value, m["period"])
			}
		}
	})
	t.Run("19: labels keep their order", func(t *testing.T) {
		id := s.publish(t, "POST /v2/publish/"+sink+"?upstash-delay=1h", "Upstash-Label: b,a, c")
		m := s.object(t, "GET /v2/messages/"+id)
		event := s.object(t, "GET /v2/events?messageId="+id)["events"].([]any)[0].(map[string]any)
		for what, v := range map[string]map[string]any{"message": m, "event": event} {
			if v["label"] != "b" || fmt.Sprint(v["labels"]) != "[b a c]" {
				t.Errorf("%s: %v %v", what, v["label"], v["labels"])
			}
		}
	})
	t.Run("20: Not-Before is in seconds, notBefore in milliseconds", func(t *testing.T) {
		at := time.Now().Unix() + 3600
		id := s.publish(t, "POST /v2/publish/"+sink, fmt.Sprint("Upstash-Not-Before: ", at))
		if m := s.object(t, "GET /v2/messages/"+id); m["notBefore"] != float64(at*1000) {
			t.Errorf("%v, want %d", m["notBefore"], at*1000)
		}
	})
}

// TestMessageObject (QSTASH.md §8.1): every member of a message that has everything, and
// which are left out of one that has nothing.
func TestMessageObject(t *testing.T) {
	s, sink, _ := sinkSite(t)
	s.same(t, requestBody("POST /v2/queues", `{"queueName":"q","paused":true}`), 200, "{}")
	s.same(t, requestBody("POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"`+sink+`/1","name":"first"}]}`), 200, "{}")
	var sent []struct{ MessageID string }
	s.want(t, requestBody("POST /v2/enqueue/q/g", "text", "Content-Type: text/x", "Upstash-Forward-bypass-tunnel-reminder: 1", "Upstash-Forward-x-twice: a", "Upstash-Forward-X-Twice: b",
		"Upstash-Method: PUT", "Upstash-Retries: 5", "Upstash-Retry-Delay: 1000", "Upstash-Callback: http://c.test/1", "Upstash-Callback-Forward-x-c: 1",
		"Upstash-Failure-Callback: http://c.test/2", "Upstash-Flow-Control-Key: k", "Upstash-Flow-Control-Value: rate=3, parallelism=2, period=1m", "Upstash-Label: l,m"), 200, &sent)
	m := s.object(t, "GET /v2/messages/"+sent[0].MessageID)
	for k, want := range map[string]any{
		"messageId": sent[0].MessageID, "url": sink + "/1", "method": "PUT", "maxRetries": 5, "topicName": "g", "endpointName": "first", "queueName": "q",
		"header": `map[Bypass-Tunnel-Reminder:[1] Content-Type:[text/x] X-Twice:[a b]]`, "body": "text", "callback": "http://c.test/1", "failureCallback": "http://c.test/2",
		"callbackHeader": `map[Content-Type:[application/json] X-C:[1]]`, "failureCallbackHeader": `map[Content-Type:[application/json]]`,
		"retryDelayExpression": "1000", "callerIP": "127.0.0.1", "callerIp": "127.0.0.1", "label": "l", "labels": "[l m]",
		"flowControlKey": "k", "parallelism": 2, "rate": 3, "period": 60,
	} {
		if fmt.Sprint(m[k]) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", k, m[k], want)
		}
	}
	if m["notBefore"] != m["createdAt"] {
		t.Errorf("not delayed: %v and %v", m["notBefore"], m["createdAt"])
	}

	var bare struct{ MessageID string }
	s.want(t, request("POST /v2/publish/"+sink+"?upstash-delay=1h"), 200, &bare)
	m = s.object(t, "GET /v2/messages/"+bare.MessageID)
	var got []string
	for k := range m {
		got = append(got, k)
	}
	slices.Sort(got)
	if want := "callerIP callerIp createdAt maxRetries messageId method notBefore url"; strings.Join(got, " ") != want {
		t.Errorf("of little: %v, want %s", got, want)
	}
	s.want(t, requestBody("POST /v2/publish/"+sink+"?upstash-delay=1h", "\xff\x00"), 200, &bare)
	if m = s.object(t, "GET /v2/messages/"+bare.MessageID); m["bodyBase64"] != "/wA=" || m["body"] != nil {
		t.Errorf("of bytes: %v", m)
	}
}

// TestBulkCancelEndToEnd cancels over the wire as clients of all ages do.
func TestBulkCancelEndToEnd(t *testing.T) {
	s, sink, _ := sinkSite(t)
	later := func(headers ...string) string {
		return s.publish(t, "POST /v2/publish/"+sink+"/p?x=1&upstash-delay=1h", headers...)
	}
	var ids []string
	for i := range 6 {
		ids = append(ids, later(fmt.Sprint("Upstash-Label: l", i%2)))
	}
	theirs := struct{ MessageID string }{}
	s.want(t, asOther(requestBody("POST /v2/publish/"+sink+"?upstash-delay=1h", "theirs")), 200, &theirs)
	for _, c := range []struct{ raw, want string }{
		{requestBody("DELETE /v2/messages", `{"messageIds":["`+ids[0]+`","msg_x","`+theirs.MessageID+`"]}`), `{"cancelled":1}`},
		{request("DELETE /v2/messages?label=l0&path=/p&count=1"), `{"cancelled":1}`},
		{requestBody("DELETE /v2/messages", `{"label":"l0"}`), `{"cancelled":1}`},
		{request("DELETE /v2/messages?url=" + queryEscape(sink+"/p?x=2")), `{"cancelled":0}`},
		{request("DELETE /v2/messages?host=" + strings.TrimPrefix(sink, "http://") + "&count=100&label=l1,l7"), `{"cancelled":3}`},
		{request("DELETE /v2/messages"), `{"cancelled":0}`},
	} {
		s.same(t, c.raw, 200, c.want)
	}
	later()
	s.same(t, request("DELETE /v2/messages"), 200, `{"cancelled":1}`)
	if a := s.send(t, asOther(request("GET /v2/messages/"+theirs.MessageID))); a.StatusCode != 200 {
		t.Errorf("another account's message: %d", a.StatusCode)
	}
}

// TestNoRouteShowsWhatIsRedacted looks for a secret in every answer that is about a message,
// while it waits, when it has failed, and in its history (QSTASH.md §10).
func TestNoRouteShowsWhatIsRedacted(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	const secret = "s3cr3t-canary"
	headers := []string{"Upstash-Redact-Fields: body, headers[X-Secret]", "Upstash-Forward-X-Secret: " + secret, "Upstash-Label: redacted"}
	publish := func(line string, more ...string) map[string]any {
		t.Helper()
		var sent map[string]any
		s.want(t, requestBody(line, secret, append(more, headers...)...), 200, &sent)
		return sent
	}
	waiting := publish("POST /v2/publish/"+sink+"/later", "Upstash-Delay: 1h")["messageId"].(string)
	schedule := publish("POST /v2/schedules/"+sink, "Upstash-Cron: 0 0 1 1 *")["scheduleId"].(string)
	publish("POST /v2/publish/"+sink+"/fails/now", "Upstash-Retries: 0", "Upstash-Failure-Callback: "+sink+"/fails/callback", "Upstash-Failure-Callback-Retries: 0", "Upstash-Failure-Callback-Forward-X-Secret: "+secret)
	if a := receive(t, arrivals); a.body != secret || a.header.Get("X-Secret") != secret {
		t.Errorf("delivered %s %v", a.body, a.header)
	}
	if a := receive(t, arrivals); !strings.Contains(a.body, base64.StdEncoding.EncodeToString([]byte(secret))) {
		t.Errorf("the callback says %s", a.body)
	}
	var dead struct{ Messages []map[string]any }
	for deadline := time.Now().Add(10 * time.Second); len(dead.Messages) < 2 && time.Now().Before(deadline); {
		s.want(t, request("GET /v2/dlq"), 200, &dead)
	}
	lines := []string{
		"GET /v2/messages/" + waiting, "GET /v2/schedules", "GET /v2/schedules/" + schedule, "GET /v2/dlq", "GET /v2/dlq/messages", "GET /v2/dlq?label=redacted",
		"GET /v2/events", "GET /v2/logs", "GET /v2/events?label=redacted", "GET /v1/messages/" + waiting, "GET /v1/schedules", "GET /v1/schedules/" + schedule,
		"GET /v1/messages", "GET /v1/logs", "GET /v1/events",
	}
	for _, d := range dead.Messages {
		lines = append(lines, "GET /v2/dlq/"+d["dlqId"].(string), "GET /v2/events?messageId="+d["messageId"].(string))
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	shown := 0
	for _, line := range lines {
		a := s.send(t, request(line))
		if a.StatusCode != 200 && !strings.Contains(line, "/v1/") {
			t.Errorf("%s: %d %s", line, a.StatusCode, a.body)
		}
		// Inside of a callback's body the secret stands in base64, and that body may be so, too.
		text := []byte(a.body)
		for _, quoted := range regexp.MustCompile(`"[A-Za-z0-9+/=]{40,}"`).FindAll(text, -1) {
			if b, err := base64.StdEncoding.DecodeString(string(quoted[1 : len(quoted)-1])); err == nil {
				text = append(append(text, ' '), b...)
			}
		}
		if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, []byte(encoded)) {
			t.Errorf("%s shows the secret: %s", line, a.body)
		}
		shown += bytes.Count(text, []byte("REDACTED:"))
	}
	if shown < 15 {
		t.Errorf("only %d values were redacted: the secret was not where it was looked for", shown)
	}
}
