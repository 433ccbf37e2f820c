package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	readBufferSmall = 4 << 10
	// inlineBytes is the size up to which a body is copied behind the headers, so that
	// one write sends both.
	inlineBytes = 8 << 10
	// earlyAnswerBytes is the body size from which the answer is awaited while
	// the request is still being written. A smaller request fits into the
	// socket's buffers, so that writing it cannot block on a server that answers
	// without reading.
	earlyAnswerBytes = 32 << 10
	// lastWords is how long to wait for an answer after writing failed: a server
	// that answers early and closes has usually sent its answer already.
	lastWords = time.Second
	// maxHeaderReads bounds reads until the headers are complete, because
	// fasthttp parses from the beginning after each: 64 KiB of headers sent byte
	// by byte would cost 2 GiB of parsing.
	maxHeaderReads = 1024
	// maxHeaderLines bounds the lines of one answer. Each costs about 100 bytes
	// beside its own, so that 64 KiB of the shortest would take 1.4 MiB.
	maxHeaderLines = 1000
	// readSlack is how many bytes of an answer are read beyond MaxHeader and, once
	// the headers are there, MaxResponse (P41): for interim answers, and for what
	// chunks cost around their content, of which the server decides.
	readSlack = 256 << 10
)

// A phase is what an attempt was doing, to complete "timeout after 2s ...".
type phase string

const (
	resolving   phase = "resolving the host"
	connecting  phase = "connecting"
	handshaking phase = "in the TLS handshake"
	sending     phase = "sending the request"
	waiting     phase = "waiting for the response"
	reading     phase = "reading the response"
)

var (
	// errStale: a kept connection was closed, or has something to read, before anything
	// was written.
	errStale   = errors.New("dispatch: connection is stale")
	errTrickle = errors.New("headers came in too many pieces")
	errFlood   = errors.New("more was sent than is read")
)

// An exchange is the state of one attempt. It belongs to the goroutine in Do; a
// second one may write the request while that one reads, see sendReceive.
type exchange struct {
	c *Client
	p *pool
	a *Attempt
	r *Result
	t target

	resp fasthttp.Response // of an answer that is not plain

	start, deadline time.Time
	timeout         time.Duration
	phase           phase

	conn   *conn
	kept   bool   // conn was kept: it may have been closed, or answered without being asked
	volley volley // how the request goes out, if conn is plain TCP
	// What reading from conn has shown, see Read.
	ahead   []byte // read and not parsed: what Read returns first
	got     int    // bytes
	budget  int    // bytes: got does not exceed it
	reads   int
	inBody  bool
	readErr error
	fixed   fixedBody
	keep    int  // bytes of a body, Options.MaxResponse
	parsed  bool // resp is in use
	large   bool // resp may hold much memory

	answer     plainAnswer
	first, end time.Time // when the answer began, and when it was complete, if it was
}

var exchangePool = sync.Pool{New: func() any {
	x := new(exchange)
	discreet(&x.resp)
	x.volley.init()
	return x
}}

// discreet has fasthttp leave what a server sent out of its errors. There is no way to
// say so but to be a HostClient's response once.
func discreet(resp *fasthttp.Response) {
	hc := fasthttp.HostClient{Transport: noTransport{}, SecureErrorLogMessage: true, MaxIdemponentCallAttempts: 1}
	var req fasthttp.Request
	_ = hc.Do(&req, resp)
}

// noTransport sends nothing.
type noTransport struct{}

func (noTransport) RoundTrip(*fasthttp.HostClient, *fasthttp.Request, *fasthttp.Response) (retry bool, err error) {
	return false, nil
}

func acquireExchange(c *Client, a *Attempt, r *Result, start time.Time) *exchange {
	x := exchangePool.Get().(*exchange)
	x.c, x.a, x.r, x.start = c, a, r, start
	x.timeout = a.Timeout
	if x.timeout <= 0 {
		x.timeout = c.opts.Timeout
	}
	x.deadline = start.Add(x.timeout)
	x.budget = c.opts.MaxHeader + readSlack
	x.keep = int(c.maxResponse.Load())
	return x
}

