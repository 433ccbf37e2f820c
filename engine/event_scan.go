package engine

import (
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// eventLimits bound one call. What they cut is found from its cursor on.
type eventLimits struct {
	work  int // sum of the costs below
	bytes int // of bodies and headers that one answer shows, but for the first event's
}

var (
	eventDefaults  = eventLimits{work: 200_000, bytes: 4 << 20}
	eventFollowing = eventLimits{work: 200_000, bytes: 256 << 10} // of which many may be under way
)

// What looking at history costs, in units of a row that is passed over, which is about
// 200 ns.
const (
	costPassed = 1
	costRow    = 4
	costFirst  = 16 // finding the first row of a later one
	costRecord = 64 // reading a record of the log
)

// eventOriginsMax bounds the messages of which one call remembers the first row.
const eventOriginsMax = 4096

// eventScan collects one page of events.
type eventScan struct {
	e      *Engine
	q      EventQuery
	f      eventFilter
	limits eventLimits
	count  int
	names  map[messageName]bool // that the query names; nil: any

	from  place // where it begins
	given bool  // by a cursor

	seen    uint64 // LSN up to which the index had applied, at the least, when it began
	page    []eventRef
	next    place // of the next page, if there is more
	more    bool
	work    int
	last    place // behind the last row that was looked at
	origins map[uint64]*index.Created
	deads   map[uint64]uint64 // LSN of the dead letter that a message became, by seq
	scratch []eventRef
}

func (e *Engine) newEventScan(q *EventQuery, limits eventLimits) (*eventScan, error) {
	s := &eventScan{e: e, q: *q, limits: limits, count: q.Count, origins: map[uint64]*index.Created{}}
	s.f = newEventFilter(&s.q)
	if s.count <= 0 || s.count > EventCountMax {
		s.count = EventCountMax
	}
	if len(q.MessageIDs) > EventIDsMax {
		return nil, limitError("messageIds names %d messages: at most %d can be asked for at one time", len(q.MessageIDs), EventIDsMax)
	}
	s.names = namesOf(q.MessageIDs)
	from, at, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, err
	}
	s.from, s.given = from, from > 0
	if !s.given && !q.Earliest {
		s.from = ^place(0)
	}
	s.beginAt(at)
	return s, nil
}

// beginAt has the page begin at a time, unless that is zero.
func (s *eventScan) beginAt(at time.Time) {
	switch {
	case at.IsZero():
	case s.q.Earliest && at.After(s.q.From):
		s.q.From = at
	case !s.q.Earliest && (s.q.To.IsZero() || at.Before(s.q.To)):
		s.q.To = at
	}
}

// run fills the page.
func (s *eventScan) run() error {
	s.seen = s.e.idx.Applied()
	lower, upper, err := s.e.eventBounds(&s.q.Filter)
	if err != nil {
		return err
	}
	if s.q.Earliest {
		lower = max(lower, s.from.lsn())
	} else if s.from != ^place(0) {
		upper = min(upper, s.from.lsn()+1)
	}
	if lower >= upper {
		return nil
	}
	if s.names != nil {
		return s.ofMessages(lower, upper)
	}
	return indexError(s.e.idx.UserHistory(uint32(s.q.User), lower, upper, !s.q.Earliest, s.take))
}

// ofMessages takes the rows of the messages that the query names, which are found without
// looking at any other.
func (s *eventScan) ofMessages(lower, upper uint64) error {
	upper = min(upper, s.seen) // the reads below are of several moments: all of them show what is below
	rows, err := s.rowsOf()
	if err != nil {
		return err
	}
	slices.Sort(rows)
	rows = slices.Compact(rows)
	if !s.q.Earliest {
		slices.Reverse(rows)
	}
	var h index.History
	for _, lsn := range rows {
		if lsn < lower || lsn >= upper {
			continue
		}
		ok, err := s.e.idx.HistoryRow(lsn, &h)
		if err != nil {
			return indexError(err)
		}
		// Whoever guesses the number of another account's message does not know its nonce.
		if !ok || UserID(h.User) != s.q.User || !s.names[messageName{h.Seq, h.Nonce}] {
			continue
		}
		if more, err := s.take(lsn, &h); err != nil || !more {
			return err
		}
	}
	return nil
}

// eventRowsMax bounds the history rows of the messages that one call names.
const eventRowsMax = 100_000

