package wal

import (
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// writeDirect lets the writes to f go past the page cache, until undo is called: they must
// then be aligned to pageSize in memory, in the file and in length. Zeros that are
// written to be overwritten cost the processor nothing that way: through the cache they
// were a twelfth of what a publish costs. Not every file system can do it; that shows at
// a write, mostly the first, as EINVAL. ok is false if this is no file of the operating system's.
func writeDirect(f vfs.File) (undo func() error, ok bool) {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return nil, false
	}
	flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
	if err != nil {
		return nil, false
	}
	if _, err := unix.FcntlInt(fd, unix.F_SETFL, flags|unix.O_DIRECT); err != nil {
		return nil, false
	}
	return func() error {
		_, err := unix.FcntlInt(fd, unix.F_SETFL, flags)
		return err
	}, true
}

// alignedZeros returns n zero bytes at an address that a direct write takes.
func alignedZeros(n int) []byte {
	b := make([]byte, n+pageSize)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (pageSize - 1)
	return b[skip : skip+n]
}
