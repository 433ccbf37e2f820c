package httpapi

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/httpapi/wirecheck"
)

// The parsers of a request, one target each. Those of heads (FuzzHead), destinations
// (FuzzDestination), flow control (FuzzFlowValue), batches (FuzzBatchText) and forwarded
// headers (FuzzForward) stand with their tests; of durations, retry delays and cron in
// engine/delay and engine/cron.

var fuzzBounds = bounds{
	Limits: engine.Limits{MessageMax: 1 << 20, MaxDelay: 365 * 24 * time.Hour, MaxRetries: 100, AttemptMax: 2 * time.Hour},
	now:    testNow, check: func(string) error { return nil },
}

// checkFailure: a refusal says something, in a text that JSON can hold.
func checkFailure(t *testing.T, f *failure) {
	t.Helper()
	if f.status < 400 || f.text == "" || len(f.text) > 20_000 || !utf8.Valid(appendError(nil, f.text)) {
		t.Fatalf("refused with %d %.200q", f.status, f.text)
	}
}

// checkHeaders: what goes on to a destination can stand in a header line (P47).
func checkHeaders(t *testing.T, hs []engine.Header) {
	t.Helper()
	for _, h := range hs {
		if !isToken([]byte(h.Name)) || !isFieldValue([]byte(h.Value)) || isDropped([]byte(h.Name)) && h.Name != "Content-Type" {
			t.Fatalf("the header %q: %q goes on", h.Name, h.Value)
		}
	}
}

// FuzzQuery: whatever options a query holds, what is made of them is within its bounds.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"upstash-retries=3&upstash-delay=100s&a=1", "upstash-cron=*/5+*+*+*+*&upstash-schedule-id=x", "upstash-forward-x%2Da=b%20c&UPSTASH-METHOD=PUT",
		"upstash-flow-control-key=k&upstash-flow-control-value=rate=3,+period=2s&upstash-label=a,b", "upstash-callback=http://c&upstash-callback-retries=1&upstash-failure-callback=http://f",
		"upstash-not-before=1700000100&upstash-timeout=5&upstash-redact-fields=header[X]", "upstash-forward-tidemill-ordering-key=k&upstash-queue-name=q", "upstash%2Ddelay=%00", "&&=&upstash-=%zz&qstash_token=x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		var p publisher
		fail := p.addQuery(bytes.Clone(query))
		if fail == nil {
			fail = p.build(&fuzzBounds)
		}
		if fail != nil {
			checkFailure(t, fail)
			return
		}
		m := &p.message
		if m.Retries < 0 || m.Retries > 100 || m.Delay < 0 || m.Delay > fuzzBounds.MaxDelay || m.Timeout < 0 || m.Timeout > fuzzBounds.AttemptMax ||
			strings.Contains(m.DedupID, ":") || m.Ordering != "" && m.Queue == "" || m.NotBefore.After(testNow.Add(fuzzBounds.MaxDelay)) {
			t.Fatalf("%q was read as %+v", query, m)
		}
		checkHeaders(t, m.Header)
		for _, c := range []*engine.Callback{m.Callback, m.Failure} {
			if c != nil {
				checkHeaders(t, c.Header)
			}
		}
	})
}

