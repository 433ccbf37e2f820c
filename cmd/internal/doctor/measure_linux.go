package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// inodesOf returns zeros where the file system has no fixed number of them, or does not tell.
func inodesOf(dir string) (total, free uint64) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0
	}
	return st.Files, st.Ffree
}

// mountOf finds the mount that dir is on.
func mountOf(dir string) (*mount, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return findMount(f, real)
}

// findMount reads proc_pid_mountinfo(5). Of two mounts at one point the later one is seen.
func findMount(r io.Reader, path string) (found *mount, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		m := &mount{point: unescape(left[4]), fsType: right[0], source: unescape(right[1])}
		if !within(path, m.point) || found != nil && len(m.point) < len(found.point) {
			continue
		}
		m.options = append(strings.Split(left[5], ","), strings.Split(right[2], ",")...)
		found = m
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("no mount is known for %s", path)
	}
	return found, nil
}

func within(path, point string) bool {
	return point == "/" || path == point || strings.HasPrefix(path, point+"/")
}

// unescape undoes \040 and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// deviceOf finds the disk below a mount that has one.
func deviceOf(m *mount) (*device, error) {
	info, err := os.Stat(m.source)
	if err != nil || info.Mode()&fs.ModeDevice == 0 {
		return nil, fmt.Errorf("%s is no device", m.source)
	}
	var st unix.Stat_t
	if err := unix.Stat(m.source, &st); err != nil {
		return nil, err
	}
	return readDevice(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))))
}

// readDevice reads what sysfs tells of a disk, or of the disk that a partition is on.
func readDevice(sys string) (*device, error) {
	dir, err := filepath.EvalSymlinks(sys)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "queue")); errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Dir(dir)
	}
	rotational, err := os.ReadFile(filepath.Join(dir, "queue", "rotational"))
	if err != nil {
		return nil, err
	}
	cache, _ := os.ReadFile(filepath.Join(dir, "queue", "write_cache")) // not every kernel has it
	return &device{
		name:       filepath.Base(dir),
		virtual:    strings.Contains(dir, "/virtio") || strings.Contains(dir, "/virtual/") || strings.Contains(dir, "/vbd-"),
		rotational: strings.TrimSpace(string(rotational)) == "1",
		writeCache: strings.TrimSpace(string(cache)),
	}, nil
}

// clockState asks the kernel whether something keeps the wall clock.
func clockState() (s syncState, err error) {
	var t unix.Timex // modes 0: nothing is set
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return s, err
	}
	s.synced = state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	s.most = time.Duration(t.Maxerror) * time.Microsecond
	return s, nil
}

func physicalMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// kernelSetting reads a file of /proc/sys or /sys.
func kernelSetting(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}
