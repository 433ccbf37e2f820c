package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// Callbacks (QSTASH.md §7) are messages that an outcome publishes: they stand in its
// record, so that neither is there without the other (W9). A callback has no body of its
// own there: what it reports is the outcome and the message that this is about, which
// stand beside it once for all of them, and the JSON is made of them whenever it is
// wanted. So a response is stored once, and as many bytes as it has.

// report is a callback's body. Order and names are the contract's.
type report struct {
	Status          int                 `json:"status"`
	Header          map[string][]string `json:"header"`
	Body            []byte              `json:"body"` // base64, of the response
	Retried         int                 `json:"retried"`
	MaxRetries      int                 `json:"maxRetries"`
	DLQID           string              `json:"dlqId,omitempty"`
	SourceMessageID string              `json:"sourceMessageId"`
	TopicName       string              `json:"topicName,omitempty"`
	EndpointName    string              `json:"endpointName,omitempty"`
	URL             string              `json:"url"`
	Method          string              `json:"method"`
	SourceHeader    map[string][]string `json:"sourceHeader"`
	SourceBody      []byte              `json:"sourceBody"` // base64
	NotBefore       int64               `json:"notBefore"`
	CreatedAt       int64               `json:"createdAt"`
	ScheduleID      string              `json:"scheduleId,omitempty"`
	CallerIP        string              `json:"callerIP,omitempty"`
	MessageID       string              `json:"messageId"` // SourceMessageID's alias
}

