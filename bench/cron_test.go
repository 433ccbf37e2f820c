package bench

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// testRhythm is that of metronome's schedules.
const testRhythm = 400 * time.Millisecond

// metronome is a small server of schedules, with faults to choose from.
type metronome struct {
	miss   bool // one tick of each schedule
	double bool // publishes every tick twice
	early  time.Duration
	slow   time.Duration // to define one

	mu      sync.Mutex
	defined map[string]context.CancelFunc
	headers []string // of the definitions
}

func (f *metronome) serve(ctx context.Context, ln net.Listener) error {
	f.defined = make(map[string]context.CancelFunc)
	clients := &hostClients{conns: 64}
	defer clients.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
		h := &req.Request.Header
		rest := strings.TrimPrefix(string(h.RequestURI()), "/v2/schedules/")
		f.mu.Lock()
		defer f.mu.Unlock()
		if h.IsDelete() {
			cancel := f.defined[rest]
			if cancel == nil {
				req.Error("not found", fasthttp.StatusNotFound)
				return
			}
			cancel()
			delete(f.defined, rest)
			return
		}
		slow := f.slow
		f.slow = 0
		id := string(h.Peek("Upstash-Schedule-Id"))
		f.headers = append(f.headers, string(h.Peek("Upstash-Cron"))+" "+string(h.Peek("Tidemill-Cron-Seconds")))
		if cancel := f.defined[id]; cancel != nil {
			cancel()
		}
		own, cancel := context.WithCancel(ctx)
		f.defined[id] = cancel
		body := append([]byte(nil), req.Request.Body()...)
		began := time.Now()
		wg.Go(func() { f.beat(own, ctx, clients, rest, body, began) })
		_ = pause(ctx, slow)
		answerAccepted(req)
	})
}

// beat publishes until it is deleted; a tick that is under way still comes.
func (f *metronome) beat(own, ctx context.Context, clients *hostClients, target string, body []byte, began time.Time) {
	host, _ := hostOf(target)
	for k := 0; ; k++ {
		tick := began.Round(0).Truncate(testRhythm).Add(time.Duration(k+1) * testRhythm)
		if pause(own, time.Until(tick)-f.early) != nil {
			return
		}
		if f.miss && k == 0 {
			continue
		}
		var req fasthttp.Request
		req.SetRequestURI(target)
		req.Header.SetMethod(fasthttp.MethodPost)
		req.SetBodyRaw(body)
		for range map[bool]int{false: 1, true: 2}[f.double] {
			if ctx.Err() == nil {
				_ = clients.of(host).DoTimeout(&req, nil, 5*time.Second) // ticks know what arrived
			}
		}
	}
}

func quickCron(f *metronome) CronOptions {
	o := CronOptions{Common: quick(inProcess(f.serve), 2), Schedules: 5, Hosts: 2, DrainTimeout: 5 * time.Second, every: testRhythm}
	o.Rounds, o.Round = 1, 2*testRhythm
	return o
}

func TestCron(t *testing.T) {
	t.Parallel()
	f := &metronome{slow: testRhythm} // the first definition outlasts a tick
	r, err := Cron(t.Context(), quickCron(f))
	if err != nil {
		t.Fatal(err)
	}
	run := r.Runs[0]
	s := run.Sides[0]
	if run.Concurrency != 5 || s.Messages < 5 || s.P99 <= 0 || s.Failed != 0 || len(run.Figures) < 3 {
		t.Fatalf("run %+v", run)
	}
	if len(f.defined) != 0 {
		t.Errorf("%d schedules were left", len(f.defined))
	}
	if len(f.headers) < 6 || f.headers[0] != "* * * * * * true" {
		t.Errorf("definitions %q: want 5, and one of them again", f.headers)
	}
}

func TestCronFindsFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault *metronome
		want  error
	}{
		"missed": {&metronome{miss: true}, ErrLost},
		"twice":  {&metronome{double: true}, ErrTwice},
		"early":  {&metronome{early: 150 * time.Millisecond}, ErrEarly},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := quickCron(c.fault)
			o.DrainTimeout = 500 * time.Millisecond
			if _, err := Cron(t.Context(), o); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if len(c.fault.defined) != 0 {
				t.Errorf("%d schedules were left", len(c.fault.defined))
			}
		})
	}
}

// TestTicks: what comes is compared with the tick that is due.
func TestTicks(t *testing.T) {
	b := newBodies(100)
	o := CronOptions{Schedules: 1, Hosts: 1}
	k, err := openTicks(&o, b)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := k.close(); err != nil {
			t.Error(err)
		}
	}()
	zero := time.Unix(1_800_000_000, 0)
	at := func(seconds float64) time.Time { return zero.Add(time.Duration(seconds * float64(time.Second))) }
	turn := k.expect(0, at(0.5))
	for _, c := range []struct {
		turn uint64
		now  float64
		want error
	}{
		{turn - 1, 0.6, nil}, // of another definition
		{turn, 0.9, ErrEarly},
		{turn, 1, nil},
		{turn, 1.1, ErrTwice},
		{turn, 2.9, nil}, // late
		{turn, 2.95, ErrEarly},
		{turn, 3, nil},
		{turn, 5.5, nil}, // tick 4, and 5 will follow
		{turn, 5.6, nil},
		{turn, 5.7, ErrEarly},
	} {
		if err := k.tick(0, c.turn, at(c.now)); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("at %vs: %v, want %v", c.now, err, c.want)
		}
	}
	if got := k.due(0); !got.Equal(at(6)) {
		t.Errorf("the next tick is at %v, want 6s", got.Sub(zero))
	}
}

func TestCronOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*CronOptions){
		"-1 schedules":       func(o *CronOptions) { o.Schedules = -1 },
		"-1 minutes":         func(o *CronOptions) { o.Minutes = -1 },
		"251 hosts":          func(o *CronOptions) { o.Hosts = 251 },
		"drain timeout":      func(o *CronOptions) { o.DrainTimeout = -1 },
		"no Spawn: it start": func(o *CronOptions) { o.Spawn = nil },
	} {
		o := quickCron(new(metronome))
		spoil(&o)
		if _, err := Cron(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	o := CronOptions{Minutes: 3}.withDefaults()
	if every, header := o.rhythm(); every != time.Minute || len(header) != 1 || o.Round != 3*time.Minute || o.Rounds != 1 {
		t.Errorf("3 minutes: every %v, %q, %d rounds of %v", every, header, o.Rounds, o.Round)
	}
}