func releaseExchange(x *exchange) {
	if x.large {
		return // not kept for an attempt that needs a fraction of it
	}
	if x.parsed {
		x.resp.Reset()
		x.parsed = false
	}
	x.c, x.p, x.a, x.r, x.conn = nil, nil, nil, nil, nil
	x.t, x.phase, x.kept, x.end = target{}, "", false, time.Time{}
	x.fixed, x.ahead = fixedBody{}, nil
	x.got, x.reads, x.inBody, x.readErr = 0, 0, false, nil
	exchangePool.Put(x)
}

// run checks the request, finds the host's connections and makes the attempt.
func (x *exchange) run() (err error) {
	if x.t, err = x.c.origins.parse(x.a.URL); err != nil {
		return fail(Protocol, err, "%s", err)
	}
	if err = checkRequest(x.a); err != nil {
		return err
	}
	x.p = x.c.registry.acquire(&x.t, x.start)
	defer x.c.registry.release(x.p)
	return x.roundTrip()
}

// roundTrip runs the exchange on a kept connection if there is one that is still good,
// and on a fresh one if there is none or if it turns out to be closed without a byte of an
// answer. The latter happens once: a fresh connection is never replaced.
func (x *exchange) roundTrip() error {
	for c := x.p.get(x.start); c != nil; c = x.p.get(x.start) {
		x.use(c, true)
		err := x.attempt()
		if err == errStale {
			continue // nothing was sent on it
		}
		x.c.counters.reused.Add(1)
		if err == nil || !x.lostRace(err) {
			x.r.Timing.Reused = true
			return x.explain(err)
		}
		x.c.counters.redials.Add(1)
		x.readErr, x.reads = nil, 0
		break
	}
	if err := x.connect(); err != nil {
		return x.explain(err)
	}
	return x.explain(x.attempt())
}

func (x *exchange) use(c *conn, kept bool) {
	x.conn, x.kept, x.end = c, kept, time.Time{}
	c.arm(x.deadline, x.timeout)
}

// lostRace is true if the server closed a kept connection before it can have
// answered anything.
func (x *exchange) lostRace(err error) bool {
	return x.got == 0 && x.c.ctx.Err() == nil && time.Now().Before(x.deadline) &&
		(isClosed(x.readErr) || isClosed(err))
}

func (x *exchange) connect() error {
	switch err := x.p.reserve(); {
	case errors.Is(err, errBusy):
		return fail(Busy, err, "more than %d connections to the host", x.c.maxConns.Load())
	case err != nil:
		return err
	}
	x.c.counters.dials.Add(1)
	limit := x.start.Add(x.timeout)
	if soon := time.Now().Add(x.c.opts.ConnectTimeout); soon.Before(limit) {
		limit = soon
	}
	ctx, cancel := context.WithDeadline(x.c.ctx, limit)
	defer cancel()
	nc, tcp, err := x.c.dialer.dial(ctx, &x.p.ep, x)
	if err != nil {
		x.p.unreserve()
		if !time.Now().Before(limit) && limit.Before(x.deadline) {
			return failTimeout(x.c.opts.ConnectTimeout, string(x.phase))
		}
		return err
	}
	x.use(newConn(nc, tcp), false)
	if err := x.p.add(x.conn); err != nil {
		x.p.discard(x.conn)
		return err
	}
	return nil
}

// attempt sends the request over x.conn and reads the answer into x.r. It keeps
// or closes the connection, also if it panics.
func (x *exchange) attempt() error {
	keep := false
	defer func() {
		if !keep {
			x.p.discard(x.conn)
		}
	}()
	if x.kept && !x.volleys() && !x.conn.usable() {
		return errStale
	}
	keep, err := x.sendReceive()
	if x.end.IsZero() {
		x.end = time.Now()
	}
	if keep {
		x.p.put(x.conn, x.end)
	}
	return err
}

