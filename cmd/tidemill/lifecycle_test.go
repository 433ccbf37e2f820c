package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// publishTo publishes text to a destination as dev user 1.
func publishTo(t testing.TB, p *process, destination, text string, header ...string) {
	t.Helper()
	status, body := call(t, "POST", p.url()+"/v2/publish/"+destination, devUsers[0].Token, text, header...)
	if status != 200 {
		t.Fatalf("publish: %d %s", status, body)
	}
}

// TestBannerCurl does what a new user does: runs the printed command and sees the
// message arrive, with its signature verified.
func TestBannerCurl(t *testing.T) {
	p := start(t, "dev", "--port", "0")
	if !strings.Contains(p.stdout.String(), devCurl(p.url())) {
		t.Fatalf("the command is not in\n%s", p.stdout)
	}
	publishTo(t, p, p.url()+catchPrefix+"/hello", "hello")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if !p.stdout.await(ctx, "    hello\n") {
		t.Fatalf("the message is not printed\n%s", p.output())
	}
	if got := p.stdout.String(); !strings.Contains(got, "POST /dev/catch/hello  msg_") ||
		!strings.Contains(got, "retried 0  signature verified  5 B") {
		t.Errorf("printed was\n%s", got)
	}
	p.stop(t)
}

// slowSink answers only when it is released, and says when a request is there.
func slowSink(t *testing.T) (url string, arrived chan struct{}, release func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, released := make(chan struct{}, 16), make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-released
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() {
		release()
		_ = srv.Close()
		<-done
	})
	return "http://" + ln.Addr().String(), arrived, release
}

// TestShutdownFinishesAttempts: an attempt in flight at SIGTERM ends as it would
// have, and is not made again by the next start.
func TestShutdownFinishesAttempts(t *testing.T) {
	dir := t.TempDir()
	url, arrived, release := slowSink(t)
	p := start(t, "dev", "--port", "0", "--data", dir)
	publishTo(t, p, url, "x")
	<-arrived
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if !p.stderr.await(ctx, "stopping") {
		t.Fatal(p.output())
	}
	release()
	if code := p.wait(t); code != 0 {
		t.Fatalf("exit status %d\n%s", code, p.output())
	}

	p = start(t, "dev", "--port", "0", "--data", dir)
	publishTo(t, p, p.url()+catchPrefix+"/mark", "mark") // what was due before is attempted before it
	if !p.stdout.await(ctx, "    mark\n") {
		t.Fatal(p.output())
	}
	p.stop(t)
	if len(arrived) != 0 {
		t.Error("the attempt that ended during shutdown was made again")
	}
}

// TestShutdownCutsOff: an attempt that does not end is left after
// shutdown.timeout, which is no failure, and made again by the next start.
func TestShutdownCutsOff(t *testing.T) {
	dir := t.TempDir()
	url, arrived, release := slowSink(t)
	p := start(t, "dev", "--port", "0", "--data", dir, "--shutdown.timeout", "200ms")
	publishTo(t, p, url, "x")
	<-arrived
	p.stop(t)
	p = start(t, "dev", "--port", "0", "--data", dir)
	<-arrived
	release()
	p.stop(t)
}

// TestTwoSignalsAtOnce: timeout(1) signals twice and means an orderly stop.
func TestTwoSignalsAtOnce(t *testing.T) {
	first := time.Now()
	if again(first, first.Add(sameMoment)) || !again(first, first.Add(sameMoment+1)) {
		t.Error("a second signal at the same moment counts, or a later one does not")
	}
}

// TestSecondSignal ends a drain that takes too long for the operator.
func TestSecondSignal(t *testing.T) {
	url, arrived, _ := slowSink(t)
	p := start(t, "dev", "--port", "0", "--shutdown.timeout", "1h")
	publishTo(t, p, url, "x")
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if !p.stderr.await(ctx, "stopping") {
		t.Fatal(p.output())
	}
	for !p.gone() && ctx.Err() == nil { // one at the moment of the first does not count
		_ = p.cmd.Process.Signal(os.Interrupt)
		time.Sleep(10 * time.Millisecond)
	}
	if code := p.wait(t); code != int(exit.Failure) {
		t.Errorf("exit status %d, want %d", code, int(exit.Failure))
	}
}

