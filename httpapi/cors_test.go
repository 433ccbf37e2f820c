package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

const (
	pageOrigin  = "https://app.test:8443"
	otherOrigin = "https://other.test"
)

func corsSite(t *testing.T) *site {
	return start(t, func(o *Options) { o.CORSOrigins = []string{"http://first.test", pageOrigin} })
}

func corsHeaders(h http.Header) string {
	var b strings.Builder
	for _, name := range []string{"Origin", "Methods", "Headers", "Credentials"} {
		b.WriteString(strings.Join(h.Values("Access-Control-Allow-"+name), "|") + ";")
	}
	return b.String() + h.Get("Access-Control-Max-Age")
}

// TestPreflight: what an allowed page wants to send is allowed in advance, without a
// token and for names of its own; any other page learns nothing.
func TestPreflight(t *testing.T) {
	s := corsSite(t)
	tests := []struct{ name, path, origin, headers, want string }{
		{"publish", "/v2/publish/https://h.test/", pageOrigin, "authorization, upstash-forward-x,content-type", pageOrigin + ";GET, POST, PATCH, PUT, DELETE, OPTIONS;authorization, upstash-forward-x,content-type;;600"},
		{"no headers", "/v2/dlq/1-1", pageOrigin, "", pageOrigin + ";GET, DELETE, HEAD, OPTIONS;;;600"},
		{"no names", "/v2/batch", pageOrigin, "a b", pageOrigin + ";POST, OPTIONS;;;600"},
		{"another origin", "/v2/batch", otherOrigin, "authorization", ";;;;"},
		{"part of an origin", "/v2/batch", "https://app.test", "authorization", ";;;;"},
		{"null", "/v2/batch", "null", "authorization", ";;;;"},
		{"no origin", "/v2/batch", "", "", ";;;;"},
	}
	for _, tt := range tests {
		raw := "OPTIONS " + tt.path + " HTTP/1.1\r\nHost: t\r\nAccess-Control-Request-Method: POST\r\n"
		if tt.origin != "" {
			raw += "Origin: " + tt.origin + "\r\n"
		}
		if tt.headers != "" {
			raw += "Access-Control-Request-Headers: " + tt.headers + "\r\n"
		}
		a, _ := s.send(t, raw+"\r\n")
		if got := corsHeaders(a.Header); a.StatusCode != 204 || got != tt.want || a.Header.Get("Vary") != "Origin, Access-Control-Request-Headers" {
			t.Errorf("%s: %d %q, Vary %q, want %q", tt.name, a.StatusCode, got, a.Header.Get("Vary"), tt.want)
		}
	}
	s.expectNothing(t)
}

// TestCrossOrigin: an allowed page may read every answer, errors included.
func TestCrossOrigin(t *testing.T) {
	s := corsSite(t)
	for _, line := range []string{"GET /v2/keys", "GET /v2/nothing", "POST /v2/publish/http://h", "GET /v2/messages/msg_panic", "FOO /v2/keys", "GET /v2/schedules"} {
		for _, origin := range []string{pageOrigin, otherOrigin} {
			a, _ := s.send(t, request(line, "Origin: "+origin))
			want := ""
			if origin == pageOrigin {
				want = origin
			}
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != want && a.StatusCode != 405 || a.Header.Get("Vary") != "Origin" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %s: allowed to %q, Vary %q", line, origin, got, a.Header.Get("Vary"))
			}
		}
	}
	off := start(t, nil)
	if a, _ := off.send(t, request("GET /v2/keys", "Origin: "+pageOrigin)); a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Vary") != "" {
		t.Errorf("switched off: %v", a.Header)
	}
}

func TestOrigins(t *testing.T) {
	for origin, good := range map[string]bool{
		"https://a.test": true, "http://localhost:3000": true, "http://[::1]:80": true,
		"*": false, "a.test": false, "https://a.test/": false, "https://A.test": false, "https://u@a.test": false, "ftp://a.test": false,
		"https://a.test?x": false, "https://": false, "null": false, "": false, "https://a.test#": false, "https://a .test": false,
	} {
		_, err := New(Options{Engine: newFake(), CORSOrigins: []string{origin}})
		if (err == nil) != good {
			t.Errorf("%q: %v", origin, err)
		}
	}
}
