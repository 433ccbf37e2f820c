package index

import (
	"math"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// front is what the core knows: the least due time of a lane.
func front(lane uint64, rows []record.Row) []Lane {
	l := Lane{ID: lane, First: math.MaxInt64}
	for i := range rows {
		l.First = min(l.First, rows[i].Due)
	}
	return []Lane{l}
}

func (b *bench) first(lane uint64) int64 {
	b.t.Helper()
	first := int64(math.MinInt64)
	b.must(b.x.Lanes(func(l Lane) error {
		if l.ID == lane {
			first = l.First
		}
		return nil
	}))
	return first
}

// TestRaise: a bound counts as of its position, and what was added since the
// question counts beside it.
func TestRaise(t *testing.T) {
	at := func(i int64) int64 { return testNow + i*1000 }
	// Of ten rows, a second apart, the first five are consumed. The answer then says
	// that the sixth is the next.
	setup := func(t *testing.T) (*bench, []record.Row) {
		b := newBench(t)
		b.t, b.a.raiser.every = t, 5
		var rows []record.Row
		for i := range int64(10) {
			rows = append(rows, b.publish(record.Message{Lane: 1, Due: at(i)}))
		}
		b.flush()
		for _, r := range rows[:5] {
			b.end(r, record.Delivered, 0)
		}
		b.flush()
		if first := b.first(1); first != at(0) {
			t.Fatalf("the summary names %d", first-testNow)
		}
		return b, rows[5:]
	}
	ask := func(b *bench) uint64 {
		lsn, ok := b.a.Ask()
		if !ok || lsn != b.lsn {
			b.t.Fatalf("asks for bounds: %v, as of %d, want %d", ok, lsn, b.lsn)
		}
		return lsn
	}
	check := func(b *bench, want int64) {
		b.t.Helper()
		b.flush()
		if got := b.first(1); got != at(want) {
			b.t.Errorf("the summary names the row at %d s, want %d s", (got-testNow)/1000, want)
		}
	}
	t.Run("at once", func(t *testing.T) {
		b, left := setup(t)
		b.a.Raise(front(1, left), ask(b))
		check(b, 5)
		if _, ok := b.a.Ask(); ok {
			t.Error("asks again, and nothing was consumed")
		}
	})
	t.Run("added before the answer", func(t *testing.T) {
		b, left := setup(t)
		lsn := ask(b)
		b.publish(record.Message{Lane: 1, Due: at(2)})
		b.a.Raise(front(1, left), lsn)
		check(b, 2)
	})
	t.Run("retried before the answer", func(t *testing.T) {
		b, left := setup(t)
		lsn := ask(b)
		b.end(left[4], record.Retry, at(3))
		b.a.Raise(front(1, left), lsn)
		check(b, 3)
	})
	t.Run("the core is ahead", func(t *testing.T) {
		b, left := setup(t)
		ask(b)
		b.a.Raise(front(1, left[1:]), b.lsn+512) // the core has seen the next record
		check(b, 0)
		b.end(left[0], record.Delivered, 0)
		check(b, 6)
	})
	t.Run("the lane was emptied and filled", func(t *testing.T) {
		b, left := setup(t)
		lsn := ask(b)
		for _, r := range left {
			b.end(r, record.Delivered, 0)
		}
		b.flush()
		b.publish(record.Message{Lane: 1, Due: at(1)})
		b.a.Raise(front(1, left), lsn)
		check(b, 1)
	})
	t.Run("an old answer", func(t *testing.T) {
		b, left := setup(t)
		b.a.Raise(front(1, left), ask(b)-512)
		check(b, 0)
	})
	t.Run("unasked", func(t *testing.T) {
		b, left := setup(t)
		b.a.Raise(front(1, left), b.lsn)
		check(b, 0)
	})
}

// TestRestartStartsBehindTheConsumed (X4): of a lane that is never empty 200,000
// messages were consumed. After a restart the first page does not step over them,
// but over no more than were consumed since the last question.
func TestRestartStartsBehindTheConsumed(t *testing.T) {
	const total, waiting, lane = consumed, 100, 9
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Memtable, o.Quiet = 64<<20, true // no compaction takes the deleted rows away
	b := &bench{t: t, lsn: 1 << 32}
	b.open(o)
	var rows []record.Row
	for i := range int64(total + waiting) {
		rows = append(rows, b.publish(record.Message{Lane: lane, Due: testNow + i}))
		if len(rows) <= waiting {
			continue
		}
		if i%97 == 0 { // rows are in the index before their end comes
			b.flush()
		}
		b.end(rows[0], record.Delivered, 0)
		if rows = rows[1:]; i%977 != 0 {
			continue
		}
		b.flush()
		if lsn, ask := b.a.Ask(); ask {
			b.a.Raise(front(lane, rows), lsn)
		}
	}
	b.flush()
	b.must(b.x.Close())
	b.open(o)
	defer func() { b.must(b.x.Close()) }()
	p, err := b.x.ReadPage(lane, Cursor{Due: b.first(lane)}, math.MaxInt64, waiting, nil)
	b.must(err)
	if len(p.Rows) != waiting || p.Rows[0] != rows[0] {
		t.Fatalf("the page holds %d rows from %+v on, want %d", len(p.Rows), p.Rows, waiting)
	}
	if limit := 2 * (raiseEvery + 1000); p.Stepped > limit {
		t.Errorf("the page stepped over %d keys, want %d at most", p.Stepped, limit)
	}
	t.Logf("%d messages consumed, the first page stepped over %d keys", total, p.Stepped)
}

// TestPagesStepOverNothing (X4): page after page, with what they showed consumed
// before the next is read, none looks at a key that is gone.
func TestPagesStepOverNothing(t *testing.T) {
	b := &bench{t: t, lsn: 1 << 32}
	o := smallOptions(powerfs.New())
	o.Memtable, o.Quiet = 64<<20, true
	b.open(o)
	defer func() { b.must(b.x.Close()) }()
	for i := range int64(5000) {
		b.publish(record.Message{Lane: 1, Due: testNow + i})
	}
	b.flush()
	var from Cursor
	for seen := 0; seen < 5000; {
		p, err := b.x.ReadPage(1, from, math.MaxInt64, 100, nil)
		b.must(err)
		if len(p.Rows) != 100 || p.Stepped > 101 {
			t.Fatalf("after %d rows a page of %d looked at %d keys", seen, len(p.Rows), p.Stepped)
		}
		for _, r := range p.Rows {
			b.end(r, record.Delivered, 0)
		}
		b.flush()
		seen, from = seen+len(p.Rows), p.Next
	}
}

// TestRaiseKeepsAdded: of several rows that were added since the question, the first
// counts, whichever came last.
func TestRaiseKeepsAdded(t *testing.T) {
	b := newBench(t)
	b.a.raiser.every = 1
	r := b.publish(record.Message{Lane: 1, Due: testNow + 10})
	b.publish(record.Message{Lane: 1, Due: testNow + 100})
	b.flush()
	b.end(r, record.Delivered, 0)
	b.flush()
	lsn, ask := b.a.Ask()
	if !ask {
		t.Fatal("nothing is asked")
	}
	b.publish(record.Message{Lane: 1, Due: testNow + 50})
	b.publish(record.Message{Lane: 1, Due: testNow + 80})
	b.a.Raise([]Lane{{ID: 1, First: testNow + 100}}, lsn)
	b.flush()
	if first := b.first(1); first != testNow+10 && first != testNow+50 {
		t.Fatalf("the lane begins at %d, and a row is due at 50", first-testNow)
	}
}
