package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// describeLine is what a publish says of queues, flow control and callbacks.
func describeLine(p *engine.Publish) string {
	var parts []string
	if p.Queue != "" {
		parts = append(parts, "queue="+p.Queue)
	}
	if p.Ordering != "" {
		parts = append(parts, "ordering="+p.Ordering)
	}
	if p.Flow != (engine.FlowControl{}) {
		parts = append(parts, "flow="+describeFlow(&p.Flow))
	}
	return strings.Join(append(parts, describeCallback("callback", p.Callback)+describeCallback("failure", p.Failure)), " ")
}

func describeFlow(f *engine.FlowControl) string {
	return fmt.Sprintf("%s/%d/%d/%s/%t", f.Key, f.Parallelism, f.Rate, f.Period, f.Sliding)
}

func describeCallback(name string, c *engine.Callback) string {
	if c == nil {
		return ""
	}
	flow := ""
	if c.Flow != (engine.FlowControl{}) {
		flow = " flow=" + describeFlow(&c.Flow)
	}
	return fmt.Sprintf("%s(%s %s %v retries=%d rd=%q timeout=%s delay=%s%s%s)", name, c.Method, c.URL, c.Header, c.Retries, c.RetryDelay, c.Timeout, c.Delay,
		flow, describeCallback("failure", c.Failure))
}

