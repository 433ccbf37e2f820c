package httpapi

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// optionCase is what is wrong, and what is just right, for one option.
type optionCase struct {
	with []string // other headers that it needs
	bad  []string
	good []string
	says string // what a refusal names, the option's name if empty
	free bool   // any text is right
}

// cronRight fires at no time that a test sees.
const cronRight = "0 0 1 1 *"

func longest(n int) string { return strings.Repeat("k", n) }

// optionCases has a row for every option there is. Bounds of numbers are met at them,
// below and above.
func optionCases(now time.Time) [optCount]optionCase {
	cron := []string{"Upstash-Cron: " + cronRight}
	flow := []string{"Upstash-Flow-Control-Key: k"}
	latest := now.Add(365 * 24 * time.Hour).Unix()
	durations := []string{"-1s", "1e9d", "99999999999999999999s", "١s", "1 s", "s", "1x", ".", "0x10", "1s-", "+1s", "NaN", "∞", strings.Repeat("1", 400), strings.Repeat("1s", 20_000)}
	booleans := []string{"1", "0", "yes", "truee", "t", "null", "true,false"}
	names := []string{"..", ".", "/", "a/b", "%2f", "a b", "é", "a\tb", longest(257), longest(60_000)}
	urls := []string{
		"h.test", "//h.test", "ftp://h.test", "file:///etc/passwd", "javascript:alert(1)", "http:/h.test", "http:h", "http://", "http:///p", "http://u:p@h.test/", "http://good@evil",
		"http://h.test/#f", "http://h.test/\xc3\xa9", "http://h te", `http://h\x/`, "my-group", "http%3A%2F%2Fh.test", "http://h.test/" + longest(8192), "http://h.test:99999/", "http://h.test:0/", "http://[::1", "http://[fe80::1%25lo]/", "http://2130706433/",
	}
	return [optCount]optionCase{
		optContentType:  {free: true},
		optMethod:       {bad: []string{"CONNECT", "TRACE", "HEAD", "OPTIONS", "get", "GET,POST", longest(60_000)}, good: []string{"GET", "POST", "PUT", "PATCH", "DELETE"}},
		optTimeout:      {bad: append([]string{"0", "0s", "7201", "2h1ms", "365d"}, durations...), good: []string{"1", "1ms", "7200", "2h", "1s1s"}},
		optRetries:      {bad: []string{"-1", "3.5", "1e1", "0x1", "١", "one", "1,2"}, good: []string{"0", "100", "000"}},
		optRetryDelay:   {bad: []string{"pow(", "pow(1)", "os.exit(1)", "retried retried", "1 ** 2", "1 % 2", "1;2", "unknown", strings.Repeat("(", 10_000), strings.Repeat("1+", 30_000)}, good: []string{"1", "1/0", "pow(10, 1e9)", "-1", "max(1, 2, retried)"}},
		optDelay:        {bad: append([]string{"365d1ms", "366d", "8761h"}, durations...), good: []string{"0", "1", "365d", "1.5h", "0.5s", "1s1s"}},
		optNotBefore:    {bad: []string{"-1", "1e10", "1.5", "soon", "99999999999999999999", strconv.FormatInt(latest+3600, 10), strconv.FormatInt(now.UnixMilli(), 10)}, good: []string{"0", "1", strconv.FormatInt(latest-3600, 10)}},
		optDedupID:      {bad: []string{"a:b", ":"}, good: []string{"a b", longest(1024), "\xff\xfe", "é"}, says: "DeduplicationId"},
		optDedupContent: {bad: booleans, good: []string{"true", "False"}},
		optForwardAll:   {bad: booleans, good: []string{"TRUE", "false"}},
		optCron:         {bad: []string{"* * * *", "* * * * * *", "60 * * * *", "0 0 31 2 *", "* * * * x", "CRON_TZ=../../etc/passwd * * * * *", "CRON_TZ=Mars/X * * * * *", "CRON_TZ= * * * * *", "@every 1s", strings.Repeat("1,", 10_000) + "1 * * * *", strings.Repeat("* ", 20_000)}, good: []string{cronRight, "CRON_TZ=UTC 0 0 1 1 *"}},
		optScheduleID:   {with: cron, bad: names, good: []string{"a", longest(256), "A.z_0-9"}},
		optQueue:        {bad: names, good: []string{"orders"}},
		optFlowKey:      {with: []string{"Upstash-Flow-Control-Value: rate=1"}, bad: []string{longest(1025), longest(60_000)}, good: []string{longest(1024), "a/b é", "\xff"}},
		optFlowValue: {with: flow, bad: []string{
			"rate=0", "rate=-1", "rate=1.5", "rate=1000000001", "rate=99999999999999999999", "rate", "rate=", "=1", ",", "rate=1,", "rate=1;parallelism=1", "rate=1 parallelism=2",
			"parallelism=0", "parallelism=1000000001", "rate=1, period=0", "rate=1, period=999ms", "rate=1, period=7d1s", "period=1s", "rate=1, rate=1", "burst=1", strings.Repeat("rate=1,", 8_000),
		}, good: []string{"rate=1", "rate=1000000000, period=7d", "parallelism=1000000000", " period = 1s , Rate=2"}},
		optCallback: {bad: urls, good: []string{"http://h.test", "https://h.test:65535/?a", "http://H.test/%00"}},
		optFailure:  {bad: urls, good: []string{"http://h.test"}},
		optLabel:    {bad: []string{"a b", "a/b", "é", longest(129), strings.TrimSuffix(strings.Repeat("a,", 5), ",") + ",b,c,d,e,f,g,h,i,j,k"}, good: []string{"a", longest(128), "a,b,c,d,e,f,g,h,i,j", ","}},
		optRedact:   {bad: []string{"query", "body,", "header[]", "header[a b]", "header[X", "body[X]", "[X]", "header]X["}, good: []string{"body", "header", "headers[X], header[Y]"}},
		optOrdering: {bad: []string{longest(1025)}, good: []string{longest(1024), "é", "\xff"}},
		optFlowMode: {with: []string{"Upstash-Flow-Control-Key: k", "Upstash-Flow-Control-Value: rate=1"}, bad: []string{"rolling", "1", "fixed,sliding"}, good: []string{"fixed", "SLIDING"}},

		optCronSeconds:  {with: []string{"Upstash-Cron: 0 0 0 1 1 *"}, bad: booleans, good: []string{"true"}},
		optDST:          {with: cron, bad: []string{"x", "skip,both", "SKIP2"}, good: []string{"skip", "both", "fire-once"}},
		optMissed:       {with: cron, bad: []string{"x", "none", "all,skip"}, good: []string{"all", "skip", "latest"}},
		optMissedMax:    {with: append([]string{"Tidemill-Missed: all"}, cron...), bad: []string{"0", "1001", "-1", "1.5", "x", "99999999999999999999"}, good: []string{"1", "1000"}},
		optMissedWindow: {with: append([]string{"Tidemill-Missed: all"}, cron...), bad: append([]string{"0", "999ms", "366d1s"}, durations...), good: []string{"1", "366d"}},
		optJitter:       {with: cron, bad: append([]string{"24h1ms", "2d"}, durations...), good: []string{"0", "24h"}},
	}
}

