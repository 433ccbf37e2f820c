package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine"
)

func TestBatch(t *testing.T) {
	refuse := func(p *engine.Publish) (engine.Receipt, error) {
		switch {
		case strings.Contains(p.URL, "full"):
			return engine.Receipt{}, engine.ErrOverloaded
		case strings.Contains(p.URL, "again"):
			return engine.Receipt{MessageID: "msg_old", Deduplicated: true}, nil
		case strings.Contains(p.URL, "strange"):
			return engine.Receipt{}, fmt.Errorf("disk on fire")
		}
		return engine.Receipt{MessageID: "msg_x"}, nil
	}
	const badName = `must be at most 256 of the characters A-Z a-z 0-9 . _ - and neither . nor .."`
	const ok = `{"messageId":"msg_x","url":"http://h/"}`
	tests := []struct {
		name, body string
		status     int
		answer     string
		published  []string // body of each
	}{
		{"two", `[{"destination":"http://h/","body":"a"},{"destination":"http://h/","body":"b"}]`, 200, "[" + ok + "," + ok + "]", []string{"a", "b"}},
		{"empty", ` [ ] `, 200, "[]", nil},
		{
			"bodies", `[{"destination":"http://h/"},{"destination":"http://h/","body":null,"queue":null,"headers":null},
			{"destination":"http://h/","body":{"a" : [1, 2.50, "x y\" "], "b":null},"queue":""},{"destination":"http://h/","body": 12 },
			{"destination":"http://h/","body":"\u00e9\ud83d\ude00\ud800\n\"\\\/"}]`, 200,
			"[" + ok + "," + ok + "," + ok + "," + ok + "," + ok + "]",
			[]string{"", "", `{"a":[1,2.50,"x y\" "],"b":null}`, "12", "é😀\ufffd\n\"\\/"},
		},
		{"escaped url and names", `[{"\u0064estination":"http:\/\/h\/","unknown":[{"destination":1}]}]`, 200, "[" + ok + "]", []string{""}},
		{
			"one fails", `[{"destination":"http://h/"},{"destination":"http://h/","headers":{"upstash-retries":"x"}}]`, 200,
			"[" + ok + `,{"error":"invalid Upstash-Retries \"x\": must be a whole number of 0 or more"}]`,
			[]string{""},
		},
		{"all fail, 412", `[{"destination":"http://h/","headers":{"Upstash-Retries":"1000"}}]`, 412, `{"error":"quota maxRetries exceeded"}`, nil},
		{
			"all fail, the first counts", `[{"destination":"nope://x"},{"destination":"http://h/","headers":{"Upstash-Retries":"1000"}}]`, 400,
			`{"error":"invalid destination url: endpoint has invalid scheme, add http:// or https://"}`, nil,
		},
		{"all fail in the engine", `[{"destination":"http://full"}]`, 503, `{"error":"` + engine.ErrOverloaded.Error() + `"}`, []string{""}},
		{"duplicate", `[{"destination":"http://again"}]`, 200, `[{"messageId":"msg_old","deduplicated":true}]`, []string{""}},
		{
			"mixed", `[{"destination":"http://full"},{"destination":"http://h/","queue":"q"},{"destination":"http://h/"},{"destination":"http://h/","queue":"a b"},
			{"destination":"http://h/","queue":["q"]},{"destination":"http://h/","queue":"q","headers":{"Upstash-Queue-Name":"q"}}]`, 200,
			`[{"error":"` + engine.ErrOverloaded.Error() + `"},` + ok + "," + ok + `,{"error":"invalid queue \"a b\": ` + badName + `},` +
				`{"error":"queue must be a string without control characters"},{"error":"more than one Upstash-Queue-Name"}]`,
			[]string{"", "", ""},
		},
		{
			"no destinations", `[{"destination":"http://h/"},{"destination":".."},{"destination":""}]`, 200,
			"[" + ok + `,{"error":"invalid URL group \"..\": ` + badName + `},{"error":"a non-empty destination must be provided"}]`,
			[]string{""},
		},
		{"not JSON", `[{"destination":"http://h/"},]`, 400, `{"error":"the body is not valid JSON"}`, nil},
		{"cut", `[{"destination":"http://h/"}`, 400, `{"error":"the body is not valid JSON"}`, nil},
		{"no body", "", 400, `{"error":"the body is not valid JSON"}`, nil},
		{"not an array", `{"destination":"http://h/"}`, 400, `{"error":"the body must be a JSON array of messages"}`, nil},
		{"not an object", `[{"destination":"http://h/"},"x"]`, 400, `{"error":"message 1: not an object"}`, nil},
		{"no destination", `[{"destination":"http://h/"},{"body":"x"}]`, 400, `{"error":"message 1: the destination is missing"}`, nil},
		{"destination of another type", `[{"destination":["http://h/"]}]`, 400, `{"error":"message 0: the destination is not a string"}`, nil},
		{"the same name twice", `[{"destination":"http://h/","body":"a","body":"b"}]`, 400, `{"error":"message 0: \"body\" is there twice"}`, nil},
		{"too deep", strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), 400, `{"error":"the body is nested deeper than 64 levels of JSON"}`, nil},
		{
			"too many", "[" + strings.Repeat(`{"destination":"http://h/"},`, batchItemsMax) + `{"destination":"http://h/"}]`, 400,
			`{"error":"a batch holds at most 100000 messages"}`, nil,
		},
		{
			"too large an item", `[{"destination":"http://h/","body":"` + strings.Repeat("a", 1<<20+1) + `"}]`, 413,
			`{"error":"the message is larger than the limit of 1048576 bytes"}`, nil,
		},
		{"headers no object", `[{"destination":"http://h/","headers":["a"]}]`, 400, `{"error":"headers must be an object"}`, nil},
		{"header no string", `[{"destination":"http://h/","headers":{"X":1}}]`, 400, `{"error":"the header \"X\" must be a string without control characters, or a list of them"}`, nil},
		{
			"header injection", `[{"destination":"http://h/","headers":{"Upstash-Forward-X":"a\r\nY: b"}}]`, 400,
			`{"error":"the header \"Upstash-Forward-X\" must be a string without control characters, or a list of them"}`, nil,
		},
		{
			"header name injection", `[{"destination":"http://h/","headers":{"Upstash-Forward-X: a\r\nY":"b"}}]`, 400,
			`{"error":"\"Upstash-Forward-X: a\\r\\nY\" is not the name of a header"}`, nil,
		},
		{"singleton twice", `[{"destination":"http://h/","headers":{"Upstash-Delay":["1s","2s"]}}]`, 400, `{"error":"more than one Upstash-Delay"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, nil)
			s.eng.answer = refuse
			a, _ := s.send(t, requestBody("POST /v2/batch", tt.body, "Content-Type: application/json"))
			if a.StatusCode != tt.status || a.body != tt.answer {
				t.Errorf("got  %d %.300s\nwant %d %s", a.StatusCode, a.body, tt.status, tt.answer)
			}
			if a.StatusCode == 503 && a.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			var bodies []string
			for _, p := range s.eng.messages() {
				bodies = append(bodies, string(p.Body))
			}
			if fmt.Sprint(bodies) != fmt.Sprint(tt.published) {
				t.Errorf("published %q, want %q", bodies, tt.published)
			}
		})
	}
}

func TestBatchHeaders(t *testing.T) {
	s := start(t, nil)
	body := `[{"destination":"https://h/?qstash_token=mine","headers":{"content-type":"text/x","upstash-forward-a-b":["1","2"],"Upstash-Delay":"5s","Upstash-Retries":"1"}},
		{"destination":"https://h/2","headers":{"Upstash-Forward-X":"\u0079","X-Own":"z","Upstash-Header-Forward":"true","Authorization":"Bearer q"}},
		{"destination":"https://h/3"}]`
	a, _ := s.send(t, requestBody("POST /v2/batch", body, "Upstash-Forward-Outer: no", "Upstash-Retries: 9", "Content-Type: application/json"))
	got := s.eng.messages()
	if a.StatusCode != 200 || len(got) != 3 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	want := []engine.Publish{
		{
			URL: "https://h/?qstash_token=mine", Delay: 5e9, Retries: 1,
			Header: []engine.Header{{Name: "A-B", Value: "1"}, {Name: "A-B", Value: "2"}, {Name: "Content-Type", Value: "text/x"}},
		},
		{URL: "https://h/2", Retries: 3, Header: []engine.Header{{Name: "X", Value: "y"}, {Name: "X-Own", Value: "z"}}},
		{URL: "https://h/3", Retries: 3},
	}
	for i := range want {
		want[i].User, want[i].CallerIP = 7, "127.0.0.1"
		if g, w := describe(&got[i]), describe(&want[i]); g != w {
			t.Errorf("item %d\ngot  %s\nwant %s", i, g, w)
		}
	}
}

func TestBatchUnknownErrorIsLoggedOnce(t *testing.T) {
	s := start(t, nil)
	s.eng.answer = func(*engine.Publish) (engine.Receipt, error) {
		return engine.Receipt{}, fmt.Errorf("disk on fire")
	}
	a, _ := s.send(t, requestBody("POST /v2/batch", `[{"destination":"http://h"},{"destination":"http://h"}]`))
	if a.StatusCode != 500 || strings.Contains(a.body, "fire") || strings.Count(s.log.String(), "disk on fire") != 1 {
		t.Errorf("%d %s, log %s", a.StatusCode, a.body, s.log.String())
	}
}

// FuzzBatchText: decoding and compacting agree with encoding/json for every
// valid text, and the cursor finds the same elements.
func FuzzBatchText(f *testing.F) {
	for _, s := range []string{`["a\u0041\ud83d\ude00\ud800x\\\/"]`, ` [ 1 , {"a" : [ true ]} , null , "" , -1.5e3 ] `, `[[[]],{}]`, `["\"]"]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		valid := checkJSON(in) == nil
		var want []json.RawMessage
		if err := json.Unmarshal(in, &want); err != nil || !valid || !utf8.Valid(in) {
			return // bodies that are not UTF-8 pass as they are, encoding/json mends them
		}
		b := append([]byte(nil), in...)
		c := cursor{b: b}
		if c.peek() != '[' {
			return
		}
		n := 0
		for ; c.next(']'); n++ {
			if n >= len(want) {
				t.Fatalf("%q: more than %d elements", in, len(want))
			}
			checkValue(t, c.value(), want[n])
		}
		if n != len(want) {
			t.Fatalf("%q: %d elements, want %d", in, n, len(want))
		}
	})
}

