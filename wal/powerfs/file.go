package powerfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open file or directory: what the methods of FS return as a
// vfs.File. It stays usable whatever becomes of its name, as an inode does, and
// is safe for concurrent use but for Read and Write, which share a position.
type file struct {
	fs   *FS
	n    *node
	name string
	pos  int // of Read and Write
}

var _ vfs.File = (*file)(nil)

// lock locks the disk and asks for a fault under the file's present name. Unlock
// f.fs.mu in any case.
func (f *file) lock(op string) error {
	f.fs.mu.Lock()
	return f.fs.askLocked(op, f.n.path)
}

// Close does nothing, never fails and syncs nothing.
func (f *file) Close() error { return nil }

// Read reads at the file's position and moves it.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, int64(f.pos))
	f.pos += n
	if n > 0 {
		err = nil
	}
	return n, err
}

// ReadAt reads what the running system sees, on the disk or not.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.lock("ReadAt"); err != nil {
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

// Write writes at the file's position and moves it.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, int64(f.pos))
	f.pos += n
	return n, err
}

// WriteAt makes the sectors it touches dirty: a power cut may keep any of them
// until they are synced. With a fault it writes the first half, as a disk that
// fills up does; beyond the room of SetFree what fits.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	err := f.lock("WriteAt")
	if f.n.isDir() {
		return 0, &os.PathError{Op: "write", Path: f.n.path, Err: errors.New("is a directory")}
	}
	if err != nil {
		p = p[:len(p)/2]
	} else {
		var n int
		n, err = f.fs.fitLocked(f.n, len(p), off)
		p = p[:n]
	}
	if len(p) > 0 {
		f.n.write(p, int(off))
	}
	return len(p), err
}

// Preallocate and Prefetch do nothing.
func (f *file) Preallocate(_, _ int64) error { return nil }
func (f *file) Prefetch(_, _ int64) error    { return nil }

// Fd returns vfs.InvalidFd: there is no descriptor.
func (f *file) Fd() uintptr { return vfs.InvalidFd }

// Stat tells the size that the running system sees.
func (f *file) Stat() (vfs.FileInfo, error) {
	defer f.fs.mu.Unlock()
	if err := f.lock("Stat"); err != nil {
		return nil, err
	}
	return f.n.info(f.name), nil
}

// Sync and SyncData make the file's bytes and size durable, of a directory the
// names in it. If one fails, the file's dirty sectors count as clean all the same:
// what they hold is lost in a power cut unless it is written again.
func (f *file) Sync() error     { return f.sync("Sync") }
func (f *file) SyncData() error { return f.sync("SyncData") }

// SyncTo promises nothing: its callers must not rely on it.
func (f *file) SyncTo(int64) (fullSync bool, err error) { return false, nil }

func (f *file) sync(op string) error {
	defer f.fs.mu.Unlock()
	err := f.lock(op)
	if f.fs.NoSync {
		return err
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
