package index

import (
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// History calls fn with the history rows from the LSN from on, in order or
// backwards, until fn returns false. Rows lie in the order of time but for
// historySpan; those of all users lie together. h is valid during the call.
func (x *Index) History(from uint64, backwards bool, fn func(h *History) (bool, error)) error {
	lower, upper := historyKey(nil, 0), []byte{kindHistory + 1}
	if backwards {
		upper = append(historyKey(nil, from), 0)
	} else {
		lower = historyKey(nil, from)
	}
	return x.walk(lower, upper, backwards, func(k, v []byte) (bool, error) {
		var h History
		if err := decodeHistory(k, v, &h); err != nil {
			return false, fmt.Errorf("history row %x: %w", k, err)
		}
		return fn(&h)
	})
}

// MessageHistory calls fn with the rows of one message, oldest first, of which
// later ones are looked for in the days from first to last (unix ms, inclusive).
func (x *Index) MessageHistory(seq uint64, first, last int64, fn func(h *History) (bool, error)) error {
	more, err := x.historyRow(seq, fn)
	for day := dayOf(first); more && err == nil && day <= dayOf(last); day++ {
		err = x.walk(eventKey(nil, day, seq, 0), eventKey(nil, day, seq+1, 0), false, func(k, _ []byte) (bool, error) {
			more, err = x.historyRow(be.Uint64(k[13:]), fn)
			return more, err
		})
	}
	return err
}

// historyRow calls fn with one row, if retention has left it.
func (x *Index) historyRow(lsn uint64, fn func(h *History) (bool, error)) (more bool, err error) {
	var h History
	ok, err := x.HistoryRow(lsn, &h)
	if !ok || err != nil {
		return err == nil, err
	}
	return fn(&h)
}

// HistoryRow reads the row with this key; ok is false if there is none, or none any more.
func (x *Index) HistoryRow(lsn uint64, h *History) (ok bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	key := historyKey(nil, lsn)
	return get(x.db, key, func(v []byte) error { return decodeHistory(key, v, h) })
}

// UserHistory calls fn with the history rows whose keys are from lower to before upper, in
// order or backwards, until fn returns false. h is nil, and little was spent on the row, if
// it is of another user or of no message: so fn can count what it passes. h is valid during
// the call.
func (x *Index) UserHistory(user uint32, lower, upper uint64, backwards bool, fn func(lsn uint64, h *History) (bool, error)) error {
	var h History
	return x.walk(historyKey(nil, lower), historyKey(nil, upper), backwards, func(k, v []byte) (bool, error) {
		if len(k) != 9 {
			return false, errBadValue
		}
		lsn := be.Uint64(k[1:])
		if !ofUser(v, user) {
			return fn(lsn, nil)
		}
		if err := decodeHistory(k, v, &h); err != nil {
			return false, fmt.Errorf("history row %x: %w", k, err)
		}
		return fn(lsn, &h)
	})
}

// ofUser says whether a row is about a message of this user.
func ofUser(v []byte, user uint32) bool {
	r := rowReader{b: v}
	flags := r.byte()
	return flags&historyTicks == 0 && r.uint() == uint64(user) && !r.bad
}

// MessageRows returns the keys of a message's history rows in order, as far as retention
// has left them, at most limit. Of a message that ended in its first row there are no
// others; those of any other are looked for in the days that history has since, one seek
// for each.
func (x *Index) MessageRows(seq uint64, limit int) (lsns []uint64, err error) {
	leave, err := x.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	var h History
	ok, err := x.HistoryRow(seq, &h)
	if err != nil {
		return nil, err
	}
	if ok {
		lsns = append(lsns, seq)
		if n := len(h.Outcomes); n > 0 && h.Outcomes[n-1].Kind.Final() {
			return lsns, nil
		}
	}
	first, last, err := x.historyDays()
	if err != nil {
		return nil, err
	}
	if h.Created != nil {
		first = max(first, dayOf(h.Created.At-dayMillis)) // the clock may have been set back since
	}
	for day := first; err == nil && day <= last && len(lsns) < limit; day++ {
		err = iterate(x.db, eventKey(nil, day, seq, 0), eventKey(nil, day, seq+1, 0), false, func(k, _ []byte) (bool, error) {
			lsns = append(lsns, be.Uint64(k[13:]))
			return len(lsns) < limit, nil
		})
	}
	return lsns, err
}

// historyDays returns the days that history has, by the rows of the time; none at all if
// last is before first.
func (x *Index) historyDays() (first, last uint32, err error) {
	oldest, found, err := x.timeRow(math.MinInt64, math.MaxInt64, false)
	if err != nil || !found {
		return 1, 0, err
	}
	newest, _, err := x.timeRow(math.MinInt64, math.MaxInt64, true)
	return dayOf(oldest.unix * 1000), dayOf(newest.unix * 1000), err
}

// HistorySince returns the LSN from which on history rows are of that time (unix
// ms) or later, but for historySpan; the greatest one if there is none yet.
func (x *Index) HistorySince(ms int64) (lsn uint64, err error) {
	leave, err := x.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	s, found, err := x.timeRow(ms/1000, math.MaxInt64, false)
	if !found {
		return math.MaxUint64, err
	}
	return s.lsn, err
}

// NewestHistory returns the time of the newest history row, unix s, to the second.
func (x *Index) NewestHistory() (unix int64, ok bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return 0, false, err
	}
	defer leave()
	s, ok, err := x.timeRow(math.MinInt64, math.MaxInt64, true)
	return s.unix, ok, err
}

// walk is iterate on an index that stays open meanwhile.
func (x *Index) walk(lower, upper []byte, backwards bool, fn func(k, v []byte) (bool, error)) error {
	leave, err := x.enter()
	if err != nil {
		return err
	}
	defer leave()
	return iterate(x.db, lower, upper, backwards, fn)
}

// iterate calls fn with the keys from lower to before upper, in order or backwards,
// until it returns false. k and v are valid during the call.
func iterate(r pebble.Reader, lower, upper []byte, backwards bool, fn func(k, v []byte) (bool, error)) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer it.Close()
	first, next := it.First, it.Next
	if backwards {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		if more, err := fn(it.Key(), it.Value()); !more || err != nil {
			return err
		}
	}
	return it.Error()
}
