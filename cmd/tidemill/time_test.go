package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/bench"
)

// The tests below measure delays in the real process. They run with `make time`,
// and like the scale tests take what counts as a million from TIDEMILL_SCALE.

// idleShareMax is how much of a core a server with nothing to do may use.
const idleShareMax = 0.002

// TestTimeIdle measures the CPU time of a server that has nothing to do: an empty
// one, and one with 100,000 messages that wait for an hour to a day. A start writes
// its spare segments first and the load leaves work for the index, so the clock
// starts when both are through.
func TestTimeIdle(t *testing.T) {
	waiting := scaleMillion(t) / 10
	s := newScale(t)
	for _, n := range []int{0, waiting} {
		if n > 0 {
			s.fill(n)
		}
		time.Sleep(idleSettle)
		share, wakes := s.idle(idleMeasured)
		t.Logf("%d messages wait: %.3f %% of a core over %v, %.1f context switches a second", s.pending, 100*share, idleMeasured, wakes)
		if share > idleShareMax {
			t.Errorf("%d messages wait: %.3f %% of a core, want %.1f %% at most", s.pending, 100*share, 100*idleShareMax)
		}
	}
	s.proc.stop(t)
}

const (
	idleSettle   = 45 * time.Second // spares and ballast after a start, index and history after a load
	idleMeasured = time.Minute
)

// idle measures the server for a while: the share of a core it uses, and how often a
// second its threads are put to sleep.
func (s *scale) idle(lasts time.Duration) (share, wakes float64) {
	s.t.Helper()
	cpu, switches := s.usage()
	time.Sleep(lasts) // doing nothing is what is measured
	cpuAfter, switchesAfter := s.usage()
	return (cpuAfter - cpu).Seconds() / lasts.Seconds(), float64(switchesAfter-switches) / lasts.Seconds()
}

// usage reads what the server's threads have used since they began. schedstat counts
// nanoseconds, where stat counts hundredths of a second.
func (s *scale) usage() (cpu time.Duration, switches int64) {
	s.t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", s.proc.pid()))
	if err != nil || len(tasks) == 0 {
		s.t.Skipf("no /proc: %v", err)
	}
	for _, task := range tasks {
		stat, err1 := os.ReadFile(task + "/schedstat")
		status, err2 := os.ReadFile(task + "/status")
		if err := errors.Join(err1, err2); err != nil {
			s.t.Skipf("this kernel does not count CPU time by thread: %v", err)
		}
		var ns int64
		if _, err := fmt.Sscan(string(stat), &ns); err != nil {
			s.t.Fatalf("%s/schedstat %q: %v", task, stat, err)
		}
		cpu += time.Duration(ns)
		_, after, _ := bytes.Cut(status, []byte("voluntary_ctxt_switches:"))
		var n int64
		if _, err := fmt.Sscan(string(after), &n); err == nil {
			switches += n
		}
	}
	return cpu, switches
}

// TestTimeHerd publishes a million messages for 32 hosts that are all due at one
// second, and watches what happens then: the resident set before, at the most while
// they drain, and after; how fast they drain, over the rate of `bench deliver` at the
// end of the same run; and how long publishes take meanwhile. None may be early, lost
// or refused.
func TestTimeHerd(t *testing.T) {
	herd := scaleMillion(t)
	s := newScale(t)
	sinks := newHerdSinks(t)
	lead := time.Minute + time.Duration(herd)*80*time.Microsecond // a third of the rate at which batches go in
	due := time.Now().Add(lead).Truncate(time.Second)
	sinks.due.Store(due.UnixNano())
	header := `"Upstash-Not-Before":"` + strconv.FormatInt(due.Unix(), 10) + `"`
	began := time.Now()
	s.batches(herd, func(rng *rand.Rand, b []byte) []byte {
		return appendItem(rng, b, sinks.urls[rng.IntN(len(sinks.urls))]+"/due", header)
	})
	if !time.Now().Before(due) {
		t.Fatalf("publishing took %v, longer than the messages wait", time.Since(began))
	}
	t.Logf("published %d messages in %v, %v before they are due", herd, time.Since(began).Round(time.Millisecond), time.Until(due).Round(time.Second))
	s.herd(herd, sinks, due)
	s.proc.stop(t)
	s.compareHerd(float64(herd)/time.Duration(sinks.last.Load()-due.UnixNano()).Seconds(), len(sinks.urls))
}

