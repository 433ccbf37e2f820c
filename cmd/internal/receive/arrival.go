// Package receive is what a receiver of deliveries is made of: a delivery read off a request, the
// check of its signature, its line on a terminal, and a printer that never holds a request up.
// `tidemill dev` and `tidemill sink` receive with it.
package receive

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Arrival is one delivery. Body belongs to the request that it came by.
type Arrival struct {
	At        time.Time
	Method    string
	Target    string // path and query, as they were sent
	Host      string
	Body      []byte
	ID        string // Upstash-Message-Id; "" if somebody else sent it
	Retried   string // Upstash-Retried
	Signature string // Upstash-Signature
}

// Of reads the delivery that ctx is.
func Of(ctx *fasthttp.RequestCtx) Arrival {
	h := &ctx.Request.Header
	return Arrival{
		At:        time.Now(),
		Method:    string(ctx.Method()),
		Target:    string(h.RequestURI()),
		Host:      string(ctx.Host()),
		Body:      ctx.Request.Body(),
		ID:        string(h.Peek("Upstash-Message-Id")),
		Retried:   string(h.Peek("Upstash-Retried")),
		Signature: string(h.Peek("Upstash-Signature")),
	}
}

// ErrNotSigned: the delivery carries no signature.
var ErrNotSigned = errors.New("it is not signed")

// Verify checks the signature as QSTASH.md §6 asks, with each of the keys. The delivery must have
// come by plain HTTP to the address that it was published to.
func (a *Arrival) Verify(keys []string) error {
	if a.Signature == "" {
		return ErrNotSigned
	}
	err := ErrUnknownKey
	for _, key := range keys {
		if err = Verify(a.Signature, key, "http://"+a.Host+a.Target, a.Body, a.At); err != ErrUnknownKey {
			return err
		}
	}
	return err
}

// Verdict says what Verify found.
func Verdict(err error) string {
	switch err {
	case nil:
		return "signature verified"
	case ErrNotSigned:
		return "not signed"
	}
	return "SIGNATURE NOT VERIFIED: " + err.Error()
}

// What is printed comes from outside, so each part is bounded and escaped: no control character
// reaches the terminal. In bytes.
const (
	shownTarget = 200
	shownBody   = 400
)

// Line is the delivery on one line, with what the receiver has to say of it.
func (a *Arrival) Line(notes ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s %s", a.At.Format("15:04:05.000"), Escape([]byte(a.Method), 20), Escape([]byte(a.Target), shownTarget))
	if a.ID != "" {
		fmt.Fprintf(&b, "  %s", Escape([]byte(a.ID), 100))
	}
	if a.Retried != "" {
		fmt.Fprintf(&b, "  retried %s", Escape([]byte(a.Retried), 20))
	}
	for _, note := range notes {
		fmt.Fprintf(&b, "  %s", note)
	}
	fmt.Fprintf(&b, "  %d B\n", len(a.Body))
	return b.String()
}

// BodyLine is the body's beginning on one line, "" if there is no body.
func (a *Arrival) BodyLine() string {
	if len(a.Body) == 0 {
		return ""
	}
	return "    " + Escape(a.Body, shownBody) + "\n"
}

// Escape shows at most n bytes of s on one line.
func Escape(s []byte, n int) string {
	rest := len(s) - n
	if rest > 0 {
		s = s[:n]
	}
	q := fmt.Sprintf("%q", bytes.ToValidUTF8(s, []byte("\uFFFD")))
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	if rest > 0 {
		q += fmt.Sprintf(" … and %d bytes more", rest)
	}
	return q
}
