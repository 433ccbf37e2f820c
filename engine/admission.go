package engine

import (
	"math"
	"sync/atomic"
	"time"
)

// Admission (DESIGN.md, "Overload"). Publishes and deliveries share the processor, and a
// publish is the cheaper half: where more comes in than the processor can deliver, it
// would take all of it, and what is accepted would be late by more and more. So once
// messages that could be attempted have waited for the processor for longer than lateMax,
// publishes are accepted at the rate at which attempts start: at half of that rate when the
// wait is lateMax and more, at one and a half times when there is none, so that it settles
// in between. Rate and wait are means over about a second: both jump with every sync that
// takes its time, and what is accepted shall not. The others are refused at once, and nothing of theirs is stored. It ends when
// nothing waits and nothing had to be refused for a while: were it to end with the wait
// alone, all that is offered would come in until there is a wait again. Messages that wait for a destination, a flow-control key
// or their queue are nobody's fault: a backlog of theirs is what the disk is for.
type admission struct {
	late    atomic.Bool
	courses courses
	tokens  atomic.Int64
	refused atomic.Int64 // unix ms of the newest refusal

	// Refused publishes by reason, for operators: deliveries were late, or a reader of the
	// log lagged.
	lates   atomic.Uint64
	lagging [readers]atomic.Uint64
}

// lagged returns how many publishes were refused because somebody lagged.
func (a *admission) lagged() (n uint64) {
	for i := range a.lagging {
		n += a.lagging[i].Load()
	}
	return n
}

// courses are the means that admission goes by; owned by the loop.
type courses struct {
	at      int64   // unix ms: when it was last looked
	started int     // attempts since then, within one millisecond
	rate    float64 // attempts that start, for each ms
	late    float64 // ms
}

// steady is over how long the means are taken, ms.
const steady = 1000

// look takes how late deliveries are and how many began, and returns how many milliseconds
// have passed.
func (c *courses) look(now int64, late time.Duration, starts int) (passed int64) {
	passed = min(max(now-c.at, 0), lateMax.Milliseconds())
	c.at = now
	c.started += starts
	if passed == 0 {
		return 0
	}
	share := float64(passed) / (float64(passed) + steady)
	c.rate += (float64(c.started)/float64(passed) - c.rate) * share
	c.late += (float64(late.Milliseconds()) - c.late) * share
	c.started = 0
	return passed
}

const (
	lateMax   = time.Second
	lateOver  = 1.0 / 8 // of lateMax
	calmAfter = 2 * time.Second
	tokensMax = 1024 // accepted in a burst
	tokenCost = 1000 // tokens of a publish

	acceptLeast = 1.0 // publishes for each ms
)

// waits is how late attempts begin: the least of them, since what has waited for its host
// and is late for that reason stands beside what has not.
type waits struct {
	least, before int64 // ms: in this stretch of time and in the one before it
	since         int64 // unix ms

	// How long, in this stretch, it was the processor that attempts waited for, ms. Where
	// that is the smaller part, as with answers that come in bursts, it is not what is short.
	short  int64
	looked int64 // unix ms: when it was last looked at, and what was seen
	paced  bool
	scarce bool // it was the larger part of the stretch before
}

const waitsStretch = 200 // ms

// began notes an attempt that begins so many ms after it was due.
func (w *waits) began(late int64) { w.least = min(w.least, late) }

// lateness returns how long messages wait that could be attempted if there were processor
// for them; 0 when there is.
func (c *core) lateness() time.Duration {
	w := &c.waits
	w.look(c.now, c.paced())
	if !w.paced || !w.scarce || c.stuck {
		return 0
	}
	late := min(w.least, w.before)
	if late == math.MaxInt64 {
		late = 0 // nothing began: it is something else that is short
	}
	return millis(late)
}

// look notes whether attempts wait for the processor now.
func (w *waits) look(now int64, paced bool) {
	if w.paced {
		w.short += max(now-w.looked, 0)
	}
	w.looked, w.paced = now, paced
	if passed := now - w.since; passed >= waitsStretch || passed < 0 {
		w.scarce = w.short*2 > passed
		w.least, w.before, w.since, w.short = math.MaxInt64, w.least, now, 0
	}
}

// observe takes how late deliveries are, and how many began in a step.
func (a *admission) observe(now int64, late time.Duration, starts int) {
	passed := a.courses.look(now, late, starts)
	mean := min(a.courses.late/float64(lateMax.Milliseconds()), 1)
	switch refused := now - a.refused.Load(); {
	case late > lateMax:
		a.late.Store(true)
	case mean < lateOver && (refused < 0 || refused > calmAfter.Milliseconds()):
		a.late.Store(false)
	}
	if !a.late.Load() || passed == 0 {
		return
	}
	// Where nothing is accepted nothing starts: it begins with acceptLeast.
	rate := max(a.courses.rate, acceptLeast)
	if a.tokens.Add(int64(float64(passed)*rate*(1.5-mean)*tokenCost)) > tokensMax*tokenCost {
		a.tokens.Store(tokensMax * tokenCost)
	}
}

// admit says whether a publish is accepted.
func (a *admission) admit(wall func() int64) bool {
	if !a.late.Load() || a.tokens.Add(-tokenCost) >= 0 {
		return true
	}
	a.tokens.Add(tokenCost)
	a.refused.Store(wall())
	return false
}

// pressed says whether publishes were refused a moment ago: then deliveries may have more
// of the processor than they leave to a herd's neighbours (pace.go).
func (a *admission) pressed(now int64) bool {
	since := now - a.refused.Load()
	return 0 <= since && since < lateMax.Milliseconds()
}
