package systemd

import (
	"fmt"
	"time"
)

// A recovery is told of at most every recoveryEvery, and each time recoveryExtend more is
// asked for. The second is for what makes no visible progress: a disk that hangs for half a
// minute, the walk over all rows after damage. A recovery that is stuck says nothing, and
// the manager's limit holds.
const (
	recoveryEvery  = 500 * time.Millisecond
	recoveryExtend = 2 * time.Minute
)

// recovery is when progress was told last. It is owned by the goroutine that recovers.
type recovery struct {
	told  time.Time
	stage string
}

// Recovering says how far the start has come: done of total bytes of a stage, both zero if
// nobody can tell. It may be called as often as there is progress, by one goroutine.
func (n *Notifier) Recovering(stage string, done, total int64) {
	if n == nil {
		return
	}
	r := &n.recovery
	if now := time.Now(); stage != r.stage || now.Sub(r.told) >= recoveryEvery {
		r.told, r.stage = now, stage
		n.send(impatience, n.statusLine(progressText(stage, done, total)), extend(recoveryExtend))
	}
}

// progressText is "replaying the log: 3.1 of 12.0 GiB".
func progressText(stage string, done, total int64) string {
	if total == 0 {
		return stage
	}
	unit, name := int64(1<<20), "MiB"
	if total >= 1<<30 {
		unit, name = 1<<30, "GiB"
	}
	return fmt.Sprintf("%s: %.1f of %.1f %s", stage, float64(done)/float64(unit), float64(total)/float64(unit), name)
}
