package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// stubborn is a small server of the publish route that tries until it is answered,
// each message on a goroutine of its own, so that no host can hold another up.
type stubborn struct {
	forget string // does not deliver to hosts with this prefix
	busy   int64  // refuses every n-th publish for now; 0: none
	rude   bool   // and does not say until when
	count  atomic.Int64
}

func (f *stubborn) serve(ctx context.Context, ln net.Listener) error {
	clients := &hostClients{conns: 1 << 20}
	defer clients.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	return serve(ctx, ln, func(in *fasthttp.RequestCtx) {
		if f.busy > 0 && f.count.Add(1)%f.busy == 0 {
			in.Error("busy", fasthttp.StatusServiceUnavailable)
			if !f.rude {
				in.Response.Header.Set("Retry-After", "0")
			}
			return
		}
		h := &in.Request.Header
		target := strings.TrimPrefix(string(h.RequestURI()), publishPrefix)
		later := len(h.Peek("Upstash-Delay")) > 0
		if !later && (f.forget == "" || !strings.HasPrefix(target, "http://"+f.forget)) {
			timeout, _ := time.ParseDuration(string(h.Peek("Upstash-Timeout")))
			millis, _ := strconv.Atoi(string(h.Peek("Upstash-Retry-Delay")))
			body := append([]byte(nil), in.Request.Body()...)
			wg.Go(func() { insist(ctx, clients, target, body, timeout, time.Duration(millis)*time.Millisecond) })
		}
		answerAccepted(in)
	})
}

func insist(ctx context.Context, clients *hostClients, target string, body []byte, timeout, retry time.Duration) {
	var req fasthttp.Request
	var resp fasthttp.Response
	req.SetRequestURI(target)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetBodyRaw(body)
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	host, _ := hostOf(target)
	for ctx.Err() == nil {
		if err := clients.of(host).DoTimeout(&req, &resp, timeout); err == nil && resp.StatusCode() == 200 {
			return
		}
		_ = pause(ctx, retry)
	}
}

func quickIsolation(f *stubborn) IsolationOptions {
	o := IsolationOptions{Common: quick(inProcess(f.serve), 8), Hosts: 2, Rate: 200}
	o.Rounds, o.Slow, o.AttemptTimeout, o.RetryDelay = 2, 10*time.Millisecond, 5*time.Second, 10*time.Millisecond
	o.DrainTimeout = 20 * time.Second
	return o
}

func TestIsolation(t *testing.T) {
	t.Parallel()
	r, err := Isolation(t.Context(), quickIsolation(new(stubborn)))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 2 || len(r.Runs[1].Ratios) != 1 {
		t.Fatalf("runs %+v", r.Runs)
	}
	known := 0 // sides whose latencies are the server's: the machine may be too busy for the rate
	for _, s := range r.Runs[0].Sides {
		if s.Pace.Rate != 800 {
			t.Errorf("pace %+v of four kinds of hosts", s.Pace)
		}
		if !s.Pace.void() {
			known++
		}
	}
	if q := r.Runs[0].Ratios; known == 2 && (len(q) != 2 || q[1].What != "p99") {
		t.Errorf("ratios %+v", q)
	}
	for i, names := range [][]string{{"all@200/s", "alone@200/s"}, {"all", "alone"}} {
		for k, s := range r.Runs[i].Sides {
			if s.Name != names[k] || len(s.Rounds) != 2 || s.Messages == 0 || s.Failed != 0 || s.Duplicates != 0 {
				t.Errorf("side %+v", s)
			}
			if _, err := os.Stat("/proc/self/fd"); err == nil && (s.Held == nil || s.Held.Descriptors < 5 || s.Held.Resident < 1<<20) {
				t.Errorf("side %s held %+v", s.Name, s.Held)
			}
		}
	}
	for _, q := range append(r.Runs[0].Ratios, r.Runs[1].Ratios...) {
		if q.Min <= 0 || q.Min > q.Median || q.Median > q.Max {
			t.Errorf("ratio %+v", q)
		}
	}
}

// TestIsolationInsists: a refusal with a Retry-After is no failure, and one without is.
func TestIsolationInsists(t *testing.T) {
	t.Parallel()
	r, err := Isolation(t.Context(), quickIsolation(&stubborn{busy: 5}))
	if err != nil {
		t.Fatal(err)
	}
	if got := figure(t, &r.Runs[1], "all: refused for now"); len(got) != 2 || got[0] <= 0 {
		t.Errorf("refused %v", got)
	}
	if s := r.Runs[1].Sides[0]; s.Failed != 0 || s.Messages == 0 {
		t.Errorf("side %+v", s)
	}
	if _, err := Isolation(t.Context(), quickIsolation(&stubborn{busy: 5, rude: true})); !errors.Is(err, ErrFailing) {
		t.Errorf("error %v, want %v", err, ErrFailing)
	}
}

