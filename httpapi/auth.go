package httpapi

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
	if x.who, ok = x.srv.opt.Engine.Authenticate(token); ok {
		x.user = x.who.User
	}
	return ok
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
