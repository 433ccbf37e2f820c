package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/cmd/internal/receive/receivetest"
)

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

	token := receivetest.Sign(key, "http://h:1/dev/catch/x", []byte("hi"), time.Now(), nil)
	request("POST", "/dev/catch/x", "hi", "Upstash-Signature", token, "Upstash-Message-Id", "msg_1", "Upstash-Retried", "2")
	if want := "POST /dev/catch/x  msg_1  retried 2  signature verified  2 B\n    hi\n"; len(shown) != 1 || !strings.HasSuffix(shown[0], want) {
		t.Errorf("printed %q, want the end %q", shown, want)
	}
	request("POST", "/dev/catch/x", "ho", "Upstash-Signature", token)
	if len(shown) != 1 || !strings.Contains(shown[0], "SIGNATURE NOT VERIFIED: the body was changed") {
		t.Errorf("printed %q", shown)
	}
}
