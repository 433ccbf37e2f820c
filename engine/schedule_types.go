package engine

import (
	"time"

	"github.com/tidemill/tidemill/engine/cron"
)

// Schedule is a schedule to define, checked for syntax by its caller. The engine
// keeps nothing of it after DefineSchedule returns.
type Schedule struct {
	ID   string // at most ScheduleIDMax bytes of A-Z a-z 0-9 . _ -; "": one is drawn
	Cron string
	Time TimeRules
	// Message is what each tick publishes. Delay counts from the tick's publishing;
	// NotBefore must be zero. DedupID and DedupContent apply to the definition, not to
	// what it publishes (QSTASH.md §3.6).
	Message Publish
}

// TimeRules are the rules of a schedule's time that go beyond its expression.
// The zero value is the default.
type TimeRules struct {
	Seconds      bool     // the expression begins with a field of seconds
	DST          cron.DST // what a day on which the clock changes means
	Missed       Missed
	MissedMax    int           // with MissedAll, at most this many are caught up; 0: DefaultMissedMax
	MissedWindow time.Duration // ticks that are older are never caught up; 0: DefaultMissedWindow
	Jitter       time.Duration // at most this much later, always the same for one schedule
}

// Missed says what becomes of ticks that could not be published in time: the server
// was down, its clock stepped, or it had no room. A tick is missed when it could not
// be published within MissedAfter of its time.
type Missed uint8

// The policies for missed ticks.
const (
	MissedLatest Missed = iota // the newest of them is published, if no later tick is (the default)
	MissedSkip                 // none is
	MissedAll                  // the newest TimeRules.MissedMax of them are, oldest first
)

var missedNames = [...]string{MissedLatest: "latest", MissedSkip: "skip", MissedAll: "all"}

// ParseMissed returns the policy of a name: latest, skip or all.
func ParseMissed(s string) (Missed, bool) {
	for i, name := range missedNames {
		if name == s {
			return Missed(i), true
		}
	}
	return 0, false
}

func (m Missed) String() string {
	if int(m) < len(missedNames) {
		return missedNames[m]
	}
	return "unknown"
}

// Bounds and defaults of schedules.
const (
	ScheduleIDMax       = 256              // bytes
	SchedulesMax        = 1_000_000        // in all accounts together
	MissedAfter         = 10 * time.Second // see Missed
	DefaultMissedMax    = 100
	MissedMaxMax        = 1000
	DefaultMissedWindow = 24 * time.Hour
	MissedWindowMax     = 366 * 24 * time.Hour
	JitterMax           = 24 * time.Hour
)

// ScheduleReceipt is the answer to a definition that is on disk.
type ScheduleReceipt struct {
	ID           string
	Deduplicated bool // ID is that of the original; nothing was changed
}

// ScheduleInfo is a schedule as its owner sees it.
type ScheduleInfo struct {
	ID      string
	Cron    string
	Time    TimeRules
	Created time.Time
	Paused  bool

	URL        string
	Method     string
	Header     []Header
	Body       []byte
	CallerIP   string
	Retries    int
	RetryDelay string
	Timeout    time.Duration // 0: the server's default
	Delay      time.Duration

	QueueName string // "": none
	Ordering  string
	Flow      FlowControl
	TopicName string        // the URL group that each tick publishes to, "" for none; URL is empty then
	Callback  *CallbackInfo // nil: none
	Failure   *CallbackInfo // nil: none
	Labels    []string
	Redact    Redact // Body and the values of headers are redacted accordingly

	Last  time.Time     // the newest tick that was published, or zero
	Next  time.Time     // when the next one is published, jitter included, or zero: never
	State []ScheduleRun // of what the newest tick published
	Error string        // why the newest tick published nothing, "" if it did
}

// ScheduleRun is one message that a tick published.
type ScheduleRun struct {
	MessageID string
	State     RunState
}

// RunState is how far a message of a schedule has come (QSTASH.md §8.6).
type RunState string

// The states of a run.
const (
	RunInProgress RunState = "IN_PROGRESS"
	RunSuccess    RunState = "SUCCESS"
	RunFail       RunState = "FAIL"
)

// PreviewTick is one line of a preview: when a schedule would publish, or why it
// does not on a day when one would expect it to.
type PreviewTick struct {
	Time    time.Time // in the expression's zone
	Skipped bool      // nothing is published then
	Note    string    // what is odd about it, "" for most
}

// PreviewMax bounds the ticks of a preview.
const PreviewMax = 1000
