package httpapi

import "github.com/tidemill/tidemill/engine"

// eventFilters are those of a listing of events. What it does not know it ignores, and so
// what old clients send beside others: urlGroup and api (QSTASH.md §8.2).
const eventFilters = filterContent | filterMessageID | filterHost | filterPath | filterState | filterPage

// eventQuery reads the filters of a listing; a page has most events unless less is asked for.
func (x *exchange) eventQuery(most int) (engine.EventQuery, *failure) {
	f, fail := x.filterOf(&filterCall{names: eventFilters, countMax: most, valuesMax: filterValuesMax})
	if fail != nil {
		return engine.EventQuery{}, fail
	}
	q := engine.EventQuery{Filter: f.Filter, Earliest: f.earliest, Cursor: f.cursor, Count: f.count}
	for _, s := range f.states {
		states, _ := engine.ParseEventStates(s)
		q.States = append(q.States, states...)
	}
	if q.Count == 0 {
		q.Count = most
	}
	return q, nil
}
