package engine

import (
	"errors"
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
	for s.ballast.out() {
		s.look()
		if err := s.ballast.grow(s.free.Load(), s.floor); err != nil {
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
		if !s.ballast.out() {
			t.Error("the ballast is still there")
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
		if s.ballast.out() {
			t.Error("a compaction got the ballast")
		}
		f, err := roomFS{disk, s}.Create("/2.sst", "pebble-memtable-flush")
		if err != nil || !s.ballast.out() {
			t.Fatalf("a flush's table: %v, and the ballast is out: %v", err, s.ballast.out())
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

// TestBallastComesBack: in chunks, when there is room for it twice over above the
// floor, and whole after a restart.
func TestBallastComesBack(t *testing.T) {
	disk, s := fullDisk(t)
	if !s.ballast.release() || s.ballast.release() {
		t.Fatal("not released, or twice")
	}
	grow := func(free int64) int64 {
		disk.SetFree(free)
		s.look()
		if err := s.ballast.grow(s.free.Load(), s.floor); err != nil {
			t.Fatal(err)
		}
		return s.ballast.mu.have
	}
	for _, c := range []struct{ free, have int64 }{
		{s.floor, 0},
		{s.floor + 2*s.ballast.want - 1, 0},
		{s.floor + 2*s.ballast.want, mebi},
		{s.floor + mebi, mebi},
		{256 * mebi, 2 * mebi},
		{256 * mebi, 2 * mebi},
	} {
		if have := grow(c.free); have != c.have {
			t.Errorf("with %d bytes free: %d of %d", c.free, have, c.have)
		}
	}
	again := ballast{fs: disk, name: s.ballast.name, want: s.ballast.want}
	if err := again.open(); err != nil || again.out() {
		t.Errorf("after a restart: %d bytes, %v", again.mu.have, err)
	}
	smaller := ballast{fs: disk, name: s.ballast.name, want: mebi}
	if err := smaller.open(); err != nil || smaller.mu.have != 0 {
		t.Errorf("after a restart with other settings: %d bytes, %v", smaller.mu.have, err)
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
	eventually(t, func() bool { return e.log.Stats().Spares == 5 }) // a young log has no reserve yet
	fillDisk(t, disk)
	var ids []string
	for i := range 2000 {
		ids = append(ids, publish(t, e, Publish{URL: "http://example.com/" + strconv.Itoa(i), Delay: time.Hour}))
	}
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

// fillDisk takes all room, also that which the log gives back when it finds none for
// the spare that it was making.
func fillDisk(t *testing.T, disk *powerfs.FS) {
	t.Helper()
	disk.SetFree(0)
	eventually(t, func() bool {
		names, err := disk.List("data/log")
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".part.spare") })
	})
	disk.SetFree(0)
}
