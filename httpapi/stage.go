package httpapi

import (
	"context"
	"runtime/pprof"
)

// Labels of profiles, beside those of the engine: a connection's goroutine is in stage "api", and in
// stage "publish" while it runs the handler of a route that adds messages. Setting one of them stores a
// pointer in the goroutine: a few nanoseconds and no allocation (TestPublishDoesNotAllocate).
var (
	stageAPI     = pprof.WithLabels(context.Background(), pprof.Labels("stage", "api"))
	stagePublish = pprof.WithLabels(context.Background(), pprof.Labels("stage", "publish"))
)

// enter labels the goroutine for the handler of a route.
func (r *route) enter() {
	if r.access == accessPublish {
		pprof.SetGoroutineLabels(stagePublish)
	}
}

// leave undoes enter.
func (r *route) leave() {
	if r.access == accessPublish {
		pprof.SetGoroutineLabels(stageAPI)
	}
}
