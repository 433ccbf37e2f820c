package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// spareRetry is how long the maker waits before it tries a full disk again.
	spareRetry = 500 * time.Millisecond

	// spareSurplus is how many recycled files the pool keeps beyond its target: what leaves
	// the log late, two segments at once, is to serve the next two, instead of one new file
	// being written and then one removed.
	spareSurplus = 2

	// spareShed is how long the pool keeps the surplus while nobody takes a spare.
	spareShed = 15 * time.Second
)

// spare is a segment file that has its size and all its room on the disk, and no place
// in the log yet. Its content does not matter: the identity it will be used under is in
// no checksum written so far.
type spare struct {
	name string
	size int64
	file vfs.File // open for writing
}

// spares is the pool of segment files prepared ahead of their use (W3), and what
// becomes of the files that the log has let go: the one feeds the other. A pool
// of target files is kept by the maker, a goroutine, which recycles what the
// log lets go and else makes new files. In Manual mode the holder of Log.turn is
// the maker.
//
// The last file of the pool, the one for producers, is made only when the segment that
// is being filled is half full (near) or somebody waits: a log that is reclaimed as fast
// as it grows has let go one by then, and nothing but records is written.
type spares struct {
	fs       vfs.FS
	dir      string
	size     int64
	target   int
	logger   *slog.Logger
	counters *counters
	changed  func() // called after the pool grew, or could not grow

	next   uint64        // number of the next spare; owned by the maker
	work   chan struct{} // cap 1: there may be something to do
	hurry  chan struct{} // cap 1: somebody waits for a spare
	giveUp chan struct{} // closed: do not wait for room any more
	stop   chan struct{} // closed: the log is done with spares

	count  atomic.Int32 // of mu.ready
	full   atomic.Bool  // mu.err is that of a full disk
	whole  atomic.Bool  // the pool has been full once
	wanted atomic.Bool  // the pool's last file is needed soon
	manual bool

	mu struct {
		sync.Mutex
		moved   *sync.Cond // ready, leaving or dead changed
		ready   []*spare
		leaving []*segment // let go by the log, not yet by the directory; oldest first
		pins    int        // while above zero, leaving stays as it is
		err     error      // of the maker's last attempt: the disk is full, or worse
		dead    bool       // the maker makes no more
		taken   time.Time  // when the last spare was; no surplus is kept long after
		written uint64     // bytes of groups by then
		syncs   uint64     // of the log by then
	}
}

func newSpares(o *Options, c *counters, changed func()) *spares {
	s := &spares{
		fs: o.FS, dir: o.Dir, size: o.SegmentSize, target: o.reserve() + 1, logger: o.Logger,
		counters: c, changed: changed, manual: o.Manual,
		work:   make(chan struct{}, 1),
		hurry:  make(chan struct{}, 1),
		giveUp: make(chan struct{}),
		stop:   make(chan struct{}),
	}
	s.mu.moved = sync.NewCond(&s.mu)
	return s
}

// adopt looks through what the last run left behind: files of the right size are
// kept, as many as the pool holds, others are removed. What a spare holds does not
// count, but its size must be on the disk, which its name proves: a file whose
// sync failed may be whole in the page cache, and no later sync would bring to the
// disk what the cache takes for clean.
func (s *spares) adopt(names []string) error {
	for _, name := range names {
		n, ok := parseSpareName(name)
		if !ok && !strings.HasSuffix(name, partSuffix) {
			continue
		}
		if ok {
			s.next = max(s.next, n+1)
			if kept, err := s.keep(name); err != nil {
				return err
			} else if kept {
				continue
			}
		}
		if err := s.fs.Remove(s.fs.PathJoin(s.dir, name)); err != nil {
			return fmt.Errorf("wal: remove spare %s: %w", name, err)
		}
	}
	return nil
}

// keep takes a file into the pool if it is fit and there is room.
func (s *spares) keep(name string) (bool, error) {
	path := s.fs.PathJoin(s.dir, name)
	info, err := s.fs.Stat(path)
	if err != nil {
		return false, fmt.Errorf("wal: look at spare %s: %w", name, err)
	}
	if !s.lacks() || info.Size() != s.size || links(info) > 1 { // no surplus: it may be long until it is needed
		return false, nil
	}
	f, err := s.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return false, fmt.Errorf("wal: open spare %s: %w", name, err)
	}
	s.put(&spare{name: name, size: s.size, file: f}, false)
	return true, nil
}

// run is the maker. The error is final: a failure that is not a full disk.
func (s *spares) run() error {
	defer s.retire()
	s.wanted.Store(true) // the first segment may be full soon
	for !isClosed(s.stop) {
		told := s.full.Load()
		did, err := s.step(s.pause)
		switch {
		case noSpace(err):
			if !told {
				s.logger.Warn("wal: no room to prepare the next segment; will try until there is", "size", s.size, "error", err)
			}
			select {
			case <-time.After(spareRetry):
			case <-s.work: // a file may have been let go
			case <-s.giveUp:
				return nil
			}
		case errors.Is(err, ErrClosed):
			return nil
		case err != nil:
			return err
		case !did:
			select {
			case <-s.work:
			case <-s.stop:
			case <-time.After(s.untilShed()):
			}
		}
	}
	return nil
}

