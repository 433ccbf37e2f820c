package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The tests named TestTime measure delays in the real process. They run with
// `make time`, and like the scale tests take what counts as a million from TIDEMILL_SCALE.

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
