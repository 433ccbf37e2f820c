package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// fakeLine is a small server of queues, flow-control keys and URL groups that keeps
// everything in memory.
type fakeLine struct {
	faults fakeFaults

	ctx     context.Context
	clients *hostClients
	wg      sync.WaitGroup
	n       atomic.Int64 // deliveries
	mu      sync.Mutex
	lanes   map[string]*fakeLane
	groups  map[string][]string
	removed []string // queues and groups, by their paths
}

// fakeFaults are what it does wrong.
type fakeFaults struct {
	swap      bool  // the first message of a lane comes after the second
	unlimited bool  // windows do not count
	crowded   bool  // nor does a parallelism
	forget    bool  // a group's last endpoint is left out
	lose      int64 // every n-th delivery is not made; 0: all are
	repeat    int64 // every n-th is made twice
}

// fakeLane starts the messages of a queue or a key in their order.
type fakeLane struct {
	in     chan fakeMessage
	slots  chan struct{}
	paused chan struct{} // closed when it goes on; nil: it is not paused
	rate   int           // 0: no limit
	period time.Duration
}

type fakeMessage struct {
	target string
	body   []byte
}

func (f *fakeLine) serve(ctx context.Context, ln net.Listener) error {
	f.ctx, f.clients = ctx, &hostClients{conns: 1 << 20}
	f.lanes, f.groups = map[string]*fakeLane{}, map[string][]string{}
	defer f.clients.close()
	defer f.wg.Wait()
	return serve(ctx, ln, f.handle)
}

func (f *fakeLine) handle(in *fasthttp.RequestCtx) {
	h := &in.Request.Header
	path := strings.TrimPrefix(string(h.RequestURI()), "/v2/")
	route, rest, _ := strings.Cut(path, "/")
	if string(h.Peek("Authorization")) != "Bearer secret" {
		in.SetStatusCode(fasthttp.StatusUnauthorized)
		return
	}
	if h.IsDelete() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.removed = append(f.removed, path)
		return
	}
	m := fakeMessage{rest, append([]byte(nil), in.Request.Body()...)}
	err := error(nil)
	switch {
	case strings.HasSuffix(rest, "/pause") || strings.HasSuffix(rest, "/resume"):
		name, what, _ := strings.Cut(rest, "/")
		f.hold(map[bool]string{true: "key "}[route == "flowControl"]+name, what == "pause")
	case route == "queues":
		err = f.makeQueue(m.body)
	case route == "topics":
		err = f.makeGroup(strings.TrimSuffix(rest, "/endpoints"), m.body)
	case route == "enqueue":
		var queue string
		queue, m.target, _ = strings.Cut(rest, "/")
		f.lane(queue, 1, 0, 0).in <- m
	case len(h.Peek("Upstash-Flow-Control-Key")) > 0:
		err = f.publishKey(string(h.Peek("Upstash-Flow-Control-Key")), string(h.Peek("Upstash-Flow-Control-Value")), m)
	default:
		for _, target := range f.targets(rest) {
			f.wg.Go(func() { f.deliver(fakeMessage{target, m.body}) })
		}
	}
	if err != nil {
		in.Error(err.Error(), fasthttp.StatusBadRequest)
		return
	}
	answerAccepted(in)
}

func (f *fakeLine) makeQueue(body []byte) error {
	var q struct {
		QueueName   string
		Parallelism int
	}
	if err := json.Unmarshal(body, &q); err != nil || q.QueueName == "" || q.Parallelism < 1 {
		return fmt.Errorf("no queue: %s", body)
	}
	f.lane(q.QueueName, q.Parallelism, 0, 0)
	return nil
}

