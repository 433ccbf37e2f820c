package wal

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestAllocatedSpares: while groups are large, spares are allocated: of full size, with all
// their room, reading as zeros. A log that goes through them has what was appended, after a
// restart too. While groups are small they are written.
func TestAllocatedSpares(t *testing.T) {
	if !allocates(t) {
		t.Skip("the file system of the temporary directory does not allocate")
	}
	for _, bulky := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), testDir)
		o := Options{Dir: dir, SegmentSize: 1 << 20, Reserve: 1}
		l := mustOpen(t, o)
		size := 2 << 10
		if bulky {
			size = 4 * bulkyBytes
		}
		var want []entry
		for l.Stats().Rotations < 4 {
			p := bytes.Repeat([]byte{byte(len(want)) | 1}, size)
			lsn, err := l.Append(p)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, entry{lsn, p})
		}
		st := l.Stats()
		if bulky != (st.Allocated > 0) {
			t.Errorf("groups of %d bytes: %d of %d spares were allocated", size, st.Allocated, st.SparesMade)
		}
		mustClose(t, l)
		o.Durable = l.Durable()
		l = mustOpen(t, o)
		if d := diff(replayAll(t, l), want); d != "" {
			t.Error(d)
		}
		mustClose(t, l)
	}
}

// TestAllocateRefused: only a full disk ends the making of a spare. Whatever else a file
// system says of an allocation, the spare is written.
func TestAllocateRefused(t *testing.T) {
	f, err := vfs.Default.OpenReadWrite(os.DevNull, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if ok, err := allocate(f, 1<<20); ok || err != nil {
		t.Errorf("allocated: %v, %v", ok, err)
	}
}

// allocates tells whether the file system of the test allocates, and checks what it gives.
func allocates(t *testing.T) bool {
	t.Helper()
	const size = 1 << 20
	name := filepath.Join(t.TempDir(), "file")
	f, err := vfs.Default.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ok, err := allocate(f, size)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return false
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if room := info.Sys().(*syscall.Stat_t).Blocks * 512; info.Size() != size || room < size {
		t.Errorf("%d bytes with room for %d, want %d", info.Size(), room, size)
	}
	got, err := os.ReadFile(name)
	if err != nil || !allZero(got) {
		t.Errorf("an allocated file does not read as zeros: %v", err)
	}
	return true
}
