package engine

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
)

// TestUserHosts: an account sees the hosts of its own messages, counts these alone, and
// knows of a host that others find dead no more than that it is.
func TestUserHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHostWire()
		e := open(t, testOptions(vfs.NewMem(), w))
		if err := e.Bootstrap([]Account{testAccount, {ID: 2, Name: "two", Token: "token two", Keys: testAccount.Keys}}); err != nil {
			t.Fatal(err)
		}
		ps := make([]Publish, 20)
		for i := range ps {
			ps[i] = Publish{User: 1, URL: "http://dead.example:81/x", Retries: 50, RetryDelay: "1000"}
		}
		publishAll(t, e, ps)
		publishAll(t, e, []Publish{
			{User: 1, URL: "http://hole.example/", Timeout: time.Hour},
			{User: 1, URL: "http://later.example/", Delay: 30 * time.Second},
			{User: 1, URL: "http://far.example/", Delay: time.Hour}, // not in memory
			{User: 2, URL: "http://dead.example:81/other", Delay: 30 * time.Second},
		})
		time.Sleep(5 * time.Second)
		hosts := mustUserHosts(t, e, 1)
		names := make([]string, len(hosts))
		for i := range hosts {
			names[i] = hosts[i].Host
		}
		if slices.Sort(names[1:]); !slices.Equal(names, []string{"http://dead.example:81", "http://hole.example:80", "http://later.example:80"}) {
			t.Fatalf("the hosts of the first account: %+v", hosts)
		}
		for _, h := range hosts {
			switch h.Host {
			case "http://dead.example:81":
				if !h.HalfOpen || h.Messages != len(ps) || h.Probe.IsZero() {
					t.Errorf("the one that refuses: %+v", h)
				}
			case "http://hole.example:80":
				if h.HalfOpen || h.InFlight != 1 || h.Messages != 1 || !h.Probe.IsZero() {
					t.Errorf("the one that does not answer: %+v", h)
				}
			default:
				if h.HalfOpen || h.InFlight != 0 || h.Messages != 1 {
					t.Errorf("the one that waits: %+v", h)
				}
			}
		}
		if h := mustUserHosts(t, e, 2); len(h) != 1 || h[0].Host != "http://dead.example:81" || !h[0].HalfOpen || h[0].Messages != 1 || h[0].InFlight != 0 {
			t.Errorf("the hosts of the second account: %+v", h)
		}
		if h := mustUserHosts(t, e, 3); len(h) != 0 {
			t.Errorf("the hosts of nobody: %+v", h)
		}
		close(w.stop)
	})
}

func mustUserHosts(t *testing.T, e *Engine, u UserID) []UserHost {
	t.Helper()
	hosts, err := e.UserHosts(u)
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

// TestUserHostsAreBounded: a walk goes on piece by piece, finds what is in the last one,
// and keeps no more hosts than it may.
func TestUserHostsAreBounded(t *testing.T) {
	b := newBareCore(t, 100_000)
	const hosts, each = 30_000, 2
	for i := range uint64(hosts * each) {
		lane := 1 + i/each
		r := record.Row{User: 1 + uint32(i%each), Nonce: 1, Seq: 8 + 8*i, Pos: 8 + 8*i, Len: 100, Lane: lane, Host: lane, Due: b.now + 10_000}
		b.admit(b.laneOf(&r), &r, stTimer)
	}
	for user, want := range map[uint32]int{1: userHostsMax, 2: userHostsMax, 3: 0} {
		byID, pieces := map[uint64]*userHost{}, 1
		for at := 0; b.countHosts(user, at, byID); at += hostWalk {
			pieces++
		}
		if len(byID) != want || pieces != (hosts*each+hostWalk-1)/hostWalk {
			t.Errorf("account %d: %d hosts in %d pieces", user, len(byID), pieces)
		}
		for _, h := range byID {
			if h.Messages != 1 {
				t.Fatalf("%+v", h)
			}
		}
	}
}
