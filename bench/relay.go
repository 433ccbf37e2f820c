package bench

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	relayWorkers  = 64
	relayQueue    = 4096 // messages waiting; a full queue holds the publishes up
	relayTimeout  = 10 * time.Second
	publishPrefix = "/v2/publish/"
)

// relay is the least that a push queue can do: it keeps a message in memory,
// answers, and a pool of workers forwards it once over kept-alive connections.
// What fails is forgotten. No product can be faster with the same HTTP library.
type relay struct {
	queue   chan *parcel
	parcels sync.Pool
	clients hostClients
}

type parcel struct {
	url  string
	body []byte
}

// ServeRelay serves POST /v2/publish/<url> until ctx ends, and then drops what it
// has not forwarded. It takes ln over.
func ServeRelay(ctx context.Context, ln net.Listener) error {
	r := &relay{queue: make(chan *parcel, relayQueue)}
	r.parcels.New = func() any { return new(parcel) }
	r.clients.conns = relayWorkers
	var wg sync.WaitGroup
	for range relayWorkers {
		wg.Go(r.forward)
	}
	err := serve(ctx, ln, func(req *fasthttp.RequestCtx) { r.accept(ctx, req) })
	close(r.queue)
	wg.Wait()
	r.clients.close()
	return err
}

func (r *relay) accept(ctx context.Context, req *fasthttp.RequestCtx) {
	target, ok := strings.CutPrefix(string(req.Request.Header.RequestURI()), publishPrefix)
	if !ok {
		req.SetStatusCode(fasthttp.StatusNotFound)
		return
	}
	p := r.parcels.Get().(*parcel)
	p.url = target
	p.body = append(p.body[:0], req.Request.Body()...)
	select {
	case r.queue <- p:
		answerAccepted(req)
	case <-ctx.Done():
		req.SetStatusCode(fasthttp.StatusServiceUnavailable)
	}
}

func (r *relay) forward() {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodPost)
	for p := range r.queue {
		req.SetRequestURI(p.url)
		req.SetBodyRaw(p.body)
		if u, err := url.Parse(p.url); err == nil {
			// A failed forward is forgotten, as the role says; the harness counts it.
			_ = r.clients.of(u.Host).DoTimeout(req, resp, relayTimeout)
		}
		req.ResetBody()
		r.parcels.Put(p)
	}
}

// hostClients holds one fasthttp client for each host. Safe for concurrent use.
type hostClients struct {
	conns int // of each host
	mu    sync.RWMutex
	byKey map[string]*fasthttp.HostClient
}

func (h *hostClients) of(host string) *fasthttp.HostClient {
	h.mu.RLock()
	c := h.byKey[host]
	h.mu.RUnlock()
	if c != nil {
		return c
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c = h.byKey[host]; c == nil {
		c = &fasthttp.HostClient{
			Addr:                      host,
			Dial:                      dial,
			MaxConns:                  h.conns,
			MaxConnWaitTimeout:        relayTimeout,
			MaxIdemponentCallAttempts: 1,
			MaxResponseBodySize:       answerBytesMax,
			DisablePathNormalizing:    true,
			NoDefaultUserAgentHeader:  true,
		}
		if h.byKey == nil {
			h.byKey = make(map[string]*fasthttp.HostClient)
		}
		h.byKey[host] = c
	}
	return c
}

// dial stands in for fasthttp's own dialer, which keeps a goroutine for ever to
// clean a DNS cache; hosts are addresses here.
func dial(addr string) (net.Conn, error) {
	return net.DialTimeout("tcp", addr, relayTimeout)
}

// close drops the idle connections; there are no others once the users are done.
func (h *hostClients) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.byKey {
		c.CloseIdleConnections()
	}
}
