package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// space watches how much room the file system of the data directory has left
// (DESIGN.md, "Overload"). Below the floor publishes are refused, long before a
// write of the log or the index could meet ENOSPC: what is left then is for the
// outcomes, cancels and moves of what was accepted before. Publishing goes on by
// itself when there is room again.
//
// The figures are looked at every spacePoll and not at each publish: 500 MiB do not
// go in a quarter of a second on most disks, and where they do the log's own
// ErrNoSpace gets the same answer.
type space struct {
	fs     vfs.FS
	dir    string
	floor  int64 // bytes; 0: none
	total  int64 // bytes of the file system; 0: it does not tell
	free   atomic.Int64
	low    atomic.Bool // free is below floor
	logger *slog.Logger
}

const (
	// spacePoll is how often the room is looked at: publishing must go on within
	// a second of room coming (P12). A statfs takes a few microseconds.
	spacePoll = 250 * time.Millisecond

	minFreeMax   = 512 << 20 // the default of data.min-free is the smaller of this
	minFreeShare = 10        // and of one in so many bytes of the file system
)

// init measures the file system. One that does not tell its size (the simulator's)
// has no floor.
func (s *space) init(o *Options) error {
	s.fs, s.dir, s.logger = o.FS, o.Dir, o.Logger
	u, err := s.fs.GetDiskUsage(s.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("measure the file system of %s: %w", s.dir, err)
	}
	s.total = int64(u.TotalBytes)
	switch {
	case o.MinFree < 0:
	case o.MinFree == 0:
		s.floor = min(minFreeMax, s.total/minFreeShare)
	case o.MinFree >= s.total:
		return fmt.Errorf("data.min-free of %s is as much as the file system of %s has, %s: set it lower",
			mebibytes(o.MinFree), s.dir, mebibytes(s.total))
	default:
		s.floor = o.MinFree
	}
	s.note(u)
	return nil
}

// look measures the room again. A file system that cannot be asked keeps its last
// figure: if it is broken, the log will find out.
func (s *space) look() {
	if s.total == 0 {
		return
	}
	if u, err := s.fs.GetDiskUsage(s.dir); err == nil {
		s.note(u)
	}
}

func (s *space) note(u vfs.DiskUsage) {
	free := int64(u.AvailBytes)
	s.free.Store(free)
	low := free < s.floor
	if s.low.Swap(low) == low {
		return
	}
	if low {
		s.logger.Warn("engine: the disk is full: publishes are refused until there is room; deliveries go on",
			"free", mebibytes(free), "data.min-free", mebibytes(s.floor))
	} else {
		s.logger.Info("engine: there is room on the disk again: publishes are accepted", "free", mebibytes(free))
	}
}

// refusal is why no publish is accepted now; nil if one is.
func (s *space) refusal() error {
	if !s.low.Load() {
		return nil
	}
	return fmt.Errorf("%w: %s free in the file system of the data directory, publishing stops below data.min-free, %s, and goes on by itself above",
		ErrDiskFull, mebibytes(s.free.Load()), mebibytes(s.floor))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// watchSpace looks at the room now and then.
func (e *Engine) watchSpace() {
	tick := time.NewTicker(spacePoll)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			e.space.look()
		}
	}
}
