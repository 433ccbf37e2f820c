package engine

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/cron"
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// DefineSchedule stores a schedule and returns when it is on disk. One that has the
// same id is replaced (QSTASH.md §8.6): when it fires is decided anew, unless its
// expression is what it was. No tick at or before its last one fires again (T3), so a
// schedule that fired while the clock stood in the future is silent until then, unless it
// is deleted first.
func (e *Engine) DefineSchedule(s *Schedule) (ScheduleReceipt, error) {
	d, err := e.buildSchedule(s)
	if err != nil {
		return ScheduleReceipt{}, err
	}
	if d.DedupKey != [16]byte{} {
		return e.defineUnique(d)
	}
	return e.define(d)
}

// ScheduleResult is one element of DefineSchedules: a receipt or an error.
type ScheduleResult struct {
	ScheduleReceipt
	Err error
}

// DefineSchedules stores schedules one by one, and waits for all of them together:
// each has its own result, in order. Of two with the same id the later one stays.
func (e *Engine) DefineSchedules(ss []Schedule) []ScheduleResult {
	out := make([]ScheduleResult, len(ss))
	waits := make([]func() error, len(ss))
	for i := range ss {
		d, err := e.buildSchedule(&ss[i])
		switch {
		case err != nil:
			out[i].Err = err
		case d.DedupKey != [16]byte{}:
			out[i].ScheduleReceipt, out[i].Err = e.defineUnique(d)
		default:
			out[i].ID = d.ID
			waits[i], out[i].Err = e.pushSchedule(defineRequest(d))
		}
	}
	for i, wait := range waits {
		if wait != nil {
			out[i].Err = wait()
		}
	}
	return out
}

// defineUnique stores the schedule unless its deduplication id was seen within the
// window. One at a time: what was stored before is in the index when the next one looks.
func (e *Engine) defineUnique(d *record.Schedule) (ScheduleReceipt, error) {
	e.defining.Lock()
	defer e.defining.Unlock()
	if err := e.catchUp(); err != nil {
		return ScheduleReceipt{}, err
	}
	was, ok, err := e.idx.Dedup(d.User, &d.DedupKey, d.Defined)
	if err != nil {
		return ScheduleReceipt{}, indexError(err)
	}
	if ok {
		return ScheduleReceipt{ID: was.Schedule, Deduplicated: true}, nil
	}
	return e.define(d)
}

func (e *Engine) define(d *record.Schedule) (ScheduleReceipt, error) {
	if err := e.requestSchedule(defineRequest(d)); err != nil {
		return ScheduleReceipt{}, err
	}
	return ScheduleReceipt{ID: d.ID}, nil
}

func defineRequest(d *record.Schedule) *scheduleRequest {
	return &scheduleRequest{ask: askDefine, key: scheduleKey{d.User, d.ID}, definition: d}
}

// buildSchedule checks a schedule and turns it into a record. The core and the
// scheduler keep its id and its expression, so they are copies: what s holds ends with
// its caller's request.
func (e *Engine) buildSchedule(s *Schedule) (*record.Schedule, error) {
	r := s.Time
	if err := r.complete(); err != nil {
		return nil, err
	}
	if len(s.ID) > ScheduleIDMax {
		return nil, limitError("invalid Upstash-Schedule-Id: it is longer than %d bytes", ScheduleIDMax)
	}
	if !s.Message.NotBefore.IsZero() {
		return nil, limitError("Upstash-Not-Before cannot be used with Upstash-Cron: use Upstash-Delay, which counts from each tick")
	}
	x, err := cron.Parse(strings.Clone(s.Cron), r.cronOptions())
	if err != nil {
		return nil, limitError("invalid Upstash-Cron: %v", err)
	}
	template, now, err := e.buildTemplate(&s.Message)
	if err != nil {
		return nil, err
	}
	if nextTick(x, now) == 0 {
		return nil, limitError("invalid Upstash-Cron: %q never fires again: its last time has passed", x)
	}
	d := &record.Schedule{
		User: uint32(s.Message.User), ID: strings.Clone(s.ID), Cron: x.String(), Created: now, Defined: now, DedupKey: scheduleDedup(s),
		DST: uint8(r.DST), Missed: uint8(r.Missed), MissedMax: uint32(r.MissedMax), Window: r.MissedWindow.Milliseconds(),
		Jitter: uint32(r.Jitter.Milliseconds()), Message: template,
	}
	if r.Seconds {
		d.Flags |= record.FlagSeconds
	}
	if d.ID == "" {
		d.ID = e.newScheduleID()
	}
	return d, nil
}

// buildTemplate returns the encoded message that each tick publishes.
func (e *Engine) buildTemplate(p *Publish) (encoded []byte, now int64, err error) {
	m := messages.Get().(*scratchMessage)
	defer m.free()
	if p.Group == "" {
		err = e.build(p, m)
	} else if _, err = e.topic(p.User, p.Group); err == nil { // its endpoints are looked up at each tick
		err = e.buildShared(p, m)
		m.Topic = p.Group
	}
	if err != nil {
		return nil, 0, err
	}
	now = m.Created
	m.Due, m.Created, m.Nonce, m.DedupKey = p.Delay.Milliseconds(), 0, 0, [16]byte{}
	return m.Append(make([]byte, 0, m.Size())), now, nil
}