// TestLineOptions: header lines, parameters and members of JSON that say the same.
func TestLineOptions(t *testing.T) {
	const bare = "[] retries=-1 rd=\"\" timeout=0s delay=0s"
	tests := []struct {
		name    string
		line    string // a publish when empty
		body    string
		headers []string
		want    string
	}{
		{"queue", "", "", []string{"Upstash-Queue-Name: my.Queue_1-x"}, "queue=my.Queue_1-x "},
		{"queue by query", "POST /v2/publish/https://h.test/p?a=1&upstash-queue-name=q", "", nil, "queue=q "},
		{"enqueue", "POST /v2/enqueue/my-queue/https://h.test//a/../b?x=%20&upstash-retries=1", "", nil, "queue=my-queue "},
		{"enqueue in other letters, by PUT", "PUT /V2/EnQueue/Q/http%3A%2F%2Fh.test%2Fp", "", nil, "queue=Q "},
		{"enqueue goes before a parameter", "POST /v2/enqueue/q/https:/h.test?upstash-queue-name=other", "", nil, "queue=q "},
		{"ordering", "POST /v2/enqueue/q/https://h.test", "", []string{"Tidemill-Ordering-Key: user 7"}, "queue=q ordering=user 7 "},
		{"ordering, forwarded by a client", "POST /v2/enqueue/q/https://h.test", "", []string{"Upstash-Forward-Tidemill-Ordering-Key: 7"}, "queue=q ordering=7 "},
		{"flow", "", "", []string{"Upstash-Flow-Control-Key: my key:/é", "Upstash-Flow-Control-Value: parallelism=5, rate=10, period=1h30m3s"}, "flow=my key:/é/5/10/1h30m3s/false "},
		{"flow, spaces", "", "", []string{"Upstash-Flow-Control-Key: k", "Upstash-Flow-Control-Value:  period = 30 ,Rate= 2"}, "flow=k/0/2/30s/false "},
		{"flow, least", "", "", []string{"Upstash-Flow-Control-Key: k", "Upstash-Flow-Control-Value: parallelism=1"}, "flow=k/1/0/0s/false "},
		{"flow, most", "", "", []string{"Upstash-Flow-Control-Key: " + strings.Repeat("k", 1024), "Upstash-Flow-Control-Value: rate=1000000000,period=7d"}, "flow=" + strings.Repeat("k", 1024) + "/0/1000000000/168h0m0s/false "},
		{"flow by query", "POST /v2/publish/https://h.test/p?upstash-flow-control-key=a%20b&upstash-flow-control-value=rate%3D3,period%3D2s", "", nil, "flow=a b/0/3/2s/false "},
		{"flow by a form", "POST /v2/publish/https://h.test/p?upstash-flow-control-key=a+b&upstash-flow-control-value=rate=3,+period=2s", "", nil, "flow=a+b/0/3/2s/false "},
		{"sliding", "", "", []string{"Upstash-Flow-Control-Key: k", "Upstash-Flow-Control-Value: rate=1", "Tidemill-Flow-Control-Mode: Sliding"}, "flow=k/0/1/0s/true "},
		{"fixed", "", "", []string{"Upstash-Flow-Control-Key: k", "Upstash-Flow-Control-Value: rate=1", "Tidemill-Flow-Control-Mode: fixed"}, "flow=k/0/1/0s/false "},
		{"callback", "", "", []string{"Upstash-Callback: https://c.test/done?x=1&qstash_token=theirs"}, "callback(POST https://c.test/done?x=1&qstash_token=theirs " + bare + ")"},
		{"both, by query", "POST /v2/publish/https://h.test/p?upstash-callback=http%3A%2F%2Fc%2F1&upstash-failure-callback=http%3A%2F%2Fc%2F2&upstash-callback-retries=2", "", nil, "callback(POST http://c/1 [] retries=2 rd=\"\" timeout=0s delay=0s)failure(POST http://c/2 " + bare + ")"},
		{
			"all of a callback", "", "",
			[]string{
				"upstash-callback: http://c/1", "upstash-callback-method: PUT", "Upstash-Callback-Timeout: 5s", "Upstash-Callback-Retries: 0", "UPSTASH-CALLBACK-RETRY-DELAY: 1000 * retried",
				"Upstash-Callback-Delay: 1m", "Upstash-Callback-Flow-Control-Key: ck", "Upstash-Callback-Flow-Control-Value: rate=3", "Upstash-Callback-Forward-x-own: a", "Upstash-Callback-Forward-X-Own: b",
				"Upstash-Callback-Forward-Content-Type: text/x", "Upstash-Callback-Forward-Host: evil", "Upstash-Callback-Forward-Authorization: Bearer x", "Upstash-Callback-X-Python: no",
				"Upstash-Callback-Not-Before: 5", "Upstash-Callback-Callback: http://deeper", "Upstash-Callback-Label: l",
			},
			`callback(PUT http://c/1 [{X-Own a} {X-Own b} {Authorization Bearer x}] retries=0 rd="1000 * retried" timeout=5s delay=1m0s flow=ck/0/3/0s/false)`,
		},
		{
			"nested", "", "",
			[]string{
				"Upstash-Callback: http://c/1", "Upstash-Callback-Failure-Callback: http://c/2", "Upstash-Callback-Failure-Callback-Method: GET", "Upstash-Callback-Failure-Callback-Forward-X: y",
				"Upstash-Failure-Callback: http://f/1", "Upstash-Failure-Callback-Failure-Callback: http://f/2", "Upstash-Failure-Callback-Retries: 1",
				"Upstash-Callback-Failure-Callback-Failure-Callback: http://c/3",
			},
			"callback(POST http://c/1 " + bare + `failure(GET http://c/2 [{X y}] retries=-1 rd="" timeout=0s delay=0s))failure(POST http://f/1 [] retries=1 rd="" timeout=0s delay=0sfailure(POST http://f/2 ` + bare + "))",
		},
		{"a header goes before a parameter", "POST /v2/publish/https://h.test/p?upstash-callback-forward-x=q&upstash-callback-forward-y=q&upstash-callback=http://q", "", []string{"Upstash-Callback: http://h", "Upstash-Callback-Forward-X: h"}, `callback(POST http://h [{X h} {Y q}] retries=-1 rd="" timeout=0s delay=0s)`},
		{"empty is absent", "", "", []string{"Upstash-Callback:", "Upstash-Callback-Retries: ", "Upstash-Failure-Callback-Forward-X:", "Upstash-Queue-Name:", "Upstash-Flow-Control-Key:", "Upstash-Flow-Control-Value:", "Tidemill-Ordering-Key:"}, ""},
		{
			"batch", "POST /v2/batch",
			`[{"destination":"http://h","queue":"q","headers":{"upstash-callback":"http://c","Upstash-Callback-Forward-X":["1","2"],"Upstash-Flow-Control-Key":"k","Upstash-Flow-Control-Value":"rate=1"}}]`,
			nil, `queue=q flow=k/0/1/0s/false callback(POST http://c [{X 1} {X 2}] retries=-1 rd="" timeout=0s delay=0s)`,
		},
		{"batch without a queue", "POST /v2/batch", `[{"destination":"http://h","queue":null}]`, nil, ""},
		{"batch with an empty one", "POST /v2/batch", `[{"destination":"http://h","queue":"","headers":{"Upstash-Queue-Name":"q"}}]`, nil, "queue=q "},
		{"schedule", "POST /v2/schedules/http://h", "", []string{"Upstash-Cron: * * * * *", "Upstash-Queue-Name: q", "Upstash-Failure-Callback: http://f"}, "queue=q failure(POST http://f " + bare + ")"},
		{"enqueue with a cron", "POST /v2/enqueue/q/http://h", "", []string{"Upstash-Cron: * * * * *"}, "queue=q "},
		{"schedule in JSON", "POST /v2/schedules", `{"destination":"http://h","cron":"* * * * *","queue":"q","callback":"http://c","failureCallback":"http://f"}`, nil, "queue=q callback(POST http://c " + bare + ")failure(POST http://f " + bare + ")"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, nil)
			line := tt.line
			if line == "" {
				line = "POST /v2/publish/https://h.test/p"
			}
			a, _ := s.send(t, requestBody(line, tt.body, tt.headers...))
			got := s.eng.messages()
			for _, d := range s.eng.defined() {
				got = append(got, d.Message)
			}
			if a.StatusCode != 200 || len(got) != 1 {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			if g := describeLine(&got[0]); g != tt.want {
				t.Errorf("got  %s\nwant %s", g, tt.want)
			}
		})
	}
}

