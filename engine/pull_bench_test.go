package engine

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkPull receives and acknowledges messages of 1 KiB in batches of 100, on the disk
// of the machine: one consumer, and eight.
func BenchmarkPull(b *testing.B) {
	for _, consumers := range []int{1, 8} {
		b.Run(fmt.Sprintf("consumers=%d", consumers), func(b *testing.B) {
			o := testOptions(vfs.Default, newFakeWire())
			o.Dir, o.SegmentSize = b.TempDir(), 64<<20
			e, err := Open(o)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Shutdown(b.Context())
			if err := e.Bootstrap([]Account{testAccount}); err != nil {
				b.Fatal(err)
			}
			batch := make([]PullPublish, PullBatchMax)
			for i := range batch {
				batch[i] = PullPublish{Queue: "orders", Body: make([]byte, 1024)}
			}
			for n := 0; n < b.N; n += len(batch) {
				e.PublishPull(1, batch)
			}
			left := make(chan int, 1)
			left <- b.N
			b.ResetTimer()
			done := make(chan error, consumers)
			for range consumers {
				go func() { done <- consumePull(b, e, left) }()
			}
			for range consumers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// consumePull consumes until nothing of what is left is left.
func consumePull(b *testing.B, e *Engine, left chan int) error {
	for {
		got, err := e.Receive(b.Context(), 1, "orders", PullBatchMax, 0, 0)
		if err != nil {
			return err
		}
		leases := make([]Lease, len(got))
		for i := range got {
			leases[i] = leaseOf(&got[i])
		}
		for _, err := range e.Ack(1, leases) {
			if err != nil {
				return err
			}
		}
		n := <-left - len(got)
		if left <- n; n <= 0 {
			return nil
		}
	}
}
