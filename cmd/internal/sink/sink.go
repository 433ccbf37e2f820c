// Package sink is `tidemill sink`: a receiver for trying a server and for loading it. It answers with
// what it got, and at will it fails, is slow, hangs, resets connections and verifies signatures.
//
// What becomes of a request is drawn from a seed, the message's id and the number of its attempt
// (plan), so a run can be repeated. Memory is bounded: --connections times --max-body for bodies,
// --window ids, and a thousand lines that wait for the terminal; what does not fit is refused or
// counted, and nothing waits for the terminal.
package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/receive"
)

// options are what the command line says.
type options struct {
	listen string
	plan   plan

	status     status
	retryAfter string
	headers    headers
	body       *string // nil: echo

	verify, refuse bool
	keys           []string

	print  choice
	output choice

	connections int
	maxBody     int64
	window      int
}

func (o *options) asJSON() bool { return o.output.word == "json" }

// sink is one that runs. Handlers share it.
type sink struct {
	*options
	counters
	window *window
	out    *receive.Printer
	ctx    context.Context // until the sink stops
}

// Times of a connection. The first bounds a peer that does not go on sending, the second one that
// sends nothing more.
const (
	readTimeout  = time.Minute
	idleTimeout  = 2 * time.Minute
	drainTimeout = time.Second
)

// run serves ln until ctx ends, and prints to w: where it is, what arrives, a summary. It takes ln
// over.
func run(ctx context.Context, ln net.Listener, o *options, w io.Writer) error {
	s := &sink{options: o, window: newWindow(o.window), ctx: ctx}
	s.began = time.Now()
	fmt.Fprint(w, s.greeting(ln.Addr()))
	s.out = receive.NewPrinter(w, s.lost)
	err := s.serve(ln)
	s.out.Close()
	sum := s.snapshot(s.verify)
	if s.asJSON() {
		sum.Type = "summary"
		fmt.Fprint(w, marshalLine(sum))
	} else {
		fmt.Fprint(w, sum.text())
	}
	return err
}

func (s *sink) greeting(addr net.Addr) string {
	url := "http://" + addr.String()
	if s.asJSON() {
		return marshalLine(map[string]string{"type": "listening", "url": url})
	}
	return "Sink is running at " + url + "\n"
}

func (s *sink) lost(n int64) string {
	s.notPrinted.Add(n)
	if s.asJSON() {
		return marshalLine(map[string]any{"type": "not_printed", "requests": n})
	}
	return fmt.Sprintf("(%d requests are not shown: the terminal is too slow)\n", n)
}

func (s *sink) serve(ln net.Listener) error {
	srv := &fasthttp.Server{
		Handler:               s.handle,
		ErrorHandler:          s.broke,
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		MaxRequestBodySize:    int(s.maxBody),
		Concurrency:           s.connections,
		ReadTimeout:           readTimeout,
		IdleTimeout:           idleTimeout,
		CloseOnShutdown:       true,
		SecureErrorLogMessage: true,
		Logger:                silent{},
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-s.ctx.Done():
	}
	// Handlers that wait have heard it, too; what is left then is a peer that keeps sending.
	wait, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), drainTimeout)
	defer cancel()
	if err := srv.ShutdownWithContext(wait); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// Shutdown closes what Serve has taken over; it may have come before.
	if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return <-done
}

// broke answers what is no request, or too large a one.
func (s *sink) broke(ctx *fasthttp.RequestCtx, err error) {
	s.broken.Add(1)
	ctx.SetStatusCode(fasthttp.StatusBadRequest)
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		ctx.SetStatusCode(fasthttp.StatusRequestEntityTooLarge)
	}
	ctx.SetConnectionClose()
}

// silent takes fasthttp's log: a peer that hangs up is no news here.
type silent struct{}

func (silent) Printf(string, ...any) {}
