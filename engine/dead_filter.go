package engine

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/index"
)

// Bounds of one call that selects dead letters (QSTASH.md §8.3). A call that has looked at
// as much as it may gives what it found, which may be nothing, and a cursor.
const (
	deadPageMax = 100
	deadScanMax = 100_000   // rows
	deadReadMax = 256 << 20 // bytes of records, where the filter asks for what rows do not have
)

// DeadLetters returns one page of dead letters and the cursor of the next, ""
// at the end.
func (e *Engine) DeadLetters(q DeadLetterQuery) (out []DeadLetter, cursor string, err error) {
	f, err := newDeadFilter(&q)
	if err != nil {
		return nil, "", err
	}
	if err := e.catchUp(); err != nil {
		return nil, "", err
	}
	cursor, err = e.selectDead(f, true, func(_ *index.Dead, v *DeadLetter) {
		v.redact()
		out = append(out, *v)
	})
	return out, cursor, err
}

// deadFilter is a query in the form that rows are checked with.
type deadFilter struct {
	q        *DeadLetterQuery
	rows     *rowFilter
	from     uint64
	count    int
	ids      []deadName      // by ids in the order of the query, nil for all
	messages map[uint64]bool // by seq, nil for all
}

// deadName is what the id of a dead letter says.
type deadName struct {
	at  int64 // unix ms
	lsn uint64
}

func newDeadFilter(q *DeadLetterQuery) (*deadFilter, error) {
	f := &deadFilter{q: q, count: q.Count, rows: newRowFilter(q.User, &q.Filter)}
	rest := q.Filter // rows of dead letters have the others
	rest.MessageIDs, rest.From, rest.To = nil, time.Time{}, time.Time{}
	f.rows.isAll = rowsTell(&rest)
	if slices.ContainsFunc(q.URLs, func(u string) bool { return strings.HasPrefix(u, pullPath("")) }) {
		f.rows.hosts = nil // rows of pull queues' messages have the queue in their place
	}
	if f.count <= 0 || f.count > deadPageMax {
		f.count = deadPageMax
	}
	if q.Descending {
		f.from = ^uint64(0)
	}
	if q.Cursor != "" {
		n, err := strconv.ParseUint(q.Cursor, 10, 64)
		if err != nil {
			return nil, limitError("cursor %q is not one that this server gave out", q.Cursor)
		}
		f.from = n
	}
	f.messages = numbers(q.MessageIDs, func(id string) (uint64, error) { seq, _, err := parseMessageID(id); return seq, err })
	f.setIDs(q.IDs)
	return f, nil
}

// setIDs sorts the ids, each once; one that is no id is that of no dead letter.
func (f *deadFilter) setIDs(ids []string) {
	if len(ids) == 0 {
		return
	}
	f.ids = make([]deadName, 0, len(ids))
	for _, id := range ids {
		if at, lsn, err := parseDeadID(id); err == nil {
			f.ids = append(f.ids, deadName{at, lsn})
		}
	}
	order := func(a, b deadName) int {
		if f.q.Descending {
			a, b = b, a
		}
		return cmp.Compare(a.lsn, b.lsn)
	}
	slices.SortFunc(f.ids, order)
	f.ids = slices.CompactFunc(f.ids, func(a, b deadName) bool { return a.lsn == b.lsn })
}

// numbers turns ids into the set of their numbers; one that is no id matches
// nothing. No ids at all match everything.
func numbers(ids []string, parse func(string) (uint64, error)) map[uint64]bool {
	if len(ids) == 0 {
		return nil
	}
	set := make(map[uint64]bool, len(ids))
	for _, id := range ids {
		if n, err := parse(id); err == nil {
			set[n] = true
		}
	}
	return set
}

// row says whether the filter selects a dead letter by what its row tells.
func (f *deadFilter) row(d *index.Dead) bool {
	return f.rows.row(&d.Row) && (f.messages == nil || f.messages[d.Seq]) && f.q.selectsTime(d.At) &&
		(len(f.q.Statuses) == 0 || slices.Contains(f.q.Statuses, int(d.Status)))
}

func (f *deadFilter) matches(v *DeadLetter) bool {
	return f.q.selects(&published{
		URL: v.URL, CallerIP: v.CallerIP, ScheduleID: v.ScheduleID, TopicName: v.TopicName, QueueName: v.QueueName,
		FlowKey: v.Flow.Key, Labels: v.Labels,
	})
}

// selectDead calls take with the dead letters that f selects, f.count at most, and
// returns the cursor of those behind them, "" at the end. With views set v is what was
// read of each, else it is nil unless the filter had to look at it.
func (e *Engine) selectDead(f *deadFilter, views bool, take func(d *index.Dead, v *DeadLetter)) (cursor string, err error) {
	views = views || !f.rows.isAll
	for taken, seen, read := 0, 0, 0; ; {
		rows, next, err := e.scanDead(f, f.count-taken, &seen)
		if err != nil {
			return "", err
		}
		for i := range rows {
			d, v := &rows[i], (*DeadLetter)(nil)
			if views {
				v = new(DeadLetter)
				read += int(d.Row.Len) + int(d.Len)
				err := e.viewDead(d, v)
				if errors.Is(err, ErrNotFound) {
					continue // deleted or retried meanwhile
				}
				if err != nil {
					return "", err
				}
				if !f.rows.isAll && !f.matches(v) {
					continue
				}
			}
			taken++
			take(d, v)
		}
		switch f.from = next; {
		case next == 0:
			return "", nil
		case taken == f.count || seen >= deadScanMax || read >= deadReadMax:
			return strconv.FormatUint(next, 10), nil
		}
	}
}

// scanDead collects up to limit rows that can match by what the index knows of them, and
// says where the next ones are, 0 at the end. seen counts the rows that were looked at.
func (e *Engine) scanDead(f *deadFilter, limit int, seen *int) (rows []index.Dead, next uint64, err error) {
	err = e.walkDead(f, func(d *index.Dead) (bool, error) {
		if *seen == deadScanMax || len(rows) == limit && f.row(d) {
			next = d.LSN
			return false, nil
		}
		if *seen++; f.row(d) {
			rows = append(rows, *d)
		}
		return true, nil
	})
	return rows, next, indexError(err)
}

// walkDead calls fn with the rows of an account's dead letters from f.from on, of those
// with f's ids if it has any.
func (e *Engine) walkDead(f *deadFilter, fn func(d *index.Dead) (bool, error)) error {
	user, down := uint32(f.q.User), f.q.Descending
	if f.ids == nil {
		return e.idx.DeadLetters(user, f.from, down, fn)
	}
	for _, id := range f.ids {
		if down && id.lsn > f.from || !down && id.lsn < f.from {
			continue
		}
		d, ok, err := e.idx.Dead(user, id.lsn)
		if err != nil {
			return err
		}
		if !ok || d.At != id.at {
			continue
		}
		if more, err := fn(&d); !more || err != nil {
			return err
		}
	}
	return nil
}

func oneOf(set []string, s string) bool { return len(set) == 0 || slices.Contains(set, s) }
