package engine

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// notebook keeps the notices of an engine.
type notebook struct {
	mu   sync.Mutex
	list []Notice
}

func (n *notebook) notify(v Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, v)
}

// take returns what came since the last call, as "kind host".
func (n *notebook) take() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.list {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", v.Kind, v.Host, v.Error)))
	}
	n.list = nil
	return all
}

// TestNotices: a host's circuit opens once and closes once, however many attempts there are; the first
// dead letter of a host is told of and the others are not; neither holds more of a URL than its host.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		w := newFakeWire()
		w.reply = func(a *fakeAttempt, r *dispatch.Result) {
			switch {
			case strings.Contains(a.url, "refuses"):
				*r = dispatch.Result{Status: 500}
			case down.Load():
				*r = dispatch.Result{Class: dispatch.Connect, Err: errors.New("dial tcp 192.0.2.1:80: connection refused")}
			}
		}
		var book notebook
		var log bytes.Buffer // written by goroutines of the engine: to be read once it is closed
		o := testOptions(vfs.NewMem(), w)
		o.Notify = book.notify
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		e, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Bootstrap([]Account{testAccount}); err != nil {
			t.Fatal(err)
		}
		want := func(when string, all ...string) {
			t.Helper()
			synctest.Wait()
			if got := book.take(); strings.Join(got, "\n") != strings.Join(all, "\n") {
				t.Errorf("%s: notices are\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(all, "\n"))
			}
		}
		for range 5 {
			publish(t, e, Publish{URL: "https://refuses.example/secret-path?key=canary", Retries: 0})
		}
		time.Sleep(time.Minute)
		want("dead letters", "dead_letter https://refuses.example:443 the destination answered 500")

		publish(t, e, Publish{URL: "http://down.example/secret-path", Retries: 50, RetryDelay: "10000"})
		time.Sleep(2 * time.Minute)
		want("a dead host", "circuit_opened http://down.example:80 dial tcp 192.0.2.1:80: connection refused")
		down.Store(false)
		time.Sleep(time.Minute)
		want("it answers", "circuit_closed http://down.example:80")

		closeEngine(t, e)
		text := log.String()
		for line, n := range map[string]int{
			"become dead letters": 1, "probed by one attempt": 1, "answers again": 1, "secret-path": 0, "canary": 0,
		} {
			if got := strings.Count(text, line); got != n {
				t.Errorf("%q stands %d times in the log, want %d:\n%s", line, got, n, text)
			}
		}
	})
}

// TestFirstDead: a host is told of again after a quiet day, not after a day; what is remembered is bounded.
func TestFirstDead(t *testing.T) {
	var n notices
	n.init()
	now := time.Unix(1e9, 0)
	for i, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, false}, {23 * time.Hour, false}, {23 * time.Hour, false}, {25 * time.Hour, true}} {
		now = now.Add(step.after)
		if got := n.firstDead(1, now); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	for host := range uint64(3 * deadHostsMax) {
		n.firstDead(host+2, now.Add(time.Duration(host)*time.Minute))
	}
	if len(n.deadHosts) > deadHostsMax {
		t.Errorf("%d hosts are remembered", len(n.deadHosts))
	}
}

// TestNoticesNeverWait: what happens while nobody listens is left out beyond a bound.
func TestNoticesNeverWait(t *testing.T) {
	var n notices
	n.init()
	for range 2 * noticesMax {
		n.push(Notice{Kind: NoticeDamage})
	}
	if len(n.queue) != noticesMax {
		t.Errorf("%d notices wait", len(n.queue))
	}
}
