package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

// TestTimeHerd publishes a million messages for 32 hosts that are all due at one
// second, and watches what happens then: the resident set before, at the most while
// they drain, and after, beside that of the same server after as many messages that
// were due at once; how fast they drain, over the rate of `bench deliver` at the end
// of the same run; and how long publishes take meanwhile. None may be early or lost.
func TestTimeHerd(t *testing.T) {
	herd := scaleMillion(t)
	s := newScale(t)
	s.deliver(herd / 4)
	_, steady := residentSet(t, s.proc.pid())
	t.Logf("resident %s at most while %d messages are delivered as they come", mibs(steady), herd/4)
	sinks := newHerdSinks(t)
	lead := time.Minute + time.Duration(herd)*80*time.Microsecond // a third of the rate at which batches go in
	sinks.due = time.Now().Add(lead).Truncate(time.Second)
	header := `"Upstash-Not-Before":"` + strconv.FormatInt(sinks.due.Unix(), 10) + `"`
	began := time.Now()
	s.batches(herd, func(rng *rand.Rand, b []byte) []byte {
		return appendItem(rng, b, sinks.urls[rng.IntN(len(sinks.urls))]+"/due", header)
	})
	took := time.Since(began)
	if !time.Now().Before(sinks.due) {
		t.Fatalf("publishing took %v, longer than the messages wait", took)
	}
	t.Logf("published %d messages in %v, %v before they are due", herd, took.Round(time.Millisecond), time.Until(sinks.due).Round(time.Second))
	s.herd(herd, sinks, steady)
	s.proc.stop(t)
	s.compareHerd(float64(herd)/sinks.took().Seconds(), len(sinks.urls))
}

// herdMemoryMax is what ARCHITECTURE.md's budgets add up to at the defaults, whatever
// the size of the herd: mostly the index's memtables, which a drain keeps full.
const herdMemoryMax = 600 * config.MiB

// herd follows n messages from a few seconds before they are due until the last of
// them has arrived. steady is the resident set to compare with.
func (s *scale) herd(n int, sinks *herdSinks, steady int64) {
	s.t.Helper()
	time.Sleep(time.Until(sinks.due.Add(-10 * time.Second)))
	probe := startProbe(s.t, s.addr, s.token)
	before, _ := residentSet(s.t, s.proc.pid())
	time.Sleep(time.Until(sinks.due))
	at, _ := residentSet(s.t, s.proc.pid())
	most := at
	for deadline := sinks.due.Add(time.Minute + time.Duration(n)*time.Millisecond); sinks.arrived.Load() < int64(n); {
		time.Sleep(20 * time.Millisecond)
		rss, _ := residentSet(s.t, s.proc.pid())
		most = max(most, rss)
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d messages did not arrive", int64(n)-sinks.arrived.Load(), n)
		}
	}
	acks := probe.stop(s.t)
	time.Sleep(10 * time.Second) // the index catches up, and the collector
	after, _ := residentSet(s.t, s.proc.pid())
	s.t.Logf("drained %d messages to %d hosts in %v: %.0f/s; the first came %v after its time", n, len(sinks.urls),
		sinks.took().Round(time.Millisecond), float64(n)/sinks.took().Seconds(), time.Duration(sinks.first.Load()-sinks.due.UnixNano()))
	s.t.Logf("resident %s before, %s when they are due, %s at most, %s ten seconds after", mibs(before), mibs(at), mibs(most), mibs(after))
	s.t.Logf("publish acks before: %s; while they drain: %s (none above 100 ms is wanted)",
		describeAcks(acks, sinks.due, false), describeAcks(acks, sinks.due, true))
	if early := sinks.early.Load(); early > 0 {
		s.t.Errorf("%d messages came before they were due", early)
	}
	if most > herdMemoryMax {
		s.t.Errorf("the resident set went to %s, from %s and at most %s before, want %s at most", mibs(most), mibs(before), mibs(steady), mibs(herdMemoryMax))
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
	due            time.Time // of all messages
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
	if now < h.due.UnixNano() {
		h.early.Add(1)
	}
	h.first.CompareAndSwap(0, now)
	for last := h.last.Load(); last < now && !h.last.CompareAndSwap(last, now); last = h.last.Load() {
	}
	h.arrived.Add(1)
}

// took is the time from the due time to the last arrival.
func (h *herdSinks) took() time.Duration { return time.Duration(h.last.Load() - h.due.UnixNano()) }
