package engine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/wal/powerfs"
)

const mebi = 1 << 20

// fullDisk is a disk of 256 MiB with a whole ballast of 2 MiB, and no room left.
func fullDisk(t *testing.T) (*powerfs.FS, *space) {
	t.Helper()
	disk := powerfs.New()
	disk.SetFree(256 * mebi)
	s := new(space)
	o := &Options{FS: disk, Dir: "/", MemtableSize: mebi, SegmentSize: 4 * mebi}
	o.withDefaults()
	if err := s.init(o, make(chan struct{})); err != nil {
		t.Fatal(err)
	}
	s.opened.Store(true)
	for s.ballast.missing() > 0 {
		s.look()
		if err := s.ballast.grow(s.free.Load(), s.floor.Load()); err != nil {
			t.Fatal(err)
		}
	}
	disk.SetFree(0)
	s.look()
	return disk, s
}

// TestIndexWaitsForRoom: what the index must write is tried until there is room,
// first with that of the ballast, and arrives whole.
func TestIndexWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, s := fullDisk(t)
		began := time.Now()
		f, err := roomFS{disk, s}.Create("/MANIFEST", "pebble-manifest")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, 2*mebi)); err != nil || time.Since(began) > 0 {
			t.Errorf("with a ballast: %v after %s", err, time.Since(began))
		}
		if s.ballast.missing() != 2*mebi {
			t.Errorf("%d bytes of the ballast are missing", s.ballast.missing())
		}
		time.AfterFunc(time.Minute, func() { disk.SetFree(100) })
		time.AfterFunc(time.Hour, func() { disk.SetFree(mebi) })
		if n, err := f.Write(make([]byte, mebi)); n != mebi || err != nil || time.Since(began) < time.Hour {
			t.Errorf("without: %d bytes, %v after %s", n, err, time.Since(began))
		}
		if info, err := f.Stat(); err != nil || info.Size() != 3*mebi {
			t.Errorf("%v, %v", info, err)
		}
	})
}

// TestTablesFailSlowly: without room a table fails, so that Pebble gives back its
// first half, and not before tablePause, so that it does not try again at once. A
// compaction gets no ballast.
func TestTablesFailSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, s := fullDisk(t)
		began := time.Now()
		if _, err := (roomFS{disk, s}).Create("/1.sst", "pebble-compaction"); !isFull(err) || time.Since(began) != tablePause {
			t.Errorf("a compaction's table: %v after %s", err, time.Since(began))
		}
		if s.ballast.missing() > 0 {
			t.Error("a compaction got some of the ballast")
		}
		f, err := roomFS{disk, s}.Create("/2.sst", "pebble-memtable-flush")
		if err != nil || s.ballast.missing() != mebi {
			t.Fatalf("a flush's table: %v, %d bytes of the ballast are missing", err, s.ballast.missing())
		}
		if n, err := f.Write(make([]byte, 3*mebi)); n != 2*mebi || !isFull(err) || time.Since(began) != 2*tablePause {
			t.Errorf("a flush wrote %d bytes, %v after %s", n, err, time.Since(began))
		}
	})
}

// TestLogLeavesTheBallastsRoom: what the ballast gave back is not for the log,
// which goes on with the files it has, and makes new ones when there is room.
func TestLogLeavesTheBallastsRoom(t *testing.T) {
	disk, s := fullDisk(t)
	fs := logFS{disk, s}
	if _, err := disk.Create("/old.seg", vfs.WriteCategoryUnspecified); !isFull(err) {
		t.Fatal(err)
	}
	s.ballast.release()
	s.ballast.release()
	s.look()
	if _, err := fs.OpenReadWrite("/1.part", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a new file of the log: %v", err)
	}
	if _, err := disk.Create("/old.seg", vfs.WriteCategoryUnspecified); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.OpenReadWrite("/old.seg", vfs.WriteCategoryUnspecified); err != nil {
		t.Errorf("a file that is there: %v", err)
	}
	disk.SetFree(6 * mebi)
	s.look()
	if _, err := fs.OpenReadWrite("/1.part", vfs.WriteCategoryUnspecified); err != nil {
		t.Errorf("with room for both: %v", err)
	}
}

