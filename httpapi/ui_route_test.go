package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func withUI(o *Options) { o.UI = true }

// TestDashboardFiles: the page needs no token, and says what browsers and proxies may do with
// it; what it names is kept for ever.
func TestDashboardFiles(t *testing.T) {
	s := start(t, withUI)
	page, closed := s.send(t, "GET /ui/ HTTP/1.1\r\nHost: t\r\n\r\n")
	if page.StatusCode != http.StatusOK || closed || !strings.HasPrefix(page.body, "<!doctype html>") {
		t.Fatalf("the page: %d %.100s", page.StatusCode, page.body)
	}
	for name, want := range map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Cache-Control":           "no-cache",
		"Content-Security-Policy": uiPolicy,
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
		"Vary":                    "Accept-Encoding",
		"Content-Encoding":        "",
	} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.body, -1)
	if len(names) < 5 {
		t.Fatalf("the page names %d files", len(names))
	}
	for _, m := range names {
		a, _ := s.send(t, "GET /ui/"+m[1]+" HTTP/1.1\r\nHost: t\r\nAccept-Encoding: br, gzip\r\n\r\n")
		if a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || a.Header.Get("Content-Security-Policy") != uiPolicy {
			t.Errorf("%s: %d, %v", m[1], a.StatusCode, a.Header)
		}
		if a.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(strings.NewReader(a.body))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, z); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
		}
	}
}

// TestDashboardAnswers: what is asked of the dashboard beside a plain GET.
func TestDashboardAnswers(t *testing.T) {
	s := start(t, withUI)
	page, _ := s.send(t, "GET /ui/ HTTP/1.1\r\nHost: t\r\n\r\n")
	tag := page.Header.Get("ETag")
	for _, c := range []struct {
		name, line, field string
		status            int
		header, want      string
	}{
		{"a slash is missing", "GET /ui", "", 308, "Location", "ui/"},
		{"the path in another case", "GET /UI/", "", 200, "ETag", tag},
		{"a query", "GET /ui/?a=b", "", 200, "ETag", tag},
		{"the same", "GET /ui/", "If-None-Match: " + tag, 304, "ETag", tag},
		{"one of several, made weak", "GET /ui/", `If-None-Match: "a", W/` + tag, 304, "Cache-Control", "no-cache"},
		{"another", "GET /ui/", `If-None-Match: "a"`, 200, "ETag", tag},
		{"compressed", "GET /ui/", "Accept-Encoding: deflate, GZIP;q=0.5", 200, "Content-Encoding", "gzip"},
		{"not compressed", "GET /ui/", "Accept-Encoding: gzip;q=0, br", 200, "Content-Encoding", ""},
		{"HEAD", "HEAD /ui/", "", 200, "Content-Length", page.Header.Get("Content-Length")},
		{"OPTIONS", "OPTIONS /ui/", "", 204, "Allow", "GET, HEAD, OPTIONS"},
		{"POST", "POST /ui/", "Authorization: Bearer " + goodToken, 405, "Allow", "GET, HEAD, OPTIONS"},
		{"POST of what looks like a destination", "POST /ui/https://example.com", "Authorization: Bearer " + goodToken, 405, "Allow", "GET, HEAD, OPTIONS"},
		{"POST without a token", "POST /ui/", "", 401, "Allow", ""},
		{"nothing of this name", "GET /ui/nothing", "", 404, "Content-Type", "application/json"},
		{"a path upwards", "GET /ui/../v2/keys", "", 404, "Content-Type", "application/json"},
		{"a good token changes nothing", "GET /ui/", "Authorization: Bearer " + goodToken, 200, "ETag", tag},
	} {
		raw := c.line + " HTTP/1.1\r\nHost: t\r\n"
		if c.field != "" {
			raw += c.field + "\r\n"
		}
		a, _ := s.send(t, raw+"\r\n")
		if a.StatusCode != c.status || a.Header.Get(c.header) != c.want {
			t.Errorf("%s: %d, %s: %q; want %d, %q", c.name, a.StatusCode, c.header, a.Header.Get(c.header), c.status, c.want)
		}
		if (c.status == 304 || strings.HasPrefix(c.line, "HEAD")) && a.body != "" {
			t.Errorf("%s: a body of %d bytes", c.name, len(a.body))
		}
	}
}

// TestDashboardOff: a server that was not told to has none.
func TestDashboardOff(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/ui", "/ui/", "/ui/nothing"} {
		if a, _ := s.send(t, "GET "+path+" HTTP/1.1\r\nHost: t\r\n\r\n"); a.StatusCode != http.StatusNotFound || bytes.Contains([]byte(a.body), []byte("html")) {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
}
