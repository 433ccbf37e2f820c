package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// lines are the queues, flow-control keys, groups and callbacks of a crash test: what they
// promise holds over every crash (P18, P19, P23, L6). lineBook says what that is.
//
// The test's goroutine owns it; the book is shared with producers and the destination.
type lines struct {
	c      *crash
	book   *lineBook
	server *fasthttp.Server
	url    string
	flows  []*lineFlow
	seed   uint64
	made   uint64 // producers

	unknown    atomic.Int64 // publishes that got no answer, or that nothing was promised
	inQueues   atomic.Int64 // acknowledged
	inFlows    atomic.Int64
	inGroup    atomic.Int64
	dead       int // dead letters that failure callbacks named
	unfinished int // messages that were not, when the publishers stopped
}

// lineGroup has lineEndpoints endpoints.
const (
	lineGroup     = "crash-group"
	lineEndpoints = 3
	lineParallel  = 3 // of the queues that have more than one
)

// newLines starts the destination. Nothing is published before start.
func newLines(c *crash) *lines {
	l := &lines{c: c}
	l.book = newLineBook(func(seq uint64) []byte { return c.book.body(1<<40 | seq) })
	l.server = &fasthttp.Server{Handler: l.arrive, NoDefaultServerHeader: true}
	l.url = serveHost(c.t, fmt.Sprintf("127.0.0.%d", 3+crashHosts), l.server)
	l.flows = []*lineFlow{
		{key: "second", rate: 20, period: time.Second},
		{key: "second-and-two", rate: 10, period: time.Second, parallelism: 2},
		{key: "long", rate: 60, period: 15 * time.Second},
		{key: "long-blocks", rate: 320, period: 12 * time.Second}, // of more than one permit each
		{key: "sliding", rate: 20, period: 2 * time.Second, sliding: true},
		{key: "long-sliding", rate: 320, period: 12 * time.Second, sliding: true},
		{key: "two", parallelism: 2},
	}
	return l
}

// fence is called when the server has ended (crash.fence).
func (l *lines) fence() {
	awaitClosed(l.c.t, l.server)
	l.book.newLife()
}

// lineHold is for how long the destination considers an answer at most.
const lineHold = 20 * time.Millisecond

func (l *lines) arrive(ctx *fasthttp.RequestCtx) {
	h := &ctx.Request.Header
	r := lineRequest{at: time.Now(), body: ctx.PostBody(), id: string(h.Peek("Upstash-Message-Id"))}
	r.seq, _ = strconv.ParseUint(string(h.Peek("Line")), 10, 64)
	r.retried, _ = strconv.Atoi(string(h.Peek("Upstash-Retried")))
	r.kind, _, _ = strings.Cut(string(ctx.Path())[1:], "/")
	target := string(ctx.Path())
	if r.kind != kindMessage {
		target = reportedURL(r.body)
	}
	r.copy, _ = strconv.Atoi(target[strings.LastIndexByte(target, '/')+1:])
	l.book.arrive(&r)
	time.Sleep(rand.N(lineHold)) // so that requests overlap, if they may
	ctx.SetStatusCode(r.status)
	ctx.SetBodyString(r.answerText())
	l.book.answer(&r)
}

// copyURL is where the copy of an endpoint goes; 0 is that of a message to one URL.
func (l *lines) copyURL(i int) string { return l.url + "/message/" + strconv.Itoa(i) }

