package wal

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// fullLog opens a log on a disk that is full from then on, with the pool full. It
// must be called in a synctest bubble unless o is Manual.
func fullLog(t *testing.T, o *Options) (*Log, *powerfs.FS) {
	t.Helper()
	disk := powerfs.New()
	o.FS = disk
	l := mustOpen(t, *o)
	if !o.Manual {
		synctest.Wait()
	}
	if got := l.Stats().Spares; got != o.Reserve+1 {
		t.Fatalf("%d spares, want %d", got, o.Reserve+1)
	}
	disk.SetCapacity(int64(o.Reserve+2) * o.SegmentSize)
	return l, disk
}

// use logs records of a class, two to a segment, until one is refused.
func use(t *testing.T, l *Log, c Class) (n int) {
	t.Helper()
	for ; ; n++ {
		tk, err := l.Reserve(29<<10, c)
		if errors.Is(err, ErrNoSpace) && errors.Is(err, syscall.ENOSPC) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		l.Done(&tk)
		if err := l.Commit(); err != nil { // lazy ones wait for nobody
			t.Fatal(err)
		}
		if !l.opts.Manual {
			synctest.Wait() // the maker finds out that the disk is full
		}
	}
}

func bothModes(t *testing.T, f func(t *testing.T, o Options)) {
	for _, manual := range []bool{true, false} {
		name := map[bool]string{true: "manual", false: "goroutines"}[manual]
		o := smallOptions(nil)
		o.Manual, o.Reserve = manual, 4
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, o) })
		})
	}
}

// TestFullDisk fills the disk. Each class gets as far as its part of the reserve,
// and no further; what reclaiming gives back is for all of them again.
func TestFullDisk(t *testing.T) {
	bothModes(t, func(t *testing.T, o Options) {
		l, _ := fullLog(t, &o)
		if l.Full() != nil {
			t.Fatal("full before it is")
		}
		for _, step := range []struct {
			class        Class
			spares, most int
		}{{Producer, 4, 4}, {Lazy, 2, 4}, {Lazy, 2, 0}, {Producer, 2, 0}} {
			n := use(t, l, step.class)
			if got := l.Stats().Spares; got != step.spares || n > step.most || n < step.most-1 {
				t.Errorf("class %d: %d records, %d spares left, want %d", step.class, n, got, step.spares)
			}
			if !errors.Is(l.Full(), ErrNoSpace) {
				t.Errorf("Full says %v", l.Full())
			}
		}
		tk, err := l.Reserve(29<<10, Reclaiming)
		if err != nil {
			t.Fatalf("reclaiming: %v", err)
		}
		l.Done(&tk)
		giveUp(t, l, -1)
		if got := l.Stats(); got.Spares < 3 || got.Reclaimed < 3*minSegmentSize {
			t.Errorf("reclaimed: %+v", got)
		}
		if n := use(t, l, Lazy); n == 0 {
			t.Error("no outcome is logged although space was reclaimed")
		}
		use(t, l, Reclaiming)
		if got := l.Stats().Spares; got != 1 {
			t.Errorf("reclaiming left %d spares, want the one that a floor takes effect with", got)
		}
		giveUp(t, l, -1)
		if got := l.Stats().Spares; got < 3 {
			t.Errorf("%d spares, after all but one were used for copies and their segments given up", got)
		}
		mustClose(t, l)
	})
}

// TestReserveIsNotShared: a segment begun out of the reserve takes no records of
// those that the reserve is kept from, though they would fit.
func TestReserveIsNotShared(t *testing.T) {
	bothModes(t, func(t *testing.T, o Options) {
		l, _ := fullLog(t, &o)
		use(t, l, Producer)
		for i, c := range []Class{Lazy, Lazy, Lazy, Lazy, Reclaiming} {
			tk, err := l.Reserve(29<<10, c)
			if err != nil {
				t.Fatalf("record %d of class %d: %v", i, c, err)
			}
			l.Done(&tk)
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
			for below := range c {
				if _, err := l.Reserve(8, below); !errors.Is(err, ErrNoSpace) {
					t.Errorf("class %d behind record %d of class %d, out of the reserve: %v", below, i, c, err)
				}
			}
		}
		mustClose(t, l)
	})
}

// TestRecycledIsNotRoom: a file that comes back on a full disk does not make
// producers believe that there is room, until the pool is whole.
func TestRecycledIsNotRoom(t *testing.T) {
	o := smallOptions(nil)
	o.Manual, o.Reserve = true, 2
	l, _ := fullLog(t, &o)
	use(t, l, Lazy)
	use(t, l, Reclaiming)
	for i := range o.Reserve { // one is there already
		if l.Full() == nil {
			t.Errorf("not full any more with %d spares", i+1)
		}
		l.spares.put(&spare{file: l.tail.file, size: o.SegmentSize}, false)
	}
	if err := l.Full(); err != nil {
		t.Errorf("full with a whole pool: %v", err)
	}
}

// TestRoomReturns: publishing goes on by itself within one spareRetry.
func TestRoomReturns(t *testing.T) {
	bothModes(t, func(t *testing.T, o Options) {
		l, disk := fullLog(t, &o)
		use(t, l, Producer)
		disk.SetCapacity(0)
		time.Sleep(spareRetry) // virtual
		synctest.Wait()
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := l.Full(); err != nil {
			t.Errorf("still full: %v", err)
		}
		if _, err := l.Append(make([]byte, 29<<10)); err != nil {
			t.Errorf("append: %v", err)
		}
		mustClose(t, l)
	})
}

