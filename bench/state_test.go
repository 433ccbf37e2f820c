package bench

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// figure finds one by a part of its name.
func figure(t *testing.T, run *Run, part string) []float64 {
	t.Helper()
	i := slices.IndexFunc(run.Figures, func(f Figure) bool { return strings.Contains(f.Name, part) })
	if i < 0 {
		t.Fatalf("there is no figure %q among %+v", part, run.Figures)
	}
	return run.Figures[i].Values
}

func quickRestart(k *keeper) RestartOptions {
	o := RestartOptions{Common: quick(k.spawn(nil), 4), Pending: []int{0, 150}, Hosts: 2}
	o.Rounds, o.DrainTimeout = 1, 20*time.Second
	return o
}

func TestRestart(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	k.refuse = 3
	r, err := Restart(t.Context(), quickRestart(k))
	if err != nil {
		t.Fatal(err)
	}
	run := &r.Runs[0]
	if len(run.Sides) != 2 || run.Sides[1].Name != "150 pending" || run.Sides[1].Messages == 0 {
		t.Fatalf("sides %+v", run.Sides)
	}
	for _, name := range []string{"start to listening", "first delivery", "all delivered"} {
		if v := figure(t, run, "150 pending: start to")[0]; v <= 0 || len(figure(t, run, name)) != 1 {
			t.Errorf("%s: %v", name, v)
		}
	}
	if got := figure(t, run, "log replayed")[0]; got != 50e6 {
		t.Errorf("replayed %v", got)
	}
	if got := figure(t, run, "recovery")[0]; got != 0.5 {
		t.Errorf("%v s/GB, want 25 ms for 50 MB", got)
	}
	if len(k.pending) < 150 {
		t.Errorf("%d messages wait", len(k.pending))
	}
}

func TestRestartSeesFaults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		fault func(*keeper)
		want  error
	}{
		{"loses what is due", func(k *keeper) { k.lose = 7 }, ErrLost},
		{"forgets what waits", func(k *keeper) { k.forget = true }, ErrLost},
		{"has not as many as it took", func(k *keeper) { k.uncount = true }, ErrLost},
		{"delivers before time", func(k *keeper) { k.hasty = true }, ErrEarly},
		{"delivers nothing", func(k *keeper) { k.loseAt = "http" }, ErrLost},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t)
			c.fault(k)
			o := quickRestart(k)
			o.Pending, o.DrainTimeout = []int{30}, 300*time.Millisecond
			o.Round = 300 * time.Millisecond // so long are messages delayed, too
			o.RequestTimeout = 3 * time.Second
			if _, err := Restart(t.Context(), o); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
	t.Run("repeats", func(t *testing.T) {
		t.Parallel()
		k := newKeeper(t)
		k.repeat = true
		r, err := Restart(t.Context(), quickRestart(k))
		if err != nil || r.Runs[0].Sides[0].Duplicates == 0 {
			t.Fatalf("%v, %+v", err, r)
		}
	})
	t.Run("cannot be killed", func(t *testing.T) {
		t.Parallel()
		k := newKeeper(t)
		k.immortal = true
		if _, err := Restart(t.Context(), quickRestart(k)); err == nil || !strings.Contains(err.Error(), "cannot kill") {
			t.Fatal(err)
		}
	})
}

func TestOpening(t *testing.T) {
	line := `{"msg":"engine: opened","replayed_bytes":7,"log":"1.5s","replay":"2ms"}`
	for text, want := range map[string]opening{
		line: {7, 1500 * time.Millisecond, 2 * time.Millisecond},
		`{"msg":"engine: opened","log":"9s","replay":"9s"}` + "\n" + line + "\nx": {7, 1500 * time.Millisecond, 2 * time.Millisecond},
	} {
		if got, found, err := parseOpening(text); got != want || !found || err != nil {
			t.Errorf("%s: %+v, %v, %v", text, got, found, err)
		}
	}
	for _, text := range []string{"", line[:len(line)-1], `{"msg":"listening"}`} {
		if got, found, err := parseOpening(text); found || err != nil {
			t.Errorf("%s: %+v, %v, %v", text, got, found, err)
		}
	}
	for _, text := range []string{`"engine: opened" log=1s` + "\n", `{"msg":"engine: opened","log":"x","replay":"1s"}`} {
		if _, found, err := parseOpening(text); !found || err == nil {
			t.Errorf("%s: %v, %v", text, found, err)
		}
	}
}

