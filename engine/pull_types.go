package engine

import "time"

// PullQueue is the definition of a queue of the JSON API (QUEUES.md), whose messages are
// received and acknowledged by consumers that ask for them, or pushed to one webhook.
// It shares nothing with the queues of QueueInfo but the word.
type PullQueue struct {
	Name            string // at most 128 bytes of A-Z a-z 0-9 . _ -
	DeadLetterQueue string // the pull queue that messages go to that failed too often; "": none
	MaxRetries      int    // attempts after the first, 0 to 1000
	Visibility      time.Duration
	Retention       time.Duration // from the publish
	Delay           time.Duration // of messages that name none

	WebhookURL        string // "": consumers pull
	WebhookSecret     string // key of QStash-Signature
	WebhookSecretNext string // not signed with yet
	MaxConcurrency    int    // attempts in flight at the webhook
	Timeout           time.Duration
	RetryDelay        string // expression (QSTASH.md §3.5); "": the default backoff

	Paused           bool
	Created, Updated time.Time
}

// PullQueueInfo is a pull queue as its owner sees it.
type PullQueueInfo struct {
	PullQueue
	Pending  int       // visible, and waiting to be received
	InFlight int       // leased, or being pushed
	Delayed  int       // not visible yet
	Oldest   time.Time // when the oldest message was published that has not ended; zero: there is none
	PullCounters
}

// PullCounters count since the queue was created, over restarts.
type PullCounters struct {
	Published    uint64
	Delivered    uint64 // acknowledged, or answered with a 2xx
	Retried      uint64 // attempts that failed and were not the last
	DeadLettered uint64
	Deferred     uint64 // of those delivered, answered with 202
	Expired      uint64 // that outlived Retention
}

// PullChange says what an upsert sets of a pull queue; nil leaves it, or takes the default
// where there is no such queue yet (QUEUES.md B.6).
type PullChange struct {
	DeadLetterQueue, WebhookURL, WebhookSecret, WebhookSecretNext, RetryDelay *string
	MaxRetries, MaxConcurrency                                                *int
	Visibility, Retention, Delay, Timeout                                     *time.Duration
}

// PullPublish is one message to a pull queue, checked for syntax by its caller. The engine
// keeps nothing of it after the call.
type PullPublish struct {
	Queue    string
	Body     []byte         // JSON
	Delay    *time.Duration // nil: the queue's
	DedupID  string         // scope: the queue; "": none
	Header   []Header
	Group    string // messages with the same one are received in order, one at a time; "": none
	CallerIP string
}

// PullMessage is a message of a pull queue as its owner sees it.
type PullMessage struct {
	ID        string
	Queue     string // where it is now
	Body      []byte // the JSON text that was published
	Header    []Header
	Group     string
	LeaseID   string // "": nobody has it
	Attempts  int    // how often it was received or pushed, this one included
	Published time.Time
	Received  time.Time // first; zero: never
	Visible   time.Time // when it can be received next
	Dead      *PullDead // nil: it did not come here from another queue
}

// PullDead says how a message came to a dead letter queue.
type PullDead struct {
	Source   string // the queue that it failed in
	Reason   string
	Attempts int
	Status   int // of the webhook's last answer; 0: none
	At       time.Time
}

// Lease names a message that was received. An empty ID stands for the lease that there is.
type Lease struct {
	MessageID string
	ID        string
}
