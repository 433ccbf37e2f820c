package main

import (
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// sinks are the destinations: one listener per loopback address, so that the
// server sees as many hosts.
type sinks struct {
	urls    []string
	servers []*fasthttp.Server
	open    atomic.Int64 // attempts that have not been answered
}

func openSinks(t testing.TB, hosts int, b *book) *sinks {
	t.Helper()
	s := &sinks{}
	for i := range hosts {
		srv := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(ctx *fasthttp.RequestCtx) {
			s.open.Add(1)
			defer s.open.Add(-1)
			ctx.SetStatusCode(b.arrive(string(ctx.RequestURI()), ctx.PostBody(), time.Now()))
		}}
		s.servers = append(s.servers, srv)
		s.urls = append(s.urls, serveHost(t, "127.0.0."+strconv.Itoa(2+i), srv))
	}
	return s
}

// awaitClosed waits until a destination has read all that a server sent which has ended.
func awaitClosed(t testing.TB, srv *fasthttp.Server) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); srv.GetOpenConnectionsCount() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("connections of a server that has ended stay open")
		}
	}
}

// listenHost serves a destination on a loopback address of its own.
func listenHost(t testing.TB, ip string, handler fasthttp.RequestHandler) string {
	t.Helper()
	return serveHost(t, ip, &fasthttp.Server{Handler: handler, NoDefaultServerHeader: true})
}

// serveHost is listenHost with a server of the caller's.
func serveHost(t testing.TB, ip string, srv *fasthttp.Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Skipf("this system has one loopback address only: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return "http://" + ln.Addr().String()
}

// newHostClient is a client that sends the request target as it is and repeats
// nothing.
func newHostClient(addr string) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		Addr: addr, MaxIdemponentCallAttempts: 1, ReadTimeout: 10 * time.Second, DisablePathNormalizing: true,
		Dial: func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) },
	}
}

// gate lets publishers through while the server is up.
type gate struct {
	mu sync.Mutex
	up chan struct{} // closed while it is open
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.up)
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.up = make(chan struct{})
}

func (g *gate) wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.up
}

// refusedPause keeps publishers from spinning at a server that does not take
// anything at the moment.
const refusedPause = 10 * time.Millisecond

// pace spreads publishes over time: at most so many a second, of all who share it.
type pace struct {
	rate int // 0: as many as there can be
	mu   sync.Mutex
	next time.Time
}

// wait returns when it is the caller's turn.
func (p *pace) wait() {
	if p.rate == 0 {
		return
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Second / time.Duration(p.rate))
	p.mu.Unlock()
	time.Sleep(wait) // the load's pace, not a wait for something
}

// load is the publishers: closed loop, each with one request in flight.
type load struct {
	t        testing.TB
	client   *fasthttp.HostClient
	addr     string
	token    string
	book     *book
	sinks    *sinks
	setup    setup
	gate     gate
	pace     pace
	quit     chan struct{}
	running  sync.WaitGroup
	open     atomic.Int64 // publishes without an answer yet
	unknown  atomic.Int64 // publishes that got none
	refused  atomic.Int64 // 429 and 503: nothing promised
	stopOnce sync.Once
}

func startLoad(t testing.TB, addr, token string, b *book, s *sinks, seed uint64, how setup) *load {
	l := &load{
		t: t, addr: addr, token: token, book: b, sinks: s, setup: how, quit: make(chan struct{}),
		client: newHostClient(addr), pace: pace{rate: how.rate},
	}
	l.gate.up = make(chan struct{})
	for i := range how.publishers {
		l.running.Go(func() { l.publish(rand.New(rand.NewPCG(seed, 100+uint64(i)))) })
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.stopOnce.Do(func() { close(l.quit) })
	l.running.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) publish(rnd *rand.Rand) {
	for {
		l.pace.wait()
		select {
		case <-l.quit:
			return
		case <-l.gate.wait():
		}
		if l.book.outstanding() > backlogMax {
			select {
			case <-l.book.settled():
			case <-l.quit:
			}
			continue
		}
		l.one(rnd)
	}
}

// one publishes one message: some delayed, as the setup says, one in eight to be
// failed once or twice by its destination.
func (l *load) one(rnd *rand.Rand) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	delay, failures := time.Duration(0), 0
	if rnd.IntN(l.setup.delayOneIn) == 0 {
		delay = time.Duration(rnd.Int64N(l.setup.delayMax.Milliseconds())) * time.Millisecond
		req.Header.Set("Upstash-Delay", strconv.Itoa(int(delay.Milliseconds()))+"ms")
	}
	if rnd.IntN(8) == 0 {
		failures = 1 + rnd.IntN(2)
	}
	req.Header.Set("Upstash-Retry-Delay", "50 + 100 * retried")
	req.Header.Set("Authorization", "Bearer "+l.token)
	req.Header.SetMethod("POST")
	seq := l.book.send(time.Now().Add(delay), failures)
	req.SetRequestURI("http://" + l.addr + "/v2/publish/" + destination(l.sinks.urls[rnd.IntN(len(l.sinks.urls))], seq))
	req.URI().DisablePathNormalizing = true
	req.SetBody(l.book.body(seq))

	l.open.Add(1)
	err := l.client.Do(req, resp)
	l.open.Add(-1)
	switch status := resp.StatusCode(); {
	case err != nil:
		l.unknown.Add(1)
		time.Sleep(refusedPause)
	case status == 200:
		l.book.ack(seq, messageID(resp.Body()))
	case status == 429 || status == 503:
		l.refused.Add(1)
		time.Sleep(refusedPause)
	default:
		l.t.Errorf("publish %d: %d %s", seq, status, resp.Body())
	}
}

// messageID takes the id out of a publish's answer.
func messageID(answer []byte) string {
	_, after, _ := strings.Cut(string(answer), `"messageId":"`)
	id, _, _ := strings.Cut(after, `"`)
	return id
}

// settle waits until the publishers held at the gate have no request open, so
// that every answer they will get is in the book.
func (l *load) settle() {
	for l.open.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}
