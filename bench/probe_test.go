package bench

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestProbe: a probe publishes at its rate when it is told to, one load at a time, and ends
// its load when it ends.
func TestProbe(t *testing.T) {
	t.Parallel()
	f := &fake{delay: "86400s"}
	procs, _ := newChildren(t.Context(), inProcess(f.serve))
	defer func() {
		if err := procs.stop(); err != nil {
			t.Error(err)
		}
	}()
	server, err := procs.server(t.Context(), Server{})
	if err != nil {
		t.Fatal(err)
	}
	at, err := procs.start(t.Context(), RoleProbe)
	if err != nil {
		t.Fatal(err)
	}
	order := probeOrder{Server: server, PerSecond: 500, Connections: 4, BodyBytes: 100, Timeout: 5 * time.Second}
	p, err := newRemoteProbe(t.Context(), at, order)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRemoteProbe(t.Context(), at, order); err == nil || !strings.Contains(err.Error(), "not now") {
		t.Errorf("a second load at one time: %v", err)
	}
	if err := p.measure(); err != nil {
		t.Fatal(err)
	}
	before := f.published.Load()
	for f.published.Load() < before+20 {
		time.Sleep(time.Millisecond)
	}
	side, err := p.end()
	if err != nil || side.Name != "publishes" || side.Messages < 15 || side.Failed != 0 || side.Pace == nil || side.Pace.Rate != 500 || len(side.Rounds) != 1 {
		t.Fatalf("%v, side %+v", err, side)
	}
	if side.Pace.void() != (side.Max == 0) {
		t.Errorf("pace %+v, at most %v", side.Pace, side.Max)
	}
	if bad := f.badHead.Load(); bad != nil {
		t.Errorf("the server was sent %s", *bad)
	}
	if p, err = newRemoteProbe(t.Context(), at, order); err != nil { // it runs on until the probe is stopped
		t.Fatal(err)
	}
	p.w.close()
}

// TestProbeRefuses: what is no order, and publishes that fail.
func TestProbeRefuses(t *testing.T) {
	t.Parallel()
	f := &fake{refuse: true, delay: "86400s"}
	procs, _ := newChildren(t.Context(), inProcess(f.serve))
	defer func() {
		if err := procs.stop(); err != nil {
			t.Error(err)
		}
	}()
	server, err1 := procs.server(t.Context(), Server{})
	at, err2 := procs.start(context.Background(), RoleProbe)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	order := probeOrder{Server: Server{URL: "nowhere"}, PerSecond: 500, Connections: 1, BodyBytes: 100, Timeout: 5 * time.Second}
	if _, err := newRemoteProbe(t.Context(), at, order); err == nil || !strings.Contains(err.Error(), "names no host") {
		t.Errorf("a server without an address: %v", err)
	}
	if _, err := newRemoteProbe(t.Context(), at, probeOrder{Server: server}); err == nil || !strings.Contains(err.Error(), "no order") {
		t.Errorf("an empty order: %v", err)
	}
	order.Server = server
	p, err := newRemoteProbe(t.Context(), at, order)
	if err != nil {
		t.Fatal(err)
	}
	for f.published.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := p.end(); err == nil || !strings.Contains(err.Error(), "overloaded") {
		t.Errorf("a server that refuses: %v", err)
	}
}
