package engine

import (
	"errors"
	"time"
)

// Errors of what consumers of pull queues do.
var (
	// ErrLeaseLost: the lease is not the message's newest, or has run out.
	ErrLeaseLost = errors.New("the lease is lost: the message was released, or received by another consumer")
	// ErrPushQueue: the queue has a webhook, and so no consumers that pull.
	ErrPushQueue = errors.New("the queue has a webhook_url: its messages are pushed, and cannot be received")
)

// PullRelease gives a lease back, unacknowledged.
type PullRelease struct {
	Lease
	Delay time.Duration // until the message is visible again
}
