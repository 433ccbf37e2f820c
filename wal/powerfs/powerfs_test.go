package powerfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// create makes an empty file.
func create(t *testing.T, f *FS, name string) vfs.File {
	t.Helper()
	file, err := f.Create(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	return file
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file vfs.File, off int, p []byte) {
	t.Helper()
	if _, err := file.WriteAt(p, int64(off)); err != nil {
		t.Fatal(err)
	}
}

// syncDir makes the names in a directory durable.
func syncDir(t *testing.T, f *FS, name string) {
	t.Helper()
	d, err := f.OpenDir(name)
	must(t, err)
	must(t, d.Sync())
}

// content returns what a file holds, nil if there is none.
func content(t *testing.T, f *FS, name string) []byte {
	t.Helper()
	file, err := f.Open(name)
	if oserror.IsNotExist(err) {
		return nil
	}
	must(t, err)
	p, err := io.ReadAll(file)
	must(t, err)
	return append([]byte{}, p...)
}

// sectors returns n sectors, each filled with its number and a tag.
func sectors(n int, tag byte) []byte {
	p := make([]byte, 0, n*sector)
	for i := range n {
		p = append(p, bytes.Repeat([]byte{tag + byte(i)}, sector)...)
	}
	return p
}

// TestFailedSyncLosesData writes, fails the sync, syncs again: the running system
// sees the data, the disk has them only where they were written again.
func TestFailedSyncLosesData(t *testing.T) {
	for _, op := range []string{"Sync", "SyncData"} {
		f := New()
		file := create(t, f, "x")
		syncDir(t, f, "/")
		want := sectors(4, 'a')
		write(t, file, 0, want)
		f.SetFault(func(o, name string) error {
			if o == op && name == "x" {
				return errors.New("injected")
			}
			return nil
		})
		syncs := map[string]func() error{"Sync": file.Sync, "SyncData": file.SyncData}
		if syncs[op]() == nil {
			t.Fatalf("%s did not fail", op)
		}
		f.SetFault(nil)
		must(t, syncs[op]())
		if got := content(t, f, "x"); !bytes.Equal(got, want) {
			t.Fatalf("%s: the running system reads %d bytes that differ", op, len(got))
		}
		if got := content(t, f.Cut(1, 100, sector), "x"); len(got) != 0 {
			t.Fatalf("%s: %d bytes survived a failed sync", op, len(got))
		}
		write(t, file, sector, want[sector:2*sector])
		must(t, file.Sync())
		again := append(make([]byte, sector), want[sector:2*sector]...)
		if got := content(t, f.Cut(1, 0, sector), "x"); !bytes.Equal(got, again) {
			t.Fatalf("%s: of what was written again %d bytes survived, or others", op, len(got))
		}
	}
}

// TestCutKeepsSectors overwrites a file without a sync: each grain survives or
// not as a whole, at one half some do and some do not, what was synced stays.
func TestCutKeepsSectors(t *testing.T) {
	const n = 64
	f := New()
	file := create(t, f, "x")
	syncDir(t, f, "/")
	old, fresh := sectors(n, 0), sectors(n, 100)
	write(t, file, 0, old)
	must(t, file.SyncData())
	write(t, file, 0, fresh)
	for _, grain := range []int{512, 4096} {
		for percent, want := range map[int]func(kept int) bool{
			0:   func(kept int) bool { return kept == 0 },
			50:  func(kept int) bool { return kept > 0 && kept < n*sector/grain },
			100: func(kept int) bool { return kept == n*sector/grain },
		} {
			got := content(t, f.Cut(7, percent, grain), "x")
			kept := 0
			for off := 0; off < len(old); off += grain {
				switch g := got[off : off+grain]; {
				case bytes.Equal(g, fresh[off:off+grain]):
					kept++
				case !bytes.Equal(g, old[off:off+grain]):
					t.Fatalf("the grain of %d at %d is neither old nor new", grain, off)
				}
			}
			if !want(kept) {
				t.Errorf("%d percent, grain %d: %d of %d grains kept", percent, grain, kept, n*sector/grain)
			}
		}
	}
}

// TestCutKeepsPrefixOfNames creates, renames and removes without a sync of the
// directory: what a cut leaves is one of the states it went through, in which a
// rename is whole.
func TestCutKeepsPrefixOfNames(t *testing.T) {
	f := New()
	create(t, f, "a")
	syncDir(t, f, "/")
	var states []string
	list := func(f *FS) string {
		names, err := f.List("/")
		must(t, err)
		return strings.Join(names, " ")
	}
	states = append(states, list(f))
	for _, step := range []func() error{
		func() error { create(t, f, "b"); return nil },
		func() error { return f.Rename("a", "c") },
		func() error { return f.Remove("b") },
		func() error { return f.Rename("c", "b") },
		func() error { return f.MkdirAll("d/e", 0o755) },
	} {
		must(t, step())
		states = append(states, list(f))
	}
	seen := map[string]bool{}
	for seed := range uint64(300) {
		got := list(f.Cut(seed, 70, sector))
		if !slices.Contains(states, got) {
			t.Fatalf("seed %d: %q is none of %q", seed, got, states)
		}
		seen[got] = true
	}
	if len(seen) != len(states) {
		t.Errorf("of %d states %d were seen", len(states), len(seen))
	}
}

// TestRenameIsAtomic replaces one file by another: either the old or the new one
// has the name, never none.
func TestRenameIsAtomic(t *testing.T) {
	f := New()
	for _, name := range []string{"old", "new"} {
		file := create(t, f, name)
		write(t, file, 0, []byte(name))
		must(t, file.Sync())
	}
	syncDir(t, f, "/")
	must(t, f.Rename("new", "old"))
	seen := map[string]bool{}
	for seed := range uint64(100) {
		q := f.Cut(seed, 50, sector)
		got := fmt.Sprintf("old=%s new=%s", content(t, q, "old"), content(t, q, "new"))
		if got != "old=old new=new" && got != "old=new new=" {
			t.Fatalf("seed %d: %s", seed, got)
		}
		seen[got] = true
	}
	if len(seen) != 2 {
		t.Errorf("seen: %v", seen)
	}
	syncDir(t, f, "/")
	if got := string(content(t, f.Cut(1, 0, sector), "old")); got != "new" {
		t.Errorf("after a sync of the directory: %q", got)
	}
}

// TestSameSeedSameOutcome cuts the same disk twice, also beside other files, and
// once with another seed.
func TestSameSeedSameOutcome(t *testing.T) {
	build := func(others int) *FS {
		f := New()
		for i := range others {
			write(t, create(t, f, fmt.Sprint("other", i)), 0, sectors(3, 1))
		}
		must(t, f.MkdirAll("d", 0o755))
		write(t, create(t, f, "d/x"), 0, sectors(64, 0))
		syncDir(t, f, "/")
		syncDir(t, f, "d")
		return f
	}
	a := content(t, build(0).Cut(3, 50, sector), "d/x")
	if b := content(t, build(5).Cut(3, 50, sector), "d/x"); !bytes.Equal(a, b) {
		t.Error("the same seed gave another outcome")
	}
	if b := content(t, build(0).Cut(4, 50, sector), "d/x"); bytes.Equal(a, b) {
		t.Error("another seed gave the same outcome")
	}
}

// TestFaults fails a write, which gets half-way, under the file's present name,
// and a sync of a directory, which loses nothing.
func TestFaults(t *testing.T) {
	f := New()
	file := create(t, f, "x")
	must(t, f.Rename("x", "y"))
	var asked []string
	f.SetFault(func(op, name string) error {
		asked = append(asked, op+" "+name)
		if op == "Open" {
			return nil
		}
		return errors.New("injected")
	})
	if n, err := file.WriteAt(sectors(4, 1), 0); n != 2*sector || err == nil {
		t.Errorf("WriteAt: %d, %v", n, err)
	}
	d, err := f.OpenDir("/")
	must(t, err)
	if d.Sync() == nil {
		t.Error("the directory was synced")
	}
	if want := []string{"WriteAt y", "Open /", "Sync /"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	f.SetFault(nil)
	must(t, d.Sync())
	must(t, file.Sync())
	if got := content(t, f.Cut(1, 0, sector), "y"); !bytes.Equal(got, sectors(2, 1)) {
		t.Errorf("%d bytes survived", len(got))
	}
}

// TestNoSync has syncs that lie.
func TestNoSync(t *testing.T) {
	f := New()
	f.NoSync = true
	write(t, create(t, f, "x"), 0, sectors(1, 1))
	syncDir(t, f, "/")
	q := f.Cut(1, 0, sector)
	if names, err := q.List("/"); err != nil || len(names) > 0 {
		t.Errorf("%q survived, %v", names, err)
	}
	if !q.NoSync {
		t.Error("the disk became honest")
	}
}

// TestCapacity fills a disk to the last byte, and makes room by a rename and a
// removal.
func TestCapacity(t *testing.T) {
	f := New()
	f.Capacity = 1000
	a, b := create(t, f, "a"), create(t, f, "b")
	write(t, a, 0, make([]byte, 600))
	n, err := b.WriteAt(make([]byte, 600), 0)
	if n != 400 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("wrote %d bytes, %v; want 400 and ENOSPC", n, err)
	}
	write(t, a, 0, make([]byte, 600)) // over what is there: needs no room
	if n, err := b.WriteAt([]byte{1}, 400); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("wrote %d bytes, %v", n, err)
	}
	must(t, f.Rename("b", "a")) // the old a is gone
	write(t, b, 400, make([]byte, 600))
	must(t, f.Remove("a"))
	write(t, create(t, f, "c"), 0, make([]byte, 1000))
}