// TestRestartsOnFullDisk starts again and again on a full disk. A run that logs
// nothing costs no spare: the next one takes the place of its segment. One that
// does costs one, and when there is none left Open says what it needs.
func TestRestartsOnFullDisk(t *testing.T) {
	bothModes(t, func(t *testing.T, o Options) {
		l, disk := fullLog(t, &o)
		restart := func() error {
			mustClose(t, l)
			next, err := Open(o)
			if err == nil {
				l = next
				synctest.Wait()
			}
			return err
		}
		use(t, l, Producer)
		for i := range 12 {
			if err := restart(); err != nil {
				t.Fatalf("start %d: %v", i, err)
			}
			// The first start finds a full segment, the second the final mark.
			if got := l.Stats().Spares; got < max(4-1-i, 2) {
				t.Fatalf("%d spares after start %d, and nothing was logged", got, i)
			}
		}
		starts, err := 0, error(nil)
		for ; err == nil; starts++ {
			tk, reserveErr := l.Reserve(100, rotating)
			if reserveErr != nil {
				t.Fatal(reserveErr)
			}
			l.Done(&tk)
			err = restart()
		}
		if starts < 3 || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free 65536 bytes") {
			t.Errorf("start %d: %v", starts, err)
		}
		disk.SetCapacity(disk.Capacity + minSegmentSize)
		if l, err = Open(o); err != nil {
			t.Fatalf("with room for one segment: %v", err)
		}
		mustClose(t, l)
	})
}

// TestProducersLeaveTheReserve: a maker that is merely behind is waited for, and
// the reserve stays whole until the disk turns out to be full. Lazy records go on.
func TestProducersLeaveTheReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gatedFS{FS: powerfs.New(), verdict: make(chan error)}
		o := smallOptions(g)
		l := mustOpen(t, o)
		synctest.Wait()
		g.shut.Store(true)
		done := make(chan int)
		go func() {
			n := 0
			for {
				if _, err := l.Append(make([]byte, 29<<10)); err != nil {
					break
				}
				n++
			}
			done <- n
		}()
		synctest.Wait()
		if got := l.Stats().Spares; got != defaultReserve {
			t.Errorf("%d spares left by producers, want %d", got, defaultReserve)
		}
		tk, err := l.Reserve(29<<10, Lazy)
		if err != nil {
			t.Fatal(err)
		}
		l.Done(&tk)
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		g.verdict <- syscall.ENOSPC
		if n := <-done; n == 0 || n > 5 {
			t.Errorf("%d records were let in", n)
		}
		close(g.verdict)
		mustClose(t, l)
	})
}

// TestYoungLog: while there has been no reserve yet, producers take what there is.
func TestYoungLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gatedFS{FS: powerfs.New(), verdict: make(chan error)}
		o := smallOptions(g)
		o.Manual = true
		o.Reserve = -1
		mustClose(t, mustOpen(t, o)) // leaves one spare behind
		o.Manual, o.Reserve = false, 4
		g.shut.Store(true)
		l := mustOpen(t, o) // takes it
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 4 { // two segments
				if _, err := l.Append(make([]byte, 29<<10)); err != nil {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		if isClosed(done) {
			t.Error("appended more than the segment holds")
		}
		g.verdict <- nil // one spare
		<-done
		close(g.verdict)
		mustClose(t, l)
	})
}

// TestFullDiskIsToldOnce: the maker tries a full disk twice a second, and says so
// once each time it fills.
func TestFullDiskIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer // written by the maker, read when it sleeps
		o := smallOptions(nil)
		o.Reserve, o.Logger = 2, slog.New(slog.NewTextHandler(&lines, nil))
		l, disk := fullLog(t, &o)
		full := disk.Capacity
		for n := range 2 {
			use(t, l, Lazy)
			time.Sleep(10 * spareRetry)
			synctest.Wait()
			if got := strings.Count(lines.String(), "no room"); got != n+1 {
				t.Errorf("%d lines after the disk was full %d times", got, n+1)
			}
			disk.SetCapacity(0)
			time.Sleep(spareRetry)
			synctest.Wait()
			full += 2 * o.SegmentSize
			disk.SetCapacity(full)
		}
		mustClose(t, l)
	})
}

// TestRoomIsTakenAtOnce: the first file for which there is room again is what
// producers wait for, so it is not made as slowly as the reserve of a young log,
// which a log that was started with half a reserve looks like.
func TestRoomIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := powerfs.New()
		o := smallOptions(disk)
		o.SegmentSize, o.Reserve = 4*spareChunk, 2
		l := mustOpen(t, o)
		time.Sleep(time.Second) // virtual: the pool is full
		mustClose(t, l)
		if err := disk.Remove(testDir + "/" + spareNames(t, disk)[0]); err != nil {
			t.Fatal(err)
		}
		disk.SetFree(o.SegmentSize / 2)
		l = mustOpen(t, o)
		time.Sleep(10 * spareRetry)
		synctest.Wait()
		if err := l.Full(); err == nil {
			t.Fatal("not full")
		}
		disk.SetFree(-1)
		time.Sleep(spareRetry)
		synctest.Wait()
		if err := l.Full(); err != nil {
			t.Errorf("one spareRetry after room came: %v", err)
		}
		mustClose(t, l)
	})
}