// scheduleDedup returns the key by which a definition is deduplicated, zero for none:
// another one than a message of the same content would have. Of a schedule the id that
// is asked for and the expression are content, too.
func scheduleDedup(s *Schedule) (key [16]byte) {
	if key = dedupHash(&s.Message); key == [16]byte{} {
		return key
	}
	what := append([]byte("schedule"), key[:]...)
	if s.Message.DedupID == "" {
		what = append(what, s.ID...)
		what = append(append(what, 0), s.Cron...)
	}
	sum := sha256.Sum256(what)
	return [16]byte(sum[:16])
}

// complete fills in defaults and checks bounds.
func (r *TimeRules) complete() error {
	if r.MissedMax == 0 {
		r.MissedMax = DefaultMissedMax
	}
	if r.MissedWindow == 0 {
		r.MissedWindow = DefaultMissedWindow
	}
	switch {
	case r.MissedMax < 1 || r.MissedMax > MissedMaxMax:
		return limitError("invalid Tidemill-Missed-Max %d: it must be from 1 to %d", r.MissedMax, MissedMaxMax)
	case r.MissedWindow < time.Second || r.MissedWindow > MissedWindowMax:
		return limitError("invalid Tidemill-Missed-Window %s: it must be from 1s to %s", r.MissedWindow, MissedWindowMax)
	case r.Jitter < 0 || r.Jitter > JitterMax:
		return limitError("invalid Tidemill-Jitter %s: it must be from 0s to %s", r.Jitter, JitterMax)
	}
	return nil
}

// Schedule returns one schedule. It sees every change that was answered before.
func (e *Engine) Schedule(u UserID, id string) (*ScheduleInfo, error) {
	row, err := e.scheduleRow(u, id)
	if err != nil {
		return nil, err
	}
	info := new(ScheduleInfo)
	return info, e.viewSchedule(&row, info)
}

// viewSchedule reads a schedule as its owner sees it.
func (e *Engine) viewSchedule(row *index.Schedule, v *ScheduleInfo) error {
	err := e.readSound(row, v)
	v.redact()
	return err
}

// readSound reads a schedule, or what is left of it: one damaged definition does not
// hide the others (W7).
func (e *Engine) readSound(row *index.Schedule, v *ScheduleInfo) error {
	err := e.readSchedule(row, v)
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	*v = ScheduleInfo{ID: row.ID, Created: time.UnixMilli(row.Created), Paused: row.Paused, Method: "POST", Error: scheduleDamaged}
	if row.Run != 0 {
		v.Last = time.UnixMilli(row.Run)
	}
	return nil
}

func (e *Engine) scheduleRow(u UserID, id string) (index.Schedule, error) {
	if err := e.catchUp(); err != nil {
		return index.Schedule{}, err
	}
	row, ok, err := e.idx.Schedule(uint32(u), id)
	if err != nil {
		return row, indexError(err)
	}
	if !ok {
		return row, ErrNotFound
	}
	return row, nil
}

