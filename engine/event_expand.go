package engine

import (
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

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

// expand appends a row's events to dst, in order (QSTASH.md §5.2), without what they share.
func expand(dst []eventRef, h *index.History) []eventRef {
	n := 0
	add := func(s EventState, at int64, o *index.HistoryOutcome) {
		e := eventRef{at: placeOf(h.LSN, n), time: at, state: s, out: o}
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
