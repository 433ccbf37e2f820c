package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/cmd/internal/config"
)

// heapPercent is how much garbage the collector lets gather, in percent of what is
// alive. That is mostly memtables and blocks of the index, which have no pointers: a
// cycle costs some milliseconds whatever their size, and Go's own 100 would let the
// process grow to twice their 256 MiB.
const heapPercent = 50

// boundHeap keeps the heap near what is alive, unless GOGC says otherwise.
func boundHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapPercent)
	}
}

// memoryLimit is what the process may take, and true if that is a cgroup's: the lower
// one of GOMEMLIMIT and the limits of the cgroups it is in. math.MaxInt64 is none.
func memoryLimit() (limit int64, cgroup bool) {
	limit = debug.SetMemoryLimit(-1)
	if c := cgroupLimit("/proc/self/cgroup", "/sys/fs/cgroup"); c < limit {
		return c, true
	}
	return limit, false
}

// cgroupLimit looks for the memory limit of a process's cgroup and of those above it,
// in version 1 and 2. In a container the path is often not there, and the limit is that
// of the root which the container sees.
func cgroupLimit(membership, mount string) int64 {
	limit := int64(math.MaxInt64)
	text, err := os.ReadFile(membership)
	if err != nil {
		return limit
	}
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		root, name := mount, "memory.max"
		switch {
		case controllers == "memory":
			root, name = filepath.Join(mount, "memory"), "memory.limit_in_bytes"
		case controllers != "":
			continue
		}
		for path = filepath.Clean("/" + path); ; path = filepath.Dir(path) {
			limit = min(limit, limitIn(filepath.Join(root, path, name)))
			if path == "/" {
				break
			}
		}
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

// shareMemory applies a limit of the process to the configuration. Of a cgroup's limit
// a tenth is left for what is not Go's heap.
func (s *server) shareMemory() {
	limit, cgroup := memoryLimit()
	if limit == math.MaxInt64 {
		return
	}
	if cgroup {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
	if changed := s.cfg.FitMemory(limit, &s.descriptors.clients); len(changed) > 0 {
		s.log.Warn("the memory limit of the process is below what the configuration allows: these take less",
			"limit", config.FormatSize(limit), "settings", strings.Join(changed, ","))
	}
}
