package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// Pages of other sites may not read our answers unless Options.CORSOrigins names their
// origin: then answers say so, and OPTIONS allows in advance what the page wants to
// send. Cookies play no part here; a page has the token itself or has nothing.

// CheckOrigin refuses what is no origin as a browser writes one: it is compared byte
// for byte, so a slash at the end would never match.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin {
		return fmt.Errorf("cors.origins: %q is not an origin such as https://app.example.com: scheme and host in lower case, a port if it is not the usual one, and nothing after it", origin)
	}
	return nil
}

// share adds to an answer's head what lets a page of an allowed origin read it.
func (x *exchange) share(h *fasthttp.ResponseHeader) {
	origins := x.srv.live.Load().CORSOrigins
	if len(origins) == 0 {
		return
	}
	preflight := x.head.method == http.MethodOptions
	if preflight {
		h.Set("Vary", "Origin, Access-Control-Request-Headers")
	} else {
		h.Set("Vary", "Origin")
	}
	origin := string(x.field("origin"))
	if origin == "" || !slices.Contains(origins, origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if !preflight {
		h.Set("Access-Control-Expose-Headers", "Allow, ETag, Retry-After")
		return
	}
	h.Set("Access-Control-Allow-Methods", x.allow)
	h.Set("Access-Control-Max-Age", "600")
	if asked := x.field("access-control-request-headers"); isTokenList(asked) {
		h.SetBytesV("Access-Control-Allow-Headers", asked)
	}
}

// field returns the value of the first header line of this name, given in lower case.
func (x *exchange) field(name string) []byte {
	for _, f := range x.head.fields {
		if equalFold(f.name, name) {
			return f.value
		}
	}
	return nil
}

// isTokenList says whether v is a list of header names. A page may send any there is:
// names that begin with Upstash-Forward- are its own.
func isTokenList(v []byte) bool {
	for part := range bytes.SplitSeq(v, []byte{','}) {
		if !isToken(trimSpace(part)) {
			return false
		}
	}
	return true
}
