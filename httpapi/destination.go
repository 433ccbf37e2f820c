package httpapi

import (
	"bytes"

	"github.com/tidemill/tidemill/engine"
)

// destination returns the URL of a publish from tail, the rest of the raw
// request target, byte for byte (QSTASH.md §3.1): our own parameters are taken
// out of its query, a percent-encoded URL is decoded once, and a slash that a
// proxy collapsed is put back. The result aliases tail when nothing had to
// change, else scratch, which is returned grown.
func destination(tail, scratch []byte) (url, grown []byte, fail *failure) {
	path, query := cutQuery(tail)
	form, fail := formOf(path)
	if fail != nil {
		return nil, scratch, fail
	}
	if form == formLiteral && !hasOwnParams(query) {
		return tail, scratch, nil
	}
	at := len(scratch)
	switch form {
	case formCollapsed:
		colon := bytes.IndexByte(path, ':')
		scratch = append(scratch, path[:colon+1]...)
		scratch = append(scratch, '/')
		scratch = append(scratch, path[colon+1:]...)
	case formEncoded:
		scratch = unescape(scratch, path)
	default:
		scratch = append(scratch, path...)
	}
	scratch = attachQuery(scratch, at, query, len(tail) > len(path))
	return scratch[at:], scratch, nil
}

type urlForm int

const (
	formLiteral   urlForm = iota // https://h
	formCollapsed                // https:/h
	formEncoded                  // https%3A%2F%2Fh
)

// formOf tells how a destination is written, or why it is none of an URL.
func formOf(p []byte) (urlForm, *failure) {
	if len(p) == 0 {
		return 0, errEmptyURL
	}
	rest, ok := cutScheme(p)
	switch {
	case !ok && isName(p):
		return 0, unsupported("a URL group as destination (add http:// or https:// to publish to a URL)")
	case !ok && hasPrefixFold(p, "api/"):
		return 0, unsupported("the destination " + short(p))
	case !ok:
		return 0, errScheme
	case hasPrefixFold(rest, "%3a"):
		return formEncoded, nil
	case bytes.HasPrefix(rest, []byte("://")):
		return formLiteral, nil
	case bytes.HasPrefix(rest, []byte(":/")):
		return formCollapsed, nil
	}
	return 0, errScheme
}

// cutScheme cuts http or https off what is followed by a colon, plain or encoded.
func cutScheme(p []byte) (rest []byte, ok bool) {
	for _, scheme := range []string{"https", "http"} {
		if !hasPrefixFold(p, scheme) {
			continue
		}
		rest = p[len(scheme):]
		if len(rest) > 0 && rest[0] == ':' || hasPrefixFold(rest, "%3a") {
			return rest, true
		}
	}
	return nil, false
}

// isName is the rule for names of queues, groups and schedules (QSTASH.md §0.2).
func isName(p []byte) bool {
	for _, c := range p {
		letter := 'a' <= lowerByte(c) && lowerByte(c) <= 'z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(p) > 0
}

func hasOwnParams(query []byte) bool {
	for len(query) > 0 {
		var pair []byte
		pair, query = cutPair(query)
		name, _ := cutParam(pair)
		if paramKind(name) != paramForeign {
			return true
		}
	}
	return false
}

// attachQuery appends the foreign pairs of query to the URL at url[at:], in
// order and as they were escaped. A query that held nothing but our own
// parameters leaves no question mark; an empty one stays, it was the destination's.
func attachQuery(url []byte, at int, query []byte, present bool) []byte {
	if present && len(query) == 0 {
		return append(url, '?')
	}
	sep := byte('?')
	if bytes.IndexByte(url[at:], '?') >= 0 { // a decoded URL brought a query along
		sep = '&'
	}
	for more := present; more; {
		var pair []byte
		pair, query, more = bytes.Cut(query, []byte{'&'})
		name, _ := cutParam(pair)
		if paramKind(name) != paramForeign {
			continue
		}
		url = append(append(url, sep), pair...)
		sep = '&'
	}
	return url
}

// checkURL refuses a URL by its shape. What its host may be is the business of
// Options.CheckDestination.
func checkURL(url []byte) *failure {
	if len(url) > urlMax {
		return invalidURL("it is longer than 8192 bytes")
	}
	for _, c := range url {
		switch {
		case c <= ' ' || c == 0x7f:
			return invalidURL("it contains a space or a control character, which must be percent-encoded")
		case c > 0x7f:
			return invalidURL("it contains a character outside ASCII, which must be percent-encoded (in a host: punycode)")
		case c == '#':
			return invalidURL("it contains a fragment (#...), which is never sent to a server")
		}
	}
	_, rest, _ := bytes.Cut(url, []byte("://"))
	authority := rest
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	switch {
	case len(authority) == 0:
		return invalidURL("it has no host")
	case bytes.IndexByte(authority, '@') >= 0:
		return invalidURL("it contains a user name or password; use an Upstash-Forward-Authorization header")
	case bytes.IndexByte(authority, '\\') >= 0:
		return invalidURL("its host contains a backslash")
	}
	return nil
}

func invalidURL(why string) *failure { return badRequest("invalid destination url: %s", why) }

// setURL checks a destination and puts it into p. It aliases url.
func (o *Options) setURL(p *engine.Publish, url []byte) *failure {
	if fail := checkURL(url); fail != nil {
		return fail
	}
	p.URL = view(url)
	if err := o.CheckDestination(p.URL); err != nil {
		return invalidURL(err.Error())
	}
	return nil
}
