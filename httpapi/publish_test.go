package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/record"
)

var testNow = time.Unix(1_700_000_000, 0)

func describe(p *engine.Publish) string {
	notBefore := int64(0)
	if !p.NotBefore.IsZero() {
		notBefore = p.NotBefore.Unix()
	}
	return fmt.Sprintf("%s %s %v body=%q delay=%s nb=%d retries=%d rd=%q timeout=%s id=%q content=%t ip=%s user=%d",
		p.Method, p.URL, p.Header, p.Body, p.Delay, notBefore, p.Retries, p.RetryDelay, p.Timeout, p.DedupID, p.DedupContent, p.CallerIP, p.User)
}

func mustMethod(s string) record.Method {
	m, ok := record.ParseMethod(s)
	if !ok {
		panic(s)
	}
	return m
}

func TestPublishOptions(t *testing.T) {
	tests := []struct {
		name    string
		query   string
		headers []string
		want    func(p *engine.Publish)
	}{
		{"defaults", "", nil, func(*engine.Publish) {}},
		{"all", "", []string{
			"content-type: text/x", "UPSTASH-METHOD: PATCH", "Upstash-Timeout: 90", "Upstash-Retries: 0", "Upstash-Retry-Delay: pow(2, retried) * 1000",
			"Upstash-Delay: 1d10h30m", "Upstash-Not-Before: 1700000100", "Upstash-Deduplication-Id: my id", "Upstash-Content-Based-Deduplication: True",
		}, func(p *engine.Publish) {
			p.Header = []engine.Header{{Name: "Content-Type", Value: "text/x"}}
			p.Method, p.Timeout, p.Retries, p.RetryDelay = mustMethod("PATCH"), 90*time.Second, 0, "pow(2, retried) * 1000"
			p.Delay, p.NotBefore, p.DedupID, p.DedupContent = 34*time.Hour+30*time.Minute, time.Unix(1700000100, 0), "my id", true
		}},
		{"by query", "?upstash-method=GET&a=1&UPSTASH-retries=5&upstash-delay=500ms&upstash-forward-x-a=b%20c", nil, func(p *engine.Publish) {
			p.URL += "?a=1"
			p.Method, p.Retries, p.Delay = mustMethod("GET"), 5, 500*time.Millisecond
			p.Header = []engine.Header{{Name: "X-A", Value: "b c"}}
		}},
		{
			"header wins", "?upstash-retries=5&upstash-forward-x-a=q&upstash-forward-x-b=q",
			[]string{"Upstash-Retries: 6", "Upstash-Forward-X-A: h"},
			func(p *engine.Publish) {
				p.Retries = 6
				p.Header = []engine.Header{{Name: "X-A", Value: "h"}, {Name: "X-B", Value: "q"}}
			},
		},
		{"empty is absent", "?upstash-retries=5&upstash-delay=", []string{"Upstash-Retries:", "Upstash-Callback: ", "Upstash-Method:  "}, func(p *engine.Publish) {
			p.Retries = 5
		}},
		{"forwarded, canonical, repeated", "", []string{"upstash-FORWARD-x-TRACE-id: 1", "Upstash-Forward-Cookie: a", "Upstash-Forward-Cookie: b", "X-Not: forwarded"}, func(p *engine.Publish) {
			p.Header = []engine.Header{{Name: "X-Trace-Id", Value: "1"}, {Name: "Cookie", Value: "a"}, {Name: "Cookie", Value: "b"}}
		}},
		{"hygiene", "", []string{
			"Upstash-Forward-Host: evil", "Upstash-Forward-Content-Length: 5", "Upstash-Forward-Transfer-Encoding: chunked", "Upstash-Forward-Connection: x",
			"Upstash-Forward-Keep-Alive: 1", "Upstash-Forward-TE: x", "Upstash-Forward-Trailer: x", "Upstash-Forward-Upgrade: x", "Upstash-Forward-Proxy-Any: x",
			"Upstash-Forward-Expect: x", "Upstash-Forward-Content-Type: x", "Upstash-Forward-Upstash-Signature: x", "Upstash-Forward-upstash-message-id: x",
			"Upstash-Forward-Upstash-Retried: 1", "Upstash-Forward-Upstash-Region: x", "Upstash-Forward-Upstash-Caller-Ip: x",
			"Upstash-Forward-Upstash-Schedule-Id: x", "Upstash-Forward-Upstash-Topic-Name: x",
			"Upstash-Forward-Authorization: yes", "Upstash-Forward-User-Agent: yes", "Upstash-Forward-Upstash-Label: yes",
		}, func(p *engine.Publish) {
			p.Header = []engine.Header{{Name: "Authorization", Value: "yes"}, {Name: "User-Agent", Value: "yes"}, {Name: "Upstash-Label", Value: "yes"}}
		}},
		{"forward all", "", []string{"Upstash-Header-Forward: true", "User-Agent: hook", "Accept-Encoding: gzip", "X-Event: push", "Upstash-Forward-x-event: mine", "Content-Type: a/b"}, func(p *engine.Publish) {
			p.Header = []engine.Header{{Name: "X-Event", Value: "mine"}, {Name: "User-Agent", Value: "hook"}, {Name: "Content-Type", Value: "a/b"}}
		}},
		{"telemetry and unknown names", "?upstash-strange=1", []string{"Upstash-Telemetry-Sdk: js", "Upstash-Region: X", "Upstash-Authorization: y"}, func(*engine.Publish) {}},
		{"past", "", []string{"Upstash-Not-Before: 0"}, func(p *engine.Publish) { p.NotBefore = time.Unix(1, 0) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, func(o *Options) { o.Now = func() time.Time { return testNow } })
			a, _ := s.send(t, requestBody("POST /v2/publish/https://h.test/p"+tt.query, "body", tt.headers...))
			got := s.eng.messages()
			if a.StatusCode != 200 || len(got) != 1 {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			want := engine.Publish{User: 7, URL: "https://h.test/p", Body: []byte("body"), CallerIP: "127.0.0.1", Retries: 3}
			tt.want(&want)
			if g, w := describe(&got[0]), describe(&want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}

func TestPublishRefuses(t *testing.T) {
	s := start(t, func(o *Options) {
		o.Now = func() time.Time { return testNow }
		o.CheckDestination = func(url string) error {
			if strings.Contains(url, "refused") {
				return fmt.Errorf("endpoint is refused.test, see --destinations.allow")
			}
			return nil
		}
	})
	tests := []struct {
		header string
		status int
		text   string // of the error, its beginning
	}{
		{"Upstash-Method: CONNECT", 400, `invalid Upstash-Method "CONNECT": must be GET, POST`},
		{"Upstash-Method: get", 400, `invalid Upstash-Method "get"`},
		{"Upstash-Timeout: 0", 400, `invalid Upstash-Timeout "0": must be positive`},
		{"Upstash-Timeout: 365d", 400, `invalid Upstash-Timeout "365d": the limit is 2h`},
		{"Upstash-Retries: -1", 400, `invalid Upstash-Retries "-1": must be a whole number`},
		{"Upstash-Retries: 3.5", 400, `invalid Upstash-Retries "3.5"`},
		{"Upstash-Retries: 1e9", 400, `invalid Upstash-Retries "1e9"`},
		{"Upstash-Retries: 101", 412, `quota maxRetries exceeded`},
		{"Upstash-Retries: 99999999999999999999", 412, `quota maxRetries exceeded`},
		{"Upstash-Retry-Delay: pow(", 400, `invalid Upstash-Retry-Delay "pow("`},
		{"Upstash-Retry-Delay: os.exit(1)", 400, `invalid Upstash-Retry-Delay`},
		{"Upstash-Delay: -1s", 400, `invalid Upstash-Delay "-1s": must be a duration`},
		{"Upstash-Delay: 99999999999999999999s", 400, `invalid Upstash-Delay`},
		{"Upstash-Delay: ١s", 400, `invalid Upstash-Delay`},
		{"Upstash-Delay: 366d", 400, `invalid Upstash-Delay "366d": the limit is 365d`},
		{"Upstash-Delay: " + strings.Repeat("1", 100), 400, `invalid Upstash-Delay "` + strings.Repeat("1", 64) + `"... (100 bytes)`},
		{"Upstash-Not-Before: 1e10", 400, `invalid Upstash-Not-Before "1e10": must be a unix time`},
		{"Upstash-Not-Before: 1700000000000", 400, `invalid Upstash-Not-Before "1700000000000": unix seconds (not milliseconds)`},
		{"Upstash-Deduplication-Id: a:b", 400, `DeduplicationId cannot contain ':'`},
		{"Upstash-Content-Based-Deduplication: 1", 400, `invalid Upstash-Content-Based-Deduplication "1": must be true or false`},
		{"Upstash-Header-Forward: yes", 400, `invalid Upstash-Header-Forward "yes"`},
		{"Upstash-Forward-: x", 400, `Upstash-Forward-""`},
		{"Upstash-Delay: 1s\r\nupstash-delay: 1s", 400, `more than one Upstash-Delay`},
		{"Content-Type: a\r\nContent-Type: b", 400, `more than one Content-Type`},
		{"Upstash-Label: a b", 400, `invalid Upstash-Label "a b"`},
		{"Upstash-Redact-Fields: query", 400, `invalid Upstash-Redact-Fields "query"`},
		{"Upstash-Workflow-RunId: w", 501, `Upstash-Workflow-Runid is not`},
		{"Upstash-Feature-Set: f", 501, `Upstash-Feature-Set is not`},
	}
	for _, tt := range tests {
		a, _ := s.send(t, request("POST /v2/publish/https://h.test/p", tt.header))
		want := appendError(nil, tt.text)
		if a.StatusCode != tt.status || !strings.HasPrefix(a.body, string(want[:len(want)-2])) {
			t.Errorf("%s: got %d %s\nwant %d %s...", tt.header, a.StatusCode, a.body, tt.status, want)
		}
	}
	queries := map[string]int{"?upstash-retries=x": 400, "?upstash-label=l%2Fm": 400, "?upstash-callback-workflow-x=1": 501, "?Upstash-Flow-Control-Key=k": 400, "?upstash-forward-x=a%0d%0ab": 400, "?upstash-forward-a%20b=1": 400, "?upstash-delay=1s&upstash-delay=2s": 400}
	for q, status := range queries {
		if a, _ := s.send(t, request("POST /v2/publish/https://h.test/p"+q)); a.StatusCode != status {
			t.Errorf("%s: got %d %s, want %d", q, a.StatusCode, a.body, status)
		}
	}
	a, _ := s.send(t, request("POST /v2/publish/https://refused.test/p"))
	if a.StatusCode != 400 || a.body != `{"error":"invalid destination url: endpoint is refused.test, see --destinations.allow"}` {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
	s.expectNothing(t)
}

// noDeny are options that refuse no destination by its host.
var noDeny = &Options{CheckDestination: func(string) error { return nil }}

// TestDestination: what comes in is what the engine gets.
func TestDestination(t *testing.T) {
	tests := []struct{ target, url string }{
		{"https://h.test/a/b", "https://h.test/a/b"},
		{"http://h.test", "http://h.test"},
		{"HTTPS://H.test/A", "HTTPS://H.test/A"},
		{"https://h.test//a//b/../c/./%2e%2E/", "https://h.test//a//b/../c/./%2e%2E/"},
		{"https://h.test/%2F%2f%20+?x=%20+&&y", "https://h.test/%2F%2f%20+?x=%20+&&y"},
		{"https://h.test/p?", "https://h.test/p?"},
		{"https://h.test/p?a=1?b=2", "https://h.test/p?a=1?b=2"},
		{"https://[::1]:8080/p", "https://[::1]:8080/p"},
		{"https:/h.test/a//b", "https://h.test/a//b"},
		{"http:/h.test?x", "http://h.test?x"},
		{"https%3A%2F%2Fh.test%2Fa%252Fb%3Fx%3D1", "https://h.test/a%2Fb?x=1"},
		{"https%3a//h.test/a?y=2", "https://h.test/a?y=2"},
		{"https%3A%2F%2Fh.test%2Fa%3Fx%3D1?y=2", "https://h.test/a?x=1&y=2"},
		{"https://h.test/p?qstash_token=s", "https://h.test/p"},
		{"https://h.test/p?a=1&qstash_token=s&b=2", "https://h.test/p?a=1&b=2"},
		{"https://h.test/p?Upstash-Retries=1&a=%41", "https://h.test/p?a=%41"},
		{"https://h.test/p?upstash%2Dretries=1&b", "https://h.test/p?b"},
		{"https://h.test/p?a=upstash-x&xqstash_token=1", "https://h.test/p?a=upstash-x&xqstash_token=1"},
		{"https://h.test/v2/publish/https://x", "https://h.test/v2/publish/https://x"},
	}
	for _, tt := range tests {
		to, _, fail := destination([]byte(tt.target), nil)
		if fail == nil {
			fail = noDeny.checkURL(to.url)
		}
		if fail != nil || string(to.url) != tt.url || to.group != nil {
			t.Errorf("%s: got %q, %v; want %q", tt.target, to, fail, tt.url)
		}
	}
}

func TestDestinationRefuses(t *testing.T) {
	tests := []struct{ target, text string }{
		{"", "a non-empty destination"},
		{"ftp://h", "has invalid scheme"},
		{"file:///etc/passwd", "has invalid scheme"},
		{"javascript:alert(1)", "has invalid scheme"},
		{"localhost:3000/x", "has invalid scheme"},
		{"http:h", "has invalid scheme"},
		{"https%3Bh", "has invalid scheme"},
		{"http:///p", "no host"},
		{"http://", "no host"},
		{"http://?q", "no host"},
		{"http://user:pw@h/", "user name"},
		{"http://good@evil", "user name"},
		{`http://h\@x/`, "user name"},
		{`http://h\x/`, "backslash"},
		{"http://h/#f", "fragment"},
		{"http%3A%2F%2Fh%2F%00", "control character"},
		{"http%3A%2F%2Fh%2F%0d%0aX:1", "control character"},
		{"http%3A%2F%2Fh%2F%c3%a9", "outside ASCII"},
		{"http%3A%2F%2Fh%2F%23f", "fragment"},
		{"http://h/" + strings.Repeat("a", urlMax), "longer than"},
		{"..", "invalid URL group"},
		{".", "invalid URL group"},
		{strings.Repeat("g", 257), "invalid URL group"},
	}
	for _, tt := range tests {
		to, _, fail := destination([]byte(tt.target), nil)
		if fail == nil {
			fail = noDeny.checkURL(to.url)
		}
		if fail == nil || !strings.Contains(fail.text, tt.text) {
			t.Errorf("%.60s: got %v, want %q", tt.target, fail, tt.text)
		}
	}
}

// FuzzDestination: a legal literal URL comes out byte for byte, and nothing of
// ours is left in any.
func FuzzDestination(f *testing.F) {
	for _, s := range []string{"https://h/a?b=1&qstash_token=x", "http%3A%2F%2Fh", "https:/h?%71stash_token=1", "http://h/p?a&&upstash-x=1&"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, target []byte) {
		in := string(target)
		to, _, fail := destination(target, nil)
		if string(target) != in {
			t.Fatalf("%q was changed in place to %q", in, target)
		}
		if fail != nil {
			return
		}
		path, query := cutQuery(target)
		if to.group != nil {
			if string(to.group) != string(path) || checkName("", path) != nil || to.url != nil {
				t.Fatalf("%q became the group %q", in, to.group)
			}
			return
		}
		if form, _ := formOf(path); form == formLiteral && !hasOwnParams(query) && string(to.url) != in {
			t.Fatalf("%q became %q", in, to.url)
		}
		if form, _ := formOf(path); form != formEncoded {
			if _, q := cutQuery(to.url); hasOwnParams(q) {
				t.Fatalf("%q left our own parameters in %q", in, to.url)
			}
		}
	})
}
