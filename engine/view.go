package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Message returns a pending message; one that has ended is not found (QSTASH.md
// §8.1). It sees every publish that was answered before.
func (e *Engine) Message(u UserID, id string) (*Message, error) {
	v, err := e.message(u, id)
	if err == nil {
		v.redact()
	}
	return v, err
}

// message is Message with nothing redacted.
func (e *Engine) message(u UserID, id string) (*Message, error) {
	seq, nonce, err := parseMessageID(id)
	if err != nil {
		return nil, ErrNotFound
	}
	if err := e.catchUp(); err != nil {
		return nil, err
	}
	for range readTries {
		row, ok, err := e.idx.Row(seq)
		if err != nil {
			return nil, indexError(err)
		}
		if !ok || row.Nonce != nonce || UserID(row.User) != u || row.Pull.Published != 0 { // see PullMessage
			return nil, ErrNotFound
		}
		v := new(Message)
		if err = e.readMessage(&row, v); err == nil {
			return v, nil
		}
		if !errors.Is(err, wal.ErrNotFound) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrDamaged, id)
}

// readTries is how often a row is read again whose address the log no longer has:
// between the two reads the record was moved. A segment takes longer than that to
// be given up.
const readTries = 3

// readMoved reads a row's record. An address held in memory is a hint, the id is the
// truth (W10): if the log no longer has it, the index knows where the record is, or that
// the message has ended (errEnded).
func (e *Engine) readMoved(row *record.Row, buf []byte) ([]byte, error) {
	p, err := e.log.Read(wal.LSN(row.Pos), int(row.Len), buf)
	for i := 1; i < readTries && errors.Is(err, wal.ErrNotFound); i++ {
		now, ok, indexErr := e.idx.Row(row.Seq)
		if indexErr == nil && !ok {
			return nil, errEnded // or its segment could not have been given up
		}
		if indexErr != nil || now.Pos == row.Pos {
			break
		}
		p, err = e.log.Read(wal.LSN(now.Pos), int(now.Len), buf)
	}
	return p, err
}

// indexError turns an error of the index into one of the engine's.
func indexError(err error) error {
	if errors.Is(err, index.ErrClosed) {
		return ErrClosed
	}
	return err
}

// catchUp waits until the index shows everything that is durable now (X5).
func (e *Engine) catchUp() error {
	if err := e.syncAnswered(); err != nil {
		return err
	}
	return e.waitApplied(uint64(e.log.Durable().LSN))
}

// syncAnswered makes durable what was answered before it was: core and index
// see nothing else, and a producer that asks for its message must find it.
func (e *Engine) syncAnswered() error {
	if e.opts.FsyncInterval == 0 || e.fatalErr.Load() != nil {
		return nil
	}
	if err := e.log.Commit(); err != nil {
		return logError(err)
	}
	return nil
}

// readMessage reads a row's record from the log and fills in the view, with nothing
// redacted: that is for whoever shows it to its owner.
func (e *Engine) readMessage(row *record.Row, v *Message) error {
	p, err := e.readRecord(row.Pos, int(row.Len))
	if err != nil {
		return err
	}
	var m record.Message
	body, err := openMessage(p, row, &m, nil)
	if err == nil {
		err = v.fill(row, &m, body)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// fill makes a view of a message.
func (v *Message) fill(row *record.Row, m *record.Message, body []byte) (err error) {
	*v = Message{
		ID: MessageID(row.Seq, row.Nonce), URL: m.URL, Method: m.Method.String(), Header: withoutTrace(m.Header), Body: body,
		CallerIP: m.CallerIP, Retries: int(m.Retries), RetryDelay: m.RetryDelay,
		Timeout: time.Duration(m.Timeout) * time.Millisecond,
		Created: time.UnixMilli(m.Created), NotBefore: time.UnixMilli(m.Due), Due: time.UnixMilli(row.Due),
		Attempts: int(row.Tries), ScheduleID: m.Schedule,
		QueueName: m.QueueName, Ordering: m.Ordering, Flow: flowControl(m), TopicName: m.Topic, Endpoint: m.Endpoint,
		Labels: m.Labels, Redact: m.Redact,
	}
	if v.Callback, err = viewCallback(m.Callback); err == nil {
		v.Failure, err = viewCallback(m.Failure)
	}
	return err
}

func flowControl(m *record.Message) FlowControl {
	if m.FlowKey == "" {
		return FlowControl{}
	}
	return FlowControl{
		Key: m.FlowKey, Parallelism: int(m.Parallelism), Rate: int(m.Rate), Period: millis(int64(m.Period)), Sliding: m.Sliding,
	}
}

// readRecord reads the message or outcome that stands at pos, moved there or not.
func (e *Engine) readRecord(pos uint64, n int) ([]byte, error) {
	p, err := e.log.Read(wal.LSN(pos), n, nil)
	var damage *wal.CorruptionError
	if errors.As(err, &damage) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the record at %d: %w", pos, err)
	}
	if p, err = record.Unwrap(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return p, nil
}

// Cancel ends a pending message. Once it has returned nil, no attempt of it
// starts, not after a restart either (P24); one that is under way may still
// arrive.
func (e *Engine) Cancel(u UserID, id string) error {
	seq, nonce, err := parseMessageID(id)
	if err != nil {
		return ErrNotFound
	}
	if err := e.Ready(); err != nil {
		return err
	}
	if err := e.syncAnswered(); err != nil {
		return err
	}
	got := make(chan error, 1)
	req := &cancelRequest{user: u, seq: seq, nonce: nonce, done: func(err error) { got <- err }}
	e.inbox.push(event{kind: evCancel, req: req})
	select {
	case err := <-got:
		return err
	case <-e.stop:
		return ErrClosed
	}
}
