package engine

import "time"

const (
	// The log may take a ratio of the live bytes and reclaimSlack segments before its
	// oldest ones are given up: reclaimRatio when it stands still or grows slowly. With the
	// one that is being filled that stays below 1.5 times and two segments.
	reclaimRatio = 1.35
	reclaimSlack = 1

	// busyRatio is for a log that grows, where what is left of its oldest segments is
	// ending soon, or else is copied in vain. If half of what comes stays, a log kept at
	// r times its live bytes copies (1-r/2)/(r-1) bytes for each new one in the long run:
	// 0.93 with 1.35, 0.17 with 1.75.
	busyRatio = 1.75

	// busyFor is how long a log counts as growing after it has grown by a segment within
	// that time.
	busyFor = 20 * time.Second
)

// logLimit returns how much the log may take.
func logLimit(live, segmentSize int64, ratio float64) int64 {
	return int64(ratio*float64(live)) + reclaimSlack*segmentSize
}

// reclaimRatio returns the ratio that holds now. Where the disk is full every segment that
// can be had is worth its copies.
func (e *Engine) reclaimRatio() float64 {
	grown := int64(e.log.Stats().PayloadBytes) - e.reclaimer.moved.Load()
	busy := e.reclaimer.growth.busy(grown, e.opts.SegmentSize, time.Now())
	switch {
	case e.space.low.Load():
		return 1
	case busy:
		return busyRatio
	default:
		return reclaimRatio
	}
}

// growth tells a log that grows from one that does not. The zero value is one that does not.
type growth struct {
	from  int64     // bytes by the time since
	since time.Time // of the last look that counted
	until time.Time // busy
}

// busy takes how many bytes were logged so far that are no copies, and reports whether that
// was a segment or more within busyFor, or was so at most busyFor ago.
func (g *growth) busy(grown, segmentSize int64, now time.Time) bool {
	switch {
	case grown-g.from >= segmentSize:
		g.from, g.since, g.until = grown, now, now.Add(busyFor)
	case now.Sub(g.since) >= busyFor:
		g.from, g.since = grown, now
	}
	return now.Before(g.until)
}
