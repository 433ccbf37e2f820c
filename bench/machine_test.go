package bench

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestFindMount(t *testing.T) {
	const info = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 27 254:1 / /data rw - xfs /dev/vdb1 rw
31 30 0:40 / /data/a\040b rw - tmpfs tmpfs rw
32 27 7:1 / /data rw - ext4 /dev/loop1 rw
a line that is none
`
	for path, want := range map[string]mount{
		"/home/x":    {"254:0", "ext4", "/dev/root"},
		"/data":      {"7:1", "ext4", "/dev/loop1"}, // covers the one before
		"/data/a":    {"7:1", "ext4", "/dev/loop1"},
		"/data/a b":  {"0:40", "tmpfs", "tmpfs"},
		"/data/a bc": {"7:1", "ext4", "/dev/loop1"},
		"/database":  {"254:0", "ext4", "/dev/root"},
	} {
		if got, ok := findMount([]byte(info), path); !ok || got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	if _, ok := findMount(nil, "/"); ok {
		t.Error("a mount where there is none")
	}
}

func TestDeviceKind(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("vda/queue/rotational", "1\n")
	write("vda/queue/write_cache", "write back\n")
	write("vda/vda1/partition", "1\n")
	write("sda/queue/rotational", "1\n")
	write("sdb/queue/rotational", "0\n")
	write("sdb/queue/write_cache", "write through\n")
	write("nvme0n1/queue/rotational", "0\n")
	for device, want := range map[string]string{
		"vda":      "virtual disk, write back",
		"vda/vda1": "virtual disk, write back",
		"sda":      "rotating disk",
		"sdb":      "SSD, write through",
		"nvme0n1":  "NVMe",
		"none":     "",
	} {
		if got := deviceKind(filepath.Join(root, device)); got != want {
			t.Errorf("%s: %q, want %q", device, got, want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	m := readMachine(&Setting{Data: t.TempDir()})
	if m.Kernel == "" || m.Memory < 1<<20 || m.Go != runtime.Version() || m.FileSystem == "" {
		t.Fatalf("%+v", m)
	}
	if m := readMachine(&Setting{}); m.FileSystem != "" || m.Disk != "" {
		t.Fatalf("a disk that nobody named: %+v", m)
	}
}

// What a process writes counts for its side, also between its rounds; what a process of
// before wrote does not.
func TestWrites(t *testing.T) {
	if _, ok := writtenBytes(os.Getpid()); !ok {
		t.Skip("no /proc/self/io")
	}
	f, err := os.Create(filepath.Join(".", "written.tmp")) // on a disk, as os.TempDir may not be
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	write := func() {
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	var w writes
	write() // before the first round
	w.look(os.Getpid())
	write()
	w.round(os.Getpid(), 2)
	if w.total == 0 {
		t.Skip("this file system does not count what is written")
	}
	write() // between rounds: the next one's
	w.look(os.Getpid())
	write()
	w.round(os.Getpid(), 1)
	// Other tests of this process may write beside it, and so more is no error.
	if w.total < 3<<20 || len(w.each) != 2 || w.each[0] < 1<<19 || w.each[1] < 2<<20 {
		t.Fatalf("%+v", w)
	}
	other := writes{pid: os.Getpid() + 1, known: true}
	if other.look(os.Getpid()); other.total != 0 {
		t.Fatalf("another process wrote %d", other.total)
	}
}
