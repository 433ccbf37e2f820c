package wal

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// allocate gives a new file its size and its room on the disk, without writing it: reading
// it gives zeros, and writing it finds no full disk. ok is false where that cannot be had.
func allocate(f vfs.File, size int64) (ok bool, err error) {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return false, nil
	}
	for {
		switch err := unix.Fallocate(int(fd), 0, 0, size); {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}
