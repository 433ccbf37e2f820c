package dispatch

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestSetTrust: a kept connection to an address that is refused from now on is closed and
// not used again (P39), and one that is allowed again is a new one.
func TestSetTrust(t *testing.T) {
	ended := make(chan struct{}, 8)
	s := newRawServer(t, func(c *rawConn) {
		serveOK(c)
		ended <- struct{}{}
	})
	c := newClient(t, Options{})
	open, shut := mustPolicy(t, PolicyOptions{AllowPrivate: true}), mustPolicy(t, PolicyOptions{AllowPrivate: true, Deny: []string{"127.0.0.0/8"}})
	do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
	c.SetTrust(shut, nil)
	do(t, c, Attempt{URL: s.URL}).want(t, Refused, 0, "denied by --destinations.deny")
	<-ended
	if st := c.Stats(); st.Idle != 0 || st.Open != 0 || s.reqs.Load() != 1 {
		t.Errorf("%d requests arrived, %+v", s.reqs.Load(), st)
	}
	if err := c.CheckURL(s.URL); err == nil {
		t.Error("a publish to it is accepted")
	}
	c.SetTrust(open, nil)
	do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections, want a second one", n)
	}
}

// TestSetTrustUnderLoad: whatever attempts are under way while rules change, none that
// begins after they have gets through.
func TestSetTrustUnderLoad(t *testing.T) {
	s := newRawServer(t, serveOK)
	c := newClient(t, Options{})
	open, shut := mustPolicy(t, PolicyOptions{AllowPrivate: true}), mustPolicy(t, PolicyOptions{})
	var load sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if r := do(t, c, Attempt{URL: s.URL}); r.Class != OK && r.Class != Refused {
					t.Errorf("%v: %v", r.Class, r.Err)
					return
				}
			}
		})
	}
	for range 50 {
		c.SetTrust(shut, nil)
		do(t, c, Attempt{URL: s.URL}).want(t, Refused, 0, "loopback")
		c.SetTrust(open, nil)
		do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
	}
	close(stop)
	load.Wait()
	c.SetTrust(shut, nil)
	do(t, c, Attempt{URL: s.URL}).want(t, Refused, 0, "loopback")
	if st := c.Stats(); st.Idle != 0 || st.Open != 0 {
		t.Errorf("connections are left of former rules: %+v", st)
	}
}

// TestCloseCutsAttemptsOfFormerRules: an attempt that is under way by rules that were
// replaced, at a host that others are made to since, ends when the client is closed.
func TestCloseCutsAttemptsOfFormerRules(t *testing.T) {
	began := make(chan struct{}, 1)
	var first atomic.Bool
	s := newRawServer(t, func(c *rawConn) {
		if first.CompareAndSwap(false, true) {
			c.request()
			began <- struct{}{}
			c.request() // until the client hangs up
			return
		}
		serveOK(c)
	})
	c := newClient(t, Options{})
	hanging := make(chan Class, 1)
	go func() {
		var r Result
		c.Do(&Attempt{Method: "POST", URL: s.URL, Timeout: time.Hour}, &r)
		hanging <- r.Class
	}()
	<-began
	for range 2 {
		c.SetTrust(mustPolicy(t, PolicyOptions{AllowPrivate: true}), nil)
		do(t, c, Attempt{URL: s.URL}).want(t, OK, 200, "")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if class := <-hanging; class != Canceled {
		t.Errorf("the attempt ends with %v", class)
	}
	if n := len(c.registry.mu.loose); n != 0 {
		t.Errorf("%d pools are still known", n)
	}
}

// TestSetLimits: an answer is kept as far as the newest limit says.
func TestSetLimits(t *testing.T) {
	s := newRawServer(t, serveOK)
	c := newClient(t, Options{})
	c.SetLimits(1, 8)
	if r := do(t, c, Attempt{URL: s.URL}); len(r.Body) != 1 || !r.Truncated {
		t.Errorf("%q of an answer is kept, truncated %v", r.Body, r.Truncated)
	}
	c.SetLimits(1<<20, 8)
	if r := do(t, c, Attempt{URL: s.URL}); len(r.Body) < 2 || r.Truncated {
		t.Errorf("%q of an answer is kept, truncated %v", r.Body, r.Truncated)
	}
}
