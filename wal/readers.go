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
	}
}

// reader is an open file and the number of its users.
type reader struct {
	file  vfs.File
	users int
	used  uint64 // clock of the last use
	stale bool   // out of the map: the last user closes it
}

func newReaders(fs vfs.FS, dir string) *readers {
	r := &readers{fs: fs, dir: dir}
	r.mu.open = make(map[*segment]*reader)
	return r
}

// acquire returns the file of a segment, to be released.
func (r *readers) acquire(seg *segment) (*reader, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return nil, ErrClosed
	}
	rd := r.mu.open[seg]
	if rd == nil {
		f, err := r.fs.Open(r.fs.PathJoin(r.dir, seg.name()), vfs.RandomReadsOption)
		if err != nil {
			return nil, fmt.Errorf("wal: open segment %s: %w", seg.name(), err)
		}
		r.evictLocked()
		rd = &reader{file: f}
		r.mu.open[seg] = rd
	}
	r.mu.clock++
	rd.used = r.mu.clock
	rd.users++
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
}

func (r *readers) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.closed = true
	for seg := range r.mu.open {
		r.dropLocked(seg)
	}
}
