// Package limits tells what the machine allows this process, and shares it out: file descriptors and
// memory. The server takes its shares by it, and the doctor says what they will be.
package limits

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// Memory is what the process may take, and true if that is a cgroup's: the lower
// one of GOMEMLIMIT and the limits of the cgroups it is in. math.MaxInt64 is none.
func Memory() (limit int64, cgroup bool) {
	limit = debug.SetMemoryLimit(-1)
	if c := cgroupLimit("/proc/self/cgroup", "/sys/fs/cgroup"); c < limit {
		return c, true
	}
	return limit, false
}

// cgroupLimit is the least memory limit of a process's cgroup and of those above it.
func cgroupLimit(membership, mount string) int64 {
	limit := int64(math.MaxInt64)
	for g := range cgroups(membership, mount, "memory") {
		name := "memory.max"
		if g.v1 {
			name = "memory.limit_in_bytes"
		}
		limit = min(limit, limitIn(filepath.Join(g.dir, name)))
	}
	return limit
}

// limitIn reads a file with a number of bytes. "max" and no file are no limit.
func limitIn(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 {
		return math.MaxInt64
	}
	return n
}
