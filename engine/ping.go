package engine

import (
	"context"
	"fmt"
)

// Ping returns nil once the loop has taken a step, and the log's committer a turn, after
// the call: what a watchdog wants to know. When ctx ends before, its error says who is
// silent.
//
// The loop does no I/O: what it logs is copied into the open group, what it reads others
// read for it. So it answers while the disk hangs (P13), and one that does not is stuck or
// hopelessly slow. The committer is excused as long as it is the disk that it waits for:
// the server goes on by itself when the disk does, and an end would only put a long
// recovery on top of that. Nor is the applier asked, which waits inside Pebble without
// saying for what; when it lags, publishes are refused. An engine that is shutting down
// answers: how long that may take is told by Shutdown's ctx.
func (e *Engine) Ping(ctx context.Context) error {
	answered := make(chan struct{})
	e.inbox.push(event{kind: evQuery, query: func(*core) { close(answered) }})
	select {
	case <-answered:
	case <-e.stop:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("engine: the loop has taken no step: %w", ctx.Err())
	}
	return e.log.Ping(ctx)
}
