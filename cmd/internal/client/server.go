package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

const (
	// connectTimeout is for a connection, and again for its TLS.
	connectTimeout = 10 * time.Second

	// answerTimeout is for an answer to begin: a bulk cancel may take a minute.
	answerTimeout = 90 * time.Second

	// idleTimeout is for an answer to go on. An event stream says every 15 s that it lives.
	idleTimeout = 60 * time.Second

	// answerMax bounds an answer that is held whole, bytes. Lists are not.
	answerMax = 64 << 20
)

// Server makes requests of one server with one token. It may be used concurrently.
type Server struct {
	base  string
	token string
	http  *http.Client
	idle  time.Duration // idleTimeout
}

func newServer(base, token string) *Server {
	return &Server{base: base, token: token, idle: idleTimeout, http: &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout:   connectTimeout,
			ResponseHeaderTimeout: answerTimeout,
			ForceAttemptHTTP2:     true,
		},
		// The server redirects nobody; what does must not get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close gives back idle connections.
func (s *Server) Close() { s.http.CloseIdleConnections() }

// URL is the address that requests go to, without a slash at its end.
func (s *Server) URL() string { return s.base }

// Request is a call of the API.
type Request struct {
	Method string // "" is GET
	Path   string // from /v2 on, escaped: see Escape
	Query  url.Values
	Header http.Header
	Body   []byte
	Of     string // what it is about, such as "queue orders": errors begin with it
}

// Escape makes s one segment of a path, and of a destination what the server takes for it byte for
// byte, its query included (QSTASH.md §3.1).
func Escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Do makes a request and returns its answer, whose status is below 300; the caller closes the body.
// Errors have an exit status: see StatusError, and exit.Unavailable where no server answered.
func (s *Server) Do(ctx context.Context, r *Request) (*http.Response, error) {
	resp, err := s.send(ctx, r)
	if err != nil && r.Of != "" {
		err = fmt.Errorf("%s: %w", r.Of, err)
	}
	return resp, err
}

func (s *Server) send(parent context.Context, r *Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(parent)
	req, err := s.request(ctx, r)
	if err != nil {
		cancel(nil)
		return nil, exit.With(exit.Usage, err)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		cancel(nil)
		return nil, s.unreachable(parent, r.Method, err)
	}
	resp.Body = &idleBody{body: resp.Body, idle: s.idle, ctx: ctx, cancel: cancel}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, exit.With(ExitStatus(resp.StatusCode), s.refusal(resp))
	}
	return resp, nil
}

func (s *Server) request(ctx context.Context, r *Request) (*http.Request, error) {
	target := s.base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if err := checkHeader(r.Header); err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("User-Agent", "tidemill")
	return req, nil
}

// checkHeader finds what cannot be sent, which net/http tells no better than a connection that fails.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if strings.ContainsFunc(name, func(r rune) bool { return !tokenRune(r) }) {
			return fmt.Errorf("%q is no name of a header", strings.TrimPrefix(name, "Upstash-Forward-"))
		}
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fmt.Errorf("the value of the header %s has a control character in it", name)
			}
		}
	}
	return nil
}

// tokenRune is true for what a header's name is made of (RFC 9110 §5.6.2).
func tokenRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

var errInterrupted = errors.New("interrupted")

// unreachable says of a request that got no answer where it went, and what to look at. One that
// changes something may have done so, unless no connection came about.
func (s *Server) unreachable(ctx context.Context, method string, err error) error {
	dial, ok := errors.AsType[*net.OpError](err)
	done := ""
	if method != "" && method != http.MethodGet && !(ok && dial.Op == "dial") {
		done = "; whether it was done is unknown"
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w%s", errInterrupted, done)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // its text repeats the method and the whole address
	}
	return exit.With(exit.Unavailable, fmt.Errorf(
		"no answer from %s: %w%s; is the server running, and is that its address (QSTASH_URL, --url)?", s.base, err, done))
}

// JSON makes a request and returns its whole answer, up to 64 MiB.
func (s *Server) JSON(ctx context.Context, r *Request) (json.RawMessage, error) {
	resp, err := s.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, answerMax+1))
	switch {
	case err != nil:
		return nil, s.broken(err)
	case len(b) > answerMax:
		return nil, fmt.Errorf("the answer of %s is longer than %d MiB", s.base, answerMax>>20)
	case !json.Valid(b):
		return nil, s.broken(errors.New("it is no JSON: is this a tidemill server?"))
	}
	return b, nil
}

// broken is an error of an answer that had begun. What was asked for may have been done.
func (s *Server) broken(err error) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return exit.With(exit.Unavailable, fmt.Errorf("the answer of %s: %w", s.base, err))
}

// idleBody ends an answer that does not go on. Time that its reader takes for itself, a terminal
// that is stopped or a pager, does not count.
type idleBody struct {
	body   io.ReadCloser
	idle   time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (b *idleBody) Read(p []byte) (int, error) {
	timer := time.AfterFunc(b.idle, func() { b.cancel(fmt.Errorf("nothing came for %v", b.idle)) })
	n, err := b.body.Read(p)
	timer.Stop()
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *idleBody) Close() error {
	defer b.cancel(nil)
	return b.body.Close()
}
