package index

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// calledBy says whether a function of this goroutine's stack has one of the names:
// Pebble's own goroutines read tables when they like, for statistics.
func calledBy(names ...string) bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for {
		f, more := frames.Next()
		for _, name := range names {
			if strings.Contains(f.Function, name) {
				return true
			}
		}
		if !more {
			return false
		}
	}
}

// TestApplierNeverReads (X1, moves excepted): with everything in tables on disk and no cache, so that
// any look at a key has to read a file, the applier applies all kinds of records
// without one read.
func TestApplierNeverReads(t *testing.T) {
	disk := powerfs.New()
	var reads atomic.Int64
	disk.Fault = func(op, _ string) error {
		if op == "ReadAt" && calledBy("/index.(*Applier).", "/index.(*Index).") {
			reads.Add(1)
		}
		return nil
	}
	o := smallOptions(disk)
	o.Memtable, o.Quiet = 64<<20, true // no flush, no compaction: they may read
	b := &bench{t: t, lsn: 1 << 32}
	b.open(o)
	g := generator{rng: rand.New(rand.NewPCG(3, 3)), m: newModel(), lsn: b.lsn, now: testNow, still: true}
	apply := func(records int) {
		for i := range records {
			r := g.next()
			b.must(g.m.apply(r))
			b.must(b.a.Record(r.lsn, r.payload))
			b.a.EndGroup(positionAt(r.lsn + 8))
			if i%10 == 0 {
				b.flush()
			}
		}
		b.flush()
	}
	apply(3000)
	b.must(b.x.Close())
	o.Cache = 1
	b.open(o)
	defer func() { b.must(b.x.Close()) }()
	trim, ok, err := b.x.OldHistory(g.now-1, 1, 1<<40)
	if b.must(err); !ok {
		t.Fatal("there is no history to trim")
	}
	if _, _, err := b.x.Row(g.lastSeq()); err != nil || reads.Load() == 0 {
		t.Fatalf("the seam sees no reads: %v", err)
	}
	reads.Store(0)
	b.must(b.a.Trim(trim))
	apply(3000)
	if lsn, ask := b.a.Ask(); ask {
		b.a.Raise(nil, lsn)
	}
	if n := reads.Load(); n > 0 {
		t.Errorf("the applier made %d reads", n)
	}
}
