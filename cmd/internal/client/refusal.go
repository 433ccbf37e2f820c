package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// StatusError is an answer that is no success.
type StatusError struct {
	Status int
	text   string
}

func (e *StatusError) Error() string { return e.text }

// ExitStatus is the exit status that an HTTP status becomes.
func ExitStatus(status int) exit.Status {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return exit.Denied
	case http.StatusNotFound:
		return exit.NoInput
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		return exit.TempFail
	case http.StatusBadRequest:
		return exit.Usage
	case http.StatusBadGateway, http.StatusGatewayTimeout: // a proxy's: behind it nobody answers
		return exit.Unavailable
	}
	switch {
	case status >= 500:
		return exit.Software
	case status >= 400:
		return exit.Data
	}
	return exit.Unavailable // a redirect: whoever that is, it is not the server
}

// refusal reads the answer's reason (QSTASH.md §1.3) and adds what can be done about it.
func (s *Server) refusal(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var answer struct{ Error string }
	e := &StatusError{Status: resp.StatusCode}
	if json.Unmarshal(b, &answer) != nil || answer.Error == "" {
		e.text = fmt.Sprintf("%s answers %s, and not as a tidemill server does: is that its address (QSTASH_URL, --url)?", s.base, resp.Status)
		return e
	}
	e.text = "server says: " + strings.TrimSpace(clean(answer.Error)) + advice(resp)
	return e
}

// advice is what the server's words leave open.
func advice(resp *http.Response) string {
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return " (check QSTASH_TOKEN or --token-file)"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		after := resp.Header.Get("Retry-After")
		if n, err := strconv.Atoi(after); err == nil {
			return fmt.Sprintf(" (try again in %d s)", n)
		}
	}
	return ""
}
