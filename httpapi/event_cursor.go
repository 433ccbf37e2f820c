package httpapi

import (
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// cursorBase is added to the engine's cursors of events before clients see them. What is
// below it is a time: in the first API a cursor was unix milliseconds, and the documentation
// in all releases up to 2.7.23 begins its loop with "let cursor = Date.now()". For the first
// 65,536 segments of the log, 4 TiB of the default size, the sum fits a JavaScript number.
const cursorBase = 1 << 52

// showCursor is an engine's cursor as clients get it, "" at the end.
func showCursor(cursor string) string {
	n, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return cursor
	}
	return strconv.FormatUint(n+cursorBase, 10)
}

// setCursor takes a cursor that a client sent: one that it got, or the time at which the
// listing begins. What is neither the engine refuses; 0 is none.
func setCursor(q *engine.EventQuery, cursor string) {
	n, err := strconv.ParseUint(cursor, 10, 64)
	switch {
	case err != nil || n == 0:
		q.Cursor = cursor
	case n >= cursorBase:
		q.Cursor = strconv.FormatUint(n-cursorBase, 10)
	default:
		at := time.UnixMilli(int64(n))
		if q.Earliest && at.After(q.From) {
			q.From = at
		} else if !q.Earliest && (q.To.IsZero() || at.Before(q.To)) {
			q.To = at
		}
	}
}