// Schedules calls fn with every schedule of an account, by id. The info is valid
// during the call.
func (e *Engine) Schedules(u UserID, fn func(*ScheduleInfo) error) error {
	if err := e.catchUp(); err != nil {
		return err
	}
	return indexError(e.idx.UserSchedules(uint32(u), func(row *index.Schedule) error {
		var info ScheduleInfo
		err := e.viewSchedule(row, &info)
		if errors.Is(err, ErrNotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		return fn(&info)
	}))
}

// scheduleDamaged is what a list says of a schedule that cannot be read.
const scheduleDamaged = "the stored definition is damaged and publishes nothing: define it again"

// DeleteSchedule ends a schedule. What it has published stays (QSTASH.md §8.6).
func (e *Engine) DeleteSchedule(u UserID, id string) error {
	return e.requestSchedule(&scheduleRequest{ask: askDrop, key: scheduleKey{uint32(u), id}})
}

// PauseSchedule has a schedule publish nothing until it is resumed. It is not an
// error if it is paused already.
func (e *Engine) PauseSchedule(u UserID, id string) error {
	return e.requestSchedule(&scheduleRequest{ask: askPause, key: scheduleKey{uint32(u), id}})
}

// ResumeSchedule ends a pause. The ticks that went by meanwhile are over.
func (e *Engine) ResumeSchedule(u UserID, id string) error {
	return e.requestSchedule(&scheduleRequest{ask: askResume, key: scheduleKey{uint32(u), id}})
}

// readSchedule fills in the view of a schedule from its row and its definition, with
// nothing redacted.
func (e *Engine) readSchedule(row *index.Schedule, v *ScheduleInfo) error {
	d, err := e.readDefinition(row)
	if err != nil {
		return err
	}
	var m record.Message
	if err := record.DecodeMessage(d.Message, &m); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	body, err := m.OpenBody(nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	callback, err := viewCallback(m.Callback)
	failure, err2 := viewCallback(m.Failure)
	if err := cmp.Or(err, err2); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	*v = ScheduleInfo{
		ID: row.ID, Cron: d.Cron, Time: rulesOf(d), Created: time.UnixMilli(d.Created), Paused: row.Paused,
		URL: m.URL, Method: m.Method.String(), Header: m.Header, Body: body, CallerIP: m.CallerIP,
		Retries: int(m.Retries), RetryDelay: m.RetryDelay, Timeout: millis(int64(m.Timeout)), Delay: millis(m.Due),
		QueueName: m.QueueName, Ordering: m.Ordering, Flow: flowControl(&m), TopicName: m.Topic, Callback: callback, Failure: failure,
		Labels: m.Labels, Redact: m.Redact, Error: row.Error,
	}
	return e.readTicks(row, d, v)
}

// readDefinition reads a schedule's definition. If the log does not have it where the
// row says, it was defined again meanwhile, or reclaiming has moved it: row is read
// again then.
func (e *Engine) readDefinition(row *index.Schedule) (*record.Schedule, error) {
	d := new(record.Schedule)
	for range readTries {
		p, err := e.readRecord(row.Pos, int(row.Len))
		if err == nil {
			if err := record.DecodeSchedule(p, d); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			return d, nil
		}
		if !errors.Is(err, wal.ErrNotFound) {
			return nil, err
		}
		now, ok, err := e.idx.Schedule(row.User, row.ID)
		if err != nil {
			return nil, indexError(err)
		}
		if !ok {
			return nil, ErrNotFound
		}
		*row = now
	}
	return nil, fmt.Errorf("%w: schedule %q", ErrDamaged, row.ID)
}

// readTicks fills in when the schedule published and will publish.
func (e *Engine) readTicks(row *index.Schedule, d *record.Schedule, v *ScheduleInfo) error {
	next := row.Next
	if row.Paused { // its ticks go by
		x, err := cron.Parse(d.Cron, v.Time.cronOptions())
		if err != nil {
			return nil //nolint:nilerr // an earlier version took it: there is no next tick
		}
		next = nextTick(x, max(row.Last, e.wallMillis()-jitterOf(row)))
	}
	if next != 0 {
		v.Next = time.UnixMilli(next + jitterOf(row))
	}
	if row.Run == 0 {
		return nil
	}
	v.Last = time.UnixMilli(row.Run)
	state, ok, err := e.runState(row)
	if ok {
		v.State = []ScheduleRun{{MessageID: MessageID(row.RunSeq, row.RunNonce), State: state}}
	}
	return err
}

// runState says what became of the newest tick's message; ok is false once history
// has forgotten it.
func (e *Engine) runState(row *index.Schedule) (state RunState, ok bool, err error) {
	r, pending, err := e.idx.Row(row.RunSeq)
	if err != nil {
		return "", false, indexError(err)
	}
	if pending && r.Nonce == row.RunNonce {
		return RunInProgress, true, nil
	}
	err = e.idx.MessageHistory(row.RunSeq, row.Run, e.wallMillis(), func(h *index.History) (bool, error) {
		for i := range h.Outcomes {
			if k := h.Outcomes[i].Kind; k.Final() {
				state, ok = RunFail, true
				if k == record.Delivered {
					state = RunSuccess
				}
			}
		}
		return !ok, nil
	})
	return state, ok, indexError(err)
}

// ScheduleTicks returns the next n ticks of a schedule, at most PreviewMax.
func (e *Engine) ScheduleTicks(u UserID, id string, n int) ([]PreviewTick, error) {
	row, err := e.scheduleRow(u, id)
	if err != nil {
		return nil, err
	}
	d, err := e.readDefinition(&row)
	if err != nil {
		return nil, err
	}
	after := e.wallMillis() - jitterOf(&row)
	return previewTicks(d.Cron, rulesOf(d), max(row.Last, after), jitterOf(&row), n)
}

// PreviewTicks returns the first n ticks after a time that a schedule with this
// expression and these rules would have, at most PreviewMax, and the odd days between
// them. Jitter is left out: it depends on the schedule's id.
func PreviewTicks(expr string, r TimeRules, after time.Time, n int) ([]PreviewTick, error) {
	return previewTicks(expr, r, after.UnixMilli(), 0, n)
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// newScheduleID draws the id of a schedule whose owner gave none (QSTASH.md §0.2).
func (e *Engine) newScheduleID() string {
	var r chance
	var b strings.Builder
	b.WriteString("scd_")
	for b.Len() < len("scd_")+scheduleIDDigits {
		for n := r.draw(e.opts.Rand); n > 0 && b.Len() < len("scd_")+scheduleIDDigits; n /= 58 {
			b.WriteByte(alphabet[n%58])
		}
	}
	return b.String()
}

// scheduleIDDigits is the length of a drawn id behind its prefix: 164 bits.
const scheduleIDDigits = 28
