package bench

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// memory is what a process has in memory now, in bytes.
type memory struct {
	resident int64 // all of it (VmRSS)
	heap     int64 // of it, what is no file's (RssAnon): heap and stacks
}

// memoryOf reads a process's memory by /proc. ok is false where that cannot be told.
func memoryOf(pid int) (m memory, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil || pid <= 0 {
		return m, false
	}
	m.resident, ok = statusBytes(status, "VmRSS:")
	if !ok {
		return m, false
	}
	m.heap, ok = statusBytes(status, "RssAnon:")
	return m, ok
}

// diskUsed adds up the files below a directory, by their lengths. What goes meanwhile is
// not counted.
func diskUsed(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil && path == dir {
			return err
		}
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n, err
}
