package engine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// hostWire behaves by host: "dead" refuses, "hole" never answers before the
// timeout, others answer after a while.
type hostWire struct {
	mu       sync.Mutex
	inflight map[string]int
	peak     map[string]int
	done     map[string]int
	mended   bool // "dead" answers
	stop     chan struct{}
}

func newHostWire() *hostWire {
	return &hostWire{inflight: map[string]int{}, peak: map[string]int{}, done: map[string]int{}, stop: make(chan struct{})}
}

func (w *hostWire) Do(a *dispatch.Attempt, r *dispatch.Result) {
	host := strings.Split(a.URL, "/")[2]
	w.mu.Lock()
	w.inflight[host]++
	w.peak[host] = max(w.peak[host], w.inflight[host])
	mended := w.mended
	w.mu.Unlock()
	*r = dispatch.Result{Status: 200}
	switch {
	case strings.HasPrefix(host, "hole"):
		select {
		case <-time.After(a.Timeout):
		case <-w.stop:
		}
		*r = dispatch.Result{Class: dispatch.Timeout, Err: fmt.Errorf("timeout")}
	case strings.HasPrefix(host, "dead") && !mended:
		time.Sleep(10 * time.Millisecond)
		*r = dispatch.Result{Class: dispatch.Connect, Err: fmt.Errorf("connection refused")}
	default:
		time.Sleep(time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inflight[host]--
	if r.Class == dispatch.OK {
		w.done[host]++
	}
}

// TestOneHostHoldsUpNoOther is L4 in virtual time: beside a hundred hosts that
// never answer and a hundred that refuse, with more messages for each than one
// lane may hold in memory, the healthy host's messages all arrive within
// ten seconds, and no host gets more than its share.
func TestOneHostHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHostWire()
		o := testOptions(vfs.NewMem(), w)
		o.HostParallelism, o.Parallelism, o.Resident = 4, 1000, 2000
		e := open(t, o)
		t.Cleanup(func() { close(w.stop) })
		var ps []Publish
		for range 20 {
			for h := range 100 {
				ps = append(ps,
					Publish{User: 1, URL: fmt.Sprintf("http://hole%d.example/", h), Timeout: time.Hour, Retries: 100},
					Publish{User: 1, URL: fmt.Sprintf("http://dead%d.example/", h), Retries: 100})
			}
		}
		publishAll(t, e, ps)
		time.Sleep(time.Second)
		w.checkHealthy(t, e, 500, 10*time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		for host, n := range w.peak {
			if n > o.HostParallelism {
				t.Errorf("%s had %d attempts in flight, the cap is %d", host, n, o.HostParallelism)
			}
		}
	})
}

// checkHealthy publishes n messages to a host that answers and wants all of them
// delivered within the given time.
func (w *hostWire) checkHealthy(t *testing.T, e *Engine, n int, within time.Duration) {
	t.Helper()
	ps := make([]Publish, n)
	for i := range ps {
		ps[i] = Publish{User: 1, URL: "http://healthy.example/"}
	}
	publishAll(t, e, ps)
	time.Sleep(within)
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.done["healthy.example"]; got != n {
		t.Errorf("healthy host: %d of %d delivered within %v", got, n, within)
	}
}

func publishAll(t *testing.T, e *Engine, ps []Publish) {
	t.Helper()
	for _, r := range e.PublishBatch(ps) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// TestHangingHostsLeavePermits: hosts that hang until their timeout, more of them
// than delivery.parallelism has full shares, leave permits for the others.
func TestHangingHostsLeavePermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHostWire()
		o := testOptions(vfs.NewMem(), w)
		o.Parallelism, o.HostParallelism = 200, 20
		e := open(t, o)
		t.Cleanup(func() { close(w.stop) })
		var ps []Publish
		for range 50 {
			for h := range 30 {
				ps = append(ps, Publish{User: 1, URL: fmt.Sprintf("http://hole%d.example/", h), Timeout: time.Hour})
			}
		}
		publishAll(t, e, ps)
		time.Sleep(time.Second)
		w.checkHealthy(t, e, 500, 2*time.Second)
	})
}

// TestLoneHostGetsItsCap: with nobody to share with, a host gets all it may have.
func TestLoneHostGetsItsCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHostWire()
		o := testOptions(vfs.NewMem(), w)
		o.Parallelism, o.HostParallelism = 10, 10
		e := open(t, o)
		t.Cleanup(func() { close(w.stop) })
		ps := make([]Publish, 100)
		for i := range ps {
			ps[i] = Publish{User: 1, URL: "http://one.example/"}
		}
		publishAll(t, e, ps)
		time.Sleep(time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.peak["one.example"] != 10 || w.done["one.example"] != len(ps) {
			t.Errorf("at most %d at once, %d delivered", w.peak["one.example"], w.done["one.example"])
		}
	})
}

// TestHalfOpen: a host that keeps refusing is probed by one attempt at a time,
// and gets its full share back after the first answer.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHostWire()
		o := testOptions(vfs.NewMem(), w)
		o.HostParallelism = 10
		e := open(t, o)
		ps := make([]Publish, 200)
		for i := range ps {
			ps[i] = Publish{User: 1, URL: "http://dead.example/", Retries: 50, RetryDelay: "1000"}
		}
		publishAll(t, e, ps)
		time.Sleep(2 * time.Second)
		w.mu.Lock()
		if w.peak["dead.example"] != 10 {
			t.Errorf("at most %d at once before the host was known to be dead, want 10", w.peak["dead.example"])
		}
		clear(w.peak)
		w.mu.Unlock()
		time.Sleep(5 * time.Second)
		w.mu.Lock()
		if w.peak["dead.example"] != 1 {
			t.Errorf("at most %d probes at once, want 1", w.peak["dead.example"])
		}
		w.mu.Unlock()
		w.mu.Lock()
		w.mended = true
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.done["dead.example"] != len(ps) || w.peak["dead.example"] != 10 {
			t.Errorf("after the host came back: %d of %d delivered, at most %d at once", w.done["dead.example"], len(ps), w.peak["dead.example"])
		}
	})
}