func quickBacklog(t *testing.T, fault func(*keeper)) BacklogOptions {
	each := func() *keeper {
		k := newKeeper(t)
		fault(k)
		return k
	}
	o := BacklogOptions{Common: quick(new(keeper).spawn(each), 4), Pending: []int{10, 250}, Hosts: 2}
	o.Rounds, o.Round, o.Calm = 1, 20*time.Millisecond, 20*time.Millisecond
	o.Drain, o.DrainDelay, o.Settle, o.DrainTimeout = true, 500*time.Millisecond, time.Millisecond, 20*time.Second
	return o
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	r, err := Backlog(t.Context(), quickBacklog(t, func(*keeper) {}))
	if err != nil {
		t.Fatal(err)
	}
	run := &r.Runs[0]
	if len(run.Sides) != 2 || run.Sides[0].Name != "10 pending" || run.Sides[0].Messages == 0 {
		t.Fatalf("sides %+v", run.Sides)
	}
	if got := figure(t, run, "250 pending: disk used")[0]; got != 1 {
		t.Errorf("the disk holds %v of the bodies", got)
	}
	if got := figure(t, run, "250 drained: disk used when")[0]; got != 10 { // it reclaims nothing
		t.Errorf("drained, the disk holds %v of the bodies", got)
	}
	if _, ok := memoryOf(1); ok {
		if v := figure(t, run, "per GiB")[0]; v <= 0 {
			t.Errorf("%v messages per GiB", v)
		}
	}
}

func TestBacklogSeesFaults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		fault func(*keeper)
		want  error
	}{
		{"loses what is due", func(k *keeper) { k.lose = 5 }, ErrLost},
		{"has not as many as it took", func(k *keeper) { k.uncount = true }, ErrLost},
		{"delivers before time", func(k *keeper) { k.hasty = true }, ErrEarly},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := quickBacklog(t, c.fault)
			o.DrainTimeout = 500 * time.Millisecond
			if _, err := Backlog(t.Context(), o); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
}

func quickSoak(k *keeper) SoakOptions {
	o := SoakOptions{Common: quick(k.spawn(nil), 4), Hosts: 4, Rate: 200, Samples: 3}
	o.Rounds, o.Round, o.DrainTimeout = 1, 150*time.Millisecond, 20*time.Second
	o.Delay = 100 * time.Millisecond
	return o
}

func TestSoak(t *testing.T) {
	t.Parallel()
	r, err := Soak(t.Context(), quickSoak(newKeeper(t)))
	if err != nil {
		t.Fatal(err)
	}
	run := &r.Runs[0]
	if s := run.Sides[0]; s.Messages == 0 || s.Failed != 0 || s.Duplicates != 0 {
		t.Fatalf("side %+v", s)
	}
	if got := figure(t, run, "goroutines"); len(got) < 2 || got[0] != 7 {
		t.Errorf("goroutines %v", got)
	}
}

