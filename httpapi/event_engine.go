package httpapi

import (
	"time"

	"github.com/tidemill/tidemill/engine"
)

// EventEngine is the part of Engine that is about history.
type EventEngine interface {
	// Events calls fn with one page of events and returns the cursor of the next, "" at the
	// end. It sees everything that was answered before. ev is valid during the call; an
	// error of fn ends the page and is returned.
	Events(q *engine.EventQuery, fn func(ev *engine.Event) error) (cursor string, err error)
	// EventsSince is Events earliest first, of what has become visible, with a cursor at the
	// end, too. fn may wait for a client that reads slowly.
	EventsSince(q *engine.EventQuery, fn func(ev *engine.Event) error) (cursor string, err error)
	// EventsEnd is the cursor of what becomes visible from now on.
	EventsEnd() string
	// WaitEvents waits until there may be something beyond the cursor, and says whether
	// there may be, for at most d, or until stop is closed.
	WaitEvents(cursor string, d time.Duration, stop <-chan struct{}) (bool, error)
}
