package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func quickHerd(f *pigeonholes) HerdOptions {
	o := HerdOptions{Common: quick(inProcess(f.serve), 3), Messages: 450, Lead: time.Second, Beside: 100, Hosts: 2}
	o.Rounds, o.DrainTimeout = 1, 20*time.Second
	return o
}

func TestHerd(t *testing.T) {
	t.Parallel() // it waits for the turn of a second
	r, err := Herd(t.Context(), quickHerd(new(pigeonholes)))
	if err != nil {
		t.Fatal(err)
	}
	run := r.Runs[0]
	if len(run.Sides) != 3 || len(run.Ratios) != 1 || run.Ratios[0].Of != "herd" || run.Ratios[0].Over != "closed loop" {
		t.Fatalf("run %+v", run)
	}
	all, beside := run.Sides[0], run.Sides[2]
	if all.Messages != 450 || len(all.Rounds) != 1 || all.Duplicates != 0 || all.Rounds[0].Messages != 450 || all.Rate <= 0 {
		t.Errorf("herd %+v", all)
	}
	if beside.Pace == nil || beside.Pace.Rate != 100 || beside.Failed != 0 {
		t.Errorf("publishes beside it %+v, pace %+v", beside, beside.Pace)
	}
	if !beside.Pace.void() && len(run.Figures) != 3 {
		t.Errorf("figures %+v", run.Figures)
	}
}

func TestHerdFindsFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault *pigeonholes
		want  error
	}{
		"lost":  {&pigeonholes{lose: 50}, ErrLost},
		"early": {&pigeonholes{early: 300 * time.Millisecond}, ErrEarly},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := quickHerd(c.fault)
			o.DrainTimeout = 300 * time.Millisecond
			if _, err := Herd(t.Context(), o); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		r, err := Herd(t.Context(), quickHerd(&pigeonholes{repeat: 10}))
		if err != nil || r.Runs[0].Sides[0].Duplicates == 0 {
			t.Fatalf("every tenth came twice: %v, %+v", err, r)
		}
	})
}

// TestHerdInsists: a server that is busy for a moment is asked again, and no message is
// too many for that.
func TestHerdInsists(t *testing.T) {
	t.Parallel()
	h := &herd{o: &HerdOptions{Common: Common{RequestTimeout: time.Minute}}}
	calls := 0
	if err := h.insist(t.Context(), func() error {
		if calls++; calls < 3 {
			return errors.New("busy")
		}
		return nil
	}); err != nil || calls != 3 {
		t.Fatalf("%v after %d calls", err, calls)
	}
	h.o.RequestTimeout = 0
	if err := h.insist(t.Context(), func() error { return errors.New("full") }); !errors.Is(err, ErrFailing) || !strings.Contains(err.Error(), "full") {
		t.Fatalf("error %v", err)
	}
}

func TestHerdOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*HerdOptions){
		"-1 messages":            func(o *HerdOptions) { o.Messages = -1 },
		"-1 publishes":           func(o *HerdOptions) { o.Beside = -1 },
		"must not be negative":   func(o *HerdOptions) { o.Lead = -1 },
		"251 hosts":              func(o *HerdOptions) { o.Hosts = 251 },
		"bodies of 32 bytes":     func(o *HerdOptions) { o.BodyBytes = 32 },
		"no Spawn: it starts th": func(o *HerdOptions) { o.Spawn = nil },
	} {
		o := quickHerd(new(pigeonholes))
		spoil(&o)
		if _, err := Herd(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestJoinSides: sides that have had a round each become one.
func TestJoinSides(t *testing.T) {
	side := func(rate float64, p99 time.Duration, missed int) Side {
		return Side{
			Name: "x", Messages: 10, Failed: 1, Duplicates: 2, Max: p99 * 2, Held: &Usage{Descriptors: int(rate)},
			Pace: &Pace{Rate: 5, Sent: rate, Missed: missed}, Rounds: []Round{{Rate: rate, P99: p99, Messages: 10}},
		}
	}
	one := side(100, 3, 0)
	got := joinRounds([][]Side{{one}, {side(300, 1, 1)}, {side(200, 2, 1)}})[0]
	if got.Rate != 200 || got.P99 != 2 || got.Max != 6 || got.Messages != 30 || got.Failed != 3 || got.Duplicates != 6 || len(got.Rounds) != 3 {
		t.Errorf("joined %+v", got)
	}
	if got.Pace.Missed != 2 || got.Pace.Sent != 100 || got.Held.Descriptors != 300 {
		t.Errorf("pace %+v, held %+v", got.Pace, got.Held)
	}
	if one.Pace.Missed != 0 || len(one.Rounds) != 1 {
		t.Errorf("what was joined became %+v", one)
	}
}
