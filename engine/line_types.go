package engine

import "time"

// FlowControl is the flow-control key of a message and what it says of the key's limits
// (QSTASH.md §8.7). The zero value is none.
type FlowControl struct {
	Key         string
	Parallelism int           // attempts in flight; 0: any number
	Rate        int           // attempts that begin in one period; 0: any number
	Period      time.Duration // of Rate; 0: one second
	Sliding     bool          // no stretch of one period, wherever it begins, holds more than Rate
}

// FlowPeriodMax bounds FlowControl.Period.
const FlowPeriodMax = 7 * 24 * time.Hour

// Callback is where the end of an attempt is reported (QSTASH.md §7), and how.
type Callback struct {
	URL        string
	Method     Method
	Header     []Header // what the destination gets besides the contract's own headers and Content-Type
	Retries    int      // attempts after the first; InheritRetries: as many as the message has
	RetryDelay string
	Timeout    time.Duration
	Delay      time.Duration
	Flow       FlowControl
	Failure    *Callback // when the callback itself fails for good; nil: nothing
}

// InheritRetries is Callback.Retries where nothing was said.
const InheritRetries = -1

// CallbackInfo is a callback as the message's owner sees it.
type CallbackInfo struct {
	URL    string
	Header []Header
}

// MemberReceipt is one endpoint's part of the answer to a publish to a URL group.
type MemberReceipt struct {
	Receipt
	URL string
}

// QueueInfo is a queue as its owner sees it.
type QueueInfo struct {
	Name        string
	Parallelism int
	Created     time.Time
	Updated     time.Time
	Lag         int // messages that have not ended, callbacks of theirs included
	Paused      bool
}

// QueueChange says what an upsert sets; nil leaves it, or takes the default where there
// is no such queue yet: a parallelism of 1, not paused.
type QueueChange struct {
	Parallelism *int
	Paused      *bool
}

// QueueParallelismMax bounds the parallelism of a queue: as many of its messages have a
// place in memory.
const QueueParallelismMax = laneResidentMax

// FlowInfo is a flow-control key as its owner sees it: its limits and counters now.
type FlowInfo struct {
	FlowControl
	Waiting           int // messages that have not ended and are not in flight
	InFlight          int
	Count             int       // attempts begun in the present period
	PeriodStart       time.Time // zero: no period is under way
	Paused            bool
	PinnedParallelism bool
	PinnedRate        bool
}

// FlowPin says what a pin sets; nil leaves it.
type FlowPin struct {
	Parallelism *int
	Rate        *int
	Period      time.Duration // with Rate; 0: one second
}

// Endpoint is one destination of a URL group.
type Endpoint struct {
	URL  string
	Name string // "": it has none
}

// GroupInfo is a URL group as its owner sees it.
type GroupInfo struct {
	Name      string
	Created   time.Time
	Updated   time.Time
	Endpoints []Endpoint // in the order in which they were added
	Header    []Header   // options of every publish to the group, as the owner named them
}
