package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ballast is a file whose only use is to be removed: when a write of the index
// finds the disk full, the room that the file took becomes the index's (roomFS).
// The log lives off its own spares and must not take that room: see logFS.
//
// It is written, not merely allocated, with bytes that do not compress, so that
// removing it gives back what its size says on any file system. It grows by a
// chunk whenever the room is looked at: 4 MiB a second disturb nobody. A part of it
// is a smaller ballast, so a crash in between leaves nothing to clean up.
type ballast struct {
	fs   vfs.FS
	name string
	want int64 // bytes; 0: none, the file system does not tell its size

	mu struct {
		sync.Mutex
		have int64
	}
}

const (
	ballastChunk = 1 << 20
	ballastShare = 32 // one in so many bytes of the file system at most
)

// ballastSize is enough for two memtables to be flushed while the disk is full:
// some two million outcomes. It is kept in proportion to small segments, of a
// server that is not meant to grow large, and small file systems.
func ballastSize(o *Options, total int64) int64 {
	return min(2*o.MemtableSize, 2*o.SegmentSize, total/ballastShare) / ballastChunk * ballastChunk
}

// open looks at what is there.
func (b *ballast) open() error {
	info, err := b.fs.Stat(b.name)
	if oserror.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", b.name, err)
	}
	b.mu.have = info.Size()
	if b.mu.have > b.want {
		b.release() // the settings have changed
	}
	return nil
}

// out reports whether some of the ballast is missing.
func (b *ballast) out() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.have < b.want
}

// grow adds a chunk if that much is missing, and leaves as much again above the
// floor free: what is given back must not be taken again at once.
func (b *ballast) grow(free, floor int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.have >= b.want || free < floor+2*b.want-b.mu.have {
		return nil
	}
	f, err := b.fs.OpenReadWrite(b.name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	chunk := make([]byte, min(ballastChunk, b.want-b.mu.have))
	_, _ = rand.NewChaCha8([32]byte{byte(b.mu.have / ballastChunk), 1}).Read(chunk) // never fails
	_, err = f.WriteAt(chunk, b.mu.have)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		b.mu.have += int64(len(chunk))
	}
	return err
}

// release removes the file. It reports whether that gave back any room.
func (b *ballast) release() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.have == 0 || b.fs.Remove(b.name) != nil {
		return false
	}
	b.mu.have = 0
	return true
}
