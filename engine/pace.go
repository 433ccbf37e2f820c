package engine

import "time"

// pace keeps a herd from taking the processor away from everyone else. A thousand
// messages that fall due together at hosts that answer at once would have a thousand
// workers ready to run, and a publish, which is handed over several times before it is
// answered, waits behind all of them each time. What a destination takes is none of
// that: so it is the young attempts that are bounded, those begun within youngFor that
// have not ended. How many there may be is found by how long goroutines wait for a
// processor: fewer when that is long, more when it is short. Hosts that take their time
// do not feel the bound: their attempts are not young any more.
type pace struct {
	limit int // young attempts, from paceFloor to delivery.parallelism
	young int
	line  []youngAttempt // in the order of their start
	head  int
}

type youngAttempt struct {
	slot uint32
	at   int64 // unix ms
}

const (
	youngFor  = 20 // ms
	paceFloor = 32
	// pressedFloor is the floor while publishes are refused: with paceFloor they would
	// still take most of the processor.
	pressedFloor = 160
	pacePoll     = 10 * time.Millisecond // how soon it is looked again whether attempts are young

	// Waits for a processor: above the one there are too many attempts, below the other
	// there may be more.
	waitLong  = time.Millisecond
	waitShort = 300 * time.Microsecond
)

// began notes that an attempt starts.
func (c *core) began(i uint32) {
	p := &c.pace
	p.young++
	c.entries[i].flags |= flagYoung
	if p.head > 1024 && p.head > len(p.line)/2 {
		p.line = p.line[:copy(p.line, p.line[p.head:])]
		p.head = 0
	}
	p.line = append(p.line, youngAttempt{i, c.now})
}

// grown takes an attempt out of the young ones, if it is one.
func (c *core) grown(i uint32) {
	if e := &c.entries[i]; e.flags&flagYoung != 0 {
		e.flags &^= flagYoung
		c.pace.young--
	}
}

// age takes out the attempts that are not young any more. When the clock was set back
// none is.
func (c *core) age() {
	p := &c.pace
	for ; p.head < len(p.line); p.head++ {
		y := p.line[p.head]
		if 0 <= c.now-y.at && c.now-y.at < youngFor {
			return
		}
		c.grown(y.slot)
	}
	p.line, p.head = p.line[:0], 0
}

// minds says whether it matters how long goroutines wait for a processor: as soon as the
// bound's floor can be felt, or the bound would never leave it again.
func (c *core) minds() bool { return c.inflight >= paceFloor/2 }

// adapt takes how long goroutines waited for a processor of late, and whether publishes
// are refused so that deliveries get on.
func (c *core) adapt(wait time.Duration, pressed bool) {
	p := &c.pace
	floor := min(paceFloor, c.parallelism)
	if pressed {
		floor = min(pressedFloor, c.parallelism)
	}
	switch {
	case p.limit < floor:
		p.limit = floor
	case wait > waitLong:
		p.limit = max(floor, p.limit*3/4)
	case wait < waitShort && p.young >= p.limit/2:
		p.limit = min(c.parallelism, p.limit+p.limit/4)
	}
}

// paced reports whether the bound of young attempts may keep one from starting.
func (c *core) paced() bool {
	return c.pace.young >= c.pace.limit && (c.turn.len() > 0 || c.freedHosts.len() > 0 || c.freedFlows.len() > 0 || c.crowdedHosts.len() > 0)
}
