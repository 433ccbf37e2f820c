package timerwheel

import "math"

// Handle names one timer for Cancel: a node index and the generation of its use.
// The zero Handle is never valid. A generation repeats after 2^32 uses of a node.
type Handle uint64

// Wheel holds timers. It is not safe for concurrent use: one goroutine owns it.
//
// Invariants, between calls:
//
//   - a timer whose window is below loaded is in the ring, at its tick;
//   - any other is at level max(moving, levelOf(window, loaded)), but for the
//     timers already moved out of the slot that is being emptied: those are in
//     the ring (moving == 0) or in levels below moving;
//   - now>>windowBits <= loaded <= now>>windowBits + aheadWindows;
//   - no timer is due before now: Add raises such a due to now.
type Wheel struct {
	now    uint64 // the current tick
	loaded uint64 // the load position: the first window not wholly in the ring
	moving int    // the level whose slot at loaded is being emptied

	ringSum uint64            // a bit for each word of ring that is not zero
	ring    [ringWords]uint64 // a bit for each occupied tick
	level   [levels]uint64    // a bit for each occupied slot
	lists   [ringSlots + levels*levelSlots]list

	slabs  []*slab
	carved uint32 // the highest node index ever used
	free   uint32
	count  int

	moves   uint64 // timers moved to a finer slot so far
	expired uint64 // timers that were given back
}

// New returns an empty wheel whose current tick is start.
func New(start int64) *Wheel {
	now := fromTick(start)
	return &Wheel{now: now, loaded: now>>windowBits + 1}
}

// fromTick maps the caller's ticks to unsigned ones, keeping their order, so that
// negative ticks and the extremes need no special case.
func fromTick(t int64) uint64 { return uint64(t) ^ (1 << 63) }

func toTick(t uint64) int64 { return int64(t ^ (1 << 63)) }

// Stats are what a wheel holds and has done since New.
type Stats struct {
	Armed   int    // timers, as Len
	Expired uint64 // timers given back
	Moved   uint64 // moves of a timer to a finer slot, which cascades make
}

// Stats returns the counters.
func (w *Wheel) Stats() Stats { return Stats{Armed: w.count, Expired: w.expired, Moved: w.moves} }

// Len is the number of timers that have neither expired nor been cancelled.
func (w *Wheel) Len() int { return w.count }

// Now is the current tick: all timers due before it have expired. It is the last
// now given to Advance, or less while AdvanceLimit reports more.
func (w *Wheel) Now() int64 { return toTick(w.now) }

// Add arms a timer that gives value back at the first Advance to due or later, and
// never before due. A due before the current tick counts as due at the current
// tick: it expires at the next Advance. O(1).
func (w *Wheel) Add(due int64, value uint64) Handle {
	i, n := w.alloc()
	n.due, n.value = max(fromTick(due), w.now), value
	w.count++
	if window := n.due >> windowBits; window < w.loaded {
		w.push(ringSlot(n.due), i, n)
	} else {
		w.push(levelSlot(max(w.moving, levelOf(window, w.loaded)), window), i, n)
	}
	return Handle(n.gen)<<32 | Handle(i)
}

// Cancel disarms a timer. It reports false, and does nothing, when the timer has
// expired or been cancelled already, or when h was never given out. O(1).
func (w *Wheel) Cancel(h Handle) bool {
	i := uint32(h)
	if i == 0 || i > w.carved {
		return false
	}
	n := w.node(i)
	if n.slot == slotFree || n.gen != uint32(h>>32) {
		return false
	}
	w.unlink(n)
	w.release(i, n)
	return true
}

// Next returns a lower bound of the next due: before that tick no Advance gives
// anything back. Within the ring (about four seconds ahead) it is the exact due;
// beyond it may be the start of a coarse slot, and becomes finer as the wheel gets
// nearer. ok is false when the wheel is empty. It scans bitmaps only.
func (w *Wheel) Next() (due int64, ok bool) {
	if w.count == 0 {
		return 0, false
	}
	next := uint64(math.MaxUint64)
	if t, found := w.nextRing(); found {
		next = t
	}
	window := w.loaded
	if !w.pending() {
		window = w.nextOccupied()
	}
	if window < windowEnd {
		next = min(next, window<<windowBits)
	}
	return toTick(next), true
}
