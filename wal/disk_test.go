package wal

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tidemill/tidemill/wal/powerfs"
)

var (
	errInjected = errors.New("injected")
	errPowerOff = errors.New("the power is off")
)

// failSyncs is a fault that fails every sync.
func failSyncs(op, _ string) error {
	if isSync(op) {
		return errInjected
	}
	return nil
}

func isSync(op string) bool { return op == "Sync" || op == "SyncData" }

// files are a log's files, by name.
type files map[string][]byte

// load copies the log's segments from a disk.
func load(t testing.TB, disk *powerfs.FS) files {
	t.Helper()
	fs := files{}
	for _, name := range segmentNames(t, disk) {
		fs[name] = readFile(t, disk, name)
	}
	return fs
}

func readFile(t testing.TB, disk *powerfs.FS, name string) []byte {
	t.Helper()
	f, err := disk.Open(path.Join(testDir, name))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// store makes a disk that holds these files.
func (fs files) store(t testing.TB) *powerfs.FS {
	t.Helper()
	disk := powerfs.New()
	if err := disk.MkdirAll(testDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range fs {
		f, err := disk.Create(path.Join(testDir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := syncDir(disk, testDir); err != nil {
		t.Fatal(err)
	}
	return disk
}

// poker returns a function that overwrites bytes of a file behind the log's back.
func poker(t testing.TB, disk *powerfs.FS, name string) func(data []byte, off int) {
	t.Helper()
	f, err := disk.OpenReadWrite(path.Join(testDir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	return func(data []byte, off int) {
		if _, err := f.WriteAt(data, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
}

// segmentNames returns the names of the segments in order.
func segmentNames(t testing.TB, disk *powerfs.FS) []string {
	t.Helper()
	names, err := disk.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, segmentSuffix) })
}

// sampleLog returns a disk with a cleanly closed log of a few segments, and what
// it holds. The last segment ends with a mark.
func sampleLog(t testing.TB) (*powerfs.FS, []entry) {
	t.Helper()
	disk := powerfs.New()
	o := smallOptions(disk)
	o.Manual, o.Rand = true, seeded(5)
	var want []entry
	for range 3 {
		l := mustOpen(t, o)
		for i := range 6 {
			p := payload(i * 7)
			lsn, err := l.Append(p)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, entry{lsn, p})
		}
		mustClose(t, l)
	}
	return disk, want
}

// diff names a file in which two sets differ, "" if there is none.
func (fs files) diff(other files) string {
	for name := range other {
		if _, ok := fs[name]; !ok {
			return name
		}
	}
	for name, data := range fs {
		if now, ok := other[name]; !ok || !bytes.Equal(now, data) {
			return name
		}
	}
	return ""
}