// FuzzFilters: those of a query and of a body together stay within the bounds of a call,
// and nothing that is not understood is passed over by a call that changes things.
func FuzzFilters(f *testing.F) {
	for _, s := range []string{
		"messageIds=a,b&count=5", "url=http://h/1,2,https://g&fromDate=5&toDate=6", "state=CANCELLED,IN_PROGRESS&host=h&path=/a,/b", "label=a&label=b,c&order=latestFirst",
		"responseStatus=0,404&flowControlKey=a%2Cb+c&cursor=77&source=workflow&callerIP=::1", "count=0", "cursor=1-2", "=&&x",
	} {
		f.Add([]byte(s), []byte(`{"dlqIds":["1-1",2],"label":null,"count":5}`), false)
		f.Add([]byte(s), []byte(nil), true)
	}
	f.Fuzz(func(t *testing.T, query, body []byte, strict bool) {
		x := &exchange{query: query}
		x.body.b = bytes.Clone(body)
		call := &filterCall{names: filterContent | filterMessageID | filterDeadID | filterStatus | filterState | filterHost | filterPath | filterPage, strict: strict, countMax: 100, valuesMax: 50}
		got, fail := x.filterOf(call)
		if fail != nil {
			checkFailure(t, fail)
			return
		}
		lists := [][]string{got.MessageIDs, got.URLs, got.Hosts, got.Paths, got.TopicNames, got.QueueNames, got.ScheduleIDs, got.Labels, got.FlowKeys, got.CallerIPs, got.deadIDs, got.states}
		n := len(got.statuses)
		for _, list := range lists {
			if n += len(list); slices.Contains(list, "") {
				t.Fatalf("%q %q: an empty value in %q", query, body, list)
			}
		}
		if n > call.valuesMax || got.count < 0 || got.count > call.countMax {
			t.Fatalf("%q %q: %d values, count %d", query, body, n, got.count)
		}
		if _, ok := digits([]byte(got.cursor)); !ok && got.cursor != "" {
			t.Fatalf("%q %q: the cursor %q", query, body, got.cursor)
		}
	})
}

// FuzzLabels: labels and what is redacted, read again from what was understood, are the
// same.
func FuzzLabels(f *testing.F) {
	for _, s := range []string{"a, b ,a,,c", "body, header[Authorization]", "headers[x-a],HEADER[X-A] , header", "header[", "body[x]", strings.Repeat("l", 129), "é"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		ls, fail := labels(bytes.Clone(v))
		if fail != nil {
			checkFailure(t, fail)
		} else if again, fail := labels([]byte(strings.Join(ls, ","))); fail != nil || !slices.Equal(again, ls) || len(ls) > engine.LabelsMax {
			t.Fatalf("%q: %q, then %q %v", v, ls, again, fail)
		}
		r, fail := redact(bytes.Clone(v))
		if fail != nil {
			checkFailure(t, fail)
			return
		}
		var parts []string
		if r.Body {
			parts = append(parts, "body")
		}
		if r.Headers {
			parts = append(parts, "header")
		}
		for _, name := range r.Names {
			parts = append(parts, "header["+name+"]")
		}
		again, fail := redact([]byte(strings.Join(parts, ",")))
		if fail != nil || again.Body != r.Body || again.Headers != r.Headers || !slices.Equal(again.Names, r.Names) || len(r.Names) > engine.RedactNamesMax {
			t.Fatalf("%q: %+v, then %+v %v", v, r, again, fail)
		}
	})
}

// groupless is an engine without URL groups.
type groupless struct{ *fakeEngine }

func (groupless) Group(engine.UserID, string) (*engine.GroupInfo, error) {
	return nil, engine.ErrNotFound
}

