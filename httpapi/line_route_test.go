package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// TestLineRoutesRefuse: what is wrong with a call about queues, groups and keys is
// named, and the engine never sees it: the one of this test panics.
func TestLineRoutesRefuse(t *testing.T) {
	s := start(t, func(o *Options) {
		o.CheckDestination = func(url string) error {
			if strings.Contains(url, "refused") {
				return &failure{text: "endpoint is refused.test"}
			}
			return nil
		}
	})
	const (
		noJSON    = `{"error":"the body is not valid JSON"}`
		notFound  = `{"error":"not found"}`
		noName    = `{"error":"the queue name is empty: /v2/queues/{name}"}`
		noGroup   = `{"error":"the name of the URL group is empty: /v2/topics/{name}"}`
		noKey     = `{"error":"the flow-control key is empty: /v2/flowControl/{key}"}`
		badName   = `: must be at most 256 of the characters A-Z a-z 0-9 . _ - and neither . nor .."}`
		allowed   = `{"error":"method not allowed here, allowed: `
		wantQueue = `{"error":"the body must be a JSON object with queueName, parallelism and paused: `
		badLimit  = ` must be a whole number from 1 to 1000000000"}`
		noScheme  = `invalid destination url: endpoint has invalid scheme, add http:// or https://"}`
		wantList  = `{"error":"endpoints must be a list of objects with url and name"}`
	)
	tests := []struct {
		line, body string
		status     int
		answer     string
	}{
		{"DELETE /v2/queues", "", 405, allowed + `GET, POST"}`},
		{"PUT /v2/queues/", "", 405, allowed + `GET, POST"}`},
		{"DELETE /v2/queues/", "", 400, noName},
		{"GET /v2/queues//", "", 400, noName},
		{"POST /v2/queues//pause", "", 400, noName},
		{"POST /v2/queues/q", "", 405, allowed + `GET, DELETE"}`},
		{"PATCH /v2/queues/q/pause", "", 405, allowed + `POST"}`},
		{"GET /v2/queues/q/resume", "", 405, allowed + `POST"}`},
		{"GET /v2/queues/q/", "", 404, notFound},
		{"GET /v2/queues/q/lag", "", 404, notFound},
		{"POST /v2/queues/q/pause/", "", 404, notFound},
		{"GET /v2/queues/a%20b", "", 400, `{"error":"invalid queue name \"a%20b\"` + badName},
		{"DELETE /v2/queues/..", "", 400, `{"error":"invalid queue name \"..\"` + badName},
		{"POST /v2/queues/a:b/pause", "", 400, `{"error":"invalid queue name \"a:b\"` + badName},
		{"POST /v2/queues/a:b/Resume", "", 400, `{"error":"invalid queue name \"a:b\"` + badName},
		{"POST /v2/queues", "", 400, noJSON},
		{"POST /v2/queues", `{"queueName":"q"`, 400, noJSON},
		{"POST /v2/queues", `["q"]`, 400, wantQueue + `not an object"}`},
		{"POST /v2/queues", `{"queueName":"q","queueName":"r"}`, 400, wantQueue + `\"queueName\" is there twice"}`},
		{"POST /v2/queues", `{"parallelism":1}`, 400, `{"error":"invalid queueName \"\"` + badName},
		{"POST /v2/queues", `{"queueName":null}`, 400, `{"error":"invalid queueName \"\"` + badName},
		{"POST /v2/queues", `{"queueName":5}`, 400, `{"error":"queueName must be a string without control characters"}`},
		{"POST /v2/queues", `{"queueName":"a b"}`, 400, `{"error":"invalid queueName \"a b\"` + badName},
		{"POST /v2/queues", `{"queueName":"a\u0000"}`, 400, `{"error":"queueName must be a string without control characters"}`},
		{"POST /v2/queues/", `{"queueName":"q","parallelism":0}`, 400, `{"error":"invalid parallelism \"0\": must be a whole number of 1 or more"}`},
		{"POST /v2/queues", `{"queueName":"q","parallelism":-1}`, 400, `{"error":"invalid parallelism \"-1\": must be a whole number of 1 or more"}`},
		{"POST /v2/queues", `{"queueName":"q","parallelism":1.5}`, 400, `{"error":"invalid parallelism \"1.5\": must be a whole number of 1 or more"}`},
		{"POST /v2/queues", `{"queueName":"q","parallelism":"2"}`, 400, `{"error":"invalid parallelism \"\\\"2\\\"\": must be a whole number of 1 or more"}`},
		{"POST /v2/queues", `{"queueName":"q","parallelism":4097}`, 412, `{"error":"quota maxQueueParallelism exceeded. Maximum allowed: 4096"}`},
		{"POST /v2/queues", `{"queueName":"q","parallelism":99999999999999999999}`, 412, `{"error":"quota maxQueueParallelism exceeded. Maximum allowed: 4096"}`},
		{"POST /v2/queues", `{"queueName":"q","paused":"true"}`, 400, `{"error":"invalid paused \"\\\"true\\\"\": must be true or false"}`},
		{"POST /v2/queues", `{"queueName":"q","paused":1}`, 400, `{"error":"invalid paused \"1\": must be true or false"}`},

		{"POST /v2/topics", "", 405, allowed + `GET"}`},
		{"DELETE /v2/topics", "", 405, allowed + `GET"}`},
		{"DELETE /v2/topics/", "", 400, noGroup},
		{"POST /v2/topics//endpoints", "", 400, noGroup},
		{"PUT /v2/topics/g", "", 405, allowed + `GET, POST, PATCH, DELETE"}`},
		{"GET /v2/topics/g/endpoints", "", 405, allowed + `POST, DELETE"}`},
		{"GET /v2/topics/g/", "", 404, notFound},
		{"POST /v2/topics/g/endpoints/x", "", 404, notFound},
		{"GET /v2/topics/a%20b", "", 400, `{"error":"invalid URL group \"a%20b\"` + badName},
		{"DELETE /v2/topics/..", "", 400, `{"error":"invalid URL group \"..\"` + badName},
		{"PATCH /v2/topics/a:b", "{}", 400, `{"error":"invalid URL group \"a:b\"` + badName},
		{"POST /v2/topics/a:b/endpoints", `{"endpoints":[{"url":"http://h"}]}`, 400, `{"error":"invalid URL group \"a:b\"` + badName},
		{"POST /v2/topics/g/endpoints", "", 400, noJSON},
		{"POST /v2/topics/g", "", 400, noJSON},
		{"POST /v2/topics/g/endpoints", `[]`, 400, `{"error":"the body must be a JSON object with endpoints: not an object"}`},
		{"POST /v2/topics/g/endpoints", `{}`, 400, wantList},
		{"POST /v2/topics/g/endpoints", `{"endpoints":{"url":"http://h"}}`, 400, wantList},
		{"POST /v2/topics/g/endpoints", `{"endpoints":null}`, 400, wantList},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[]}`, 400, `{"error":"endpoints is empty: it must name at least one"}`},
		{"POST /v2/topics/g/endpoints", `{"endpoints":["http://h"]}`, 400, `{"error":"endpoint 0: not an object"}`},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"http://h"},{"name":"n"}]}`, 400, `{"error":"endpoint 1: the url is missing"}`},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":""}]}`, 400, `{"error":"endpoint 0: the url is missing"}`},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":7}]}`, 400, `{"error":"endpoint 0: url must be a string without control characters"}`},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"http://h","name":["n"]}]}`, 400, `{"error":"endpoint 0: name must be a string without control characters"}`},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"http://h","name":"a\nb"}]}`, 400, `{"error":"endpoint 0: name must be a string without control characters"}`},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"h.test/x"}]}`, 400, `{"error":"endpoint 0: ` + noScheme},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"other-group"}]}`, 400, `{"error":"endpoint 0: ` + noScheme},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"http%3A%2F%2Fh"}]}`, 400, `{"error":"endpoint 0: ` + noScheme},
		{"POST /v2/topics/g/endpoints", `{"endpoints":[{"url":"http://u@h"}]}`, 400, `{"error":"endpoint 0: invalid destination url: it contains a user name or password; use an Upstash-Forward-Authorization header"}`},
		{"POST /v2/topics/g", `{"endpoints":[{"url":"http://refused"}]}`, 400, `{"error":"endpoint 0: invalid destination url: endpoint is refused.test"}`},
		{"DELETE /v2/topics/g/endpoints", "", 400, noJSON},
		{"DELETE /v2/topics/g/endpoints", `{"endpoints":[{}]}`, 400, `{"error":"endpoint 0: one of url and name must be there"}`},
		{"DELETE /v2/topics/g/endpoints", `{"endpoints":[{"url":null,"name":""}]}`, 400, `{"error":"endpoint 0: one of url and name must be there"}`},
		{"DELETE /v2/topics/g", `{}`, 400, wantList},
		{"DELETE /v2/topics/g", `{"endpoint":[{"url":"http://h"}]}`, 400, wantList},
		{"DELETE /v2/topics/g", `null`, 400, `{"error":"the body must be a JSON object with endpoints: not an object"}`},
		{"PATCH /v2/topics/g", "", 400, noJSON},
		{"PATCH /v2/topics/g", `{}`, 400, `{"error":"headers is missing: it must be an object of options, such as Upstash-Retries"}`},
		{"PATCH /v2/topics/g", `{"headers":null}`, 400, `{"error":"headers is missing: it must be an object of options, such as Upstash-Retries"}`},
		{"PATCH /v2/topics/g", `{"headers":["Upstash-Retries"]}`, 400, `{"error":"headers must be an object"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Upstash-Retries":3}}`, 400, `{"error":"the header \"Upstash-Retries\" must be a string without control characters, or a list of them"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Upstash-Retries":"x"}}`, 400, `{"error":"invalid Upstash-Retries \"x\": must be a whole number of 0 or more"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Upstash-Retries":["1","2"]}}`, 400, `{"error":"more than one Upstash-Retries"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Upstash-Retries":"101"}}`, 412, `{"error":"quota maxRetries exceeded"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Upstash-Cron":"* * * * *"}}`, 400, `{"error":"invalid Upstash-Cron \"* * * * *\": it cannot be the same for every message to a group"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Upstash-Deduplication-Id":"d"}}`, 400, `{"error":"invalid Upstash-Deduplication-Id \"d\": it cannot be the same for every message to a group"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Upstash-Callback":"http://refused"}}`, 400, `{"error":"invalid Upstash-Callback \"http://refused\": endpoint is refused.test"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Upstash-Label":"a b"}}`, 400, `{"error":"invalid Upstash-Label \"a b\": a label must be at most 128 of the characters A-Z a-z 0-9 . _ -"}`},
		{"PATCH /v2/topics/g", `{"headers":{"Tidemill-Missed":"all"}}`, 400, `{"error":"invalid Tidemill-Missed \"all\": it is an option of schedules, and needs an Upstash-Cron"}`},

		{"POST /v2/flowControl", "", 405, allowed + `GET"}`},
		{"DELETE /v2/flowControl/", "", 400, noKey},
		{"DELETE /v2/flowControl/k", "", 405, allowed + `GET"}`},
		{"DELETE /v2/flowControl/k/pause", "", 405, allowed + `GET, POST"}`},
		{"POST /v2/flowControl/k", "", 404, notFound},
		{"POST /v2/flowControl/pause", "", 404, notFound},
		{"POST /v2/flowControl/k/stop", "", 404, notFound},
		{"POST /v2/flowControl/k/pause/", "", 404, notFound},
		{"POST /v2/flowControl//pause", "", 400, noKey},
		{"POST /v2/flowControl//pin?rate=1", "", 400, noKey},
		{"GET /v2/flowControl/" + strings.Repeat("k", 1025), "", 400, `{"error":"invalid flow-control key \"` + strings.Repeat("k", 64) + `\"... (1025 bytes): must be at most 1024 bytes"}`},
		{"POST /v2/flowControl/k/pin", "", 400, `{"error":"a pin needs parallelism, rate or both"}`},
		{"POST /v2/flowControl/k/pin?period=5", "", 400, `{"error":"a pin needs parallelism, rate or both"}`},
		{"POST /v2/flowControl/k/pin?parallelism=5&period=5", "", 400, `{"error":"period is that of rate, which is missing"}`},
		{"POST /v2/flowControl/k/pin?parallelism=0", "", 400, `{"error":"invalid parallelism \"0\": parallelism` + badLimit},
		{"POST /v2/flowControl/k/pin?parallelism=", "", 400, `{"error":"invalid parallelism \"\": parallelism` + badLimit},
		{"POST /v2/flowControl/k/pin?rate=-1", "", 400, `{"error":"invalid rate \"-1\": rate` + badLimit},
		{"POST /v2/flowControl/k/pin?rate=99999999999", "", 400, `{"error":"invalid rate \"99999999999\": rate` + badLimit},
		{"POST /v2/flowControl/k/pin?rate=1&period=0", "", 400, `{"error":"invalid period \"0\": period must be a duration from 1s to 7d, such as 30s or 1h30m"}`},
		{"POST /v2/flowControl/k/pin?rate=1&period=8d", "", 400, `{"error":"invalid period \"8d\": period must be a duration from 1s to 7d, such as 30s or 1h30m"}`},
		{"POST /v2/flowControl/k/pin?rate=1&rate=2", "", 400, `{"error":"more than one rate"}`},
		{"POST /v2/flowControl/k/pin?rate=1&burst=2", "", 400, `{"error":"unknown parameter \"burst\": a pin takes parallelism, rate and period"}`},
		{"POST /v2/flowControl/k/unpin?rate=yes", "", 400, `{"error":"invalid rate \"yes\": must be true or false"}`},
		{"POST /v2/flowControl/k/unpin?parallelism=1", "", 400, `{"error":"invalid parallelism \"1\": must be true or false"}`},
		{"POST /v2/flowControl/k/unpin?period=true", "", 400, `{"error":"unknown parameter \"period\": an unpin takes parallelism and rate"}`},
		{"POST /v2/globalParallelism", "", 405, allowed + `GET"}`},
		{"GET /v2/globalParallelism/x", "", 404, notFound},
	}
	for _, tt := range tests {
		t.Run(tt.line[:min(len(tt.line), 60)]+tt.body[:min(len(tt.body), 60)], func(t *testing.T) {
			a, _ := s.send(t, requestBody(tt.line, tt.body))
			if a.StatusCode != tt.status || a.body != tt.answer {
				t.Errorf("got  %d %s\nwant %d %s", a.StatusCode, a.body, tt.status, tt.answer)
			}
			if a.StatusCode == http.StatusMethodNotAllowed && a.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	for _, path := range []string{"GET /v2/queues", "DELETE /v2/topics/g", "POST /v2/flowControl/k/pause", "POST /v2/enqueue/q/http://h", "GET /v2/globalParallelism"} {
		a, _ := s.send(t, path+" HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer "+badToken+"\r\n\r\n")
		if a.StatusCode != 401 {
			t.Errorf("%s with a wrong token: %d %s", path, a.StatusCode, a.body)
		}
	}
	s.expectNothing(t)
}

// TestLineRoutesMatch: which route a path takes, and what of it is the argument.
func TestLineRoutesMatch(t *testing.T) {
	tests := []struct {
		method, path string
		route        *route
		arg          string
	}{
		{"POST", "/v2/enqueue/q/https://h//x", routeEnqueue, "q/https://h//x"},
		{"GET", "/v2/queues", routeQueues, ""},
		{"GET", "/V2/Queues/", routeQueues, ""},
		{"POST", "/v2/queues/", routeQueueSet, ""},
		{"GET", "/v2/queues/a.b", routeQueue, "a.b"},
		{"DELETE", "/v2/queues/pause", routeQueueDelete, "pause"},
		{"POST", "/v2/queues/q/pause", routeQueuePause, "q"},
		{"POST", "/v2/queues/Q/RESUME", routeQueueResume, "Q"},
		{"GET", "/v2/topics/", routeGroups, ""},
		{"GET", "/v2/topics/g", routeGroup, "g"},
		{"GET", "/v2/topics/endpoints", routeGroup, "endpoints"},
		{"PATCH", "/v2/topics/g", routeGroupPatch, "g"},
		{"DELETE", "/v2/topics/g", routeGroupDelete, "g"},
		{"POST", "/v2/topics/g", routeEndpointsAdd, "g"},
		{"POST", "/v2/topics/g/Endpoints", routeEndpointsAdd, "g"},
		{"DELETE", "/v2/topics/g/endpoints", routeEndpointsRemove, "g"},
		{"GET", "/v2/flowControl", routeFlows, ""},
		{"GET", "/v2/flowcontrol/", routeFlows, ""},
		{"GET", "/v2/flowControl/a/b//c", routeFlow, "a/b//c"},
		{"GET", "/v2/flowControl/k/pause", routeFlow, "k/pause"},
		{"POST", "/v2/flowControl/https://h/x/pause", flowOperations["pause"], "https://h/x"},
		{"POST", "/v2/flowControl/a%2Fb/resetRate", flowOperations["resetrate"], "a%2Fb"},
		{"POST", "/v2/flowControl/k/reset", flowOperations["reset"], "k"},
		{"POST", "/v2/flowControl/k/Unpin", flowOperations["unpin"], "k"},
		{"GET", "/v2/globalParallelism", routeGlobalParallelism, ""},
	}
	for _, tt := range tests {
		r, arg, fail := match(tt.method, []byte(tt.path))
		if fail != nil || r != tt.route || string(arg) != tt.arg {
			t.Errorf("%s %s: %v %q %v, want %v %q", tt.method, tt.path, r, arg, fail, tt.route, tt.arg)
		}
	}
}

// TestFlowParameters: what the clients send to pin and unpin.
func TestFlowParameters(t *testing.T) {
	describe := func(n *int) any {
		if n == nil {
			return nil
		}
		return *n
	}
	pin, fail := flowPin([]byte("parallelism=3&rate=10&period=90&qstash_token=x"))
	if fail != nil || describe(pin.Parallelism) != 3 || describe(pin.Rate) != 10 || pin.Period.Seconds() != 90 {
		t.Errorf("pin %+v, %v", pin, fail)
	}
	pin, fail = flowPin([]byte("rate=1&period=1m30s&"))
	if fail != nil || pin.Parallelism != nil || describe(pin.Rate) != 1 || pin.Period.Seconds() != 90 {
		t.Errorf("pin %+v, %v", pin, fail)
	}
	for query, want := range map[string][2]bool{
		"parallelism=True&rate=true": {true, true}, "rate=TRUE": {false, true}, "parallelism=true&rate=false": {true, false}, "": {false, false},
	} {
		parallelism, rate, fail := flowUnpin([]byte(query))
		if fail != nil || parallelism != want[0] || rate != want[1] {
			t.Errorf("unpin %s: %t %t %v", query, parallelism, rate, fail)
		}
	}
}

// TestGroupDefaults: a group's options come after the request's own, whatever way
// those came.
func TestGroupDefaults(t *testing.T) {
	defaults := []engine.Header{
		{Name: "upstash-retries", Value: "1"},
		{Name: "Upstash-Header-Forward", Value: "true"},
		{Name: "Upstash-Forward-X-Group", Value: "g"},
		{Name: "upstash-forward-x-both", Value: "g"},
		{Name: "Upstash-Forward-X-Sent", Value: "g"},
		{Name: "Upstash-Delay", Value: "1m"},
		{Name: "Upstash-Callback", Value: "http://g"},
		{Name: "Upstash-Callback-Forward-X", Value: "g"},
		{Name: "Upstash-Callback-Forward-Y", Value: "g"},
		{Name: "Content-Type", Value: "text/group"},
		{Name: "X-Nothing", Value: "at all"},
	}
	var p publisher
	fields := []field{
		{[]byte("Upstash-Retries"), []byte("5")},
		{[]byte("Upstash-Forward-X-Both"), []byte("h")},
		{[]byte("X-Sent"), []byte("h")},
		{[]byte("Upstash-Callback-Forward-X"), []byte("h")},
	}
	step := func(fail *failure) {
		t.Helper()
		if fail != nil {
			t.Fatal(fail.text)
		}
	}
	step(p.addFields(fields))
	step(p.addQuery([]byte("upstash-delay=2m")))
	step(p.addDefaults(defaults))
	p.forwardAll(fields)
	step(p.addDefaultForwards(defaults))
	step(p.build(&bounds{Limits: newFake().limits, now: testNow, check: noDeny.CheckDestination}))
	m := &p.message
	want := `POST  [{X-Both h} {X-Sent h} {X-Group g} {Content-Type text/group}] body="" delay=2m0s nb=0 retries=5 rd="" timeout=0s id="" content=false ip= user=0` +
		` callback(POST http://g [{X h} {Y g}] retries=-1 rd="" timeout=0s delay=0s)`
	if got := describe(m) + " " + describeLine(m); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if defaults[3].Name != "upstash-forward-x-both" {
		t.Error("the group's own copy was changed")
	}
}
