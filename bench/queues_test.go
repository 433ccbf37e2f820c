package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func quickQueues(f *fakeLine) QueuesOptions {
	return QueuesOptions{Common: quick(inProcess(f.serve), 3), Queues: 5, Hosts: 2}
}

func TestQueues(t *testing.T) {
	t.Parallel()
	for _, parallelism := range []int{1, 3} {
		o := quickQueues(new(fakeLine))
		o.Parallelism = parallelism
		var recording strings.Builder
		o.Record = &recording
		r, err := Queues(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		run := r.Runs[0]
		checkRun(t, run, "queues", "deliver")
		if len(run.Figures) != 1 || len(run.Figures[0].Values) != o.Rounds {
			t.Fatalf("figures %+v", run.Figures)
		}
		v, err := VerifyRecording(strings.NewReader(recording.String()), VerifyOptions{})
		if err != nil || v.Lanes != 5 || int64(v.Published) < run.Sides[0].Messages || v.Attempts != v.Published {
			t.Fatalf("%+v, %v, and the report counts %d messages", v, err, run.Sides[0].Messages)
		}
	}
}

func TestQueuesFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults fakeFaults
		want   error
	}{
		{"order", fakeFaults{swap: true}, ErrOrder},
		{"loss", fakeFaults{lose: 10}, ErrLost},
		{"duplicates", fakeFaults{repeat: 10}, ErrTwice},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := quickQueues(&fakeLine{faults: c.faults})
			o.DrainTimeout = 5 * time.Second
			if c.want == ErrLost {
				o.DrainTimeout, o.RequestTimeout = 100*time.Millisecond, 3*time.Second
			}
			if _, err := Queues(t.Context(), o); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
}

// TestQueuesAreRemoved: a server that is somebody else's is left as it was.
func TestQueuesAreRemoved(t *testing.T) {
	t.Parallel()
	f := new(fakeLine)
	child, err := inProcess(f.serve)(t.Context(), RoleServer)
	if err != nil {
		t.Fatal(err)
	}
	o := quickQueues(f)
	o.Server = child.Server
	o.Rounds = 1
	if _, err := Queues(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := child.Stop(); err != nil || len(f.removed) != o.Queues {
		t.Fatalf("removed %q, %v", f.removed, err)
	}
}

func TestQueuesOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*QueuesOptions){
		"5001 queues":       func(o *QueuesOptions) { o.Queues = 5001 },
		"6 producers of 5":  func(o *QueuesOptions) { o.Concurrency = []int{2, 6} },
		"parallelism of -1": func(o *QueuesOptions) { o.Parallelism = -1 },
		"251 hosts":         func(o *QueuesOptions) { o.Hosts = 251 },
		"drain timeout":     func(o *QueuesOptions) { o.DrainTimeout = -1 },
		"no Spawn":          func(o *QueuesOptions) { o.Spawn = nil },
	} {
		o := quickQueues(new(fakeLine))
		spoil(&o)
		if _, err := Queues(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
