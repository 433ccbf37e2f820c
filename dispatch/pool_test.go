package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Timeout: -1}, {ConnectTimeout: -1}, {IdleTimeout: -1}, {MaxResponse: -1}, {MaxResponse: maxMaxResponse + 1}, {MaxHeader: 100}, {MaxConnsPerHost: -1}, {MaxIdleConns: -1}, {MaxHosts: -1}} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "Options.") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	do(t, c, Attempt{URL: "http://127.0.0.1/"}).want(t, Refused, 0, "--destinations.allow 127.0.0.1")
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}

// TestIdleTimeout: kept connections are closed by the janitor, and idle pools are
// forgotten a minute later.
func TestIdleTimeout(t *testing.T) {
	ended := make(chan struct{}, 1)
	s := newRawServer(t, func(c *rawConn) {
		serveOK(c)
		ended <- struct{}{}
	})
	c := newClient(t, Options{IdleTimeout: 50 * time.Millisecond})
	do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
	<-ended // the server saw our close
	c.registry.sweep(time.Now())
	if st := c.Stats(); st.Idle != 0 || st.Open != 0 || st.Hosts != 1 {
		t.Errorf("stats %+v", st)
	}
	c.registry.sweep(time.Now().Add(2 * poolIdle))
	if st := c.Stats(); st.Hosts != 0 {
		t.Errorf("the pool was kept: %+v", st)
	}
	do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
}

// TestEvictionRace: sweeping as if a minute had passed, at all times, loses nothing.
func TestEvictionRace(t *testing.T) {
	s := newRawServer(t, serveOK)
	c := newClient(t, Options{})
	stop := make(chan struct{})
	var sweeper, workers sync.WaitGroup
	sweeper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.registry.sweep(time.Now().Add(2 * poolIdle))
			}
		}
	})
	for range 8 {
		workers.Go(func() {
			for range 100 {
				do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
			}
		})
	}
	workers.Wait()
	close(stop)
	sweeper.Wait()
	c.registry.sweep(time.Now().Add(2 * poolIdle))
	if st := c.Stats(); st.Idle != 0 || st.Open != 0 || st.Hosts != 0 || st.Outcomes[OK] != 800 {
		t.Errorf("stats %+v", st)
	}
}

// TestMaxHosts: further hosts work, but keep nothing.
func TestMaxHosts(t *testing.T) {
	s := newRawServer(t, serveOK)
	r := &fakeResolver{answers: map[string][]string{}}
	for i := range 6 {
		r.answers[fmt.Sprintf("h%d.example", i)] = []string{"127.0.0.1"}
	}
	c := newClient(t, Options{Resolver: r, MaxHosts: 2})
	for i := range 6 {
		u := fmt.Sprintf("http://h%d.example:%s/", i, portOf(s))
		do(t, c, Attempt{URL: u}).want(t, OK, 200, "")
		if res := do(t, c, Attempt{URL: u}); res.Class != OK || res.Timing.Reused != (i < 2) {
			t.Errorf("host %d: %+v", i, res)
		}
	}
	if st := c.Stats(); st.Hosts != 2 || st.Open != 2 || len(c.registry.mu.loose) != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestMaxConns: at the bound of a host an attempt fails at once, sending nothing.
func TestMaxConns(t *testing.T) {
	arrived := make(chan struct{}, 2)
	s := newRawServer(t, func(c *rawConn) {
		c.request()
		arrived <- struct{}{}
		c.hold()
	})
	c := newClient(t, Options{MaxConnsPerHost: 2})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			do(t, c, Attempt{URL: s.URL, Timeout: time.Minute}).want(t, Canceled, 0, "shutting down")
		})
		<-arrived
	}
	do(t, c, Attempt{URL: s.URL}).want(t, Busy, 0, "more than 2 connections to the host")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if st := c.Stats(); st.Open != 0 || s.reqs.Load() != 2 {
		t.Errorf("stats %+v, %d requests", st, s.reqs.Load())
	}
}

// TestClose cuts attempts in every phase and waits for them.
func TestClose(t *testing.T) {
	started := make(chan struct{}, 8)
	s := newRawServer(t, func(c *rawConn) { started <- struct{}{}; c.hold() })
	r := &fakeResolver{answers: map[string][]string{"hang.example": {"hang"}}}
	c := newClient(t, Options{Resolver: r})
	var wg sync.WaitGroup
	for _, u := range []string{s.URL, "https" + s.URL[4:]} {
		wg.Go(func() {
			do(t, c, Attempt{URL: u, Timeout: time.Minute}).want(t, Canceled, 0, "shutting down")
		})
		<-started
	}
	wg.Go(func() {
		do(t, c, Attempt{URL: "http://hang.example/", Timeout: time.Minute}).want(t, Canceled, 0, "shutting down")
	})
	for asked := false; !asked; {
		r.mu.Lock()
		asked = r.asked["hang.example"] > 0
		r.mu.Unlock()
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	res := do(t, c, Attempt{URL: s.URL})
	res.want(t, Canceled, 0, "shutting down")
	if !errors.Is(res.Err, ErrClosed) || c.Stats().Open != 0 {
		t.Errorf("%v, stats %+v", res.Err, c.Stats())
	}
}

func TestClassNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range classCount {
		if s := c.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("class %d is called %q", c, s)
		} else {
			seen[s] = true
		}
	}
	if classCount.String() != "unknown" {
		t.Error("a class beyond the last has a name")
	}
}
