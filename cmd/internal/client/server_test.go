package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// serve is a server that answers with h, and what asks it.
func serve(t *testing.T, h http.HandlerFunc) *Server {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	s := newServer(web.URL, "secret-token")
	t.Cleanup(s.Close)
	return s
}

// TestStatus: what the server refuses with becomes one line and one exit status.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		after  string
		want   exit.Status
		text   string
	}{
		{400, `{"error":"invalid Upstash-Delay"}`, "", exit.Usage, "queue q: server says: invalid Upstash-Delay"},
		{401, `{"error":"invalid token"}`, "", exit.Denied, "queue q: server says: invalid token (check QSTASH_TOKEN or --token-file)"},
		{403, `{"error":"this token may only publish"}`, "", exit.Denied, "queue q: server says: this token may only publish"},
		{404, `{"error":"not found"}`, "", exit.NoInput, "queue q: server says: not found"},
		{409, `{"error":"in use"}`, "", exit.Data, "queue q: server says: in use"},
		{412, `{"error":"quota maxRetries exceeded"}`, "", exit.Data, "queue q: server says: quota maxRetries exceeded"},
		{413, `{"error":"too large"}`, "", exit.Data, "queue q: server says: too large"},
		{429, `{"error":"too many"}`, "1", exit.TempFail, "queue q: server says: too many (try again in 1 s)"},
		{500, `{"error":"internal error, request 7"}`, "", exit.Software, "queue q: server says: internal error, request 7"},
		{503, `{"error":"overloaded"}`, "2", exit.TempFail, "queue q: server says: overloaded (try again in 2 s)"},
		{503, `{"error":"overloaded\u001b[2J\nnow"}`, "", exit.TempFail, "queue q: server says: overloaded�[2J now"},
		{507, `{"error":"disk full"}`, "1", exit.TempFail, "queue q: server says: disk full (try again in 1 s)"},
		{502, `<html>`, "", exit.Unavailable, "queue q: URL answers 502 Bad Gateway, and not as a tidemill server does: is that its address (QSTASH_URL, --url)?"},
		{404, `nothing here`, "", exit.NoInput, "queue q: URL answers 404 Not Found, and not as a tidemill server does: is that its address (QSTASH_URL, --url)?"},
		{302, ``, "", exit.Unavailable, "queue q: URL answers 302 Found, and not as a tidemill server does: is that its address (QSTASH_URL, --url)?"},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := s.JSON(t.Context(), &Request{Path: "/v2/queues/q", Of: "queue q"})
		text := strings.ReplaceAll(fmt.Sprint(err), s.URL(), "URL")
		if text != c.text || exit.Of(err) != c.want {
			t.Errorf("%d %s: %q with status %d, want %q with %d", c.status, c.body, text, exit.Of(err), c.text, c.want)
		}
		if e, ok := errors.AsType[*StatusError](err); !ok || e.Status != c.status {
			t.Errorf("%d: the HTTP status is not in %#v", c.status, err)
		}
	}
}

// TestRequest: what is sent is what was asked for, byte for byte where it matters.
func TestRequest(t *testing.T) {
	var got string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Header.Get("Authorization"), " ", r.Header["X"], " ", string(body))
		_, _ = io.WriteString(w, "{}")
	})
	const want = "POST /v2/publish/http%3A%2F%2Fh%2Fa%2F%2Fb%3Fx%3D1%252F%2B%20%26upstash-delay%3D5 Bearer secret-token [1 2] body"
	_, err := s.JSON(t.Context(), &Request{
		Method: "POST", Path: "/v2/publish/" + Escape("http://h/a//b?x=1%2F+ &upstash-delay=5"),
		Header: http.Header{"X": {"1", "2"}}, Body: []byte("body"),
	})
	if err != nil || got != want {
		t.Errorf("sent %s (%v)\nwant %s", got, err, want)
	}
	for name, h := range map[string]http.Header{"name": {"X Y": {"1"}}, "value": {"X": {"1\r\nY: 2"}}} {
		got = ""
		if _, err := s.JSON(t.Context(), &Request{Header: h}); exit.Of(err) != exit.Usage || got != "" {
			t.Errorf("a header with a bad %s: %v, sent %q", name, err, got)
		}
	}
}

// TestNoAnswer: nobody there, an answer that breaks off, one that is none, and an interrupt.
func TestNoAnswer(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	_, err := newServer(gone.URL, "t").JSON(t.Context(), &Request{Path: "/v2/keys"})
	if exit.Of(err) != exit.Unavailable || !strings.HasPrefix(err.Error(), "no answer from "+gone.URL+": dial tcp ") {
		t.Errorf("nobody there: %v, status %d", err, exit.Of(err))
	}
	cut := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for method, unknown := range map[string]bool{"": false, "GET": false, "POST": true, "DELETE": true} {
		_, err := cut.JSON(t.Context(), &Request{Method: method})
		if exit.Of(err) != exit.Unavailable || strings.Contains(err.Error(), "; whether it was done is unknown; ") != unknown {
			t.Errorf("a connection that is cut behind %q: %v", method, err)
		}
	}
	broken := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "{")
	})
	if _, err := broken.JSON(t.Context(), &Request{}); exit.Of(err) != exit.Unavailable || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an answer that breaks off: %v, status %d", err, exit.Of(err))
	}
	html := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if _, err := html.JSON(t.Context(), &Request{}); exit.Of(err) != exit.Unavailable {
		t.Errorf("an answer that is no JSON: %v, status %d", err, exit.Of(err))
	}
	silent := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	silent.idle = 10 * time.Millisecond
	if _, err := silent.JSON(t.Context(), &Request{}); exit.Of(err) != exit.Unavailable || !strings.HasSuffix(err.Error(), "nothing came for 10ms") {
		t.Errorf("an answer that does not go on: %v, status %d", err, exit.Of(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	hangs := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	})
	if _, err := hangs.JSON(ctx, &Request{}); !errors.Is(err, errInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := hangs.JSON(ctx, &Request{}); !errors.Is(err, errInterrupted) {
		t.Errorf("interrupted before: %v", err)
	}
}
