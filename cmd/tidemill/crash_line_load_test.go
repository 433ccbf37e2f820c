package main

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// plainLine is a message of which one in eight fails once or twice, and one in 64 for good.
func plainLine(rnd *rand.Rand) lineSpec {
	s := lineSpec{endpoints: 1, retries: 4}
	switch n := rnd.IntN(64); {
	case n == 0:
		s.failures, s.retries, s.failure = 2, 1, true
	case n <= 8:
		s.failures = 1 + rnd.IntN(2)
	}
	return s
}

// inQueue is a message of a queue: one in three has a callback, and one in 16 a delay,
// during which it waits at its place.
func inQueue(q *lineQueue, rnd *rand.Rand) lineSpec {
	s := plainLine(rnd)
	s.queue, s.callback = q, rnd.IntN(3) == 0
	if q.keyed {
		s.ordering = "key-" + strconv.Itoa(rnd.IntN(6))
	}
	if rnd.IntN(16) == 0 {
		s.delay = time.Duration(rnd.IntN(200)) * time.Millisecond
	}
	return s
}

// produce starts a producer, which publishes one message after the other and has at most
// so many in the server.
func (l *lines) produce(most int, acked *atomic.Int64, next func(*rand.Rand) lineSpec) {
	room := make(chan struct{}, most)
	for range most {
		room <- struct{}{}
	}
	l.made++
	rnd := rand.New(rand.NewPCG(l.seed, 1000+l.made))
	load := l.c.load
	load.running.Go(func() {
		for {
			select {
			case <-load.quit:
				return
			case <-room:
			}
			load.pace.wait()
			select {
			case <-load.quit:
				return
			case <-load.gate.wait():
			}
			l.publish(l.book.send(next(rnd), time.Now(), room), acked)
		}
	})
}

func (l *lines) publish(m *lineMessage, acked *atomic.Int64) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	load := l.c.load
	l.fill(req, m)
	load.open.Add(1)
	err := load.client.Do(req, resp)
	load.open.Add(-1)
	switch status := resp.StatusCode(); {
	case err == nil && status == 200:
		l.book.ack(m, messageIDs(resp.Body()))
		acked.Add(1)
		return
	case err == nil && status != 429 && status != 503:
		load.t.Errorf("publish of line %d: %d %s", m.seq, status, resp.Body())
	}
	l.unknown.Add(1)
	time.Sleep(refusedPause)
	l.book.unknown(m)
}

// fill makes the publish of a message. Retries come soon.
func (l *lines) fill(req *fasthttp.Request, m *lineMessage) {
	to := "/v2/publish/" + l.copyURL(0)
	switch {
	case m.queue != nil:
		to = "/v2/enqueue/" + m.queue.name + "/" + l.copyURL(0)
	case len(m.copies) > 1:
		to = "/v2/publish/" + lineGroup
	}
	req.SetRequestURI("http://" + l.c.load.addr + to)
	req.URI().DisablePathNormalizing = true
	req.SetBody(l.book.body(m.seq))
	h, seq, soon := &req.Header, strconv.FormatUint(m.seq, 10), "5 + 10 * retried"
	h.SetMethod("POST")
	h.Set("Authorization", "Bearer "+l.c.creds.Token)
	h.Set("Upstash-Forward-Line", seq)
	h.Set("Upstash-Retries", strconv.Itoa(m.retries))
	h.Set("Upstash-Retry-Delay", soon)
	if m.delay > 0 {
		h.Set("Upstash-Delay", strconv.Itoa(int(m.delay.Milliseconds()))+"ms")
	}
	if m.ordering != "" {
		h.Set("Tidemill-Ordering-Key", m.ordering)
	}
	if m.flow != nil {
		h.Set("Upstash-Flow-Control-Key", m.flow.key)
		h.Set("Upstash-Flow-Control-Value", m.flow.value())
		if m.flow.sliding {
			h.Set("Tidemill-Flow-Control-Mode", "sliding")
		}
	}
	for name, wanted := range map[string]bool{kindCallback: m.callback, kindFailure: m.failure} {
		if !wanted {
			continue
		}
		h.Set("Upstash-"+name, l.url+"/"+name)
		h.Set("Upstash-"+name+"-Forward-Line", seq)
		h.Set("Upstash-"+name+"-Retries", "3")
		h.Set("Upstash-"+name+"-Retry-Delay", soon)
	}
}

// messageIDs takes the ids out of the answer to a publish, of a group or not.
func messageIDs(answer []byte) (ids []string) {
	type receipt struct{ MessageID string }
	var list []receipt
	if len(answer) > 0 && answer[0] == '{' {
		list = make([]receipt, 1)
		_ = json.Unmarshal(answer, &list[0]) // an id that is missing is found out
	} else {
		_ = json.Unmarshal(answer, &list)
	}
	for _, r := range list {
		ids = append(ids, r.MessageID)
	}
	return ids
}
