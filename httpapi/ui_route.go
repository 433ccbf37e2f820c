package httpapi

import (
	"bytes"
	"net/http"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/httpapi/ui"
)

// The dashboard's files are public: they are the same for everybody and tell nothing of this
// server. What the pages show they ask the API for, with the token that their user gives
// them. It is a route like others, so that nothing under its path is ever a message.

const uiName = "ui"

var routeUI = &route{name: "dashboard", access: accessRead, public: true, serve: (*exchange).dashboard}

// uiPolicy is what the pages may do: run and show what is theirs, and call the server that
// they are from. No script or style stands in a page, no text becomes markup (trusted types
// are on, and there is no policy that would make any), and no other site frames them.
const uiPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// dashboard is GET /ui/ and what is below it. rest of the path begins with a slash; without
// one the answer leads there, by a relative address since a proxy may have us under a path.
func (x *exchange) dashboard() error {
	if !x.srv.opt.UI {
		return errNoRoute
	}
	if len(x.arg) == 0 {
		return x.moved("ui/")
	}
	f := ui.Find(string(x.arg[1:]))
	if f == nil {
		return errNoRoute
	}
	h := x.filled()
	h.Set("ETag", f.Tag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.Forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Security-Policy", uiPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	r := &x.context().Response
	if hasTag(x.field("if-none-match"), f.Tag) {
		r.SetStatusCode(http.StatusNotModified)
		return nil
	}
	h.SetContentType(f.Type)
	if f.Gzip != nil && acceptsGzip(x.field("accept-encoding")) {
		h.Set("Content-Encoding", "gzip")
		r.SetBodyRaw(f.Gzip)
	} else {
		r.SetBodyRaw(f.Body)
	}
	return nil
}

// filled makes what is in the response the answer, as it is Fallback's way, and returns its
// head.
func (x *exchange) filled() *fasthttp.ResponseHeader {
	x.status = 0
	r := &x.context().Response
	r.Reset()
	return &r.Header
}

func (x *exchange) moved(to string) error {
	h := x.filled()
	h.Set("Location", to)
	h.SetStatusCode(http.StatusPermanentRedirect)
	return nil
}

// hasTag says whether an If-None-Match names a tag. A proxy that compresses by itself makes
// tags weak, and for this they are as good (RFC 9110 §13.1.2).
func hasTag(list []byte, tag string) bool {
	for part := range bytes.SplitSeq(list, []byte{','}) {
		part = trimSpace(part)
		if string(bytes.TrimPrefix(part, []byte("W/"))) == tag || string(part) == "*" {
			return true
		}
	}
	return false
}

// acceptsGzip reads an Accept-Encoding as far as it matters: gzip is named, and not with
// the weight zero.
func acceptsGzip(list []byte) bool {
	for part := range bytes.SplitSeq(list, []byte{','}) {
		coding, weight, _ := cutByte(part, ';')
		if equalFold(trimSpace(coding), "gzip") {
			return !bytes.Contains(append(trimSpace(weight), ';'), []byte("q=0;"))
		}
	}
	return false
}