// TestLogFailureEndsTheProcess is W8 on the real thing: a log that the disk stops
// taking, here by a limit on file sizes, ends the process with the reason, and
// what was acknowledged before is delivered by the next start.
func TestLogFailureEndsTheProcess(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "dev", "--port", "0", "--data", dir)
	url := p.url() + "/v2/publish/" + p.url() + catchPrefix + "/kept"
	status, answer := call(t, "POST", url, devUsers[0].Token, "kept", "Upstash-Delay", "1h")
	if status != 200 {
		t.Fatalf("publish: %d %s", status, answer)
	}
	limit := unix.Rlimit{Cur: 4096, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(p.pid(), unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Skipf("cannot limit the size of files: %v", err)
	}
	// A connection that breaks leaves the outcome as unknown as a 503 does.
	status, answer503, err := request(t.Context(), "POST", url, devUsers[0].Token, strings.Repeat("x", 64<<10))
	if err == nil && status != 503 {
		t.Errorf("a publish that the log did not take: %d %s", status, answer503)
	}
	if code := p.wait(t); code != int(exit.IO) {
		t.Errorf("exit status %d, want %d\n%s", code, int(exit.IO), p.output())
	}
	if got := p.stderr.String(); !strings.Contains(got, "the log failed, stopping") || !strings.Contains(got, "file too large") {
		t.Errorf("the reason is not told:\n%s", got)
	}

	p = start(t, "dev", "--port", "0", "--data", dir)
	_, id, _ := strings.Cut(answer, `"messageId":"`)
	id, _, _ = strings.Cut(id, `"`)
	if status, body := call(t, "GET", p.url()+"/v2/messages/"+id, devUsers[0].Token, ""); status != 200 {
		t.Errorf("the acknowledged message: %d %s", status, body)
	}
	p.stop(t)
}

// TestAdmin: profiles and health are on a listener of their own, and only there.
func TestAdmin(t *testing.T) {
	p := start(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0")
	if got := p.stderr.String(); strings.Contains(got, "not on loopback") {
		t.Errorf("a warning of a listener on loopback: %s", got)
	}
	_, admin, _ := strings.Cut(p.stdout.String(), "Admin: ")
	admin, _, _ = strings.Cut(admin, "/healthz")
	if status, body := call(t, "GET", admin+"/healthz", "", ""); status != 200 {
		t.Errorf("health: %d %s", status, body)
	}
	if status, body := call(t, "GET", admin+"/debug/pprof/goroutine?debug=1", "", ""); status != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("profile: %d %.100s", status, body)
	}
	if status, _ := call(t, "GET", p.url()+"/debug/pprof/", "", ""); status != 404 {
		t.Errorf("the API serves profiles: %d", status)
	}
	p.stop(t)
}

// TestAdminOnAllAddresses: an admin listener that others can reach is told of.
func TestAdminOnAllAddresses(t *testing.T) {
	p := start(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin.listen", ":0")
	if got := p.stderr.String(); !strings.Contains(got, "takes no token and is not on loopback") {
		t.Errorf("no warning: %s", got)
	}
	p.stop(t)
}

// TestDevAdminPortTaken: dev goes on without its admin listener, with a line.
func TestDevAdminPortTaken(t *testing.T) {
	api := freeAddr(t)
	a, err := net.ResolveTCPAddr("tcp", api)
	if err != nil {
		t.Fatal(err)
	}
	beside := adminBeside(a)
	if beside == config.AdminOff {
		t.Skip("the free port has none 1000 above it")
	}
	taken, err := net.Listen("tcp", beside)
	if err != nil {
		t.Skipf("taken already: %v", err)
	}
	defer taken.Close()
	p := start(t, "dev", "--listen", api)
	if got := p.stderr.String(); !strings.Contains(got, "the admin listener is off") || !strings.Contains(got, "--admin.listen") {
		t.Errorf("not said why:\n%s", got)
	}
	p.stop(t)
}
