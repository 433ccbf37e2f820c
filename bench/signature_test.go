package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// signed is the JWT of a delivery, with a word of it replaced.
func signed(key, url string, body []byte, now time.Time, old, new string) string {
	sum := sha256.Sum256(body)
	words := strings.Replace(fmt.Sprintf(
		`{"alg":"HS256","typ":"JWT"}.{"iss":"Upstash","sub":%q,"iat":%d,"exp":%d,"nbf":0,"jti":"jwt_1","body":%q}`,
		url, now.Unix(), now.Unix()+300, base64.URLEncoding.EncodeToString(sum[:])), old, new, 1)
	head, claims, _ := strings.Cut(words, "}.")
	token := base64.RawURLEncoding.EncodeToString([]byte(head+"}")) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(token))
	return token + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestCheckSignature(t *testing.T) {
	const url = "http://127.0.0.1:9/"
	now, body := time.Unix(2_000_000_000, 0), []byte("body")
	check := func(token string) error { return checkSignature([]byte("sig_1"), token, url, body, now) }
	good := signed("sig_1", url, body, now, "", "")
	if err := check(good); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"nothing":        "",
		"two parts":      "a.b",
		"no base64":      "*" + good,
		"another key":    signed("sig_2", url, body, now, "", ""),
		"another URL":    signed("sig_1", url+"x", body, now, "", ""),
		"another body":   signed("sig_1", url, []byte("x"), now, "", ""),
		"another issuer": signed("sig_1", url, body, now, "Upstash", "Other"),
		"no algorithm":   signed("sig_1", url, body, now, "HS256", "none"),
		"no nbf":         signed("sig_1", url, body, now, `"nbf":0,`, ""),
		"not yet":        signed("sig_1", url, body, now.Add(time.Hour), "", ""),
		"no more":        signed("sig_1", url, body, now.Add(-time.Hour), "", ""),
		"for an hour":    signed("sig_1", url, body, now, `"exp":2000000300`, `"exp":2000003600`),
		"no id":          signed("sig_1", url, body, now, "jwt_1", ""),
		"changed":        good[:len(good)-4] + "AAAA",
	} {
		if check(token) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// signer is a small server that signs what it delivers, with the key that it tells or with
// another.
type signer struct{ key string }

func (f *signer) serve(ctx context.Context, ln net.Listener) error {
	clients := &hostClients{conns: 64}
	defer clients.close()
	return serve(ctx, ln, func(in *fasthttp.RequestCtx) {
		if string(in.Path()) == "/v2/keys" {
			in.SetBodyString(`{"current":"sig_1","next":"sig_2"}`)
			return
		}
		var req fasthttp.Request
		url := strings.TrimPrefix(string(in.Request.Header.RequestURI()), publishPrefix)
		req.SetRequestURI(url)
		req.Header.SetMethod(fasthttp.MethodPost)
		req.Header.Set("Upstash-Signature", signed(f.key, url, in.Request.Body(), time.Now(), "", ""))
		req.SetBody(in.Request.Body())
		host, _ := hostOf(url)
		if err := clients.of(host).DoTimeout(&req, nil, 5*time.Second); err != nil {
			in.Error(err.Error(), fasthttp.StatusBadGateway)
			return
		}
		answerAccepted(in)
	})
}

func TestDeliverChecksSignatures(t *testing.T) {
	t.Parallel()
	f := &signer{key: "sig_1"}
	o := DeliverOptions{Common: quick(inProcess(f.serve), 4), Hosts: 2, Verify: 3}
	r, err := Deliver(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	figures := r.Runs[0].Figures
	last := figures[len(figures)-1]
	if least := float64(r.Runs[0].Sides[0].Messages / 3); last.Name != "signatures checked" || last.Values[0] < least || least == 0 {
		t.Fatalf("figures %+v, want at least %v checked", figures, least)
	}
	f.key = "sig_2"
	if _, err := Deliver(t.Context(), o); !errors.Is(err, ErrSignature) {
		t.Fatalf("another key: error %v", err)
	}
}