// TestMalformedOptions: every option with every kind of wrong value, as a header, as a
// parameter and in a batch, is refused with its name; nothing else happens.
func TestMalformedOptions(t *testing.T) {
	p := newProber(t)
	defer p.done()
	cases := optionCases(time.Now())
	for opt := range optCount {
		c := &cases[opt]
		if !c.free && (len(c.bad) == 0 || len(c.good) == 0) {
			t.Errorf("%s has no row in optionCases", optionNames[opt])
		}
		for _, v := range c.good {
			p.accept(p.publish(opt, c, v))
		}
		says := c.says
		if says == "" {
			says = optionNames[opt]
		}
		for _, v := range c.bad {
			p.refuse(p.publish(opt, c, v), says)
			if len(v) < 4000 {
				p.refuse(p.batch(opt, c, v), says)
			}
		}
		p.badBytes(opt, c)
	}
	p.refuse(request("POST /v2/publish/http://h.test/", "Upstash-Retries: 101"), "quota maxRetries exceeded")
	p.refuse(request("POST /v2/publish/http://h.test/", "Upstash-Retries: 99999999999999999999"), "quota maxRetries exceeded")
}

// badBytes: what no header can hold does not come in by a parameter or by JSON either.
func (p *prober) badBytes(opt option, c *optionCase) {
	p.t.Helper()
	name := optionNames[opt]
	inQuery := strings.ToLower(name)
	if !strings.HasPrefix(inQuery, optionPrefix) {
		inQuery = "upstash-forward-" + inQuery // the form in which a query has it
	}
	for _, v := range []string{"\x00", "a\r\nX: y", "a\nb", "\x7f", "\x1b[0m"} {
		if opt != optContentType { // a header that is dropped by that name
			p.refuse(request("POST /v2/publish/http://h.test/?upstash-delay=1h&"+inQuery+"="+percent(v), c.with...), "control character")
		}
		p.refuse(p.batch(opt, c, v), name)
	}
	twice := append([]string{name + ": true", name + ": true"}, c.with...)
	if opt != optLabel && opt != optRedact { // of which there may be several
		p.refuse(request("POST /v2/enqueue/orders/http://h.test/", twice...), "more than one "+name)
	}
}