// TestSoakSeesFaults: what is lost is named by its kind.
func TestSoakSeesFaults(t *testing.T) {
	t.Parallel()
	lost := func(at string) func(*keeper) { return func(k *keeper) { k.loseAt = at } }
	cases := []struct {
		name  string
		fault func(*keeper)
		want  error
		text  string
	}{
		{"callbacks", lost(callbackPath), ErrLost, "callbacks"},
		{"a member", lost(memberPath + "8"), ErrLost, "third member"},
		{"retries", lost(flakyPath), ErrLost, "retried"},
		{"some of all", func(k *keeper) { k.lose = 5 }, ErrLost, ""},
		{"early", func(k *keeper) { k.hasty = true }, ErrEarly, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t)
			c.fault(k)
			o := quickSoak(k)
			o.Delay, o.DrainTimeout = 300*time.Millisecond, 500*time.Millisecond
			_, err := Soak(t.Context(), o)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("error %v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}

func TestCeilings(t *testing.T) {
	t.Parallel()
	o := CeilingsOptions{Common: quick(inProcess(nil), 3), Dir: t.TempDir(), Hosts: 2}
	o.Rounds = 2
	r, err := Ceilings(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{{"fdatasync-4KiB", "fdatasync-16KiB", "fdatasync-64KiB"}, {"echo", "client", "relay"}} {
		for k, s := range r.Runs[i].Sides {
			if s.Name != want[k] || s.Messages == 0 || s.Failed > 0 || len(s.Rounds) != 2 {
				t.Errorf("side %+v", s)
			}
		}
	}
	if got := figure(t, &r.Runs[0], "crc32c of 64 KiB"); len(got) != 2 || got[0] <= 0 {
		t.Errorf("checksums %v", got)
	}
	o.Dir = "/nowhere/at/all"
	if _, err := Ceilings(t.Context(), o); err == nil || !strings.Contains(err.Error(), o.Dir) {
		t.Errorf("error %v", err)
	}
}

func TestSingle(t *testing.T) {
	t.Parallel()
	f := &fake{delay: "86400s"}
	o := SingleOptions{PublishOptions: PublishOptions{Common: quick(inProcess(f.serve))}, Dir: t.TempDir()}
	r, err := Single(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	run := &r.Runs[0]
	if len(run.Sides) != 3 || run.Concurrency != 1 || run.Ratios[0].Over != "echo+fdatasync-4KiB" || run.Ratios[0].Min <= 0 {
		t.Fatalf("run %+v", run)
	}
	side := func(each ...time.Duration) *Side {
		s := new(Side)
		for _, d := range each {
			s.Rounds = append(s.Rounds, Round{P50: d})
		}
		return s
	}
	q := overBoth(side(300, 400, 100), side(50, 100, 100), side(100, 100, 100))
	if q.Median != 2 || q.Min != 0.5 || q.Max != 2 {
		t.Errorf("ratio %+v", q)
	}
	refuse := &fake{refuse: true, delay: "86400s"}
	o.Spawn = inProcess(refuse.serve)
	if _, err := Single(t.Context(), o); !errors.Is(err, ErrFailing) {
		t.Errorf("error %v", err)
	}
}

// TestExtras: publish with a look at the runtime and at the disk.
func TestExtras(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	o := PublishOptions{Common: quick(k.spawn(nil), 3)}
	o.Runtime, o.Disk = true, t.TempDir()
	r, err := Publish(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	run := &r.Runs[0]
	if len(run.Sides) != 3 || run.Sides[2].Name != "fdatasync-16KiB" || len(run.Ratios) == 0 {
		t.Fatalf("run %+v", run)
	}
	if v := figure(t, run, "heap allocations"); len(v) != o.Rounds || slices.Min(v) <= 0 {
		t.Errorf("%v allocations for each message", v)
	}
	if v := figure(t, run, "collector"); len(v) != 1 || v[0] < 0.9 || v[0] > 1.1 {
		t.Errorf("the collector's share is %v, and the fake says 1 %%", v)
	}
	o.Spawn = inProcess((&fake{}).serve)
	if _, err := Publish(t.Context(), o); !errors.Is(err, errNoAdmin) {
		t.Errorf("error %v", err)
	}
}

// TestDeliverBesideAnEcho: with a look at the disk, deliver has a bare echo beside it too.
func TestDeliverBesideAnEcho(t *testing.T) {
	t.Parallel()
	o := DeliverOptions{Common: quick(inProcess((&fake{deliver: true}).serve), 4), Hosts: 2}
	o.Disk = t.TempDir()
	r, err := Deliver(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range r.Runs[0].Sides {
		names = append(names, s.Name)
		if s.Messages == 0 || s.Failed != 0 {
			t.Errorf("side %+v", s)
		}
	}
	if got := strings.Join(names, " "); got != "server relay client fdatasync-16KiB echo" {
		t.Errorf("sides %s", got)
	}
}

func TestRuntimeFigures(t *testing.T) {
	g := new(goRuntime)
	for _, mallocs := range []float64{300, 500} {
		g.each = append(g.each, runtimeCount{mallocs: mallocs, collector: 0.03, all: 2})
		g.share(100)
	}
	g.share(0) // of a round without a message nothing is told
	f := g.figures("message")
	if len(f) != 2 || !slices.Equal(f[0].Values, []float64{3, 5}) || f[1].Values[0] != 1.5 {
		t.Errorf("figures %+v", f)
	}
	if f := (*goRuntime)(nil).figures("message"); f != nil {
		t.Errorf("of nothing: %+v", f)
	}
}

func TestStateOptionsRefused(t *testing.T) {
	k := newKeeper(t)
	for want, run := range map[string]func() error{
		"-1 pending": func() error {
			o := quickRestart(k)
			o.Pending = []int{-1}
			_, err := Restart(t.Context(), o)
			return err
		},
		"a server of its own": func() error {
			o := quickRestart(k)
			o.Server.URL = "http://127.0.0.1:1"
			_, err := Restart(t.Context(), o)
			return err
		},
		"the smallest first": func() error {
			o := quickBacklog(t, func(*keeper) {})
			o.Pending = []int{5, 3}
			_, err := Backlog(t.Context(), o)
			return err
		},
		"bodies of 40 bytes": func() error {
			o := quickBacklog(t, func(*keeper) {})
			o.BodyBytes = 40
			_, err := Backlog(t.Context(), o)
			return err
		},
		"3 to 250": func() error {
			o := quickSoak(k)
			o.Hosts = 2
			_, err := Soak(t.Context(), o)
			return err
		},
		"251 hosts": func() error {
			_, err := Ceilings(t.Context(), CeilingsOptions{Common: quick(inProcess(nil)), Hosts: 251})
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
