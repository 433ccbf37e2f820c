package engine

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// roomFS is the disk under the index. A write that finds the disk full gets room
// from the ballast, and waits when that is used up.
//
// Pebble's own hook for this, vfs.OnDiskFull, tries a write once more and then
// lets the error through, and holds back removals as well. That is not enough
// where neighbours take whatever becomes free: a MANIFEST that cannot be written
// is fatal to Pebble, and removals are what gives room back. So here
//
//   - tables (flushes, compactions) fail after a pause, so that Pebble removes
//     their first half, and tries again: that is the pacing of failed flushes,
//     which Pebble itself repeats at once. A compaction can wait for better times
//     and gets no ballast.
//   - all else, a few KiB, is tried until there is room.
//
// What a sync reports is passed on in any case: it cannot be tried again.
type roomFS struct {
	vfs.FS
	space *space
}

// roomPause is how long a write waits for room before it is tried again,
// tablePause how long one of a table until it fails.
const (
	roomPause  = 250 * time.Millisecond
	tablePause = time.Second
)

// purpose is what a file is for, by the category that Pebble names.
type purpose uint8

const (
	forIndex purpose = iota // MANIFEST, OPTIONS, markers
	forFlush
	forCompaction
)

func purposeOf(c vfs.DiskWriteCategory) purpose {
	switch c {
	case "pebble-memtable-flush":
		return forFlush
	case "pebble-compaction", "pebble-blob-file-rewrite":
		return forCompaction
	}
	return forIndex
}

// isFull reports whether err says that the disk, or the quota, is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// retry does op until it does not find the disk full, or no room can be made.
func (f roomFS) retry(p purpose, op func() error) error {
	for {
		if err := op(); !isFull(err) || !f.space.makeRoom(p) {
			return err
		}
	}
}

func (f roomFS) Create(name string, c vfs.DiskWriteCategory) (file vfs.File, err error) {
	p := purposeOf(c)
	err = f.retry(p, func() error {
		file, err = f.FS.Create(name, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &roomFile{file, f, p}, nil
}

func (f roomFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (file vfs.File, err error) {
	err = f.retry(forIndex, func() error {
		file, err = f.FS.OpenReadWrite(name, c, opts...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &roomFile{file, f, forIndex}, nil
}

func (f roomFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (file vfs.File, err error) {
	p := purposeOf(c)
	err = f.retry(p, func() error {
		file, err = f.FS.ReuseForWrite(from, to, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &roomFile{file, f, p}, nil
}

func (f roomFS) Link(from, to string) error {
	return f.retry(forIndex, func() error { return f.FS.Link(from, to) })
}

func (f roomFS) Rename(from, to string) error {
	return f.retry(forIndex, func() error { return f.FS.Rename(from, to) })
}

func (f roomFS) MkdirAll(dir string, perm os.FileMode) error {
	return f.retry(forIndex, func() error { return f.FS.MkdirAll(dir, perm) })
}

// Unwrap returns the disk below.
func (f roomFS) Unwrap() vfs.FS { return f.FS }

// roomFile is an open file of a roomFS.
type roomFile struct {
	vfs.File
	fs roomFS
	purpose
}

func (f *roomFile) Write(p []byte) (n int, err error) {
	err = f.fs.retry(f.purpose, func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

func (f *roomFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.retry(f.purpose, func() error {
		m, err := f.File.WriteAt(p[n:], off+int64(n))
		n += m
		return err
	})
	return n, err
}

// logFS is the disk under the log. It makes no new file while there is no room for a
// segment and what is missing of the ballast: the log would turn what was given back
// for the index into spares.
type logFS struct {
	vfs.FS
	space *space
}

func (f logFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if f.space.reserved() {
		if _, err := f.FS.Stat(name); oserror.IsNotExist(err) {
			return nil, &os.PathError{Op: "create", Path: name, Err: syscall.ENOSPC}
		}
	}
	return f.FS.OpenReadWrite(name, c, opts...)
}

// Unwrap returns the disk below.
func (f logFS) Unwrap() vfs.FS { return f.FS }
