package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestRunSchedule runs schedules by hand: what they publish is theirs, and their ticks
// are where they were.
func TestRunSchedule(t *testing.T) {
	fs, wire, wall := powerfs.New(), newFakeWire(), newTestWall(testMorning)
	o := testOptions(fs, wire)
	o.Wall = wall.now
	e := open(t, o)
	mustDefine(t, e, daily("morning"))
	if err := e.PauseSchedule(1, "morning"); err != nil {
		t.Fatal(err)
	}
	before := mustSchedule(t, e, "morning")
	r, err := e.RunSchedule(1, "morning")
	if err != nil || r.URL != "http://a.example/x?y=1" || r.Members != nil {
		t.Fatalf("run: %+v, %v", r, err)
	}
	closeEngine(t, e) // what was answered is on disk
	e = open(t, o)
	m, err := e.Message(1, r.MessageID)
	if err != nil || m.ScheduleID != "morning" || !m.Due.Equal(testMorning.Add(90*time.Second)) || string(m.Body) != "good morning" ||
		m.Retries != 2 || m.CallerIP != "203.0.113.9" || !m.Created.Equal(testMorning) {
		t.Errorf("its message: %+v, %v", m, err)
	}
	again, err := e.RunSchedule(1, "morning")
	if err != nil || again.MessageID == r.MessageID {
		t.Errorf("run again: %+v, %v", again, err)
	}
	wall.move(e, 90*time.Second)
	for range 2 {
		if a := wire.next(t); a.header["Upstash-Schedule-Id"] != "morning" || string(a.body) != "good morning" || a.header["X-A"] != "1" {
			t.Errorf("delivered: %+v", a)
		}
	}
	if v := mustSchedule(t, e, "morning"); !v.Paused || !v.Last.Equal(before.Last) || !v.Next.Equal(before.Next) || v.State != nil || v.Error != "" {
		t.Errorf("the schedule has changed: %+v, before %+v", v, before)
	}
	for _, c := range []struct {
		user UserID
		id   string
	}{{1, "none"}, {2, "morning"}, {1, ""}} {
		if _, err := e.RunSchedule(c.user, c.id); !errors.Is(err, ErrNotFound) || err.Error() != ErrNotFound.Error() {
			t.Errorf("run of %q by %d: %v", c.id, c.user, err)
		}
	}
}

// TestRunScheduleOfLine runs schedules that publish to a group and into a queue.
func TestRunScheduleOfLine(t *testing.T) {
	wire := newFakeWire()
	e := open(t, testOptions(powerfs.New(), wire))
	if err := e.AddEndpoints(1, "both", []Endpoint{{Name: "one", URL: "http://one.example/"}}); err != nil {
		t.Fatal(err)
	}
	s := daily("grouped")
	s.Message.URL, s.Message.Group, s.Message.Delay, s.Message.Queue = "", "both", 0, "line"
	mustDefine(t, e, s)
	if err := e.AddEndpoints(1, "both", []Endpoint{{URL: "http://two.example/"}}); err != nil {
		t.Fatal(err)
	}
	if err := e.DeleteQueue(1, "line"); err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	r, err := e.RunSchedule(1, "grouped")
	if err != nil || len(r.Members) != 2 || r.Members[0].URL != "http://one.example/" || r.Members[1].URL != "http://two.example/" {
		t.Fatalf("run: %+v, %v", r, err)
	}
	if q, err := e.Queue(1, "line"); err != nil || q.Name != "line" {
		t.Errorf("the queue of the run: %+v, %v", q, err)
	}
	got := map[string]string{}
	for range 2 {
		a := wire.next(t)
		got[a.url] = a.header["Upstash-Message-Id"]
		if a.header["Upstash-Schedule-Id"] != "grouped" {
			t.Errorf("delivered: %+v", a)
		}
	}
	for _, m := range r.Members {
		if got[m.URL] != m.MessageID {
			t.Errorf("%s got %q, want %q", m.URL, got[m.URL], m.MessageID)
		}
	}
	if err := e.DeleteGroup(1, "both"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.RunSchedule(1, "grouped"); !errors.Is(err, ErrNotFound) {
		t.Errorf("run without its group: %v", err)
	}
}
