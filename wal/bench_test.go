package wal

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkAppend is the durable append on the real disk, synced before every
// acknowledgement. BenchmarkSync beside it is what the disk gives.
func BenchmarkAppend(b *testing.B) {
	for _, producers := range []int{1, 8, 64, 256} {
		for _, size := range []int{1 << 10} {
			b.Run(fmt.Sprintf("producers=%d/size=%d", producers, size), func(b *testing.B) {
				benchAppend(b, producers, size)
			})
		}
	}
}

func benchAppend(b *testing.B, producers, size int) {
	l := mustOpen(b, Options{Dir: filepath.Join(b.TempDir(), testDir), OnCommit: func(*Group) {}})
	defer mustClose(b, l)
	p := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	before := l.Stats()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range producers {
		n := b.N / producers
		if i < b.N%producers {
			n++
		}
		wg.Go(func() {
			for range n {
				if _, err := l.Append(p); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	after := l.Stats()
	syncs := float64(after.Syncs - before.Syncs)
	b.ReportMetric(float64(after.Records-before.Records)/max(syncs, 1), "records/sync")
	b.ReportMetric(float64(after.SyncTime-before.SyncTime)/max(syncs, 1)/1e3, "µs/sync")
}

// BenchmarkSync is WriteAt and fdatasync alone, into a file written before.
func BenchmarkSync(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			f, err := vfs.Default.OpenReadWrite(filepath.Join(b.TempDir(), "file"), vfs.WriteCategoryUnspecified)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			const fileSize = 64 << 20
			if err := zeroFill(f, fileSize, nil); err != nil {
				b.Fatal(err)
			}
			p := make([]byte, size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				if _, err := f.WriteAt(p, int64(i*size%fileSize)); err != nil {
					b.Fatal(err)
				}
				if err := f.SyncData(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReserve is the hot path without a disk: reserve, fill, checksum, and
// a commit to memory every hundred records.
func BenchmarkReserve(b *testing.B) {
	l := mustOpen(b, Options{FS: vfs.NewMem(), Dir: testDir, Manual: true, SegmentSize: 16 << 20})
	defer mustClose(b, l)
	p := make([]byte, 1<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t, err := l.Reserve(len(p), Lazy)
		if err != nil {
			b.Fatal(err)
		}
		copy(t.Buf, p)
		l.Done(&t)
		if i%100 == 99 {
			if err := l.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
