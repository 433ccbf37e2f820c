package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

type replayView struct {
	JobID, State, Destination, Error   string
	Rate                               int
	Filter                             map[string]any
	CreatedAt, UpdatedAt, Position     int64
	Matched, Replayed, Expired, Failed int
}

// replayed waits for the end of a replay.
func (s realSite) replayed(t *testing.T, id string) (v replayView) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if s.want(t, request("GET /v2/replay/"+id), 200, &v); v.State != "running" || time.Now().After(deadline) {
			return v
		}
	}
}

// TestReplayEndToEnd: what was delivered under a label arrives again, elsewhere, and the
// job tells so; another account knows nothing of it.
func TestReplayEndToEnd(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	begin := time.Now().UnixMilli()
	var sent struct{ MessageID string }
	s.want(t, requestBody("POST /v2/publish/"+sink+"/one", "hello", "Upstash-Label: blue", "Upstash-Forward-X: y"), 200, &sent)
	s.want(t, requestBody("POST /v2/publish/"+sink+"/two", "bye", "Upstash-Label: red"), 200, nil)
	s.want(t, asOther(requestBody("POST /v2/publish/"+sink+"/three", "no", "Upstash-Label: blue")), 200, nil)
	for range 3 {
		receive(t, arrivals)
	}
	s.delivered(t, 2)
	var job struct{ JobID string }
	s.want(t, requestBody("POST /v2/replay", `{"label":"blue,green","rate":50,"destination":"`+sink+`/again"}`), 201, &job)
	a := receive(t, arrivals)
	if a.uri != "POST /again" || a.body != "hello" || a.header.Get("X") != "y" || a.header.Get("Tidemill-Replay-Of") != sent.MessageID ||
		a.header.Get("Upstash-Message-Id") == sent.MessageID {
		t.Errorf("arrived %+v", a)
	}
	v := s.replayed(t, job.JobID)
	labels, _ := v.Filter["label"].([]any)
	if v.JobID != job.JobID || v.State != "done" || v.Rate != 50 || v.Destination != sink+"/again" || v.Matched != 1 || v.Replayed != 1 ||
		v.Expired != 0 || v.Failed != 0 || v.Position < begin || v.CreatedAt < v.Position || v.UpdatedAt < v.CreatedAt || !slices.Equal(labels, []any{"blue", "green"}) {
		t.Errorf("the job: %+v", v)
	}
	s.want(t, requestBody("POST /v2/replay", `{"fromDate":0,"toDate":1}`), 201, &job)
	if v := s.replayed(t, job.JobID); v.State != "done" || v.Matched != 0 || v.Rate != replayRate || v.Position != 0 {
		t.Errorf("a replay of 1970: %+v", v)
	}
	var list []replayView
	if s.want(t, request("GET /v2/replay/"), 200, &list); len(list) != 2 || list[0].JobID != job.JobID {
		t.Errorf("the list: %+v", list)
	}
	s.same(t, request("DELETE /v2/replay/"+job.JobID), 200, "{}")
	const missing = `{"error":"not found"}`
	s.same(t, asOther(request("GET /v2/replay")), 200, "[]")
	s.same(t, asOther(request("GET /v2/replay/"+job.JobID)), 404, missing)
	s.same(t, asOther(request("DELETE /v2/replay/"+job.JobID)), 404, missing)
	s.same(t, request("GET /v2/replay/rpl_none"), 404, missing)
	if len(arrivals) != 0 {
		t.Errorf("%d deliveries that nobody asked for", len(arrivals))
	}
}

// delivered waits until the account's statistics have so many deliveries.
func (s realSite) delivered(t *testing.T, n int) {
	t.Helper()
	var v statsView
	for deadline := time.Now().Add(20 * time.Second); v.Total.Delivered != n && time.Now().Before(deadline); {
		s.want(t, request("GET /v2/stats"), 200, &v)
	}
}

// TestReplayRefusals: each is refused with words that say what is wrong, and starts
// nothing.
func TestReplayRefusals(t *testing.T) {
	s := realSite{startReal(t)}
	for body, want := range map[string]string{
		``:                                      "JSON",
		`[]`:                                    "JSON object",
		`{`:                                     "JSON",
		`{}`:                                    "needs a filter",
		`null`:                                  "JSON object",
		`{"rate":5}`:                            "needs a filter",
		`{"label":null}`:                        "needs a filter",
		`{"label":""}`:                          "label is empty",
		`{"label":[]}`:                          "label is empty",
		`{"label":{}}`:                          "label must be",
		`{"labels":"x"}`:                        `unknown filter \"labels\"`,
		`{"state":"DELIVERED"}`:                 "unknown filter",
		`{"count":5,"label":"x"}`:               "unknown filter",
		`{"label":"x","rate":0}`:                "rate",
		`{"label":"x","rate":-1}`:               "rate",
		`{"label":"x","rate":"5"}`:              "rate",
		`{"label":"x","rate":10001}`:            "rate must be from 1 to 10000",
		`{"label":"x","rate":1e3}`:              "rate",
		`{"fromDate":"yesterday"}`:              "fromDate",
		`{"fromDate":2,"toDate":1}`:             "fromDate must not be after toDate",
		`{"label":"x","destination":"group"}`:   "invalid destination url",
		`{"label":"x","destination":5}`:         "destination must be a string",
		`{"label":"x","destination":"http://"}`: "no host",
		`{"label":"x","destination":"http://169.254.169.254/"}`: "invalid destination url",
		`{"label":"` + strings.Repeat("x,", 101) + `"}`:         "more than 100 values",
		`{"label":"` + strings.Repeat("x", 9<<10) + `"}`:        "8192 bytes",
	} {
		if a := s.send(t, requestBody("POST /v2/replay", body)); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, want) {
			t.Errorf("%.60s: %d %.200s, want 400 with %q", body, a.StatusCode, a.body, want)
		}
	}
	s.same(t, request("GET /v2/replay"), 200, "[]")
	for line, allow := range map[string]string{"DELETE /v2/replay": "GET, POST", "PUT /v2/replay/": "GET, POST", "POST /v2/replay/rpl_x": "GET, DELETE"} {
		if a := s.send(t, request(line)); a.StatusCode != http.StatusMethodNotAllowed || !strings.HasPrefix(a.Header.Get("Allow"), allow) {
			t.Errorf("%s: %d, Allow %q", line, a.StatusCode, a.Header.Get("Allow"))
		}
	}
	s.want(t, request("GET /v2/replay/a/b"), 404, nil)
}
