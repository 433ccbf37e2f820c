package engine

import (
	"strconv"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// A history row holds up to index.HistoryEventsMax events. An event's place is the row's key
// and its number in the row, in one integer: places are in the order of the log, never
// change while the index is there, and none appears below one that was seen, since the
// index applies groups in log order. So a place is a cursor that stays valid whatever is
// written or trimmed meanwhile. For the first 131,072 segments, 8 TiB of the default size,
// it fits a JavaScript number.
const (
	placeBits = 4
	placeMask = 1<<placeBits - 1
)

// The numbers of a row's events fit.
var _ [placeMask + 1 - index.HistoryEventsMax]struct{}

type place uint64

func placeOf(lsn uint64, n int) place { return place(lsn<<placeBits | uint64(n)) }

func (p place) lsn() uint64 { return uint64(p) >> placeBits }

func (p place) String() string { return strconv.FormatUint(uint64(p), 10) }

// parsePlace reads a cursor; "" is none, and so is 0, where the log has nothing.
func parsePlace(s string) (p place, given bool, err error) {
	if s == "" {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, false, limitError("cursor %q is not one that this server gave out", s)
	}
	return place(n), n > 0, nil
}

// eventRef is an event as the index has it.
type eventRef struct {
	at    place
	time  int64 // unix ms
	state EventState
	row   *eventRow
	out   *index.HistoryOutcome // what it comes from; nil for CREATED and for what is in flight

	attempt int // of one that is in flight, else out's
}

// eventRow is what the events of one history row share.
type eventRow struct {
	user            uint32
	seq, nonce, pos uint64
	len             uint32
	dead            uint64         // the LSN of the dead letter that it became, as far as that is at hand
	created         *index.Created // nil: the message's first row is gone, and its record, too
}

// expand appends a row's events to dst, in order (QSTASH.md §5.2).
func expand(dst []eventRef, h *index.History, row *eventRow) []eventRef {
	n := 0
	add := func(s EventState, at int64, o *index.HistoryOutcome) {
		e := eventRef{at: placeOf(h.LSN, n), time: at, state: s, row: row, out: o}
		if o != nil {
			e.attempt = int(o.Attempt)
		}
		dst = append(dst, e)
		n++
	}
	if h.Created != nil {
		add(EventCreated, h.Created.At, nil)
	}
	for i := range h.Outcomes {
		o := &h.Outcomes[i]
		if o.Kind == record.Canceled {
			add(EventCancelRequested, o.At, o)
			add(EventCanceled, o.At, o)
			continue
		}
		if o.Attempt > 0 {
			add(EventActive, o.At-int64(o.Took), o)
		}
		switch o.Kind {
		case record.Delivered:
			add(EventDelivered, o.At, o)
		case record.Retry:
			add(EventError, o.At, o)
			add(EventRetry, o.At, o)
		case record.Dead:
			add(EventError, o.At, o)
			add(EventFailed, o.At, o)
		}
	}
	return dst
}
