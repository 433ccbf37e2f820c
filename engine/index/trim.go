package index

import (
	"bytes"
	"fmt"
	"math"
	"sort"
)

// second is a time row: where the history of a second begins.
type second struct {
	unix int64
	lsn  uint64
}

// Trim is a piece of history's front that is to go.
type Trim struct{ keep second } // the first second that stays

// LSN returns where the history that stays begins.
func (t Trim) LSN() uint64 { return t.keep.lsn }

// OldHistory returns what of history is older than cut (unix ms), or has to go so
// that the rest takes no more than sizeMax bytes on disk. ok is false when that is
// not worth a range tombstone: when by age less than step (ms) would go. By size a
// sixteenth more goes than has to. It reads, so it is not the applier's to call
// (X1); the Trim is.
func (x *Index) OldHistory(cut, step, sizeMax int64) (t Trim, ok bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return Trim{}, false, err
	}
	defer leave()
	applied := x.Applied()
	first, found, err := x.timeRow(math.MinInt64, math.MaxInt64, false)
	if err != nil || !found {
		return Trim{}, false, err
	}
	keep := first
	if old, found, err := x.timeRow(math.MinInt64, cut/1000, true); err != nil {
		return Trim{}, false, err
	} else if found && (old.unix-first.unix)*1000 >= step {
		keep = old
	}
	if newest, _, err := x.timeRow(math.MinInt64, math.MaxInt64, true); err != nil {
		return Trim{}, false, err
	} else if newest.unix < cut/1000 { // nothing has happened since
		keep = second{cut / 1000, applied}
	}
	size, err := x.historySize(keep)
	if err == nil && size > sizeMax {
		keep, err = x.keepSize(keep, sizeMax-sizeMax/16)
	}
	return Trim{keep}, keep != first, err
}

// keepSize returns the first second, not before from, from which on history takes
// no more than size bytes; the newest one if none does.
func (x *Index) keepSize(from second, size int64) (second, error) {
	last, _, err := x.timeRow(math.MinInt64, math.MaxInt64, true)
	if err != nil {
		return from, err
	}
	after := sort.Search(int(last.unix-from.unix), func(i int) bool {
		var s second
		var n int64
		if err == nil {
			s, _, err = x.timeRow(from.unix+int64(i), math.MaxInt64, false)
		}
		if err == nil {
			n, err = x.historySize(s)
		}
		return n <= size
	})
	if err != nil {
		return from, err
	}
	keep, _, err := x.timeRow(from.unix+int64(after), math.MaxInt64, false)
	return keep, err
}

// timeRow returns the first, or the last, time row of these seconds.
func (x *Index) timeRow(first, last int64, newest bool) (s second, found bool, err error) {
	err = iterate(x.db, timeKey(nil, first), append(timeKey(nil, last), 0), newest, func(k, v []byte) (bool, error) {
		if len(k) != 9 || len(v) != 8 {
			return false, errBadValue
		}
		s, found = second{secondOf(k), be.Uint64(v)}, true
		return false, nil
	})
	return s, found, err
}

// historySize estimates the bytes on disk of the history rows from a second on,
// without what no flush has written yet. The 'e' rows, which are cut by the day, do
// not count: a fifth on top where no message is elided, nothing where all are.
func (x *Index) historySize(from second) (int64, error) {
	n, err := x.db.EstimateDiskUsage(historyKey(nil, from.lsn), []byte{kindHistory + 1})
	return int64(n), err
}

// Trim removes a piece of history. The rows of the time are kept as long as those
// that they point at, so that the cut is exact; an 'e' row may outlive its row by
// a day, and so may the statistics of a minute.
func (a *Applier) Trim(t Trim) error {
	for _, r := range [][2][]byte{
		{historyKey(nil, 0), historyKey(nil, t.keep.lsn)},
		{eventKey(nil, 0, 0, 0), eventKey(nil, dayOf(t.keep.unix*1000), 0, 0)},
		{timeKey(nil, math.MinInt64), timeKey(nil, t.keep.unix)},
		{statsDay(nil, 0), statsDay(nil, dayOf(t.keep.unix*1000))},
	} {
		if bytes.Equal(r[0], r[1]) {
			continue
		}
		if err := a.deleteRange(r[0], r[1]); err != nil {
			return fmt.Errorf("trim history: %w", err)
		}
	}
	return nil
}
