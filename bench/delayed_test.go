package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// clockwork is a small server of the publish route that keeps delays, or does not.
type clockwork struct {
	early  time.Duration // delivers so long before the due time
	exact  atomic.Int64  // publishes with Upstash-Not-Before
	delays atomic.Int64  // with Upstash-Delay
	now    atomic.Int64  // with neither
}

func (f *clockwork) serve(ctx context.Context, ln net.Listener) error {
	clients := &hostClients{conns: 64}
	defer clients.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
		wait := f.wait(&req.Request.Header) - f.early
		out := fasthttp.AcquireRequest()
		target := strings.TrimPrefix(string(req.Request.Header.RequestURI()), publishPrefix)
		out.SetRequestURI(target)
		out.Header.SetMethod(fasthttp.MethodPost)
		out.SetBody(req.Request.Body())
		host, err := hostOf(target)
		if err != nil {
			req.Error(err.Error(), fasthttp.StatusBadRequest)
			return
		}
		wg.Go(func() {
			defer fasthttp.ReleaseRequest(out)
			if pause(ctx, wait) == nil {
				_ = clients.of(host).DoTimeout(out, nil, 5*time.Second) // the ledger knows what arrived
			}
		})
		answerAccepted(req)
	})
}

func (f *clockwork) wait(h *fasthttp.RequestHeader) time.Duration {
	if v := string(h.Peek("Upstash-Not-Before")); v != "" {
		f.exact.Add(1)
		n, _ := strconv.ParseInt(v, 10, 64)
		return time.Until(time.Unix(n, 0))
	}
	v := string(h.Peek("Upstash-Delay"))
	if v == "" {
		f.now.Add(1)
		return 0
	}
	f.delays.Add(1)
	d, _ := time.ParseDuration(v)
	return d
}

func quickDelayed(f *clockwork) DelayedOptions {
	o := DelayedOptions{Common: quick(inProcess(f.serve), 4), Rates: []int{200}, Hosts: 2, Background: Rate{PerSecond: 100}}
	o.Rounds, o.Delay, o.Spread = 1, 5*time.Millisecond, 10*time.Millisecond
	return o
}

func TestDelayed(t *testing.T) {
	t.Parallel()
	f := new(clockwork)
	r, err := Delayed(t.Context(), quickDelayed(f))
	if err != nil {
		t.Fatal(err)
	}
	s := r.Runs[0].Sides[0]
	if s.Name != "200/s beside 100/s" || s.Messages == 0 || s.Failed != 0 || s.Duplicates != 0 || s.P50 > s.P99 {
		t.Fatalf("side %+v", s)
	}
	if s.Pace == nil || s.Pace.Rate != 200 || s.Pace.void() != (s.P99 == 0) || s.Pace.void() != (len(r.Runs[0].Figures) == 0) {
		t.Fatalf("pace %+v, p99 %v, figures %+v", s.Pace, s.P99, r.Runs[0].Figures)
	}
	if f.exact.Load() == 0 || f.delays.Load() == 0 || f.now.Load() == 0 {
		t.Fatalf("%d publishes with a time, %d with a delay, %d with neither: want all three", f.exact.Load(), f.delays.Load(), f.now.Load())
	}
	if all := f.exact.Load() + f.delays.Load(); s.Messages >= all {
		t.Fatalf("%d arrivals in the round, %d published in all, before it too: the background was counted", s.Messages, all)
	}
}

// TestDelayedBesideALoad: the background is half of a peak that is measured before.
func TestDelayedBesideALoad(t *testing.T) {
	t.Parallel()
	f := new(clockwork)
	o := quickDelayed(f)
	o.Background = Rate{Half: true}
	r, err := Delayed(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 2 || r.Runs[0].Sides[0].Name != "peak" || r.Runs[0].Sides[0].Rate <= 0 {
		t.Fatalf("runs %+v", r.Runs)
	}
	half := int(r.Runs[0].Sides[0].Rate / 2)
	if want := fmt.Sprintf("200/s beside %d/s", half); r.Runs[1].Sides[0].Name != want {
		t.Fatalf("side %q, want %q", r.Runs[1].Sides[0].Name, want)
	}
}

// TestDelayedIsRecorded: the recording says when each message was due, and verify holds it
// against the arrival.
func TestDelayedIsRecorded(t *testing.T) {
	t.Parallel()
	var recording strings.Builder
	o := quickDelayed(new(clockwork))
	o.Record = &recording
	r, err := Delayed(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	v, err := VerifyRecording(strings.NewReader(recording.String()), VerifyOptions{})
	if err != nil || v.Lanes != len(o.Rates) || int64(v.Published) < r.Runs[0].Sides[0].Messages {
		t.Fatalf("%+v, %v", v, err)
	}
	lines := strings.Split(recording.String(), "\n")
	for i, line := range lines {
		var lane, seq, sent, due, acked int64
		if _, err := fmt.Sscanf(line, "p %d %d %d %d %d", &lane, &seq, &sent, &due, &acked); err == nil {
			lines[i] = fmt.Sprintf("p %d %d %d %d %d", lane, seq, sent, due+60_000_000, acked)
		}
	}
	if _, err := VerifyRecording(strings.NewReader(strings.Join(lines, "\n")), VerifyOptions{}); !errors.Is(err, ErrEarly) {
		t.Fatalf("messages a minute before they are due: %v", err)
	}
}

func TestEarlyFailsTheRun(t *testing.T) {
	t.Parallel()
	if _, err := Delayed(t.Context(), quickDelayed(&clockwork{early: 20 * time.Millisecond})); !errors.Is(err, ErrEarly) {
		t.Fatalf("error %v, want %v", err, ErrEarly)
	}
}

func TestDelayedOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*DelayedOptions){
		"rate 0":      func(o *DelayedOptions) { o.Rates = []int{0} },
		"delay -1ns":  func(o *DelayedOptions) { o.Delay = -1 },
		"spread -1ns": func(o *DelayedOptions) { o.Spread = -1 },
		"rate -1":     func(o *DelayedOptions) { o.Background.PerSecond = -1 },
		"251 hosts":   func(o *DelayedOptions) { o.Hosts = 251 },
		"no Spawn":    func(o *DelayedOptions) { o.Spawn = nil },
	} {
		o := quickDelayed(new(clockwork))
		spoil(&o)
		if _, err := Delayed(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
