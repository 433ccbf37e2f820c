package wal

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	spareChunk     = 1 << 20              // written at a time
	spareSyncBytes = 4 << 20              // synced at a time, so that no sync of the log queues behind 64 MiB
	sparePause     = 2 * time.Millisecond // between chunks, unless somebody waits
	reservePause   = 10 * sparePause      // the same, for a reserve that nobody needs yet

	// bulkyBytes is from how large groups on, on average, a spare is allocated and not
	// written. What is written first to allocated space costs its sync a commit of the file
	// system's journal, 25 to 80 us and half of that in processor time, whatever its
	// length; zeros cost the disk as many bytes as the log itself, and the syncs beside
	// them wait. With 64 producers, whose groups have 45 KiB, the one is as fast as the
	// other; a lone producer would wait half as long again.
	bulkyBytes = 16 << 10
)

// make returns a spare of size bytes right now: from the pool, or a file let go
// earlier, or written. For recovery and Manual mode.
func (s *spares) make(size int64) (*spare, error) {
	if size != s.size {
		return s.write(size, nil)
	}
	for {
		if sp := s.tryTake(); sp != nil {
			return sp, nil
		}
		if _, err := s.step(nil); err != nil {
			return nil, err
		}
	}
}

// write makes a new spare of size bytes, which gets its name once it is synced. A
// failed one is removed, to give back its room. pause, if not nil, is called
// between chunks.
func (s *spares) write(size int64, pause func(time.Duration) error) (*spare, error) {
	sp := &spare{name: spareName(s.next), size: size}
	part := s.fs.PathJoin(s.dir, partName(s.next))
	s.next++
	var err error
	if sp.file, err = s.fs.OpenReadWrite(part, vfs.WriteCategoryUnspecified); err != nil {
		return nil, fmt.Errorf("wal: create spare %s: %w", sp.name, err)
	}
	if err = s.fill(sp.file, size, pause); err == nil {
		err = s.fs.Rename(part, s.fs.PathJoin(s.dir, sp.name))
	}
	if err != nil {
		// Best effort: a leftover is removed by the next start.
		_ = sp.file.Close()
		_ = s.fs.Remove(part)
		return nil, fmt.Errorf("wal: write spare %s of %d bytes: %w", sp.name, size, err)
	}
	s.counters.sparesMade.Add(1)
	return sp, nil
}

// fill gives a new spare its room, durably: by writing zeros, or by allocating it if groups
// are so large that it costs them little.
func (s *spares) fill(f vfs.File, size int64, pause func(time.Duration) error) error {
	if s.bulky() {
		if ok, err := allocate(f, size); err != nil {
			return err
		} else if ok {
			s.counters.allocated.Add(1)
			return f.Sync()
		}
	}
	return zeroFill(f, size, s.paced(pause))
}

// bulky reports whether groups have been large since the last spare was taken.
func (s *spares) bulky() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	syncs := s.counters.syncs.Load() - s.mu.syncs
	return syncs > 0 && (s.counters.writtenBytes.Load()-s.mu.written)/syncs >= bulkyBytes
}

// paced returns what zeroFill does between chunks. The first spare of a new log is
// needed soon, those of the reserve are not. That for which there is room again on a
// full disk is what producers wait for: publishing is to go on within a second.
func (s *spares) paced(pause func(time.Duration) error) func() error {
	if pause == nil {
		return nil
	}
	return func() error {
		switch {
		case s.full.Load():
			return pause(0)
		case s.count.Load() > 0 && !s.whole.Load():
			return pause(reservePause)
		default:
			return pause(sparePause)
		}
	}
}

// zeroFill writes and syncs a file of size bytes, past the page cache where that can be
// done. The cache then knows nothing of its pages: see Group.toPage.
func zeroFill(f vfs.File, size int64, pause func() error) error {
	zeros := alignedZeros(int(min(size, spareChunk)))
	undo, direct := writeDirect(f)
	var err error
	if direct {
		err = writeZeros(f, zeros, size, pause)
		if undone := undo(); undone != nil {
			return errors.Join(err, undone)
		}
	}
	if !direct || errors.Is(err, syscall.EINVAL) { // mostly of the first write, but a short one may leave a rest that is not aligned
		err = writeZeros(f, zeros, size, pause)
	}
	if err != nil {
		return err
	}
	return f.Sync() // not SyncData: the size is what a crash must not take back
}

// writeZeros fills a file with what zeros holds.
func writeZeros(f vfs.File, zeros []byte, size int64, pause func() error) error {
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
	return nil
}
