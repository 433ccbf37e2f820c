package client

import (
	"errors"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine/delay"
)

// Moment is a flag's value: a time, as people and as scripts write it. It is zero until it is set.
type Moment struct {
	time.Time
	Future bool // a duration is from now on, else ago
}

// momentForms are read in this order. The last three are in the local zone.
var momentForms = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

func (m *Moment) Type() string { return "time" }

func (m *Moment) String() string { return Stamp(m.Time) }

// Set reads RFC 3339, a date, a date and time without a zone, unix milliseconds, or a duration such
// as 15m or 2d.
func (m *Moment) Set(s string) error {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms >= 1e11 && ms < 1e15 {
		m.Time = time.UnixMilli(ms)
		return nil
	}
	if d, err := delay.ParseDuration(s); err == nil {
		if !m.Future {
			d = -d
		}
		m.Time = time.Now().Add(d)
		return nil
	}
	for _, form := range momentForms {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			m.Time = t
			return nil
		}
	}
	return errors.New("want a duration such as 15m or 2d, a time such as 2026-03-29T08:00:00Z or 2026-03-29, or unix milliseconds")
}

// Millis is the form of the API.
func (m *Moment) Millis() string { return strconv.FormatInt(m.UnixMilli(), 10) }
