package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"time"
	"unicode/utf8"
)

// jwtHeader is {"alg":"HS256","typ":"JWT"}: the only algorithm, so receivers
// have no choice to get wrong (P46).
var jwtHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// jwtLife is how long a signature is valid (QSTASH.md §6.1).
const jwtLife = 300

// signer signs deliveries. It keeps the keyed hash of the last key it used. Not
// safe for concurrent use.
type signer struct {
	key   string
	mac   hash.Hash
	claim []byte
	sum   [sha256.Size]byte
}

// append appends the JWT of one attempt to dst: a fresh jti, the body's hash with its
// padding, nbf 0 (§6.1).
func (s *signer) append(dst []byte, key, url string, body []byte, now time.Time, unique uint64) []byte {
	sum := sha256.Sum256(body)
	iat := now.Unix()
	b := append(s.claim[:0], `{"iss":"Upstash","sub":`...)
	b = appendJSONString(b, url)
	b = append(b, `,"exp":`...)
	b = strconv.AppendInt(b, iat+jwtLife, 10)
	b = append(b, `,"nbf":0,"iat":`...)
	b = strconv.AppendInt(b, iat, 10)
	b = append(b, `,"jti":"jwt_`...)
	var jti [22]byte
	putBase58(jti[:], uint64(now.UnixNano()), unique)
	b = append(b, jti[:]...)
	b = append(b, `","body":"`...)
	b = base64.URLEncoding.AppendEncode(b, sum[:])
	b = append(b, `"}`...)
	s.claim = b

	at := len(dst)
	dst = append(dst, jwtHeader...)
	dst = append(dst, '.')
	dst = base64.RawURLEncoding.AppendEncode(dst, b)
	mac := s.keyed(key)
	mac.Write(dst[at:])
	dst = append(dst, '.')
	return base64.RawURLEncoding.AppendEncode(dst, mac.Sum(s.sum[:0]))
}

func (s *signer) keyed(key string) hash.Hash {
	if s.mac == nil || s.key != key {
		s.key, s.mac = key, hmac.New(sha256.New, []byte(key))
		return s.mac
	}
	s.mac.Reset()
	return s.mac
}

// appendJSONString appends s as a JSON string. Destinations are ASCII without
// control characters; anything else is escaped all the same.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	if plainJSON(s) {
		b = append(b, s...)
		return append(b, '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// plainJSON says whether s stands in JSON as it is.
func plainJSON(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
