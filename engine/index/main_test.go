package index

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testDir    = "index"
	testWindow = 10 * time.Minute
	testNow    = int64(1_800_000_000_000) // a multiple of testWindow: a bucket begins there
)

func smallOptions(fs vfs.FS) Options {
	return Options{
		FS: fs, Dir: testDir, Memtable: 256 << 10, Cache: 1 << 20, DedupWindow: testWindow,
		OnFatal: func(err error) { panic(err) },
	}
}

func mustOpen(t testing.TB, o Options) *Index {
	t.Helper()
	x, err := Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return x
}

// bench is an index and its applier, with an LSN to hand out.
type bench struct {
	t   testing.TB
	x   *Index
	a   *Applier
	lsn uint64
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, lsn: 1 << 32}
	b.open(smallOptions(powerfs.New()))
	t.Cleanup(func() { b.must(b.x.Close()) })
	return b
}

func (b *bench) open(o Options) {
	b.t.Helper()
	b.x = mustOpen(b.t, o)
	var err error
	b.a, err = b.x.NewApplier()
	b.must(err)
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// apply applies one record as a group of its own and returns its LSN.
func (b *bench) apply(r interface{ Append([]byte) []byte }) uint64 {
	b.t.Helper()
	lsn := b.lsn
	b.must(b.a.Record(lsn, r.Append(nil)))
	b.lsn += 512
	b.a.EndGroup(positionAt(b.lsn))
	return lsn
}

func (b *bench) flush() {
	b.t.Helper()
	b.must(b.a.Flush())
}

// publish applies a message and returns its row.
func (b *bench) publish(m record.Message) record.Row {
	b.t.Helper()
	m.URL = "http://a.example/"
	seq := b.apply(&m)
	return record.Row{
		User: m.User, Nonce: m.Nonce, Seq: seq, Pos: seq, Len: uint32(m.Size()), Lane: m.Lane, Host: m.Host, Due: m.Due, Line: m.Line,
	}
}

// end applies an outcome of a row and returns the outcome's LSN and the row as
// it stands then.
func (b *bench) end(r record.Row, k record.Kind, next int64) (uint64, record.Row) {
	b.t.Helper()
	o := record.Outcome{Row: r, Kind: k, Next: next, Attempt: r.Tries + 1}
	lsn := b.apply(&o)
	r.Due, r.Tries = next, o.Attempt
	return lsn, r
}

// positionAt is the position at an LSN: identity and checksum are a function of
// it, so that a mix-up shows.
func positionAt(lsn uint64) Position {
	return Position{Log: [16]byte{0: 0x10, 15: 0x6F}, LSN: lsn, Chain: uint32(lsn * 2654435761 >> 9)}
}

// dump returns every key and value.
func dump(t testing.TB, x *Index) map[string]string {
	t.Helper()
	kv := map[string]string{}
	err := x.scan([]byte{0}, []byte{0xFF}, func(k, v []byte) error {
		kv[string(k)] = string(v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// kinds counts keys by their kind.
func kinds(t testing.TB, x *Index) map[byte]int {
	t.Helper()
	n := map[byte]int{}
	for k := range dump(t, x) {
		n[k[0]]++
	}
	return n
}
