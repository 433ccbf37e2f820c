package engine

import (
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// queued makes a message of a queue resident, whose turn begins if it can.
func (b *bareCore) queued(seq uint64, queue string) uint32 {
	b.t.Helper()
	id := record.QueueID(1, queue)
	r := record.Row{
		User: 1, Nonce: seq, Seq: seq, Pos: seq, Len: 100, Lane: id, Host: 7, Due: b.now, Line: record.Line{Queue: id},
	}
	b.heardQueue(&r)
	if !b.place(&r) {
		b.t.Fatalf("message %d found no place", seq)
	}
	i := b.admit(b.laneOf(&r), &r, stTimer)
	b.arrange(i)
	return i
}

// callbackOf is a callback of a message of a queue, as an outcome carries it.
func callbackOf(seq uint64, queue string) []byte {
	id := record.QueueID(1, queue)
	m := record.Message{
		User: 1, Nonce: seq + 1000, Flags: record.FlagReport, URL: "http://cb.example/", Host: 8, Lane: id,
		QueueName: queue, Line: record.Line{Queue: id, Root: seq},
	}
	return m.Append(nil)
}

// TestDeletedQueueCancelsWhatIsOnItsWay: the callback of a message whose outcome was on
// its way to the log when its queue was deleted is canceled like all else, though its turn
// has begun.
func TestDeletedQueueCancelsWhatIsOnItsWay(t *testing.T) {
	b := newBareCore(t, 100)
	i := b.queued(50, "q")
	b.oneStart(b.after(0))
	r := &attemptResult{success: true, answered: true}
	r.outcome.Status, r.outcome.Callbacks, r.outcome.Source = 200, [][]byte{callbackOf(50, "q")}, sourceOf(50)
	o := b.oneAppend(b.after(1, event{kind: evFinished, slot: i, result: r}))

	b.lsn++
	gone := record.Queue{Flags: record.QueueGone, User: 1, Name: "q", Parallelism: 1}
	if err := b.commit(b.lsn, gone.Append(nil)); err != nil {
		t.Fatal(err)
	}
	b.out.reset()
	b.logged(o)
	callback := b.oneAppend(&b.out)
	if callback.Kind != record.Canceled || callback.Seq != b.lsn+1 {
		t.Fatalf("the callback's outcome is %v of %d", callback.Kind, callback.Seq)
	}
	if out := b.after(1); len(out.starts) > 0 {
		t.Errorf("attempt of %d starts after the queue was deleted", out.starts[0].row.Seq)
	}
	b.logged(callback)
	if len(b.queues.turns) > 0 || b.queues.list[0].open > 0 {
		t.Errorf("turns are left: %v", b.queues.turns)
	}
}

// TestDeletedQueueCancelsWhatTheIndexHas: so is a callback that was in the index alone.
func TestDeletedQueueCancelsWhatTheIndexHas(t *testing.T) {
	b := newBareCore(t, 100)
	b.queued(50, "q")
	b.oneStart(b.after(0))
	b.lsn++
	gone := record.Queue{Flags: record.QueueGone, User: 1, Name: "q", Parallelism: 1}
	if err := b.commit(b.lsn, gone.Append(nil)); err != nil {
		t.Fatal(err)
	}
	id := record.QueueID(1, "q")
	b.out.reset()
	if !b.load(b.byLane[id], &record.Row{User: 1, Nonce: 9, Seq: 60, Pos: 59, Len: 100, Lane: id, Host: 8, Due: b.now, Line: record.Line{Queue: id, Root: 50}}) {
		t.Fatal("the row was not taken")
	}
	if o := b.oneAppend(&b.out); o.Kind != record.Canceled || o.Seq != 60 {
		t.Errorf("the callback's outcome is %v of %d", o.Kind, o.Seq)
	}
}

// TestDeletedQueueStopsWhatIsMoving: a message whose record is being copied when its queue
// is deleted begins no attempt until it can be canceled.
func TestDeletedQueueStopsWhatIsMoving(t *testing.T) {
	b := newBareCore(t, 100)
	i := b.queued(50, "q")
	b.oneStart(b.after(0))
	b.logged(b.oneAppend(b.after(0, failed(i, 3))))
	b.out.reset()
	req := &moveRequest{seq: 50, nonce: 50, old: 50, oldLen: 100, done: func(error) {}}
	b.move(req)
	if len(b.out.moves) != 1 {
		t.Fatalf("%d moves are logged, want 1", len(b.out.moves))
	}
	b.lsn++
	gone := record.Queue{Flags: record.QueueGone, User: 1, Name: "q", Parallelism: 1}
	if err := b.commit(b.lsn, gone.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if out := b.after(time.Hour); len(out.starts)+len(out.appends) > 0 {
		t.Fatalf("%d attempts start and %d outcomes are logged during the move", len(out.starts), len(out.appends))
	}
	b.moveRefused(req, ErrDiskFull)
	if o := b.oneAppend(&b.out); o.Kind != record.Canceled || o.Seq != 50 {
		t.Errorf("its outcome is %v of %d", o.Kind, o.Seq)
	}
}

// sourceOf is what a report says of the message that it is about.
func sourceOf(seq uint64) []byte {
	m := record.Message{User: 1, Nonce: seq, URL: "http://h.example/", Host: 7, Lane: 7}
	return m.Append(nil)
}

// TestResumedQueueForgetsLanes: a lane that wanted a slot when its queue was paused, and
// holds nothing any more when that goes on, is forgotten.
func TestResumedQueueForgetsLanes(t *testing.T) {
	b := newBareCore(t, 100)
	state := func(flags uint16) {
		b.lsn++
		if err := b.commit(b.lsn, (&record.Queue{Flags: flags, User: 1, Name: "q", Parallelism: 1}).Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	one := b.queued(50, "q")
	id := record.QueueID(1, "q")
	r := record.Row{User: 1, Nonce: 51, Seq: 51, Pos: 51, Len: 100, Lane: record.OrderingLane(id, "k"), Host: 7, Due: b.now, Line: record.Line{Queue: id}}
	b.heardQueue(&r)
	b.place(&r)
	b.arrange(b.admit(b.laneOf(&r), &r, stTimer)) // wants the slot
	b.oneStart(b.after(0))
	state(record.QueuePaused)
	b.logged(b.oneAppend(b.after(0, event{kind: evFinished, slot: one, result: &attemptResult{success: true, answered: true}})))
	b.logged(b.oneAppend(b.after(0, cancelOf(51))))
	state(0)
	b.after(0, event{kind: evApplied, lsn: b.lsn + 1})
	if len(b.byLane) != 0 {
		t.Errorf("%d lanes are left", len(b.byLane))
	}
}

// TestCanceledInLineHoldsUpTheNext: a message that is canceled before its turn is passed
// by the next one when that is durable, not before: a power cut would bring it back, behind
// its place.
func TestCanceledInLineHoldsUpTheNext(t *testing.T) {
	b := newBareCore(t, 100)
	first := b.queued(50, "q")
	b.queued(51, "q")
	b.queued(52, "q")
	b.oneStart(b.after(0))
	var canceled error = ErrClosed
	cancel := b.oneAppend(b.after(0, event{kind: evCancel, req: &cancelRequest{user: 1, seq: 51, nonce: 51, done: func(err error) { canceled = err }}}))

	r := &attemptResult{success: true, answered: true}
	r.outcome.Status = 200
	delivered := b.oneAppend(b.after(0, event{kind: evFinished, slot: first, result: r}))
	b.logged(delivered)
	if out := b.after(0); len(out.starts) > 0 {
		t.Fatalf("%d starts before the cancel of 51 is durable", out.starts[0].row.Seq)
	}
	b.logged(cancel)
	for _, a := range b.out.answers {
		a.req.done(a.err)
	}
	if canceled != nil {
		t.Errorf("the cancel is answered with %v", canceled)
	}
	if out := b.after(0); len(out.starts) != 1 || out.starts[0].row.Seq != 52 {
		t.Errorf("%d attempts start, want the one of 52", len(out.starts))
	}
}
