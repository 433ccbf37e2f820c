package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// TestLimitsOfCore: a raised parallelism starts at once what waited, one that is lowered
// lets what is under way end and starts nothing until there is less than it allows.
func TestLimitsOfCore(t *testing.T) {
	b := newBareCore(t, 1000)
	set := func(all, host int) event {
		l := b.opts.Limits()
		l.Parallelism, l.HostParallelism = all, host
		return event{kind: evLimits, limits: &l, query: func(*core) {}}
	}
	for seq := range uint64(100) {
		b.message(seq+1, bareNow)
	}
	flying := append([]startCommand(nil), b.after(0, set(4, 4)).starts...)
	start := func(want int, events ...event) {
		t.Helper()
		got := b.after(0, events...).starts
		if len(got) != want {
			t.Fatalf("%d attempts start, want %d: %d in flight, %d and %d allowed", len(got), want, b.inflight, b.parallelism, b.hostParallelism)
		}
		flying = append(flying, got...)
	}
	end := func() event {
		i := flying[0].slot
		flying = flying[1:]
		return event{kind: evFinished, slot: i, result: &attemptResult{success: true, answered: true}}
	}
	start(1, end())
	start(6, set(10, 10))
	start(0, set(3, 10))
	for len(flying) > 3 {
		start(0, end())
	}
	start(1, end())
	start(0, set(10, 2))
	start(0, end())
	start(1, end())
	start(62, set(100, 64))
	if g := b.gauges(0); g.InFlight != 64 || g.InFlightMax != 100 {
		t.Errorf("operators are told of %d attempts, at most %d; want 64 and 100", g.InFlight, g.InFlightMax)
	}
}

// TestSetLimits: what is wrong changes nothing, and what is right is in force when the
// call returns.
func TestSetLimits(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	before := e.Limits()
	l := before
	l.MaxRetries, l.MessageMax = 1, 64<<20
	err := e.SetLimits(l)
	if err == nil || !strings.Contains(err.Error(), "or message.max-size and response.max-size to ") {
		t.Fatalf("a message that no segment holds: %v", err)
	}
	if e.Limits() != before {
		t.Fatalf("refused limits are in force: %+v", e.Limits())
	}
	// What the error names as right is.
	var most int
	if _, err := fmt.Sscanf(err.Error()[strings.Index(err.Error(), "response.max-size to "):], "response.max-size to %d", &most); err != nil {
		t.Fatal(err)
	}
	l.MessageMax = most - l.ResponseMax
	if err := e.SetLimits(l); err != nil {
		t.Fatalf("as the error before said: %v", err)
	}
	p := &Publish{User: 1, URL: "http://d.example/"}
	p.Body = make([]byte, l.MessageMax)
	for i := range p.Body {
		p.Body[i] = byte(i * i >> 7)
	}
	if _, err := e.Publish(p); err != nil {
		t.Errorf("the largest message that is allowed now: %v", err)
	}
	p.Body = make([]byte, l.MessageMax+1)
	if _, err := e.Publish(p); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	p.Body, p.Retries = nil, 2
	if _, err := e.Publish(p); err == nil || !strings.Contains(err.Error(), "maxRetries") {
		t.Errorf("two retries where one is allowed: %v", err)
	}
}

// gauge is a wire whose attempts last a moment, and that knows how many there are.
type gauge struct {
	now, most, done atomic.Int64
	ended           chan struct{}
}

func (w *gauge) Do(_ *dispatch.Attempt, r *dispatch.Result) {
	n := w.now.Add(1)
	for most := w.most.Load(); n > most && !w.most.CompareAndSwap(most, n); most = w.most.Load() {
	}
	time.Sleep(time.Millisecond)
	*r = dispatch.Result{Status: 200}
	w.done.Add(1)
	w.now.Add(-1)
	w.ended <- struct{}{}
}

// TestSetLimitsUnderLoad: limits change again and again while four publish and what they
// publish is delivered; once what was under way has ended, no more is than is allowed.
func TestSetLimitsUnderLoad(t *testing.T) {
	w := &gauge{ended: make(chan struct{}, 1<<16)}
	o := testOptions(vfs.NewMem(), w)
	o.Parallelism = 4 // more than the workers' channel was made for is asked of it
	e := open(t, o)
	var publishers sync.WaitGroup
	var published atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		publishers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := e.Publish(&Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/", n%5), Body: make([]byte, 100+200*(n%2)), Retries: 1})
				switch {
				case err == nil:
					published.Add(1)
				case errors.Is(err, ErrOverloaded):
					time.Sleep(time.Millisecond)
				case !errors.Is(err, ErrTooLarge):
					t.Errorf("publish: %v", err)
					return
				}
				if published.Load()-w.done.Load() > 2000 {
					<-w.ended
				}
			}
		})
	}
	for i, most := range []int{64, 3, 200, 1, 50, 7} {
		l := e.Limits()
		l.Parallelism, l.HostParallelism, l.MessageMax = most, max(1, most/2), 200+200*(i%2)
		l.ScrubRate, l.DeadAge, l.MinFree = int64(i%2)*2-1, time.Duration(i%2)*time.Hour-time.Minute*time.Duration(1-i%2), -1
		if err := e.SetLimits(l); err != nil {
			t.Fatal(err)
		}
		for ended := false; !ended; {
			if err := e.query(func(c *core) { ended = c.inflight <= most }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // leaves the processor to those that are waited for
		}
		w.most.Store(0)
		for range 200 {
			<-w.ended
		}
		if n := w.most.Load(); n > int64(most) {
			t.Errorf("%d attempts at one time, delivery.parallelism is %d", n, most)
		}
	}
	close(stop)
	go func() { // whoever waits for the wire
		for range w.ended {
		}
	}()
	publishers.Wait()
	for w.done.Load() < published.Load() {
		time.Sleep(time.Millisecond)
	}
	if n := len(e.workers.flights.all); n > 200 {
		t.Errorf("%d workers, delivery.parallelism was at most 200", n)
	}
	closeEngine(t, e)
	close(w.ended)
	if err := e.SetLimits(e.Limits()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Shutdown: %v", err)
	}
}
