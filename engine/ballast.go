package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ballast is a directory of files whose only use is to be removed: when a write of
// the index finds the disk full, the room and the name of one of them become the
// index's (roomFS). There are many, so that neighbours who take whatever becomes
// free get one at a time: the rest is there for the next write, and for the next
// start, which needs some 100 KiB and half a dozen names. The log lives off its own
// spares and leaves that room alone (logFS).
//
// They are written, not merely allocated, with bytes that do not compress, so that
// removing them gives back what their size says on any file system, and one
// whenever the room is looked at: 4 MiB a second disturb nobody.
type ballast struct {
	fs   vfs.FS
	dir  string
	want int // files; 0: the file system does not tell its size, or is tiny

	mu struct {
		sync.Mutex
		have int // files 0 to have-1 are there
	}
}

const (
	ballastFile  = 1 << 20 // bytes
	ballastShare = 32      // one in so many bytes of the file system at most
)

// ballastFiles is enough for two memtables to be flushed while the disk is full:
// some two million outcomes. It is kept in proportion to small segments, of a
// server that is not meant to grow large, and small file systems.
func ballastFiles(o *Options, total int64) int {
	return int(min(2*o.MemtableSize, 2*o.SegmentSize, total/ballastShare) / ballastFile)
}

func (b *ballast) path(n int) string { return b.fs.PathJoin(b.dir, strconv.Itoa(n)) }

// open looks at what is there. What is more than wanted, or half-written by a
// crash, is removed.
func (b *ballast) open() error {
	names, err := b.fs.List(b.dir)
	if err != nil && !oserror.IsNotExist(err) {
		return fmt.Errorf("look at the ballast: %w: remove %s, the server makes a new one", err, b.dir)
	}
	for ; b.mu.have < b.want && slices.Contains(names, strconv.Itoa(b.mu.have)); b.mu.have++ {
		if info, err := b.fs.Stat(b.path(b.mu.have)); err != nil || info.Size() != ballastFile {
			break
		}
	}
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n >= b.mu.have {
			if err := b.fs.Remove(b.fs.PathJoin(b.dir, name)); err != nil {
				return fmt.Errorf("shorten the ballast: %w", err)
			}
		}
	}
	return nil
}

// missing returns how many bytes of the ballast are not there.
func (b *ballast) missing() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(b.want-b.mu.have) * ballastFile
}

// grow adds a file if one is missing, and the room for the whole ballast would be
// left above the floor: what is given back must not be taken again at once.
func (b *ballast) grow(free, floor int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.have >= b.want || free < floor+int64(2*b.want-b.mu.have)*ballastFile {
		return nil
	}
	if err := b.fs.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	f, err := b.fs.Create(b.path(b.mu.have), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	p := make([]byte, ballastFile)
	_, _ = rand.NewChaCha8([32]byte{byte(b.mu.have), 1}).Read(p) // never fails
	_, err = f.Write(p)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = b.fs.Remove(b.path(b.mu.have)) // best effort: the next start removes it too
		return err
	}
	b.mu.have++
	return nil
}

// release removes a file. It reports whether there was one: an operator in need of
// room may have removed some.
func (b *ballast) release() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.mu.have > 0 {
		err := b.fs.Remove(b.path(b.mu.have - 1))
		if err != nil && !oserror.IsNotExist(err) {
			return false
		}
		b.mu.have--
		if err == nil {
			return true
		}
	}
	return false
}
