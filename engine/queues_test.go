package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// TestRedriveMakesItsQueue: what is retried from the dead letter queue waits in its queue
// as any message does, so the queue is made again if it was deleted meanwhile; otherwise
// nobody could see it, pause it or delete it with the message in it.
func TestRedriveMakesItsQueue(t *testing.T) {
	w := newFakeWire()
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) { *r = dispatch.Result{Status: 500} }
	e := open(t, testOptions(vfs.NewMem(), w))
	publish(t, e, Publish{Queue: "q", Retries: 0})
	w.next(t)
	dead := waitFor(t, func() *DeadLetter {
		if ds, _, err := e.DeadLetters(DeadLetterQuery{User: 1}); err == nil && len(ds) == 1 {
			return &ds[0]
		}
		return nil
	})
	if err := e.DeleteQueue(1, "q"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.RetryDeadLetter(1, dead.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.next(t)
	q, err := e.Queue(1, "q")
	if err != nil {
		t.Fatalf("the queue of the message that is retried: %v", err)
	}
	if q.Parallelism != 1 || q.Paused {
		t.Errorf("it is %+v", q)
	}
}
