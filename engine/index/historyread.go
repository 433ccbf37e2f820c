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
	leave, err := x.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	var h History
	key := historyKey(nil, lsn)
	ok, err := get(x.db, key, func(v []byte) error { return decodeHistory(key, v, &h) })
	if !ok || err != nil {
		return err == nil, err
	}
	return fn(&h)
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
