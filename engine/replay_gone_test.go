package engine

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// fillLog publishes messages until the log has so many segments more.
func fillLog(t *testing.T, e *Engine, w *fakeWire, segments uint64) {
	t.Helper()
	to := e.log.Durable().LSN.Segment() + segments
	body := []byte(strings.Repeat("x", 1000)) // too short to be compressed
	for e.log.Durable().LSN.Segment() < to {
		publish(t, e, Publish{Body: body})
		w.next(t)
	}
}

// TestReplayOfWhatIsGone: what reclaiming has given up is counted as expired beside what
// is left, and refused where nothing is.
func TestReplayOfWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := newFakeWire()
		o := reclaimOptions(vfs.NewMem(), wire)
		e := open(t, o)
		for range 5 {
			publish(t, e, Publish{Labels: []string{"early", "both"}})
		}
		wire.arrived(t, 5)
		fillLog(t, e, wire, 4)
		time.Sleep(time.Minute) // what nobody needs is given up
		if e.log.First().Segment() < 3 {
			t.Fatalf("the log begins in segment %d", e.log.First().Segment())
		}
		_, err := e.StartReplay(1, &Replay{Filter: Filter{Labels: []string{"early"}}, Rate: 10})
		if !errors.Is(err, ErrBodiesGone) {
			t.Errorf("nothing is left: %v", err)
		}
		for range 2 {
			publish(t, e, Publish{Labels: []string{"both"}})
		}
		wire.arrived(t, 2)
		time.Sleep(time.Second)
		id := mustReplay(t, e, 1, Replay{Filter: Filter{Labels: []string{"both"}}, Rate: 10})
		if info := replayEnded(t, e, 1, id); info.counts() != "done 7 2 5 0" {
			t.Errorf("%+v", info)
		}
		wire.arrived(t, 2)
		// A job is kept while the log goes on, and without the index.
		fillLog(t, e, wire, 6)
		time.Sleep(time.Minute)
		closeEngine(t, e)
		if err := o.FS.RemoveAll("data/index"); err != nil {
			t.Fatal(err)
		}
		e = open(t, o)
		if info, err := e.Replay(1, id); err != nil || info.counts() != "done 7 2 5 0" {
			t.Errorf("%+v, %v", info, err)
		}
		closeEngine(t, e)
	})
}

// TestBodiesAreKept (W10): with retention.bodies nothing goes that is as young as that,
// but what is older does; a full disk comes first.
func TestBodiesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := newFakeWire()
		o := reclaimOptions(vfs.NewMem(), wire)
		o.BodiesAge = 2 * time.Hour
		e := open(t, o)
		publish(t, e, Publish{Labels: []string{"early"}})
		wire.next(t)
		fillLog(t, e, wire, 4)
		begin := e.log.First()
		time.Sleep(110 * time.Minute)
		if e.log.First() != begin {
			t.Errorf("the log begins in segment %d, %s before its time", e.log.First().Segment(), 10*time.Minute)
		}
		id := mustReplay(t, e, 1, Replay{Filter: Filter{Labels: []string{"early"}}, Rate: 10})
		wire.arrived(t, 1)
		if info := replayEnded(t, e, 1, id); info.counts() != "done 1 1 0 0" {
			t.Errorf("%+v", info)
		}
		fillLog(t, e, wire, 1)
		time.Sleep(time.Hour)
		if e.log.First().Segment() < begin.Segment()+3 {
			t.Errorf("the log still begins in segment %d", e.log.First().Segment())
		}
		first := e.log.First()
		fillLog(t, e, wire, 4)
		time.Sleep(time.Minute)
		if e.log.First() != first {
			t.Errorf("the log begins at %s, and did at %s", e.log.First(), first)
		}
		segments := []wal.SegmentInfo{{First: first, End: e.log.Durable().LSN, Sealed: true}}
		for full, want := range map[bool]int{false: 0, true: 1} {
			e.space.low.Store(full)
			if n, err := e.oldEnough(segments); n != want || err != nil {
				t.Errorf("disk full %v: %d segments may go (%v), want %d", full, n, err, want)
			}
		}
		e.space.low.Store(false)
		closeEngine(t, e)
	})
}

// TestReplayStaysForgotten: the last word of a replay that has ended, which may come after
// it had to make room for another, does not bring it back.
func TestReplayStaysForgotten(t *testing.T) {
	fs := vfs.NewMem()
	e := open(t, testOptions(fs, newFakeWire()))
	start := func(id uint64) {
		job := record.Job{User: 1, ID: id, State: record.JobDone, Rate: 1, Created: int64(id), Updated: int64(id), End: 1}
		if err := e.replays.start(e, &job); err != nil {
			t.Fatal(err)
		}
	}
	for id := range uint64(ReplaysKeptMax) {
		start(id + 1)
	}
	oldest := e.replays.mu.byUser[1][0]
	start(ReplaysKeptMax + 1)
	if err := e.replays.keep(e, oldest, wal.Lazy); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	e = open(t, testOptions(fs, newFakeWire()))
	if all, err := e.Replays(1); err != nil || len(all) != ReplaysKeptMax || all[len(all)-1].ID == replayID(1) {
		t.Errorf("%d replays, %v", len(all), err)
	}
}