// TestCutShares: a disk and what was cut from it share memory until one of them
// writes, and never notice.
func TestCutShares(t *testing.T) {
	f := New()
	old := create(t, f, "a")
	write(t, old, 0, sectors(4, 'a'))
	must(t, old.Sync())
	syncDir(t, f, "/")
	one, two := f.Cut(1, 0, 512), f.Cut(2, 0, 512)
	disks := map[string]*FS{"a": f, "b": one, "c": two, "d": two.Cut(3, 0, 512)}
	for tag, disk := range disks {
		file, err := disk.OpenReadWrite("a", vfs.WriteCategoryUnspecified)
		must(t, err)
		write(t, file, 512, sectors(1, tag[0]))
		if tag != "a" { // of "a" the cache is changed and not the disk
			must(t, file.Sync())
		}
	}
	for tag, disk := range disks {
		want := append(append(sectors(4, 'a')[:512:512], sectors(1, tag[0])...), sectors(4, 'a')[1024:]...)
		if got := content(t, disk, "a"); !bytes.Equal(got, want) {
			t.Errorf("disk %s holds what another wrote", tag)
		}
		if tag == "a" {
			want = sectors(4, 'a')
		}
		if got := content(t, disk.Cut(4, 0, 512), "a"); !bytes.Equal(got, want) {
			t.Errorf("disk %s, cut: it holds what another wrote", tag)
		}
	}
}
