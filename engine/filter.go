package engine

import (
	"net/url"
	"slices"
	"time"
)

// Filter selects messages, events and dead letters by what they were published with
// (QSTASH.md §8). The values of one field are alternatives, all fields apply, and one
// without values selects everything. It is safe for concurrent use as long as nobody
// changes it.
type Filter struct {
	MessageIDs  []string
	URLs        []string // of the destination, as it was published
	Hosts       []string // of that URL, with the port if it names one; compared exactly
	Paths       []string // of that URL; compared exactly
	TopicNames  []string
	QueueNames  []string
	ScheduleIDs []string
	Labels      []string // one of the message's
	FlowKeys    []string
	CallerIPs   []string

	// From and To are inclusive, and zero for no bound: when a message was published, an
	// event happened, a dead letter ended.
	From, To time.Time
}

// published is what a Filter looks at.
type published struct {
	URL, CallerIP, ScheduleID     string
	TopicName, QueueName, FlowKey string
	Labels                        []string
}

// selects says whether f selects what was published with p. It looks at neither ids nor
// times: who asks has better means to go by those than one message after the other.
func (f *Filter) selects(p *published) bool {
	return oneOf(f.URLs, p.URL) && oneOf(f.CallerIPs, p.CallerIP) && oneOf(f.ScheduleIDs, p.ScheduleID) &&
		oneOf(f.TopicNames, p.TopicName) && oneOf(f.QueueNames, p.QueueName) && oneOf(f.FlowKeys, p.FlowKey) &&
		(len(f.Labels) == 0 || slices.ContainsFunc(p.Labels, func(l string) bool { return slices.Contains(f.Labels, l) })) &&
		f.selectsURL(p.URL)
}

// selectsURL compares the parts of a destination.
func (f *Filter) selectsURL(raw string) bool {
	if len(f.Hosts) == 0 && len(f.Paths) == 0 {
		return true
	}
	u, err := url.Parse(raw)
	return err == nil && oneOf(f.Hosts, u.Host) && oneOf(f.Paths, u.EscapedPath())
}

// selectsTime says whether a time, unix ms, lies within f's bounds.
func (f *Filter) selectsTime(ms int64) bool {
	return (f.From.IsZero() || ms >= f.From.UnixMilli()) && (f.To.IsZero() || ms <= f.To.UnixMilli())
}
