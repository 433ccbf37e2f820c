package wal

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

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

// BenchmarkSpare appends and syncs 16 KiB at a time to segment files of each kind
// there could be, which W3 asks to have measured: only allocated, written with
// zeros, recycled. ms/file is what it takes to make one of 64 MiB.
func BenchmarkSpare(b *testing.B) {
	const size = 64 << 20
	kinds := []struct {
		name string
		make func(s *spares, n uint64) (*spare, error)
	}{
		{"allocated", func(s *spares, n uint64) (*spare, error) {
			f, err := s.fs.OpenReadWrite(s.fs.PathJoin(s.dir, spareName(n)), vfs.WriteCategoryUnspecified)
			if err != nil {
				return nil, err
			}
			if err := f.Preallocate(0, size); err != nil { // leaves the size as it is
				return nil, err
			}
			if _, err := f.WriteAt([]byte{0}, size-1); err != nil {
				return nil, err
			}
			return &spare{file: f}, f.Sync()
		}},
		{"written", func(s *spares, _ uint64) (*spare, error) { return s.write(size, nil) }},
		{"recycled", func(s *spares, n uint64) (*spare, error) {
			seg := &segment{segmentHeader: segmentHeader{first: firstLSN, size: size}}
			if n == 0 {
				return s.write(size, nil)
			}
			if err := s.fs.Rename(s.fs.PathJoin(s.dir, spareName(s.next-1)), s.fs.PathJoin(s.dir, seg.name())); err != nil {
				return nil, err
			}
			if ok, err := s.recycle(seg); !ok {
				return nil, fmt.Errorf("not recycled: %w", err)
			}
			return s.tryTake(), nil
		}},
	}
	for _, kind := range kinds {
		b.Run("kind="+kind.name, func(b *testing.B) {
			o := Options{Dir: b.TempDir(), SegmentSize: size}.withDefaults()
			benchSpare(b, newSpares(&o, new(counters), func() {}), kind.make)
		})
	}
}

func benchSpare(b *testing.B, s *spares, mk func(s *spares, n uint64) (*spare, error)) {
	p := make([]byte, 16<<10)
	_, _ = seeded(1).Read(p)
	b.SetBytes(int64(len(p)))
	var files uint64
	var making time.Duration
	next := func() vfs.File {
		start := time.Now()
		sp, err := mk(s, files)
		if err != nil {
			b.Fatal(err)
		}
		if files > 0 { // the first has nothing to be recycled from
			making += time.Since(start)
		}
		files++
		return sp.file
	}
	f, off := next(), int64(0)
	for b.Loop() {
		if off == s.size {
			b.StopTimer()
			_ = f.Close()
			f, off = next(), 0
			b.StartTimer()
		}
		if _, err := f.WriteAt(p, off); err != nil {
			b.Fatal(err)
		}
		if err := f.SyncData(); err != nil {
			b.Fatal(err)
		}
		off += int64(len(p))
	}
	_ = f.Close()
	b.ReportMetric(float64(making.Milliseconds())/float64(max(files-1, 1)), "ms/file")
}
