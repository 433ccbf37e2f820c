package receive

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/cmd/internal/receive/receivetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Unix(1_800_000_000, 0)

func sign(key, url string, body []byte, edit func(map[string]any)) string {
	return receivetest.Sign(key, url, body, now, edit)
}

func TestVerify(t *testing.T) {
	const key, url = "sig_a", "http://127.0.0.1:8080/dev/catch/x?y=1"
	body := []byte("hello")
	set := func(name string, v any) func(map[string]any) {
		return func(c map[string]any) { c[name] = v }
	}
	for _, c := range []struct{ name, token, want string }{
		{"right", sign(key, url, body, nil), ""},
		{"body hash without padding", sign(key, url, body, func(c map[string]any) { c["body"] = strings.TrimRight(c["body"].(string), "=") }), ""},
		{"another key", sign("sig_b", url, body, nil), "no key"},
		{"another issuer", sign(key, url, body, set("iss", "x")), "iss"},
		{"another url", sign(key, url+"&z", body, nil), "sub"},
		{"another body", sign(key, url, []byte("hellO"), nil), "body"},
		{"expired", sign(key, url, body, set("exp", now.Unix())), "expired"},
		{"not yet", sign(key, url, body, set("nbf", now.Unix()+1)), "nbf"},
		{"no nbf", sign(key, url, body, func(c map[string]any) { delete(c, "nbf") }), "nbf"},
		{"empty", "", "no key"},
		{"two parts", "a.b", "no key"},
		{"not base64", "a.b.*", "no key"},
	} {
		err := Verify(c.token, key, url, body, now)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// The one part that its own key signs but that must not be believed.
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(sign(key, url, body, nil), ".")[1]
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(none))
	if err := Verify(none+"."+base64.RawURLEncoding.EncodeToString(h.Sum(nil)), key, url, body, now); err == nil {
		t.Error("the algorithm none is accepted")
	}
}