func (s *eventScan) rowsOf() (rows []uint64, err error) {
	for name := range s.names {
		more, err := s.e.idx.MessageRows(name.seq, eventRowsMax-len(rows))
		if err != nil {
			return nil, indexError(err)
		}
		if rows = append(rows, more...); len(rows) >= eventRowsMax {
			return nil, limitError("messageIds: there are more than %d events of these messages: ask for fewer at one time", eventRowsMax)
		}
	}
	return rows, nil
}

// messageName is a message id, taken apart.
type messageName struct{ seq, nonce uint64 }

// namesOf returns the messages that ids name, nil for no ids. What is no id is nobody's.
func namesOf(ids []string) map[messageName]bool {
	if len(ids) == 0 {
		return nil
	}
	names := make(map[messageName]bool, len(ids))
	for _, id := range ids {
		if seq, nonce, err := parseMessageID(id); err == nil {
			names[messageName{seq, nonce}] = true
		}
	}
	return names
}

// take looks at one row, and says whether to go on.
func (s *eventScan) take(lsn uint64, h *index.History) (more bool, err error) {
	if s.work >= s.limits.work {
		s.next, s.more = placeOf(lsn, 0), true
		if !s.q.Earliest {
			s.next = placeOf(lsn, placeMask)
		}
		return false, nil
	}
	s.last = placeOf(lsn+1, 0)
	if h == nil {
		s.work += costPassed
		return true, nil
	}
	s.work += costRow
	s.noteDead(h)
	s.scratch = expand(s.scratch[:0], h)
	chosen := slices.DeleteFunc(s.scratch, func(e eventRef) bool { return s.passed(e.at) || !s.f.selectsEvent(&e) })
	if len(chosen) == 0 {
		return true, nil
	}
	created, err := s.origin(&eventRow{seq: h.Seq, nonce: h.Nonce, pos: h.Pos, len: h.Len}, h.Created)
	if err != nil || !s.f.selectsPublished(created) {
		return err == nil, err
	}
	row := &eventRow{user: h.User, seq: h.Seq, nonce: h.Nonce, pos: h.Pos, len: h.Len, created: created}
	for i := range chosen {
		chosen[i].row = row
	}
	return s.keep(chosen), nil
}

// noteDead remembers what a message became: the dead letter knows where its records stand
// now.
func (s *eventScan) noteDead(h *index.History) {
	n := len(h.Outcomes)
	if n == 0 || h.Outcomes[n-1].Kind != record.Dead {
		return
	}
	if s.deads == nil || len(s.deads) == eventOriginsMax {
		s.deads = map[uint64]uint64{}
	}
	s.deads[h.Seq] = h.Outcomes[n-1].LSN
}

// passed says whether a place is of a page before.
func (s *eventScan) passed(p place) bool {
	if s.q.Earliest {
		return p < s.from
	}
	return p > s.from
}

// keep adds a row's events to the page, and says whether there is room for more.
func (s *eventScan) keep(chosen []eventRef) bool {
	if !s.q.Earliest {
		slices.Reverse(chosen)
	}
	for i := range chosen {
		if len(s.page) == s.count {
			s.next, s.more = chosen[i].at, true
			return false
		}
		s.page = append(s.page, chosen[i])
	}
	return true
}

// origin finds out what a row's message was published with; c is what the row itself says
// of that, if it does. It returns nil if nothing is known.
func (s *eventScan) origin(row *eventRow, c *index.Created) (*index.Created, error) {
	if c != nil && (!c.Cut || s.f.anything) {
		return c, nil
	}
	if created, known := s.origins[row.seq]; known {
		return created, nil
	}
	created, err := s.findOrigin(row, c)
	if err != nil {
		return nil, err
	}
	if len(s.origins) == eventOriginsMax {
		clear(s.origins)
	}
	s.origins[row.seq] = created
	return created, nil
}

// findOrigin takes it from the message's first row, which c is of if that is at hand, or
// from its record.
func (s *eventScan) findOrigin(row *eventRow, c *index.Created) (*index.Created, error) {
	if c == nil {
		s.work += costFirst
		var h index.History
		if _, err := s.e.idx.HistoryRow(row.seq, &h); err != nil {
			return nil, indexError(err)
		}
		c = h.Created
	}
	if c != nil && (!c.Cut || s.f.anything) {
		return c, nil
	}
	s.work += costRecord
	switch m, err := s.e.eventMessage(row); err {
	case nil:
		return createdOf(m), nil
	case errRecordGone:
		return c, nil
	default:
		return nil, err
	}
}
