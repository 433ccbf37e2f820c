package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func quickFanout(f *fakeLine) FanoutOptions {
	return FanoutOptions{Common: quick(inProcess(f.serve), 3), Endpoints: 4}
}

func TestFanout(t *testing.T) {
	t.Parallel()
	f := new(fakeLine)
	o := quickFanout(f)
	o.Concurrency = []int{3, 5}
	var recording strings.Builder
	o.Record = &recording
	r, err := Fanout(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range r.Runs {
		checkRun(t, run, "group", "deliver")
	}
	v, err := VerifyRecording(strings.NewReader(recording.String()), VerifyOptions{})
	if err != nil || v.Lanes != 2 || v.Attempts != 4*v.Published || v.Attempts == 0 {
		t.Fatalf("%+v, %v", v, err)
	}
}

func TestFanoutFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults fakeFaults
		want   error
	}{
		{"loss", fakeFaults{lose: 10}, ErrLost},
		{"an endpoint left out", fakeFaults{forget: true}, ErrLost},
		{"duplicates", fakeFaults{repeat: 10}, ErrTwice},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := quickFanout(&fakeLine{faults: c.faults})
			if c.want == ErrLost {
				o.DrainTimeout = 100 * time.Millisecond
				o.Backlog = 1 << 16 // or what is lost holds the producers up
			}
			if _, err := Fanout(t.Context(), o); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestFanoutOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*FanoutOptions){
		"101 endpoints": func(o *FanoutOptions) { o.Endpoints = 101 },
		"backlog and":   func(o *FanoutOptions) { o.Backlog = -1 },
		"no Spawn":      func(o *FanoutOptions) { o.Spawn = nil },
	} {
		o := quickFanout(new(fakeLine))
		spoil(&o)
		if _, err := Fanout(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
