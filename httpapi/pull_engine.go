package httpapi

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// PullEngine is the part of Engine that is about the queues of the JSON API (QUEUES.md).
// Those of its methods that change something return when that is on disk.
type PullEngine interface {
	// SetPullQueue makes a queue or changes one. secret is the key of the webhook's
	// signatures when this call made it up, and is told to nobody again.
	SetPullQueue(u engine.UserID, name string, c engine.PullChange) (info engine.PullQueueInfo, secret string, err error)
	PullQueue(u engine.UserID, name string) (engine.PullQueueInfo, error)
	// PullQueues returns all, by name.
	PullQueues(u engine.UserID) ([]engine.PullQueueInfo, error)
	// DeletePullQueue drops its messages too.
	DeletePullQueue(u engine.UserID, name string) error
	PausePullQueue(u engine.UserID, name string, paused bool) error
	// PublishPull publishes all and waits once. The results are in order.
	PublishPull(u engine.UserID, ps []engine.PullPublish) []engine.Result

	// Receive leases up to most messages. It waits for the first one until ctx ends, at
	// most for wait. A visibility of 0 is the queue's.
	Receive(ctx context.Context, u engine.UserID, name string, most int, wait, visibility time.Duration) ([]engine.PullMessage, error)
	// Ack ends messages; the errors are in order. One that has ended before is no error if
	// its lease is named.
	Ack(u engine.UserID, leases []engine.Lease) []error
	// Release makes a message visible again after a delay.
	Release(u engine.UserID, l engine.Lease, delay time.Duration) error
	// Settle is Ack and Release of messages of one queue. A lease finds its message by
	// itself. err is about the queue.
	Settle(u engine.UserID, queue string, acks []engine.Lease, retries []engine.LeaseRetry) (acked, released []error, err error)
	// Extend prolongs a lease and returns when it ends now. It never shortens one.
	Extend(u engine.UserID, l engine.Lease, visibility time.Duration) (time.Time, error)

	// PullMessage returns a message that has not ended. Cancel ends it in any state.
	PullMessage(u engine.UserID, id string) (engine.PullMessage, error)
	// PurgePull drops all messages of a queue and says how many there were.
	PurgePull(u engine.UserID, name string) (int, error)
	// RedrivePull moves messages of a dead letter queue to another, or each to where it
	// came from if to is empty; most of 0 is all of them.
	RedrivePull(u engine.UserID, name, to string, most int) (int, error)
}
