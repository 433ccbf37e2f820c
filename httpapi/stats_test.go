package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

type statsCounts struct {
	Time                                            int64
	Published, Delivered, Retried, Failed, Canceled int
	Backlog                                         int
	LatencyMillis, LatenessMillis                   *struct{ Count, P50, P90, P99, Max int64 }
}

type statsView struct {
	From, To    int64
	StepSeconds int
	Backlog     int
	Total       statsCounts
	Points      []statsCounts
}

// TestStatsEndToEnd: each account has its own figures, and they add up.
func TestStatsEndToEnd(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	begin := time.Now().UnixMilli()
	const good = 5
	for range good {
		s.want(t, request("POST /v2/publish/"+sink+"/ok"), 200, nil)
		receive(t, arrivals)
	}
	s.want(t, request("POST /v2/publish/"+sink+"/fails/", "Upstash-Retries: 0"), 200, nil)
	receive(t, arrivals)
	s.want(t, request("POST /v2/publish/"+sink+"/ok", "Upstash-Delay: 1h"), 200, nil)
	s.want(t, asOther(request("POST /v2/publish/"+sink+"/ok", "Upstash-Delay: 1h")), 200, nil)
	var v statsView
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if s.want(t, request("GET /v2/stats"), 200, &v); v.Total.Delivered == good && v.Total.Failed == 1 {
			break
		}
	}
	if v.Total.Published != good+2 || v.Total.Delivered != good || v.Total.Failed != 1 || v.Total.Retried != 0 || v.Backlog != 1 || v.StepSeconds != 1 ||
		v.To-v.From != 3_600_000 || v.Total.LatencyMillis == nil || v.Total.LatencyMillis.Count != good || v.Total.LatenessMillis.Count != good+1 {
		t.Errorf("the hour: %+v", v)
	}
	sum := 0
	for _, p := range v.Points {
		sum += p.Published
		if p.Time < begin/1000*1000 || p.Time%1000 != 0 {
			t.Errorf("a point at %d, before %d", p.Time, begin)
		}
	}
	if sum != good+2 {
		t.Errorf("the points have %d published", sum)
	}
	s.want(t, request(fmt.Sprintf("GET /v2/stats?from=%d&to=%d&other=1", begin-7_200_000, begin+7_200_000)), 200, &v)
	if v.StepSeconds != 60 || v.Total.Published != good+2 || v.From != begin-7_200_000 || v.To != begin+7_200_000 {
		t.Errorf("four hours: %+v", v)
	}
	var other statsView
	if s.want(t, asOther(request("GET /v2/stats")), 200, &other); other.Total.Published != 1 || other.Total.Delivered != 0 || other.Backlog != 1 || other.Total.LatencyMillis != nil {
		t.Errorf("the other account: %+v", other)
	}
	s.want(t, request("GET /v2/stats?from=5000&to=6000"), 200, &v)
	if len(v.Points) != 0 || v.Total.Published != 0 {
		t.Errorf("a second of 1970: %+v", v)
	}
}

func TestStatsRefusals(t *testing.T) {
	s := realSite{startReal(t)}
	for query, want := range map[string]string{
		"from=x":                  "invalid from",
		"to=-1":                   "invalid to",
		"from=":                   "invalid from",
		"from=2000&to=1000":       "from must be before to",
		"from=1000&to=1000":       "from must be before to",
		"from=0":                  "at most 32 days apart",
		"to=99999999999999999999": "invalid to",
		"from=0&to=2764800001":    "at most 32 days apart",
	} {
		if a := s.send(t, request("GET /v2/stats?"+query)); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s, want 400 with %q", query, a.StatusCode, a.body, want)
		}
	}
	s.want(t, request("GET /v2/stats?from=0&to=2764800000"), 200, nil)
	s.want(t, request("POST /v2/stats"), 405, nil)
	s.want(t, request("GET /v2/stats/x"), 404, nil)
}
