package engine

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestPullPublishDuringDelete: a message whose record stands behind the deletion of its
// queue, since both were asked for at the same time, does not bring the queue back: neither
// beside the one that has the name by then, nor after a restart.
func TestPullPublishDuringDelete(t *testing.T) {
	fs := vfs.NewMem()
	e := open(t, testOptions(fs, newFakeWire()))
	old, err := e.ensurePull(1, "orders")
	if err != nil {
		t.Fatal(err)
	}
	m := messages.Get().(*scratchMessage)
	defer m.free()
	if err := e.buildPull(&PullPublish{Queue: "orders", Body: []byte("1")}, old, m); err != nil {
		t.Fatal(err)
	}
	if err := e.DeletePullQueue(1, "orders"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return e.pulls.byID(old.ID) == nil })
	sub, err := e.submitBuilt(m) // it had looked the queue up before
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.settle(&sub); err != nil {
		t.Fatal(err)
	}
	id := publishPull(t, e, PullPublish{})
	eventually(t, func() bool { // what came late is dropped
		if err := e.catchUp(); err != nil {
			t.Fatal(err)
		}
		_, there, err := e.idx.PullState(old.ID, 0)
		return err == nil && !there
	})
	for range 2 {
		if all, err := e.PullQueues(1); err != nil || len(all) != 1 || all[0].Pending != 1 || all[0].MaxRetries != 3 {
			t.Errorf("queues: %+v, %v", all, err)
		}
		closeEngine(t, e)
		e = open(t, testOptions(fs, newFakeWire()))
	}
	if got := waitPull(t, e, "orders"); got.ID != id {
		t.Errorf("received %+v", got)
	}
}

// TestPullSweepKeepsUp: one round ends all that is too old, however much it is.
func TestPullSweepKeepsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, _ *fakeWire) {
		setPull(t, e, "orders", PullChange{Retention: new(time.Minute)})
		const n = 2*sweepBatch + 100
		ps := make([]PullPublish, n)
		for i := range ps {
			ps[i] = PullPublish{Queue: "orders", Body: []byte("1"), Group: []string{"", "a"}[i%2]}
		}
		for _, r := range e.PublishPull(1, ps) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		time.Sleep(time.Minute + sweepEvery + time.Second)
		wantPull(t, e, "orders", 0, 0, 0, PullCounters{Published: n, Expired: n})
	})
}
