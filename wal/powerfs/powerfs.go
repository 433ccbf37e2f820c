// Package powerfs is a disk in memory that is as bad as disks are, for tests: a
// vfs.FS whose power can be cut at any moment.
//
//	disk := powerfs.New()
//	...                                   // run a log and an index on it
//	disk = disk.Cut(seed, 50, 512)        // what a power cut now leaves
//
// Pebble's own crashable file system is kinder and not repeatable: its grain is
// 4 KiB only and it draws chance in map order. Here, from one seed,
//
//   - of the data that was not synced any subset survives, grain by grain;
//   - of the names that were not synced (created, renamed, removed) a prefix
//     survives in each directory, each change whole;
//   - a write that fails may have written its first half;
//   - a sync that fails leaves its pages clean: reads go on showing data that
//     never reaches the disk unless it is written again, as Linux does.
//
// A file's size is no more durable than its bytes: it reaches as far as the last
// sector that survived. A failed sync of a directory loses nothing: a journal
// that cannot be written stops the file system, it does not forget.
//
// What Cut returns is a disk of its own: what still runs on the old one cannot
// touch it.
package powerfs

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the disk. It is safe for concurrent use.
type FS struct {
	mu    sync.Mutex
	root  *node
	locks map[string]bool

	bounded bool  // by SetFree, to
	size    int64 // bytes in all files

	// NoSync makes syncs lie: they report success and do nothing. Set it before
	// use; a test that then still passes tests nothing.
	NoSync bool
	// Keep, if set, says of which files a Remove is ignored: Pebble removes files
	// from a goroutine of its own, whose timing no seed decides. Set it before use.
	Keep func(name string) bool
	// Fault, if set, is asked before each operation and fails it with the error it
	// returns. Operations bear the names of the methods of vfs.FS and vfs.File, but
	// that OpenReadWrite is a Create or an Open and OpenDir is an Open; files bear
	// the name they have now, not the one they were opened under. It is called with the disk locked, so it must not use the disk. Set it before use,
	// or with SetFault.
	Fault func(op, name string) error
}

// New returns an empty disk.
func New() *FS { return &FS{root: newDir(), locks: map[string]bool{}} }

var _ vfs.FS = (*FS)(nil)

// SetFault replaces Fault while the disk is in use; nil: nothing fails.
func (f *FS) SetFault(fault func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Fault = fault
}

func split(name string) []string {
	return strings.FieldsFunc(path.Clean("/"+name), func(r rune) bool { return r == '/' })
}

// find returns a node, nil if there is none. The disk must be locked.
func (f *FS) find(name string) *node {
	n := f.root
	for _, part := range split(name) {
		if n == nil || !n.isDir() {
			return nil
		}
		n = n.names[part]
	}
	return n
}

// parent returns the directory that holds name, and the last part of it.
func (f *FS) parent(op, name string) (*node, string, error) {
	d := f.find(path.Dir(path.Clean("/" + name)))
	if d == nil || !d.isDir() {
		return nil, "", notExist(op, name)
	}
	return d, path.Base(name), nil
}

func notExist(op, name string) error {
	return &os.PathError{Op: op, Path: name, Err: oserror.ErrNotExist}
}

// lock locks the disk and asks for a fault. Unlock in any case.
func (f *FS) lock(op, name string) error {
	f.mu.Lock()
	return f.askLocked(op, name)
}

func (f *FS) askLocked(op, name string) error {
	if f.Fault != nil {
		return f.Fault(op, name)
	}
	return nil
}

// Create makes an empty file, in place of any other of that name.
func (f *FS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.createLocked(name)
}

func (f *FS) createLocked(name string) (vfs.File, error) {
	if err := f.askLocked("Create", name); err != nil {
		return nil, err
	}
	d, base, err := f.parent("create", name)
	if err != nil {
		return nil, err
	}
	if d.names[base] == nil && !f.hasRoomLocked() {
		return nil, noSpace("create", name)
	}
	n := &node{path: name}
	d.apply(func(names map[string]*node) { names[base] = n })
	return &file{fs: f, n: n, name: base}, nil
}

// Link gives a file a second name.
func (f *FS) Link(oldname, newname string) error {
	defer f.mu.Unlock()
	if err := f.lock("Link", newname); err != nil {
		return err
	}
	n := f.find(oldname)
	d, base, err := f.parent("link", newname)
	switch {
	case err != nil:
		return err
	case n == nil:
		return notExist("link", oldname)
	case d.names[base] != nil:
		return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: oserror.ErrExist}
	}
	d.apply(func(names map[string]*node) { names[base] = n })
	return nil
}

// Open opens a file or directory for reading.
func (f *FS) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.openLocked(name)
}

func (f *FS) openLocked(name string) (vfs.File, error) {
	if err := f.askLocked("Open", name); err != nil {
		return nil, err
	}
	n := f.find(name)
	if n == nil {
		return nil, notExist("open", name)
	}
	n.path = name
	return &file{fs: f, n: n, name: path.Base(name)}, nil
}

