// Package receivetest makes signatures for the tests of receivers.
package receivetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// Sign makes a delivery's token (QSTASH.md §6.1), good for five minutes from now on, with claims that
// are right but for what edit changes. A nil edit changes none.
func Sign(key, url string, body []byte, now time.Time, edit func(map[string]any)) string {
	sum := sha256.Sum256(body)
	c := map[string]any{
		"iss": "Upstash", "sub": url, "iat": now.Unix(), "exp": now.Unix() + 300, "nbf": 0,
		"jti": "jwt_1", "body": base64.URLEncoding.EncodeToString(sum[:]),
	}
	if edit != nil {
		edit(c)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err) // edit put in what is no JSON
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(payload)
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
