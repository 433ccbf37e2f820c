package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindMount(t *testing.T) {
	const table = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:26 / /var rw,nosuid shared:2 - tmpfs tmpfs rw,size=1k
31 30 8:1 / /var/lib/my\040data rw,noatime shared:3 master:1 - xfs /dev/sda1 rw,attr2
32 30 8:2 / /var ro - ext4 /dev/sdb1 ro,nobarrier
this is no line
`
	for path, want := range map[string]string{
		"/":                     "ext4 /dev/vda / rw,relatime,rw,discard",
		"/home/x":               "ext4 /dev/vda / rw,relatime,rw,discard",
		"/var/lib/my data/deep": "xfs /dev/sda1 /var/lib/my data rw,noatime,rw,attr2",
		"/var/lib/my data":      "xfs /dev/sda1 /var/lib/my data rw,noatime,rw,attr2",
		"/var/lib/my data2":     "ext4 /dev/sdb1 /var ro,ro,nobarrier", // the later of two at one point
		"/various":              "ext4 /dev/vda / rw,relatime,rw,discard",
	} {
		m, err := findMount(strings.NewReader(table), path)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join([]string{m.fsType, m.source, m.point, strings.Join(m.options, ",")}, " "); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if _, err := findMount(strings.NewReader(""), "/"); err == nil {
		t.Error("a mount is found in an empty table")
	}
	if m, err := mountOf(t.TempDir()); err != nil || m.fsType == "" || !slices.Contains(m.options, "rw") {
		t.Errorf("of this test's directory: %+v, %v", m, err)
	}
}

func TestReadDevice(t *testing.T) {
	sys := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(sys, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("sda/queue/rotational", "1\n")
	write("sda/queue/write_cache", "write back\n")
	write("sda/sda1/partition", "1\n")
	write("nvme0n1/queue/rotational", "0\n")
	write("virtio3/block/vda/queue/rotational", "1\n")
	write("bare/size", "1\n")
	for name, want := range map[string]device{
		"sda":               {name: "sda", rotational: true, writeCache: "write back"},
		"sda/sda1":          {name: "sda", rotational: true, writeCache: "write back"},
		"nvme0n1":           {name: "nvme0n1"},
		"virtio3/block/vda": {name: "vda", rotational: true, virtual: true},
	} {
		if got, err := readDevice(filepath.Join(sys, name)); err != nil || *got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"bare", "none"} {
		if got, err := readDevice(filepath.Join(sys, name)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := deviceOf(&mount{source: "tmpfs"}); err == nil {
		t.Error("tmpfs is a device")
	}
}

// TestMachineTells: what Linux always tells is found on this one.
func TestMachineTells(t *testing.T) {
	if _, err := clockState(); err != nil {
		t.Error(err)
	}
	if physicalMemory() <= 0 {
		t.Error("no memory")
	}
	if s, err := spaceOf(t.TempDir()); err != nil || s.total <= 0 || s.free > s.total {
		t.Errorf("%+v, %v", s, err)
	}
	if text, err := kernelSetting("/proc/sys/net/core/somaxconn"); err != nil || text == "" {
		t.Errorf("%q, %v", text, err)
	}
}
