package index

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/record"
)

// TestElision (X3): what is published and ended within one applied range leaves no
// rows, not even for Pebble to delete, and one history row; what spans two ranges is
// not elided, and has a history row for each state.
func TestElision(t *testing.T) {
	for _, c := range []struct {
		name   string
		kinds  []record.Kind // of the outcomes, in order
		batch  int           // the batch ends before this outcome, -1: never
		writes int           // of the last batch, but for history, the position and the lanes
		keys   map[byte]int
	}{
		{"delivered", []record.Kind{record.Delivered}, -1, 0, map[byte]int{'a': 1, 'h': 1}},
		{"canceled", []record.Kind{record.Canceled}, -1, 0, map[byte]int{'a': 1, 'h': 1}},
		{"retried, delivered", []record.Kind{record.Retry, record.Retry, record.Delivered}, -1, 0, map[byte]int{'a': 1, 'h': 1}},
		{"dead", []record.Kind{record.Dead}, -1, 1, map[byte]int{'a': 1, 'q': 1, 'h': 1, 's': 1, 'x': 1}},
		{"retried", []record.Kind{record.Retry}, -1, 2, map[byte]int{'a': 1, 'l': 1, 'm': 1, 'p': 1, 's': 1, 'h': 2, 'e': 1}},
		{"delivered later", []record.Kind{record.Delivered}, 0, 2, map[byte]int{'a': 1, 'h': 2, 'e': 1}},
		{"retried later", []record.Kind{record.Retry}, 0, 3, map[byte]int{'a': 1, 'l': 1, 'm': 1, 'p': 1, 's': 1, 'h': 2, 'e': 1}},
		{"retried and delivered later", []record.Kind{record.Retry, record.Delivered}, 0, 2, map[byte]int{'a': 1, 'h': 3, 'e': 2}},
		{"retried, delivered later", []record.Kind{record.Retry, record.Delivered}, 1, 2, map[byte]int{'a': 1, 'h': 3, 'e': 2}},
		{"dead later", []record.Kind{record.Retry, record.Dead}, 1, 3, map[byte]int{'a': 1, 'q': 1, 'h': 3, 'e': 2, 's': 1, 'x': 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.t = t
			row := b.publish(record.Message{User: 1, Lane: 5, Due: testNow})
			for i, k := range c.kinds {
				if i == c.batch {
					b.flush()
				}
				_, row = b.end(row, k, testNow+int64(i+1)*1000)
			}
			b.must(b.a.fill())
			if n := writes(t, b.a.batch); n != c.writes {
				t.Errorf("the batch holds %d writes, want %d", n, c.writes)
			}
			b.flush()
			got := kinds(t, b.x)
			delete(got, kindTime)
			delete(got, kindStats)
			if !maps.Equal(got, c.keys) {
				t.Errorf("keys by kind: %v, want %v", got, c.keys)
			}
		})
	}
}

// writes counts a batch's operations on messages and dead letters.
func writes(t *testing.T, b *pebble.Batch) (n int) {
	for r := b.Reader(); ; {
		_, k, _, ok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return n
		}
		if k[0] == kindMessage || k[0] == kindPending || k[0] == kindDead {
			n++
		}
	}
}

// TestRow: a row shows once its batch is written, and follows its retries.
func TestRow(t *testing.T) {
	b := newBench(t)
	want := b.publish(record.Message{User: 1, Nonce: 99, Lane: 5, Host: 6, Due: testNow})
	if _, ok, err := b.x.Row(want.Seq); ok || err != nil {
		t.Fatalf("a row before its batch was written: %v", err)
	}
	if !b.a.Open() || b.a.bytes == 0 {
		t.Fatal("the applier has nothing to write")
	}
	b.flush()
	if b.a.Open() || b.a.bytes != 0 || b.x.Applied() != b.lsn {
		t.Fatalf("after a batch: open %v, %d bytes, applied %d", b.a.Open(), b.a.bytes, b.x.Applied())
	}
	for i := range 3 {
		got, ok, err := b.x.Row(want.Seq)
		if !ok || err != nil || got != want {
			t.Fatalf("retry %d: %+v, %v, %v; want %+v", i, got, ok, err, want)
		}
		_, want = b.end(want, record.Retry, testNow+int64(i)*60_000)
		b.flush()
	}
	b.end(want, record.Delivered, 0)
	b.flush()
	if _, ok, err := b.x.Row(want.Seq); ok || err != nil {
		t.Fatalf("a delivered message has a row: %v", err)
	}
}

