package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"
)

// childEnv makes the test binary play the part that its arguments name.
const childEnv = "TIDEMILL_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	if played, err := playProgram(); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(childEnv) != "" {
		if err := playChild(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// fasthttp keeps helpers that sleep on after their owner has ended.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"))
}

func playChild(args []string) error {
	switch {
	case args[0] == "role":
		return RunRole(context.Background(), Role(args[1]), os.Stdin, os.Stdout)
	case args[0] == "serve" && args[len(args)-1] == "broken":
		return errors.New("no disk")
	case args[0] == "serve":
		return playServer(args)
	}
	return fmt.Errorf("unknown arguments %q", args)
}

// playServer is a relay that prints what a first start of the server prints.
func playServer(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if want := "--data  --listen 127.0.0.1:0"; args[1]+"  "+args[3]+" "+args[4] != want {
		return fmt.Errorf("arguments %q, want %s", args, want)
	}
	if err := os.WriteFile(args[2]+"/written", nil, 0o600); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", args[4])
	if err != nil {
		return err
	}
	fmt.Printf("export QSTASH_TOKEN=%q\nData: %s\nServer is running at http://%s\n", "secret", args[2], ln.Addr())
	if args[len(args)-1] == "mortal" {
		return serve(ctx, ln, dieAt(100))
	}
	return ServeRelay(ctx, ln)
}

// dieAt answers so many requests; the next is the process's last.
func dieAt(n int64) fasthttp.RequestHandler {
	var count atomic.Int64
	return func(req *fasthttp.RequestCtx) {
		if count.Add(1) > n {
			fmt.Fprintln(os.Stderr, "the last words")
			os.Exit(3)
		}
		answerAccepted(req)
	}
}

// inProcess is a Spawn for tests. server, if any, plays RoleServer.
func inProcess(server func(context.Context, net.Listener) error) Spawn {
	return func(_ context.Context, role Role) (*Child, error) {
		play := map[Role]func(context.Context, net.Listener) error{
			RoleEcho: ServeEcho, RoleRelay: ServeRelay, RoleProbe: ServeProbe, RoleServer: server,
		}[role]
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- play(ctx, ln) }()
		s := Server{URL: "http://" + ln.Addr().String(), Token: "secret", PID: os.Getpid()}
		return NewChild(s, func() error { cancel(); return <-done }), nil
	}
}

// fake is a small server of the publish route, with faults to choose from.
type fake struct {
	deliver   bool
	lose      int64 // acks but does not deliver every n-th; 0: none
	repeat    int64 // delivers every n-th twice
	damage    bool  // changes a byte of each body
	refuse    bool  // answers 503
	delay     string
	published atomic.Int64
	badHead   atomic.Pointer[string]
}

func (f *fake) serve(ctx context.Context, ln net.Listener) error {
	clients := &hostClients{conns: 64}
	defer clients.close()
	return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
		if bad := f.check(req); bad != "" {
			f.badHead.CompareAndSwap(nil, &bad)
		}
		n := f.published.Add(1)
		switch {
		case f.refuse:
			req.Error(`{"error":"overloaded"}`, fasthttp.StatusServiceUnavailable)
			return
		case !f.deliver, f.lose > 0 && n%f.lose == 0:
		case f.repeat > 0 && n%f.repeat == 0:
			f.forward(req, clients)
			f.forward(req, clients)
		default:
			f.forward(req, clients)
		}
		answerAccepted(req)
	})
}

func (f *fake) check(req *fasthttp.RequestCtx) string {
	h := &req.Request.Header
	switch {
	case string(h.Peek("Authorization")) != "Bearer secret":
		return "Authorization: " + string(h.Peek("Authorization"))
	case string(h.Peek("Upstash-Delay")) != f.delay:
		return "Upstash-Delay: " + string(h.Peek("Upstash-Delay"))
	case !h.IsPost() || !strings.HasPrefix(string(h.RequestURI()), "/v2/publish/http://127.0.0."):
		return string(h.Method()) + " " + string(h.RequestURI())
	}
	return ""
}

func (f *fake) forward(in *fasthttp.RequestCtx, clients *hostClients) {
	var (
		req  fasthttp.Request
		resp fasthttp.Response
	)
	target := strings.TrimPrefix(string(in.Request.Header.RequestURI()), publishPrefix)
	req.SetRequestURI(target)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetBody(in.Request.Body())
	if f.damage {
		req.Body()[stampBytes+5] ^= 1
	}
	host, err := hostOf(target)
	if err == nil {
		err = clients.of(host).DoTimeout(&req, &resp, 5*time.Second)
	}
	if err != nil {
		in.Error(err.Error(), fasthttp.StatusBadGateway)
	}
}

// quick is a run short enough for a test.
func quick(spawn Spawn, concurrency ...int) Common {
	return Common{
		Spawn:       spawn,
		Concurrency: concurrency,
		Rounds:      3,
		Round:       40 * time.Millisecond,
		WarmUp:      10 * time.Millisecond,
		BodyBytes:   256,
	}
}
