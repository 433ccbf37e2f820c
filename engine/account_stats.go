package engine

import (
	"errors"
	"time"

	"github.com/tidemill/tidemill/engine/index"
)

// StatsPoint is what happened to an account's messages in a stretch of time.
type StatsPoint = index.StatsPoint

// Quantiles of times, in ms.
type Quantiles = index.Quantiles

// AccountStats is what happened to an account's messages in a time.
type AccountStats struct {
	From, To time.Time
	Step     time.Duration // of a point
	Pending  uint64        // messages, now
	Total    StatsPoint
	Points   []StatsPoint // those in which something happened, in order
}

// StatsRangeMax bounds the time that one question may be about.
const StatsRangeMax = 32 * 24 * time.Hour

// statsSteps are the steps that there are, s, each with the longest time that it is taken
// for: it is some 1,500 points at most, but for seconds, which are kept for an hour.
var statsSteps = [...]struct{ step, most int64 }{
	{1, 3600}, {60, 24 * 3600}, {300, 5 * 24 * 3600}, {1800, int64(StatsRangeMax / time.Second)},
}

// AccountStats returns what happened to an account's messages from one time to before
// another, as far as retention.history reaches. Points are of a second if that is known,
// which it is of the last hour, but not before the start of this process: then, and
// for more than an hour, they are of minutes or a whole number of them. A point that the
// beginning or the end cuts counts as a whole. It sees everything that was answered before.
func (e *Engine) AccountStats(u UserID, from, to time.Time) (*AccountStats, error) {
	long := to.Sub(from)
	if long <= 0 {
		return nil, limitError("from must be before to")
	}
	if long > StatsRangeMax {
		return nil, limitError("from and to can be at most %d days apart", StatsRangeMax/(24*time.Hour))
	}
	if err := e.catchUp(); err != nil {
		return nil, err
	}
	s := &AccountStats{From: from, To: to}
	for _, c := range statsSteps {
		if int64(long/time.Second) > c.most {
			continue
		}
		err := e.readStats(u, s, c.step)
		if !errors.Is(err, index.ErrNoSeconds) {
			return s, indexError(err)
		}
	}
	return s, nil // not reached: minutes are always known
}

func (e *Engine) readStats(u UserID, s *AccountStats, step int64) (err error) {
	s.Step, s.Points = time.Duration(step)*time.Second, nil
	to := (s.To.UnixMilli() + 999) / 1000
	s.Total, s.Pending, err = e.idx.Stats(uint32(u), max(s.From.Unix(), 0), max(to, 0), step, func(p StatsPoint) {
		s.Points = append(s.Points, p)
	})
	return err
}
