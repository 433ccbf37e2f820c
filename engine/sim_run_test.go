package engine

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// simReportEvery is how often a long simulation says how far it is.
const simReportEvery = 30 * time.Second

// simSlow is how long a seed may run before the report names it: one that never ends
// would fail no check.
const simSlow = time.Minute

// TestSimulate runs seeds for TIDEMILL_SIMULATE seconds, on all processors, from
// TIDEMILL_SIM_SEED on or from a random one (`make simulate`).
func TestSimulate(t *testing.T) {
	v := os.Getenv("TIDEMILL_SIMULATE")
	if v == "" {
		t.Skip("TIDEMILL_SIMULATE=seconds runs the simulation for so long")
	}
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil || seconds <= 0 {
		t.Fatalf("TIDEMILL_SIMULATE=%q: it must be a number of seconds", v)
	}
	first := randomSeed(t)
	t.Logf("the first seed is %d", first)
	p := newSimPool(t, first)
	end := p.began.Add(time.Duration(seconds * float64(time.Second)))
	p.start(func() bool { return time.Now().Before(end) }, func(seed uint64, err error) {
		t.Errorf("%v\nrun it again with %s", err, replayCommand(seed))
	})
	stop := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() { p.reportUntil(stop) })
	p.workers.Wait()
	close(stop)
	reporter.Wait()
	t.Log(p.report())
}

func replayCommand(seed uint64) string {
	return fmt.Sprintf("TIDEMILL_SIM_SEED=%d go test -count=1 -run '^TestSimulation$' ./engine", seed)
}

// simTotals adds up what seeds went through.
type simTotals struct {
	seeds, failed, crashes, messages, attempts int

	clock time.Duration // by the simulated clocks, steps back taken off
}

func (s *simTotals) add(r *sim, err error) {
	s.seeds++
	if err != nil {
		s.failed++
	}
	if r == nil {
		return
	}
	s.crashes += r.crashes
	s.messages += r.published + r.schedules.ticks
	s.attempts += r.attempts
	s.clock += time.Duration(r.now-simEpoch) * time.Millisecond
}

// simPool runs one seed after the other on all processors. A simulation is one
// goroutine and shares nothing with others, so its history does not depend on them.
type simPool struct {
	t       *testing.T
	began   time.Time
	workers sync.WaitGroup

	mu struct {
		sync.Mutex
		next    uint64
		running map[uint64]time.Time // since when
		simTotals
	}
}

func newSimPool(t *testing.T, first uint64) *simPool {
	p := &simPool{t: t, began: time.Now()}
	p.mu.next, p.mu.running = first, map[uint64]time.Time{}
	return p
}

// start begins the work: seeds are taken while more says so, and those that fail are
// handed to failed, one at a time.
func (p *simPool) start(more func() bool, failed func(seed uint64, err error)) {
	for range runtime.GOMAXPROCS(0) {
		p.workers.Go(func() {
			for more() {
				seed := p.take()
				s, err := trySim(p.t, seed)
				p.done(seed, s, err, failed)
			}
		})
	}
}

func (p *simPool) take() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	seed := p.mu.next
	p.mu.next++
	p.mu.running[seed] = time.Now()
	return seed
}

func (p *simPool) done(seed uint64, s *sim, err error, failed func(uint64, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mu.running, seed)
	p.mu.add(s, err)
	if err != nil {
		failed(seed, err)
	}
}

// trySim runs one seed. A panic is a failure like others, so that its seed is told; s
// is nil then.
func trySim(t *testing.T, seed uint64) (s *sim, err error) {
	defer func() {
		if v := recover(); v != nil {
			s, err = nil, fmt.Errorf("seed %d: panic: %v\n%s", seed, v, debug.Stack())
		}
	}()
	s = runSim(t, seed, simConfigOf(seed))
	return s, s.failed
}

func (p *simPool) reportUntil(stop <-chan struct{}) {
	tick := time.NewTicker(simReportEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			p.t.Log(p.report())
		}
	}
}

func (p *simPool) report() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, took := &p.mu, time.Since(p.began)
	text := fmt.Sprintf("%4.0f s: %d seeds, %.0f an hour, %d failed; %.1f simulated days, %d power cuts, %d messages, %d attempts",
		took.Seconds(), m.seeds, float64(m.seeds)/took.Hours(), m.failed, m.clock.Hours()/24, m.crashes, m.messages, m.attempts)
	var slow []uint64
	for seed, since := range m.running {
		if time.Since(since) > simSlow {
			slow = append(slow, seed)
		}
	}
	slices.Sort(slow)
	for _, seed := range slow {
		text += fmt.Sprintf("\n      seed %d has run for %.0f s: %s", seed, time.Since(m.running[seed]).Seconds(), replayCommand(seed))
	}
	return text
}