func (p *prober) publish(opt option, c *optionCase, v string) string {
	path := "POST /v2/enqueue/orders/http://h.test/"
	if opt == optQueue {
		path = "POST /v2/publish/http://h.test/?upstash-delay=1h"
	}
	return request(path, append([]string{optionNames[opt] + ": " + v}, c.with...)...)
}

// batch has it in an element of a batch.
func (p *prober) batch(opt option, c *optionCase, v string) string {
	headers := map[string]string{optionNames[opt]: v}
	for _, h := range c.with {
		name, value, _ := strings.Cut(h, ": ")
		headers[name] = value
	}
	item := map[string]any{"destination": "http://h.test/", "headers": headers}
	if opt != optQueue {
		item["queue"] = "orders"
	}
	text, err := json.Marshal([]any{item})
	if err != nil {
		p.t.Fatal(err)
	}
	return requestBody("POST /v2/batch", string(text))
}

// TestMalformedOptionNames: names that are none.
func TestMalformedOptionNames(t *testing.T) {
	p := newProber(t)
	defer p.done()
	for _, name := range []string{"Upstash-Forward-", "Upstash-Forward-a b", "Tidemill-", "Tidemill-Orderin-Key", "Upstash-Forward-Tidemill-Nope"} {
		raw := request("POST /v2/enqueue/orders/http://h.test/", name+": x")
		if a := p.probe(raw); a.StatusCode != 400 {
			t.Errorf("%q: %d %s", name, a.StatusCode, a.body)
		}
	}
	for _, query := range []string{"upstash-forward-a%20b=1", "upstash-forward-%00=1", "upstash-forward-=1", "upstash-forward-x%0d%0ay=1", "upstash-forward-tidemill-nope=1"} {
		if a := p.probe(request("POST /v2/enqueue/orders/http://h.test/?" + query)); a.StatusCode != 400 {
			t.Errorf("?%s: %d %s", query, a.StatusCode, a.body)
		}
	}
	many := make([]string, fieldsMax)
	for i := range many {
		many[i] = fmt.Sprintf("Upstash-Forward-X-%d: y", i)
	}
	p.refuse(request("POST /v2/enqueue/orders/http://h.test/", many...), "too many header lines")
	p.accept(request("POST /v2/enqueue/orders/http://h.test/", many[:500]...))
	p.refuse(request("POST /v2/enqueue/orders/http://h.test/", "X: "+longest(70_000)), "the request head is too large")
}
