package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// testWall is a wall clock that tests move by hand.
type testWall struct{ ms atomic.Int64 }

func newTestWall(at time.Time) *testWall {
	w := new(testWall)
	w.ms.Store(at.UnixMilli())
	return w
}

func (w *testWall) now() time.Time { return time.UnixMilli(w.ms.Load()) }

// move sets the clock and has the engine look at it.
func (w *testWall) move(e *Engine, d time.Duration) {
	w.ms.Add(d.Milliseconds())
	e.inbox.wake()
}

// daily is a schedule of one account.
func daily(id string) *Schedule {
	return &Schedule{
		ID: id, Cron: "  0 9 * * * ",
		Message: Publish{
			User: 1, URL: "http://a.example/x?y=1", Header: []Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-A", Value: "1"}},
			Body: []byte("good morning"), CallerIP: "203.0.113.9", Retries: 2, RetryDelay: "1000", Timeout: 5 * time.Second, Delay: 90 * time.Second,
		},
	}
}

var testMorning = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func mustDefine(t *testing.T, e *Engine, s *Schedule) string {
	t.Helper()
	r, err := e.DefineSchedule(s)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

func mustSchedule(t *testing.T, e *Engine, id string) *ScheduleInfo {
	t.Helper()
	v, err := e.Schedule(1, id)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSchedule follows one schedule from its definition over its ticks, a restart, a
// pause and another definition to its end.
func TestSchedule(t *testing.T) {
	fs, wire, wall := powerfs.New(), newFakeWire(), newTestWall(testMorning)
	o := testOptions(fs, wire)
	o.Wall = wall.now
	e := open(t, o)
	if id := mustDefine(t, e, daily("morning")); id != "morning" {
		t.Fatalf("id %q", id)
	}
	v := mustSchedule(t, e, "morning")
	nine := testMorning.Add(time.Hour)
	if v.Cron != "0 9 * * *" || v.URL != "http://a.example/x?y=1" || string(v.Body) != "good morning" || v.Delay != 90*time.Second ||
		v.Timeout != 5*time.Second || v.Retries != 2 || v.RetryDelay != "1000" || v.CallerIP != "203.0.113.9" || len(v.Header) != 2 ||
		v.Method != "POST" || v.Paused || !v.Next.Equal(nine) || !v.Last.IsZero() || v.State != nil || !v.Created.Equal(testMorning) {
		t.Errorf("%+v", v)
	}

	wall.move(e, time.Hour) // its tick; the message waits for its delay
	m := waitFor(t, func() *ScheduleInfo {
		if v := mustSchedule(t, e, "morning"); !v.Last.IsZero() {
			return v
		}
		return nil
	})
	if !m.Last.Equal(nine) || len(m.State) != 1 || m.State[0].State != RunInProgress || !m.Next.Equal(nine.Add(24*time.Hour)) {
		t.Errorf("after its tick: %+v", m)
	}
	pending, err := e.Message(1, m.State[0].MessageID)
	if err != nil || pending.ScheduleID != "morning" || !pending.Due.Equal(nine.Add(90*time.Second)) {
		t.Errorf("its message: %+v, %v", pending, err)
	}
	closeEngine(t, e)
	e = open(t, o)
	wall.move(e, 90*time.Second)
	a := wire.next(t)
	if a.header["Upstash-Schedule-Id"] != "morning" || string(a.body) != "good morning" || a.header["X-A"] != "1" || a.header["Upstash-Caller-Ip"] != "203.0.113.9" {
		t.Errorf("delivered: %+v", a)
	}
	waitFor(t, func() *ScheduleInfo {
		if v := mustSchedule(t, e, "morning"); v.State[0].State == RunSuccess {
			return v
		}
		return nil
	})

	for range 2 { // idempotent
		if err := e.PauseSchedule(1, "morning"); err != nil {
			t.Fatal(err)
		}
	}
	if v := mustSchedule(t, e, "morning"); !v.Paused || !v.Next.Equal(nine.Add(24*time.Hour)) {
		t.Errorf("paused: %+v", v)
	}
	wall.move(e, 49*time.Hour)
	closeEngine(t, e) // a pause survives
	e = open(t, o)
	if v := mustSchedule(t, e, "morning"); !v.Paused || !v.Next.After(wall.now()) || !v.Last.Equal(nine) {
		t.Errorf("paused over a restart, two days later: %+v", v)
	}
	if err := e.ResumeSchedule(1, "morning"); err != nil {
		t.Fatal(err)
	}
	if v := mustSchedule(t, e, "morning"); v.Paused || !v.Last.Equal(nine) || v.Next.Sub(wall.now()) > 24*time.Hour {
		t.Errorf("resumed: %+v", v)
	}

	s := daily("morning")
	s.Message.Body, s.Cron, s.Message.Delay = nil, "CRON_TZ=Europe/Berlin 30 7 * * *", 0
	mustDefine(t, e, s)
	if v := mustSchedule(t, e, "morning"); len(v.Body) > 0 || v.Cron != s.Cron || !v.Created.Equal(testMorning) || v.Paused || !v.Last.Equal(nine) {
		t.Errorf("defined again: %+v", v)
	}
	if err := e.DeleteSchedule(1, "morning"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"delete": e.DeleteSchedule(1, "morning"), "pause": e.PauseSchedule(1, "morning"), "resume": e.ResumeSchedule(1, "morning"),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s of one that is deleted: %v", name, err)
		}
	}
	if _, err := e.Schedule(1, "morning"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if n := len(wire.arrive); n != 0 {
		t.Errorf("%d more deliveries than ticks", n)
	}
}

// waitFor polls until get returns something.
func waitFor[T any](t *testing.T, get func() *T) *T {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if v := get(); v != nil {
			return v
		}
	}
	t.Fatal("nothing within 20 s")
	return nil
}

// TestScheduleFailure: a tick whose message ends in the dead letter queue has failed,
// and what is retried from there is no tick any more.
func TestScheduleFailure(t *testing.T) {
	wire, wall := newFakeWire(), newTestWall(testMorning)
	wire.reply = func(_ *fakeAttempt, r *dispatch.Result) { r.Status = 500 }
	o := testOptions(powerfs.New(), wire)
	o.Wall = wall.now
	e := open(t, o)
	s := daily("morning")
	s.Message.Delay, s.Message.Retries = 0, 0
	mustDefine(t, e, s)
	wall.move(e, time.Hour)
	wire.next(t)
	waitFor(t, func() *ScheduleInfo {
		if v := mustSchedule(t, e, "morning"); len(v.State) == 1 && v.State[0].State == RunFail {
			return v
		}
		return nil
	})
	dead, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
	if err != nil || len(dead) != 1 || dead[0].ScheduleID != "morning" {
		t.Fatalf("%+v, %v", dead, err)
	}
	before := mustSchedule(t, e, "morning")
	if _, err := e.RetryDeadLetter(1, dead[0].ID, nil); err != nil {
		t.Fatal(err)
	}
	if a := wire.next(t); a.header["Upstash-Schedule-Id"] != "morning" {
		t.Errorf("retried: %+v", a)
	}
	if after := mustSchedule(t, e, "morning"); after.State[0] != before.State[0] || !after.Last.Equal(before.Last) {
		t.Errorf("the schedule says %+v, it said %+v", after, before)
	}
}

// TestScheduleSameRule: whoever defines its schedules anew at each start misses none of
// their ticks, and gets none twice.
func TestScheduleSameRule(t *testing.T) {
	wire, wall := newFakeWire(), newTestWall(testMorning)
	o := testOptions(powerfs.New(), wire)
	o.Wall = wall.now
	e := open(t, o)
	s := daily("morning")
	s.Message.Delay, s.Time.Jitter = 0, time.Hour
	mustDefine(t, e, s)
	offset := mustSchedule(t, e, "morning").Next.Sub(testMorning.Add(time.Hour))
	if offset <= 0 || offset > time.Hour {
		t.Fatalf("jitter %s", offset)
	}
	wall.move(e, time.Hour+offset/2)
	mustDefine(t, e, s) // between its tick and the moment it comes
	if n := mustSchedule(t, e, "morning").Next; !n.Equal(testMorning.Add(time.Hour + offset)) {
		t.Errorf("the tick under way is lost: the next is %s", n)
	}
	wall.move(e, offset/2+time.Millisecond)
	wire.next(t)
	mustDefine(t, e, s)
	if n := mustSchedule(t, e, "morning").Next; !n.Equal(testMorning.Add(25*time.Hour + offset)) {
		t.Errorf("the next is %s", n)
	}
}

// TestScheduleDowntime: ticks that went by while the server was down, by policy, and
// what history says of them.
func TestScheduleDowntime(t *testing.T) {
	fs, wire, wall := powerfs.New(), newFakeWire(), newTestWall(testMorning)
	o := testOptions(fs, wire)
	o.Wall = wall.now
	e := open(t, o)
	for _, p := range []Missed{MissedLatest, MissedSkip, MissedAll} {
		s := daily(p.String())
		s.Cron, s.Message.Delay, s.Message.URL = "*/10 * * * *", 0, "http://a.example/"+p.String()
		s.Time = TimeRules{Missed: p, MissedMax: 4}
		mustDefine(t, e, s)
	}
	closeEngine(t, e)
	wall.ms.Add((2*time.Hour + 5*time.Minute).Milliseconds())
	e = open(t, o)
	got := map[string]int{}
	for range 5 {
		got[strings.TrimPrefix(wire.next(t).url, "http://a.example/")]++
	}
	if got["latest"] != 1 || got["skip"] != 0 || got["all"] != 4 {
		t.Errorf("caught up: %v", got)
	}
	missed := map[string]string{}
	waitFor(t, func() *int {
		clear(missed)
		err := e.idx.History(0, false, func(h *index.History) (bool, error) {
			if k := h.Missed; k != nil {
				missed[k.ID] += fmt.Sprintf("%d from %s ", k.Count, time.UnixMilli(k.From).UTC().Format("15:04"))
			}
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(missed) == 3 {
			return new(int)
		}
		return nil
	})
	if missed["latest"] != "11 from 08:10 " || missed["skip"] != "12 from 08:10 " || missed["all"] != "8 from 08:10 " {
		t.Errorf("missed: %v", missed)
	}
	if n := len(wire.arrive); n != 0 {
		t.Errorf("%d deliveries too many", n)
	}
}

// TestSchedulesOfAccounts: each account sees its own, in order.
func TestSchedulesOfAccounts(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	for _, id := range []string{"b", "a", "a.b", ""} {
		mustDefine(t, e, daily(id))
	}
	other := daily("a")
	other.Message.User = 2
	mustDefine(t, e, other)
	var ids []string
	err := e.Schedules(1, func(v *ScheduleInfo) error {
		ids = append(ids, v.ID)
		return nil
	})
	if err != nil || len(ids) != 4 || !slices.IsSorted(ids) || !strings.HasPrefix(ids[3], "scd_") || len(ids[3]) != len("scd_")+scheduleIDDigits {
		t.Errorf("%q, %v", ids, err)
	}
	if err := e.DeleteSchedule(2, "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("another account's: %v", err)
	}
	if err := e.DeleteSchedule(2, "a"); err != nil {
		t.Error(err)
	}
	if v := mustSchedule(t, e, "a"); v.ID != "a" {
		t.Errorf("%+v", v)
	}
}

// TestScheduleDedup: within the window the same request defines nothing again.
func TestScheduleDedup(t *testing.T) {
	wall := newTestWall(testMorning)
	o := testOptions(powerfs.New(), newFakeWire())
	o.Wall = wall.now
	e := open(t, o)
	s := daily("")
	s.Message.DedupID = "once"
	first, err := e.DefineSchedule(s)
	if err != nil || first.Deduplicated {
		t.Fatalf("%+v, %v", first, err)
	}
	wall.move(e, 9*time.Minute)
	if again, err := e.DefineSchedule(s); err != nil || !again.Deduplicated || again.ID != first.ID {
		t.Errorf("within the window: %+v, %v", again, err)
	}
	if r, err := e.Publish(&Publish{User: 1, URL: "http://a.example/", DedupID: "once", Delay: time.Hour}); err != nil || r.Deduplicated {
		t.Errorf("a message under the same id: %+v, %v", r, err)
	}
	wall.move(e, 2*time.Minute)
	if later, err := e.DefineSchedule(s); err != nil || later.Deduplicated || later.ID == first.ID {
		t.Errorf("after the window: %+v, %v", later, err)
	}
}

// TestScheduleDedupByContent: an id that is asked for is part of the content, as the
// expression is: who creates two schedules gets two.
func TestScheduleDedupByContent(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	for _, step := range []struct {
		id, cron string
		original string // of which it is a duplicate
	}{
		{"a", "0 9 * * *", ""},
		{"a", "0 9 * * *", "a"},
		{"b", "0 9 * * *", ""},
		{"a", "0 10 * * *", ""},
		{"b", "0 9 * * *", "b"},
	} {
		s := daily(step.id)
		s.Cron, s.Message.DedupContent = step.cron, true
		r, err := e.DefineSchedule(s)
		if err != nil || r.Deduplicated != (step.original != "") || r.Deduplicated && r.ID != step.original {
			t.Errorf("%+v: %+v, %v", step, r, err)
		}
	}
}

// TestResumeBeforeJitter: a tick whose jitter has not passed has not gone by, so a
// pause that ends before it costs nothing, and the time that is shown holds.
func TestResumeBeforeJitter(t *testing.T) {
	wall := newTestWall(testMorning)
	o := testOptions(powerfs.New(), newFakeWire())
	o.Wall = wall.now
	e := open(t, o)
	s := daily("jitter")
	s.Time.Jitter = 12 * time.Hour
	mustDefine(t, e, s)
	next := mustSchedule(t, e, "jitter").Next
	offset := next.Sub(testMorning.Add(time.Hour))
	if offset < time.Minute || offset > s.Time.Jitter {
		t.Fatalf("the jitter of this id is %v: the test needs one of more than a minute", offset)
	}
	if err := e.PauseSchedule(1, "jitter"); err != nil {
		t.Fatal(err)
	}
	wall.move(e, time.Hour+offset/2)
	if v := mustSchedule(t, e, "jitter"); !v.Next.Equal(next) {
		t.Errorf("paused: next at %v, want %v", v.Next, next)
	}
	if err := e.ResumeSchedule(1, "jitter"); err != nil {
		t.Fatal(err)
	}
	if v := mustSchedule(t, e, "jitter"); !v.Next.Equal(next) {
		t.Errorf("resumed: next at %v, want %v", v.Next, next)
	}
}

// TestScheduleRefused: what is wrong is named, and nothing is stored.
func TestScheduleRefused(t *testing.T) {
	e := open(t, testOptions(powerfs.New(), newFakeWire()))
	for want, change := range map[string]func(*Schedule){
		"Upstash-Cron":            func(s *Schedule) { s.Cron = "60 * * * *" },
		"never fires:":            func(s *Schedule) { s.Cron = "0 0 31 2 *" },
		"never fires again":       func(s *Schedule) { s.Cron, s.Time.Seconds = "0 0 9 1 1 * 2001", true },
		"Upstash-Schedule-Id":     func(s *Schedule) { s.ID = strings.Repeat("x", ScheduleIDMax+1) },
		"Upstash-Not-Before":      func(s *Schedule) { s.Message.NotBefore = time.Now() },
		"Upstash-Retries":         func(s *Schedule) { s.Message.Retries = -1 },
		"Upstash-Delay":           func(s *Schedule) { s.Message.Delay = 366 * 24 * time.Hour },
		"Tidemill-Missed-Max":     func(s *Schedule) { s.Time.MissedMax = MissedMaxMax + 1 },
		"Tidemill-Missed-Window":  func(s *Schedule) { s.Time.MissedWindow = time.Millisecond },
		"Tidemill-Jitter":         func(s *Schedule) { s.Time.Jitter = -1 },
		"invalid destination url": func(s *Schedule) { s.Message.URL = "http://" },
	} {
		s := daily("x")
		change(s)
		_, err := e.DefineSchedule(s)
		if _, ok := errors.AsType[*LimitError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := e.Schedule(1, "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("it was stored: %v", err)
	}
}

// TestScheduleKeepsItsReason: why the newest tick published nothing is known until one
// publishes again, through a pause, a copy that reclaiming makes (W10) and an index that
// is rebuilt.
func TestScheduleKeepsItsReason(t *testing.T) {
	fs, wall := powerfs.New(), newTestWall(testMorning)
	o := testOptions(fs, newFakeWire())
	o.Wall = wall.now
	e := open(t, o)
	s := daily("morning")
	s.Time.Missed = MissedSkip
	mustDefine(t, e, s)
	closeEngine(t, e)
	wall.ms.Add((2 * time.Hour).Milliseconds())
	e = open(t, o)
	reason := waitFor(t, func() *ScheduleInfo {
		if v := mustSchedule(t, e, "morning"); v.Error != "" {
			return v
		}
		return nil
	}).Error
	check := func(after string) {
		t.Helper()
		if v := mustSchedule(t, e, "morning"); v.Error != reason {
			t.Errorf("after %s the reason is %q, was %q", after, v.Error, reason)
		}
	}
	row, err := e.scheduleRow(1, "morning")
	if err != nil {
		t.Fatal(err)
	}
	copied := make(chan error, 1)
	e.requestKeep(&scheduleRequest{ask: askKeep, key: scheduleKey{1, "morning"}, keep: row.Pos}, func(err error) { copied <- err })
	if err := <-copied; err != nil {
		t.Fatal(err)
	}
	check("a copy")
	if now, err := e.scheduleRow(1, "morning"); err != nil || now.Pos == row.Pos {
		t.Fatalf("nothing was copied: %+v, %v", now, err)
	}
	if err := e.PauseSchedule(1, "morning"); err != nil {
		t.Fatal(err)
	}
	check("a pause")
	if err := e.ResumeSchedule(1, "morning"); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	if err := fs.RemoveAll("data/index"); err != nil {
		t.Fatal(err)
	}
	e = open(t, o)
	check("a rebuild")
	wall.move(e, 23*time.Hour)
	waitFor(t, func() *ScheduleInfo {
		if v := mustSchedule(t, e, "morning"); v.Error == "" && !v.Last.IsZero() {
			return v
		}
		return nil
	})
}
