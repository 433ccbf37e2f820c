package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// probeOrder tells a probe what to publish, at which rate.
type probeOrder struct {
	Server      Server        `json:"server"`
	PerSecond   int           `json:"per_second"`
	Connections int           `json:"connections"`
	BodyBytes   int           `json:"body_bytes"`
	Timeout     time.Duration `json:"timeout_ns"` // of one request
}

// The calls that a probe takes, in this order. The last one is answered with a Side.
const (
	probeStart   = "/start" // with an order; the load begins
	probeMeasure = "/measure"
	probeEnd     = "/end"
)

// ServeProbe publishes messages that are due in a day, at a rate, when it is told to, and
// says how long that took. It is a process of its own, so that the sink's thousands of
// goroutines, which are in the harness's, do not hold it up. It takes ln over.
func ServeProbe(ctx context.Context, ln net.Listener) error {
	p := &probe{ctx: ctx}
	err := serve(ctx, ln, p.handle)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.load != nil { // whoever started it is gone
		_, _ = p.load.end(time.Since(p.begin))
	}
	return err
}

// probe runs one load at a time.
type probe struct {
	ctx   context.Context
	mu    sync.Mutex
	load  *bystander // nil: none
	begin time.Time  // of what is measured
}

func (p *probe) handle(req *fasthttp.RequestCtx) {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := string(req.Path())
	if (p.load != nil) == (path == probeStart) {
		req.Error("not now", fasthttp.StatusConflict)
		return
	}
	var err error
	switch path {
	case probeStart:
		err = p.start(req.PostBody())
	case probeMeasure:
		p.begin = time.Now()
		p.load.acks.on.Store(true)
	case probeEnd:
		err = p.end(req)
	default:
		err = fmt.Errorf("%s: no such call", path)
	}
	if err != nil {
		req.Error(err.Error(), fasthttp.StatusBadRequest)
	}
}

func (p *probe) start(order []byte) error {
	var o probeOrder
	if err := json.Unmarshal(order, &o); err != nil {
		return err
	}
	if o.PerSecond < 1 || o.Connections < 1 || o.BodyBytes < stampBytes {
		return fmt.Errorf("no order for a probe: %s", order)
	}
	side, err := rateContender("publishes", o.Server, &PublishOptions{
		Common: Common{BodyBytes: o.BodyBytes, RequestTimeout: o.Timeout},
		Delay:  24 * time.Hour, Destination: "http://127.0.0.1:9/",
	}, o.PerSecond)
	if err != nil {
		return err
	}
	p.begin = time.Now()
	p.load = startBystander(p.ctx, &side, o.Connections)
	return nil
}

func (p *probe) end(req *fasthttp.RequestCtx) error {
	side, err := p.load.end(time.Since(p.begin))
	p.load = nil
	if err != nil {
		return err
	}
	return json.NewEncoder(req).Encode(side)
}

// remoteProbe is a probe seen from the harness. Not safe for concurrent use.
type remoteProbe struct{ w *wire }

// newRemoteProbe starts the load. The caller closes it when it is not ended.
func newRemoteProbe(ctx context.Context, at Server, o probeOrder) (*remoteProbe, error) {
	addr, err := hostOf(at.URL)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	order, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	p := &remoteProbe{newWire(ctx, addr, startTimeout+o.Timeout)} // its end waits for requests
	if err := p.call(probeStart, order); err != nil {
		p.w.close()
		return nil, err
	}
	return p, nil
}

func (p *remoteProbe) call(path string, body []byte) error {
	if err := p.w.post(postHead(p.w.addr, path, len(body)), body); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}

// measure begins to count.
func (p *remoteProbe) measure() error { return p.call(probeMeasure, nil) }

// end stops the load and says what was counted.
func (p *remoteProbe) end() (side Side, err error) {
	defer p.w.close()
	if err := p.call(probeEnd, nil); err != nil {
		return Side{}, err
	}
	return side, json.Unmarshal(p.w.resp.Body(), &side)
}