// start makes what must be there, and starts the producers, which wait at the gate.
func (l *lines) start(seed uint64) {
	if !l.c.setup.lines {
		return
	}
	l.seed = seed
	for i := range 16 {
		q := l.book.newQueue("one-"+strconv.Itoa(i), 1, false)
		l.produce(24, &l.inQueues, func(rnd *rand.Rand) lineSpec { return inQueue(q, rnd) })
	}
	for i := range 4 {
		q := l.book.newQueue("three-"+strconv.Itoa(i), lineParallel, i == 0)
		l.call("POST", "/v2/queues", fmt.Sprintf(`{"queueName":%q,"parallelism":%d}`, q.name, q.parallelism))
		l.produce(48, &l.inQueues, func(rnd *rand.Rand) lineSpec { return inQueue(q, rnd) })
	}
	for _, f := range l.flows {
		l.produce(max(f.rate, 16), &l.inFlows, func(rnd *rand.Rand) lineSpec {
			s := plainLine(rnd)
			s.flow, s.callback = f, rnd.IntN(16) == 0
			return s
		})
	}
	endpoints := make([]string, lineEndpoints)
	for i := range endpoints {
		endpoints[i] = fmt.Sprintf(`{"url":%q}`, l.copyURL(i))
	}
	l.call("POST", "/v2/topics/"+lineGroup+"/endpoints", `{"endpoints":[`+strings.Join(endpoints, ",")+`]}`)
	l.produce(16, &l.inGroup, func(rnd *rand.Rand) lineSpec {
		s := plainLine(rnd)
		s.endpoints, s.callback = lineEndpoints, rnd.IntN(4) == 0
		return s
	})
}

func (l *lines) call(method, path, body string) {
	l.c.t.Helper()
	if status, answer := call(l.c.t, method, l.c.proc.url()+path, l.c.creds.Token, body); status != 200 {
		l.c.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
}

// finish waits until nothing is to come any more, and looks up what failure callbacks
// named. What was published last would wait for the end of long windows: they are reset.
func (l *lines) finish() {
	if !l.c.setup.lines {
		return
	}
	_, l.unfinished = l.book.unfinished()
	l.book.endWindows(l.flows)
	began := time.Now()
	for n := l.unfinished; n > 0; {
		for _, f := range l.flows {
			l.call("POST", "/v2/flowControl/"+f.key+"/resetRate", "")
		}
		time.Sleep(100 * time.Millisecond)
		var seqs []uint64
		if seqs, n = l.book.unfinished(); n > 0 && time.Since(began) > time.Minute {
			l.c.t.Errorf("%d messages of queues, keys and groups are not finished, among them %v", n, seqs)
			return
		}
	}
	l.c.t.Logf("the last %d messages of queues, keys and groups were finished within %v", l.unfinished, time.Since(began).Round(time.Millisecond))
	for dlqID, id := range l.book.deadLetters() {
		var d struct{ MessageID string }
		l.c.get("/v2/dlq/"+dlqID, &d)
		if l.dead++; d.MessageID != id {
			l.c.t.Errorf("dead letter %s, which a failure callback names for message %s, is of %s", dlqID, id, d.MessageID)
		}
	}
}

func (l *lines) report() {
	if !l.c.setup.lines {
		return
	}
	b := l.book
	windows := make([]string, 0, len(l.flows))
	for _, f := range l.flows {
		n, need := f.excess()
		if n > 0 {
			b.wrong["window"] += n
			l.c.t.Errorf("%s (%s): %d times more attempts than it allows, with a tolerance of %v; %v would do", f.key, f.value(), n, f.tolerance(), need)
		}
		windows = append(windows, fmt.Sprintf("%s: %d, at most %d at once, %v", f.key, len(f.at), f.most, need))
	}
	for _, text := range b.texts {
		l.c.t.Error(text)
	}
	l.c.t.Logf("mode %s: lines: acked %d in %d queues, %d with %d keys, %d to a group of %d, %d unknown; %d attempts, %d of them again after a crash; %d callbacks, %d failure callbacks, whose %d dead letters are there; violations: order %d, parallelism %d, window %d, callback %d, group %d, twice %d, content %d",
		l.c.mode(), l.inQueues.Load(), len(b.queues), l.inFlows.Load(), len(l.flows), l.inGroup.Load(), lineEndpoints, l.unknown.Load(),
		b.arrived, b.repeated, b.callbacks, b.failureCallbacks, l.dead,
		b.wrong["order"], b.wrong["parallelism"], b.wrong["window"], b.wrong["callback"], b.wrong["group"], b.wrong["twice"], b.wrong["content"])
	l.c.t.Logf("mode %s: attempts of the keys, and the tolerance their windows needed: %s", l.c.mode(), strings.Join(windows, "; "))
}
