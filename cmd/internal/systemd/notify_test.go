package systemd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager is the service manager's end of the socket.
type manager struct{ *net.UnixConn }

func newManager(t *testing.T) manager {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return manager{c}
}

// next is the next datagram; it fails if none comes.
func (m manager) next(t *testing.T) string {
	t.Helper()
	if err := m.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := m.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestNotifier(t *testing.T) {
	m := newManager(t)
	n := FromEnv()
	if os.Getenv("NOTIFY_SOCKET") != "" {
		t.Error("NOTIFY_SOCKET is left in the environment")
	}
	n.Recovering("replaying the log", 3<<30+100<<20, 12<<30)
	n.Recovering("replaying the log", 4<<30, 12<<30) // too soon: not told
	n.Recovering("loading", 0, 0)
	n.Ready("listening on :8080")
	n.Status("listening on :8080") // known
	n.Status("two\nlines")
	n.Reloading()
	n.Ready("reloaded")
	n.Stopping("stopping")
	n.Status("listening on :8080") // comes too late
	n.send(patience, "END=1")
	for _, want := range []string{
		`STATUS=replaying the log: 3\.1 of 12\.0 GiB\nEXTEND_TIMEOUT_USEC=120000000`,
		`STATUS=loading\nEXTEND_TIMEOUT_USEC=120000000`,
		`READY=1\nSTATUS=listening on :8080`,
		`STATUS=two lines`,
		`RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*`,
		`READY=1\nSTATUS=reloaded`,
		`STOPPING=1\nSTATUS=stopping`,
		`END=1`,
	} {
		if got := m.next(t); !regexp.MustCompile(`\A` + want + `\z`).MatchString(got) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestNobodyListens: outside of systemd, and with a manager that is gone, nothing happens.
func TestNobodyListens(t *testing.T) {
	m := newManager(t)
	gone := FromEnv()
	m.Close()
	none := FromEnv()
	if none != nil {
		t.Fatalf("%+v without NOTIFY_SOCKET", none)
	}
	for _, n := range []*Notifier{none, gone} {
		n.Recovering("x", 1, 2)
		n.Ready("x")
		n.Status("y")
		n.Reloading()
		n.Stopping("z")
		n.Watch(t.Context(), func(context.Context) error { t.Error("asked"); return nil }, slog.New(slog.DiscardHandler))
	}
	none.Report(t.Context(), time.Hour, func() string { return "" })
}

// TestBusyManager: a manager that does not read holds nobody up, and hears of what is
// important once it does.
func TestBusyManager(t *testing.T) {
	m := newManager(t)
	n := FromEnv()
	for i := range 100 {
		n.Status(strconv.Itoa(i)) // a second each would be the test's end
	}
	done := make(chan struct{})
	go func() { defer close(done); n.Stopping("stopping") }()
	for !strings.HasPrefix(m.next(t), "STOPPING=1") { //nolint:revive // the queue is emptied
	}
	<-done
}

// TestWatch: there is a sign of life while the ping answers and none while it does not;
// then the journal has the reason.
func TestWatch(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	n := FromEnv()
	if n.watchdog != 30*time.Millisecond || os.Getenv("WATCHDOG_USEC")+os.Getenv("WATCHDOG_PID") != "" {
		t.Fatalf("%+v, left in the environment: %q", n, os.Getenv("WATCHDOG_USEC"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log strings.Builder
	answers := []error{nil, errors.New("the loop has taken no step"), errors.New("nor now"), nil}
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Watch(ctx, func(ctx context.Context) error {
			if len(answers) == 0 {
				cancel()
				return ctx.Err()
			}
			err := answers[0]
			answers = answers[1:]
			n.send(patience, "ASKED=1")
			return err
		}, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	<-done
	var got []string
	for range 6 {
		got = append(got, m.next(t))
	}
	if want := "ASKED=1 WATCHDOG=1 ASKED=1 ASKED=1 ASKED=1 WATCHDOG=1"; strings.Join(got, " ") != want {
		t.Errorf("got %q", got)
	}
	if text := log.String(); strings.Count(text, "does not answer") != 2 || !strings.Contains(text, "the loop has taken no step") {
		t.Error(text)
	}
}

// TestForeignWatchdog: a watchdog that waits for another process is not fed.
func TestForeignWatchdog(t *testing.T) {
	newManager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", "1")
	if n := FromEnv(); n.watchdog != 0 {
		t.Errorf("%v", n.watchdog)
	}
}

func TestReport(t *testing.T) {
	m := newManager(t)
	n := FromEnv()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	calls := 0
	go func() {
		defer close(done)
		n.Report(ctx, time.Millisecond, func() string { calls++; return "the same, " + strconv.Itoa(calls/10) })
	}()
	for want := range 3 {
		if got := m.next(t); got != "STATUS=the same, "+strconv.Itoa(want) {
			t.Errorf("got %q", got)
		}
	}
	cancel()
	<-done
}
