package engine

import (
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// UserID is an account's number. Messages, dead letters and keys belong to one
// account and are invisible to every other.
type UserID uint32

// Method is a delivery's HTTP method.
type Method = record.Method

// Header is one header line; names are in canonical case, order is kept.
type Header = record.Header

// Redact says what of a message its owner sees as a hash (QSTASH.md §10).
type Redact = record.Redact

// Bounds of Publish.Labels: how many there are, and how long one is, bytes.
const (
	LabelsMax = record.LabelsMax
	LabelMax  = record.LabelMax

	// RedactNamesMax bounds Redact.Names.
	RedactNamesMax = record.RedactNamesMax
)

// Publish is one message to publish, checked for syntax by its caller. The
// engine keeps nothing of it after Publish returns.
type Publish struct {
	User       UserID
	Method     record.Method
	URL        string   // absolute, as the producer wrote it, at most 8 KiB
	Header     []Header // what the destination gets besides the contract's own headers
	Body       []byte
	CallerIP   string
	Delay      time.Duration // from Accepted; used when NotBefore is zero
	NotBefore  time.Time     // zero: now, or after Delay; the past means now
	Retries    int           // attempts after the first; DefaultRetries unless asked otherwise
	RetryDelay string        // expression (QSTASH.md §3.5) that delay.Parse accepts, or ""
	Timeout    time.Duration // per attempt; 0: the server's default
	DedupID    string        // "": none
	// DedupContent derives the deduplication id from destination, body and forwarded headers (QSTASH.md §3.6).
	DedupContent bool

	// Accepted is the wall clock's time, for who has just looked at it. Zero: the engine looks.
	// History is searched by time on the ground that records are logged when they say (timeMargin),
	// which one look for a batch would not ensure.
	Accepted time.Time
	// Untimed leaves this one out of Tally.Append and Tally.Durable: each costs a look at the clock.
	Untimed bool

	Queue    string // its name; "": none
	Ordering string // key within the queue: messages with the same one are in order, others run on; "": none
	Flow     FlowControl
	Callback *Callback // after every attempt; nil: none
	Failure  *Callback // after the last attempt, if that failed; nil: none

	Trace  Trace    // of the request that publishes
	Labels []string // at most LabelsMax, each of 1 to LabelMax bytes; order is kept
	Redact Redact   // of all views of the message, and of its callbacks, which report it

	// Group is the URL group that the message goes to, and URL is empty then.
	// PublishGroup and PublishBatch take it.
	Group string
}

// DefaultRetries is QSTASH.md's default for Upstash-Retries.
const DefaultRetries = 3

// Receipt is the answer to a publish that is on disk.
type Receipt struct {
	MessageID    string
	Deduplicated bool // MessageID is that of the original; nothing was stored
}

// Result is one element of a batch: a receipt or an error.
type Result struct {
	Receipt
	Members []MemberReceipt // of a publish to a group
	Err     error
}

// Message is a message as its owner sees it.
type Message struct {
	ID         string
	URL        string
	Method     string
	Header     []Header
	Body       []byte
	CallerIP   string
	Retries    int // as asked for at publish
	RetryDelay string
	Timeout    time.Duration // per attempt, as asked for; 0: the server's default
	Created    time.Time
	NotBefore  time.Time // when the publish asked for it to be delivered
	Due        time.Time // when the next attempt is due
	Attempts   int       // attempts that have ended
	ScheduleID string    // the schedule that published it, "" for none

	QueueName string // "": none
	Ordering  string
	Flow      FlowControl
	TopicName string        // the URL group that it was published to, "" for none
	Endpoint  string        // name of the group's endpoint, "" if it has none
	Callback  *CallbackInfo // nil: none
	Failure   *CallbackInfo // nil: none
	Labels    []string
	Redact    Redact // Body and the values of headers are redacted accordingly
}

// DeadLetter is a message that ended without success.
type DeadLetter struct {
	Message
	ID             string // the dead letter's id, not the message's
	At             time.Time
	ResponseStatus int // 0: no response
	ResponseHeader []Header
	ResponseBody   []byte
	Error          string
}

// DeadLetterQuery selects dead letters. Zero fields select everything.
type DeadLetterQuery struct {
	User UserID
	Filter
	IDs        []string // of the dead letters
	Statuses   []int
	Descending bool   // latest first
	Cursor     string // digits, as the last page returned it
	Count      int    // at most; 0: 100
}

// Keys are an account's signing keys: deliveries are signed with Current.
type Keys struct {
	Current, Next string
}

// Account is one user as the composition root defines it at the first start.
type Account struct {
	ID    UserID
	Name  string
	Dev   bool // one of the published development users
	Token string
	Keys
}
