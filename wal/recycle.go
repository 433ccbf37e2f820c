package wal

import (
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// removePause spaces the removal of files: giving back tens of megabytes costs the
// file system's journal as much as a burst of syncs does, and nobody waits for it.
const removePause = 50 * time.Millisecond

// letGo takes over files that a durable header has voided (W10), oldest first. The
// maker recycles or removes them, one at a time, once nobody reads them and
// nothing is pinned. What it does not get round to before the process ends, the
// next one finds below the floor.
func (s *spares) letGo(segs []*segment) {
	s.mu.Lock()
	s.mu.leaving = append(s.mu.leaving, segs...)
	s.mu.Unlock()
	kick(s.work)
}

// nextLeaving returns the next file to be let go, nil if there is none that
// may be.
func (s *spares) nextLeaving() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextLeavingLocked()
}

func (s *spares) nextLeavingLocked() *segment {
	if s.mu.pins > 0 {
		return nil
	}
	if i := slices.IndexFunc(s.mu.leaving, func(seg *segment) bool { return !inUse(seg) }); i >= 0 {
		return s.mu.leaving[i]
	}
	return nil
}

// release recycles a file, or removes it if it is not fit for that or not needed.
// An error is final; a file that cannot be removed is none, it stays until the
// next start.
func (s *spares) release(seg *segment, pause func(time.Duration) error) error {
	recycled, err := s.recycle(seg)
	if err == nil && !recycled {
		s.remove(seg)
	}
	s.mu.Lock()
	s.mu.leaving = slices.DeleteFunc(s.mu.leaving, func(l *segment) bool { return l == seg })
	s.mu.moved.Broadcast()
	s.mu.Unlock()
	if err == nil && !recycled && pause != nil && !s.lacks() {
		err = pause(removePause)
	}
	return err
}

// recycle makes a spare of a file: it is renamed, and the directory synced, before
// anything is written to it. So whatever a power cut leaves, the old name with a
// new content is not in it, also if this is a recovery that has seen the floor in
// the page cache only (TestReclaimCutTwice). The old content does no harm (W3). It
// reports false
// if the file must be removed instead: it has another size, or was linked, so that
// writing to it would change somebody's copy (W11), or there are spares enough.
func (s *spares) recycle(seg *segment) (bool, error) {
	if int(s.count.Load()) >= s.most() || seg.size != s.size {
		return false, nil
	}
	from := s.fs.PathJoin(s.dir, seg.name())
	f, err := s.fs.OpenReadWrite(from, vfs.WriteCategoryUnspecified)
	if err != nil {
		return false, nil // so will be the removal, which says so
	}
	sp := &spare{name: spareName(s.next), size: seg.size, file: f}
	s.next++
	info, err := f.Stat()
	if err == nil && (links(info) > 1 || info.Size() != seg.size) {
		err = damage("unfit")
	}
	if err == nil {
		err = s.fs.Rename(from, s.fs.PathJoin(s.dir, sp.name))
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return false, nil
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		_ = f.Close()
		return false, finalError{fmt.Errorf("wal: recycle segment %s: %w", seg.name(), err)}
	}
	s.counters.recycled.Add(1)
	s.counters.reclaimedBytes.Add(uint64(seg.size))
	s.put(sp, false)
	return true, nil
}

// most is how many spares the pool holds.
func (s *spares) most() int {
	if s.manual {
		return s.target
	}
	return s.target + spareSurplus
}

// untilShed returns how long the surplus is kept still; a day if there is none.
func (s *spares) untilShed() time.Duration {
	if int(s.count.Load()) <= s.target {
		return 24 * time.Hour
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return spareShed - time.Since(s.mu.taken)
}

// shed removes one spare of the surplus.
func (s *spares) shed() {
	sp := s.takeSurplus()
	if sp == nil {
		return
	}
	_ = sp.file.Close() // it holds nothing
	if err := s.fs.Remove(s.fs.PathJoin(s.dir, sp.name)); err != nil {
		s.logger.Warn("wal: a surplus spare could not be removed; the next start will try again",
			"spare", sp.name, "error", err)
	}
}

// takeSurplus takes a spare that nobody needs out of the pool, nil if there is none.
func (s *spares) takeSurplus() *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.mu.ready)
	if n <= s.target {
		return nil
	}
	sp := s.mu.ready[n-1]
	s.mu.ready = s.mu.ready[:n-1]
	s.count.Store(int32(n - 1))
	return sp
}

// remove unlinks a file.
func (s *spares) remove(seg *segment) {
	if err := s.fs.Remove(s.fs.PathJoin(s.dir, seg.name())); err != nil {
		s.logger.Warn("wal: a reclaimed segment could not be removed; the next start will try again",
			"segment", seg.name(), "error", err)
		return
	}
	s.counters.removed.Add(1)
	s.counters.reclaimedBytes.Add(uint64(seg.size))
}

// pin keeps all files where they are until unpin.
func (s *spares) pin() {
	s.mu.Lock()
	s.mu.pins++
	s.mu.moved.Broadcast() // nothing may be let go now: drain has nothing to wait for
	s.mu.Unlock()
}

func (s *spares) unpin() {
	s.mu.Lock()
	s.mu.pins--
	s.mu.moved.Broadcast()
	s.mu.Unlock()
	kick(s.work)
}

// drain waits until the maker has let go all files that may be.
func (s *spares) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.mu.dead && s.nextLeavingLocked() != nil {
		kick(s.work)
		s.mu.moved.Wait()
	}
}

// held returns the number of bytes in files that the log has let go and the
// directory has not yet.
func (s *spares) held() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.mu.leaving {
		n += seg.size
	}
	return n
}
