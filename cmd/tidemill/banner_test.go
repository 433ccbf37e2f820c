package main

import (
	"net"
	"strings"
	"testing"
)

func TestDevBanner(t *testing.T) {
	const url = "http://127.0.0.1:8080"
	text := devBanner(url, "/data/x", "127.0.0.1:9080", true, true)
	if !strings.HasSuffix(text, "\nServer is running at http://127.0.0.1:8080\n") {
		t.Errorf("the last line is wrong:\n%s", text)
	}
	user1 := "export QSTASH_URL=" + url + "\n" +
		"export QSTASH_TOKEN=" + devUsers[0].Token + "\n" +
		"export QSTASH_CURRENT_SIGNING_KEY=" + devUsers[0].Current + "\n" +
		"export QSTASH_NEXT_SIGNING_KEY=" + devUsers[0].Next + "\n"
	at := strings.Index(text, user1)
	if at < 0 {
		t.Fatalf("user 1 is not there to paste:\n%s", text)
	}
	for _, u := range devUsers[1:] {
		if i := strings.Index(text, u.Token); i < 0 || i > at {
			t.Errorf("a test user is missing or stands after user 1: %s", u.Token)
		}
	}
	for _, want := range []string{
		`curl -X POST -H "Authorization: Bearer ` + devUsers[0].Token + `" -d "hello" ` + url + "/v2/publish/" + url + "/dev/catch/hello\n",
		"/data/x, removed at exit (--data DIR keeps them)",
		"http://127.0.0.1:9080/debug/pprof/",
		"UI:    " + url + "/ui/\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if kept := devBanner(url, "/data/x", "", false, false); strings.Contains(kept, "removed") || strings.Contains(kept, "Admin") || strings.Contains(kept, "/ui/") {
		t.Errorf("with --data, without admin and dashboard:\n%s", kept)
	}
}

func TestBaseURL(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		"0.0.0.0:80":     "http://127.0.0.1:80",
		"[::]:8080":      "http://127.0.0.1:8080",
		"[::1]:8080":     "http://[::1]:8080",
	} {
		addr, err := net.ResolveTCPAddr("tcp", in)
		if err != nil {
			t.Fatal(err)
		}
		if got := baseURL(addr); got != want {
			t.Errorf("baseURL(%s) = %s, want %s", in, got, want)
		}
	}
}
