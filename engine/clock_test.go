package engine

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// delayed publishes one message of a simulation and makes it durable.
func (s *sim) delayed(url string, d time.Duration) *simMessage {
	s.t.Helper()
	m := &simMessage{created: s.now, due: s.now + d.Milliseconds(), starts: map[int]int{}, life: s.crashes}
	s.submit(&Publish{User: 1, URL: url, Delay: d}, m)
	s.commit()
	s.healthy()
	return m
}

// healthy fails the test on what the simulator has found.
func (s *sim) healthy() {
	s.t.Helper()
	if s.failed != nil {
		s.t.Fatal(s.failed)
	}
}

// TestClockIsReadBeforeTheWire is T3: the clock may be set back after the core has
// decided that a message is due and before a worker has come to it. The attempt is
// not made then, uses up no retry, and comes when the clock says so again.
func TestClockIsReadBeforeTheWire(t *testing.T) {
	s := newSim(t, 1, simConfig{resident: 100})
	defer s.abandon()
	m := s.delayed("http://one.example/", 5*time.Second)
	s.advance(5000)
	if len(s.flights) != 1 {
		t.Fatalf("%d attempts start when the message is due", len(s.flights))
	}
	s.now--
	s.land()
	s.healthy()
	if m.ended {
		t.Fatal("attempted a millisecond before its time, by the clock as it reads")
	}
	s.advance(0)
	if len(s.flights) != 0 {
		t.Fatal("starts again before its time")
	}
	s.advance(1)
	if len(s.flights) != 1 || s.flights[0].attempt != 1 {
		t.Fatalf("when it is due again: %+v", s.flights)
	}
	s.land()
	s.healthy()
	if !m.ended {
		t.Error("not attempted when it was due again")
	}
}

// TestClockBackProvesNoHost: a host that answered at a time that the clock has not
// reached again is not taken for one that answers (L4): for as long as the step was,
// it could hold all its permits and hang.
func TestClockBackProvesNoHost(t *testing.T) {
	b := newBareCore(t, 100)
	b.message(1, bareNow)
	ok := &attemptResult{success: true, answered: true}
	first := b.after(0).starts[0]
	b.after(0, event{kind: evFinished, slot: first.slot, result: ok})
	h := &b.hosts[b.byHost[7]]
	h.inflight, b.inflight, b.wary = 20, 900, 700 // of those for hosts that may hang a hundred are free: a tenth for each
	if !b.permit(h) {
		t.Error("a host that has just answered is held to a share of what is free")
	}
	b.after(-24 * time.Hour)
	if b.permit(h) {
		t.Error("after the clock was set back by a day, it counts as having just answered")
	}
}

// steppedWall is a wall clock that runs with the machine's and can be set. The time
// that passes in between is none: a suspend, seen from inside, is a step forward.
type steppedWall struct{ offset atomic.Int64 }

func (w *steppedWall) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

func (w *steppedWall) step(d time.Duration) { w.offset.Add(int64(d)) }

// dueWire fails attempts that come before the time in the message's body, and of a
// message to /retry the first attempt, after which the next one is due in two seconds.
type dueWire struct {
	t    *testing.T
	wall *steppedWall
	mu   sync.Mutex
	due  map[string]time.Time // what has not succeeded, by body
	n    int
}

func (w *dueWire) Do(a *dispatch.Attempt, r *dispatch.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, key := w.wall.now(), string(a.Body)
	due, ok := w.due[key]
	if !ok {
		w.t.Errorf("%s is attempted again", key)
	}
	if now.Before(due) {
		w.t.Errorf("%s is attempted %v before its time", key, due.Sub(now))
	}
	if strings.HasSuffix(a.URL, "/retry") && find(a.Header, "Upstash-Retried") == "0" {
		w.due[key] = now.Add(2 * time.Second)
		r.Status = 500
		return
	}
	delete(w.due, key)
	r.Status = 200
}

// checkLate wants nothing left that was due before a second ago.
func (w *dueWire) checkLate() {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, due := range w.due {
		if late := w.wall.now().Sub(due); late > time.Second+20*time.Millisecond {
			w.t.Errorf("%s was due %v ago", key, late)
		}
	}
}

// publishDue publishes a message of each kind: due now, soon, within the horizon and
// far beyond it, and one that is tried twice.
func (w *dueWire) publishDue(e *Engine) {
	delays := []time.Duration{0, time.Millisecond, time.Second, 59 * time.Second, time.Minute, 90 * time.Second, time.Hour, 25 * time.Hour}
	var ps []Publish
	w.mu.Lock()
	for _, path := range []string{"", "retry"} {
		for i, d := range delays {
			w.n++
			key := fmt.Sprintf("%s message %d in %v", path, w.n, d)
			w.due[key] = w.wall.now().Add(d)
			ps = append(ps, Publish{
				User: 1, URL: fmt.Sprintf("http://h%d.example/%s", i%3, path), Delay: d, Body: []byte(key),
				Retries: 1, RetryDelay: "2000",
			})
		}
	}
	w.mu.Unlock()
	publishAll(w.t, e, ps)
}

// TestClockSteps is P25 through the whole engine: a second after the clock was set
// forward or back, by a second, an hour or a day, what it says is due is under way.
func TestClockSteps(t *testing.T) {
	steps := []time.Duration{time.Second, -time.Second, time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, -time.Hour, 26 * time.Hour}
	synctest.Test(t, func(t *testing.T) {
		wall := new(steppedWall)
		w := &dueWire{t: t, wall: wall, due: map[string]time.Time{}}
		o := testOptions(vfs.NewMem(), w)
		o.Wall, o.Resident = wall.now, 20
		e := open(t, o)
		for _, d := range steps {
			w.publishDue(e)
			wall.step(d)
			time.Sleep(sleepMax)
			w.checkLate()
		}
		wall.step(48 * time.Hour)
		time.Sleep(2 * time.Second)
		wall.step(48 * time.Hour)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(w.due); n > 0 {
			t.Errorf("%d messages were never delivered", n)
		}
	})
}
