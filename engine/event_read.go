package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// errRecordGone is a record that the log has given up, or that is damaged: what it held is
// not shown, and does not keep the rest of the page from being shown (W7, W10).
var errRecordGone = errors.New("the record is gone")

// eventReader reads what the events of one page show beyond what history has. A message
// that several of them are about is read once.
type eventReader struct {
	e        *Engine
	messages map[uint64]*Message // nil: gone
	bytes    int                 // of bodies and headers in the events so far
}

// read makes the event that ref is about.
func (r *eventReader) read(ref *eventRef, ev *Event) error {
	row := ref.row
	*ev = Event{
		ID: (ref.at + 1).String(), Time: time.UnixMilli(ref.time), State: ref.state,
		MessageID: MessageID(row.seq, row.nonce), Attempt: ref.attempt,
	}
	m, err := r.message(row)
	if err != nil {
		return err
	}
	ev.Message, ev.Expired = m, m == nil
	ev.published(row.created)
	if row.created != nil && row.created.Cut && m != nil {
		ev.published(createdOf(m))
	}
	if m != nil {
		r.bytes += len(m.Body) + headerBytes(m.Header)
	}
	switch ref.state {
	case EventCreated:
		if c := row.created; c != nil && c.Due > c.At {
			ev.Next = time.UnixMilli(c.Due)
		}
	case EventRetry:
		ev.Next = time.UnixMilli(ref.out.Next)
	case EventError, EventDelivered, EventFailed:
		return r.ended(ref, ev)
	}
	return nil
}

// published fills in what history knows of the publish.
func (ev *Event) published(c *index.Created) {
	if c == nil {
		return
	}
	ev.URL, ev.CallerIP, ev.ScheduleID = c.URL, c.CallerIP, c.Schedule
	ev.QueueName, ev.FlowKey, ev.TopicName, ev.Endpoint = c.QueueName, c.FlowKey, c.TopicName, c.Endpoint
	ev.Labels = c.Labels
	ev.Method, ev.Retries = c.Method.String(), int(c.Retries)
}

// createdOf is what history would know of a message, had it room for all of it.
func createdOf(m *Message) *index.Created {
	method, _ := record.ParseMethod(m.Method)
	return &index.Created{
		At: m.Created.UnixMilli(), Due: m.NotBefore.UnixMilli(), Method: method, Retries: uint16(m.Retries),
		HistoryFields: record.HistoryFields{
			URL: m.URL, CallerIP: m.CallerIP, Schedule: m.ScheduleID, QueueName: m.QueueName, FlowKey: m.Flow.Key,
			TopicName: m.TopicName, Endpoint: m.Endpoint, Labels: m.Labels,
		},
	}
}

// message returns the message of a row, nil if its record is gone.
func (r *eventReader) message(row *eventRow) (*Message, error) {
	if m, known := r.messages[row.seq]; known {
		return m, nil
	}
	m, err := r.e.eventMessage(row)
	if err != nil && err != errRecordGone {
		return nil, err
	}
	r.messages[row.seq] = m
	return m, nil
}

// eventMessage reads the message of a row and redacts it (QSTASH.md §10), or fails with
// errRecordGone.
func (e *Engine) eventMessage(row *eventRow) (*Message, error) {
	at := record.Row{Seq: row.seq, Nonce: row.nonce, Pos: row.pos, Len: row.len}
	m := new(Message)
	err := e.readMessage(&at, m)
	if errors.Is(err, wal.ErrNotFound) { // it was moved if it is pending or a dead letter (W10)
		now, ok, indexErr := e.rowNow(row)
		if indexErr != nil {
			return nil, indexError(indexErr)
		}
		if ok {
			err = e.readMessage(&now, m)
		}
	}
	if err != nil {
		return nil, lostRecord(err)
	}
	m.redact()
	return m, nil
}

// rowNow returns what the index knows of a message that is pending, or a dead letter.
func (e *Engine) rowNow(row *eventRow) (now record.Row, ok bool, err error) {
	now, ok, err = e.idx.Row(row.seq)
	if err == nil && !ok && row.dead != 0 {
		var d index.Dead
		d, ok, err = e.idx.Dead(row.user, row.dead)
		now = d.Row
	}
	return now, ok && now.Nonce == row.nonce, err
}

// lostRecord turns the errors of records that cannot be read for good into errRecordGone.
func lostRecord(err error) error {
	if _, passing := asReadError(err).(readError); passing && !errors.Is(err, ErrDamaged) {
		return err
	}
	return errRecordGone
}

// ended fills in how an attempt ended.
func (r *eventReader) ended(ref *eventRef, ev *Event) error {
	out := ref.out
	ev.Ended, ev.Status = true, int(out.Status)
	if ref.state == EventError {
		ev.Error = out.Error
	}
	o, err := r.outcome(ref)
	if err == errRecordGone {
		ev.Expired = true
		return nil
	}
	if err != nil {
		return err
	}
	if ref.state == EventError {
		ev.Error = o.Error
	}
	ev.ResponseHeader, ev.ResponseBody, ev.Timing = o.Header, o.Body, attemptTiming(&o.Timing)
	r.bytes += len(o.Body) + headerBytes(o.Header)
	return nil
}

// outcome reads the record of an attempt's end. That of a dead letter may have been moved.
func (r *eventReader) outcome(ref *eventRef) (*record.Outcome, error) {
	o := new(record.Outcome)
	err := r.e.readOutcome(ref.out.LSN, ref.out.Len, o)
	if errors.Is(err, wal.ErrNotFound) && ref.out.Kind == record.Dead {
		d, ok, indexErr := r.e.idx.Dead(ref.row.user, ref.out.LSN)
		if indexErr != nil {
			return nil, indexError(indexErr)
		}
		if ok {
			err = r.e.readOutcome(d.Out, d.Len, o)
		}
	}
	if err != nil {
		return nil, lostRecord(err)
	}
	return o, nil
}

func (e *Engine) readOutcome(pos uint64, n uint32, o *record.Outcome) error {
	p, err := e.readRecord(pos, int(n))
	if err != nil {
		return err
	}
	if err := record.DecodeOutcome(p, o); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

func headerBytes(hs []Header) (n int) {
	for i := range hs {
		n += len(hs[i].Name) + len(hs[i].Value)
	}
	return n
}

func attemptTiming(t *record.Timing) *AttemptTiming {
	if *t == (record.Timing{}) {
		return nil
	}
	us := func(v uint32) time.Duration { return time.Duration(v) * time.Microsecond }
	return &AttemptTiming{
		Queue: us(t.Queue), Flow: us(t.Flow), DNS: us(t.DNS), Connect: us(t.Connect), TLS: us(t.TLS),
		FirstByte: us(t.FirstByte), Total: us(t.Total),
	}
}
