package main

import (
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/receive"
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
	a := receive.Of(ctx)
	r.print(a.Line(receive.Verdict(a.Verify(r.keys()))) + a.BodyLine())
	ctx.SetBodyString(`{"status":"ok"}`)
}

func arrivalsLost(n int64) string {
	return fmt.Sprintf("(%d arrivals are not shown: the terminal is too slow)\n", n)
}
