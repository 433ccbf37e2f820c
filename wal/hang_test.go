package wal

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// hangFS is a disk that can be made not to answer: an operation for which hang
// returns a gate when it begins waits until that is closed.
type hangFS struct {
	vfs.FS
	hang    atomic.Pointer[func(op, name string) (gate <-chan struct{})]
	waiting chan string // receives the name of each operation that begins to wait
}

func newHangFS(fs vfs.FS) *hangFS { return &hangFS{FS: fs, waiting: make(chan string, 16)} }

// hangOn makes operations of this kind wait, on files whose name ends so, until
// the function it returns is called. Earlier ones that wait are not released.
func (f *hangFS) hangOn(op, suffix string) (release func()) {
	gate := make(chan struct{})
	hang := func(o, name string) <-chan struct{} {
		if o == op && strings.HasSuffix(name, suffix) {
			return gate
		}
		return nil
	}
	f.hang.Store(&hang)
	return sync.OnceFunc(func() {
		f.hang.CompareAndSwap(&hang, nil)
		close(gate)
	})
}

func (f *hangFS) ask(op, name string) {
	hang := f.hang.Load()
	if hang == nil {
		return
	}
	if gate := (*hang)(op, name); gate != nil {
		f.waiting <- op + " " + name
		<-gate
	}
}

func (f *hangFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, opts...)
	if err != nil {
		return nil, err
	}
	return &hangFile{File: file, fs: f, name: name}, nil
}

func (f *hangFS) Rename(from, to string) error {
	f.ask("Rename", to)
	return f.FS.Rename(from, to)
}

// hangFile keeps the name it was opened under.
type hangFile struct {
	vfs.File
	fs   *hangFS
	name string
}

func (f *hangFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.ask("WriteAt", f.name)
	return f.File.WriteAt(p, off)
}

func (f *hangFile) SyncData() error {
	f.fs.ask("SyncData", f.name)
	return f.File.SyncData()
}
