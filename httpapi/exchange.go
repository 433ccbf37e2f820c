package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/engine"
)

// exchange is one request and its answer. It is pooled; its buffers keep their
// memory, and nothing of it may be kept beyond release.
type exchange struct {
	srv    *Server
	c      *conn
	ctx    fasthttp.RequestCtx // for context
	useCtx bool                // context was called
	raw    []byte              // the request's head; its reader's memory is the body's by and by
	head   head
	route  *route
	lost   *failure // why there is no route
	family Family
	timing timing
	arg    []byte // what the path has after the route's literal part
	query  []byte // raw, without the question mark
	user   engine.UserID
	who    *engine.Principal // who asks; nil on a public route
	body   body
	pub    publisher

	status int
	retry  bool   // with a Retry-After
	allow  string // for a 405
	limit  int    // for a 429
	out    []byte // JSON of the answer
	wire   []byte // a whole answer, for writePlain
	stream stream // how it is sent if it is large
	listed int    // bytes of Server.listed that it holds
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// outPooledMax is the largest answer buffer that is kept.
const outPooledMax = 64 << 10

func (s *Server) acquire(c *conn) *exchange {
	x := exchanges.Get().(*exchange)
	x.srv, x.c = s, c
	return x
}

func (s *Server) release(x *exchange) {
	x.body.done()
	x.pub.reset()
	s.listed.give(x.listed)
	x.listed = 0
	if x.useCtx {
		x.ctx.Request.Reset()
		x.ctx.Response.Reset()
	}
	if cap(x.out) > outPooledMax {
		x.out = nil
	}
	if cap(x.raw) > outPooledMax {
		x.raw, x.head.fields = nil, nil
	}
	x.srv, x.c, x.route, x.lost, x.arg, x.query, x.who = nil, nil, nil, nil, nil, nil, nil
	x.family, x.timing = FamilyOther, timing{}
	x.user, x.status, x.retry, x.allow, x.limit, x.out, x.useCtx = 0, 0, false, "", 0, x.out[:0], false
	x.head = head{fields: x.head.fields[:0]}
	exchanges.Put(x)
}

// context returns what fasthttp knows of the exchange: the head of an answer that is more
// than the usual one, and for Fallback the request.
func (x *exchange) context() *fasthttp.RequestCtx {
	x.useCtx = true
	return &x.ctx
}

// begin reads a request's head. An error is for end to judge.
func (x *exchange) begin() error {
	x.c.known = false
	x.timing.begin(x.c)
	return x.read()
}

// end answers the request; err is of begin. It says whether another may follow on this
// connection.
func (x *exchange) end(err error) (keep bool) {
	whole := false
	if err == nil {
		whole = x.serve()
	} else {
		fail, ok := errors.AsType[*failure](err)
		if !ok { // the client went away
			return false
		}
		x.fail(fail)
	}
	keep = whole && x.head.keepAlive && !x.srv.draining.Load()
	x.c.unread = !whole
	x.answered()
	err = x.write(keep)
	if x.timing.handled {
		x.timing.end(&x.srv.counters.answer)
	}
	return err == nil && keep
}

// read reads and checks the head.
func (x *exchange) read() error {
	n, err := x.c.fill()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTimeout
	}
	if err != nil {
		return err
	}
	if !x.c.state.CompareAndSwap(connHead, connActive) {
		return net.ErrClosed
	}
	b, _ := x.c.br.Peek(n)
	x.raw = append(x.raw[:0], b...)
	if fail := x.head.parse(x.raw); fail != nil {
		return fail
	}
	if x.head.trailers && !x.legacy() {
		return errHead
	}
	if _, err = x.c.br.Discard(n); err == nil {
		x.aim()
	}
	return err
}

// aim finds the route.
func (x *exchange) aim() {
	path, query := cutQuery(x.head.target)
	x.query = query
	x.route, x.arg, x.lost = find(x.head.method, path)
	x.family = FamilyPublish
	if x.route != routePublish {
		x.family = familyOf(path)
	}
}

// serve answers a request with a good head. It says whether the body was read,
// so that what follows it is the next request.
func (x *exchange) serve() (whole bool) {
	r, fail := x.route, x.lost
	if r == nil || !r.public {
		if path, _ := cutQuery(x.head.target); r == nil && outside(path) {
			return x.fallback()
		}
		if x.c.known = x.authenticate(); !x.c.known {
			fail = errUnauthorized
			x.srv.counters.unauthenticated.Add(1)
		} else if fail == nil {
			fail = x.mayCall()
		}
	}
	if fail == nil && !r.public {
		fail = x.readBody(&x.srv.inflight, x.bodyLimit())
		whole = fail == nil
	} else {
		whole = x.head.length == 0
	}
	if fail != nil {
		x.fail(fail)
		return whole
	}
	return x.call() && whole
}