// What does not arrive at a host that was revived is lost, whatever its kind was.
func TestIsolationMissesWhatIsLost(t *testing.T) {
	for prefix, kind := range map[string]string{"127.1.0.": "dead", "127.2.0.": "black hole", "127.3.0.": "slow"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			needLoopback(t, prefix)
			o := quickIsolation(&stubborn{forget: prefix})
			o.DrainTimeout = time.Second
			if _, err := Isolation(t.Context(), o); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), kind) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// needLoopback skips a test on systems with one loopback address.
func needLoopback(t *testing.T, prefix string) {
	t.Helper()
	ln, err := net.Listen("tcp", prefix+"2:0")
	if err != nil {
		t.Skipf("this system has one loopback address only: %v", err)
	}
	ln.Close()
}

func TestIsolationOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*IsolationOptions){
		"a server of its own": func(o *IsolationOptions) { o.Server.URL = "http://127.0.0.1:1" },
		"251 hosts":           func(o *IsolationOptions) { o.Hosts = 251 },
		"rate -1":             func(o *IsolationOptions) { o.Rate = -1 },
		"slow hosts of -1ns":  func(o *IsolationOptions) { o.Slow = -1 },
		"drain timeout":       func(o *IsolationOptions) { o.DrainTimeout = -1 },
		"no Spawn":            func(o *IsolationOptions) { o.Spawn = nil },
	} {
		o := quickIsolation(new(stubborn))
		spoil(&o)
		if _, err := Isolation(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestCrowd: each kind behaves as it is called, until it is revived.
func TestCrowd(t *testing.T) {
	t.Parallel()
	b := newBodies(100)
	c, err := openCrowd([kindsAll]int{1, 2, 2, 2, 2, 2, 2}, time.Hour, 1000, b)
	if err != nil {
		t.Fatal(err)
	}
	l := newUnmeasuredLedger()
	clients := &hostClients{conns: 1}
	call := func(kind int, timeout time.Duration) error {
		c.ledgers[kind].Store(l)
		seq, err := l.open(nil)
		if err != nil {
			return err
		}
		body := b.blank()
		b.put(body, uint64(kind), seq)
		var req fasthttp.Request
		req.SetRequestURI("http://" + c.of[kind][0] + "/")
		req.Header.SetMethod(fasthttp.MethodPost)
		req.SetBodyRaw(body)
		var resp fasthttp.Response
		err = clients.of(c.of[kind][0]).DoTimeout(&req, &resp, timeout)
		if huge := len(resp.Body()) == 1000; err == nil && huge != (kind == kindHuge && c.revived.Err() == nil) {
			t.Errorf("%s: an answer of %d bytes", kindNames[kind], len(resp.Body()))
		}
		if err == nil && resp.StatusCode() != fasthttp.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode())
		}
		return err
	}
	for kind, short := range [kindsAll]bool{kindHole: true, kindSlow: true} {
		timeout := 5 * time.Second
		if short {
			timeout = 20 * time.Millisecond
		}
		err := call(kind, timeout)
		if ok := err == nil; ok != (kind == kindHealthy || kind == kindHuge) || short && !errors.Is(err, fasthttp.ErrTimeout) {
			t.Errorf("%s: %v", kindNames[kind], err)
		}
	}
	if err := c.heal(); err != nil {
		t.Fatal(err)
	}
	for kind := range kindsAll {
		if err := call(kind, 5*time.Second); err != nil {
			t.Errorf("%s, revived: %v", kindNames[kind], err)
		}
	}
	clients.close()
	if err := errors.Join(c.close(), c.damaged()); err != nil {
		t.Fatal(err)
	}
}

func TestStatusBytes(t *testing.T) {
	status := []byte("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n")
	if n, ok := statusBytes(status, "VmRSS:"); n != 1<<20 || !ok {
		t.Errorf("got %d, %v", n, ok)
	}
	for _, bad := range []string{"", "VmRSS:", "VmRSS:\t12 MB", "VmRSS:\tx kB"} {
		if n, ok := statusBytes([]byte(bad), "VmRSS:"); ok {
			t.Errorf("%q: got %d", bad, n)
		}
	}
	if n := descriptors(-1); n != 0 {
		t.Errorf("no process has %d descriptors", n)
	}
}
