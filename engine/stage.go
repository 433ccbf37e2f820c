package engine

import (
	"context"
	"runtime/pprof"
)

// stageKey is the label by which profiles tell the engine's goroutines apart:
// `go tool pprof -tagfocus=stage=deliver`. Goroutines that one of them starts have its label, so
// Pebble's compactions count as what caused them.
const stageKey = "stage"

// stage returns run with a label for profiles. It is set once, when the goroutine starts: the hot
// path pays nothing.
func stage(name string, run func()) func() {
	labels := pprof.WithLabels(context.Background(), pprof.Labels(stageKey, name))
	return func() {
		pprof.SetGoroutineLabels(labels)
		run()
	}
}
