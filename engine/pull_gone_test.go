package engine

import (
	"errors"
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

// TestPullRetryHasNoFlow: a retry that would change what the queue says is refused, and
// without that the message is in its queue's lane and in no flow-control key's.
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
		for _, o := range []RetryOptions{
			{Flow: FlowControl{Key: "k", Rate: 1, Period: time.Minute, Parallelism: 1}},
			{Retries: new(1)},
			{Timeout: time.Second},
			{RetryDelay: "1"},
			{Callback: &Callback{URL: "https://callback.example/"}},
			{Failure: &Callback{URL: "https://callback.example/"}},
		} {
			if _, err := e.RetryDeadLetter(1, dead[0].ID, &o); !errors.As(err, new(*LimitError)) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		id, err := e.RetryDeadLetter(1, dead[0].ID, &RetryOptions{Labels: []string{"again"}})
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

// TestPullOnAFullDisk: a lease that is given up or lasts longer takes nothing of the room
// that the log keeps for what ends messages; an acknowledgement does.
func TestPullOnAFullDisk(t *testing.T) {
	b := newBareCore(t, 100)
	b.setPullQueue(&record.PullQueue{User: 1, ID: 9, Name: "orders", Retention: 60_000, Retries: 3})
	p := record.Pull{Published: b.now, Since: b.now, First: b.now, Leased: b.now, Lease: 5}
	r := record.Row{User: 1, Nonce: 7, Seq: 50, Pos: 50, Len: 100, Lane: 9, Host: 9, Due: b.now + 30_000, Tries: 1, Pull: p}
	b.schedule(b.admit(b.laneOf(&r), &r, stTimer))
	b.setFull(true)
	for _, op := range []record.PullOp{record.PullExtend, record.PullRelease, record.PullReturn} {
		out := b.after(0, event{kind: evPull, pulls: []*pullRequest{{user: 1, seq: 50, nonce: 7, lease: 5, op: op, delay: 60_000}}})
		if len(out.appends) != 0 || len(out.pulled) != 1 || !errors.Is(out.pulled[0].err, ErrDiskFull) {
			t.Errorf("%s: %d records, answers %+v", op, len(out.appends), out.pulled)
		}
		b.out.reset()
	}
	if out := b.after(0, event{kind: evPull, pulls: []*pullRequest{{user: 1, seq: 50, nonce: 7, lease: 5, op: record.PullAck}}}); len(out.appends) != 1 {
		t.Errorf("acknowledged: %d records", len(out.appends))
	}
}

// TestPullMovedAwayLeavesItsTurn: a message of a group that is moved to another queue ends
// its turn, also where the index has more of the lane: who waits for it goes on, and it
// would come back behind them.
func TestPullMovedAwayLeavesItsTurn(t *testing.T) {
	b := newBareCore(t, 100)
	for id := uint64(8); id <= 9; id++ {
		b.setPullQueue(&record.PullQueue{User: 1, ID: id, Name: "q", Retention: 60_000, Retries: 3})
	}
	at := func(seq uint64) uint32 {
		r := record.Row{
			User: 1, Nonce: seq, Seq: seq, Pos: seq, Len: 100, Lane: record.PullGroupLane(9, "g"), Host: 9, Due: b.now,
			Line: record.Line{Queue: 9}, Pull: record.Pull{Published: b.now, Since: b.now},
		}
		i := b.admit(b.laneOf(&r), &r, stDeciding)
		b.arrange(i)
		return i
	}
	first, older := at(60), at(50)
	l := &b.lanes[b.entries[first].lane]
	l.spilled, l.frontier.Due = true, 55
	out := b.after(0, event{kind: evPull, pulls: []*pullRequest{{user: 1, seq: 60, nonce: 60, op: record.PullRedrive, to: 8}}})
	if b.entries[older].state != stLine {
		t.Fatal("two of a group have their turn")
	}
	b.logged(b.oneAppend(out))
	if b.entries[older].flags&flagSlot == 0 {
		t.Error("the turn is still that of the message that left")
	}
}
