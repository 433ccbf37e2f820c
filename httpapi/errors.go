package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/engine"
)

// failure is an answer of 400 or above: a status and the text of its JSON
// (QSTASH.md §1.3). It never holds a secret or a detail of the server's inside.
type failure struct {
	status int
	text   string
	retry  bool   // with a Retry-After
	allow  string // the methods of a 405
	limit  int    // of a 429: how many there may be; 0 says nothing of it
}

func (f *failure) Error() string { return f.text }

func tooManyPerIP(limit int) *failure {
	return &failure{status: http.StatusTooManyRequests, text: "too many connections from your address", retry: true, limit: limit}
}

func badRequest(format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, text: fmt.Sprintf(format, args...)}
}

func unsupported(what string) *failure {
	return &failure{status: http.StatusNotImplemented, text: what + " is not supported by this version of tidemill yet"}
}

// Failures that need no words of their own.
var (
	errUnauthorized = &failure{status: http.StatusUnauthorized, text: "unable to authenticate: invalid token"}
	errNoRoute      = &failure{status: http.StatusNotFound, text: "not found"}
	errBusy         = &failure{status: http.StatusServiceUnavailable, text: "too many request bodies are in flight, nothing was stored: try again in a moment", retry: true}
	errConnections  = &failure{status: http.StatusServiceUnavailable, text: "too many connections: try again in a moment", retry: true}
	errEmptyURL     = badRequest("a non-empty destination must be provided")
	errScheme       = badRequest("invalid destination url: endpoint has invalid scheme, add http:// or https://")
	errMaxRetries   = &failure{status: http.StatusPreconditionFailed, text: "quota maxRetries exceeded"}
	errDedupColon   = badRequest("DeduplicationId cannot contain ':'")
)

// sentinels is the one table from the engine's errors to statuses. The first
// match holds; text is the engine's own unless it is given here.
var sentinels = []struct {
	is     error
	status int
	text   string
	retry  bool
}{
	{is: engine.ErrNotFound, status: http.StatusNotFound},
	{is: engine.ErrInUse, status: http.StatusConflict},
	{is: engine.ErrOverloaded, status: http.StatusServiceUnavailable, retry: true},
	{is: engine.ErrDiskFull, status: http.StatusInsufficientStorage, retry: true},
	{is: engine.ErrLogFailed, status: http.StatusServiceUnavailable, text: engine.ErrLogFailed.Error()},
	{is: engine.ErrStalled, status: http.StatusServiceUnavailable, retry: true},
	{is: engine.ErrClosed, status: http.StatusServiceUnavailable, text: engine.ErrClosed.Error(), retry: true},
	{is: engine.ErrTooLarge, status: http.StatusRequestEntityTooLarge},
	{is: engine.ErrDamaged, status: http.StatusInternalServerError},
	{is: engine.ErrBodiesGone, status: http.StatusGone},
	{is: engine.ErrLeaseLost, status: http.StatusConflict},
	{is: engine.ErrPushQueue, status: http.StatusConflict},
	{is: engine.ErrLocked, status: http.StatusServiceUnavailable, text: engine.ErrLocked.Error()},
	{is: engine.ErrNotData, status: http.StatusServiceUnavailable, text: engine.ErrNotData.Error()},
	{is: engine.ErrVersion, status: http.StatusServiceUnavailable, text: engine.ErrVersion.Error()},
	{is: engine.ErrIndexDamaged, status: http.StatusServiceUnavailable, text: engine.ErrIndexDamaged.Error()},
	{is: engine.ErrNoBackup, status: http.StatusServiceUnavailable, text: engine.ErrNoBackup.Error()},
}

// failureOf returns the answer to an error of the engine, or nil when the error
// is unknown: the caller logs it and answers 500 without its text.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if limit, ok := errors.AsType[*engine.LimitError](err); ok {
		return limitFailure(limit)
	}
	for i := range sentinels {
		s := &sentinels[i]
		if !errors.Is(err, s.is) {
			continue
		}
		text := s.text
		if text == "" {
			text = err.Error()
		}
		return &failure{status: s.status, text: text, retry: s.retry}
	}
	return nil
}

func limitFailure(e *engine.LimitError) *failure {
	if e.Quota {
		return &failure{status: http.StatusPreconditionFailed, text: e.Text}
	}
	return &failure{status: http.StatusBadRequest, text: e.Text}
}

// burst tells a client in the words that it knows that it came too often, not that a
// quota is used up (QSTASH.md §1.4).
func (x *exchange) burst(h *fasthttp.ResponseHeader) {
	h.Set("Burst-RateLimit-Limit", strconv.Itoa(x.limit))
	h.Set("Burst-RateLimit-Remaining", "0")
	h.Set("Burst-RateLimit-Reset", strconv.FormatInt(x.srv.opt.Now().Add(engine.RetryAfter).Unix(), 10))
}

// internal is the answer to an unknown error: the id finds its line in the log.
func internal(requestID string) *failure {
	return &failure{status: http.StatusInternalServerError, text: "internal error, request " + requestID}
}

// short returns a value for an error text: whole when it is short, else its
// beginning and its length.
func short[T string | []byte](v T) string {
	const most = 64
	if len(v) <= most {
		return fmt.Sprintf("%q", string(v))
	}
	return fmt.Sprintf("%q... (%d bytes)", string(v[:most]), len(v))
}
