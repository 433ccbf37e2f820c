package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

var now = time.Unix(1_800_000_000, 0)

// sign makes a token with claims that are right but for what edit changes.
func sign(key, url string, body []byte, edit func(map[string]any)) string {
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
		panic(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(payload)
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func TestVerifySignature(t *testing.T) {
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
		err := verifySignature(c.token, key, url, body, now)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// The one part that its own key signs but that must not be believed.
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(sign(key, url, body, nil), ".")[1]
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(none))
	if err := verifySignature(none+"."+base64.RawURLEncoding.EncodeToString(h.Sum(nil)), key, url, body, now); err == nil {
		t.Error("the algorithm none is accepted")
	}
}

func TestReceiver(t *testing.T) {
	const key = "sig_a"
	var shown []string
	r := &receiver{keys: func() []string { return []string{"sig_other", key} }, print: func(s string) { shown = append(shown, s) }}
	request := func(method, target, body string, header ...string) (int, string) {
		shown = nil
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.Request.Header.SetHost("h:1")
		ctx.Request.SetRequestURI(target)
		ctx.Request.SetBodyString(body)
		for i := 0; i < len(header); i += 2 {
			ctx.Request.Header.Set(header[i], header[i+1])
		}
		r.handle(&ctx)
		return ctx.Response.StatusCode(), string(ctx.Response.Body())
	}

	if status, body := request("POST", "/other", ""); status != 404 || !json.Valid([]byte(body)) || len(shown) != 0 {
		t.Errorf("another path: %d %s, printed %q", status, body, shown)
	}
	if status, _ := request("POST", "/dev/catcher", ""); status != 404 {
		t.Errorf("a longer name: %d", status)
	}
	for _, target := range []string{"/dev/catch", "/dev/catch/", "/dev/catch/a//b?c=d", "/dev/catch?x"} {
		if status, body := request("DELETE", target, ""); status != 200 || body != `{"status":"ok"}` || len(shown) != 1 ||
			!strings.Contains(shown[0], " DELETE "+target+"  not signed  0 B\n") {
			t.Errorf("%s: %d %s, printed %q", target, status, body, shown)
		}
	}

	// verifySignature has its own table; the clock here is the real one.
	token := sign(key, "http://h:1/dev/catch/x", []byte("hi"), func(c map[string]any) { c["exp"] = time.Now().Unix() + 300 })
	request("POST", "/dev/catch/x", "hi", "Upstash-Signature", token, "Upstash-Message-Id", "msg_1", "Upstash-Retried", "2")
	if want := "POST /dev/catch/x  msg_1  retried 2  signature verified  2 B\n    hi\n"; len(shown) != 1 || !strings.HasSuffix(shown[0], want) {
		t.Errorf("printed %q, want the end %q", shown, want)
	}
	request("POST", "/dev/catch/x", "ho", "Upstash-Signature", token)
	if len(shown) != 1 || !strings.Contains(shown[0], "SIGNATURE NOT VERIFIED: the body was changed") {
		t.Errorf("printed %q", shown)
	}
}

// TestEscape: nothing that a sender controls reaches the terminal as it is, and
// no line grows with what was sent.
func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain \"quoted\" ünï", `plain "quoted" ünï`},
		{"a\nb\tc\x1b[2J\x07\x00", `a\nb\tc\x1b[2J\a\x00`},
		{"\xff\xfe", "\uFFFD"},
		{"\u202e", `\u202e`},
		{strings.Repeat("x", 25), strings.Repeat("x", 20) + " … and 5 bytes more"},
	} {
		if got := escape([]byte(c.in), 20); got != c.want {
			t.Errorf("escape(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	a := arrival{method: strings.Repeat("M", 1e4), target: strings.Repeat("t", 1e4), body: bytes.Repeat([]byte{0}, 1e6), id: strings.Repeat("i", 1e4), tried: strings.Repeat("r", 1e4)}
	if got := a.line(nil); len(got) > 4*1500 {
		t.Errorf("a line of %d bytes", len(got))
	}
}

// slowWriter lets nothing through until it is opened.
type slowWriter struct {
	open chan struct{}
	got  bytes.Buffer
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.open
	return w.got.Write(p)
}

func TestPrinterNeverWaits(t *testing.T) {
	w := &slowWriter{open: make(chan struct{})}
	p := newPrinter(w)
	const n = 3 * printerBuffer
	for i := range n {
		p.print(fmt.Sprintln(i)) // would hang here if it waited
	}
	close(w.open)
	p.close()
	p.print("after close\n")
	var shown, dropped int
	for line := range strings.Lines(w.got.String()) {
		k := 0
		if _, err := fmt.Sscanf(line, "(%d arrivals are not shown", &k); err == nil {
			dropped += k
		} else {
			shown++
		}
	}
	// The buffer, and one text that was being written when it filled up.
	if shown < printerBuffer || shown > printerBuffer+1 || shown+dropped != n {
		t.Errorf("%d are shown and %d counted as dropped, of %d", shown, dropped, n)
	}
}
