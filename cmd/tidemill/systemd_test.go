package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// serviceManager is systemd's end of what a server is started with: a socket for its
// notifications, and listening sockets that stay when the server goes.
type serviceManager struct {
	t      *testing.T
	notify *net.UnixConn
	told   chan string
	names  []string
	files  []*os.File
	addrs  []string
}

// newServiceManager listens on a port for each name; "" is a socket without a name.
func newServiceManager(t *testing.T, names ...string) *serviceManager {
	t.Helper()
	builtBinary(t)
	m := &serviceManager{t: t, names: names, told: make(chan string, 10_000)}
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m.notify = c
	done := make(chan struct{})
	go func() { defer close(done); m.listen() }()
	t.Cleanup(func() { c.Close(); <-done })
	for range names {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		ln.Close() // the file is the same socket
		m.addrs, m.files = append(m.addrs, ln.Addr().String()), append(m.files, file)
		t.Cleanup(func() { file.Close() })
	}
	return m
}

// passSockets turns into a server that LISTEN_PID names: only it knows the number.
const passSockets = `LISTEN_PID=$$ exec "$0" "$@"`

func (m *serviceManager) launch(env []string, args ...string) *process {
	m.t.Helper()
	env = append(env, "NOTIFY_SOCKET="+m.notify.LocalAddr().String())
	var under []string
	if len(m.files) > 0 {
		env = append(env, fmt.Sprintf("LISTEN_FDS=%d", len(m.files)))
		if names := strings.Join(m.names, ":"); names != "" {
			env = append(env, "LISTEN_FDNAMES="+names)
		}
		under = []string{"sh", "-c", passSockets}
	}
	return launchWith(m.t, m.files, under, env, args...)
}

// listen takes notifications as they come: the socket's queue is short.
func (m *serviceManager) listen() {
	b := make([]byte, 4096)
	for {
		n, err := m.notify.Read(b)
		if err != nil {
			return
		}
		m.told <- string(b[:n])
	}
}

// until waits for a notification that matches, and returns all up to it.
func (m *serviceManager) until(pattern string) (got []string) {
	m.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(30 * time.Second)
	for {
		select {
		case text := <-m.told:
			if got = append(got, text); re.MatchString(text) {
				return got
			}
		case <-limit:
			m.t.Fatalf("no %s; told was %q", pattern, got)
		}
	}
}

// TestNotify: what a server tells systemd in its life. The second start has a log to go
// through and no index.
func TestNotify(t *testing.T) {
	m, dir := newServiceManager(t), t.TempDir()
	args := []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "off"}
	p := m.launch([]string{"WATCHDOG_USEC=60000"}, args...)
	m.until(`^READY=1\nSTATUS=listening on 127\.0\.0\.1:\d+: 0 schedules`)
	m.until(`^WATCHDOG=1$`)
	m.until(`^WATCHDOG=1$`)
	if err := p.ready(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	m.until(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	m.until(`^READY=1`)
	token := readCredentials(t, dir).Token
	body := strings.Repeat("x", 1<<20)
	for range 3 {
		if status, answer := call(t, "POST", p.url()+"/v2/publish/https://example.com/", token, body, "Upstash-Delay", "1h", "Content-Type", "text/plain"); status != 200 {
			t.Fatal(status, answer)
		}
	}
	p.stop(t)
	m.until(`^STOPPING=1\nSTATUS=stopping: .* at most 10s$`)

	if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
		t.Fatal(err)
	}
	p = m.launch(nil, args...)
	told := strings.Join(m.until(`^READY=1`), "\n")
	_, told, _ = strings.Cut(told, "STATUS=opening the index") // before it: the first process
	for _, want := range []string{`STATUS=checking the log\b.*\nEXTEND_TIMEOUT_USEC=\d+`, `STATUS=replaying the log: 0\.0 of \d+\.\d MiB\nEXTEND_TIMEOUT_USEC=\d+`} {
		if !regexp.MustCompile(want).MatchString(told) {
			t.Errorf("no %s in\n%s", want, told)
		}
	}
	if strings.Contains(told, "WATCHDOG=1") {
		t.Error("signs of life, and no watchdog asked for them")
	}
	p.stop(t)
}

// TestPassedSockets: the server takes the sockets that it is passed, by their names or,
// for one alone, without, and leaves its own ports alone.
func TestPassedSockets(t *testing.T) {
	for _, names := range [][]string{{""}, {"tidemill.socket"}, {"admin", "api"}} {
		m := newServiceManager(t, names...)
		api := len(names) - 1
		taken := m.addrs[api] // what the server must not try to listen on
		p := m.launch(nil, "serve", "--data", t.TempDir(), "--listen", taken, "--admin.listen", "127.0.0.1:0")
		if err := p.ready(20 * time.Second); err != nil {
			t.Fatalf("%q: %v", names, err)
		}
		if status, body := call(t, "GET", "http://"+m.addrs[api]+"/v2/keys", "", ""); status != 401 {
			t.Errorf("%q: %d %s", names, status, body)
		}
		if len(names) > 1 {
			if status, body := call(t, "GET", "http://"+m.addrs[0]+"/healthz", "", ""); status != 200 {
				t.Errorf("%q: %d %s", names, status, body)
			}
		}
		if got := p.stderr.String(); !strings.Contains(got, "the API's socket was passed by systemd: listen is not used") {
			t.Errorf("%q: not told\n%s", names, got)
		}
		p.stop(t)
	}
}

// TestPassedNonsense: sockets that nobody can know what for are refused, with the reason.
func TestPassedNonsense(t *testing.T) {
	for _, names := range [][]string{{"api", "api"}, {"api", "metrics"}, {"", ""}} {
		m, dir := newServiceManager(t, names...), t.TempDir()
		p := m.launch(nil, "serve", "--data", dir)
		if code := p.wait(t); code != int(exit.Config) || !strings.Contains(p.stderr.String(), "FileDescriptorName=") {
			t.Errorf("%q: status %d\n%s", names, code, p.output())
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%q: left %v, %v", names, left, err)
		}
	}
}
