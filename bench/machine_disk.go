package bench

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// diskOf is the file system of a directory and the device that it is on, such as "ext4" and
// "vda1 (virtual disk, write back)". Both are empty where there is no /proc/self/mountinfo.
func diskOf(dir string) (fileSystem, disk string) {
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	mounts, err2 := os.ReadFile("/proc/self/mountinfo")
	if err != nil || err2 != nil {
		return "", ""
	}
	m, ok := findMount(mounts, path)
	if !ok {
		return "", ""
	}
	name := strings.TrimPrefix(m.source, "/dev/")
	if m.source == name { // tmpfs, overlay, a network's: no device
		return m.kind, ""
	}
	return m.kind, joinKnown([]string{filepath.Base(name), bracketed(deviceKind("/sys/dev/block/" + m.device))}, " ")
}

func bracketed(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

// mount is a line of mountinfo.
type mount struct{ device, kind, source string }

// findMount finds the mount that a path is on: of those whose place begins it the longest,
// and of several in one place the last, which covers the others. See proc(5).
func findMount(mountinfo []byte, path string) (best mount, found bool) {
	longest := 0
	for lines := bufio.NewScanner(bytes.NewReader(mountinfo)); lines.Scan(); {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 2 {
			continue
		}
		place := unescapeMount.Replace(f[4])
		if len(place) >= longest && isBelow(path, place) {
			longest, found = len(place), true
			best = mount{device: f[2], kind: g[0], source: g[1]}
		}
	}
	return best, found
}

// unescapeMount undoes what mountinfo does to the characters that separate its fields.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func isBelow(path, place string) bool {
	return path == place || place == "/" || strings.HasPrefix(path, place+"/")
}

// deviceKind says what a block device is, by its folder in sysfs: a partition's queue is
// that of the disk around it. What the kernel calls rotational is a guess on a virtual
// disk, so that it is not repeated there.
func deviceKind(sys string) string {
	real, err := filepath.EvalSymlinks(sys)
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(real, "queue")); err != nil {
		real = filepath.Dir(real)
	}
	return joinKnown([]string{
		kindOf(filepath.Base(real), oneLine(filepath.Join(real, "queue/rotational"))),
		oneLine(filepath.Join(real, "queue/write_cache")),
	}, ", ")
}

func kindOf(name, rotational string) string {
	for _, k := range []struct{ prefix, kind string }{
		{"nvme", "NVMe"},
		{"vd", "virtual disk"},
		{"xvd", "virtual disk"},
		{"dm-", "device mapper"},
		{"md", "RAID"},
		{"loop", "loop device"},
		{"zram", "memory"},
		{"ram", "memory"},
	} {
		if strings.HasPrefix(name, k.prefix) {
			return k.kind
		}
	}
	switch rotational {
	case "0":
		return "SSD"
	case "1":
		return "rotating disk"
	}
	return ""
}

// oneLine is what a file of sysfs holds; "" if it cannot be read.
func oneLine(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}
