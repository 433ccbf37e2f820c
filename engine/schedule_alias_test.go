package engine

import (
	"testing"
	"time"
	"unsafe"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestScheduleKeepsNothing: the wire's strings are views of a request, whose memory
// the next request has. A schedule must still be found under its id afterwards.
func TestScheduleKeepsNothing(t *testing.T) {
	wall := newTestWall(testMorning)
	o := testOptions(powerfs.New(), newFakeWire())
	o.Wall = wall.now
	e := open(t, o)
	s := daily("")
	id, text := []byte("mine"), []byte("0 9 * * *")
	s.ID, s.Cron = unsafe.String(&id[0], len(id)), unsafe.String(&text[0], len(text))
	mustDefine(t, e, s)
	copy(id, "THEIRS")
	copy(text, "1 1 1 1 1")
	created := mustSchedule(t, e, "mine").Created
	wall.move(e, time.Second)
	mustDefine(t, e, daily("mine"))
	if v := mustSchedule(t, e, "mine"); !v.Created.Equal(created) || v.Cron != "0 9 * * *" {
		t.Errorf("replaced: created %s, want %s; cron %q", v.Created, created, v.Cron)
	}
	if err := e.PauseSchedule(1, "mine"); err != nil {
		t.Errorf("pause: %v", err)
	}
	if err := e.DeleteSchedule(1, "THEI"); err == nil {
		t.Error("the schedule has the id of another request")
	}
}