// sendReceive writes and reads, at once or one after the other if the request is small. A
// large body is written by a second goroutine, so that an early answer counts
// although the server reads no further; that goroutine has ended before
// sendReceive returns or panics, since the body is the caller's.
func (x *exchange) sendReceive() (keep bool, err error) {
	x.phase = sending
	if x.volleys() {
		return x.sendVolley()
	}
	if len(x.a.Body) < earlyAnswerBytes {
		sendErr := x.send()
		x.phase = waiting
		keep, err = x.receive()
		return x.settle(keep, err, sendErr)
	}
	w := x.startWriter()
	defer w.stop()
	keep, err = x.receive()
	// A server that has read everything has let the write finish; anything else
	// is cut off here.
	sendErr := w.stop()
	x.conn.until = time.Time{} // stop has moved one of its deadlines
	if x.phase == sending && sendErr == nil {
		x.phase = waiting
	}
	return x.settle(keep, err, sendErr)
}

// settle joins what reading and writing came to.
func (x *exchange) settle(keep bool, readErr, sendErr error) (bool, error) {
	if readErr == nil && sendErr == nil {
		return keep, nil
	}
	x.conn.resetOnClose()
	return false, x.pickError(readErr, sendErr)
}

// send writes the request. If that fails for another reason than time, an answer
// may still be on its way, and reading gets lastWords to find it.
func (x *exchange) send() error {
	buf := requests.Get().(*[]byte)
	body := x.fill(buf)
	_, err := x.conn.Write(*buf)
	putRequest(buf)
	if err == nil && len(body) > 0 {
		_, err = x.conn.Write(body)
	}
	return x.lastRead(err)
}

// lastRead moves the deadline of reading to lastWords if writing failed, unless that was
// for want of time. It returns err.
func (x *exchange) lastRead(err error) error {
	if err != nil && !isTimeout(err) {
		if soon := time.Now().Add(lastWords); soon.Before(x.deadline) {
			_ = x.conn.SetReadDeadline(soon)
		}
	}
	return err
}

// requests are buffers for the headers of a request, and a body up to inlineBytes. None
// above requestMax is kept.
var requests = sync.Pool{New: func() any { return new(make([]byte, 0, 2<<10)) }}

const requestMax = 16 << 10

func putRequest(buf *[]byte) {
	if cap(*buf) <= requestMax {
		requests.Put(buf)
	}
}

// fill renders the request into buf and returns what of the body is to be sent after it.
func (x *exchange) fill(buf *[]byte) (rest []byte) {
	*buf = appendHead((*buf)[:0], x.a, &x.t)
	if len(x.a.Body) > inlineBytes {
		return x.a.Body
	}
	*buf = append(*buf, x.a.Body...)
	return nil
}

// pickError prefers what reading showed, unless reading only gave up because
// writing had failed before.
func (x *exchange) pickError(readErr, sendErr error) error {
	if readErr != nil && sendErr != nil && isTimeout(readErr) && time.Now().Before(x.deadline) {
		return sendErr
	}
	return readErr
}

// explain turns what went wrong into the failure that the caller sees.
func (x *exchange) explain(err error) error {
	if err == nil {
		return nil
	}
	if x.c.ctx.Err() != nil {
		return fail(Canceled, ErrClosed, "the server is shutting down")
	}
	if !time.Now().Before(x.deadline) {
		return failTimeout(x.timeout, string(x.phase))
	}
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case x.readErr == errFlood:
		return fail(TooLarge, err, "interim responses are larger than %d bytes", x.budget)
	case x.got > 0 && x.readErr == nil: // the parser's own words, an end among them
		return protocolFailure(err, x.c.opts.MaxHeader)
	case isClosed(x.readErr):
		return x.explainClosed(x.readErr)
	case isClosed(err):
		return x.explainClosed(err)
	}
	return protocolFailure(err, x.c.opts.MaxHeader)
}

func (x *exchange) explainClosed(err error) error {
	switch {
	case x.got == 0:
		return fail(Closed, err, "connection closed before the response")
	case x.inBody:
		return fail(Closed, err, "connection closed in the middle of the response body (status %d)", x.r.Status)
	}
	return fail(Closed, err, "connection closed in the middle of the response headers")
}
