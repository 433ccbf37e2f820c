package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestArrivals: the receiver lists what came, the newest of it, and from a number on.
func TestArrivals(t *testing.T) {
	r := &receiver{keys: func() []string { return nil }, print: func(string) {}}
	do := func(method, target, body string) (int, []caught) {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.Request.SetRequestURI(target)
		ctx.Request.Header.Set("Upstash-Message-Id", "msg_1")
		ctx.Request.SetBodyString(body)
		r.handle(&ctx)
		var answer struct{ Arrivals []caught }
		if err := json.Unmarshal(ctx.Response.Body(), &answer); err != nil {
			t.Fatal(err)
		}
		return ctx.Response.StatusCode(), answer.Arrivals
	}
	if status, list := do("GET", arrivalsPath, ""); status != 200 || list == nil || len(list) != 0 {
		t.Errorf("of nothing: %d %v", status, list)
	}
	long := strings.Repeat("b", arrivalBodyMost+5)
	do("PUT", "/dev/catch/a?b=c", long)
	_, list := do("GET", arrivalsPath, "")
	if len(list) != 1 {
		t.Fatalf("%d arrivals, want the one", len(list))
	}
	c := list[0]
	if c.Number != 1 || c.Method != "PUT" || c.Target != "/dev/catch/a?b=c" || c.MessageID != "msg_1" || c.Verdict != "not signed" ||
		c.Bytes != len(long) || string(c.Body) != long[:arrivalBodyMost] || c.Time == 0 {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(fmt.Sprint(c.Header), "[Upstash-Message-Id msg_1]") {
		t.Errorf("its header is %v", c.Header)
	}
	for i := range arrivalsKept {
		do("POST", fmt.Sprint("/dev/catch/", i), "x")
	}
	if _, list = do("GET", arrivalsPath, ""); len(list) != arrivalsKept || list[0].Number != 2 || list[arrivalsKept-1].Number != arrivalsKept+1 {
		t.Errorf("%d arrivals, from %d", len(list), list[0].Number)
	}
	if _, list = do("GET", fmt.Sprint(arrivalsPath, "?since=", arrivalsKept-1), ""); len(list) != 2 || list[0].Number != arrivalsKept {
		t.Errorf("since %d: %v", arrivalsKept-1, list)
	}
	if status, _ := do("POST", arrivalsPath, ""); status != 404 {
		t.Errorf("POST: %d", status)
	}
}