// herd follows the messages from a few seconds before they are due until the last of
// them has arrived.
func (s *scale) herd(n int, sinks *herdSinks, due time.Time) {
	s.t.Helper()
	time.Sleep(time.Until(due.Add(-10 * time.Second)))
	before, _ := residentSet(s.t, s.proc.pid())
	stop := make(chan struct{})
	acks := ackTimes{zero: due}
	var wg sync.WaitGroup
	wg.Go(func() { s.probe(stop, &acks) })
	time.Sleep(time.Until(due.Add(-5 * time.Second)))
	calm := acks.take()
	time.Sleep(time.Until(due))
	at, _ := residentSet(s.t, s.proc.pid())
	most, deadline := at, due.Add(time.Minute+time.Duration(n)*time.Millisecond)
	for sinks.arrived.Load() < int64(n) {
		time.Sleep(20 * time.Millisecond)
		rss, _ := residentSet(s.t, s.proc.pid())
		most = max(most, rss)
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d messages did not arrive", int64(n)-sinks.arrived.Load(), n)
		}
	}
	busy := acks.take()
	close(stop)
	wg.Wait()
	time.Sleep(10 * time.Second) // the index catches up, and the collector
	after, _ := residentSet(s.t, s.proc.pid())
	took := time.Duration(sinks.last.Load() - due.UnixNano())
	s.t.Logf("drained %d messages to %d hosts in %v: %.0f/s; the first came %v after its time", n, len(sinks.urls),
		took.Round(time.Millisecond), float64(n)/took.Seconds(), time.Duration(sinks.first.Load()-due.UnixNano()))
	s.t.Logf("resident %s before, %s when they are due, %s at most, %s ten seconds after", mibs(before), mibs(at), mibs(most), mibs(after))
	s.t.Logf("publish acks before: %s; while they drain: %s (none above 100 ms is wanted)", calm, busy)
	if early := sinks.early.Load(); early > 0 {
		s.t.Errorf("%d messages came before they were due", early)
	}
	if extra := sinks.arrived.Load() - int64(n); extra > 0 {
		s.t.Errorf("%d messages came twice", extra)
	}
	if most > before+before/2+100*mib {
		s.t.Errorf("the resident set went from %s to %s", mibs(before), mibs(most))
	}
}

// compareHerd runs the deliver benchmark on the same machine.
func (s *scale) compareHerd(drained float64, hosts int) {
	s.t.Helper()
	s.t.Setenv(scaleEnv, "") // restored by the test; a server refuses what it does not know
	os.Unsetenv(scaleEnv)
	report, err := bench.Deliver(s.t.Context(), bench.DeliverOptions{
		Common: bench.Common{Spawn: bench.Reexec{Path: builtBinary(s.t), DataParent: s.t.TempDir()}.Spawn, Rounds: 3},
		Hosts:  hosts,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	rate := report.Runs[0].Sides[0].Rate
	s.t.Logf("drained %.0f/s over %.0f/s, the steady rate of bench deliver: %.2f (at least 0.9 is wanted)", drained, rate, drained/rate)
}

// herdSinks are the destinations. They count and read the clock.
type herdSinks struct {
	urls           []string
	due            atomic.Int64 // unix ns
	arrived, early atomic.Int64
	first, last    atomic.Int64 // arrivals, unix ns
}

func newHerdSinks(t *testing.T) *herdSinks {
	h := new(herdSinks)
	for i := range 32 {
		h.urls = append(h.urls, listenHost(t, "127.0.1."+strconv.Itoa(i+1), h.arrive))
	}
	return h
}

func (h *herdSinks) arrive(*fasthttp.RequestCtx) {
	now := time.Now().UnixNano()
	if now < h.due.Load() {
		h.early.Add(1)
	}
	h.first.CompareAndSwap(0, now)
	for last := h.last.Load(); last < now && !h.last.CompareAndSwap(last, now); last = h.last.Load() {
	}
	h.arrived.Add(1)
}

// probe publishes 100 messages a second, each at its time whatever became of those
// before (open loop), and notes how long each took to be acknowledged.
func (s *scale) probe(stop <-chan struct{}, acks *ackTimes) {
	p := publisher{addr: s.addr, token: s.token}
	p.once.Do(p.init)
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			if n := p.failed.Load(); n > 0 {
				s.t.Errorf("%d of the publishes beside the herd failed", n)
			}
			return
		case <-tick.C:
			wg.Go(func() {
				began := time.Now()
				p.post("http://127.1.0.1/later", map[string]string{"Upstash-Delay": "1d"})
				acks.add(began, time.Since(began))
			})
		}
	}
}

// ackTimes are times of publishes. Safe for concurrent use.
type ackTimes struct {
	zero time.Time // when the herd is due

	mu    sync.Mutex
	took  []float64     // ms
	worst time.Duration // the longest began so long after zero
}

func (a *ackTimes) add(began time.Time, d time.Duration) {
	ms := float64(d) / float64(time.Millisecond)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.took) == 0 || ms > slices.Max(a.took) {
		a.worst = began.Sub(a.zero)
	}
	a.took = append(a.took, ms)
}

// take describes what has gathered and begins anew.
func (a *ackTimes) take() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.took
	a.took = nil
	if len(v) == 0 {
		return "none"
	}
	slices.Sort(v)
	return fmt.Sprintf("%d, p50 %.2f ms, p99 %.2f ms, max %.2f ms (at %+.1f s)", len(v), v[len(v)/2], v[len(v)*99/100], v[len(v)-1], a.worst.Seconds())
}
