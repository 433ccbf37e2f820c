package engine

import (
	"log/slog"
	"time"
)

// A wall clock that is behind the newest record by more than clockBehind was set back
// while the server was off; one that is ahead by more than clockAhead may just as well
// mean that it was off for so long.
const (
	clockBehind = 24 * time.Hour
	clockAhead  = 30 * 24 * time.Hour
)

// checkClock warns of a wall clock that does not fit what was written before. The start
// goes on: nothing is delivered before its time by the clock there is (T3), so one that
// is behind makes messages late, which waiting would do as well, and one that is ahead
// cannot be told from a server that was off.
func (e *Engine) checkClock() error {
	newest, ok, err := e.idx.NewestHistory()
	if err != nil || !ok {
		return indexError(err)
	}
	now, last := e.opts.Wall(), time.Unix(newest, 0)
	times := []any{slog.Time("clock", now.UTC()), slog.Time("newest_record", last.UTC())}
	switch off := now.Sub(last); {
	case off < -clockBehind:
		e.opts.Logger.Warn("engine: the clock is behind the newest record: if it is wrong, set it; what is due by it comes late until then", times...)
	case off > clockAhead:
		e.opts.Logger.Warn("engine: the clock is far ahead of the newest record: if the server was not off for so long, stop it and set the clock; "+
			"what is due by it is delivered, and what is old by it expires", times...)
	}
	return nil
}