func (f *fakeLine) makeGroup(name string, body []byte) error {
	var g struct{ Endpoints []struct{ URL string } }
	if err := json.Unmarshal(body, &g); err != nil || len(g.Endpoints) == 0 {
		return fmt.Errorf("no endpoints: %s", body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, e := range g.Endpoints {
		if f.faults.forget && i == len(g.Endpoints)-1 {
			break
		}
		f.groups[name] = append(f.groups[name], e.URL)
	}
	return nil
}

func (f *fakeLine) publishKey(key, value string, m fakeMessage) error {
	var rate, parallelism int
	var period string
	if n, _ := fmt.Sscanf(value, "parallelism=%d", &parallelism); n == 0 {
		if _, err := fmt.Sscanf(strings.ReplaceAll(value, ",", " "), "rate=%d period=%s parallelism=%d", &rate, &period, &parallelism); err != nil {
			return fmt.Errorf("%q: %w", value, err)
		}
	}
	d, err := time.ParseDuration(cmp.Or(period, "0s"))
	f.lane("key "+key, parallelism, rate, d).in <- m
	return err
}

// targets are a group's endpoints, or a URL itself.
func (f *fakeLine) targets(destination string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if group := f.groups[destination]; len(group) > 0 {
		return group
	}
	return []string{destination}
}

func (f *fakeLine) lane(name string, parallelism, rate int, period time.Duration) *fakeLane {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lanes[name]
	if l == nil {
		l = &fakeLane{in: make(chan fakeMessage, 1<<12), slots: make(chan struct{}, parallelism), rate: rate, period: period}
		f.lanes[name] = l
		f.wg.Go(func() { f.run(l) })
	}
	return l
}

// hold pauses a lane, or has it go on.
func (f *fakeLine) hold(name string, pause bool) {
	l := f.lane(name, 1, 0, 0)
	f.mu.Lock()
	defer f.mu.Unlock()
	if pause {
		l.paused = make(chan struct{})
	} else {
		close(l.paused)
	}
}

// await waits for the end of a pause.
func (f *fakeLine) await(l *fakeLane) {
	f.mu.Lock()
	paused := l.paused
	f.mu.Unlock()
	if paused == nil {
		return
	}
	select {
	case <-paused:
	case <-f.ctx.Done():
	}
}

// run starts a lane's messages, one after the other.
func (f *fakeLine) run(l *fakeLane) {
	var window time.Time
	used := 0
	var held *fakeMessage
	for n := 0; ; n++ {
		var m fakeMessage
		select {
		case m = <-l.in:
		case <-f.ctx.Done():
			return
		}
		f.await(l)
		if f.faults.swap && n == 0 {
			held = &m
			continue
		}
		if l.rate > 0 && !f.faults.unlimited {
			if used == l.rate && pause(f.ctx, time.Until(window.Add(l.period))) != nil {
				return
			}
			if used == l.rate || time.Since(window) >= l.period {
				window, used = time.Now(), 0
			}
			used++
		}
		f.start(l, m)
		if held != nil {
			f.start(l, *held)
			held = nil
		}
	}
}

// start delivers a message when there is a slot for it.
func (f *fakeLine) start(l *fakeLane, m fakeMessage) {
	if f.faults.crowded {
		f.wg.Go(func() { f.deliver(m) })
		return
	}
	select {
	case l.slots <- struct{}{}:
	case <-f.ctx.Done():
		return
	}
	f.wg.Go(func() {
		f.deliver(m)
		<-l.slots
	})
}

func (f *fakeLine) deliver(m fakeMessage) {
	n := f.n.Add(1)
	times := 1
	switch {
	case f.faults.lose > 0 && n%f.faults.lose == 0:
		return
	case f.faults.repeat > 0 && n%f.faults.repeat == 0:
		times = 2
	}
	var req fasthttp.Request
	var resp fasthttp.Response
	req.SetRequestURI(m.target)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetBodyRaw(m.body)
	host, _ := hostOf(m.target)
	for range times {
		_ = f.clients.of(host).DoTimeout(&req, &resp, 10*time.Second) // what does not arrive is missed
	}
}
