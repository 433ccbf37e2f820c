package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
// ErrNoSpace gets the same answer. While there is room in plenty, every spaceIdle.
type space struct {
	fs      vfs.FS
	dir     string
	floor   atomic.Int64 // bytes; 0: none
	segment int64        // bytes of a segment of the log
	total   int64        // bytes of the file system; 0: it does not tell
	free    atomic.Int64
	low     atomic.Bool // free is below floor
	ballast ballast
	logger  *slog.Logger
	notify  func(Notice) // may be nil

	// How a write of the index waits for room:
	manual  bool          // not at all: the simulator has one goroutine
	opened  atomic.Bool   // for ever; before, openPatience
	waited  atomic.Int64  // time waited while opening
	stop    chan struct{} // the engine's
	stuck   chan struct{} // closed when a write waits though stop is closed
	stuckAt sync.Once
	told    atomic.Bool // the log has a line of it
}

const (
	// spacePoll is how often the room is looked at: publishing must go on within
	// a second of room coming (P12). A statfs takes a few microseconds.
	spacePoll = 250 * time.Millisecond

	// spaceIdle is how often while there is more than spaceAmple above the floor,
	// which no disk loses within that time: an idle server should sleep.
	spaceIdle  = time.Second
	spaceAmple = 8 << 30

	minFreeMax   = 512 << 20 // the default of data.min-free is the smaller of this
	minFreeShare = 10        // and of one in so many bytes of the file system
)

// init measures the file system. One that does not tell its size (the simulator's)
// has neither floor nor ballast.
func (s *space) init(o *Options, stop chan struct{}) error {
	s.fs, s.dir, s.logger, s.segment, s.manual = o.FS, o.Dir, o.Logger, o.SegmentSize, o.manual
	s.stop, s.stuck = stop, make(chan struct{})
	u, err := s.fs.GetDiskUsage(s.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("measure the file system of %s: %w", s.dir, err)
	}
	s.total = int64(u.TotalBytes)
	floor, err := s.floorFor(o.MinFree)
	if err != nil {
		return err
	}
	s.floor.Store(floor)
	s.note(u)
	s.ballast.fs, s.ballast.dir = s.fs, s.fs.PathJoin(s.dir, "ballast")
	s.ballast.want = ballastFiles(o, s.total)
	return s.ballast.open()
}

// floorFor returns the floor that Options.MinFree asks for.
func (s *space) floorFor(minFree int64) (int64, error) {
	floor := FreeFloor(minFree, s.total)
	if s.total == 0 {
		return 0, nil
	}
	if floor >= s.total {
		return 0, fmt.Errorf("data.min-free of %s is as much as the file system of %s has, %s: set it lower",
			mebibytes(minFree), s.dir, mebibytes(s.total))
	}
	return floor, nil
}

// FreeFloor is the free space in bytes under which publishes are refused, given Options.MinFree and
// the size of the file system. 0 is none.
func FreeFloor(minFree, total int64) int64 {
	if minFree == 0 {
		return min(minFreeMax, total/minFreeShare)
	}
	return max(minFree, 0)
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
	floor := s.floor.Load()
	low := free < floor
	if !low && free > s.ballast.missing() {
		s.told.Store(false)
	}
	if s.low.Swap(low) == low {
		return
	}
	if s.notify != nil {
		s.notify(spaceNotice(low, free, floor))
	}
	if low {
		s.logger.Warn("engine: the disk is full: publishes are refused until there is room; deliveries go on",
			"free", mebibytes(free), "data.min-free", mebibytes(floor))
	} else {
		s.logger.Info("engine: there is room on the disk again: publishes are accepted", "free", mebibytes(free))
	}
}

func spaceNotice(low bool, free, floor int64) Notice {
	kind := NoticeDiskOK
	if low {
		kind = NoticeDiskLow
	}
	return Notice{Kind: kind, Free: free, Floor: floor}
}

// refusal is why no publish is accepted now; nil if one is.
func (s *space) refusal() error {
	if !s.low.Load() {
		return nil
	}
	return fmt.Errorf("%w, nothing was stored: %s free in the file system of the data directory, publishing stops below data.min-free, %s, and goes on by itself above",
		ErrDiskFull, mebibytes(s.free.Load()), mebibytes(s.floor.Load()))
}

// reserved reports whether the log must leave alone what room there is: it does not
// suffice for a segment and what is missing of the ballast. A segment that does not
// fit would take the last byte for a moment, twice a second, from the index and the
// neighbours. Not so at a start: the log may need a segment to begin in.
func (s *space) reserved() bool {
	if s.total == 0 || !s.opened.Load() {
		return false
	}
	s.look()
	return s.free.Load() < s.ballast.missing()+s.segment
}

// openPatience is how long a start waits for the little room that the index needs
// when there is no ballast left.
const openPatience = 5 * time.Second

// makeRoom is called when a write of the index found the disk full. It reports
// whether the write is to be tried again.
func (s *space) makeRoom(p purpose) bool {
	if s.told.CompareAndSwap(false, true) {
		s.logger.Warn("engine: the disk is full: the index goes on with what the ballast gives back, then waits for room",
			"ballast", mebibytes(int64(s.ballast.want)*ballastFile-s.ballast.missing()))
	}
	if p != forCompaction && s.ballast.release() {
		return true
	}
	if s.manual {
		return false
	}
	select {
	case <-s.stop:
		s.stuckAt.Do(func() { close(s.stuck) })
	default:
	}
	if p != forIndex {
		time.Sleep(tablePause)
		return false
	}
	time.Sleep(roomPause)
	return s.opened.Load() || s.waited.Add(int64(roomPause)) < int64(openPatience)
}

// pollAfter is how long the room need not be looked at. full: the log can make no
// segment.
func (s *space) pollAfter(full bool) time.Duration {
	if s.total > 0 && !full && s.ballast.missing() == 0 && s.free.Load() >= s.floor.Load()+spaceAmple {
		return spaceIdle
	}
	return spacePoll
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// watchSpace looks at the room now and then, and tells the core when the log runs
// out of it.
func (e *Engine) watchSpace() {
	tick := time.NewTimer(spacePoll)
	defer tick.Stop()
	full, broken := false, false
	var refusals refusalWatch
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			e.watchRefusals(&refusals, time.Now())
			e.space.look()
			err := e.space.ballast.grow(e.space.free.Load(), e.space.floor.Load())
			was := broken
			if broken = err != nil && !isFull(err); broken && !was {
				e.opts.Logger.Warn("engine: the ballast cannot be written; the index has less to go on with on a full disk", "error", err)
			}
			if now := e.log.Full() != nil; now != full {
				full = now
				e.inbox.push(event{kind: evFull, found: full})
			}
			tick.Reset(e.space.pollAfter(full))
		}
	}
}
