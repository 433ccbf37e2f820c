package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Role is what a child process is to the harness.
type Role string

// The roles. All but the last are played by RunRole in a process of their own.
const (
	RoleEcho   Role = "echo"   // answers a publish at once: what HTTP alone costs
	RoleRelay  Role = "relay"  // accepts, acks, forwards, forgets: what two exchanges cost
	RoleSink   Role = "sink"   // answers 200 to anything
	RoleProbe  Role = "probe"  // publishes at a rate and says how long that took
	RoleServer Role = "server" // the server to be measured
)

// shutdownTimeout bounds the wait for connections when a role ends.
const shutdownTimeout = time.Second

// RunRole listens on a port of 127.0.0.1, writes the line
// "<role> is running at http://..." to out and serves until ctx ends or in reaches
// its end: a child holds its parent's pipe as in, and so does not outlive it.
func RunRole(ctx context.Context, role Role, in io.Reader, out io.Writer) error {
	play, ok := map[Role]func(context.Context, net.Listener) error{
		RoleEcho: ServeEcho, RoleRelay: ServeRelay, RoleSink: ServeSink, RoleProbe: ServeProbe,
	}[role]
	if spec, is := strings.CutPrefix(string(role), bridgePrefix); is {
		play, ok = func(ctx context.Context, ln net.Listener) error { return serveBridge(ctx, ln, spec) }, true
	}
	if !ok {
		return fmt.Errorf("unknown role %q: want echo, relay, sink, probe or a bridge", role)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with in; the process ends soon after this function
		io.Copy(io.Discard, in)
		cancel()
	}()
	if _, err := fmt.Fprintf(out, "%s is running at http://%s\n", role, ln.Addr()); err != nil {
		return errors.Join(err, ln.Close())
	}
	return play(ctx, ln)
}

// ServeEcho answers every request with 200 and a JSON object of the size of a
// publish's answer, or with as many bytes as a path of the form /bytes/<n> asks for, until
// ctx ends. It takes ln over.
func ServeEcho(ctx context.Context, ln net.Listener) error {
	blank := make([]byte, pullAnswerMax)
	return serve(ctx, ln, func(req *fasthttp.RequestCtx) { answerEcho(req, blank) })
}

// echoPrefix begins a path that asks for an answer of so many bytes.
const echoPrefix = "/bytes/"

func answerEcho(ctx *fasthttp.RequestCtx, blank []byte) {
	size, ok := bytes.CutPrefix(ctx.Request.Header.RequestURI(), []byte(echoPrefix))
	if !ok {
		answerAccepted(ctx)
		return
	}
	n, err := strconv.Atoi(string(size))
	if err != nil || n < 0 || n > len(blank) {
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
		return
	}
	ctx.SetContentTypeBytes(jsonType)
	ctx.Response.SetBodyRaw(blank[:n])
}

// ServeSink answers every request with an empty 200, until ctx ends. It takes ln
// over.
func ServeSink(ctx context.Context, ln net.Listener) error {
	return serve(ctx, ln, func(*fasthttp.RequestCtx) {})
}

var (
	jsonType = []byte("application/json")
	accepted = []byte(`{"messageId":"msg_26hZCxZCuWyyTWPmSVBrNB882RvBTXcKqyvHJVjjKPkPhzWXeMNrnM7cB3jSd"}`)
)

func answerAccepted(ctx *fasthttp.RequestCtx) {
	ctx.SetContentTypeBytes(jsonType)
	ctx.SetBody(accepted)
}

// serve runs a bare fasthttp server on ln until ctx ends.
func serve(ctx context.Context, ln net.Listener, handler fasthttp.RequestHandler) error {
	s := &fasthttp.Server{
		Handler:               handler,
		NoDefaultServerHeader: true,
		MaxRequestBodySize:    64<<20 + 1,
		SecureErrorLogMessage: true,
		CloseOnShutdown:       true,
		Logger:                silent{}, // a peer that hangs up is no news here
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	// Ends before its time only if a client keeps a request open.
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.ShutdownWithContext(wait); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// Shutdown closes what Serve has taken over; it may have come before.
	if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return <-done
}

type silent struct{}

func (silent) Printf(string, ...any) {}
