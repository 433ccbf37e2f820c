package engine

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestBatchEnds (X1): a batch of the index ends when it is batchDelay old, sooner while
// somebody follows what becomes visible, be it that they came before or after it was
// begun, and at once for a read. The next one is not cut short by the last one's age.
func TestBatchEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration // how old the batch is when somebody comes
		comes func(t *testing.T, e *Engine)
		ends  time.Duration // how old it is when it ends
	}{
		{"nobody comes", 0, func(*testing.T, *Engine) {}, batchDelay},
		{"a follower", 0, follow, watchDelay},
		{"a late follower", batchDelay / 2, follow, batchDelay / 2},
		{"a read", 0, read, 0},
		{"a late read", batchDelay / 2, read, batchDelay / 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := open(t, testOptions(powerfs.New(), newFakeWire()))
				for range 3 {
					time.Sleep(2 * batchDelay) // the last batch has ended
					begun := time.Now()
					publish(t, e, Publish{Delay: time.Hour})
					time.AfterFunc(c.after, func() { c.comes(t, e) })
					for lsn := uint64(e.log.Durable().LSN); e.idx.Applied() < lsn; {
						time.Sleep(time.Millisecond)
						synctest.Wait()
					}
					if took := time.Since(begun); took < c.ends || took > c.ends+5*time.Millisecond {
						t.Errorf("the batch ended after %s, want %s", took, c.ends)
					}
				}
			})
		})
	}
}

func follow(t *testing.T, e *Engine) {
	if more, err := e.WaitEvents(e.EventsEnd(), time.Minute, nil); !more || err != nil {
		t.Errorf("a follower is told %v, %v", more, err)
	}
}

func read(t *testing.T, e *Engine) {
	if err := e.catchUp(); err != nil {
		t.Error(err)
	}
}

// TestRetiresInParts: the end of a large batch of the applier frees many entries, but no
// step more than retireMax of them. Each says whether it left any.
func TestRetiresInParts(t *testing.T) {
	const n = 2*retireMax + 7
	b := newBareCore(t, 2*n)
	var cancels []event
	for seq := range uint64(n) {
		b.message(seq+1, bareNow+1000)
		cancels = append(cancels, cancelOf(seq+1))
	}
	b.lsn = n
	for _, a := range slices.Clone(b.after(0, cancels...).appends) {
		b.logged(a.outcome)
	}
	events := []event{{kind: evApplied, lsn: b.lsn + 1}}
	for left := n; left > 0; events = nil {
		before := left
		more, err := b.step(b.now, events)
		if err != nil {
			t.Fatal(err)
		}
		left = len(b.bySeq)
		if freed := before - left; freed == 0 || freed > retireMax || more != (left > 0) {
			t.Fatalf("a step freed %d of %d entries and says that it left some: %v", freed, before, more)
		}
	}
}
