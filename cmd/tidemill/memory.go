package main

import (
	"math"
	"os"
	"runtime/debug"
	"strings"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/limits"
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

// shareMemory applies a limit of the process to the configuration. Of a cgroup's limit
// a tenth is left for what is not Go's heap.
func (s *server) shareMemory() {
	limit, cgroup := limits.Memory()
	if limit == math.MaxInt64 {
		return
	}
	if cgroup {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
	if changed := s.cfg.FitMemory(limit, &s.descriptors.Clients); len(changed) > 0 {
		s.log.Warn("the memory limit of the process is below what the configuration allows: these take less",
			"limit", config.FormatSize(limit), "settings", strings.Join(changed, ","))
	}
}
