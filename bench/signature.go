package bench

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// signatures checks every n-th signature of one side's deliveries (QSTASH.md §6). Safe for
// concurrent use.
type signatures struct {
	key   []byte
	side  uint64
	every uint64

	seen, checked atomic.Uint64
}

// askSignatures asks the server for the key that it signs with.
func askSignatures(s Server, side uint64, every int, timeout time.Duration) (*signatures, error) {
	answer, err := ask(s, "GET", "/v2/keys", nil, timeout)
	if err != nil {
		return nil, err
	}
	var keys struct{ Current string }
	if err := json.Unmarshal(answer, &keys); err != nil || keys.Current == "" {
		return nil, fmt.Errorf("GET /v2/keys was answered %.200s, which has no current key", answer)
	}
	return &signatures{key: []byte(keys.Current), side: side, every: uint64(every)}, nil
}

// check looks at a delivery, if it is its turn. Its body is one of ours.
func (v *signatures) check(req *fasthttp.Request) error {
	body := req.Body()
	if binary.LittleEndian.Uint64(body[8:]) != v.side || v.seen.Add(1)%v.every != 0 {
		return nil
	}
	v.checked.Add(1)
	url := "http://" + string(req.Host()) + string(req.Header.RequestURI())
	if err := checkSignature(v.key, string(req.Header.Peek("Upstash-Signature")), url, body, time.Now()); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// claims are those of a delivery's JWT.
type claims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
	Before  *int64 `json:"nbf"`
	ID      string `json:"jti"`
	Body    string `json:"body"`
}

// clockSkew is by how much the clocks of server and receiver may differ, seconds.
const clockSkew = 60

// checkSignature says what is wrong with the JWT of a delivery of body to url.
func checkSignature(key []byte, token, url string, body []byte, now time.Time) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%q is no JWT", token)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(token[:len(token)-len(parts[2])-1]))
	var head struct{ Alg, Typ string }
	var c claims
	sum := sha256.Sum256(body)
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	err = errors.Join(err, decodePart(parts[0], &head), decodePart(parts[1], &c))
	switch {
	case err != nil:
		return fmt.Errorf("%q is no JWT: %w", token, err)
	case head.Alg != "HS256" || head.Typ != "JWT":
		return fmt.Errorf("it is a %s with %s", head.Typ, head.Alg)
	case !hmac.Equal(signature, mac.Sum(nil)):
		return errors.New("its signature is not by the current key")
	case c.Issuer != "Upstash" || !strings.HasPrefix(c.ID, "jwt_"):
		return fmt.Errorf("iss is %q, jti %q", c.Issuer, c.ID)
	case c.Subject != url:
		return fmt.Errorf("sub is %q, and it came to %s", c.Subject, url)
	case c.Before == nil || *c.Before > now.Unix()+clockSkew || c.Issued > now.Unix()+clockSkew:
		return fmt.Errorf("it is not valid yet: iat %d", c.Issued)
	case c.Expires < now.Unix()-clockSkew || c.Expires != c.Issued+300:
		return fmt.Errorf("iat is %d and exp %d, at %d", c.Issued, c.Expires, now.Unix())
	case c.Body != base64.URLEncoding.EncodeToString(sum[:]):
		return errors.New("it is for another body")
	}
	return nil
}

// decodePart reads a part of a JWT.
func decodePart(part string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.NewDecoder(bytes.NewReader(raw)).Decode(into)
}

// figure is how many were looked at.
func (v *signatures) figure() Figure {
	return Figure{Name: "signatures checked", Values: []float64{float64(v.checked.Load())}}
}
