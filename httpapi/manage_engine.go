package httpapi

import "github.com/tidemill/tidemill/engine"

// ManageEngine is the part of Engine that acts on many messages or dead letters at once.
// Each call returns when what it did is on disk, and ends by itself.
type ManageEngine interface {
	// CancelMany ends the messages that q selects; more says that it ran out of time.
	CancelMany(u engine.UserID, q *engine.CancelQuery) (n int, more bool, err error)
	// DeleteDeadLetters and RetryDeadLetters take a page; cursor is "" on the last. With an
	// error what they return beside it was done.
	DeleteDeadLetters(q engine.DeadLetterQuery) (n int, cursor string, err error)
	RetryDeadLetters(q engine.DeadLetterQuery, o *engine.RetryOptions) (messageIDs []string, cursor string, err error)
}
