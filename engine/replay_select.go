package engine

import (
	"errors"
	"slices"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// replaySelection picks delivered messages out of the history of an account. It has one
// user.
type replaySelection struct {
	e        *Engine
	user     uint32
	f        *Filter
	anything bool // whatever they were published with
	work     int  // sum of the costs of event_scan.go
}

func newReplaySelection(e *Engine, u UserID, f *Filter) *replaySelection {
	return &replaySelection{e: e, user: uint32(u), f: f, anything: !f.asksForPublished()}
}

// delivery is a message that was delivered.
type delivery struct {
	row    uint64 // the key of the history row that says so
	seq    uint64
	nonce  uint64
	pos    uint64 // where its record stands, if the log still has it
	length uint32 // of that record's payload, or the message's share of it
	at     int64  // unix ms
}

// delivered returns what of a row is selected.
func (s *replaySelection) delivered(h *index.History) (d delivery, ok bool, err error) {
	s.work += costRow
	i := slices.IndexFunc(h.Outcomes, func(o index.HistoryOutcome) bool { return o.Kind == record.Delivered })
	if i < 0 || !s.f.selectsTime(h.Outcomes[i].At) {
		return d, false, nil
	}
	d = delivery{row: h.LSN, seq: h.Seq, pos: h.Pos, at: h.Outcomes[i].At, nonce: h.Nonce, length: h.Len}
	if len(s.f.MessageIDs) > 0 && !slices.Contains(s.f.MessageIDs, MessageID(d.seq, d.nonce)) {
		return d, false, nil
	}
	if s.anything {
		return d, true, nil
	}
	c := h.Created
	if c == nil {
		s.work += costFirst
		var first index.History
		if _, err := s.e.idx.HistoryRow(h.Seq, &first); err != nil {
			return d, false, indexError(err)
		}
		c = first.Created
	}
	if c == nil || c.Cut {
		if c, err = s.fromRecord(&d, c); err != nil {
			return d, false, err
		}
	}
	return d, c != nil && s.f.selects(publishedOf(c)), nil
}

// fromRecord finds out what a message was published with from its record, where history
// has not all of it: else what history has.
func (s *replaySelection) fromRecord(d *delivery, c *index.Created) (*index.Created, error) {
	s.work += costRecord
	m, err := s.e.eventMessage(&eventRow{seq: d.seq, nonce: d.nonce, pos: d.pos, len: d.length})
	if errors.Is(err, errRecordGone) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	return createdOf(m), nil
}

// replayLook bounds the look at history of one call (event_scan.go says what costs what).
const replayLook = 400_000

// kept fails with ErrBodiesGone if there are messages to replay and the log has none of
// them any more. It looks at the newest history first, and not at all of it if there is
// much: then the job will tell.
func (s *replaySelection) kept(lower, upper uint64) error {
	first, found, kept := uint64(s.e.log.First()), false, false
	err := s.e.idx.UserHistory(s.user, lower, upper, true, func(_ uint64, h *index.History) (bool, error) {
		if h == nil {
			s.work += costPassed
			return s.work < replayLook, nil
		}
		d, ok, err := s.delivered(h)
		found = found || ok
		kept = ok && d.pos >= first
		return err == nil && !kept && s.work < replayLook, err
	})
	if err != nil {
		return indexError(err)
	}
	if found && !kept && s.work < replayLook {
		return ErrBodiesGone
	}
	return nil
}

// replayPage is a piece of the history.
type replayPage struct {
	list    []delivery
	expired uint64 // messages beside list that the log no longer has
	reached int64  // unix ms: when the last of them was delivered; 0: there is none
	next    uint64 // there may be more from here on
}

// page looks at the rows from lower to before upper, until n messages are selected or it
// has looked at enough.
func (s *replaySelection) page(lower, upper uint64, n int) (p replayPage, err error) {
	s.work, p.next = 0, upper
	first := uint64(s.e.log.First())
	err = s.e.idx.UserHistory(s.user, lower, upper, false, func(lsn uint64, h *index.History) (bool, error) {
		if h == nil {
			s.work += costPassed
		} else {
			d, ok, err := s.delivered(h)
			switch {
			case err != nil:
				return false, err
			case ok && d.pos < first:
				p.expired++
				p.reached = d.at
			case ok:
				p.list = append(p.list, d)
			}
		}
		more := len(p.list) < n && s.work < replayLook/10
		if !more {
			p.next = lsn + 1
		}
		return more, nil
	})
	return p, indexError(err)
}

// read reads a delivered message, if the log still has it. Callbacks, which report an
// attempt that is over, are passed over.
func (s *replaySelection) read(d *delivery, m *record.Message) (state replayed, err error) {
	p, err := s.e.readRecord(d.pos, int(d.length))
	if errors.Is(err, wal.ErrNotFound) {
		return replayExpired, nil
	}
	if err != nil {
		return replayBroken, err
	}
	reports, err := record.OpenMessage(p, d.nonce, m)
	switch {
	case err != nil || m.User != s.user:
		return replayBroken, errors.Join(ErrDamaged, err)
	case reports != nil || m.URL == "":
		return replayPassed, nil
	}
	return replayRead, nil
}

// replayed says what became of a message on its way through a replay.
type replayed uint8

const (
	replayRead    replayed = iota // it is to be published
	replayPassed                  // it is none to be replayed
	replayExpired                 // the log no longer has it
	replayBroken                  // it cannot be published
	replayDone                    // it is
)
