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

// choosy is a small server that delivers everything while its peak is measured, and
// then refuses every second message.
type choosy struct {
	status   int  // of a refusal
	mute     bool // refuses without a Retry-After
	lies     bool // delivers what it refuses
	accepted atomic.Int64
	refused  atomic.Int64
}

func (f *choosy) serve(ctx context.Context, ln net.Listener) error {
	relay := new(fake)
	clients := &hostClients{conns: 64}
	defer clients.close()
	var n atomic.Int64
	return serve(ctx, ln, func(req *fasthttp.RequestCtx) {
		load := req.Request.Body()[8] == 1 // the stamp's side
		refuse := load && n.Add(1)%2 == 0
		if !refuse || f.lies {
			relay.forward(req, clients)
		}
		switch {
		case !load:
			answerAccepted(req)
		case !refuse:
			f.accepted.Add(1)
			answerAccepted(req)
		default:
			f.refused.Add(1)
			req.Error("busy", f.status)
			if !f.mute {
				req.Response.Header.Set("Retry-After", "1")
			}
		}
	})
}

func quickOverload(f *choosy) OverloadOptions {
	o := OverloadOptions{Common: quick(inProcess(f.serve), 16), Factors: []int{3}, Hosts: 2}
	o.Round, o.Peak = 200*time.Millisecond, 50*time.Millisecond
	return o
}

func TestOverload(t *testing.T) {
	t.Parallel()
	f := &choosy{status: 429}
	r, err := Overload(t.Context(), quickOverload(f))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 1 || len(r.Runs[0].Sides) != 2 {
		t.Fatalf("runs %+v", r.Runs)
	}
	peak, load := r.Runs[0].Sides[0], r.Runs[0].Sides[1]
	if peak.Name != "peak" || peak.Messages == 0 || load.Name != "3x" || len(load.Rounds) != windows || load.Failed != 0 {
		t.Fatalf("sides %+v", r.Runs[0].Sides)
	}
	s := load.Stress
	if load.Messages != f.accepted.Load() || f.refused.Load() == 0 || load.P50 <= 0 || load.P50 > load.P99 {
		t.Errorf("%d accepted, %d refused; the report says %+v", f.accepted.Load(), f.refused.Load(), load)
	}
	if s.Offered <= 0 || s.Refused <= 0 || s.RefusedIn <= 0 || s.Delivered <= 0 || s.Accepted > s.Offered || s.Delivered > s.Accepted {
		t.Errorf("stress %+v", s)
	}
	if g := r.Runs[0].Ratios[0]; g.What != "goodput" || g.Median <= 0 {
		t.Errorf("ratio %+v", g)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "3x / peak, goodput: ") || !strings.Contains(text.String(), "3x: offered ") {
		t.Errorf("%v in\n%s", err, &text)
	}
}

func TestOverloadFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault *choosy
		want  error
	}{
		{"refused and delivered", &choosy{status: 503, lies: true}, ErrCorrupt},
		{"no Retry-After", &choosy{status: 503, mute: true}, ErrFailing},
		{"not an overload", &choosy{status: 500}, ErrFailing},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Overload(t.Context(), quickOverload(c.fault)); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestOverloadOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*OverloadOptions){
		"factor 0":         func(o *OverloadOptions) { o.Factors = []int{0} },
		"not be negative":  func(o *OverloadOptions) { o.Answer = -1 },
		"251 hosts":        func(o *OverloadOptions) { o.Hosts = 251 },
		"concurrency 0":    func(o *OverloadOptions) { o.Concurrency = []int{0} },
		"no Spawn: it sta": func(o *OverloadOptions) { o.Spawn = nil },
	} {
		o := quickOverload(new(choosy))
		spoil(&o)
		if _, err := Overload(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestSwing(t *testing.T) {
	if got := swing([]float64{100, 75, 105}); got != 0.25 {
		t.Errorf("got %v", got)
	}
	if got := swing([]float64{0, 0}); got != 0 {
		t.Errorf("nothing known: got %v", got)
	}
}
