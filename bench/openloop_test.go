package bench

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// always is the switch of a meter that counts everything.
func always() *atomic.Bool {
	on := new(atomic.Bool)
	on.Store(true)
	return on
}

// TestPacer: moments come in order, none before its time and none left out, however late
// they are asked for.
func TestPacer(t *testing.T) {
	p := newPacer(2000, always()).start()
	defer p.close()
	for k := range 200 {
		if k == 50 {
			time.Sleep(20 * time.Millisecond) // 40 moments pass
		}
		moment, err := p.wait(nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := p.begin.Add(time.Duration(k) * 500 * time.Microsecond); !moment.Equal(want) {
			t.Fatalf("moment %d is %v after the first, want %v", k, moment.Sub(p.begin), want.Sub(p.begin))
		}
		if early := time.Until(moment); early > 0 {
			t.Fatalf("moment %d came %v before its time", k, early)
		}
	}
	if q := p.pace(time.Second, 0); q.Behind < 10*time.Millisecond || q.Rate != 2000 {
		t.Fatalf("after a break of 20 ms: %+v", q)
	}
	stopped := make(chan struct{})
	close(stopped)
	if _, err := p.wait(stopped); !errors.Is(err, errStopped) {
		t.Fatalf("error %v", err)
	}
}

// TestPace: a rate is missed if messages were not sent, or if the harness was late itself.
func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		sent      int64
		overslept time.Duration
		p99       time.Duration
		missed    int
		drowsy    int
	}{
		"kept":                  {sent: 1000, p99: 10 * time.Millisecond},
		"all but the last":      {sent: 975},
		"not sent":              {sent: 900, missed: 1},
		"the harness was late":  {sent: 1000, overslept: 6 * time.Millisecond, p99: 10 * time.Millisecond, drowsy: 1},
		"latencies of its own":  {sent: 1000, overslept: 6 * time.Millisecond},
		"late, but hardly that": {sent: 1000, overslept: time.Millisecond, p99: 10 * time.Millisecond},
	} {
		p := newPacer(1000, always())
		p.sent = c.sent
		if err := p.overslept.RecordValue(int64(c.overslept)); err != nil {
			t.Fatal(err)
		}
		if got := p.pace(time.Second, c.p99); got.Missed != c.missed || got.Drowsy != c.drowsy || got.Sent != float64(c.sent) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestRateNotKept: what a server that is too slow for a rate took is told, and its
// latencies are not.
func TestRateNotKept(t *testing.T) {
	t.Parallel()
	slow := func(ctx context.Context, ln net.Listener) error {
		return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
			_ = pause(ctx, 10*time.Millisecond)
			answerAccepted(req)
		})
	}
	o := PublishOptions{Common: quick(inProcess(slow), 1), Rate: Rate{PerSecond: 5000}}
	o.Round = 60 * time.Millisecond
	r, err := Publish(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Runs[0].Sides[0]
	if s.Pace == nil || s.Pace.Missed != 3 || s.P50 != 0 || s.P99 != 0 || s.Max != 0 || s.Rounds[0].P99 != 0 || s.Pace.Sent > 200 || s.Pace.Sent > 0 && s.Pace.Behind <= 0 {
		t.Fatalf("side %+v, pace %+v", s, s.Pace)
	}
	if len(r.Runs[0].Ratios) != 0 {
		t.Fatalf("ratios of nothing: %+v", r.Runs[0].Ratios)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "THE RATE WAS NOT KEPT in 3 of 3 rounds") {
		t.Fatalf("%v in\n%s", err, &text)
	}
}

func TestPublishAtARate(t *testing.T) {
	t.Parallel()
	f := &fake{delay: "86400s"}
	r, err := Publish(t.Context(), PublishOptions{Common: quick(inProcess(f.serve), 4), Rate: Rate{PerSecond: 500}})
	if err != nil {
		t.Fatal(err)
	}
	checkPaced(t, r.Runs, "server@500/s", "echo@500/s")
	f = &fake{delay: "86400s"}
	r, err = Publish(t.Context(), PublishOptions{Common: quick(inProcess(f.serve), 4), Rate: Rate{Half: true}})
	if err != nil || len(r.Runs) != 2 || r.Runs[0].Sides[0].Name != "peak" {
		t.Fatalf("%v, %+v", err, r)
	}
	if got, want := r.Runs[1].Sides[0].Pace.Rate, int(r.Runs[0].Sides[0].Rate/2); got != want {
		t.Fatalf("half of the peak is %d, want %d", got, want)
	}
}

func TestDeliverAtARate(t *testing.T) {
	t.Parallel()
	f := &fake{deliver: true}
	r, err := Deliver(t.Context(), DeliverOptions{Common: quick(inProcess(f.serve), 4), Hosts: 2, Rate: Rate{PerSecond: 500}})
	if err != nil {
		t.Fatal(err)
	}
	checkPaced(t, r.Runs, "server@500/s", "relay@500/s")
	r, err = Deliver(t.Context(), DeliverOptions{Common: quick(inProcess(f.serve), 4), Hosts: 2, Rate: Rate{Half: true}})
	if err != nil || len(r.Runs) != 2 || r.Runs[0].Sides[0].Name != "peak" || r.Runs[1].Sides[0].Pace.Rate < 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	lossy := &fake{deliver: true, lose: 10}
	o := DeliverOptions{Common: quick(inProcess(lossy.serve), 4), Hosts: 2, Rate: Rate{PerSecond: 2000}, DrainTimeout: 100 * time.Millisecond}
	if _, err := Deliver(t.Context(), o); !errors.Is(err, ErrLost) {
		t.Fatalf("loss: %v", err)
	}
}

// checkPaced wants two sides that kept their rate, or say that they did not.
func checkPaced(t *testing.T, runs []Run, names ...string) {
	t.Helper()
	if len(runs) != 1 || len(runs[0].Sides) != len(names) {
		t.Fatalf("runs %+v", runs)
	}
	for i, s := range runs[0].Sides {
		if s.Name != names[i] || s.Messages == 0 || s.Failed != 0 || s.Pace == nil || s.Pace.Rate != 500 {
			t.Fatalf("side %+v, pace %+v", s, s.Pace)
		}
		if s.P99 == 0 && !s.Pace.void() || s.P50 > s.P99 {
			t.Fatalf("side %+v, pace %+v", s, s.Pace)
		}
	}
}

func TestRate(t *testing.T) {
	for in, want := range map[string]Rate{"1": {PerSecond: 1}, "half": {Half: true}, "1000000": {PerSecond: rateMax}} {
		var r Rate
		if err := r.Set(in); err != nil || r != want || r.String() != in {
			t.Errorf("%q: %+v (%q), %v", in, r, r.String(), err)
		}
	}
	for _, bad := range []string{"", "0", "-1", "1000001", "Half", "1.5"} {
		if err := new(Rate).Set(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if got := (Rate{Half: true}).of(1); got != 1 {
		t.Errorf("half of 1/s is %d", got)
	}
	for _, bad := range []Rate{{PerSecond: -1}, {PerSecond: rateMax + 1}, {PerSecond: 1, Half: true}} {
		if bad.validate() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
