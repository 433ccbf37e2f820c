package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	spareChunk     = 1 << 20                // written at a time
	spareSyncBytes = 4 << 20                // synced at a time, so that no sync of the log queues behind 64 MiB
	sparePause     = 2 * time.Millisecond   // between chunks, unless somebody waits
	spareRetry     = 500 * time.Millisecond // after a full disk
)

// spare is a segment file that was written in full and has no place in the log
// yet. Its content does not matter: the identity it will be used under is in
// no checksum written so far.
type spare struct {
	name string
	size int64
	file vfs.File // open for writing
}

// spares prepares segment files ahead of their use (W3): two are ready while the
// log fills another, in Manual mode one. Files are zeroed by writing, since a sync
// of allocated but unwritten space costs a journal commit each time (136 us
// against 290 us, PERFORMANCE.md lesson 2).
type spares struct {
	fs      vfs.FS
	dir     string
	size    int64
	logger  *slog.Logger
	made    func() // counts
	changed func() // called after one got ready, or could not be made

	next    uint64        // number of the next spare; owned by whoever makes
	adopted []string      // left behind by the last run; owned by whoever makes
	ready   chan *spare   // cap 1; the goroutine holds the one after it
	giveUp  chan struct{} // closed: do not wait for room any more
	stop    chan struct{} // closed: the log is done with spares
	hurry   chan struct{} // cap 1: somebody waits

	// dead is closed when no further spare will come; mu.err says why.
	dead chan struct{}
	mu   struct {
		sync.Mutex
		err error // the disk is full, or worse
	}
}

func newSpares(o *Options, made, changed func()) *spares {
	return &spares{
		fs: o.FS, dir: o.Dir, size: o.SegmentSize, logger: o.Logger, made: made, changed: changed,
		ready:  make(chan *spare, 1),
		giveUp: make(chan struct{}),
		stop:   make(chan struct{}),
		hurry:  make(chan struct{}, 1),
		dead:   make(chan struct{}),
	}
}

// adopt looks through what the last run left behind: up to two files of the
// right size are kept, one to start with and one ahead; others are removed. What
// a spare holds does not count, but its size must be on the disk, which its name
// proves: a file whose sync failed may be whole in the page cache, and no later
// sync would bring to the disk what the cache takes for clean.
func (s *spares) adopt(names []string) error {
	for _, name := range names {
		n, ok := parseSpareName(name)
		if !ok && !strings.HasSuffix(name, partSuffix) {
			continue
		}
		path := s.fs.PathJoin(s.dir, name)
		if ok {
			s.next = max(s.next, n+1)
			info, err := s.fs.Stat(path)
			if err != nil {
				return fmt.Errorf("wal: look at spare %s: %w", name, err)
			}
			if info.Size() == s.size && len(s.adopted) < 2 {
				s.adopted = append(s.adopted, name)
				continue
			}
		}
		if err := s.fs.Remove(path); err != nil {
			return fmt.Errorf("wal: remove spare %s: %w", name, err)
		}
	}
	return nil
}

// run makes spares until stop, for the background goroutine. The error is
// final: a write error that is not a full disk.
func (s *spares) run() error {
	for {
		sp, err := s.makeReady()
		if err != nil || sp == nil {
			return err
		}
		select {
		case s.ready <- sp:
			s.changed()
		case <-s.stop:
			return sp.file.Close()
		}
	}
}

// makeReady makes one spare, waiting for room if the disk is full. It returns
// neither spare nor error when told to stop or to give up.
func (s *spares) makeReady() (*spare, error) {
	for {
		sp, err := s.make(s.pause)
		s.fail(err)
		if err == nil || errors.Is(err, ErrClosed) {
			return sp, nil
		}
		if !noSpace(err) {
			close(s.dead)
			return nil, err
		}
		s.logger.Warn("wal: no room to prepare the next segment; will try again", "size", s.size, "error", err)
		select {
		case <-time.After(spareRetry):
		case <-s.giveUp:
			close(s.dead)
			return nil, nil
		}
	}
}

