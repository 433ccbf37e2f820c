package wal

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// openReadersMax bounds the file descriptors kept for reading. A log of a
// thousand segments is read through this many.
const openReadersMax = 32

// readers keeps segment files open for reading, the least recently used closed
// first. Safe for concurrent use; its lock is a leaf but for opening a file.
type readers struct {
	fs  vfs.FS
	dir string
	mu  struct {
		sync.Mutex
		open   map[*segment]*reader
		clock  uint64
		closed bool
		floor  LSN // segments below have left the log
	}
	freed func() // called after the last user of a segment that has left is done
}

// reader is an open file and the number of its users.
type reader struct {
	file  vfs.File
	seg   *segment
	users int
	used  uint64 // clock of the last use
	stale bool   // out of the map: the last user closes it
}

func newReaders(fs vfs.FS, dir string, freed func()) *readers {
	r := &readers{fs: fs, dir: dir, freed: freed}
	r.mu.open = make(map[*segment]*reader)
	return r
}

// acquire returns the file of a segment, to be released. Until then the file is
// neither removed nor recycled. It fails with ErrNotFound for a segment that has
// left the log.
func (r *readers) acquire(seg *segment) (*reader, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return nil, ErrClosed
	}
	if seg.first < r.mu.floor {
		return nil, fmt.Errorf("%w: segment %s was reclaimed", ErrNotFound, seg.name())
	}
	rd := r.mu.open[seg]
	if rd == nil {
		f, err := r.fs.Open(r.fs.PathJoin(r.dir, seg.name()), vfs.RandomReadsOption)
		if err != nil {
			return nil, fmt.Errorf("wal: open segment %s: %w", seg.name(), err)
		}
		r.evictLocked()
		rd = &reader{file: f, seg: seg}
		r.mu.open[seg] = rd
	}
	r.mu.clock++
	rd.used = r.mu.clock
	rd.users++
	seg.users.Add(1)
	return rd, nil
}

// evictLocked makes room for one more.
func (r *readers) evictLocked() {
	if len(r.mu.open) < openReadersMax {
		return
	}
	var oldest *segment
	for seg, rd := range r.mu.open {
		if oldest == nil || rd.used < r.mu.open[oldest].used {
			oldest = seg
		}
	}
	r.dropLocked(oldest)
}

// dropLocked forgets a file and closes it when it has no user any more.
func (r *readers) dropLocked(seg *segment) {
	rd := r.mu.open[seg]
	delete(r.mu.open, seg)
	rd.stale = true
	if rd.users == 0 {
		_ = rd.file.Close() // read only: nothing can be lost
	}
}

func (r *readers) release(rd *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rd.users--; rd.users == 0 && rd.stale {
		_ = rd.file.Close() // read only: nothing can be lost
	}
	if rd.seg.users.Add(-1) == 0 && rd.seg.first < r.mu.floor {
		r.freed()
	}
}

// leave closes the files of segments below the floor, which nobody can acquire
// any more; users that are in the middle of one finish with it.
func (r *readers) leave(segs []*segment, floor LSN) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.floor = floor
	for _, seg := range segs {
		if r.mu.open[seg] != nil {
			r.dropLocked(seg)
		}
	}
}

// inUse reports whether somebody reads a segment. For one that has left, false is
// final.
func inUse(seg *segment) bool { return seg.users.Load() > 0 }

func (r *readers) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.closed = true
	for seg := range r.mu.open {
		r.dropLocked(seg)
	}
}
