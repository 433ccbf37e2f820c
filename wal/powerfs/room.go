package powerfs

import (
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SetFree bounds the disk: from now on its files may grow by n bytes in all, and
// what is removed or replaced gives its bytes back. A write that does not fit
// writes what does and fails with ENOSPC, and so does the creation of a file on a
// disk without a byte left, unless it replaces one. Writing over bytes that are there needs no room, as
// on a file system that does not copy on write. A negative n takes the bound away.
func (f *FS) SetFree(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bounded = n >= 0
	f.size = f.root.used() + max(n, 0)
}

// GetDiskUsage tells the room that SetFree left. Without it the disk has no size,
// and this is not supported.
func (f *FS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.bounded {
		return vfs.DiskUsage{}, vfs.ErrUnsupported
	}
	return vfs.DiskUsage{
		AvailBytes: uint64(f.freeLocked()), TotalBytes: uint64(f.size), UsedBytes: uint64(f.root.used()),
	}, nil
}

// used is the sum of the sizes of all files below n, by the names that the
// running system sees. A removed file that is still open does not count.
func (n *node) used() int64 {
	if !n.isDir() {
		return int64(len(n.cache))
	}
	var sum int64
	for _, child := range n.names {
		sum += child.used()
	}
	return sum
}

func (f *FS) freeLocked() int64 { return max(0, f.size-f.root.used()) }

// fitLocked returns how many of the n bytes that are to be written to a file at
// off find room, and ENOSPC if that is not all of them.
func (f *FS) fitLocked(file *node, n int, off int64) (int, error) {
	grows := off + int64(n) - int64(len(file.cache))
	if !f.bounded || grows <= 0 {
		return n, nil
	}
	short := grows - f.freeLocked()
	if short <= 0 {
		return n, nil
	}
	return int(max(0, int64(n)-short)), noSpace("write", file.path)
}

// hasRoomLocked reports whether there is room for a new name.
func (f *FS) hasRoomLocked() bool { return !f.bounded || f.freeLocked() > 0 }

func noSpace(op, name string) error {
	return &os.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
}