// call runs the route's handler. A panic is a bug: it is answered, logged, and
// costs the connection but not the process (P50).
func (x *exchange) call() (ok bool) {
	x.route.enter()
	defer x.route.leave()
	defer func() {
		if p := recover(); p != nil {
			x.srv.counters.panics.Add(1)
			x.unexpected(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			ok = false
		}
	}()
	if x.timing.on && x.route.access == accessPublish {
		x.timing.end(&x.srv.counters.receive)
		x.timing.handled = true
	}
	if err := x.route.serve(x); err != nil {
		x.error(err)
	}
	if x.timing.handled {
		x.timing.end(&x.srv.counters.handle)
	}
	return true
}

func (x *exchange) bodyLimit() int64 {
	if x.route.batch {
		return x.srv.live.Load().BatchMax
	}
	message := int64(x.srv.opt.Engine.Limits().MessageMax)
	return max(message+x.route.room, min(x.route.least, x.srv.live.Load().BatchMax))
}

func (x *exchange) readBody(b *budget, limit int64) *failure {
	if x.head.length == 0 {
		return nil
	}
	x.body.budget, x.body.limit = b, limit
	at := int64(x.c.br.Buffered())
	if x.head.length <= limit && at < max(x.head.length, 1) {
		if err := x.proceed(); err != nil {
			return errTruncated
		}
	}
	if x.head.length <= limit && (x.head.length < 0 || at < x.head.length) { // a chunked one may not be whole
		x.c.readWithin(time.Now(), bodyDeadline(x.srv.opt.ReadTimeout, x.head.length))
	}
	switch err := x.body.read(x.c.br, x.head.length); {
	case err == nil:
		return nil
	case errors.Is(err, errTooLong):
		return x.tooLong(limit)
	default:
		fail, ok := errors.AsType[*failure](err)
		if !ok {
			fail = errTruncated
		}
		return fail
	}
}

func (x *exchange) tooLong(limit int64) *failure {
	if x.route != nil && (x.route.batch || x.route.room > 0) {
		return tooLong("the body", limit)
	}
	return tooLong("the message", limit)
}

// proceed sends 100 Continue to a client that waits for it: the token is
// checked by now, and the declared length.
func (x *exchange) proceed() error {
	if !x.head.expect {
		return nil
	}
	_, err := x.c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// fail makes f the answer.
func (x *exchange) fail(f *failure) {
	x.status, x.retry, x.allow, x.limit = f.status, f.retry, f.allow, f.limit
	x.out = appendError(x.out[:0], f.text)
}

// error makes err the answer: a failure as it is, the engine's errors by the
// table, anything else as a 500 whose detail only the log has.
func (x *exchange) error(err error) {
	if f := failureOf(err); f != nil {
		x.fail(f)
		return
	}
	x.unexpected(err)
}

func (x *exchange) unexpected(err error) { x.fail(x.logUnexpected(err)) }

// logUnexpected logs an error that the table does not know, and returns the
// answer that leads to the line.
func (x *exchange) logUnexpected(err error) *failure {
	id := x.srv.requestID()
	name := "fallback"
	if x.route != nil {
		name = x.route.name
	}
	x.srv.opt.Logger.Error("request failed", "request", id, "route", name, "error", err)
	return internal(id)
}

// ok makes what is in out the answer.
func (x *exchange) ok(status int) error {
	x.status = status
	return nil
}

// write sends the answer.
func (x *exchange) write(keep bool) error {
	if x.stream.begun() {
		return x.endStream()
	}
	if x.isPlain(keep) {
		return x.writePlain()
	}
	r := &x.context().Response
	if x.status != 0 { // else Fallback has filled it in
		r.ResetBody()
		r.SetStatusCode(x.status)
		if x.status != http.StatusNoContent && x.status != http.StatusNotModified {
			r.Header.SetContentType("application/json")
		}
		r.SetBodyRaw(x.out)
		x.share(&r.Header)
		if x.retry {
			r.Header.Set("Retry-After", retryAfter)
		}
		if x.limit > 0 {
			x.burst(&r.Header)
		}
		if x.allow != "" {
			r.Header.Set("Allow", x.allow)
		}
	}
	switch {
	case !keep:
		r.SetConnectionClose()
	case x.head.http10:
		r.Header.Set("Connection", "keep-alive")
	}
	r.SkipBody = x.head.method == http.MethodHead
	bw := writers.Get().(*bufio.Writer)
	bw.Reset(x.c)
	err := r.Write(bw)
	if err == nil {
		err = bw.Flush()
	}
	bw.Reset(nil)
	writers.Put(bw)
	return err
}

// fallback serves what is outside the API.
func (x *exchange) fallback() (whole bool) {
	if x.srv.opt.Fallback == nil {
		x.fail(errNoRoute)
		return x.head.length == 0
	}
	if fail := x.readBody(&x.srv.strange, int64(x.srv.opt.Engine.Limits().MessageMax)); fail != nil {
		x.fail(fail)
		return false
	}
	if !x.legacy() {
		x.fail(errHead)
		return false
	}
	x.ctx.Request.SetBodyRaw(x.body.b)
	return x.callFallback()
}

func (x *exchange) callFallback() (ok bool) {
	defer func() {
		x.ctx.ResetUserValues()
		if p := recover(); p != nil {
			x.srv.counters.panics.Add(1)
			x.ctx.Response.Reset()
			x.unexpected(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			ok = false
		}
	}()
	x.ctx.Init2(x.c.nc, nil, false)
	x.srv.opt.Fallback(&x.ctx)
	return !x.ctx.Response.ConnectionClose()
}
