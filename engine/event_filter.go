package engine

import (
	"time"

	"github.com/tidemill/tidemill/engine/index"
)

// eventFilter is a query in the form that events are checked with.
type eventFilter struct {
	*Filter
	states   uint16 // a bit for each
	anything bool   // every message of the account will do
}

func newEventFilter(q *EventQuery) eventFilter {
	f := eventFilter{Filter: &q.Filter}
	for _, s := range q.States {
		f.states |= 1 << s
	}
	if len(q.States) == 0 {
		f.states = 1<<len(eventStateNames) - 1
	}
	f.anything = !q.Filter.asksForPublished()
	return f
}

// asksForPublished says whether f looks at what a message was published with.
func (f *Filter) asksForPublished() bool {
	return len(f.URLs)+len(f.Hosts)+len(f.Paths)+len(f.TopicNames)+len(f.QueueNames)+len(f.ScheduleIDs)+
		len(f.Labels)+len(f.FlowKeys)+len(f.CallerIPs) > 0
}

func (f *eventFilter) selectsEvent(e *eventRef) bool {
	return f.states>>e.state&1 != 0 && f.selectsTime(e.time)
}

func (f *eventFilter) selectsPublished(c *index.Created) bool {
	return f.anything || c != nil && f.selects(publishedOf(c))
}

// publishedOf is what a Filter looks at in a message's first history row.
func publishedOf(c *index.Created) *published {
	return &published{
		URL: c.URL, CallerIP: c.CallerIP, ScheduleID: c.Schedule,
		TopicName: c.TopicName, QueueName: c.QueueName, FlowKey: c.FlowKey, Labels: c.Labels,
	}
}

// timeMargin is how far from its neighbours in time a history row may lie: a message and
// its end in one row are within a second, and records are stamped a little before they are
// logged.
const timeMargin = 3 * time.Second

// bounds returns the keys from which and before which history rows can be selected, by the
// rows of the time.
func (e *Engine) eventBounds(f *Filter) (lower, upper uint64, err error) {
	upper = ^uint64(0)
	if !f.From.IsZero() {
		lower, err = e.idx.HistorySince(f.From.Add(-timeMargin).UnixMilli())
	}
	if err == nil && !f.To.IsZero() {
		upper, err = e.idx.HistorySince(f.To.Add(timeMargin).UnixMilli())
	}
	return lower, upper, indexError(err)
}
