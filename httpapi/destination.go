package httpapi

import (
	"bytes"

	"github.com/tidemill/tidemill/engine"
)

// target is a destination: a URL, byte for byte, or the name of a URL group
// (QSTASH.md §3.2).
type target struct{ url, group []byte }

// destination returns what a publish goes to, from tail, the rest of the raw
// request target (QSTASH.md §3.1): our own parameters are taken out of a URL's
// query, a percent-encoded URL is decoded once, and a slash that a proxy
// collapsed is put back. A group has no query: what a webhook's sender adds to
// its name is nobody's. The result aliases tail when nothing had to change, else
// scratch, which is returned grown.
func destination(tail, scratch []byte) (to target, grown []byte, fail *failure) {
	path, query := cutQuery(tail)
	form, fail := formOf(path)
	switch {
	case fail != nil:
		return target{}, scratch, fail
	case form == formGroup:
		return target{group: path}, scratch, nil
	case form == formLiteral && !hasOwnParams(query):
		return target{url: tail}, scratch, nil
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
	return target{url: scratch[at:]}, scratch, nil
}

type urlForm int

const (
	formLiteral   urlForm = iota // https://h
	formCollapsed                // https:/h
	formEncoded                  // https%3A%2F%2Fh
	formGroup                    // a name
)

// formOf tells how a destination is written, or why it is none.
func formOf(p []byte) (urlForm, *failure) {
	if len(p) == 0 {
		return 0, errEmptyURL
	}
	rest, ok := cutScheme(p)
	switch {
	case !ok && isName(p):
		return formGroup, checkName("URL group", p)
	case !ok && hasPrefixFold(p, "api/"):
		return 0, invalidURL(short(p) + " is a service of the hosted product: publish to the URL of your own")
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

// nameMax bounds a name, bytes.
const nameMax = engine.ScheduleIDMax

// checkName refuses what cannot name a queue, a group or a schedule; what says which.
// . and .. are no names: clients put names into paths as they are, and then others
// resolve those.
func checkName(what string, name []byte) *failure {
	if !isName(name) || len(name) > nameMax || string(name) == "." || string(name) == ".." {
		return badValue(what, name, "must be at most 256 of the characters A-Z a-z 0-9 . _ - and neither . nor ..")
	}
	return nil
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

// urlFlaw says what is wrong with the shape of a URL, "" for nothing. What its host
// may be is the business of Options.CheckDestination.
func urlFlaw(url []byte) string {
	if len(url) > urlMax {
		return "it is longer than 8192 bytes"
	}
	if !isVisible(url) || bytes.IndexByte(url, '#') >= 0 {
		return byteFlaw(url)
	}
	_, authority, _ := bytes.Cut(url, []byte("://"))
	for i, c := range authority {
		if c == '/' || c == '?' {
			authority = authority[:i]
			break
		}
	}
	switch {
	case len(authority) == 0:
		return "it has no host"
	case bytes.IndexByte(authority, '@') >= 0:
		return "it contains a user name or password; use an Upstash-Forward-Authorization header"
	case bytes.IndexByte(authority, '\\') >= 0:
		return "its host contains a backslash"
	}
	return ""
}

// byteFlaw says what is wrong with the first byte of a URL that cannot stand there.
func byteFlaw(url []byte) string {
	for _, c := range url {
		switch {
		case c <= ' ' || c == 0x7f:
			return "it contains a space or a control character, which must be percent-encoded"
		case c > 0x7f:
			return "it contains a character outside ASCII, which must be percent-encoded (in a host: punycode)"
		case c == '#':
			return "it contains a fragment (#...), which is never sent to a server"
		}
	}
	return ""
}

func invalidURL(why string) *failure { return badRequest("invalid destination url: %s", why) }

// checkURL refuses a URL of a destination.
func (o *Options) checkURL(url []byte) *failure {
	if why := urlFlaw(url); why != "" {
		return invalidURL(why)
	}
	if err := o.CheckDestination(view(url)); err != nil {
		return invalidURL(err.Error())
	}
	return nil
}
