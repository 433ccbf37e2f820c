package powerfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open file or directory.
type file struct {
	fs   *FS
	n    *node
	name string
	path string
	pos  int // of Read and Write
}

var _ vfs.File = (*file)(nil)

func (f *file) Close() error { return nil }

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, int64(f.pos))
	f.pos += n
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.fs.lock("ReadAt", f.path); err != nil {
		return 0, err
	}
	if off >= int64(len(f.n.cache)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.cache[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, int64(f.pos))
	f.pos += n
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.fs.lock("WriteAt", f.path); err != nil {
		return 0, err
	}
	if f.n.isDir() {
		return 0, &os.PathError{Op: "write", Path: f.path, Err: errors.New("is a directory")}
	}
	f.n.write(p, int(off))
	return len(p), nil
}

func (f *file) Preallocate(_, _ int64) error { return nil }
func (f *file) Prefetch(_, _ int64) error    { return nil }
func (f *file) Fd() uintptr                  { return vfs.InvalidFd }

func (f *file) Stat() (vfs.FileInfo, error) {
	defer f.fs.mu.Unlock()
	if err := f.fs.lock("Stat", f.path); err != nil {
		return nil, err
	}
	return f.n.info(f.name), nil
}

func (f *file) Sync() error     { return f.sync("Sync") }
func (f *file) SyncData() error { return f.sync("SyncData") }

// SyncTo promises nothing: its callers must not rely on it.
func (f *file) SyncTo(int64) (fullSync bool, err error) { return false, nil }

func (f *file) sync(op string) error {
	defer f.fs.mu.Unlock()
	err := f.fs.lock(op, f.path)
	if f.fs.NoSync {
		return nil
	}
	if f.n.isDir() {
		if err == nil {
			for _, c := range f.n.pending {
				c(f.n.durable)
			}
			f.n.pending = nil
		}
		return err
	}
	f.n.sync(err != nil)
	return err
}

func (n *node) info(name string) info {
	return info{name: name, size: int64(len(n.cache)), dir: n.isDir()}
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) IsDir() bool            { return i.dir }
func (i info) ModTime() time.Time     { return time.Time{} }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
