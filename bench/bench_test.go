package bench

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	f := &fake{delay: "7200s"}
	o := PublishOptions{Common: quick(inProcess(f.serve), 2, 5), Delay: 2 * time.Hour}
	r, err := Publish(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if bad := f.badHead.Load(); bad != nil {
		t.Fatalf("the server was sent %s", *bad)
	}
	if len(r.Runs) != 2 || r.Runs[0].Concurrency != 2 || r.Runs[1].Concurrency != 5 {
		t.Fatalf("runs %+v", r.Runs)
	}
	counted := int64(0)
	for _, run := range r.Runs {
		checkRun(t, run, "server", "echo")
		counted += run.Sides[0].Messages
	}
	if got := f.published.Load(); got < counted {
		t.Fatalf("the report counts %d publishes, the server saw %d", counted, got)
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	f := &fake{deliver: true}
	r, err := Deliver(t.Context(), DeliverOptions{Common: quick(inProcess(f.serve), 8), Hosts: 4})
	if err != nil {
		t.Fatal(err)
	}
	if bad := f.badHead.Load(); bad != nil {
		t.Fatalf("the server was sent %s", *bad)
	}
	checkRun(t, r.Runs[0], "server", "relay", "client")
	for _, s := range r.Runs[0].Sides {
		if s.Duplicates != 0 {
			t.Errorf("%s: %d duplicates", s.Name, s.Duplicates)
		}
	}
}

func checkRun(t *testing.T, run Run, names ...string) {
	t.Helper()
	run.Ratios = slices.DeleteFunc(slices.Clone(run.Ratios), func(q Ratio) bool { return q.What != "" })
	if len(run.Sides) != len(names) || len(run.Ratios) != len(names)-1 {
		t.Fatalf("%d sides, %d ratios", len(run.Sides), len(run.Ratios))
	}
	for i, s := range run.Sides {
		total := int64(0)
		for _, q := range s.Rounds {
			total += q.Messages
		}
		if s.Name != names[i] || len(s.Rounds) != 3 || total != s.Messages || s.Failed != 0 {
			t.Fatalf("side %+v", s)
		}
		if s.Rate <= 0 || s.P50 <= 0 || s.P50 > s.P99 || s.P99 > s.Max+s.Max/500 {
			t.Fatalf("side %+v", s)
		}
	}
	for i, q := range run.Ratios {
		if q.Of != names[0] || q.Over != names[i+1] || q.Min <= 0 || q.Min > q.Median || q.Median > q.Max {
			t.Fatalf("ratio %+v", q)
		}
	}
}

func TestDuplicatesAreCounted(t *testing.T) {
	t.Parallel()
	f := &fake{deliver: true, repeat: 3}
	r, err := Deliver(t.Context(), DeliverOptions{Common: quick(inProcess(f.serve), 4), Hosts: 2})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Runs[0].Sides[0]
	if want := f.published.Load() / 3; s.Duplicates != want {
		t.Fatalf("%d duplicates, want %d", s.Duplicates, want)
	}
}

func TestFaultsFailTheRun(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		fault *fake
		want  error
	}{
		{"loss", &fake{deliver: true, lose: 10}, ErrLost},
		{"damage", &fake{deliver: true, damage: true}, ErrCorrupt},
		{"refusal", &fake{refuse: true}, ErrFailing},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := DeliverOptions{Common: quick(inProcess(c.fault.serve), 4), Hosts: 2, DrainTimeout: 100 * time.Millisecond}
			o.RequestTimeout = 3 * time.Second // so long is an arrival waited for, when all of the backlog is lost
			_, err := Deliver(t.Context(), o)
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
	refuse := &fake{refuse: true, delay: "86400s"}
	if _, err := Publish(t.Context(), PublishOptions{Common: quick(inProcess(refuse.serve), 2)}); !errors.Is(err, ErrFailing) ||
		!strings.Contains(err.Error(), "overloaded") {
		t.Fatalf("publish to a server that refuses: %v", err)
	}
}

func TestCancelEndsTheRun(t *testing.T) {
	t.Parallel()
	f := &fake{deliver: true}
	o := quick(inProcess(f.serve), 4)
	o.Round = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for f.published.Load() < 10 { // the load is running
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := Deliver(ctx, DeliverOptions{Common: o, Hosts: 2}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
}

// The children are real processes here: the test binary plays them.
func TestReexec(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	spawn := Reexec{RoleArgs: []string{"role"}, DataParent: parent, Env: []string{
		childEnv + "=1",
		"GORACE=atexit_sleep_ms=0", // or each child takes a second to end
	}}
	o := quick(spawn.Spawn, 4)
	r, err := Deliver(t.Context(), DeliverOptions{Common: o, Hosts: 2})
	if err != nil {
		t.Fatal(err)
	}
	checkRun(t, r.Runs[0], "server", "relay", "client")
	if _, err := Publish(t.Context(), PublishOptions{Common: o}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}

	spawn.ServeArgs = []string{"serve", "broken"}
	if _, err := spawn.Spawn(t.Context(), RoleServer); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Fatalf("a server that does not start: %v", err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

// TestServerDies: a run whose server ends by itself ends with it, and says what it has said.
func TestServerDies(t *testing.T) {
	t.Parallel()
	spawn := Reexec{
		RoleArgs: []string{"role"}, ServeArgs: []string{"serve", "mortal"}, DataParent: t.TempDir(),
		Env: []string{childEnv + "=1", "GORACE=atexit_sleep_ms=0"},
	}
	o := quick(spawn.Spawn, 4)
	o.Round = time.Hour
	_, err := Publish(t.Context(), PublishOptions{Common: o})
	if !errors.Is(err, ErrDied) {
		t.Fatalf("error %v, want %v", err, ErrDied)
	}
	if text := err.Error(); strings.Count(text, "the server ended with exit status 3: the last words") != 1 {
		t.Fatalf("error %q", text)
	}
}

func TestOptionsRefused(t *testing.T) {
	ok := func() PublishOptions { return PublishOptions{Common: quick(inProcess(nil))} }
	cases := map[string]func(*PublishOptions){
		"no Spawn":           func(o *PublishOptions) { o.Spawn = nil },
		"concurrency 0":      func(o *PublishOptions) { o.Concurrency = []int{0} },
		"-1 rounds":          func(o *PublishOptions) { o.Rounds = -1 },
		"not be negative":    func(o *PublishOptions) { o.Round = -1 },
		"bodies of 31 bytes": func(o *PublishOptions) { o.BodyBytes = 31 },
		"want a URL such as": func(o *PublishOptions) { o.Server.URL = "127.0.0.1:8080" },
		"line break":         func(o *PublishOptions) { o.Server = Server{URL: "http://h", Token: "a\r\nb"} },
		"delay 1ms":          func(o *PublishOptions) { o.Delay = time.Millisecond },
		"destination":        func(o *PublishOptions) { o.Destination = "a b" },
	}
	for want, spoil := range cases {
		o := ok()
		spoil(&o)
		if _, err := Publish(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	d := DeliverOptions{Common: ok().Common, Hosts: 251}
	if _, err := Deliver(t.Context(), d); err == nil || !strings.Contains(err.Error(), "251 hosts") {
		t.Errorf("error %v", err)
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	got := testReport().Runs[0].Ratios[0]
	want := Ratio{Of: "server", Over: "echo", Median: 0.4, Min: 0.25, Max: 0.6, Values: []float64{0.4, 0.6, 0.25}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Fatalf("median %v", m)
	}
}
