package index

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

func byDue(a, b record.Row) int { return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Seq, b.Seq)) }

// TestReadPage pages through lanes whose ids are neighbours, with all limits and
// some last due times: every row once, in order, and Next names the first that
// is left.
func TestReadPage(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 2))
	b := newBench(t)
	ids := []uint64{0, 1, 255, 256, ^uint64(0) - 1, ^uint64(0)}
	lanes := map[uint64][]record.Row{}
	for range 150 {
		id := ids[rng.IntN(len(ids))]
		lanes[id] = append(lanes[id], b.publish(record.Message{Lane: id, Due: testNow + rng.Int64N(12)}))
	}
	b.flush()
	for id, rows := range lanes {
		slices.SortFunc(rows, byDue)
		for limit := 1; limit <= len(rows)+1; limit++ {
			for maxDue := testNow - 1; maxDue <= testNow+12; maxDue++ {
				checkPages(t, b.x, id, rows, limit, maxDue)
			}
		}
	}
}

func checkPages(t *testing.T, x *Index, lane uint64, rows []record.Row, limit int, maxDue int64) {
	t.Helper()
	var buf []record.Row
	var from Cursor
	for at := 0; ; {
		p, err := x.ReadPage(lane, from, maxDue, limit, buf)
		if err != nil {
			t.Fatal(err)
		}
		n := min(limit, len(rows)-at)
		if i := slices.IndexFunc(rows[at:at+n], func(r record.Row) bool { return r.Due > maxDue }); i >= 0 {
			n = i
		}
		if !slices.Equal(p.Rows, rows[at:at+n]) || p.Applied != x.Applied() {
			t.Fatalf("lane %d, limit %d, due %d, from %+v: %d rows as of %d, want %d", lane, limit, maxDue, from, len(p.Rows), p.Applied, n)
		}
		at += n
		if p.More != (at < len(rows)) {
			t.Fatalf("lane %d, %d of %d rows: more %v", lane, at, len(rows), p.More)
		}
		if p.More && p.Next != (Cursor{rows[at].Due, rows[at].Seq}) {
			t.Fatalf("lane %d: next %+v, want %+v", lane, p.Next, rows[at])
		}
		if !p.More || rows[at].Due > maxDue {
			return
		}
		buf, from = p.Rows, p.Next
	}
}

func TestReadPageOfAnEmptyIndex(t *testing.T) {
	b := newBench(t)
	p, err := b.x.ReadPage(1, Cursor{}, testNow, 10, nil)
	if err != nil || len(p.Rows) != 0 || p.More || p.Applied != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
}

// TestReadPageTellsErrors: a disk that fails once while the position is read
// must not make the page claim an older one.
func TestReadPageTellsErrors(t *testing.T) {
	disk := powerfs.New()
	var fail atomic.Bool
	broken := errors.New("broken disk")
	disk.Fault = func(op, _ string) error {
		if op == "ReadAt" && fail.CompareAndSwap(true, false) {
			return broken
		}
		return nil
	}
	b := &bench{t: t, lsn: 1 << 32}
	b.open(smallOptions(disk))
	b.publish(record.Message{Lane: 1, Due: testNow})
	b.flush()
	b.must(b.x.Close())
	o := smallOptions(disk)
	o.Cache = 1 // what Open has read is not kept
	b.open(o)
	defer func() { b.must(b.x.Close()) }()
	for range 100 { // Pebble reads in the background, too, and may have taken the fault
		fail.Store(true)
		p, err := b.x.ReadPage(2, Cursor{}, testNow, 10, nil)
		if errors.Is(err, broken) {
			return
		}
		if err != nil || fail.Load() {
			t.Fatalf("%+v, %v; the fault was used: %v", p, err, !fail.Load())
		}
	}
	t.Fatal("a read that failed was not told, a hundred times")
}

func TestCursorBefore(t *testing.T) {
	sorted := []Cursor{{}, {0, 1}, {1, 0}, {1, 5}, {1, 6}, {2, 0}}
	for i, c := range sorted {
		for j, d := range sorted {
			if c.Before(d) != (i < j) {
				t.Errorf("%+v before %+v: %v", c, d, c.Before(d))
			}
		}
	}
}