func checkValue(t *testing.T, raw []byte, want json.RawMessage) {
	t.Helper()
	if string(raw) != string(want) {
		t.Fatalf("raw %q, want %q", raw, want)
	}
	var s string
	if want[0] == '"' && json.Unmarshal(want, &s) == nil {
		if got, ok := text(raw); !ok || string(got) != s {
			t.Fatalf("text %q, want %q", got, s)
		}
		return
	}
	var a, b any
	compacted := compact(raw)
	if json.Unmarshal(compacted, &a) != nil || json.Unmarshal(want, &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Fatalf("compact %q of %q", compacted, want)
	}
}

// TestBatchIsStamped: the engine says of each element when it was accepted, since a call's
// last one may be logged long after its first; a single publish says so itself.
func TestBatchIsStamped(t *testing.T) {
	s := start(t, nil)
	s.send(t, requestBody("POST /v2/batch", `[{"destination":"http://h/"},{"destination":"http://h/"}]`))
	s.send(t, requestBody("POST /v2/publish/http://h/", "x"))
	ps := s.eng.messages()
	if len(ps) != 3 {
		t.Fatalf("%d messages", len(ps))
	}
	for i, single := range []bool{false, false, true} {
		if ps[i].Accepted.IsZero() == single {
			t.Errorf("message %d was accepted at %v", i, ps[i].Accepted)
		}
	}
}
