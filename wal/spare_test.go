package wal

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// gatedFS lets a test decide when the making of a spare goes on, and how it ends.
type gatedFS struct {
	vfs.FS
	shut    atomic.Bool
	verdict chan error // one for each spare made while shut; closed: all succeed
}

func (g *gatedFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if g.shut.Load() && strings.HasSuffix(name, partSuffix) {
		if err := <-g.verdict; err != nil {
			return nil, err
		}
	}
	return g.FS.OpenReadWrite(name, c, o...)
}

// gatedLog opens a log whose every record fills a segment and uses up its spares,
// so that the next record needs one that is not there yet. It must be called in a
// synctest bubble.
func gatedLog(t *testing.T) (*Log, *gatedFS) {
	t.Helper()
	g := &gatedFS{FS: powerfs.New(), verdict: make(chan error)}
	o := smallOptions(g)
	o.MaxRecord, o.Reserve = largestRecord(o.SegmentSize), -1
	l := mustOpen(t, o)
	synctest.Wait() // all spares that are made ahead are there
	g.shut.Store(true)
	for l.Stats().Rotations+1 < l.Stats().SparesMade {
		if _, err := l.Append(make([]byte, o.MaxRecord)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}
	l.mu.Lock()
	fits := l.fitsHeadLocked(1)
	l.mu.Unlock()
	if fits {
		if _, err := l.Append(make([]byte, o.MaxRecord)); err != nil {
			t.Fatal(err)
		}
	}
	return l, g
}

// TestReserveAwaitsSpare has a producer blocked on a segment whose file is in the
// making and looks at everything that can become of it.
func TestReserveAwaitsSpare(t *testing.T) {
	room := func(g *gatedFS) { close(g.verdict) }
	closing := func(l *Log, _ *gatedFS) { go func() { _ = l.Close() }() }
	tests := []struct {
		name    string
		then    func(l *Log, g *gatedFS)
		want    error
		after   func(g *gatedFS)
		onClose error
	}{
		{"made", func(_ *Log, g *gatedFS) { close(g.verdict) }, nil, nil, nil},
		{"disk full", func(_ *Log, g *gatedFS) { g.verdict <- syscall.ENOSPC; g.shut.Store(false) }, ErrNoSpace, nil, nil},
		{"write error", func(_ *Log, g *gatedFS) { g.verdict <- errInjected }, ErrPoisoned, nil, ErrPoisoned},
		{"poisoned", func(l *Log, _ *gatedFS) { l.poison(errInjected) }, ErrPoisoned, room, ErrPoisoned},
		{"closed", closing, ErrClosed, room, nil},
		{"closed, disk full", closing, ErrClosed, func(g *gatedFS) { g.verdict <- syscall.ENOSPC }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, g := gatedLog(t)
				result := make(chan error, 1)
				go func() {
					_, err := l.Append(payload(1))
					result <- err
				}()
				synctest.Wait()
				if len(result) > 0 {
					t.Fatalf("Append did not wait for the spare: %v", <-result)
				}
				test.then(l, g)
				if err := <-result; !errors.Is(err, test.want) {
					t.Errorf("Append: %v, want %v", err, test.want)
				}
				if test.after != nil {
					test.after(g)
				}
				if err := l.Close(); !errors.Is(err, test.onClose) {
					t.Errorf("Close: %v, want %v", err, test.onClose)
				}
			})
		})
	}
}

// TestLazyNeverBlocks reserves lazily far beyond the spares and the group buffers
// while no spare can be made, and the disk turns out to be full: lazy records
// have been promised their segments and wait, everybody else is told.
func TestLazyNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g := gatedLog(t)
		var last Ticket
		for range 3 * queuedGroupsMax {
			tk, err := l.Reserve(l.opts.MaxRecord/3, Lazy) // blocks: the bubble reports a deadlock
			if err != nil {
				t.Fatalf("lazy: %v", err)
			}
			l.Done(&tk)
			last = tk
		}
		synctest.Wait()
		g.verdict <- syscall.ENOSPC
		synctest.Wait()
		if _, err := l.Append(payload(1)); !errors.Is(err, ErrNoSpace) {
			t.Errorf("Append on a full disk: %v, want ErrNoSpace", err)
		}
		close(g.verdict) // there is room again
		if err := l.Wait(&last); err != nil {
			t.Errorf("lazy record: %v", err)
		}
		if _, err := l.Append(payload(1)); err != nil {
			t.Errorf("Append with room again: %v", err)
		}
		mustClose(t, l)
	})
}

// TestCloseOnFullDisk closes a log whose last segment is full to the last byte on
// a disk that has no room for the mark: all records are durable, so that is no
// failure.
func TestCloseOnFullDisk(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual, o.MaxRecord = true, largestRecord(o.SegmentSize)
	l := mustOpen(t, o)
	disk.SetFault(func(op, _ string) error {
		if op == "Create" {
			return syscall.ENOSPC
		}
		return nil
	})
	var n int
	var err error
	for ; err == nil; n++ {
		_, err = l.Append(make([]byte, o.MaxRecord))
	}
	if !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := l.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	disk.SetFault(nil)
	l = mustOpen(t, o)
	if got := len(replayAll(t, l)); got != n-1 {
		t.Errorf("%d records found, want %d", got, n-1)
	}
	mustClose(t, l)
}

// TestUnsyncedSpare leaves behind a spare whose sync failed and which could not be
// removed. The next process sees it whole in the page cache; on the disk it is
// not, and no later sync brings it there.
func TestUnsyncedSpare(t *testing.T) {
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual = true
	l := mustOpen(t, o)
	mustClose(t, l)
	created := false
	disk.SetFault(func(op, name string) error {
		created = created || op == "Create"
		if created && strings.HasSuffix(name, spareSuffix) && (isSync(op) || op == "Remove") {
			return errInjected
		}
		return nil
	})
	if _, err := Open(o); !errors.Is(err, errInjected) {
		t.Fatalf("open: %v", err)
	}
	disk.SetFault(nil)
	l = mustOpen(t, o)
	var want []entry
	for i := range 200 {
		lsn, err := l.Append(payload(i))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, entry{lsn, payload(i)})
	}
	for _, percent := range []int{0, 50} {
		o.FS = disk.Cut(1, percent, 512)
		l = mustOpen(t, o)
		if d := diff(replayAll(t, l), want); d != "" {
			t.Fatalf("after a power cut: %s", d)
		}
	}
}

// TestWriteErrorIsNotNoSpace: while a spare that failed for good is about to
// poison the log, Reserve must not call it a full disk, which callers take for
// passing.
func TestWriteErrorIsNotNoSpace(t *testing.T) {
	o := smallOptions(powerfs.New())
	o.Manual, o.MaxRecord = true, largestRecord(o.SegmentSize)
	l := mustOpen(t, o)
	if _, err := l.Append(make([]byte, o.MaxRecord)); err != nil {
		t.Fatal(err)
	}
	for l.spares.tryTake() != nil {
	}
	l.spares.fail(errInjected)
	if _, err := l.Append(payload(1)); errors.Is(err, ErrNoSpace) {
		t.Errorf("append: %v", err)
	}
	mustClose(t, l)
}
