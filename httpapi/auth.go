package httpapi

import (
	"crypto/subtle"

	"github.com/tidemill/tidemill/engine"
)

// authenticate decides from the head alone: the bearer token, else the
// qstash_token of the query, which webhook senders have no other way to give
// (QSTASH.md §1.2). A header of another scheme belongs to the sender's own world
// and leaves the decision to the query.
func (x *exchange) authenticate() bool {
	token, ok := bearer(x.head.auth)
	if !ok {
		token, ok = queryToken(x.query)
	}
	if !ok || len(token) == 0 {
		return false
	}
	if x.who = x.c.shown.again(token, x.srv.opt.Engine); x.who == nil {
		if x.who, ok = x.srv.opt.Engine.Authenticate(token); !ok {
			return false
		}
		x.c.shown.keep(token, x.who)
	}
	x.user = x.who.User
	return true
}

// shown is the token that a connection showed last, and whose it is: the same one comes with
// every request of it, and to find it anew is to hash it. It holds nothing that the
// connection's buffers do not, and ends with it.
type shown struct {
	token []byte
	who   *engine.Principal
}

// shownMax bounds a token that is kept, bytes. Ours are shorter.
const shownMax = 128

// again returns who showed the token, if it is that one and as good as it was, else nil.
func (s *shown) again(token []byte, e Engine) *engine.Principal {
	if s.who == nil || subtle.ConstantTimeCompare(token, s.token) != 1 || !e.Stands(s.who) {
		return nil
	}
	return s.who
}

func (s *shown) keep(token []byte, who *engine.Principal) {
	if len(token) <= shownMax {
		s.token, s.who = append(s.token[:0], token...), who
	}
}

func bearer(v []byte) (token []byte, ok bool) {
	if !hasPrefixFold(v, "bearer ") {
		return nil, false
	}
	return trimSpace(v[len("bearer "):]), true
}

const tokenParam = "qstash_token"

func queryToken(q []byte) (token []byte, ok bool) {
	for len(q) > 0 {
		var pair []byte
		pair, q = cutPair(q)
		name, value := cutParam(pair)
		if paramKind(name) == paramToken {
			return unescape(nil, value), true
		}
	}
	return nil, false
}
