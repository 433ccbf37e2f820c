package index

import (
	"math"
	"slices"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// History (X6) is written beside the rows of pending messages, in the same batch.
//
// A message that ends in the applied range that published it, within historySpan and
// oneRowOutcomes, gets one row with all its states, at its seq; most messages do.
// Any other gets a row per change: a first one at its seq, and one for each outcome
// at that outcome's LSN, which an 'e' row finds by the message's seq and the day.
// Ticks of a schedule that published nothing are a row at their record's LSN.
//
// So rows lie in the order of time, give or take historySpan, and retention removes
// them from the front.
const (
	historySpan = 1000 // ms

	// oneRowOutcomes bounds the outcomes in one row, so that the events that it holds are few
	// enough to be numbered by four bits of a cursor (HistoryEventsMax).
	oneRowOutcomes = 5

	// HistoryEventsMax bounds the events that one row holds: CREATED, and up to three of each
	// outcome.
	HistoryEventsMax = 1 + 3*oneRowOutcomes

	dayMillis = 24 * 60 * 60 * 1000
)

// historian is the applier's part that writes history.
type historian struct {
	buf    []byte        // encoded pieces of the messages that this batch published
	ends   []historyEnd  // outcomes of these messages
	chain  []*historyEnd // scratch
	second int64         // newest time row, unix s
	row    []byte        // scratch
}

// piece is a part of historian.buf.
type piece struct{ from, to int }

// historyEnd is an outcome of a message that this batch published.
type historyEnd struct {
	piece
	lsn  uint64
	at   int64
	prev int // the one before of the same message, -1 for none
}

const historyEndSize = int(unsafe.Sizeof(historyEnd{}))

// lifetime is what a pending message remembers of its history in the open batch.
type lifetime struct {
	first   piece // its first row without outcomes; empty if an earlier batch published it
	created int64
	end     int // its newest outcome, -1 for none
}

// load finds where the time rows end.
func (h *historian) load(db *pebble.DB) error {
	h.second = math.MinInt64
	return iterate(db, []byte{kindTime}, []byte{kindTime + 1}, true, func(k, _ []byte) (bool, error) {
		h.second = secondOf(k)
		return false, nil
	})
}

// published notes a message's creation. Its row is written when the batch ends. member
// is not nil if head is of what a fan-out's members share.
func (a *Applier) published(p *pending, head record.MessageHead, member *record.MemberHead) (err error) {
	if a.x.opts.NoHistory {
		return nil
	}
	h := &a.history
	from := len(h.buf)
	h.buf, err = appendCreated(h.buf, &p.row, head, member)
	p.life = lifetime{first: piece{from, len(h.buf)}, created: head.Created(), end: -1}
	if err != nil {
		return err
	}
	return a.timeRow(head.Created(), p.row.Pos)
}

// tells says whether history tells of an outcome. Of a message of a pull queue it tells
// how it came, what the webhook answered, and how it ended: leases are no attempts of ours.
func tells(o *record.Outcome) bool {
	return o.Step.Op == 0 || o.Kind.Final() || o.Step.Op == record.PullPush ||
		o.Step.Op == record.PullBury && o.Step.Next.Dead.Reason != record.PullExpired
}

// ended notes an outcome. p is nil if nothing of its message happened in this batch
// before.
func (a *Applier) ended(p *pending, o *record.Outcome, lsn uint64, payload []byte) error {
	if a.x.opts.NoHistory {
		return nil
	}
	if err := a.timeRow(o.At, lsn); err != nil {
		return err
	}
	h := &a.history
	from := len(h.buf)
	buf, err := appendOutcome(h.buf, o, lsn, payload)
	if err != nil {
		return err
	}
	if p == nil || p.life.first.to == 0 && !plant.Bug("history-in-no-row") {
		a.laterRow(&o.Row, lsn, o.At, buf[from:])
		return nil
	}
	h.buf = buf
	h.ends = append(h.ends, historyEnd{piece{from, len(buf)}, lsn, o.At, p.life.end})
	p.life.end = len(h.ends) - 1
	return nil
}

// closeHistory writes the rows of a message that this batch published.
func (a *Applier) closeHistory(p *pending) {
	h := &a.history
	h.chain = h.chain[:0]
	for i := p.life.end; i >= 0; i = h.ends[i].prev {
		h.chain = append(h.chain, &h.ends[i])
	}
	slices.Reverse(h.chain)
	elided := !p.live && len(h.chain) > 0 && len(h.chain) <= oneRowOutcomes && h.chain[len(h.chain)-1].at-p.life.created <= historySpan
	h.row = append(h.row[:0], h.buf[p.life.first.from:p.life.first.to]...)
	for _, e := range h.chain {
		if elided {
			h.row = append(h.row, h.buf[e.from:e.to]...)
		} else {
			a.laterRow(&p.row, e.lsn, e.at, h.buf[e.from:e.to])
		}
	}
	a.key = historyKey(a.key, p.row.Seq)
	a.set(a.key, h.row)
}

// laterRow writes a row of one outcome and its entry under the message.
func (a *Applier) laterRow(r *record.Row, lsn uint64, at int64, outcome []byte) {
	a.val = append(appendLater(a.val[:0], r, lsn), outcome...)
	a.key = historyKey(a.key, lsn)
	a.set(a.key, a.val)
	a.key = eventKey(a.key, dayOf(at), r.Seq, lsn)
	a.set(a.key, nil)
}

// missed writes a row of ticks that published nothing.
func (a *Applier) missed(lsn uint64, k *record.Tick) error {
	if err := a.timeRow(k.At, lsn); err != nil {
		return err
	}
	short := *k
	short.Error = string(beginning([]byte(k.Error), historyErrorMax))
	a.key, a.val = historyKey(a.key, lsn), short.Append(append(a.val[:0], historyTicks))
	a.set(a.key, a.val)
	return nil
}

// timeRow says where a second begins. A clock that was set back adds none until it
// has caught up.
func (a *Applier) timeRow(ms int64, lsn uint64) error {
	s := ms / 1000
	if s <= a.history.second {
		return nil
	}
	a.history.second = s
	a.key, a.val = timeKey(a.key, s), be.AppendUint64(a.val[:0], lsn)
	return a.batch.Set(a.key, a.val, nil)
}

func dayOf(ms int64) uint32 { return uint32(max(ms, 0) / dayMillis) }
