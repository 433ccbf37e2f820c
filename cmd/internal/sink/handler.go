package sink

import (
	"context"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/receive"
)

// statsPath tells the counters to whoever asks with GET. A delivery to it is a request like any other.
const statsPath = "/stats"

// handle answers one request, or does not.
func (s *sink) handle(ctx *fasthttp.RequestCtx) {
	e := event{Arrival: receive.Of(ctx)}
	if ctx.IsGet() && string(ctx.Path()) == statsPath && e.ID == "" {
		ctx.SetContentType("application/json")
		ctx.SetBodyString(marshalLine(s.snapshot(s.verify)))
		return
	}
	s.judge(&e)
	s.await(e.wait)
	switch e.outcome {
	case hung:
		s.tell(&e, ctx)
		s.hold(ctx.Conn())
		ctx.SetConnectionClose() // nothing of the answer gets out: the connection is closed
	case reset:
		s.tell(&e, ctx)
		sever(ctx.Conn())
		ctx.SetConnectionClose()
	default:
		s.answer(&e, ctx)
		s.tell(&e, ctx)
	}
}

// judge counts a request and decides what becomes of it. One without a message id is drawn for by the
// order of arrival.
func (s *sink) judge(e *event) {
	n := s.received.Add(1)
	s.bytes.Add(int64(len(e.Body)))
	id, retried := e.ID, tries(e.Retried)
	if id == "" {
		id = strconv.FormatInt(n, 10)
	}
	if retried > 0 {
		s.retries.Add(1)
	}
	e.lot = s.plan.draw(id, retried)
	if !s.verify {
		return
	}
	err := e.Verify(s.keys)
	s.verdict(err)
	e.verdict = receive.Verdict(err)
	if err != nil && s.refuse {
		e.lot = lot{outcome: refused}
	}
}

// answer sets status, headers and body, and counts a duplicate: a message that had its 2xx before.
func (s *sink) answer(e *event, ctx *fasthttp.RequestCtx) {
	e.status = fasthttp.StatusOK
	switch e.outcome {
	case refused:
		e.status = fasthttp.StatusUnauthorized
	case failed:
		e.status = int(s.status)
		if e.status < 300 { // --status 204: that is no failure
			e.outcome = ok
		} else if s.retryAfter != "" {
			ctx.Response.Header.Set("Retry-After", s.retryAfter)
		}
	}
	if e.outcome == ok && e.ID != "" && s.window.add(e.ID) {
		e.again = true
		s.duplicates.Add(1)
	}
	ctx.SetStatusCode(e.status)
	if s.body != nil {
		ctx.Response.SetBodyString(*s.body)
	} else {
		ctx.SetContentTypeBytes(ctx.Request.Header.ContentType())
		ctx.Response.SetBodyRaw(e.Body) // it is written before the request's buffer is used again
	}
	s.headers.apply(&ctx.Response.Header)
}

// tell counts the outcome and prints the request.
func (s *sink) tell(e *event, ctx *fasthttp.RequestCtx) {
	s.byOutcome[e.outcome].Add(1)
	switch {
	case s.print.word == printNone:
	case s.asJSON():
		s.out.Print(e.json(s.print.word, &ctx.Request.Header))
	default:
		s.out.Print(e.text(s.print.word, &ctx.Request.Header))
	}
}

// await waits for d, or until the sink stops.
func (s *sink) await(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// hold keeps a connection until its peer gives it up or the sink stops. It occupies one of
// --connections meanwhile, so what hangs is bounded like everything else.
func (s *sink) hold(conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() { conn.Close() })
	defer stop()
	_ = conn.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, conn)
}

// sever ends a connection with a reset in place of an orderly close.
func sever(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
