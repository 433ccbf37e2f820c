package index

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// StatsPoint is what was counted of an account in a stretch of time.
type StatsPoint struct {
	At int64 // unix s, where the stretch begins

	Published uint64 // messages: each endpoint's of a group, and callbacks, are one
	Delivered uint64 // messages
	Retried   uint64 // attempts that failed and were not the last
	Failed    uint64 // messages that ended in the dead letter queue
	Canceled  uint64 // messages

	Backlog  uint64    // messages pending at the last event of the stretch
	Latency  Quantiles // of deliveries: from when the attempt was due to its end
	Lateness Quantiles // of attempts: from when one was due to its start
}

// Quantiles are of times, in ms, each at most a quarter more than it is. All zero if
// Count is.
type Quantiles struct {
	Count              uint64
	P50, P90, P99, Max int64
}

// ErrNoSeconds says that what was counted second by second is not known any more.
var ErrNoSeconds = errors.New("index: there are no counts of these seconds")

// Stats calls fn with what was counted of an account from a time to before another, both
// unix s, in steps of this many seconds: 1, or whole minutes that divide a day. Steps in
// which nothing happened are left out. It returns the sum of all, and how many messages
// are pending. With steps of a second it fails with ErrNoSeconds if they are not known.
func (x *Index) Stats(user uint32, from, to, step int64, fn func(StatsPoint)) (total StatsPoint, pending uint64, err error) {
	leave, err := x.enter()
	if err != nil {
		return total, 0, err
	}
	defer leave()
	x.seconds.mu.Lock()
	found, known := x.seconds.ofLocked(user, from, to)
	moment := x.db.NewSnapshot()
	x.seconds.mu.Unlock()
	defer func() { err = errors.Join(err, moment.Close()) }()
	if step == 1 && !known {
		return total, 0, ErrNoSeconds
	}
	s := adder{from: from - from%step, to: to, step: step, fn: fn}
	if pending, err = s.account(moment, user); err != nil {
		return total, 0, err
	}
	if step == 1 {
		for i := range found {
			err = errors.Join(err, s.add(found[i].at, found[i].piece))
		}
	} else {
		err = s.minutes(moment, user)
	}
	if err == nil {
		err = s.upTo(to)
	}
	if err != nil {
		return total, 0, err
	}
	s.emit()
	total = s.total.point(from)
	return total, pending, nil
}

// adder adds pieces up, step by step. They must come in the order of time; those of the
// account's own row, of which there are three at most, find their places by themselves.
type adder struct {
	from, to, step int64 // unix s
	fn             func(StatsPoint)

	open    []closedSecond // of the account's row, in order
	at      int64          // the step that is being added up
	some    bool           // there is one
	current counts[uint64]
	total   counts[uint64]
}

// account reads the account's own row.
func (s *adder) account(r pebble.Reader, user uint32) (pending uint64, err error) {
	_, err = get(r, accountKey(nil, user), func(v []byte) error {
		row := rowReader{b: slices.Clone(v)}
		pending = row.uint()
		for len(row.b) > 0 && !row.bad {
			rest := row.b
			at, width := pieceAt(&row)
			addPiece(&row, new(counts[uint64]))
			if at >= s.from && at < s.to && (s.step > 1 || width == 1) {
				s.open = append(s.open, closedSecond{at: at, piece: rest[:len(rest)-len(row.b)]})
			}
		}
		if row.bad {
			return fmt.Errorf("statistics of account %d: %w", user, errBadValue)
		}
		return nil
	})
	slices.SortStableFunc(s.open, func(a, b closedSecond) int { return int(a.at - b.at) })
	return pending, err
}

// minutes reads the rows of minutes, day by day.
func (s *adder) minutes(r pebble.Reader, user uint32) error {
	const day = dayMillis / 1000
	for begin := s.from - s.from%day; begin < s.to; begin += day {
		lower, upper := minuteKey(nil, user, max(begin, s.from)), minuteKey(nil, user, min(begin+day, s.to)-1)
		err := iterate(r, lower, append(upper, 0), false, func(k, v []byte) (bool, error) {
			if len(k) != 12 {
				return false, errBadValue
			}
			at := begin + int64(be.Uint16(k[10:]))*minuteSeconds
			err := s.upTo(at)
			return true, errors.Join(err, s.add(at, v))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// upTo adds what of the account's row is of a time before this.
func (s *adder) upTo(at int64) error {
	for len(s.open) > 0 && s.open[0].at < at {
		c := s.open[0]
		s.open = s.open[1:]
		if err := s.put(c.at, c.piece); err != nil {
			return err
		}
	}
	return nil
}

// add adds pieces of a time.
func (s *adder) add(at int64, pieces []byte) error {
	if err := s.upTo(at); err != nil {
		return err
	}
	return s.put(at, pieces)
}

func (s *adder) put(at int64, pieces []byte) error {
	if step := at - at%s.step; !s.some || step != s.at {
		s.emit()
		s.at, s.some = step, true
	}
	r := rowReader{b: pieces}
	for len(r.b) > 0 && !r.bad {
		pieceAt(&r)
		addPiece(&r, &s.current)
	}
	if r.bad {
		return fmt.Errorf("statistics of %d: %w", at, errBadValue)
	}
	return nil
}

// emit ends a step.
func (s *adder) emit() {
	if !s.some {
		return
	}
	s.fn(s.current.point(s.at))
	addCounts(&s.total, &s.current)
	s.current, s.some = counts[uint64]{}, false
}

func (c *counts[T]) point(at int64) StatsPoint {
	return StatsPoint{
		At: at, Published: uint64(c.published), Delivered: uint64(c.delivered), Retried: uint64(c.retried),
		Failed: uint64(c.failed), Canceled: uint64(c.canceled), Backlog: c.backlog,
		Latency: c.latency.quantiles(), Lateness: c.lateness.quantiles(),
	}
}

func (s *spread[T]) quantiles() (q Quantiles) {
	for _, n := range s {
		q.Count += uint64(n)
	}
	if q.Count == 0 {
		return q
	}
	seen := uint64(0)
	for i, n := range s {
		if n == 0 {
			continue
		}
		before := seen
		seen += uint64(n)
		q.Max = bucketEnd(i)
		for _, p := range []struct {
			part uint64 // of a hundred
			v    *int64
		}{{50, &q.P50}, {90, &q.P90}, {99, &q.P99}} {
			if rank := (q.Count*p.part + 99) / 100; before < rank && rank <= seen {
				*p.v = q.Max
			}
		}
	}
	return q
}
