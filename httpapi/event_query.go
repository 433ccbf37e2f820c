package httpapi

import "github.com/tidemill/tidemill/engine"

// eventQuery reads the filters of a listing. Unknown names are ignored on listings, and so
// are those that old clients send beside others, urlGroup and api (QSTASH.md §8.2).
func eventQuery(query []byte, most int) (q engine.EventQuery, fail *failure) {
	q.Count = most
	for len(query) > 0 && fail == nil {
		var pair []byte
		pair, query = cutPair(query)
		name, value := cutParam(pair)
		if v := string(unescapeForm(value)); v != "" {
			fail = setEventFilter(&q, string(unescapeForm(name)), v, most)
		}
	}
	return q, fail
}

func setEventFilter(q *engine.EventQuery, name, v string, most int) (fail *failure) {
	switch name {
	case "state":
		for _, s := range splitList(v) {
			states, ok := engine.ParseEventStates(s)
			if !ok {
				return badFilter(name, s, "CREATED, ACTIVE, RETRY, ERROR, IN_PROGRESS, DELIVERED, FAILED, CANCEL_REQUESTED or CANCELED")
			}
			q.States = append(q.States, states...)
		}
	case "host":
		q.Hosts = append(q.Hosts, splitList(v)...)
	case "path":
		q.Paths = append(q.Paths, splitList(v)...)
	case "label":
		q.Labels = append(q.Labels, splitList(v)...)
	case "count":
		n, ok := digits([]byte(v))
		if !ok || n < 1 {
			return badFilter(name, v, "a number of 1 or more")
		}
		q.Count = int(min(n, int64(most)))
	default:
		d := engine.DeadLetterQuery{
			MessageIDs: q.MessageIDs, URLs: q.URLs, CallerIPs: q.CallerIPs, ScheduleIDs: q.ScheduleIDs, TopicNames: q.TopicNames,
			QueueNames: q.QueueNames, FlowKeys: q.FlowKeys, From: q.From, To: q.To, Cursor: q.Cursor, Descending: !q.Earliest,
		}
		fail = setFilter(&d, name, v)
		q.MessageIDs, q.URLs, q.CallerIPs, q.ScheduleIDs, q.TopicNames = d.MessageIDs, d.URLs, d.CallerIPs, d.ScheduleIDs, d.TopicNames
		q.QueueNames, q.FlowKeys, q.From, q.To, q.Cursor, q.Earliest = d.QueueNames, d.FlowKeys, d.From, d.To, d.Cursor, !d.Descending
	}
	return fail
}