// TestReplacingRetry: a retry that is due when the last attempt was replaces the
// row under its own key.
func TestReplacingRetry(t *testing.T) {
	b := newBench(t)
	row := b.publish(record.Message{Lane: 5, Due: testNow})
	b.flush()
	_, row = b.end(row, record.Retry, testNow)
	b.flush()
	p, err := b.x.ReadPage(5, Cursor{}, testNow, 10, nil)
	if err != nil || len(p.Rows) != 1 || p.Rows[0] != row {
		t.Fatalf("%+v, %v; want %+v", p.Rows, err, row)
	}
}

// TestLanes: counts are exact, also through a reopened applier; First is never
// above the earliest row.
func TestLanes(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 1))
	b := newBench(t)
	var rows []record.Row
	for i := range 400 {
		switch n := rng.IntN(10); {
		case n < 5 || len(rows) == 0:
			rows = append(rows, b.publish(record.Message{Lane: rng.Uint64N(4), Due: testNow + rng.Int64N(1000)}))
		case n < 7:
			j := rng.IntN(len(rows))
			_, rows[j] = b.end(rows[j], record.Retry, testNow+rng.Int64N(1000))
		default:
			j := rng.IntN(len(rows))
			b.end(rows[j], record.Delivered, 0)
			rows[j] = rows[len(rows)-1]
			rows = rows[:len(rows)-1]
		}
		if rng.IntN(5) > 0 {
			continue
		}
		b.flush()
		checkLanes(t, b.x, rows)
		if i%3 == 0 { // an applier that loads the summaries goes on as the old one
			var err error
			b.a, err = b.x.NewApplier()
			b.must(err)
			b.a.EndGroup(positionAt(b.lsn))
		}
	}
}

func checkLanes(t *testing.T, x *Index, rows []record.Row) {
	t.Helper()
	m := newModel()
	for _, r := range rows {
		m.rows[r.Seq] = r
	}
	want := m.lanes()
	err := x.Lanes(func(l Lane) error {
		if w := want[l.ID]; l.Count != w.Count || l.First > w.First {
			t.Fatalf("summary %+v, the rows give %+v", l, w)
		}
		delete(want, l.ID)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Fatalf("lanes without a summary: %v, %v", want, err)
	}
}

// TestUsers: the newest record of an account is the one that is read.
func TestUsers(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"old", "new"} {
		for id := range uint32(3) {
			b.apply(&record.User{ID: 2 - id, Name: name})
		}
	}
	b.flush()
	var ids []uint32
	err := b.x.Users(func(p []byte) error {
		var u record.User
		err := record.DecodeUser(p, &u)
		ids = append(ids, u.ID)
		if u.Name != "new" {
			t.Errorf("user %d is %q", u.ID, u.Name)
		}
		return err
	})
	if err != nil || len(ids) != 3 || ids[0] != 0 || ids[2] != 2 {
		t.Fatalf("users %v, %v", ids, err)
	}
}

// TestApplyRefuses: a record that cannot be read whole stops the applier.
func TestApplyRefuses(t *testing.T) {
	b := newBench(t)
	for name, p := range map[string][]byte{
		"empty": {}, "unknown type": {200, 1, 0, 0}, "truncated message": {1, 1, 0, 0}, "truncated outcome": {2, 1, 0, 0},
		"truncated drop": {3, 1, 0, 0}, "truncated user": {4, 1, 0, 0},
	} {
		if err := b.a.Record(b.lsn, p); err == nil {
			t.Errorf("%s was applied", name)
		}
	}
}
