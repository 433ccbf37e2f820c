package wal

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// roughFile reads a file that may be damaged: what lies beyond its end, and what
// the disk refuses to give back (EIO, as a bad sector does), reads as zeros, which
// no checksum takes for content. It is used by one goroutine.
type roughFile struct {
	name string
	file vfs.File // nil: there is none, all is zeros
	size int64
	bad  int64 // bytes that the disk refused
}

// roughBlock is the grain in which an unreadable stretch is looked at.
const roughBlock = 4096

func openRough(fs vfs.FS, dir, name string) (*roughFile, error) {
	f, err := fs.Open(fs.PathJoin(dir, name), vfs.SequentialReadsOption)
	if err != nil {
		return nil, fmt.Errorf("wal: open segment %s: %w", name, err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("wal: look at segment %s: %w", name, err)
	}
	return &roughFile{name: name, file: f, size: info.Size()}, nil
}

func (r *roughFile) close() {
	if r.file != nil {
		_ = r.file.Close() // read only: nothing can be lost
	}
}

// ReadAt fills p. The only errors are those of a disk that is not just damaged.
func (r *roughFile) ReadAt(p []byte, off int64) (int, error) {
	have := max(0, min(int64(len(p)), r.size-off))
	clear(p[have:])
	if have == 0 {
		return len(p), nil
	}
	err := readFull(r.file, p[:have], off)
	if errors.Is(err, syscall.EIO) {
		err = r.readBlocks(p[:have], off)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, fmt.Errorf("wal: segment %s became shorter while it was read", r.name)
	}
	if err != nil {
		return 0, fmt.Errorf("wal: read segment %s: %w", r.name, err)
	}
	return len(p), nil
}

// readBlocks reads what can be read.
func (r *roughFile) readBlocks(p []byte, off int64) error {
	for len(p) > 0 {
		n := min(len(p), roughBlock-int(off%roughBlock))
		err := readFull(r.file, p[:n], off)
		if errors.Is(err, syscall.EIO) {
			clear(p[:n])
			r.bad += int64(n)
			err = nil
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}
