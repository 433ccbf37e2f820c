package httpapi

import "bytes"

func cutQuery(target []byte) (path, query []byte) {
	path, query, _ = cutByte(target, '?')
	return path, query
}

// cutPair cuts the first pair off a query.
func cutPair(query []byte) (pair, rest []byte) {
	pair, rest, _ = cutByte(query, '&')
	return pair, rest
}

func cutParam(pair []byte) (name, value []byte) {
	name, value, _ = cutByte(pair, '=')
	return name, value
}

// The kinds of query parameters of a publish (QSTASH.md §3.1): our own are taken
// out, all others are the destination's.
const (
	paramForeign = iota
	paramToken   // qstash_token
	paramOption  // upstash-…
)

// paramKind looks at a name as it stands in the query. It decodes it first, so
// that an escaped spelling of the token is not forwarded either (P45).
func paramKind(name []byte) int {
	var buf [64]byte
	if bytes.IndexByte(name, '%') >= 0 {
		name = unescape(buf[:0], name[:min(len(name), 3*len(buf))])
	}
	switch {
	case equalFold(name, tokenParam):
		return paramToken
	case hasPrefixFold(name, optionPrefix):
		return paramOption
	}
	return paramForeign
}

// unescape appends s with its percent escapes decoded, once; a plus sign and a
// broken escape stay as they are.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && hexValue(s[i+1]) >= 0 && hexValue(s[i+2]) >= 0 {
			dst = append(dst, byte(hexValue(s[i+1])<<4|hexValue(s[i+2])))
			i += 2
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}
