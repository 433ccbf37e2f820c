package index

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/engine/record"
)

// BenchmarkApply is the applier's work for one message, on the machine's disk:
// published and delivered within one batch, and in different ones.
func BenchmarkApply(b *testing.B) {
	b.Run("life=elided", func(b *testing.B) { benchmarkApply(b, 256, false) })
	b.Run("life=batches", func(b *testing.B) { benchmarkApply(b, 256, true) })
}

func benchmarkApply(b *testing.B, batch int, apart bool) {
	o := smallOptions(vfs.Default)
	o.Dir, o.Memtable, o.Cache = b.TempDir(), 64<<20, 64<<20
	x := mustOpen(b, o)
	a, err := x.NewApplier()
	if err != nil {
		b.Fatal(err)
	}
	m := record.Message{
		User: 1, URL: "https://hooks.customer.example/v1/events/order", CallerIP: "192.0.2.33", Created: testNow, Due: testNow,
		Header: []record.Header{{Name: "Content-Type", Value: "application/json"}}, Body: make([]byte, 1024), BodyLen: 1024,
	}
	message := m.Append(nil)
	lsn := uint64(1 << 32)
	apply := func(p []byte) {
		if err := a.Record(lsn, p); err != nil {
			b.Fatal(err)
		}
		lsn += 1200
		a.EndGroup(positionAt(lsn))
	}
	flush := func() {
		if err := a.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	var seqs []uint64
	var outcome []byte
	b.ReportAllocs()
	for b.Loop() {
		seqs = append(seqs, lsn)
		apply(message)
		if len(seqs) < batch {
			continue
		}
		if apart {
			flush()
		}
		for _, seq := range seqs {
			end := record.Outcome{
				Row:  record.Row{User: 1, Seq: seq, Pos: seq, Len: uint32(len(message)), Due: testNow},
				Kind: record.Delivered, At: testNow + 5, Took: 3, Attempt: 1, Status: 200,
			}
			outcome = end.Append(outcome[:0])
			apply(outcome)
		}
		flush()
		seqs = seqs[:0]
	}
	if err := x.Close(); err != nil {
		b.Fatal(err)
	}
}
