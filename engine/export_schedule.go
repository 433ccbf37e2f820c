package engine

import (
	"errors"
	"time"

	"github.com/tidemill/tidemill/engine/index"
)

// exportSchedule is a schedule in an export: its expression and rules, what its ticks
// publish, and how far it has come. The rules are named as in the API's headers.
type exportSchedule struct {
	Type    string    `json:"type"`
	ID      string    `json:"id"`
	User    UserID    `json:"user"`
	Cron    string    `json:"cron,omitempty"`
	Paused  bool      `json:"paused"`
	Created time.Time `json:"created"`
	*exportRules
	exportContent
	Retries    int    `json:"retries"`
	RetryDelay string `json:"retry_delay,omitempty"`
	Timeout    int64  `json:"timeout_ms,omitempty"` // of an attempt; none: the server's default
	Delay      int64  `json:"delay_ms,omitempty"`   // from a tick to its message's first attempt
	exportLine

	Last    *time.Time `json:"last,omitempty"` // the newest tick that was published
	Next    *time.Time `json:"next,omitempty"` // when the next one is, jitter included
	Error   string     `json:"error,omitempty"`
	Damaged bool       `json:"damaged,omitempty"`
}

// exportRules are a schedule's TimeRules. Durations are in milliseconds.
type exportRules struct {
	Seconds      bool   `json:"seconds,omitempty"`
	DST          string `json:"dst"`
	Missed       string `json:"missed"`
	MissedMax    int    `json:"missed_max"`
	MissedWindow int64  `json:"missed_window_ms"`
	Jitter       int64  `json:"jitter_ms,omitempty"`
}

// schedule exports one schedule, unless it was deleted since the walk began. Of one
// that cannot be read the index knows when it is due.
func (x *exporter) schedule(row *index.Schedule) error {
	var v ScheduleInfo
	err := x.e.readSchedule(row, &v)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	out := exportSchedule{
		Type: "schedule", ID: row.ID, User: UserID(row.User), Paused: row.Paused, Created: *utc(row.Created), Error: row.Error,
	}
	switch {
	case errors.Is(err, ErrDamaged):
		out.Damaged = true
		out.Last, out.Next = tickTime(row.Run, 0), tickTime(row.Next, jitterOf(row))
		x.end.Damaged++
	case err != nil:
		return err
	default:
		out.fill(&v)
	}
	x.end.Schedules++
	return x.json.Encode(out)
}

func (s *exportSchedule) fill(v *ScheduleInfo) {
	s.Cron, s.exportRules = v.Cron, &exportRules{
		Seconds: v.Time.Seconds, DST: v.Time.DST.String(), Missed: v.Time.Missed.String(),
		MissedMax: v.Time.MissedMax, MissedWindow: v.Time.MissedWindow.Milliseconds(), Jitter: v.Time.Jitter.Milliseconds(),
	}
	s.exportContent = contentOf(v.URL, v.Method, v.Header, v.Body, v.CallerIP)
	s.Retries, s.RetryDelay, s.Timeout, s.Delay = v.Retries, v.RetryDelay, v.Timeout.Milliseconds(), v.Delay.Milliseconds()
	s.exportLine = v.lineOut()
	s.Last, s.Next = timeOrNone(v.Last), timeOrNone(v.Next)
}

// tickTime is a tick that comes offset ms later, nil for none.
func tickTime(at, offset int64) *time.Time {
	if at == 0 {
		return nil
	}
	return utc(at + offset)
}

func timeOrNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return utc(t.UnixMilli())
}
