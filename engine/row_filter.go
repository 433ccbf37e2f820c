package engine

import "github.com/tidemill/tidemill/engine/record"

// rowFilter is a filter of messages, with what of it rows tell.
type rowFilter struct {
	user   UserID
	f      *Filter
	queues map[uint64]bool // by QueueID, nil: any
	flows  map[uint64]bool // by FlowID, nil: any
	hosts  map[uint64]bool // by hostID, nil: any
	isAll  bool            // rows tell all of it
}

func newRowFilter(u UserID, f *Filter) *rowFilter {
	p := &rowFilter{user: u, f: f}
	id := func(of func(user uint32, name string) uint64) func(string) (uint64, error) {
		return func(name string) (uint64, error) { return of(uint32(u), name), nil }
	}
	p.queues = numbers(f.QueueNames, id(record.QueueID))
	p.flows = numbers(f.FlowKeys, id(record.FlowID))
	p.hosts = numbers(f.URLs, hostKey)
	p.isAll = rowsTell(f)
	return p
}

// rowsTell says whether rows tell all that a filter asks for.
func rowsTell(f *Filter) bool {
	rest := *f
	rest.QueueNames, rest.FlowKeys = nil, nil
	return rest.empty()
}

// empty says whether f selects everything.
func (f *Filter) empty() bool {
	for _, values := range [...][]string{
		f.MessageIDs, f.URLs, f.Hosts, f.Paths, f.TopicNames, f.QueueNames, f.ScheduleIDs, f.Labels, f.FlowKeys, f.CallerIPs,
	} {
		if len(values) > 0 {
			return false
		}
	}
	return f.From.IsZero() && f.To.IsZero()
}

func (p *rowFilter) row(r *record.Row) bool {
	return UserID(r.User) == p.user && (p.queues == nil || p.queues[r.Queue]) && (p.flows == nil || p.flows[r.Flow]) &&
		(p.hosts == nil || p.hosts[r.Host])
}

func (p *rowFilter) message(m *record.Message) bool {
	return p.f.selectsTime(m.Created) && p.f.selects(publishedWith(m))
}

// publishedWith is what a Filter looks at in a message.
func publishedWith(m *record.Message) *published {
	return &published{
		URL: m.URL, CallerIP: m.CallerIP, ScheduleID: m.Schedule, TopicName: m.Topic, QueueName: m.QueueName, FlowKey: m.FlowKey, Labels: m.Labels,
	}
}