// renderReport returns the body of a callback of the outcome o, whose record stood at lsn
// when it was logged; failure says that it is a failure callback.
func renderReport(o *record.Outcome, lsn uint64, failure bool) ([]byte, error) {
	var m record.Message
	if err := record.DecodeMessage(o.Source, &m); err != nil {
		return nil, err
	}
	body, err := m.OpenBody(nil)
	if err != nil {
		return nil, err
	}
	id := MessageID(o.Seq, o.Nonce)
	r := report{
		Status: int(o.Status), Header: multimap(o.Header), Body: full(o.Body), Retried: int(o.Attempt) - 1, MaxRetries: int(m.Retries),
		SourceMessageID: id, TopicName: m.Topic, EndpointName: m.Endpoint, URL: m.URL, Method: m.Method.String(),
		SourceHeader: multimap(withoutTrace(m.Header)), SourceBody: full(body), NotBefore: m.Due, CreatedAt: m.Created,
		ScheduleID: m.Schedule, CallerIP: m.CallerIP, MessageID: id,
	}
	if failure {
		r.DLQID = deadID(o.At, lsn)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&r); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// full makes an empty body an empty text, and not null.
func full(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func multimap(hs []Header) map[string][]string {
	m := make(map[string][]string, len(hs))
	for i := range hs {
		m[hs[i].Name] = append(m[hs[i].Name], hs[i].Value)
	}
	return m
}

// openMessage decodes the message of a row out of the payload it stands in, moved there or
// not, and returns its body. Both alias the payload, or scratch where the body had to be
// decompressed.
func openMessage(p []byte, row *record.Row, m *record.Message, scratch []byte) (body []byte, err error) {
	if p, err = record.Unwrap(p); err != nil {
		return nil, err
	}
	reports, err := record.OpenMessage(p, row.Nonce, m)
	if err != nil {
		return nil, err
	}
	if reports == nil {
		return m.OpenBody(scratch)
	}
	n, err := reports.CallbackOf(row.Nonce)
	if err != nil {
		return nil, err
	}
	return renderReport(reports, row.Seq-1-uint64(n), m.Flags&record.FlagFailure != 0)
}

// callbacks adds to an attempt's end the messages that report it.
func (a *attempter) callbacks(r *attemptResult, cmd *startCommand, body []byte) error {
	m := &a.message
	templates := [...][]byte{m.Callback, m.Failure}
	if decide(r, cmd.attempt) != record.Dead || r.final && plant.Bug("refusal-is-not-reported") {
		templates[1] = nil
	}
	for i, t := range templates {
		if len(t) == 0 {
			continue
		}
		p, err := a.callback(t, cmd, i == 1)
		if err != nil {
			return err
		}
		r.outcome.Callbacks = append(r.outcome.Callbacks, p)
	}
	if len(r.outcome.Callbacks) == 0 {
		return nil
	}
	src := *m
	src.Callback, src.Failure, src.Tick, src.Line = nil, nil, record.ScheduleTick{}, record.Line{}
	src.Flags &^= record.FlagTick | record.FlagReport | record.FlagFailure
	if m.Flags&record.FlagReport != 0 {
		src.SetBody(body[:min(len(body), messageMaxLimit)], nil)
	}
	a.fitSource(&r.outcome, &src, body)
	r.outcome.Source = src.Append(make([]byte, 0, src.Size()))
	return nil
}

// outcomeSlack bounds what an outcome grows by until it is logged, bytes.
const outcomeSlack = 1 << 10

// fitSource cuts the body of what is reported to what the record of the outcome has room
// for. Only that of a callback may have to be cut, which holds a message and an answer as
// base64, or one from before message.max-size or response.max-size were made less. The log
// refuses a record that is longer, which would end the server whenever it came to it.
func (a *attempter) fitSource(o *record.Outcome, src *record.Message, body []byte) {
	room := a.e.limits.Load().recordMax() - record.MoveOverhead - outcomeSlack - o.Size() - (src.Size() - len(src.Body))
	if len(src.Body) > room {
		src.SetBody(body[:min(len(body), max(room, 0))], nil)
	}
}

// callback makes one callback of its template. A callback of a message that stands in a
// queue shares its turn (L6).
func (a *attempter) callback(template []byte, cmd *startCommand, failure bool) ([]byte, error) {
	var t record.Message
	if err := record.DecodeMessage(template, &t); err != nil {
		return nil, fmt.Errorf("the template of a callback: %w", err)
	}
	t.Redact = redactOfCallback(&a.message.Redact)
	t.User, t.Nonce, t.CallerIP = cmd.row.User, a.rand.draw(a.e.opts.Rand), a.message.CallerIP
	t.Flags |= record.FlagReport
	if failure {
		t.Flags |= record.FlagFailure
	}
	if cmd.row.Queue != 0 {
		t.Lane, t.Queue, t.Root = cmd.row.Lane, cmd.row.Queue, uint64(cmd.row.Order())
		if plant.Bug("callback-begins-a-turn") {
			t.Root = 0
		}
		t.QueueName, t.Ordering = a.message.QueueName, a.message.Ordering
	}
	return t.Append(make([]byte, 0, t.Size())), nil
}

// template encodes a callback as a message to come: its Due is a delay. Retries are those
// of the message that it reports unless it says otherwise, and so is the trace.
func (e *Engine) template(cb *Callback, user UserID, retries int, trace *Trace) ([]byte, error) {
	if cb == nil {
		return nil, nil
	}
	host, err := hostKey(cb.URL)
	if err != nil {
		return nil, limitError("invalid callback url: %v", err)
	}
	if cb.Retries != InheritRetries {
		retries = cb.Retries
	}
	if err := e.checkTries(retries, cb.Timeout); err != nil {
		return nil, err
	}
	if most := e.limits.Load().MaxDelay; cb.Delay < 0 || cb.Delay > most {
		return nil, limitError("the delay of a callback must be from 0 to message.max-delay, %s", most)
	}
	m := record.Message{
		User: uint32(user), Due: cb.Delay.Milliseconds(), Host: host, Timeout: uint32(cb.Timeout.Milliseconds()),
		Retries: uint16(retries), Method: cb.Method, URL: cb.URL, RetryDelay: cb.RetryDelay,
	}
	m.Header = trace.carry(append([]Header{{Name: "Content-Type", Value: "application/json"}}, cb.Header...))
	if err := setFlow(&m, &cb.Flow); err != nil {
		return nil, err
	}
	m.Lane = laneTo(&m, host)
	if m.Failure, err = e.template(cb.Failure, user, retries, trace); err != nil {
		return nil, err
	}
	return m.Append(make([]byte, 0, m.Size())), nil
}

// viewCallback returns what a message's owner sees of a template.
func viewCallback(template []byte) (*CallbackInfo, error) {
	if len(template) == 0 {
		return nil, nil
	}
	var m record.Message
	if err := record.DecodeMessage(template, &m); err != nil {
		return nil, err
	}
	return &CallbackInfo{URL: m.URL, Header: withoutTrace(m.Header)}, nil
}

// setFlow gives a message its flow-control key.
func setFlow(m *record.Message, f *FlowControl) error {
	if f.Key == "" {
		return nil
	}
	period := f.Period
	if period == 0 {
		period = time.Second
	}
	switch {
	case f.Parallelism < 0 || f.Rate < 0 || f.Parallelism == 0 && f.Rate == 0:
		return limitError("Upstash-Flow-Control-Value must name a parallelism or a rate of 1 or more")
	case f.Parallelism > flowMax || f.Rate > flowMax:
		return limitError("Upstash-Flow-Control-Value: a parallelism or rate may be at most %d", flowMax)
	case period < time.Second || period > FlowPeriodMax:
		return limitError("Upstash-Flow-Control-Value: the period must be from 1s to 7d")
	}
	m.FlowKey = f.Key
	m.FlowRule = record.FlowRule{Parallelism: uint32(f.Parallelism), Rate: uint32(f.Rate), Period: uint32(period.Milliseconds()), Sliding: f.Sliding}
	m.Flow = record.FlowID(m.User, f.Key)
	return nil
}

// flowMax bounds parallelism and rate of a flow-control key.
const flowMax = 1_000_000_000
