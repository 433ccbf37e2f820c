package index

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tidemill/tidemill/engine/record"
)

// modelHistory is what history should say: every event once, wherever its row is.
type modelHistory struct {
	events map[string]bool
	times  map[string]string // the time rows, which do not depend on batches
	second int64
}

func newModelHistory() modelHistory {
	return modelHistory{events: map[string]bool{}, times: map[string]string{}, second: math.MinInt64}
}

func createdEvent(seq, pos uint64, user uint32, nonce uint64, n uint32, c *Created) string {
	return fmt.Sprint("created ", seq, pos, user, nonce, n, *c)
}

func outcomeEvent(seq uint64, user uint32, nonce uint64, o *HistoryOutcome) string {
	return fmt.Sprint("outcome ", seq, user, nonce, *o)
}

func (m *modelHistory) time(ms int64, lsn uint64) {
	if s := ms / 1000; s > m.second {
		m.second = s
		m.times[string(timeKey(nil, s))] = string(be.AppendUint64(nil, lsn))
	}
}

func (m *modelHistory) published(r *record.Row, p *record.Message) {
	c := Created{At: p.Created, Due: p.Due, Method: p.Method, Retries: p.Retries, Cut: len(p.URL) > historyFieldMax}
	c.HistoryFields = record.HistoryFields{
		URL: p.URL[:min(len(p.URL), historyFieldMax)], CallerIP: p.CallerIP, Schedule: p.Schedule,
		QueueName: p.QueueName, FlowKey: p.FlowKey, TopicName: p.Topic, Endpoint: p.Endpoint,
	}
	m.events[createdEvent(r.Seq, r.Pos, p.User, p.Nonce, r.Len, &c)] = true
	m.time(p.Created, r.Pos)
}

func missedEvent(lsn uint64, user uint32, k *record.Tick) string {
	return fmt.Sprint("missed ", lsn, user, *k)
}

func (m *modelHistory) missed(r logged, k *record.Tick) {
	short := *k
	short.Error = string(beginning([]byte(k.Error), historyErrorMax))
	m.events[missedEvent(r.lsn, k.User, &short)] = true
	m.time(k.At, r.lsn)
}

func (m *modelHistory) ended(r logged, o *record.Outcome) {
	h := HistoryOutcome{
		LSN: r.lsn, Len: uint32(len(r.payload)), Kind: o.Kind, At: o.At, Took: o.Took, Attempt: o.Attempt, Status: o.Status,
	}
	if o.Kind == record.Retry || o.Kind == record.Dead {
		h.Error = o.Error[:min(len(o.Error), historyErrorMax)]
	}
	if o.Kind == record.Retry {
		h.Next = o.Next
	}
	m.events[outcomeEvent(o.Seq, o.User, o.Nonce, &h)] = true
	m.time(o.At, r.lsn)
}

// diff says how the history in got differs from the model. It checks the form of
// the rows, too: which states may share one, and what finds the others.
func (m *modelHistory) diff(got map[string]string) error {
	left := maps.Clone(m.events)
	times := 0
	for _, k := range slices.Sorted(maps.Keys(got)) {
		switch k[0] {
		case kindTime:
			if times++; m.times[k] != got[k] {
				return fmt.Errorf("time row %x is %x, want %x", k, got[k], m.times[k])
			}
		case kindEvent:
			if _, ok := got[string(historyKey(nil, be.Uint64([]byte(k[13:]))))]; !ok {
				return fmt.Errorf("event row %x points at no history row", k)
			}
		case kindHistory:
			if err := m.take(k, got, left); err != nil {
				return err
			}
		}
	}
	if times != len(m.times) {
		return fmt.Errorf("%d time rows, want %d", times, len(m.times))
	}
	for e := range left {
		return fmt.Errorf("history lacks %d events, among them %s", len(left), e)
	}
	return nil
}

// take strikes a row's events off what is left.
func (m *modelHistory) take(k string, got map[string]string, left map[string]bool) error {
	var h History
	if err := decodeHistory([]byte(k), []byte(got[k]), &h); err != nil {
		return fmt.Errorf("history row %x: %w", k, err)
	}
	events := make([]string, 0, 2)
	if k := h.Missed; k != nil {
		if h.Created != nil || len(h.Outcomes) > 0 || h.Seq != 0 {
			return fmt.Errorf("a row of missed ticks is of a message, too: %+v", h)
		}
		events = append(events, missedEvent(h.LSN, h.User, k))
	} else if c := h.Created; c != nil {
		events = append(events, createdEvent(h.Seq, h.Pos, h.User, h.Nonce, h.Len, c))
		if n := len(h.Outcomes); n > 0 && (!h.Outcomes[n-1].Kind.Final() || h.Outcomes[n-1].At > c.At+historySpan) {
			return fmt.Errorf("history row %+v holds outcomes of a message that did not end in time", h)
		}
	} else {
		if len(h.Outcomes) != 1 || h.Outcomes[0].LSN != h.LSN {
			return fmt.Errorf("a later history row holds %+v", h)
		}
		if _, ok := got[string(eventKey(nil, dayOf(h.Outcomes[0].At), h.Seq, h.LSN))]; !ok {
			return fmt.Errorf("nothing finds the history row %+v", h)
		}
	}
	for i := range h.Outcomes {
		events = append(events, outcomeEvent(h.Seq, h.User, h.Nonce, &h.Outcomes[i]))
	}
	for _, e := range events {
		if !left[e] {
			return fmt.Errorf("history has an event too many: %s", e)
		}
		delete(left, e)
	}
	return nil
}
