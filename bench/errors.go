package bench

import "errors"

var (
	// ErrLost says that a message was acknowledged and did not arrive in time.
	ErrLost = errors.New("acknowledged messages were lost")

	// ErrCorrupt says that something arrived which was not sent.
	ErrCorrupt = errors.New("bodies arrived damaged")

	// ErrEarly says that a message arrived before it was due.
	ErrEarly = errors.New("a message arrived before it was due")

	// ErrDouble says that what was to come once came twice.
	ErrDouble = errors.New("a tick came twice")

	// ErrRetries says that a message was tried more often, or sooner again, than it asked
	// for.
	ErrRetries = errors.New("a message was not retried as it asked")

	// ErrFailing says that so many requests failed that the rates mean nothing.
	ErrFailing = errors.New("too many requests failed")
)

// errStopped ends a producer that was waiting when the round ended. It is not a
// failed request.
var errStopped = errors.New("the round has ended")
