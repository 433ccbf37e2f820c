package engine

import (
	"errors"
	"fmt"
	"time"
)

// Errors of the engine's methods. httpapi maps each to a status.
var (
	// ErrNotFound: no such message, dead letter or account for this user.
	ErrNotFound = errors.New("not found")
	// ErrOverloaded: a bound of memory or lag is reached; nothing was stored. Try again after a moment.
	ErrOverloaded = errors.New("the server is overloaded, nothing was stored: try again in a moment")
	// ErrDiskFull: there is no room for it. A publish stored nothing; a cancel may still take effect when there is
	// room, which comes by itself.
	ErrDiskFull = errors.New("the disk is full")
	// ErrLogFailed: the log cannot be written any more (W8). The outcome of a request that gets it is unknown.
	ErrLogFailed = errors.New("the log cannot be written: the outcome of this request is unknown")
	// ErrStalled: the disk has not answered for a while. The error it comes in says
	// whether the request may still take effect.
	ErrStalled = errors.New("the disk does not answer")
	// ErrClosed: the engine is shutting down.
	ErrClosed = errors.New("the server is shutting down")
	// ErrTooLarge: the body is longer than message.max-size.
	ErrTooLarge = errors.New("message too large")
	// ErrDamaged: the record of this message does not match its checksum.
	ErrDamaged = errors.New("the stored record is damaged")
	// ErrLeaseLost: the lease is not the message's newest, or is over.
	ErrLeaseLost = errors.New("the lease is over: the message may have been received by somebody else")
	// ErrPushQueue: the messages of the queue go to its webhook.
	ErrPushQueue = errors.New("the queue has a webhook_url: its messages are pushed, and cannot be received")
	// ErrLocked: another process uses the data directory.
	ErrLocked = errors.New("data directory is in use by another process")
)

// What is wrong with a data directory that does not open, beside ErrLocked, wal.CorruptionError
// and what the file system says. The errors they come in say what to do.
var (
	// ErrNotData: it is something else.
	ErrNotData = errors.New("is not a data directory")
	// ErrVersion: a server of another version wrote it.
	ErrVersion = errors.New("another version of the server wrote it")
	// ErrIndexDamaged: the index cannot be read. It is a view, and made again from the log.
	ErrIndexDamaged = errors.New("the index is damaged")
)

// LimitError is a publish that asks for more than the configuration allows.
// Text is what the producer reads; it names the field.
type LimitError struct {
	Quota bool // a quota (412), not a wrong value (400)
	Text  string
}

func (e *LimitError) Error() string { return e.Text }

func quotaError(format string, args ...any) error {
	return &LimitError{Quota: true, Text: fmt.Sprintf(format, args...)}
}

func limitError(format string, args ...any) error {
	return &LimitError{Text: fmt.Sprintf(format, args...)}
}

// RetryAfter is how long a producer that was refused for overload should wait.
const RetryAfter = time.Second
