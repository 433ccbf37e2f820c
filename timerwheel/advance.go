package timerwheel

import (
	"math"
	"math/bits"
)

// loadStep bounds how many timers one call moves ahead of time. Moving one takes
// some 30 ns, and up to 400 among ten million, which find none of their neighbours in
// the caches: 15 to 200 us, less than the sleep between two calls.
const loadStep = 512

// Advance moves the current tick to now and appends the values of all timers due
// at or before it to out, ordered by due and, within a tick, in the order of their
// Add calls. The returned slice belongs to the caller. Empty stretches are jumped
// over. A now before the current tick does nothing: after a backward step of the
// wall clock the owner builds a new wheel (T3).
func (w *Wheel) Advance(now int64, out []uint64) []uint64 {
	out, _ = w.AdvanceLimit(now, math.MaxInt, out)
	return out
}

// AdvanceLimit is Advance with a bound: it handles at most limit timers (at least
// one), where moving a timer to a finer slot counts as much as expiring it. When
// it reports more, timers due at or before now may be left; the current tick then
// stands between the old one and now, and the next call goes on from there with
// the order unbroken.
func (w *Wheel) AdvanceLimit(now int64, limit int, out []uint64) (res []uint64, more bool) {
	to := fromTick(now)
	if to < w.now {
		return out, false
	}
	budget := max(limit, 1)
	for {
		// loaded is at least 1; past the last window the shift wraps to 0 and
		// the difference is the last tick there is.
		last := min(to, w.loaded<<windowBits-1)
		tick, found := w.nextRing()
		found = found && tick <= last
		if !found && last == to {
			break
		}
		if budget <= 0 {
			return out, true
		}
		var used int
		if found {
			w.now = tick
			out, used = w.expire(tick, budget, out)
		} else {
			w.now = last + 1
			used = w.loadToward(to, budget)
		}
		budget -= used
	}
	w.now = to
	w.load(w.loadLimit(), min(budget, loadStep))
	return out, false
}

// expire takes up to budget timers from the slot of tick, oldest first.
func (w *Wheel) expire(tick uint64, budget int, out []uint64) ([]uint64, int) {
	l := &w.lists[ringSlot(tick)]
	used := 0
	for i := l.head; i != 0 && used < budget; i = l.head {
		n := w.node(i)
		out = append(out, n.value)
		w.unlink(n)
		w.release(i, n)
		used++
	}
	w.expired += uint64(used)
	return out, used
}

// loadToward fills the ring when it has nothing more below the load position and
// the current tick has come up to that. With nothing at hand it jumps, taking the
// current tick along, to the next occupied slot or to the tick asked for.
func (w *Wheel) loadToward(to uint64, budget int) int {
	end := to>>windowBits + 1
	if w.ringSum != 0 || w.pending() {
		return w.load(min(end, w.loadLimit()), budget)
	}
	w.enter(min(end, w.nextOccupied()))
	if w.loaded == end {
		w.now = to
	} else {
		w.now = w.loaded << windowBits
	}
	return 1
}

// loadLimit is how far the load position may go at the current tick.
func (w *Wheel) loadLimit() uint64 {
	return min(w.now>>windowBits+aheadWindows, windowEnd)
}

// pending reports whether the slot at the load position has yet to be emptied.
func (w *Wheel) pending() bool {
	return w.moving > 0 || w.lists[levelSlot(0, w.loaded)].head != 0
}

// load moves the load position up to limit, emptying the slots it comes to, and
// stops when it has used its budget. It returns what it used.
func (w *Wheel) load(limit uint64, budget int) int {
	used := 0
	for w.loaded < limit && used < budget {
		slot := levelSlot(w.moving, w.loaded)
		switch {
		case w.lists[slot].head != 0:
			used += w.empty(slot, budget-used)
		case w.moving > 0:
			w.moving = 0 // this cascade is done; the window itself comes next
		default:
			w.enter(min(limit, w.nextOccupied()))
			used++
		}
	}
	return used
}

// enter sets the load position. No timer may lie between the old one and the new.
// If a slot above level 0 begins there, it has to be emptied first; it can only be
// the one at the level where the old and the new position differ.
func (w *Wheel) enter(window uint64) {
	w.loaded = window
	k := bits.TrailingZeros64(window) / levelBits
	if k > 0 && k < levels && w.level[k]&(1<<digit(k, window)) != 0 {
		w.moving = k
	}
}

// empty moves up to budget timers, oldest first, from the slot at the load
// position to finer levels or, from level 0, to the ring.
func (w *Wheel) empty(slot uint32, budget int) int {
	l := &w.lists[slot]
	used := 0
	for i := l.head; i != 0 && used < budget; i = l.head {
		n := w.node(i)
		w.unlink(n)
		w.push(w.finer(n.due), i, n)
		used++
	}
	w.moves += uint64(used)
	return used
}

func (w *Wheel) finer(due uint64) uint32 {
	if w.moving == 0 {
		return ringSlot(due)
	}
	window := due >> windowBits
	return levelSlot(levelOf(window, w.loaded), window)
}
