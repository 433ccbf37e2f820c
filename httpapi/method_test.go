package httpapi

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine"
)

// TestMethods asks paths of every kind what they allow, and then holds them to it: a
// method that is named is not refused with 405, one that is not named is refused.
func TestMethods(t *testing.T) {
	s := start(t, nil)
	tests := []struct{ path, allow string }{
		{"/v2/publish/https://h.test/a//b?x", "GET, POST, PATCH, PUT, DELETE, OPTIONS"},
		{"/v2/enqueue/q/https://h.test/", "GET, POST, PATCH, PUT, DELETE, OPTIONS"},
		{"/v2/batch", "POST, OPTIONS"},
		{"/v2/messages/msg_1", "GET, DELETE, HEAD, OPTIONS"},
		{"/v2/dlq", "GET, DELETE, HEAD, OPTIONS"},
		{"/V2/DLQ/1-1", "GET, DELETE, HEAD, OPTIONS"},
		{"/v2/dlq/retry/1-1", "POST, OPTIONS"},
		{"/v2/queues/", "GET, POST, HEAD, OPTIONS"},
		{"/v2/queues/q/pause", "POST, OPTIONS"},
		{"/v2/topics/g", "GET, POST, PATCH, DELETE, HEAD, OPTIONS"},
		{"/v2/topics/g/endpoints", "POST, DELETE, OPTIONS"},
		{"/v2/schedules", "GET, POST, HEAD, OPTIONS"},
		{"/v2/schedules/s", "GET, POST, DELETE, HEAD, OPTIONS"},
		{"/v2/schedules/s/pause", "POST, PATCH, PUT, OPTIONS"},
		{"/v2/flowControl/k", "GET, HEAD, OPTIONS"},
		{"/v2/keys", "GET, HEAD, OPTIONS"},
		{"/v2/keys/rotate", "POST, OPTIONS"},
		{"/v2/readiness", "GET, HEAD, OPTIONS"},
		{"/healthz", "GET, HEAD, OPTIONS"},
	}
	for _, tt := range tests {
		a, closed := s.send(t, "OPTIONS "+tt.path+" HTTP/1.1\r\nHost: t\r\nOrigin: https://a.test\r\n\r\n")
		if got := a.Header.Get("Allow"); a.StatusCode != http.StatusNoContent || got != tt.allow || a.body != "" || closed {
			t.Errorf("OPTIONS %s: %d %s, Allow %q, want %q", tt.path, a.StatusCode, a.body, got, tt.allow)
		}
		for name := range a.Header {
			if strings.HasPrefix(name, "Access-Control") || name == "Vary" || name == "Content-Type" {
				t.Errorf("OPTIONS %s: a header %s", tt.path, name)
			}
		}
		for _, m := range append(methods[:], "HEAD") {
			a, _ := s.send(t, request(m+" "+tt.path))
			named := slices.Contains(strings.Split(tt.allow, ", "), m)
			wrong := a.StatusCode == http.StatusMethodNotAllowed
			if named && wrong || !named && a.StatusCode < 400 || wrong != (a.Header.Get("Allow") == tt.allow) {
				t.Errorf("%s %s: %d %s, Allow %q", m, tt.path, a.StatusCode, a.body, a.Header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/v2/nothing", "/v2/messages/a/b", "/llm/v1/chat/completions", "/"} {
		if a, _ := s.send(t, request("OPTIONS "+path)); a.StatusCode != 404 || a.body != `{"error":"not found"}` {
			t.Errorf("OPTIONS %s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

// TestHead: the answer is that of GET without its body, so the connection goes on, also
// when that body would have been sent in parts.
func TestHead(t *testing.T) {
	s := start(t, nil)
	big := strings.Repeat("0 ", 10_000)
	for range 60 {
		s.eng.views = append(s.eng.views, engine.ScheduleInfo{ID: "s", Error: big})
	}
	for _, path := range []string{"/v2/keys", "/v2/messages/msg_one", "/v2/messages/none", "/v2/dlq", "/healthz"} {
		get, _ := s.send(t, request("GET "+path))
		c := s.dial(t)
		io.WriteString(c, request("HEAD "+path)+request("GET /v2/keys")) //nolint:errcheck // the answers tell
		br := bufio.NewReader(c)
		head := readAnswer(t, br, "HEAD")
		if head.StatusCode != get.StatusCode || head.ContentLength != get.ContentLength || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("%s: HEAD %d, length %d; GET %d, length %d", path, head.StatusCode, head.ContentLength, get.StatusCode, get.ContentLength)
		}
		if next := readAnswer(t, br, "GET"); next.StatusCode != 200 {
			t.Errorf("%s: after HEAD: %d %s", path, next.StatusCode, next.body)
		}
	}
	c := s.dial(t)
	io.WriteString(c, request("HEAD /v2/schedules")) //nolint:errcheck // the answer tells
	raw, err := io.ReadAll(c)
	if head, rest, ok := strings.Cut(string(raw), "\r\n\r\n"); err != nil || !ok || rest != "" || !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Errorf("HEAD of a long list: %v, %d bytes after %q", err, len(rest), head)
	}
}
