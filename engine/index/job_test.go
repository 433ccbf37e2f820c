package index

import (
	"testing"

	"github.com/tidemill/tidemill/engine/record"
)

// TestJobs: the newest state of a job is its row, until it is gone.
func TestJobs(t *testing.T) {
	b := newBench(t)
	state := func(user uint32, id uint64, s record.JobState, replayed uint64) uint64 {
		return b.apply(&record.Job{User: user, ID: id, State: s, Replayed: replayed, URL: "http://a.example/"})
	}
	check := func(want map[uint64]record.Job) {
		t.Helper()
		b.flush()
		got := map[uint64]record.Job{}
		b.must(b.x.Jobs(func(pos uint64, p []byte) error {
			var j record.Job
			err := record.DecodeJob(p, &j)
			got[pos] = j
			return err
		}))
		if len(got) != len(want) {
			t.Errorf("%d jobs, want %d", len(got), len(want))
		}
		for pos, w := range want {
			if j, ok := got[pos]; !ok || j.User != w.User || j.ID != w.ID || j.State != w.State || j.Replayed != w.Replayed {
				t.Errorf("at %d: %+v, want %+v", pos, j, w)
			}
		}
	}
	state(1, 7, record.JobRunning, 0)
	other := state(2, 7, record.JobRunning, 3)
	second := state(1, 7, record.JobRunning, 5)
	check(map[uint64]record.Job{
		second: {User: 1, ID: 7, State: record.JobRunning, Replayed: 5}, other: {User: 2, ID: 7, State: record.JobRunning, Replayed: 3},
	})
	b.reopen()
	done := state(1, 7, record.JobDone, 9)
	state(2, 7, record.JobGone, 3)
	check(map[uint64]record.Job{done: {User: 1, ID: 7, State: record.JobDone, Replayed: 9}})
	if n := b.a.LiveBytes(); n != 0 {
		t.Errorf("%d bytes count", n)
	}
}
