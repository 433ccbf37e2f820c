package engine

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
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

// TestPullLeavesRoomForAttempts: a queue with a backlog that is too old does not take all
// of L5's bound, or nothing would be delivered until the last of it has ended.
func TestPullLeavesRoomForAttempts(t *testing.T) {
	b := newBareCore(t, 100_000)
	b.setPullQueue(&record.PullQueue{User: 1, ID: 9, Name: "orders", Retention: 1000, Retries: 3})
	for seq := uint64(1000); seq < 1000+2*undurableMax; seq++ {
		p := record.Pull{Published: b.now, Since: b.now}
		r := record.Row{User: 1, Nonce: seq, Seq: seq, Pos: seq, Len: 100, Lane: 9, Host: 9, Due: b.now, Pull: p}
		b.schedule(b.admit(b.laneOf(&r), &r, stTimer))
	}
	b.message(50, b.now+60_000)
	out := b.after(time.Minute, event{kind: evReceive, receive: &pullReceive{queue: 9, visibility: 30_000, stays: true, leases: []uint64{1}}})
	if len(out.starts) != 1 || len(out.appends) != pullUndurableMax {
		t.Errorf("%d attempts start, %d outcomes are logged; want 1 and %d", len(out.starts), len(out.appends), pullUndurableMax)
	}
}

// TestPullRetryHasNoFlow: what else a retry of dead letters is asked to change, a message
// of a pull queue stays in its queue's lane and in no flow-control key's.
func TestPullRetryHasNoFlow(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, w *fakeWire) {
		w.reply = func(_ *fakeAttempt, r *dispatch.Result) { *r = dispatch.Result{Status: 500} }
		setPull(t, e, "orders", PullChange{WebhookURL: new("https://example.com/hook"), MaxRetries: new(0)})
		publishPull(t, e, PullPublish{})
		time.Sleep(time.Second)
		dead := allDead(t, e)
		if len(dead) != 1 {
			t.Fatalf("%d dead letters", len(dead))
		}
		setPull(t, e, "orders", PullChange{WebhookURL: new("")})
		flow := FlowControl{Key: "k", Rate: 1, Period: time.Minute, Parallelism: 1}
		id, err := e.RetryDeadLetter(1, dead[0].ID, &RetryOptions{Flow: flow, Callback: &Callback{URL: "https://callback.example/"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.catchUp(); err != nil {
			t.Fatal(err)
		}
		seq, _, _ := parseMessageID(id)
		row, ok, err := e.idx.Row(seq)
		if err != nil || !ok || row.Flow != 0 || row.Lane != row.Host {
			t.Errorf("row %+v, %t, %v", row, ok, err)
		}
		if m := waitPull(t, e, "orders"); m.ID != id {
			t.Errorf("received %+v", m)
		}
	})
}

// TestPullOldBeforeNew: who asks once gets what there is, though much that is too old
// stands before it.
func TestPullOldBeforeNew(t *testing.T) {
	b := newBareCore(t, 100_000)
	b.setPullQueue(&record.PullQueue{User: 1, ID: 9, Name: "orders", Retention: 60_000, Retries: 3})
	for seq := uint64(1000); seq < 1100; seq++ {
		p := record.Pull{Published: b.now, Since: b.now}
		if seq == 1099 {
			p.Since = b.now + 1000
		}
		r := record.Row{User: 1, Nonce: seq, Seq: seq, Pos: seq, Len: 100, Lane: 9, Host: 9, Due: b.now, Pull: p}
		b.schedule(b.admit(b.laneOf(&r), &r, stTimer))
	}
	req := &pullReceive{queue: 9, visibility: 30_000, leases: []uint64{1}}
	if b.after(time.Minute+time.Millisecond, event{kind: evReceive, receive: req}); req.taken != 1 {
		t.Error("it is told that there is nothing")
	}
}