// TestDeadLetters walks a user's dead letters from every place, both ways.
func TestDeadLetters(t *testing.T) {
	b := newBench(t)
	var want []Dead
	for i := range 20 {
		user := uint32(i%2 + 1)
		if i == 19 {
			user = 0xFFFF_FFFF
		}
		row := b.publish(record.Message{User: user, Nonce: uint64(i), Lane: 3, Due: testNow})
		o := record.Outcome{Row: row, Kind: record.Dead, Attempt: 4, At: testNow + int64(i), Status: uint16(500 + i), Error: "gone"}
		lsn := b.apply(&o)
		row.Tries = 4
		if user == 1 {
			want = append(want, Dead{Row: row, LSN: lsn, Out: lsn, Len: uint32(o.Size()), At: o.At, Status: o.Status})
		}
	}
	b.flush()
	collect := func(user uint32, from uint64, backwards bool, most int) (got []Dead) {
		b.must(b.x.DeadLetters(user, from, backwards, func(d *Dead) (bool, error) {
			got = append(got, *d)
			return len(got) < most, nil
		}))
		return got
	}
	reversed := slices.Clone(want)
	slices.Reverse(reversed)
	check := func(what string, got, want []Dead) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d dead letters %+v, want %d", what, len(got), got, len(want))
		}
	}
	check("all", collect(1, 0, false, 99), want)
	check("all, backwards", collect(1, ^uint64(0), true, 99), reversed)
	check("none", collect(9, 0, false, 99), nil)
	check("none, backwards", collect(9, ^uint64(0), true, 99), nil)
	check("behind the last", collect(1, ^uint64(0), false, 99), nil)
	check("before the first", collect(1, 0, true, 99), nil)
	for i, d := range want {
		check("from one", collect(1, d.LSN, false, 99), want[i:])
		check("from behind one", collect(1, d.LSN+1, false, 99), want[i+1:])
		check("backwards from one", collect(1, d.LSN, true, 99), reversed[len(want)-1-i:])
		check("backwards from before one", collect(1, d.LSN-1, true, 99), reversed[len(want)-i:])
		check("two", collect(1, d.LSN, false, 2), want[i:min(i+2, len(want))])
		if got, ok, err := b.x.Dead(1, d.LSN); !ok || err != nil || got != d {
			t.Errorf("dead letter %d: %+v, %v, %v", d.LSN, got, ok, err)
		}
		if _, ok, err := b.x.Dead(2, d.LSN); ok || err != nil {
			t.Errorf("dead letter %d is shown to another user: %v", d.LSN, err)
		}
	}
	b.apply(&record.DropDead{User: 1, Dead: want[0].LSN})
	b.publish(record.Message{User: 1, FromDead: record.FromDead{Dead: want[1].LSN}})
	b.flush()
	check("after a drop and a redrive", collect(1, 0, false, 99), want[2:])
	stop := errors.New("stop")
	if err := b.x.DeadLetters(1, 0, false, func(*Dead) (bool, error) { return true, stop }); !errors.Is(err, stop) {
		t.Errorf("the callback's error became %v", err)
	}
}

// TestCloseDuringWalk: what a walk calls may read the index itself. When it is being
// closed meanwhile, that read is refused: if it waited for the end of Close, which
// waits for the walk, neither would ever end.
func TestCloseDuringWalk(t *testing.T) {
	b := &bench{t: t, lsn: 1 << 32}
	b.open(smallOptions(powerfs.New()))
	row := b.publish(record.Message{Lane: 1})
	b.flush()
	closed := make(chan error, 1)
	err := b.x.Pending(func(*record.Row) error {
		go func() { closed <- b.x.Close() }()
		for {
			if _, _, err := b.x.Row(row.Seq); err != nil {
				return err
			}
			runtime.Gosched()
		}
	})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("a read inside a walk: %v", err)
	}
	b.must(<-closed)
}
