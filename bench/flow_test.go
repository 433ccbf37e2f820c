package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func quickFlow(f *fakeLine) FlowOptions {
	return FlowOptions{
		Common: quick(inProcess(f.serve), 2), Keys: 3, Hosts: 2,
		Rate: 10, Period: 50 * time.Millisecond, Parallelism: 4, Answer: time.Millisecond,
		Tolerance: time.Minute, // this machine may be busy
	}
}

func TestFlow(t *testing.T) {
	t.Parallel()
	o := quickFlow(new(fakeLine))
	o.Round = 200 * time.Millisecond
	r, err := Flow(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	run := r.Runs[0]
	for i, name := range []string{"keys", "unlimited"} {
		if s := run.Sides[i]; s.Name != name || len(s.Rounds) != o.Rounds || s.Failed != 0 || s.Duplicates != 0 || s.Messages == 0 {
			t.Errorf("side %+v", s)
		}
	}
	if len(run.Figures) != 5 {
		t.Fatalf("figures %+v", run.Figures)
	}
	for _, f := range run.Figures[:4] {
		for _, v := range f.Values {
			if v < 0 || v > 1 { // on a busy machine a window may have been empty
				t.Errorf("%s: %v", f.Name, f.Values)
			}
		}
	}
}

func TestFlowFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults fakeFaults
		spoil  func(*FlowOptions)
		want   error
	}{
		{"rate", fakeFaults{unlimited: true}, func(o *FlowOptions) { o.Rate, o.Period = 1, 10*time.Second }, ErrLimit},
		{"parallelism", fakeFaults{crowded: true}, func(o *FlowOptions) { o.Parallelism, o.Answer = 1, 200*time.Millisecond }, ErrLimit},
		{"loss", fakeFaults{lose: 10}, func(o *FlowOptions) { o.DrainTimeout = 500 * time.Millisecond }, ErrLost},
		{"duplicates", fakeFaults{repeat: 10}, func(*FlowOptions) {}, ErrTwice},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := quickFlow(&fakeLine{faults: c.faults})
			c.spoil(&o)
			if o.Period == 10*time.Second {
				o.Tolerance = 0
			}
			if _, err := Flow(t.Context(), o); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestFlowOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*FlowOptions){
		"5001 keys":         func(o *FlowOptions) { o.Keys = 5001 },
		"rate -1":           func(o *FlowOptions) { o.Rate = -1 },
		"period 1ms":        func(o *FlowOptions) { o.Period = time.Millisecond },
		"parallelism of -1": func(o *FlowOptions) { o.Parallelism = -1 },
		"4 producers of 3":  func(o *FlowOptions) { o.Concurrency = []int{4} },
		"251 hosts":         func(o *FlowOptions) { o.Hosts = 251 },
		"answer, tolerance": func(o *FlowOptions) { o.Answer = -1 },
		"no Spawn":          func(o *FlowOptions) { o.Spawn = nil },
	} {
		o := quickFlow(new(fakeLine))
		spoil(&o)
		if _, err := Flow(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
