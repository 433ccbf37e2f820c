package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// guarded refuses what a browser sends: data leave here without a token, and the
// page of a stranger must not be able to ask for them, also not under a name that
// it makes point to this machine. Browsers name the origin of every POST.
func (a *admin) guarded(serve func(http.ResponseWriter, *http.Request, *engine.Engine)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			adminError(w, http.StatusForbidden, "not for browsers: use the tidemill command")
			return
		}
		e := a.engine.Load()
		if e == nil {
			adminError(w, http.StatusServiceUnavailable, starting)
			return
		}
		serve(w, r, e)
	}
}

func (a *admin) backup(w http.ResponseWriter, r *http.Request, e *engine.Engine) {
	stream(w, r, "application/x-tar", e.Backup)
}

func (a *admin) export(w http.ResponseWriter, r *http.Request, e *engine.Engine) {
	o := engine.ExportOptions{Secrets: r.URL.Query().Get("secrets") == "true"}
	stream(w, r, "application/x-ndjson", func(ctx context.Context, w io.Writer) error {
		out := bufio.NewWriterSize(w, 64<<10)
		return errors.Join(e.Export(ctx, out, o), out.Flush())
	})
}

// stream answers with what write writes. An error before the first byte is an
// answer of its own; a later one breaks the connection off, so that nobody takes
// what came for all there is.
func stream(w http.ResponseWriter, r *http.Request, contentType string, write func(context.Context, io.Writer) error) {
	out := &began{w: w, contentType: contentType}
	err := write(r.Context(), out)
	switch {
	case err == nil:
		out.begin() // the answer may be empty
	case out.begun:
		panic(http.ErrAbortHandler)
	case errors.Is(err, engine.ErrBackupRunning):
		adminError(w, http.StatusConflict, err.Error())
	default:
		adminError(w, http.StatusServiceUnavailable, err.Error())
	}
}

// began notes that the answer has begun.
type began struct {
	w           http.ResponseWriter
	contentType string
	begun       bool
}

func (b *began) begin() {
	if !b.begun {
		b.begun = true
		b.w.Header().Set("Content-Type", b.contentType)
		b.w.WriteHeader(http.StatusOK)
	}
}

func (b *began) Write(p []byte) (int, error) {
	b.begin()
	err := http.NewResponseController(b.w).SetWriteDeadline(time.Now().Add(streamStall))
	if err != nil {
		return 0, err
	}
	return b.w.Write(p)
}

// streamStall is how long a client may leave an answer unread. It holds up more
// than itself: reclaiming, and the end of the server.
const streamStall = 30 * time.Second
