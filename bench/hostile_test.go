package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func quickHostile(f *stubborn) HostileOptions {
	o := HostileOptions{
		Common: quick(inProcess(f.serve), 8), Hosts: 20, Rate: 400,
		Refuse: 5, Hang: 5, Slow: 5, Reset: 5, Fail: 5, Huge: 5, HugeBytes: 1000,
		SlowAnswer: 10 * time.Millisecond, AttemptTimeout: 200 * time.Millisecond, RetryDelay: 10 * time.Millisecond,
		DrainTimeout: 20 * time.Second,
	}
	o.Rounds = 2
	return o
}

func TestHostile(t *testing.T) {
	t.Parallel()
	r, err := Hostile(t.Context(), quickHostile(new(stubborn)))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 2 || len(r.Runs[0].Ratios) == 0 || len(r.Runs[1].Ratios) != 1 {
		t.Fatalf("runs %+v", r.Runs)
	}
	for _, q := range r.Runs[0].Ratios[1:] { // none if this machine did not keep the rate
		if q.What != "p99" {
			t.Errorf("ratio %+v", q)
		}
	}
	for i, names := range [][]string{{"with@400/s", "without@400/s"}, {"with", "without"}} {
		for k, s := range r.Runs[i].Sides {
			if s.Name != names[k] || len(s.Rounds) != 2 || s.Messages == 0 || s.Failed != 0 {
				t.Errorf("side %+v", s)
			}
		}
		if f := r.Runs[i].Figures; len(f) != 1 || len(f[0].Values) != 2 || f[0].Values[0] <= 0 {
			t.Errorf("figures %+v", f)
		}
	}
}

// What does not arrive at a host that was healed is lost, whatever its kind was.
func TestHostileMissesWhatIsLost(t *testing.T) {
	for prefix, kind := range map[string]string{"127.4.0.": "resetting", "127.5.0.": "failing", "127.6.0.": "huge", "127.0.0.": "healthy"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			needLoopback(t, prefix)
			o := quickHostile(&stubborn{forget: prefix})
			o.DrainTimeout, o.Rounds, o.RequestTimeout = time.Second, 1, time.Second
			if _, err := Hostile(t.Context(), o); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), kind) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestHostileOptions(t *testing.T) {
	o := HostileOptions{Hosts: 100}.withDefaults()
	if got := o.counts(); got != [kindsAll]int{kindHealthy: 99, kindHole: 1} {
		t.Errorf("by default %v", got)
	}
	o = HostileOptions{Hosts: 50, Refuse: 5, Slow: 0.1, Huge: 50}
	if got := o.counts(); got != [kindsAll]int{kindHealthy: 21, kindDead: 3, kindSlow: 1, kindHuge: 25} {
		t.Errorf("got %v", got)
	}
	for want, spoil := range map[string]func(*HostileOptions){
		"251 hosts":          func(o *HostileOptions) { o.Hosts = 251 },
		"-1 % of dead hosts": func(o *HostileOptions) { o.Refuse = -1 },
		"none is healthy":    func(o *HostileOptions) { o.Fail = 90 },
		"rate -1":            func(o *HostileOptions) { o.Rate = -1 },
		"answers of -1ns":    func(o *HostileOptions) { o.SlowAnswer = -1 },
		"of -1 bytes":        func(o *HostileOptions) { o.HugeBytes = -1 },
		"drain timeout":      func(o *HostileOptions) { o.DrainTimeout = -1 },
		"no Spawn":           func(o *HostileOptions) { o.Spawn = nil },
	} {
		o := quickHostile(new(stubborn))
		spoil(&o)
		if _, err := Hostile(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
