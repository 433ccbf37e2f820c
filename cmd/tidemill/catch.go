package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

const catchPrefix = "/dev/catch"

// receiver is the catch-all destination of `tidemill dev`: it answers every
// request under catchPrefix with 200 and prints it.
type receiver struct {
	keys  func() []string // signing keys that may have signed an arrival
	print func(string)
}

// handle is the API's fallback: what is not under catchPrefix is a 404.
func (r *receiver) handle(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("application/json")
	target := string(ctx.Request.Header.RequestURI())
	path, _, _ := strings.Cut(target, "?")
	if path != catchPrefix && !strings.HasPrefix(path, catchPrefix+"/") {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		ctx.SetBodyString(`{"error":"no such route"}`)
		return
	}
	body := ctx.Request.Body()
	a := arrival{
		at:     time.Now(),
		method: string(ctx.Method()),
		target: target,
		host:   string(ctx.Host()),
		body:   body,
		id:     string(ctx.Request.Header.Peek("Upstash-Message-Id")),
		tried:  string(ctx.Request.Header.Peek("Upstash-Retried")),
		signed: string(ctx.Request.Header.Peek("Upstash-Signature")),
	}
	r.print(a.line(r.keys()))
	ctx.SetBodyString(`{"status":"ok"}`)
}

// arrival is one request to the receiver. body belongs to the request.
type arrival struct {
	at                   time.Time
	method, target, host string
	body                 []byte
	id, tried, signed    string
}

// Everything printed comes from outside, so each part is bounded and escaped: no
// control character reaches the terminal.
const (
	shownTarget = 200 // bytes
	shownBody   = 400
)

// line is how the arrival is printed: facts, then the body on a line of its own.
func (a *arrival) line(keys []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s %s", a.at.Format("15:04:05.000"), escape([]byte(a.method), 20), escape([]byte(a.target), shownTarget))
	if a.id != "" {
		fmt.Fprintf(&b, "  %s", escape([]byte(a.id), 100))
	}
	if a.tried != "" {
		fmt.Fprintf(&b, "  retried %s", escape([]byte(a.tried), 20))
	}
	fmt.Fprintf(&b, "  %s  %d B\n", a.signature(keys), len(a.body))
	if len(a.body) > 0 {
		fmt.Fprintf(&b, "    %s\n", escape(a.body, shownBody))
	}
	return b.String()
}

// signature says what a receiver would find that verifies as QSTASH.md §6 asks.
func (a *arrival) signature(keys []string) string {
	if a.signed == "" {
		return "not signed"
	}
	err := errUnknownKey
	for _, key := range keys {
		if err = verifySignature(a.signed, key, "http://"+a.host+a.target, a.body, a.at); err == nil {
			return "signature verified"
		}
		if err != errUnknownKey {
			break
		}
	}
	return "SIGNATURE NOT VERIFIED: " + err.Error()
}

// escape shows at most n bytes of s on one line.
func escape(s []byte, n int) string {
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