// TestEnqueueDestination: the queue is one raw segment, the destination is what
// follows, byte for byte.
func TestEnqueueDestination(t *testing.T) {
	tests := []struct{ line, queue, url string }{
		{"POST /v2/enqueue/q/https://h.test//a/../b?x=%20+&y", "q", "https://h.test//a/../b?x=%20+&y"},
		{"POST /v2/enqueue/q/https:/h.test/enqueue/r/https://x", "q", "https://h.test/enqueue/r/https://x"},
		{"POST /v2/enqueue/https/http%3a%2f%2fh.test%2F%2F", "https", "http://h.test//"},
		{"POST /v2/enqueue/a.b/http://h?qstash_token=" + goodToken + "&b=1", "a.b", "http://h?b=1"},
	}
	for _, tt := range tests {
		s := start(t, nil)
		a, _ := s.send(t, request(tt.line))
		got := s.eng.messages()
		if a.StatusCode != 200 || len(got) != 1 || got[0].Queue != tt.queue || got[0].URL != tt.url {
			t.Errorf("%s: %d %s, published %+v", tt.line, a.StatusCode, a.body, got)
		}
	}
}

// TestLineRefuses: what is wrong is named, and nothing reaches the engine.
func TestLineRefuses(t *testing.T) {
	s := start(t, func(o *Options) {
		o.CheckDestination = func(url string) error {
			if strings.Contains(url, "127.0.0.1") {
				return fmt.Errorf("endpoint resolves to a loopback address: 127.0.0.1")
			}
			return nil
		}
	})
	const (
		key      = "Upstash-Flow-Control-Key: k\r\nUpstash-Flow-Control-Value: "
		callback = "Upstash-Callback: http://c\r\n"
		badLimit = "must be a whole number from 1 to 1000000000"
		badSpan  = "period must be a duration from 1s to 7d"
		badName  = "must be at most 256 of the characters"
	)
	tests := []struct {
		header string
		status int
		text   string // of the error, its beginning
	}{
		{"Upstash-Queue-Name: a b", 400, `invalid Upstash-Queue-Name "a b": ` + badName},
		{"Upstash-Queue-Name: a/b", 400, `invalid Upstash-Queue-Name "a/b": ` + badName},
		{"Upstash-Queue-Name: ..", 400, `invalid Upstash-Queue-Name "..": ` + badName},
		{"Upstash-Queue-Name: " + strings.Repeat("q", 257), 400, `invalid Upstash-Queue-Name "qqq`},
		{"Upstash-Queue-Name: a\r\nUpstash-Queue-Name: a", 400, `more than one Upstash-Queue-Name`},
		{"Tidemill-Ordering-Key: k", 400, `invalid Tidemill-Ordering-Key "k": it is an option of messages of a queue`},
		{"Upstash-Queue-Name: q\r\nTidemill-Ordering-Key: " + strings.Repeat("k", 1025), 400, `invalid Tidemill-Ordering-Key "kkk`},
		{"Tidemill-Flow-Control-Mode: sliding", 400, `invalid Tidemill-Flow-Control-Mode "sliding": it needs an Upstash-Flow-Control-Key`},
		{key + "rate=1\r\nTidemill-Flow-Control-Mode: rolling", 400, `invalid Tidemill-Flow-Control-Mode "rolling": must be fixed or sliding`},
		{"Tidemill-Ordering: k", 400, `unknown option Tidemill-"Ordering": the options are Tidemill-Ordering-Key, -Flow-Control-Mode,`},
		{"Upstash-Flow-Control-Key: k", 400, `Upstash-Flow-Control-Value is missing: with Upstash-Flow-Control-Key it must say parallelism=N`},
		{"Upstash-Flow-Control-Value: rate=1", 400, `Upstash-Flow-Control-Key is missing: Upstash-Flow-Control-Value needs`},
		{"Upstash-Flow-Control-Value: rate=1\r\nUpstash-Flow-Control-Key: " + strings.Repeat("k", 1025), 400, `invalid Upstash-Flow-Control-Key "kkk`},
		{key + "rate=0", 400, `invalid Upstash-Flow-Control-Value "rate=0": rate ` + badLimit},
		{key + "rate=-1", 400, `invalid Upstash-Flow-Control-Value "rate=-1": rate ` + badLimit},
		{key + "rate=1.5", 400, `invalid Upstash-Flow-Control-Value "rate=1.5": rate ` + badLimit},
		{key + "rate=", 400, `invalid Upstash-Flow-Control-Value "rate=": rate ` + badLimit},
		{key + "rate=1000000001", 400, `invalid Upstash-Flow-Control-Value "rate=1000000001": rate ` + badLimit},
		{key + "rate=99999999999999999999", 400, `invalid Upstash-Flow-Control-Value "rate=99999999999999999999": rate ` + badLimit},
		{key + "parallelism=0, rate=5", 400, `invalid Upstash-Flow-Control-Value "parallelism=0, rate=5": parallelism ` + badLimit},
		{key + "parallelism=many", 400, `invalid Upstash-Flow-Control-Value "parallelism=many": parallelism ` + badLimit},
		{key + "rate=1, period=0", 400, `invalid Upstash-Flow-Control-Value "rate=1, period=0": ` + badSpan},
		{key + "rate=1, period=-5s", 400, `invalid Upstash-Flow-Control-Value "rate=1, period=-5s": ` + badSpan},
		{key + "rate=1, period=500ms", 400, `invalid Upstash-Flow-Control-Value "rate=1, period=500ms": ` + badSpan},
		{key + "rate=1, period=7d1s", 400, `invalid Upstash-Flow-Control-Value "rate=1, period=7d1s": ` + badSpan},
		{key + "rate=1, period=99999999999999999999d", 400, `invalid Upstash-Flow-Control-Value "rate=1, period=99999999999999999999d": ` + badSpan},
		{key + "rate=1, period=soon", 400, `invalid Upstash-Flow-Control-Value "rate=1, period=soon": ` + badSpan},
		{key + "period=5s", 400, `invalid Upstash-Flow-Control-Value "period=5s": must have a parallelism or a rate`},
		{key + "rate=1, rate=2", 400, `invalid Upstash-Flow-Control-Value "rate=1, rate=2": rate is there twice`},
		{key + "rate=1, burst=2", 400, `invalid Upstash-Flow-Control-Value "rate=1, burst=2": "burst" is none of parallelism, rate and period`},
		{key + "rate=1,", 400, `invalid Upstash-Flow-Control-Value "rate=1,": "" is none of`},
		{key + "rate=1 parallelism=2", 400, `invalid Upstash-Flow-Control-Value "rate=1 parallelism=2": rate ` + badLimit},
		{"Upstash-Callback: c.test/x", 400, `invalid Upstash-Callback "c.test/x": must be a URL that starts with http:// or https://`},
		{"Upstash-Callback: my-group", 400, `invalid Upstash-Callback "my-group": must be a URL`},
		{"Upstash-Callback: ftp://c", 400, `invalid Upstash-Callback "ftp://c": must be a URL`},
		{"Upstash-Callback: http%3A%2F%2Fc", 400, `invalid Upstash-Callback "http%3A%2F%2Fc": must be a URL`},
		{"Upstash-Callback: http://", 400, `invalid Upstash-Callback "http://": it has no host`},
		{"Upstash-Callback: http://a b", 400, `invalid Upstash-Callback "http://a b": it contains a space`},
		{"Upstash-Callback: http://u:p@c/", 400, `invalid Upstash-Callback "http://u:p@c/": it contains a user name`},
		{"Upstash-Callback: http://127.0.0.1/x", 400, `invalid Upstash-Callback "http://127.0.0.1/x": endpoint resolves to a loopback address: 127.0.0.1`},
		{"Upstash-Failure-Callback: http://127.0.0.1/x", 400, `invalid Upstash-Failure-Callback "http://127.0.0.1/x": endpoint resolves`},
		{callback + "Upstash-Callback-Failure-Callback: http://127.0.0.1/", 400, `invalid Upstash-Callback-Failure-Callback "http://127.0.0.1/": endpoint`},
		{callback + "Upstash-Callback: http://d", 400, `more than one Upstash-Callback`},
		{callback + "Upstash-Callback-Method: BREW", 400, `invalid Upstash-Callback-Method "BREW": must be GET`},
		{callback + "Upstash-Callback-Retries: x", 400, `invalid Upstash-Callback-Retries "x": must be a whole number`},
		{callback + "Upstash-Callback-Retries: 101", 412, `quota maxRetries exceeded`},
		{callback + "Upstash-Callback-Timeout: 3h", 400, `invalid Upstash-Callback-Timeout "3h": the limit is 2h`},
		{callback + "Upstash-Callback-Retry-Delay: pow(", 400, `invalid Upstash-Callback-Retry-Delay "pow("`},
		{callback + "Upstash-Callback-Delay: soon", 400, `invalid Upstash-Callback-Delay "soon": must be a duration`},
		{callback + "Upstash-Callback-Delay: 1s\r\nUpstash-Callback-Delay: 2s", 400, `more than one Upstash-Callback-Delay`},
		{callback + "Upstash-Callback-Flow-Control-Key: k", 400, `Upstash-Callback-Flow-Control-Value is missing: with Upstash-Callback-Flow-Control-Key it`},
		{callback + "Upstash-Callback-Flow-Control-Key: k\r\nUpstash-Callback-Flow-Control-Value: rate=0", 400, `invalid Upstash-Callback-Flow-Control-Value "rate=0": rate`},
		{callback + "Upstash-Callback-Forward-: x", 400, `Upstash-Callback-Forward-"": not the name of a header`},
		{callback + "Upstash-Callback-Failure-Callback-Retries: 1", 400, `Upstash-Callback-Failure-Callback is missing`},
		{"Upstash-Callback-Retries: 1", 400, `Upstash-Callback is missing: Upstash-Callback-... are options of a callback, which needs its URL`},
		{"Upstash-Failure-Callback-Forward-X: 1", 400, `Upstash-Failure-Callback is missing`},
		{callback + "Upstash-Callback-Workflow-RunId: w", 501, `Upstash-Callback-Workflow-Runid is not supported`},
		{"Upstash-Failure-Callback-Feature-Set: f", 501, `Upstash-Failure-Callback-Feature-Set is not supported`},
	}
	for _, tt := range tests {
		a, _ := s.send(t, request("POST /v2/publish/https://h.test/p", tt.header))
		want := appendError(nil, tt.text)
		if a.StatusCode != tt.status || !strings.HasPrefix(a.body, string(want[:len(want)-2])) {
			t.Errorf("%s: got %d %s\nwant %d %s...", tt.header, a.StatusCode, a.body, tt.status, want)
		}
	}
	for line, text := range map[string]string{
		"POST /v2/enqueue":                       `invalid queue name "": must be`,
		"POST /v2/enqueue/":                      `invalid queue name "": must be`,
		"POST /v2/enqueue//https://h":            `invalid queue name "": must be`,
		"POST /v2/enqueue/a%2Fb/https://h":       `invalid queue name "a%2Fb": must be`,
		"POST /v2/enqueue/../https://h":          `invalid queue name "..": must be`,
		"POST /v2/enqueue/https://h":             `invalid queue name "https:": must be`,
		"POST /v2/enqueue/q":                     `a non-empty destination must be provided`,
		"POST /v2/enqueue/q/":                    `a non-empty destination must be provided`,
		"POST /v2/enqueue/q?upstash-delay=1":     `a non-empty destination must be provided`,
		"POST /v2/enqueue/q/h.test/x":            `invalid destination url: endpoint has invalid scheme`,
		"POST /v2/enqueue/q/http://127.0.0.1/":   `invalid destination url: endpoint resolves to a loopback`,
		"POST /v2/schedules/..":                  `invalid URL group "..": must be`,
		"POST /v2/publish/.?upstash-retries=1":   `invalid URL group ".": must be`,
		"POST /v2/publish/" + longName:           `invalid URL group "ggg`,
		"POST /v2/publish/http://127.0.0.1/?x=y": `invalid destination url: endpoint resolves to a loopback`,
	} {
		a, _ := s.send(t, request(line))
		want := appendError(nil, text)
		if a.StatusCode != 400 || !strings.HasPrefix(a.body, string(want[:len(want)-2])) {
			t.Errorf("%.80s: got %d %s, want 400 %s...", line, a.StatusCode, a.body, want)
		}
	}
	s.expectNothing(t)
}

var longName = strings.Repeat("g", 257)

// FuzzFlowValue: whatever is accepted has limits within their bounds, and a part that
// is not there is not set.
func FuzzFlowValue(f *testing.F) {
	for _, s := range []string{"parallelism=5, rate=10, period=1m", "rate=1", " period=7d ,PARALLELISM=1000000000", "rate=1,rate=1", "period=", "=,=", ","} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		var fc engine.FlowControl
		why := parseFlowValue(&fc, []byte(v))
		if why != "" {
			return
		}
		if fc.Parallelism < 0 || fc.Parallelism > flowLimitMax || fc.Rate < 0 || fc.Rate > flowLimitMax || fc.Parallelism+fc.Rate == 0 ||
			fc.Period < 0 || fc.Period > engine.FlowPeriodMax {
			t.Fatalf("%q was read as %+v", v, fc)
		}
		low := strings.ToLower(v)
		if (fc.Parallelism != 0) != strings.Contains(low, "parallelism") || (fc.Rate != 0) != strings.Contains(low, "rate") ||
			(fc.Period != 0) != strings.Contains(low, "period") {
			t.Fatalf("%q was read as %+v", v, fc)
		}
	})
}
