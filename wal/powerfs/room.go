package powerfs

import (
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SetFree sets Capacity so that files may grow by n bytes in all; what is removed
// or replaced gives its bytes back. A negative n takes the bound away.
func (f *FS) SetFree(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Capacity = 0; n >= 0 {
		f.Capacity = max(1, f.root.used()+n)
	}
}

// GetDiskUsage tells the room that Capacity leaves. Without it the disk has no
// size, and this is not supported.
func (f *FS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Capacity == 0 {
		return vfs.DiskUsage{}, vfs.ErrUnsupported
	}
	used := f.root.used()
	return vfs.DiskUsage{
		AvailBytes: uint64(max(0, f.Capacity-used)), TotalBytes: uint64(f.Capacity), UsedBytes: uint64(used),
	}, nil
}

// hasRoomLocked reports whether there is room for a new name.
func (f *FS) hasRoomLocked() bool { return f.Capacity == 0 || f.root.used() < f.Capacity }

func noSpace(op, name string) error {
	return &os.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
}
