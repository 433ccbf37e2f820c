package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// recoveryShape is what the log past the checkpoint holds.
type recoveryShape struct {
	name string
	life time.Duration // from publish to delivery; 0: everything stays pending
}

// BenchmarkRecovery is Open on a log that no index has seen (row 15), on the machine's disk,
// from the page cache: seconds per GB of log, and processor seconds. Bodies have 1 KiB,
// groups 32 publishes at 30,000 a second.
func BenchmarkRecovery(b *testing.B) {
	for _, shape := range []recoveryShape{
		{"delivered", 50 * time.Millisecond},
		{"late", 2 * time.Second}, // published in one batch of live traffic, delivered in another
		{"pending", 0},
	} {
		b.Run("shape="+shape.name, func(b *testing.B) { benchmarkRecovery(b, shape) })
	}
}

// recoveryBytes is the length of the log.
const recoveryBytes = 512 << 20

func benchmarkRecovery(b *testing.B, shape recoveryShape) {
	dir := b.TempDir()
	writeRecoveryLog(b, shape, dir)
	var took, used time.Duration
	var bytes float64
	for range b.N {
		if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
			b.Fatal(err)
		}
		began, busy := time.Now(), processorTime(b)
		e, err := Open(Options{Dir: dir, Wire: &countWire{}})
		if err != nil {
			b.Fatal(err)
		}
		took, used = took+time.Since(began), used+processorTime(b)-busy
		bytes += float64(e.log.Ahead(0))
		if err := e.Shutdown(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(took.Seconds()/(bytes/1e9), "s/GB")
	b.ReportMetric(used.Seconds()/(bytes/1e9), "cpu-s/GB")
}

// writeRecoveryLog makes a data directory's log.
func writeRecoveryLog(b *testing.B, shape recoveryShape, dir string) {
	e, err := Open(Options{Dir: dir, Wire: &countWire{}})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Shutdown(b.Context()); err != nil {
		b.Fatal(err)
	}
	l, err := wal.Open(wal.Options{Dir: filepath.Join(dir, "log"), Manual: true, Reserve: -1})
	if err != nil {
		b.Fatal(err)
	}
	w := recoveryWriter{b: b, log: l, created: time.Now().Add(-time.Hour).UnixMilli() / 1000 * 1000, body: make([]byte, 1024)}
	for l.Ahead(0) < recoveryBytes {
		for range 32 {
			w.end(shape.life)
			w.publish(shape.life == 0)
		}
		if err := l.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// recoveryWriter writes what a server would that takes 30,000 messages a second.
type recoveryWriter struct {
	b       *testing.B
	log     *wal.Log
	created int64 // unix ms, of the first message
	n       int64 // messages
	body    []byte
	pending []record.Row
}

func (w *recoveryWriter) now() int64 { return w.created + w.n/30 }

// publish logs a message, due now or in ten hours to some days.
func (w *recoveryWriter) publish(far bool) {
	m := record.Message{
		User: 1, URL: "http://hooks.customer.example/v1/events/order", CallerIP: "192.0.2.33", Retries: 3,
		Created: w.now(), Due: w.now(), Nonce: uint64(w.n) * 0x9E3779B97F4A7C15, Lane: uint64(w.n%32) + 1, Host: uint64(w.n%32) + 1,
		Header: []record.Header{{Name: "Content-Type", Value: "application/json"}}, Body: w.body, BodyLen: uint32(len(w.body)),
	}
	w.n++
	if far {
		m.Due += 36_000_000 + w.n*2_654_435_761%(2<<30)
	}
	lsn := w.append(m.Size(), m.Append)
	if !far {
		w.pending = append(w.pending, record.Row{
			User: 1, Nonce: m.Nonce, Seq: lsn, Pos: lsn, Len: uint32(m.Size()), Lane: m.Lane, Host: m.Host, Due: m.Due,
		})
	}
}

// end logs that messages were delivered which are as old as life.
func (w *recoveryWriter) end(life time.Duration) {
	for len(w.pending) > 0 && w.pending[0].Due+life.Milliseconds() <= w.now() {
		o := record.Outcome{Row: w.pending[0], Kind: record.Delivered, At: w.now(), Took: 3, Attempt: 1, Status: 200}
		w.append(o.Size(), o.Append)
		w.pending = w.pending[1:]
	}
}

func (w *recoveryWriter) append(size int, into func([]byte) []byte) uint64 {
	t, err := w.log.Reserve(size, wal.Lazy)
	if err != nil {
		w.b.Fatal(err)
	}
	into(t.Buf[:0])
	w.log.Done(&t)
	return uint64(t.LSN)
}
