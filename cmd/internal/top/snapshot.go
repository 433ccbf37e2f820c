package top

import (
	"time"

	"github.com/tidemill/tidemill/engine"
)

// Snapshot is what a server told at one moment. What it was not asked for, or did not tell, is nil
// or empty.
type Snapshot struct {
	At          time.Time     `json:"at"`
	Disk        *engine.Stats `json:"disk,omitempty"`        // of the server, from the admin listener
	Account     *Account      `json:"account,omitempty"`     // of the token's account
	Parallelism *Parallelism  `json:"parallelism,omitempty"` // of the server
	Hosts       []Host        `json:"hosts"`                 // of the server, or of the account without an admin listener
	Queues      []Queue       `json:"queues"`
	Flows       []Flow        `json:"flowControl"`
	Problems    []string      `json:"problems,omitempty"` // what was not told, and why
}

// Account says what happens to an account's messages: how many a second, over the last seconds.
type Account struct {
	Published float64    `json:"publishedPerSecond"`
	Delivered float64    `json:"deliveredPerSecond"`
	Retried   float64    `json:"retriedPerSecond"`
	Failed    float64    `json:"failedPerSecond"`
	Canceled  float64    `json:"canceledPerSecond"`
	Backlog   int64      `json:"backlog"`
	Latency   *Quantiles `json:"latencyMillis,omitempty"`  // nil: nothing was delivered
	Lateness  *Quantiles `json:"latenessMillis,omitempty"` // nil: nothing was attempted
}

// Quantiles are in milliseconds.
type Quantiles struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// Parallelism counts attempts in flight.
type Parallelism struct {
	Max   int `json:"parallelismMax"`
	Count int `json:"parallelismCount"`
}

// Host is a destination that has messages in memory.
type Host struct {
	Name     string     `json:"host"`
	State    string     `json:"state,omitempty"` // "": an account is not told
	InFlight int        `json:"inFlight"`
	Waiting  int        `json:"waiting"`
	Millis   int64      `json:"averageMillis,omitempty"`
	Failures int        `json:"failures,omitempty"`
	Answered *time.Time `json:"answered,omitempty"`
	Probe    *time.Time `json:"nextProbe,omitempty"`
}

// Queue is a queue of /v2, or of /v1 with a webhook or pulled from.
type Queue struct {
	Name        string  `json:"name"`
	Kind        string  `json:"kind"` // queue, webhook or pull
	Paused      bool    `json:"paused"`
	Parallelism int     `json:"parallelism,omitempty"`
	Waiting     int     `json:"waiting"`
	InFlight    int     `json:"inFlight"` // of a pull queue; a queue of /v2 does not tell
	Delayed     int     `json:"delayed"`
	OldestAge   float64 `json:"oldestAgeSeconds"`
	Published   uint64  `json:"published"` // since a pull queue was made
	Delivered   uint64  `json:"delivered"`
	Dead        uint64  `json:"deadLettered"`
}

// Flow is a flow-control key as /v2/flowControl tells it.
type Flow struct {
	Key               string `json:"flowControlKey"`
	Waiting           int    `json:"waitListSize"`
	ParallelismMax    int    `json:"parallelismMax"`
	ParallelismCount  int    `json:"parallelismCount"`
	RateMax           int    `json:"rateMax"`
	RateCount         int    `json:"rateCount"`
	RatePeriod        int    `json:"ratePeriod"` // seconds
	Paused            bool   `json:"isPaused"`
	PinnedParallelism bool   `json:"isPinnedParallelism"`
	PinnedRate        bool   `json:"isPinnedRate"`
}

// Words for the state of a host (ARCHITECTURE.md, Hosts and permits).
const (
	halfOpen = "half-open" // it gives no response, and is probed by one attempt at a time
	failing  = "failing"   // its last attempt had no response
	quick    = "quick"     // it answered in the last 10 s, in 200 ms on average
	slow     = "slow"      // it takes longer, or answered longer ago
	fresh    = "new"       // it has not answered yet
)

func hostState(h *engine.HostState) string {
	switch {
	case h.HalfOpen:
		return halfOpen
	case h.Failures > 0:
		return failing
	case h.Quick:
		return quick
	case h.Answered == nil:
		return fresh
	}
	return slow
}
