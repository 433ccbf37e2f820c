package wal

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const sectorSize = 512

// powerFS is a disk in memory that is as bad as disks are. Pebble's crashable
// MemFS is kinder: its blocks are 4 KiB only, it renames in two steps, and a
// failed sync leaves the data dirty, so that the next one saves it. Here
//
//   - a power cut keeps any subset of the unsynced sectors, grain by grain, and a
//     prefix of the unsynced directory operations, each atomic;
//   - a failed sync marks the pages clean: the cache goes on showing data that
//     will never reach the disk unless written again (as Linux does).
//
// It knows one directory. Only the methods that the log uses are there; the
// embedded FS serves path arithmetic, anything else panics.
type powerFS struct {
	vfs.FS
	noSync bool // syncs lie: for tests of the tests

	mu      sync.Mutex
	fault   func(op string) error // asked before each operation, if set
	names   map[string]*inode
	durable map[string]*inode
	pending []func(map[string]*inode) // directory operations not synced
}

type inode struct {
	cache, disk []byte
	dirty       map[int]bool // sectors of cache that a sync would write
}

func newPowerFS() *powerFS {
	return &powerFS{FS: vfs.NewMem(), names: map[string]*inode{}, durable: map[string]*inode{}}
}

// cut returns the disk after a power cut now: of every grain bytes, and of the
// directory operations, percent in a hundred survive.
func (p *powerFS) cut(rng *rand.Rand, percent, grain int) *powerFS {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := newPowerFS()
	q.noSync = p.noSync
	names := maps.Clone(p.durable)
	for _, op := range p.pending {
		if rng.IntN(100) >= percent {
			break
		}
		op(names)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		disk := names[name].survivors(rng, percent, grain)
		q.names[name] = &inode{cache: slices.Clone(disk), disk: disk, dirty: map[int]bool{}}
	}
	q.durable = maps.Clone(q.names)
	return q
}

// survivors returns what is on the disk after a power cut.
func (n *inode) survivors(rng *rand.Rand, percent, grain int) []byte {
	disk := slices.Clone(n.disk)
	for off := 0; off < len(n.cache); off += grain {
		keep := rng.IntN(100) < percent
		for o := off; keep && o < min(off+grain, len(n.cache)); o += sectorSize {
			if n.dirty[o/sectorSize] {
				disk = writeBytes(disk, n.cache[o:min(o+sectorSize, len(n.cache))], o)
			}
		}
	}
	return disk
}

func writeBytes(dst, src []byte, off int) []byte {
	if grow := off + len(src) - len(dst); grow > 0 {
		dst = append(dst, make([]byte, grow)...)
	}
	copy(dst[off:], src)
	return dst
}

// ask locks and asks for a fault. Unlock in any case.
func (p *powerFS) ask(op string) error {
	p.mu.Lock()
	if p.fault != nil {
		return p.fault(op)
	}
	return nil
}

func (p *powerFS) setFault(fault func(op string) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

func (p *powerFS) change(op func(map[string]*inode)) {
	op(p.names)
	p.pending = append(p.pending, op)
}

func base(path string) string { return path[len(testDir)+1:] }

func (p *powerFS) MkdirAll(string, os.FileMode) error { return nil }

func (p *powerFS) OpenDir(path string) (vfs.File, error) {
	defer p.mu.Unlock()
	if err := p.ask("opendir"); err != nil {
		return nil, err
	}
	return &powerDir{fs: p, real: path == testDir}, nil
}

func (p *powerFS) List(string) ([]string, error) {
	defer p.mu.Unlock()
	if err := p.ask("list"); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(p.names)), nil
}

func (p *powerFS) OpenReadWrite(path string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	defer p.mu.Unlock()
	if err := p.ask("create"); err != nil {
		return nil, err
	}
	if p.names[base(path)] == nil {
		n := &inode{dirty: map[int]bool{}}
		p.change(func(names map[string]*inode) { names[base(path)] = n })
	}
	return &powerFile{fs: p, n: p.names[base(path)]}, nil
}

func (p *powerFS) Open(path string, _ ...vfs.OpenOption) (vfs.File, error) {
	defer p.mu.Unlock()
	if err := p.ask("open"); err != nil {
		return nil, err
	}
	n := p.names[base(path)]
	if n == nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return &powerFile{fs: p, n: n}, nil
}

func (p *powerFS) Stat(path string) (vfs.FileInfo, error) {
	f, err := p.Open(path)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

func (p *powerFS) Remove(path string) error {
	defer p.mu.Unlock()
	if err := p.ask("remove"); err != nil {
		return err
	}
	p.change(func(names map[string]*inode) { delete(names, base(path)) })
	return nil
}

func (p *powerFS) Rename(from, to string) error {
	defer p.mu.Unlock()
	if err := p.ask("rename"); err != nil {
		return err
	}
	n := p.names[base(from)]
	p.change(func(names map[string]*inode) {
		delete(names, base(from))
		names[base(to)] = n
	})
	return nil
}

type powerDir struct {
	vfs.File
	fs   *powerFS
	real bool
}

func (d *powerDir) Close() error { return nil }

func (d *powerDir) Sync() error {
	defer d.fs.mu.Unlock()
	if err := d.fs.ask("syncdir"); err != nil || !d.real || d.fs.noSync {
		return err
	}
	d.fs.durable, d.fs.pending = maps.Clone(d.fs.names), nil
	return nil
}

type powerFile struct {
	vfs.File
	fs *powerFS
	n  *inode
}

func (f *powerFile) Close() error { return nil }
func (f *powerFile) Fd() uintptr  { return vfs.InvalidFd }

func (f *powerFile) ReadAt(b []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.fs.ask("read"); err != nil {
		return 0, err
	}
	if off >= int64(len(f.n.cache)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.cache[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt may fail half-way, as writes do.
func (f *powerFile) WriteAt(b []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	err := f.fs.ask("write")
	if err != nil {
		b = b[:len(b)/2]
	}
	f.n.cache = writeBytes(f.n.cache, b, int(off))
	for s := int(off) / sectorSize; s*sectorSize < int(off)+len(b); s++ {
		f.n.dirty[s] = true
	}
	return len(b), err
}

func (f *powerFile) SyncData() error { return f.sync() }
func (f *powerFile) Sync() error     { return f.sync() }

func (f *powerFile) sync() error {
	defer f.fs.mu.Unlock()
	err := f.fs.ask("sync")
	if f.fs.noSync {
		return err
	}
	if err == nil {
		for s := range f.n.dirty {
			off := s * sectorSize
			f.n.disk = writeBytes(f.n.disk, f.n.cache[off:min(off+sectorSize, len(f.n.cache))], off)
		}
	}
	clear(f.n.dirty)
	return err
}

func (f *powerFile) Stat() (vfs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return sizeInfo(len(f.n.cache)), nil
}

// sizeInfo is a FileInfo that knows a size only.
type sizeInfo int64

func (s sizeInfo) Size() int64          { return int64(s) }
func (sizeInfo) Name() string           { return "" }
func (sizeInfo) Mode() fs.FileMode      { return 0o600 }
func (sizeInfo) ModTime() time.Time     { return time.Time{} }
func (sizeInfo) IsDir() bool            { return false }
func (sizeInfo) Sys() any               { return nil }
func (sizeInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

var errPowerOff = errors.New("the power is off")
