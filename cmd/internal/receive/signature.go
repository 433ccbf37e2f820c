package receive

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrUnknownKey: the token was signed with another key, or is no token.
var ErrUnknownKey = errors.New("no key that is known here made it")

// claims of a delivery's signature (QSTASH.md §6.1). Nbf is a pointer because it
// must be present even if it is zero.
type claims struct {
	Iss  string `json:"iss"`
	Sub  string `json:"sub"`
	Exp  int64  `json:"exp"`
	Nbf  *int64 `json:"nbf"`
	Body string `json:"body"`
}

// Verify checks a delivery's JWT as the official receivers do: url is the destination as it
// was published, and body what arrived. It is
// written from the contract and shares nothing with the code that signs, so that
// the line a user sees is a second opinion.
func Verify(token, key, url string, body []byte, now time.Time) error {
	signed, mac, ok := cutLast(token, '.')
	head, payload, two := strings.Cut(signed, ".")
	if !ok || !two {
		return ErrUnknownKey
	}
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(signed))
	got, err := base64.RawURLEncoding.DecodeString(mac)
	if err != nil || !hmac.Equal(got, h.Sum(nil)) {
		return ErrUnknownKey
	}
	var alg struct {
		Alg string `json:"alg"`
	}
	if err := decodeSegment(head, &alg); err != nil || alg.Alg != "HS256" {
		return errors.New("the algorithm is not HS256")
	}
	var c claims
	if err := decodeSegment(payload, &c); err != nil {
		return fmt.Errorf("its claims cannot be read: %w", err)
	}
	return c.check(url, body, now)
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func decodeSegment(s string, v any) error {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

func (c *claims) check(url string, body []byte, now time.Time) error {
	sum := sha256.Sum256(body)
	switch {
	case c.Iss != "Upstash":
		return fmt.Errorf("iss is %.40q", c.Iss)
	case c.Sub != url:
		return fmt.Errorf("sub is %.200q, not %.200q", c.Sub, url)
	case c.Nbf == nil || *c.Nbf > now.Unix():
		return errors.New("nbf is missing or in the future")
	case c.Exp <= now.Unix():
		return errors.New("it has expired")
	case strings.TrimRight(c.Body, "=") != base64.RawURLEncoding.EncodeToString(sum[:]):
		return errors.New("the body was changed")
	}
	return nil
}
