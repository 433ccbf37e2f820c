package bench

import "errors"

var (
	// ErrLost says that a message was acknowledged and did not arrive in time.
	ErrLost = errors.New("acknowledged messages were lost")

	// ErrCorrupt says that something arrived which was not sent.
	ErrCorrupt = errors.New("bodies arrived damaged")

	// ErrEarly says that a message arrived before it was due.
	ErrEarly = errors.New("a message arrived before it was due")

	// ErrNoPeer says that there is nothing to compare with.
	ErrNoPeer = errors.New("no peer that could be measured is installed")

	// ErrTwice says that a message came again which had been answered 2xx, or a second one
	// for a tick.
	ErrTwice = errors.New("a message arrived twice")

	// ErrOrder says that a message of a queue came before it was its turn.
	ErrOrder = errors.New("a message of a queue arrived before its turn")

	// ErrLimit says that there were more attempts than a flow-control key allows.
	ErrLimit = errors.New("a flow-control limit was exceeded")

	// ErrRetries says that a message was tried more often, or sooner again, than it asked
	// for.
	ErrRetries = errors.New("a message was not retried as it asked")

	// ErrSignature says that a delivery was not signed as the contract has it.
	ErrSignature = errors.New("a delivery was not signed as it must be")

	// ErrFailing says that so many requests failed that the rates mean nothing.
	ErrFailing = errors.New("too many requests failed")

	// ErrTooFew says that what was to be measured was over before its round was.
	ErrTooFew = errors.New("there was too little to measure")

	// ErrDied says that a process ended which nobody had told to.
	ErrDied = errors.New("a process of the run died")

	// ErrNothingToDraw says that no report has a ratio.
	ErrNothingToDraw = errors.New("no ratio is in these reports: there is nothing to draw")
)

// errStopped ends a producer that was waiting when the round ended. It is not a
// failed request.
var errStopped = errors.New("the round has ended")
