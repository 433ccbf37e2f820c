package engine

import (
	"strings"
	"time"
)

// EventState is what happened to a message (QSTASH.md §5.2). The list is closed: clients
// fail on a name that they do not know.
type EventState uint8

// The states, in the order in which a message can come by them.
const (
	EventCreated EventState = iota
	EventActive
	EventRetry
	EventError
	EventDelivered
	EventFailed
	EventCancelRequested
	EventCanceled
)

var eventStateNames = [...]string{"CREATED", "ACTIVE", "RETRY", "ERROR", "DELIVERED", "FAILED", "CANCEL_REQUESTED", "CANCELED"}

func (s EventState) String() string { return eventStateNames[s] }

// ParseEventStates returns the states that a name stands for, written in any case:
// IN_PROGRESS for three of them, CANCELLED for CANCELED (QSTASH.md §5.2, §8.2).
func ParseEventStates(name string) (states []EventState, ok bool) {
	switch name = strings.ToUpper(name); name {
	case "IN_PROGRESS":
		return []EventState{EventActive, EventRetry, EventError}, true
	case "CANCELLED":
		return []EventState{EventCanceled}, true
	}
	for s, n := range eventStateNames {
		if n == name {
			return []EventState{EventState(s)}, true
		}
	}
	return nil, false
}

// EventQuery selects events. Zero fields select everything.
type EventQuery struct {
	User UserID
	Filter
	States   []EventState
	Earliest bool   // earliest first, else latest first
	Cursor   string // digits, as an answer had it
	Count    int    // at most; 0: EventCountMax
}

// Bounds of an EventQuery.
const (
	EventCountMax = 1000
	EventIDsMax   = 1000 // MessageIDs
)

// Event is one thing that happened to a message. What it says of the message beyond Time,
// State and MessageID is there as long as history or the log has it.
type Event struct {
	ID        string // where to go on behind it, earliest first: a cursor
	Time      time.Time
	State     EventState
	MessageID string
	Attempt   int       // that the event is of, from 1; 0: of none
	Next      time.Time // the next attempt: of CREATED if it is delayed, and of RETRY; else zero
	Error     string    // of ERROR

	URL        string
	CallerIP   string
	ScheduleID string
	QueueName  string
	FlowKey    string
	TopicName  string
	Endpoint   string
	Labels     []string
	Method     string
	Retries    int

	// Message, redacted and but for Due and Attempts, is nil once the log has given up the
	// message's record, which it may when the message has ended. Events of one message may
	// share it.
	Message *Message

	// Of the end of an attempt, that is of ERROR, DELIVERED and FAILED.
	Ended          bool
	Status         int // of the response; 0: there was none
	ResponseHeader []Header
	ResponseBody   []byte // as far as it was kept
	Timing         *AttemptTiming

	Expired bool // a record that holds something of the event is gone (W10)
}

// AttemptTiming says where the time of an attempt went.
type AttemptTiming struct {
	Queue     time.Duration // from due to the start, without Flow
	Flow      time.Duration // waiting for its flow-control key
	DNS       time.Duration
	Connect   time.Duration
	TLS       time.Duration
	FirstByte time.Duration // from the start to the response's first byte
	Total     time.Duration // from the start to the response's end
}
