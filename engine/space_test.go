package engine

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/wal/powerfs"
)

// TestFloor: below data.min-free publishes are refused with figures, all the rest
// goes on, and publishing resumes within a second of room coming (P12).
func TestFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := powerfs.New()
		disk.SetFree(1 << 30)
		o := testOptions(disk, newFakeWire())
		o.MinFree = 64 << 20
		e := open(t, o)
		later := publish(t, e, Publish{Delay: time.Hour})

		disk.SetFree(63 << 20)
		time.Sleep(spacePoll + time.Millisecond)
		_, err := e.Publish(&Publish{User: 1, URL: "http://example.com/"})
		if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), " MiB free in") || !strings.Contains(err.Error(), "data.min-free, 64.0 MiB") {
			t.Errorf("publish below the floor: %v", err)
		}
		for i, r := range e.PublishBatch(make([]Publish, 2)) {
			if !errors.Is(r.Err, ErrDiskFull) {
				t.Errorf("item %d of a batch: %v", i, r.Err)
			}
		}
		if _, err := e.RetryDeadLetter(1, "x", nil); !errors.Is(err, ErrDiskFull) {
			t.Errorf("retry of a dead letter: %v", err)
		}
		if _, err := e.Message(1, later); err != nil {
			t.Errorf("read: %v", err)
		}
		if err := e.Cancel(1, later); err != nil {
			t.Errorf("cancel: %v", err)
		}

		disk.SetFree(65 << 20)
		time.Sleep(time.Second)
		publish(t, e, Publish{Delay: time.Hour})
	})
}

func TestFloorDefaults(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		minFree, total, want int64
	}{
		{0, gib, gib / 10},
		{0, 1000 * gib, 512 << 20},
		{-1, gib, 0},
		{5 << 20, gib, 5 << 20},
	} {
		disk := powerfs.New()
		disk.SetFree(c.total)
		var s space
		if err := s.init(&Options{FS: disk, Dir: "/", MinFree: c.minFree}, nil); err != nil || s.floor.Load() != c.want {
			t.Errorf("data.min-free %d of %d bytes: floor %d, want %d (%v)", c.minFree, c.total, s.floor.Load(), c.want, err)
		}
	}
	disk := powerfs.New()
	var s space
	if err := s.init(&Options{FS: disk, Dir: "/"}, nil); err != nil || s.floor.Load() != 0 {
		t.Errorf("a disk without a size: floor %d, %v", s.floor.Load(), err)
	}
	disk.SetFree(gib)
	if err := s.init(&Options{FS: disk, Dir: "/", MinFree: gib}, nil); err == nil || !strings.Contains(err.Error(), "set it lower") {
		t.Errorf("a floor as high as the disk: %v", err)
	}
}
