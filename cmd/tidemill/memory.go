package main

import (
	"os"
	"runtime/debug"
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
