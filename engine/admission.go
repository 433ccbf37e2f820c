package engine

import (
	"sync/atomic"
	"time"
)

// Admission (DESIGN.md, "Overload"). Publishes and deliveries share the processor, and a
// publish is the cheaper half: where more comes in than the processor can deliver, it
// would take all of it, and what is accepted would be late by more and more. So while
// messages that could be attempted wait for the processor for longer than lateMax, one
// publish is accepted for each attempt that starts; the others are refused at once, and
// nothing of theirs is stored. Messages that wait for a destination, a flow-control key or
// their queue are nobody's fault: a backlog of theirs is what the disk is for.
type admission struct {
	late    atomic.Bool
	tokens  atomic.Int64
	refused atomic.Int64 // unix ms of the newest refusal
}

const (
	lateMax   = time.Second
	tokensMax = 1024 // accepted in a burst
)

// lateness returns how long the message has waited that would be attempted next if there
// were processor for it; 0 when there is.
func (c *core) lateness() time.Duration {
	if !c.paced() || c.stuck {
		return 0
	}
	i := c.lanes[c.turn.buf[c.turn.head]].ready.head
	if i == none {
		return 0
	}
	return millis(c.now - c.entries[i].due)
}

// observe takes how late deliveries are, and how many began in a step.
func (a *admission) observe(late time.Duration, starts int) {
	if late <= lateMax {
		a.late.Store(false)
		return
	}
	if !a.late.Swap(true) {
		a.tokens.Store(0)
	}
	if a.tokens.Add(int64(starts)) > tokensMax {
		a.tokens.Store(tokensMax)
	}
}

// admit says whether a publish is accepted.
func (a *admission) admit(wall func() int64) bool {
	if !a.late.Load() || a.tokens.Add(-1) >= 0 {
		return true
	}
	a.tokens.Add(1)
	a.refused.Store(wall())
	return false
}

// pressed says whether publishes were refused a moment ago: then deliveries may have more
// of the processor than they leave to a herd's neighbours (pace.go).
func (a *admission) pressed(now int64) bool {
	since := now - a.refused.Load()
	return 0 <= since && since < lateMax.Milliseconds()
}
