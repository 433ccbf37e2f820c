package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// adminPaths are the paths that the admin listener is given anywhere in this package, and those
// below /debug/pprof/.
func adminPaths(t *testing.T) (paths []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	registered := regexp.MustCompile(`mux\.Handle(?:Func)?\("(?:[A-Z]+ )?(/[^"]*)"`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range registered.FindAllStringSubmatch(string(text), -1) {
			paths = append(paths, strings.ReplaceAll(m[1], "{what}", "users"))
		}
	}
	if len(paths) < 6 {
		t.Fatalf("only %v are registered: does the expression still find them?", paths)
	}
	for _, kind := range profileKinds {
		paths = append(paths, "/debug/pprof/"+kind.path)
	}
	return append(paths, "/debug/pprof/", "/debug/pprof/cmdline", "/debug/vars", "/metrics")
}

// TestListenersAreApart is P49: the public listener answers none of the admin listener's paths, with a
// token or without, and the admin listener none of the API's. /healthz is the one name that both have:
// on the API it says that the process answers, and nothing else.
func TestListenersAreApart(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0")
	token := readCredentials(t, dir).Token
	for _, path := range adminPaths(t) {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD"} {
			for _, who := range []string{"", token} {
				status, body := call(t, method, p.url()+path, who, "")
				alive := status == 200 && (body == `{"status":"ok"}` || method == "HEAD") || status == 401
				if path == "/healthz" && alive {
					continue
				}
				if status != 404 && status != 405 {
					t.Errorf("the API answers %s %s: %d %.200s", method, path, status, body)
				}
			}
		}
	}
	for _, path := range []string{
		"/v2/publish/http://127.0.0.1:1/", "/v2/batch", "/v2/keys", "/v2/dlq", "/v2/messages", "/v2/events", "/v2/queues", "/v2/topics",
		"/v2/schedules", "/v2/users", "/v2/tokens", "/v2/readiness", "/v1/queues", "/v1/publish", "/openapi.json", "/dev/catch/x",
	} {
		for _, method := range []string{"GET", "POST"} {
			if status, body := call(t, method, p.admin()+path, token, "x"); status != 404 {
				t.Errorf("the admin listener answers %s %s: %d %.200s", method, path, status, body)
			}
		}
	}
	p.stop(t)
}

// TestPorts: a server listens where it was told to, and nowhere else.
func TestPorts(t *testing.T) {
	p := start(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0")
	var want []string
	for _, url := range []string{p.url(), p.admin()} {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, port)
	}
	slices.Sort(want)
	if got := listening(t, p.pid()); !slices.Equal(got, want) {
		t.Errorf("it listens on %v, want %v", got, want)
	}
	p.stop(t)
}

// listening returns the TCP ports that a process listens on, sorted.
func listening(t *testing.T, pid int) (ports []string) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(files) == 0 {
		t.Skip("no /proc")
	}
	ours := map[string]bool{}
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil {
			ours[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // a machine without IPv6
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !ours[f[9]] {
				continue
			}
			port, err := strconv.ParseUint(f[1][strings.LastIndexByte(f[1], ':')+1:], 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, strconv.Itoa(int(port)))
		}
	}
	slices.Sort(ports)
	return ports
}
