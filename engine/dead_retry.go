package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// RetryOptions are what a retry changes about a dead letter's message. What is nil or
// zero stays as it was published, but for the time: a retry is due at once.
type RetryOptions struct {
	Retries    *int
	Timeout    time.Duration
	RetryDelay string
	Delay      time.Duration
	NotBefore  time.Time // goes before Delay
	Flow       FlowControl
	Callback   *Callback
	Failure    *Callback
	Labels     []string
}

// RetryDeadLetter publishes a dead letter's message again, as a new message with
// all its attempts, and removes the dead letter: one record (W9). o says what is
// different about it; nil: nothing.
func (e *Engine) RetryDeadLetter(u UserID, id string, o *RetryOptions) (string, error) {
	if err := errors.Join(e.Ready(), e.space.refusal()); err != nil {
		return "", err
	}
	k, d, err := e.claimDead(u, id)
	if err != nil {
		return "", err
	}
	sub, err := e.redrive(&d, o)
	if err == nil {
		_, err = e.settle(&sub)
	}
	e.claims.settle(k, uint64(sub.ticket.LSN), err)
	if err != nil {
		return "", err
	}
	return MessageID(uint64(sub.ticket.LSN), sub.nonce), nil
}

// redrive copies the message's record: no record refers to another's body (W9). It makes
// the queue that the message is to wait in, as a publish does.
func (e *Engine) redrive(d *index.Dead, o *RetryOptions) (submission, error) {
	p, err := e.readRecord(d.Pos, int(d.Row.Len))
	if err != nil {
		return submission{}, err
	}
	var m record.Message
	body, err := openMessage(p, &d.Row, &m, nil)
	if err != nil {
		return submission{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if m.Flags&record.FlagReport != 0 { // it is a message of its own from now on
		m.Flags &^= record.FlagReport | record.FlagFailure
		m.SetBody(body, nil)
	}
	m.Root = 0
	now := e.wallMillis()
	m.Nonce, m.Created, m.Due = new(chance).draw(e.opts.Rand), now, now
	m.DedupKey, m.FromDead = [16]byte{}, record.FromDead{Dead: d.LSN, Freed: d.Freed()}
	m.Flags, m.Tick = m.Flags&^record.FlagTick, record.ScheduleTick{} // its schedule has gone on
	if err := e.override(&m, o); err != nil {
		return submission{}, err
	}
	// A callback had no body of its own until now.
	if len(body) > messageMaxLimit || m.Size() > e.limits.Load().recordMax()-record.MoveOverhead {
		return submission{}, ErrTooLarge
	}
	if m.PullName != "" {
		q, err := e.ensurePull(UserID(m.User), m.PullName)
		if err != nil {
			return submission{}, err
		}
		placePull(&m, q.ID)
	}
	if m.QueueName != "" {
		if err := e.ensureQueue(UserID(m.User), m.QueueName); err != nil {
			return submission{}, err
		}
	}
	sub, err := e.logMessage(&m)
	if err == nil {
		e.tally.redriven.Add(1)
	}
	return sub, err
}

// override changes a message that is published again, now.
func (e *Engine) override(m *record.Message, o *RetryOptions) (err error) {
	if o == nil {
		return nil
	}
	if m.PullName != "" && (o.Retries != nil || o.Timeout != 0 || o.RetryDelay != "" || o.Flow.Key != "" || o.Callback != nil || o.Failure != nil) {
		return limitError("Upstash-Retries, -Timeout, -Retry-Delay, -Flow-Control-* and callbacks have no place on a message of a pull queue: set them on queue %q", m.PullName)
	}
	p := Publish{
		User: UserID(m.User), Retries: int(m.Retries), Timeout: millis(int64(m.Timeout)), Delay: o.Delay, NotBefore: o.NotBefore,
		Flow: o.Flow, Callback: o.Callback, Failure: o.Failure, Labels: o.Labels,
	}
	if o.Retries != nil {
		p.Retries = *o.Retries
	}
	if o.Timeout != 0 {
		p.Timeout = o.Timeout
	}
	if o.RetryDelay != "" {
		m.RetryDelay = o.RetryDelay
	}
	if o.Retries != nil || o.Timeout != 0 { // what it was published with may be above what is allowed now
		if err := e.checkTries(p.Retries, p.Timeout); err != nil {
			return err
		}
		m.Retries, m.Timeout = uint16(p.Retries), uint32(p.Timeout.Milliseconds())
	}
	if m.Due, err = e.dueTime(&p, time.UnixMilli(m.Created)); err != nil {
		return err
	}
	if len(o.Labels) > 0 {
		if err := checkLabels(&p); err != nil {
			return err
		}
		m.Labels = o.Labels
	}
	return e.overrideLine(m, &p)
}

// overrideLine is override of flow control and callbacks.
func (e *Engine) overrideLine(m *record.Message, p *Publish) (err error) {
	trace := traceOf(m.Header)
	if p.Flow.Key != "" {
		if err := setFlow(m, &p.Flow); err != nil {
			return err
		}
		m.Lane = laneTo(m, m.Host)
	}
	if p.Callback != nil {
		if m.Callback, err = e.template(p.Callback, p.User, p.Retries, &trace); err != nil {
			return err
		}
	}
	if p.Failure != nil {
		if m.Failure, err = e.template(p.Failure, p.User, p.Retries, &trace); err != nil {
			return err
		}
	}
	if m.Size()-len(m.Body) > metaMax-4096 {
		return errMeta
	}
	return nil
}