// OpenReadWrite opens a file, creating it if there is none.
func (f *FS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.find(name) == nil {
		return f.createLocked(name)
	}
	return f.openLocked(name)
}

// OpenDir opens a directory, to be synced.
func (f *FS) OpenDir(name string) (vfs.File, error) { return f.Open(name) }

// Remove removes a file or an empty directory.
func (f *FS) Remove(name string) error {
	defer f.mu.Unlock()
	if err := f.lock("Remove", name); err != nil {
		return err
	}
	if f.Keep != nil && f.Keep(name) {
		return nil
	}
	d, base, err := f.parent("remove", name)
	if err != nil {
		return err
	}
	n := d.names[base]
	if n == nil {
		return notExist("remove", name)
	}
	if n.isDir() && len(n.names) > 0 {
		return &os.PathError{Op: "remove", Path: name, Err: fmt.Errorf("directory not empty")}
	}
	d.apply(func(names map[string]*node) { delete(names, base) })
	return nil
}

// RemoveAll removes a name and everything below it.
func (f *FS) RemoveAll(name string) error {
	defer f.mu.Unlock()
	if err := f.lock("RemoveAll", name); err != nil {
		return err
	}
	if d, base, err := f.parent("remove", name); err == nil && d.names[base] != nil {
		d.apply(func(names map[string]*node) { delete(names, base) })
	}
	return nil
}

// Rename moves a file, in place of any other of the new name, in one change of
// its directory.
func (f *FS) Rename(oldname, newname string) error {
	defer f.mu.Unlock()
	if err := f.lock("Rename", newname); err != nil {
		return err
	}
	from, oldBase, err := f.parent("rename", oldname)
	if err != nil {
		return err
	}
	to, newBase, err := f.parent("rename", newname)
	if err != nil {
		return err
	}
	n := from.names[oldBase]
	switch {
	case n == nil:
		return notExist("rename", oldname)
	case from != to:
		return fmt.Errorf("powerfs: rename %s to %s: across directories is not supported", oldname, newname)
	}
	to.apply(func(names map[string]*node) {
		delete(names, oldBase)
		names[newBase] = n
	})
	n.path = newname
	return nil
}

// ReuseForWrite renames a file and opens it for writing from its start.
func (f *FS) ReuseForWrite(oldname, newname string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return f.Open(newname)
}

// MkdirAll makes a directory and those above it.
func (f *FS) MkdirAll(name string, _ os.FileMode) error {
	defer f.mu.Unlock()
	if err := f.lock("MkdirAll", name); err != nil {
		return err
	}
	n := f.root
	for _, part := range split(name) {
		next := n.names[part]
		if next == nil {
			next = newDir()
			n.apply(func(names map[string]*node) { names[part] = next })
		}
		if !next.isDir() {
			return &os.PathError{Op: "mkdir", Path: name, Err: oserror.ErrExist}
		}
		n = next
	}
	return nil
}

// Lock takes the advisory lock of a name until the closer is closed.
func (f *FS) Lock(name string) (io.Closer, error) {
	file, err := f.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locks[name] {
		return nil, fmt.Errorf("lock %s: held by this process", name)
	}
	f.locks[name] = true
	return &lockCloser{f, name, file}, nil
}

type lockCloser struct {
	fs   *FS
	name string
	file vfs.File
}

func (l *lockCloser) Close() error {
	l.fs.mu.Lock()
	delete(l.fs.locks, l.name)
	l.fs.mu.Unlock()
	return l.file.Close()
}

// List returns the names in a directory, sorted.
func (f *FS) List(name string) ([]string, error) {
	defer f.mu.Unlock()
	if err := f.lock("List", name); err != nil {
		return nil, err
	}
	n := f.find(name)
	if n == nil || !n.isDir() {
		return nil, notExist("list", name)
	}
	return sortedNames(n.names), nil
}

func sortedNames(names map[string]*node) []string {
	out := make([]string, 0, len(names))
	for name := range names {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Stat describes a file or directory.
func (f *FS) Stat(name string) (vfs.FileInfo, error) {
	defer f.mu.Unlock()
	if err := f.lock("Stat", name); err != nil {
		return nil, err
	}
	n := f.find(name)
	if n == nil {
		return nil, notExist("stat", name)
	}
	return n.info(path.Base(name)), nil
}

// PathBase, PathJoin and PathDir treat paths as slash-separated.
func (f *FS) PathBase(name string) string    { return path.Base(name) }
func (f *FS) PathJoin(elem ...string) string { return path.Join(elem...) }
func (f *FS) PathDir(name string) string     { return path.Dir(name) }

// Unwrap returns nil: there is no file system below.
func (f *FS) Unwrap() vfs.FS { return nil }

var _ fs.FileInfo = info{}
