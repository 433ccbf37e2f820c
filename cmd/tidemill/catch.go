package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/receive"
)

const (
	catchPrefix  = "/dev/catch"
	arrivalsPath = "/dev/arrivals" // what arrived, for the dashboard
)

// receiver is the catch-all destination of `tidemill dev`: it answers every
// request under catchPrefix with 200, prints it and keeps the newest.
type receiver struct {
	keys  func() []string // signing keys that may have signed an arrival
	print func(string)
	kept  arrivals
}

// handle is the API's fallback: what is not under catchPrefix is a 404, but for the list of
// what is. Like all of dev's receiver that is open to whoever reaches the port.
func (r *receiver) handle(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("application/json")
	target := string(ctx.Request.Header.RequestURI())
	path, _, _ := strings.Cut(target, "?")
	if path == arrivalsPath && ctx.IsGet() {
		r.list(ctx)
		return
	}
	if path != catchPrefix && !strings.HasPrefix(path, catchPrefix+"/") {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		ctx.SetBodyString(`{"error":"no such route"}`)
		return
	}
	a := receive.Of(ctx)
	verdict := receive.Verdict(a.Verify(r.keys()))
	r.print(a.Line(verdict) + a.BodyLine())
	r.kept.add(&caught{
		Method: a.Method, Target: a.Target, Header: headerLines(ctx), MessageID: a.ID, Retried: a.Retried, Verdict: verdict,
	}, a.At, a.Body)
	ctx.SetBodyString(`{"status":"ok"}`)
}

// list is GET /dev/arrivals?since=N: {"arrivals": [...]}, those after number N.
func (r *receiver) list(ctx *fasthttp.RequestCtx) {
	n, _ := strconv.ParseInt(string(ctx.QueryArgs().Peek("since")), 10, 64) // without a number: all
	b, err := json.Marshal(map[string][]caught{"arrivals": r.kept.since(n)})
	if err != nil {
		ctx.SetStatusCode(fasthttp.StatusInternalServerError)
		return
	}
	ctx.SetBody(b)
}

func headerLines(ctx *fasthttp.RequestCtx) [][2]string {
	lines := [][2]string{}
	for name, value := range ctx.Request.Header.All() {
		if len(lines) < arrivalHeadMost {
			lines = append(lines, [2]string{string(name), string(value)})
		}
	}
	return lines
}

func arrivalsLost(n int64) string {
	return fmt.Sprintf("(%d arrivals are not shown: the terminal is too slow)\n", n)
}
