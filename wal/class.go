package wal

import "fmt"

// Class says what a record may cost when the disk is full. Spare segments are
// kept back for those that give space back in the end (DESIGN.md, Overload): a
// class may begin a segment only while the spares that are not its own stay.
type Class uint8

const (
	// Producer is a record that somebody waits for. Once there is a reserve it takes
	// no spare of it: it waits for another one to be made, and is refused with
	// ErrNoSpace when that fails for a full disk.
	Producer Class = iota
	// Lazy is a record that waits for company, at most LazyDelay, and never blocks:
	// the outcome of something. On a full disk it has the first half of the reserve.
	Lazy
	// Reclaiming is a lazy record that moves others so that their segment can go. On
	// a full disk it has all of the reserve but the last spare. It never begins a
	// segment whose file is still in the making: copies can wait (ErrNoSpace), and if
	// the disk turns out to have no room for the file, what would free some stood
	// behind it.
	Reclaiming
	// rotating is Rotate's: a floor takes effect with the next segment's header. If
	// copies could take the last spare, what they were made for could never go.
	rotating
)

// keeps returns how many of the spares of a reserve a class must leave.
func (c Class) keeps(reserve int) int {
	switch c {
	case Producer:
		return reserve
	case Lazy:
		return reserve / 2
	case Reclaiming:
		return min(1, reserve/2)
	default:
		return 0
	}
}

// leftLocked returns how many spares are left once each segment that the head was
// moved to has got its own. Below zero, some wait for theirs to be made.
func (l *Log) leftLocked() int { return int(l.spares.count.Load()) - l.mu.promised }

// refusedLocked says whether the disk is too full for a record of a class that
// takes so many spares: none, to go where the head is, or one. The first counts as
// well: producers must not fill a segment that was begun out of the reserve.
func (l *Log) refusedLocked(c Class, take int) error {
	if err := l.spares.noRoom(); err != nil && l.leftLocked()-take < c.keeps(l.opts.reserve()) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return nil
}

// producersKeep returns how many spares producers leave on a disk with room: the
// reserve, once there is one. A young log does not wait for it.
func (l *Log) producersKeep() int {
	if !l.spares.whole.Load() {
		return 0
	}
	return l.opts.reserve()
}

// awaitsSpareLocked reports whether a group with room for need bytes would need
// a segment whose file, beyond those to be kept, is still in the making. Until it
// is there it may turn out that the disk has no room for it, which is better known
// before an address is handed out than by a producer that waits.
func (l *Log) awaitsSpareLocked(need, keep int) bool {
	return !l.fitsHeadLocked(need) && l.lacksSpareLocked(keep)
}

// lacksSpareLocked reports whether the file of a segment begun now, beyond those to
// be kept, would still be in the making. If so it is hastened.
func (l *Log) lacksSpareLocked(keep int) bool {
	if l.opts.Manual || l.leftLocked() > keep || l.spares.noRoom() != nil {
		return false
	}
	l.spares.hasten()
	return true
}

// Full returns an error that wraps ErrNoSpace and its cause while the disk has no
// room for another spare and none is left above the reserve: producers are refused,
// now or at the end of the segment.
func (l *Log) Full() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusedLocked(Producer, 1)
}