// TestBallastComesBack: file by file, when there is room for it twice over above
// the floor; and a restart finds what is whole of it.
func TestBallastComesBack(t *testing.T) {
	disk, s := fullDisk(t)
	files := 0
	for s.ballast.release() {
		files++
	}
	if files != 2 {
		t.Fatalf("%d files, want 2", files)
	}
	grow := func(free int64) int64 {
		disk.SetFree(free)
		s.look()
		if err := s.ballast.grow(s.free.Load(), s.floor.Load()); err != nil {
			t.Fatal(err)
		}
		return 2*mebi - s.ballast.missing()
	}
	whole := 2 * int64(2*mebi)
	for _, c := range []struct{ free, have int64 }{
		{s.floor.Load(), 0},
		{s.floor.Load() + whole - 1, 0},
		{s.floor.Load() + whole, mebi},
		{s.floor.Load() + mebi, mebi},
		{256 * mebi, 2 * mebi},
		{256 * mebi, 2 * mebi},
	} {
		if have := grow(c.free); have != c.have {
			t.Errorf("with %d bytes free: %d of %d", c.free, have, c.have)
		}
	}
	torn, err := disk.OpenReadWrite(s.ballast.path(2), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := torn.Write([]byte("torn")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, have int }{{4, 2}, {2, 2}, {1, 1}, {2, 1}} {
		again := ballast{fs: disk, dir: s.ballast.dir, want: c.want}
		if err := again.open(); err != nil || again.mu.have != c.have {
			t.Errorf("after a restart that wants %d files: %d, want %d (%v)", c.want, again.mu.have, c.have, err)
		}
	}
}

// TestIndexOnAFullDisk fills the index's memtables while there is no room at all:
// the engine goes on until they are full, no flush is fatal, a shutdown does not
// wait for the disk, and after room came nothing is lost.
func TestIndexOnAFullDisk(t *testing.T) {
	disk := powerfs.New()
	disk.SetFree(256 * mebi)
	w := newFakeWire()
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) { r.Status = 489 }
	o := testOptions(disk, w)
	o.MinFree = -1
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range 2000 {
		ids = append(ids, publish(t, e, Publish{URL: "http://example.com/" + strconv.Itoa(i), Delay: time.Hour}))
	}
	fillDisk(t, disk)
	e.space.look()
	for e.space.ballast.release() {
	}
	disk.SetFree(0)
	flushed := make(chan error, 1)
	go func() { flushed <- e.idx.Flush() }()
	if _, err := e.Message(1, ids[len(ids)-1]); err != nil {
		t.Errorf("a read while the index waits for room: %v", err)
	}
	if err := e.Cancel(1, ids[0]); err != nil {
		t.Errorf("a cancel: %v", err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	select {
	case <-e.space.stuck:
	default:
		t.Error("the flush did not wait for room: nothing was tested")
	}
	disk.SetFree(256 * mebi)
	if err := <-flushed; err != nil {
		t.Errorf("flush: %v", err)
	}
	eventually(t, func() bool { e, err = Open(o); return err == nil })
	defer closeEngine(t, e)
	for _, id := range ids[1:] {
		if _, err := e.Message(1, id); err != nil {
			t.Fatalf("%s after the restart: %v", id, err)
		}
	}
}

// fillDisk takes all room once the log has its reserve, and more than that is not
// in the making.
func fillDisk(t *testing.T, disk *powerfs.FS) {
	t.Helper()
	eventually(t, func() bool {
		names, err := disk.List("data/log")
		if err != nil {
			t.Fatal(err)
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".spare") })
		return len(names) == 5 && !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".part.spare") })
	})
	disk.SetFree(0)
}

// TestLogBeginsNoFileThatDoesNotFit: on a disk with room for less than a segment the
// log's tries to make one leave that room alone, ballast or not.
func TestLogBeginsNoFileThatDoesNotFit(t *testing.T) {
	disk, s := fullDisk(t)
	fs := logFS{disk, s}
	disk.SetFree(s.segment - 1)
	if _, err := fs.OpenReadWrite("/1.part", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a new file of the log, with room for less than one: %v", err)
	}
	disk.SetFree(s.segment)
	if _, err := fs.OpenReadWrite("/1.part", vfs.WriteCategoryUnspecified); err != nil {
		t.Errorf("with room for one: %v", err)
	}
}

// TestBallastRemovedByHand: an operator who needs room at once removes the ballast.
// The index does not wait for what is not there, and it comes back with the room.
func TestBallastRemovedByHand(t *testing.T) {
	disk, s := fullDisk(t)
	if err := disk.Remove(s.ballast.path(1)); err != nil {
		t.Fatal(err)
	}
	if !s.ballast.release() || s.ballast.missing() != 2*mebi || s.ballast.release() {
		t.Errorf("one file of two was there, %d bytes are missing", s.ballast.missing())
	}
	disk.SetFree(256 * mebi)
	if err := disk.RemoveAll(s.ballast.dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.look()
		if err := s.ballast.grow(s.free.Load(), s.floor.Load()); err != nil {
			t.Fatal(err)
		}
	}
	if s.ballast.missing() != 0 {
		t.Errorf("%d bytes are missing with room for them", s.ballast.missing())
	}
}

// TestBallastInTheWay: something else in its place is an error that says what to do.
func TestBallastInTheWay(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ballast")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := ballast{fs: vfs.Default, dir: name, want: 2}
	if err := b.open(); err == nil || !strings.Contains(err.Error(), "remove "+name) {
		t.Errorf("a file in place of the directory: %v", err)
	}
}