// fail records why there is no spare; nil: there is one.
func (s *spares) fail(err error) {
	s.mu.Lock()
	s.mu.err = err
	s.mu.Unlock()
	if err != nil {
		s.changed()
	}
}

// full returns the error of a full disk if that is why there is no spare ahead;
// nil if there is one or soon will be, or the log is about to be poisoned.
func (s *spares) full() error {
	if err := s.err(); noSpace(err) {
		return err
	}
	return nil
}

// err returns why there is no spare ahead, nil if there is one or soon will be.
func (s *spares) err() error {
	if len(s.ready) > 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.err
}

// take returns a spare of the usual size, as soon as there is one. The caller
// owns it.
func (s *spares) take() (*spare, error) {
	select {
	case sp := <-s.ready:
		return sp, nil
	default:
	}
	s.hasten()
	select {
	case sp := <-s.ready:
		return sp, nil
	case <-s.dead:
		select {
		case sp := <-s.ready: // the last one, made just now
			return sp, nil
		default:
			return nil, fmt.Errorf("wal: no spare segment: %w", s.err())
		}
	}
}

// hasten makes the spare in the making skip its pauses.
func (s *spares) hasten() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// pause spaces the chunks of a spare made in the background. It fails with
// ErrClosed after stop.
func (s *spares) pause() error {
	select {
	case <-s.stop:
		return ErrClosed
	case <-s.hurry:
		s.hasten() // stays in force for the rest of this spare
		return nil
	case <-time.After(sparePause):
		return nil
	}
}

// make returns an adopted spare or writes one; pause, if not nil, is called
// between chunks.
func (s *spares) make(pause func() error) (*spare, error) {
	if len(s.adopted) > 0 {
		name := s.adopted[0]
		s.adopted = s.adopted[1:]
		f, err := s.fs.OpenReadWrite(s.fs.PathJoin(s.dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return nil, fmt.Errorf("wal: open spare %s: %w", name, err)
		}
		return &spare{name: name, size: s.size, file: f}, nil
	}
	return s.write(s.size, pause)
}

// write makes a new spare of size bytes, which gets its name once it is synced. A
// failed one is removed, to give back its room.
func (s *spares) write(size int64, pause func() error) (*spare, error) {
	sp := &spare{name: spareName(s.next), size: size}
	part := s.fs.PathJoin(s.dir, partName(s.next))
	s.next++
	var err error
	if sp.file, err = s.fs.OpenReadWrite(part, vfs.WriteCategoryUnspecified); err != nil {
		return nil, fmt.Errorf("wal: create spare %s: %w", sp.name, err)
	}
	if err = zeroFill(sp.file, size, pause); err == nil {
		err = s.fs.Rename(part, s.fs.PathJoin(s.dir, sp.name))
	}
	if err != nil {
		// Best effort: a leftover is removed by the next start.
		_ = sp.file.Close()
		_ = s.fs.Remove(part)
		return nil, fmt.Errorf("wal: write spare %s of %d bytes: %w", sp.name, size, err)
	}
	s.made()
	select { // the hurry, if any, was for this one
	case <-s.hurry:
	default:
	}
	return sp, nil
}

func zeroFill(f vfs.File, size int64, pause func() error) error {
	zeros := make([]byte, min(size, spareChunk))
	for off := int64(0); off < size; {
		n := min(int64(len(zeros)), size-off)
		if _, err := f.WriteAt(zeros[:n], off); err != nil {
			return err
		}
		if off += n; off%spareSyncBytes == 0 && off < size {
			if err := f.SyncData(); err != nil {
				return err
			}
		}
		if pause != nil && off < size {
			if err := pause(); err != nil {
				return err
			}
		}
	}
	return f.Sync() // not SyncData: the size is what a crash must not take back
}

// noSpace reports whether err says that the disk, or the quota, is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
