package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func quickFair(f *fakeLine) FairOptions {
	o := FairOptions{Common: quick(inProcess(f.serve), 4), Backlog: 2000, Parallelism: 1, Rate: 500, Hosts: 2}
	o.Rounds = 2
	return o
}

func TestFair(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{TenantKey, TenantQueue} {
		o := quickFair(new(fakeLine))
		o.Tenant = tenant
		r, err := Fair(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		run := r.Runs[0]
		for i, name := range []string{"behind", "alone"} {
			if s := run.Sides[i]; s.Name != name || len(s.Rounds) != 2 || s.Messages == 0 || s.Failed != 0 || s.Duplicates != 0 {
				t.Errorf("side %+v", s)
			}
		}
		for _, f := range run.Figures { // those of latency are missing if this machine did not keep the rate
			if left := f.Unit == ""; left && (len(f.Values) != 2 || f.Values[0] > 1) || len(f.Values) == 0 {
				t.Errorf("figure %+v", f)
			}
		}
	}
}

func TestFairMissesWhatIsLost(t *testing.T) {
	t.Parallel()
	o := quickFair(&fakeLine{faults: fakeFaults{lose: 50}})
	o.DrainTimeout = 200 * time.Millisecond
	if _, err := Fair(t.Context(), o); !errors.Is(err, ErrLost) {
		t.Fatalf("error %v", err)
	}
}

func TestFairOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*FairOptions){
		`tenant "user"`:     func(o *FairOptions) { o.Tenant = "user" },
		"backlog of -1":     func(o *FairOptions) { o.Backlog = -1 },
		"parallelism of -1": func(o *FairOptions) { o.Parallelism = -1 },
		"rate -1":           func(o *FairOptions) { o.Rate = -1 },
		"251 hosts":         func(o *FairOptions) { o.Hosts = 251 },
		"drain timeout":     func(o *FairOptions) { o.DrainTimeout = -1 },
		"no Spawn":          func(o *FairOptions) { o.Spawn = nil },
	} {
		o := quickFair(new(fakeLine))
		spoil(&o)
		if _, err := Fair(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
