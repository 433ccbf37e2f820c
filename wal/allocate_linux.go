package wal

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// allocate gives a new file its size and its room on the disk, without writing it: reading
// it gives zeros, and writing it finds no full disk. ok is false where that cannot be had:
// file systems say so in more ways than one, and what is wrong with a disk shows when it is
// written. The error is that of a full one.
func allocate(f vfs.File, size int64) (ok bool, err error) {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return false, nil
	}
	for {
		switch err := unix.Fallocate(int(fd), 0, 0, size); {
		case err == nil:
			return true, nil
		case noSpace(err):
			return false, err
		case !errors.Is(err, unix.EINTR):
			return false, nil
		}
	}
}
