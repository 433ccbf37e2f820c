package timerwheel

import "math/bits"

const (
	windowBits = 10 // ticks of a window: 1,024
	ringBits   = 12 // ticks of the near ring: 4,096
	ringSlots  = 1 << ringBits
	ringWords  = ringSlots / 64

	// aheadWindows is how many windows, the current one included, may be in the
	// ring at once; one more and two ticks would share a slot.
	aheadWindows = 1 << (ringBits - windowBits)

	levelBits  = 6 // slots of a level: 64, one word of bitmap
	levelSlots = 1 << levelBits
	levels     = (64 - windowBits) / levelBits // 9: every window number fits

	windowEnd = 1 << (64 - windowBits) // one past the last window there is
)

// ringSlot is the list of a tick in the near ring.
func ringSlot(tick uint64) uint32 { return uint32(tick & (ringSlots - 1)) }

// levelSlot is the list of a window in a level.
func levelSlot(level int, window uint64) uint32 {
	return uint32(ringSlots + level*levelSlots + digit(level, window))
}

// digit is the slot number of a window within a level.
func digit(level int, window uint64) int {
	return int(window>>(level*levelBits)) & (levelSlots - 1)
}

// levelOf is the highest level in which two windows differ; 0 when they are equal.
func levelOf(a, b uint64) int {
	return max(bits.Len64(a^b)-1, 0) / levelBits
}

func (w *Wheel) mark(slot uint32) {
	if slot < ringSlots {
		w.ring[slot/64] |= 1 << (slot % 64)
		w.ringSum |= 1 << (slot / 64)
		return
	}
	slot -= ringSlots
	w.level[slot/levelSlots] |= 1 << (slot % levelSlots)
}

func (w *Wheel) unmark(slot uint32) {
	if slot >= ringSlots {
		slot -= ringSlots
		w.level[slot/levelSlots] &^= 1 << (slot % levelSlots)
		return
	}
	w.ring[slot/64] &^= 1 << (slot % 64)
	if w.ring[slot/64] == 0 {
		w.ringSum &^= 1 << (slot / 64)
	}
}

// nextRing finds the first occupied tick of the ring at or after the current one.
// All ticks in the ring are less than one turn ahead, so a slot names one tick.
func (w *Wheel) nextRing() (tick uint64, ok bool) {
	if w.ringSum == 0 {
		return 0, false
	}
	from := ringSlot(w.now)
	slot := w.occupiedFrom(from)
	return w.now + uint64((slot-from)&(ringSlots-1)), true
}

// occupiedFrom scans the ring's bitmap from a slot, around once. The ring must
// not be empty.
func (w *Wheel) occupiedFrom(from uint32) uint32 {
	word := from / 64
	if b := w.ring[word] >> (from % 64); b != 0 {
		return from + uint32(bits.TrailingZeros64(b))
	}
	sum := w.ringSum & (^uint64(0) << word << 1)
	if sum == 0 {
		sum = w.ringSum // around: the words before, and last this word's lower bits
	}
	word = uint32(bits.TrailingZeros64(sum))
	return word*64 + uint32(bits.TrailingZeros64(w.ring[word]))
}

// nextOccupied is the first window of the first occupied slot after the load
// position, or windowEnd. The lowest level that has one is right, because
// a level's slots end where the next slot of the level above begins.
func (w *Wheel) nextOccupied() uint64 {
	for k := range levels {
		b := w.level[k] & (^uint64(0) << digit(k, w.loaded) << 1)
		if b != 0 {
			s := uint64(bits.TrailingZeros64(b))
			up := (k + 1) * levelBits
			return w.loaded>>up<<up | s<<(k*levelBits)
		}
	}
	return windowEnd
}
