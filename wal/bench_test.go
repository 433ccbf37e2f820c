package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkAppend is the durable append on the real disk, synced before every
// acknowledgement. Beside the rate it reports
//
//	syncs/record   1 for a lone producer; the smaller, the larger the groups
//	x-bare         the rate over that of one producer that writes the same bytes
//	               with pwrite and fdatasync into a file written before, measured
//	               right after: 1 is what a log without group commit could reach
//
// TestGroupCommitTable measures the same in interleaved rounds.
func BenchmarkAppend(b *testing.B) {
	for _, size := range appendSizes {
		for _, producers := range appendProducers {
			b.Run(fmt.Sprintf("producers=%d/size=%d", producers, size), func(b *testing.B) {
				benchAppend(b, producers, size)
			})
		}
	}
}

var (
	appendSizes     = []int{256, 1 << 10, 64 << 10}
	appendProducers = []int{1, 8, 64, 256}
)

func benchAppend(b *testing.B, producers, size int) {
	dir := b.TempDir()
	bare := newBareFile(b, dir)
	l := mustOpen(b, Options{Dir: filepath.Join(dir, testDir), OnCommit: func(*Group) {}})
	defer mustClose(b, l)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	before := l.Stats()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	appendAll(b, l, producers, size, func() bool { return left.Add(-1) >= 0 })
	b.StopTimer()
	took, after := b.Elapsed(), l.Stats()
	rate := float64(b.N) / took.Seconds()
	b.ReportMetric(float64(after.Syncs-before.Syncs)/float64(b.N), "syncs/record")
	b.ReportMetric(rate/bare.rate(b, size, min(took, time.Second)), "x-bare")
}

// appendAll has producers append records of size bytes, one at a time each, as
// long as more says so.
func appendAll(tb testing.TB, l *Log, producers, size int, more func() bool) {
	p := make([]byte, size)
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for more() {
				if _, err := l.Append(p); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// bareFile is a file written in full before: what the disk gives without a log.
type bareFile struct {
	file vfs.File
	off  int64
}

const bareFileSize = 64 << 20

func newBareFile(tb testing.TB, dir string) *bareFile {
	tb.Helper()
	f, err := vfs.Default.OpenReadWrite(filepath.Join(dir, "bare"), vfs.WriteCategoryUnspecified)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	// Through the page cache, unlike a spare: these are overwritten in parts of pages.
	if err := errors.Join(writeZeros(f, make([]byte, 1<<20), bareFileSize, nil), f.Sync()); err != nil {
		tb.Fatal(err)
	}
	return &bareFile{file: f}
}

// rate returns how many writes of size bytes, each followed by an fdatasync, a
// single goroutine gets done in a second, measured for about that long.
func (f *bareFile) rate(tb testing.TB, size int, long time.Duration) float64 {
	tb.Helper()
	p := make([]byte, size)
	start := time.Now()
	for n := 1; ; n++ {
		if f.off+int64(size) > bareFileSize {
			f.off = 0
		}
		if _, err := f.file.WriteAt(p, f.off); err != nil {
			tb.Fatal(err)
		}
		if err := f.file.SyncData(); err != nil {
			tb.Fatal(err)
		}
		f.off += int64(alignUp(size, groupAlign)) // as the log does
		if took := time.Since(start); took >= long {
			return float64(n) / took.Seconds()
		}
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