// step does the most urgent thing there is to do, and reports whether there was
// one: recycle a file, write one, remove one. pause, if not nil, paces it. The
// error of a full disk is passing, any other final.
func (s *spares) step(pause func(time.Duration) error) (bool, error) {
	if seg := s.nextLeaving(); seg != nil {
		return true, s.release(seg, pause)
	}
	if s.untilShed() <= 0 {
		s.shed()
		return true, nil
	}
	if !s.wants() {
		return false, nil
	}
	sp, err := s.write(s.size, pause)
	if err != nil {
		s.fail(err)
		return true, err
	}
	s.put(sp, true)
	return true, nil
}

// lacks reports whether there are fewer spares than there should be.
func (s *spares) lacks() bool { return int(s.count.Load()) < s.target }

// wants reports whether a file is to be made: for the reserve always, for producers as
// late as will do. A full disk is tried until it has room, since producers are refused
// meanwhile.
func (s *spares) wants() bool {
	return s.lacks() && (s.manual || s.wanted.Load() || s.full.Load() || !s.whole.Load() || int(s.count.Load()) < s.target-1)
}

// near says that the pool's last file will be needed soon. It does no I/O.
func (s *spares) near() {
	if s.lacks() && !s.wanted.Swap(true) {
		kick(s.work)
	}
}

// put adds a spare to the pool. A full disk is over when room was found for it, or
// no more is looked for: a recycled file alone proves nothing.
func (s *spares) put(sp *spare, room bool) {
	s.mu.Lock()
	s.mu.ready = append(s.mu.ready, sp)
	s.count.Store(int32(len(s.mu.ready)))
	if !s.lacks() {
		s.whole.Store(true)
	}
	if room || !s.lacks() {
		s.mu.err = nil
		s.full.Store(false)
	}
	s.mu.moved.Broadcast()
	s.mu.Unlock()
	select { // the hurry, if any, was for this one
	case <-s.hurry:
	default:
	}
	s.changed()
}

// fail records why the pool did not grow.
func (s *spares) fail(err error) {
	s.mu.Lock()
	s.mu.err = err
	s.full.Store(noSpace(err))
	s.mu.Unlock()
	s.changed()
}

// noRoom returns the error of a full disk if that is what the maker met last,
// else nil.
func (s *spares) noRoom() error {
	if !s.full.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !noSpace(s.mu.err) {
		return nil
	}
	return s.mu.err
}

// tryTake takes a spare out of the pool, nil if there is none. The caller owns
// it.
func (s *spares) tryTake() *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeLocked()
}

func (s *spares) takeLocked() *spare {
	if len(s.mu.ready) == 0 {
		return nil
	}
	sp := s.mu.ready[0]
	s.mu.ready = append(s.mu.ready[:0], s.mu.ready[1:]...)
	s.count.Store(int32(len(s.mu.ready)))
	s.wanted.Store(false)
	s.mu.taken = time.Now()
	s.mu.written, s.mu.syncs = s.counters.writtenBytes.Load(), s.counters.syncs.Load()
	kick(s.work)
	return sp
}

// await returns when there is a spare in the pool, or with the reason why there
// will be none.
func (s *spares) await() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.mu.ready) == 0 {
		if s.mu.dead {
			return fmt.Errorf("wal: no spare segment: %w", s.mu.err)
		}
		s.hasten()
		s.mu.moved.Wait()
	}
	return nil
}

// retire says that the maker is gone.
func (s *spares) retire() {
	s.mu.Lock()
	s.mu.dead = true
	if s.mu.err == nil {
		s.mu.err = ErrClosed
	}
	s.mu.moved.Broadcast()
	s.mu.Unlock()
	s.changed()
}

// close closes the pool's files. They stay on disk for the next start.
func (s *spares) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sp := range s.mu.ready {
		_ = sp.file.Close() // synced when they got their names
	}
	s.mu.ready = nil
}

// hasten has a spare made, if the pool lacks one, without pauses.
func (s *spares) hasten() {
	s.near()
	kick(s.hurry)
}

// kick sends to a channel of capacity 1 that says no more than "look again".
func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause spaces what is done in the background. It fails with ErrClosed after
// stop.
func (s *spares) pause(d time.Duration) error {
	select {
	case <-s.stop:
		return ErrClosed
	case <-s.hurry:
		kick(s.hurry) // stays in force for the rest of this spare
		return nil
	case <-time.After(d):
		return nil
	}
}

// finalError is an error that poisons the log whatever its cause (W8): a directory
// whose sync failed may not hold what the page cache shows, on a full disk as well.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// noSpace reports whether err says that the disk, or the quota, is full, which
// passes.
func noSpace(err error) bool {
	if _, ok := errors.AsType[finalError](err); ok {
		return false
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
