package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

// TestSetLive: what is in force changes for the next request, all of it or nothing.
func TestSetLive(t *testing.T) {
	s := corsSite(t)
	status := func(raw string) int {
		t.Helper()
		a, _ := s.send(t, raw)
		return a.StatusCode
	}
	batch := requestBody("POST /v2/batch", `[{"destination":"https://h.test","body":"`+strings.Repeat("x", 3000)+`"}]`)
	origin := func() string {
		t.Helper()
		a, _ := s.send(t, "OPTIONS /v2/batch HTTP/1.1\r\nHost: t\r\nOrigin: "+otherOrigin+"\r\nAccess-Control-Request-Method: POST\r\n\r\n")
		return a.Header.Get("Access-Control-Allow-Origin")
	}
	want := func(when string, code int, allowed string) {
		t.Helper()
		if got := status(batch); got != code {
			t.Errorf("%s: status %d of a batch, want %d", when, got, code)
		}
		if got := origin(); got != allowed {
			t.Errorf("%s: pages of %q may read, want %q", when, got, allowed)
		}
	}
	want("at first", http.StatusOK, "")
	l := s.opt.Live()
	l.BatchMax, l.CORSOrigins = 2000, []string{otherOrigin + "/"}
	if err := s.SetLive(l); err == nil {
		t.Error("an origin with a slash is taken")
	}
	want("after what was refused", http.StatusOK, "")
	l.CORSOrigins = []string{otherOrigin}
	if err := s.SetLive(l); err != nil {
		t.Fatal(err)
	}
	want("with a small batch.max-size", http.StatusRequestEntityTooLarge, otherOrigin)
	l.BatchMax, l.InflightBytes, l.CORSOrigins = 1<<20, 3500, nil
	if err := s.SetLive(l); err != nil {
		t.Fatal(err)
	}
	want("with few bytes in flight", http.StatusServiceUnavailable, "")
}
