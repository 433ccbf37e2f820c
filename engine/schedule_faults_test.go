package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestScheduleHoldAndClock (P25): ticks that wait for room wait a second, also when the
// clock is set back meanwhile.
func TestScheduleHoldAndClock(t *testing.T) {
	now := testMorning.UnixMilli()
	o := testOptions(powerfs.New(), newFakeWire())
	c := newCore(&o, now)
	row := func(id string, next int64) *index.Schedule {
		return &index.Schedule{User: 1, ID: id, Pos: 1, Len: 1, Ticks: record.Ticks{Last: next - 60_000, Next: next}}
	}
	step := func(now int64, events ...event) []scheduleCommand {
		t.Helper()
		if _, err := c.step(now, events); err != nil {
			t.Fatal(err)
		}
		return c.out.schedules
	}
	c.recoverSchedule(row("a", now))
	cmds := step(now)
	if len(cmds) != 1 {
		t.Fatalf("%d commands", len(cmds))
	}
	step(now, event{kind: evUnlogged, answer: &scheduleAnswer{cmd: cmds[0], err: ErrOverloaded}})
	back := now - 3_600_000
	step(back)
	c.recoverSchedule(row("b", back+fireRetry))
	if got := step(back + fireRetry); !slices.ContainsFunc(got, func(c scheduleCommand) bool { return c.row.ID == "b" }) {
		t.Errorf("due a second after the clock was set back by an hour: %+v", got)
	}
}

// TestScheduleStall (P13): whoever changes a schedule while the disk hangs is answered.
func TestScheduleStall(t *testing.T) {
	disk := &stallFS{FS: powerfs.New(), waiting: make(chan struct{}, 1)}
	o := testOptions(disk, newFakeWire())
	o.stallAfter = 30 * time.Millisecond
	e := open(t, o)
	mustDefine(t, e, daily("a"))
	release := disk.stop()
	defer release()
	got := make(chan error, 2)
	go func() {
		_, err := e.DefineSchedule(daily("b"))
		got <- err
	}()
	go func() { got <- e.PauseSchedule(1, "a") }()
	<-disk.waiting
	eventually(t, func() bool { return errors.Is(e.Ready(), ErrStalled) })
	for range cap(got) {
		select {
		case err := <-got:
			if !errors.Is(err, ErrStalled) {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("a change of a schedule is not answered while the disk hangs")
		}
	}
	release()
	eventually(t, func() bool {
		_, err := e.DefineSchedule(daily("b"))
		return err == nil
	})
}

// TestScheduleTooLong: a schedule whose message is longer than the log takes by now holds
// up no other, and says so.
func TestScheduleTooLong(t *testing.T) {
	wire, wall := newFakeWire(), newTestWall(testMorning)
	var lines lineCount
	o := testOptions(powerfs.New(), wire)
	o.Wall, o.MessageMax, o.ResponseMax = wall.now, 512<<10, 1024
	o.Logger = slog.New(slog.NewTextHandler(&lines, nil))
	e := open(t, o)
	long := daily("long")
	long.Message.Body, long.Message.Delay = incompressible(o.MessageMax), 0
	mustDefine(t, e, long)
	closeEngine(t, e)

	o.MessageMax = 1024
	e = open(t, o)
	wall.move(e, time.Hour) // its tick
	s := daily("short")
	s.Cron, s.Message.Delay = "* * * * *", 0
	mustDefine(t, e, s)
	eventually(t, func() bool { return lines.n.Load() > 0 })
	for range 3 {
		wall.move(e, time.Minute)
		wire.next(t)
	}
}

// TestDamagedSchedule (W7): a schedule that cannot be read hides no other, holds up no
// other, and can be deleted and defined again.
func TestDamagedSchedule(t *testing.T) {
	fs, wire, wall := powerfs.New(), newFakeWire(), newTestWall(testMorning)
	o := testOptions(fs, wire)
	o.Wall = wall.now
	e := open(t, o)
	for _, id := range []string{"a", "b", "c"} {
		s := daily(id)
		s.Message.Body, s.Message.Delay = []byte("the body of "+id), 0
		mustDefine(t, e, s)
	}
	damage(t, fs, "the body of b")
	seen := map[string]string{}
	err := e.Schedules(1, func(v *ScheduleInfo) error {
		seen[v.ID] = v.Error
		return nil
	})
	if err != nil || len(seen) != 3 || seen["a"] != "" || seen["b"] != scheduleDamaged || seen["c"] != "" {
		t.Errorf("%v, %v", seen, err)
	}
	wall.move(e, time.Hour)
	for range 2 {
		wire.next(t)
	}
	eventually(t, func() bool { return e.Health().DamagedMessages == 1 })
	if err := e.DeleteSchedule(1, "b"); err != nil {
		t.Error(err)
	}
	mustDefine(t, e, daily("b"))
	if v := mustSchedule(t, e, "b"); v.Error != "" || v.URL == "" {
		t.Errorf("%+v", v)
	}
}

// TestScheduleOver: an expression that fires no more is refused.
func TestScheduleOver(t *testing.T) {
	wall := newTestWall(testMorning)
	o := testOptions(powerfs.New(), newFakeWire())
	o.Wall = wall.now
	e := open(t, o)
	s := daily("s")
	s.Time.Seconds = true
	for year, want := range map[string]bool{"2020": false, "2026": false, "2027": true} {
		s.Cron = "0 0 8 22 11 * " + year
		if _, err := e.DefineSchedule(s); (err == nil) != want || err != nil && !strings.Contains(err.Error(), "invalid Upstash-Cron") {
			t.Errorf("%s: %v", year, err)
		}
	}
}

// lineCount counts the lines that name a schedule which publishes nothing.
type lineCount struct{ n atomic.Int64 }

func (l *lineCount) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "schedule") && strings.Contains(string(p), "long") {
		l.n.Add(1)
	}
	return len(p), nil
}

// TestScheduleFsyncInterval: with log.fsync=interval neither a definition nor a tick
// waits for the interval, or a schedule of every second would fall behind.
func TestScheduleFsyncInterval(t *testing.T) {
	wire := newFakeWire()
	o := testOptions(powerfs.New(), wire)
	o.FsyncInterval = time.Hour
	e := open(t, o)
	s := daily("s")
	s.Cron, s.Time.Seconds, s.Message.Delay = "* * * * * *", true, 0
	mustDefine(t, e, s)
	for range 2 {
		wire.next(t)
	}
	if err := e.PauseSchedule(1, "s"); err != nil {
		t.Fatal(err)
	}
}

// TestShutdownSyncsOutcomes: with log.fsync=interval a shutdown does not wait for the
// interval.
func TestShutdownSyncsOutcomes(t *testing.T) {
	wire := newFakeWire()
	o := testOptions(powerfs.New(), wire)
	o.FsyncInterval = time.Hour
	e := open(t, o)
	publish(t, e, Publish{})
	if err := e.log.Commit(); err != nil { // the attempt begins, and nothing syncs its outcome
		t.Fatal(err)
	}
	wire.next(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}