// FuzzForms: the readers of small JSON bodies take any text, and what they take is within
// bounds.
func FuzzForms(f *testing.F) {
	for _, s := range []string{
		`{"queueName":"q","parallelism":2,"paused":true}`, `{"endpoints":[{"url":"http://h","name":"n"}]}`, `{"headers":{"Upstash-Retries":["1"],"x":null}}`,
		`{"user":1,"name":"n","access":"read","admin":false,"expiresIn":"90d","queues":["q"],"hosts":["*.h"]}`, `{"url":"http://h","topicName":"t"}`, `{"a":"\ud800\u0000"}`, `[[[`, `{"queueName":"q","queueName":"r"}`,
		`{"destination":"http://h","cron":"* * * * *","delay":5,"headers":{"a":["b"]}}`,
	} {
		f.Add([]byte(s))
	}
	srv, err := New(Options{Engine: groupless{newFake()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		with := func() *exchange {
			x := &exchange{srv: srv, c: &conn{srv: srv}, arg: []byte("g"), who: new(engine.Principal)}
			x.body.b = bytes.Clone(body)
			return x
		}
		if name, c, fail := with().queueChange(); fail != nil {
			checkFailure(t, fail)
		} else if checkName("", []byte(name)) != nil || c.Parallelism != nil && (*c.Parallelism < 1 || *c.Parallelism > engine.QueueParallelismMax) {
			t.Fatalf("%q: the queue %q %+v", body, name, c)
		}
		if es, fail := with().endpoints(func(*engine.Endpoint) *failure { return nil }); fail != nil {
			checkFailure(t, fail)
		} else if len(es) == 0 {
			t.Fatalf("%q: no endpoints, and no complaint", body)
		}
		if checkJSON(body) == nil && len(bytes.TrimSpace(body)) > 0 && bytes.TrimSpace(body)[0] == '{' {
			if hs, fail := with().groupHeader(bytes.TrimSpace(bytes.Clone(body))); fail != nil {
				checkFailure(t, fail)
			} else {
				for _, h := range hs {
					if !isToken([]byte(h.Name)) || !isFieldValue([]byte(h.Value)) {
						t.Fatalf("%q: the header %q: %q", body, h.Name, h.Value)
					}
				}
			}
		}
		if s, fail := with().tokenSpec(); fail != nil {
			checkFailure(t, fail)
		} else if s.Life < 0 || len(s.Queues)+len(s.Groups)+len(s.Hosts) > 3*engine.TokenLimitsMax {
			t.Fatalf("%q: the token %+v", body, s)
		}
		var raw rawSchedule
		x := with()
		if fail := x.cutBody("a schedule", raw.member); fail == nil && raw.item.destination != nil && raw.item.destination[0] == '"' {
			if fail := x.prepareSchedule(&raw); fail != nil {
				checkFailure(t, fail)
			} else {
				checkHeaders(t, x.pub.message.Header)
			}
		}
	})
}

// FuzzChunks: a chunked body that is taken is the one that the standard library reads.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{"5\r\nabcde\r\n0\r\n\r\n", "1;x=y\r\na\r\n00\r\nX: y\r\n\r\n", "fffffffffffffff\r\n", "-1\r\n", "1\r\nab\r\n0\r\n\r\n", "0\r\n\r\nGET", "1 \r\na\r\n0\r\n\r\n", "A\r\n0123456789\r\n0\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var held budget
		held.most.Store(1 << 20)
		b := body{budget: &held, limit: 1 << 16}
		defer b.done()
		if b.read(bufio.NewReader(bytes.NewReader(in)), -1) != nil {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err != nil || !bytes.Equal(want, b.b) {
			t.Fatalf("%q was read as %q, the standard library has %q %v", in, b.b, want, err)
		}
	})
}

// FuzzRequest sends any bytes to a server with the real engine. There is an answer, or
// the connection ends; none is a 5xx, and all are as the document has them.
func FuzzRequest(f *testing.F) {
	doc, err := checked()
	if err != nil {
		f.Fatal(err)
	}
	for _, op := range doc.Operations() {
		if op.Streams() {
			continue
		}
		text := ""
		if example, ok := op.BodyExample(); ok {
			text = render(example, nil, "")
		}
		f.Add([]byte(requestBody(op.Method+" "+samplePath(op.Path), text, "Upstash-Queue-Name: orders")))
	}
	addr, _ := startEngine(f, nil, noNames{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a dead connection fails the read
		if bytes.Contains(bytes.ToLower(raw), []byte("/v2/logs/stream")) {
			return // it goes on
		}
		c.Write(raw)                  //nolint:errcheck // the answers tell
		c.(*net.TCPConn).CloseWrite() //nolint:errcheck
		out, _ := io.ReadAll(c)
		for _, e := range wirecheck.Cut(raw, out) {
			if e.Status >= 500 && e.Status != 501 && e.Status != 505 {
				t.Fatalf("%q: %d %s", raw, e.Status, e.Content)
			}
			path, _, _ := strings.Cut(e.Target, "?")
			if outside([]byte(path)) {
				continue
			}
			if err := doc.Check(&e); err != nil {
				t.Fatalf("%q: %d %.300s: %v", raw, e.Status, e.Content, err)
			}
		}
	})
}
