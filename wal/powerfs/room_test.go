package powerfs

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRoom: files grow to the bound and no further, what is overwritten needs no
// room, what is removed gives its own back, and a power cut changes nothing.
func TestRoom(t *testing.T) {
	disk := New()
	a := create(t, disk, "a")
	write(t, a, 0, make([]byte, 1000))
	if _, err := disk.GetDiskUsage("/"); !errors.Is(err, vfs.ErrUnsupported) {
		t.Errorf("the usage of a disk without a size: %v", err)
	}
	disk.SetFree(600)
	write(t, a, 0, make([]byte, 1000))
	write(t, a, 900, make([]byte, 200))
	wantFree(t, disk, 500)

	n, err := a.WriteAt(make([]byte, 800), 1000)
	if n != 600 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d bytes of 800, %v; 100 are there and 500 fit", n, err)
	}
	wantFree(t, disk, 0)
	if _, err := disk.Create("b", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a file was made without room: %v", err)
	}
	must(t, a.Sync())
	syncDir(t, disk, "/")

	disk = disk.Cut(1, 0, 512)
	wantFree(t, disk, 0)
	create(t, disk, "a") // replaces it
	wantFree(t, disk, 1600)
	write(t, create(t, disk, "b"), 0, make([]byte, 1600))
	must(t, disk.Remove("b"))
	wantFree(t, disk, 1600)
	disk.SetFree(-1)
	write(t, create(t, disk, "b"), 0, make([]byte, 2000))
}

func wantFree(t *testing.T, disk *FS, want uint64) {
	t.Helper()
	u, err := disk.GetDiskUsage("/")
	must(t, err)
	if u.AvailBytes != want {
		t.Errorf("%d bytes are free, want %d", u.AvailBytes, want)
	}
}
