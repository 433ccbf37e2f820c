package wal

import (
	"context"
	"runtime/pprof"
)

// label names what a goroutine of the log does in profiles, by the key "stage" that the packages
// above use, too. A lone producer commits by itself, so its part of the commits is in its own stage.
func label(stage string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("stage", stage)))
}
