package wal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// alignFile refuses direct writes from the given one on, as a file system does that wants
// them aligned otherwise.
type alignFile struct {
	vfs.File
	left int
	err  error
}

func (f *alignFile) WriteAt(p []byte, off int64) (int, error) {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return 0, err
	}
	if f.left--; flags&unix.O_DIRECT != 0 && f.left < 0 {
		return 0, f.err
	}
	return f.File.WriteAt(p, off)
}

// TestZeroFillDirect: a file system that refuses direct writes, with the first one or a
// later one, gets them through the page cache; what else fails is told. No later write is
// a direct one.
func TestZeroFillDirect(t *testing.T) {
	const size = 3*spareChunk + 4096
	for _, tc := range []struct {
		left int
		err  error
		want error
	}{
		{left: 9},
		{left: 0, err: &os.PathError{Op: "write", Err: syscall.EINVAL}},
		{left: 2, err: &os.PathError{Op: "write", Err: syscall.EINVAL}},
		{left: 0, err: syscall.ENOSPC, want: syscall.ENOSPC},
		{left: 2, err: syscall.ENOSPC, want: syscall.ENOSPC},
	} {
		f, err := vfs.Default.OpenReadWrite(filepath.Join(t.TempDir(), "spare"), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		undo, ok := writeDirect(f)
		if !ok {
			t.Skip("no direct writes here")
		}
		if err := undo(); err != nil {
			t.Fatal(err)
		}
		if err := zeroFill(&alignFile{f, tc.left, tc.err}, size, nil); !errors.Is(err, tc.want) {
			t.Errorf("%v after %d writes: %v", tc.err, tc.left, err)
			continue
		}
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_DIRECT != 0 {
			t.Errorf("%v after %d writes: flags are left %#x, %v", tc.err, tc.left, flags, err)
		}
		if info, err := f.Stat(); tc.want == nil && (err != nil || info.Size() != size) {
			t.Errorf("%v after %d writes: %v bytes, %v", tc.err, tc.left, info.Size(), err)
		}
	}
}
