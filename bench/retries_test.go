package bench

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// persistent is a small server of the publish route that retries as it is asked, or does
// not.
type persistent struct {
	hasty  bool // waits only half as long as it was asked for
	weary  bool // gives up one message
	silent bool // does not say how often it has tried
	twice  bool // delivers everything again
	gaveUp atomic.Bool
}

func (f *persistent) serve(ctx context.Context, ln net.Listener) error {
	clients := &hostClients{conns: 1 << 20}
	defer clients.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	return serve(ctx, ln, func(in *fasthttp.RequestCtx) {
		h := &in.Request.Header
		retries, _ := strconv.Atoi(string(h.Peek("Upstash-Retries")))
		millis, _ := strconv.Atoi(string(h.Peek("Upstash-Retry-Delay")))
		target := strings.TrimPrefix(string(h.RequestURI()), publishPrefix)
		body := append([]byte(nil), in.Request.Body()...)
		if millis > 0 && f.weary && f.gaveUp.CompareAndSwap(false, true) {
			retries = 0
		}
		wg.Go(func() { f.try(ctx, clients, target, body, retries, time.Duration(millis)*time.Millisecond) })
		answerAccepted(in)
	})
}

func (f *persistent) try(ctx context.Context, clients *hostClients, target string, body []byte, retries int, delay time.Duration) {
	var req fasthttp.Request
	var resp fasthttp.Response
	req.SetRequestURI(target)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetBodyRaw(body)
	host, _ := hostOf(target)
	if f.hasty {
		delay /= 2
	}
	for n := 0; ctx.Err() == nil && n <= retries; n++ {
		if !f.silent {
			req.Header.Set("Upstash-Retried", strconv.Itoa(n))
		}
		err := clients.of(host).DoTimeout(&req, &resp, 5*time.Second)
		if err == nil && resp.StatusCode() == 200 {
			if f.twice && delay > 0 {
				_ = clients.of(host).DoTimeout(&req, &resp, 5*time.Second)
			}
			return
		}
		_ = pause(ctx, delay)
	}
}

func quickRetries(f *persistent) RetriesOptions {
	o := RetriesOptions{Common: quick(inProcess(f.serve), 4), Rate: 200, Beside: 200, Hosts: 2}
	o.Rounds, o.Round, o.Calm = 1, 100*time.Millisecond, 40*time.Millisecond
	o.Retries, o.RetryDelay, o.DrainTimeout = 1000, 20*time.Millisecond, 20*time.Second
	return o
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{OutageStatus, OutageRefuse} {
		o := quickRetries(new(persistent))
		o.Kind, o.Rounds = kind, 2
		r, err := Retries(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		run := r.Runs[0]
		if len(run.Sides) != 3 || len(run.Figures) != 5 {
			t.Fatalf("%s: run %+v", kind, run)
		}
		for _, s := range run.Sides {
			if s.Messages == 0 || s.Failed+s.Duplicates != 0 || s.Pace == nil || s.Pace.Rate != 200 || len(s.Rounds) != 2 {
				t.Errorf("%s: side %+v", kind, s)
			}
		}
		want := []func(float64) bool{positive, positive, positive, zero, zero}
		for i, f := range run.Figures {
			if len(f.Values) != 2 || !want[i](f.Values[0]) || !want[i](f.Values[1]) {
				t.Errorf("%s: figure %+v", kind, f)
			}
		}
	}
}

func positive(v float64) bool { return v > 0 }
func zero(v float64) bool     { return v == 0 }

func TestRetriesFindsFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault *persistent
		want  error
	}{
		"too soon":       {&persistent{hasty: true}, ErrRetries},
		"given up":       {&persistent{weary: true}, ErrLost},
		"does not count": {&persistent{silent: true}, ErrRetries},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := quickRetries(c.fault)
			if c.fault.weary {
				o.DrainTimeout = 300 * time.Millisecond
			}
			if _, err := Retries(t.Context(), o); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
	r, err := Retries(t.Context(), quickRetries(&persistent{twice: true}))
	if err != nil || r.Runs[0].Figures[3].Values[0] == 0 {
		t.Fatalf("all came twice: %v, %+v", err, r)
	}
}

// TestOutageLooksAtAttempts: each attempt is compared with what the message asked for.
func TestOutageLooksAtAttempts(t *testing.T) {
	t.Parallel()
	const delay = 100 * time.Millisecond
	for name, c := range map[string]struct {
		retried string
		before  trial
		now     time.Duration // since the publish
		ok      bool
	}{
		"the first":               {retried: "0", ok: true},
		"a retry in time":         {retried: "1", before: trial{1, 10 * time.Millisecond}, now: 109 * time.Millisecond, ok: true},
		"too soon after the last": {retried: "1", before: trial{1, 50 * time.Millisecond}, now: 140 * time.Millisecond},
		"the last":                {retried: "3", before: trial{3, 300 * time.Millisecond}, now: 400 * time.Millisecond, ok: true},
		"one too many":            {retried: "4", before: trial{4, 400 * time.Millisecond}, now: 500 * time.Millisecond},
		"more than it says":       {retried: "0", before: trial{4, 400 * time.Millisecond}, now: 500 * time.Millisecond},
		"refused, in time":        {retried: "2", now: 200 * time.Millisecond, ok: true},
		"refused, too soon":       {retried: "2", now: 190 * time.Millisecond},
		"not said":                {},
	} {
		g := &outage{sink: &sink{bodies: newBodies(100)}, kind: OutageRefuse, retries: 3, delay: delay, trials: map[stampKey]trial{}}
		key := stampKey{sideOut, 7}
		if c.before.failed > 0 {
			g.trials[key] = c.before
		}
		var ctx fasthttp.RequestCtx
		if c.retried != "" {
			ctx.Request.Header.Set("Upstash-Retried", c.retried)
		}
		if err := g.look(&ctx, key, 0, c.now, true); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrRetries) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRetriesOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*RetriesOptions){
		`kind "flood"`:               func(o *RetriesOptions) { o.Kind = "flood" },
		"rates of -1":                func(o *RetriesOptions) { o.Rate = -1 },
		"-1 retries":                 func(o *RetriesOptions) { o.Retries = -1 },
		"more than an outage of 1s":  func(o *RetriesOptions) { o.Retries, o.Round = 49, time.Second },
		"calm and drain":             func(o *RetriesOptions) { o.Calm = -1 },
		"251 hosts":                  func(o *RetriesOptions) { o.Hosts = 251 },
		"no Spawn: it starts the re": func(o *RetriesOptions) { o.Spawn = nil },
	} {
		o := quickRetries(new(persistent))
		spoil(&o)
		if _, err := Retries(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
