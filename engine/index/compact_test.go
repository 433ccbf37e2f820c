package index

import (
	"testing"
	"time"
)

// TestReplayHoldsCompactions: while the log is replayed nothing is compacted, unless a read
// has to look into too many tables; afterwards compactions go on by themselves.
func TestReplayHoldsCompactions(t *testing.T) {
	b := newBench(t)
	compacted := func() int64 { return b.x.db.Metrics().Compact.Count }
	table := func() {
		b.publishHook(testNow)
		b.flush()
		b.must(b.x.Flush())
	}
	b.must(b.a.Begin(1 << 32))
	for range replaySublevels - 1 {
		table()
	}
	if n := compacted(); n > 0 || !b.x.compactions.held.Load() {
		t.Errorf("%d compactions while the log is replayed", n)
	}
	b.must(b.a.Replayed())
	for deadline := time.Now().Add(20 * time.Second); compacted() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no compaction 20 s after the replay")
		}
	}

	b.must(b.a.Begin(1 << 32))
	for range 2 * replaySublevels {
		table()
	}
	if b.x.compactions.held.Load() {
		t.Errorf("compactions are held with %d tables over one another", b.x.db.Metrics().Levels[0].Sublevels)
	}
}
