package index

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestRuns: rows that come in any order, under keys that come again, enter the batch in the
// order of their keys, each key once, and say what the last of them said; a range that is
// deleted takes what came before it and nothing that came after.
func TestRuns(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	b := newBench(t)
	want := map[string]string{}
	for range 20 {
		for i := range 500 {
			key := runKey(rng)
			switch {
			case i == 250:
				end := []byte{key[0] + 1}
				b.must(b.a.deleteRange(key, end))
				maps.DeleteFunc(want, func(k, _ string) bool { return k >= string(key) && k < string(end) })
			case rng.IntN(3) == 0:
				b.a.unset(key)
				delete(want, string(key))
			default:
				val := binary.BigEndian.AppendUint32(nil, rng.Uint32())
				b.a.set(key, val)
				want[string(key)] = string(val)
			}
		}
		from := b.a.batch.Len()
		b.must(b.a.fillRuns())
		if n := disorder(t, b.a.batch, from); n > 0 {
			t.Fatalf("seed %d: %d rows of a batch do not follow the one before", seed, n)
		}
		b.flush()
	}
	got := dump(t, b.x)
	delete(got, string([]byte{kindApplied}))
	if !maps.Equal(got, want) {
		t.Errorf("seed %d: %d rows are there, want %d, or others", seed, len(got), len(want))
	}
}

// runKey is a key of some kind, one of a few.
func runKey(rng *rand.Rand) []byte {
	n := uint64(rng.IntN(40))
	switch rng.IntN(4) {
	case 0:
		return messageKey(nil, n<<40)
	case 1:
		return historyKey(nil, n)
	case 2:
		return eventKey(nil, 7, n/8, n)
	}
	return pendingKey(nil, n/16, int64(n)/4, n)
}

// disorder counts the rows of a batch, from the byte on, whose keys are not greater than
// those before them.
func disorder(t *testing.T, b *pebble.Batch, from int) (n int) {
	t.Helper()
	var last []byte
	size := b.Len()
	for r := b.Reader(); len(r) > 0; {
		at := size - len(r)
		_, key, _, ok, err := r.Next()
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if at < from {
			continue
		}
		if bytes.Compare(key, last) <= 0 {
			n++
		}
		last = key
	}
	return n
}

// TestBatchEndsFull: the open batch says when it is full, by what it holds in memory and by
// the log it is about, so that neither grows with what nobody asks for.
func TestBatchEndsFull(t *testing.T) {
	for _, c := range []struct {
		name string
		body uint32
		ends bool
		by   func(a *Applier) int
		max  int
	}{
		{"messages that stay", 0, false, (*Applier).size, batchMemory},
		{"messages that end", 0, true, (*Applier).size, batchMemory},
		{"large messages", 1 << 20, false, func(a *Applier) int { return a.bytes }, batchLogMax},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.t, b.x.batchMax = t, batchMemory
			m := hook(testNow)
			m.Body, m.BodyLen = make([]byte, c.body), c.body
			p := m.Append(nil)
			n := 0
			for ; !b.a.Full(); n++ {
				if n > 1_000_000 {
					t.Fatal("a batch of a million messages is not full")
				}
				seq := b.lsn
				b.must(b.a.Record(seq, p))
				b.lsn += 1 << 12
				b.a.EndGroup(positionAt(b.lsn))
				if c.ends {
					b.outcome(record.Row{User: m.User, Nonce: m.Nonce, Seq: seq, Pos: seq, Len: uint32(len(p)), Lane: m.Lane, Host: m.Host}, record.Delivered, testNow)
				}
			}
			if got := c.by(b.a); got < c.max || got > c.max+2*len(p)+1024 {
				t.Errorf("full at %d, want %d", got, c.max)
			}
			if slots := len(b.a.rows.slots); c.ends && slots != 1 {
				t.Errorf("%d messages that have ended take up %d slots, want 1", n, slots)
			}
			b.flush()
			if b.a.Full() || b.a.size() > 1024 {
				t.Errorf("after its end the batch holds %d bytes", b.a.size())
			}
			if got := kinds(t, b.x)[kindHistory]; got != n {
				t.Errorf("%d rows of history, want %d", got, n)
			}
		})
	}
}

// TestBatchFitsMemtables: a full batch goes into Pebble's memtable, however small that is.
// One of half its size would become a table of its own, and have the memtable flushed.
func TestBatchFitsMemtables(t *testing.T) {
	b := newBench(t)
	for !b.a.Full() {
		b.publishHook(testNow)
	}
	b.flush()
	if m := b.x.db.Metrics(); m.MemTable.Count != 1 || m.Flush.Count != 0 {
		t.Errorf("a full batch made %d memtables of one, and %d flushes", m.MemTable.Count, m.Flush.Count)
	}
}

// TestWrittenBytes: what flushes wrote is counted once: it is the size of the tables that
// are there.
func TestWrittenBytes(t *testing.T) {
	o := smallOptions(powerfs.New())
	o.Quiet = true
	b := &bench{t: t, lsn: 1 << 32}
	b.open(o)
	defer func() { b.must(b.x.Close()) }()
	for range 3 {
		for range 100 {
			b.publishHook(testNow)
		}
		b.flush()
		b.must(b.x.Flush())
	}
	tables := b.x.db.Metrics().Levels[0].TablesSize
	m, err := b.x.Metrics()
	b.must(err)
	if got := b.x.WrittenBytes(); tables == 0 || got != uint64(tables) || m.WrittenBytes != got {
		t.Errorf("%d bytes are said to be written, or %d, and there are tables of %d", got, m.WrittenBytes, tables)
	}
}
