package httpapi

import "github.com/tidemill/tidemill/engine"

// EventEngine is the part of Engine that is about history.
type EventEngine interface {
	// Events calls fn with one page of events and returns the cursor of the next, "" at the
	// end. It sees everything that was answered before. ev is valid during the call; an
	// error of fn ends the page and is returned.
	Events(q *engine.EventQuery, fn func(ev *engine.Event) error) (cursor string, err error)
}
