package sink

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/receive"
)

// event is a request and what became of it.
type event struct {
	receive.Arrival
	lot
	status  int    // 0: no answer
	verdict string // of the signature; "" if it was not looked at
	again   bool   // a duplicate
}

const (
	printNone    = "none"
	printLine    = "line"
	printBody    = "body"
	printHeaders = "headers"

	shownHeader   = 200      // bytes of a header's value in text
	shownJSONBody = 64 << 10 // bytes of a body in JSON: a thousand lines may wait for the terminal
)

// text is the request for people: a line, and more below it if that is wanted.
func (e *event) text(detail string, h *fasthttp.RequestHeader) string {
	notes := []string{e.note()}
	if e.verdict != "" {
		notes = append(notes, e.verdict)
	}
	if e.again {
		notes = append(notes, "DUPLICATE")
	}
	line := e.Line(notes...)
	if detail == printHeaders {
		var b strings.Builder
		for name, value := range h.All() {
			fmt.Fprintf(&b, "    %s: %s\n", receive.Escape(name, 100), receive.Escape([]byte(shown(string(name), string(value))), shownHeader))
		}
		line += b.String()
	}
	if detail != printLine {
		line += e.BodyLine()
	}
	return line
}

func (e *event) note() string {
	note := e.outcome.String()
	if e.status != 0 {
		note = fmt.Sprintf("%s %d", note, e.status)
	}
	if e.wait > 0 {
		note += " after " + e.wait.String()
	}
	return note
}

// shown is a header's value as it is printed: a sink's output is kept and passed around, and secrets
// must not be in it (P45).
func shown(name, value string) string {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie", "upstash-signature", "qstash-signature":
		return fmt.Sprintf("(not shown, %d bytes)", len(value))
	}
	return value
}

// eventJSON is one line of -o json.
type eventJSON struct {
	Type      string              `json:"type"` // "request"
	At        time.Time           `json:"at"`
	Method    string              `json:"method"`
	Target    string              `json:"target"`
	Host      string              `json:"host"`
	ID        string              `json:"message_id,omitempty"`
	Retried   string              `json:"retried,omitempty"`
	Outcome   string              `json:"outcome"`
	Status    int                 `json:"status,omitempty"`
	WaitMS    int64               `json:"wait_ms,omitempty"`
	Signature string              `json:"signature,omitempty"`
	Duplicate bool                `json:"duplicate,omitempty"`
	Bytes     int                 `json:"bytes"`
	Headers   map[string][]string `json:"headers,omitempty"`
	Body      string              `json:"body,omitempty"`
	BodyBytes []byte              `json:"body_base64,omitempty"` // what is no UTF-8
	Cut       bool                `json:"body_cut,omitempty"`
}

func (e *event) json(detail string, h *fasthttp.RequestHeader) string {
	l := eventJSON{
		Type: "request", At: e.At, Method: e.Method, Target: e.Target, Host: e.Host,
		ID: e.ID, Retried: e.Retried,
		Outcome: e.outcome.String(), Status: e.status, WaitMS: e.wait.Milliseconds(),
		Signature: e.verdict, Duplicate: e.again, Bytes: len(e.Body),
	}
	if detail == printHeaders {
		l.Headers = make(map[string][]string)
		for name, value := range h.All() {
			l.Headers[string(name)] = append(l.Headers[string(name)], shown(string(name), string(value)))
		}
	}
	if detail != printLine {
		body := e.Body
		if l.Cut = len(body) > shownJSONBody; l.Cut {
			body = body[:shownJSONBody]
		}
		if utf8.Valid(body) {
			l.Body = string(body)
		} else {
			l.BodyBytes = body
		}
	}
	return marshalLine(l)
}

// marshalLine is v as a line of JSON. The types here always have one.
func marshalLine(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sink: BUG: " + err.Error())
	}
	return string(b) + "\n"
}
