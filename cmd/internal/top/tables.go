package top

import (
	"fmt"
	"time"
)

// tables are those that have something in them; of a server without messages the first one is
// there with nothing.
func (p *page) tables() []table {
	out := []table{hostTable(p.snapshot)}
	if len(p.snapshot.Queues) > 0 {
		out = append(out, p.queueTable())
	}
	if len(p.snapshot.Flows) > 0 {
		out = append(out, flowTable(p.snapshot.Flows))
	}
	return out
}

// worth orders states of hosts by how much they need somebody's attention.
var worth = map[string]int{halfOpen: 3, failing: 2, slow: 1}

func hostTable(s *Snapshot) table {
	t := table{title: "HOSTS", heads: []string{"STATE", "IN FLIGHT", "WAITING", "AVERAGE", "FAILURES", "ANSWERED", "NEXT PROBE"}}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		average := none
		if h.Millis > 0 {
			average = span(time.Duration(h.Millis) * time.Millisecond)
		}
		state := h.State
		if state == "" {
			state = none
		}
		t.rows = append(t.rows, row{
			name: clean(h.Name), trouble: worth[h.State]<<20 + h.Failures, waiting: h.Waiting, inFlight: h.InFlight, slow: float64(h.Millis),
			cells: []string{state, count(h.InFlight), count(h.Waiting), average, some(h.Failures), ago(s.At, h.Answered), in(s.At, h.Probe)},
		})
	}
	return t
}

func (p *page) queueTable() table {
	t := table{title: "QUEUES", heads: []string{"KIND", "STATE", "SLOTS", "IN FLIGHT", "WAITING", "DELAYED", "OLDEST", "PUBLISHED", "DELIVERED", "DEAD"}}
	before := map[string]*Queue{}
	if p.before != nil {
		for i := range p.before.Queues {
			q := &p.before.Queues[i]
			before[q.Kind+q.Name] = q
		}
	}
	for i := range p.snapshot.Queues {
		q := &p.snapshot.Queues[i]
		t.rows = append(t.rows, p.queueRow(q, before[q.Kind+q.Name]))
	}
	return t
}

// queueRow leaves out what is not told of a queue of its kind.
func (p *page) queueRow(q, before *Queue) row {
	state, trouble := "running", 0
	if q.Paused {
		state, trouble = "paused", 1
	}
	cells := []string{q.Kind, state, some(q.Parallelism), none, count(q.Waiting), none, none, none, none, none}
	if q.Kind != "queue" {
		cells[3], cells[5] = count(q.InFlight), count(q.Delayed)
		if q.OldestAge > 0 {
			cells[6] = span(time.Duration(q.OldestAge * float64(time.Second)))
		}
		if before != nil && before.Published <= q.Published {
			seconds := p.snapshot.At.Sub(p.before.At).Seconds()
			cells[7], cells[8] = rate(float64(q.Published-before.Published)/seconds), rate(float64(q.Delivered-before.Delivered)/seconds)
		}
		cells[9] = count(q.Dead)
	}
	return row{name: clean(q.Name), cells: cells, trouble: trouble, waiting: q.Waiting, inFlight: q.InFlight, slow: q.OldestAge}
}

func flowTable(flows []Flow) table {
	t := table{title: "FLOW-CONTROL KEYS", heads: []string{"STATE", "PARALLELISM", "RATE", "WAITING"}}
	for i := range flows {
		f := &flows[i]
		state, trouble := "running", 0
		if f.Paused {
			state, trouble = "paused", 1
		}
		t.rows = append(t.rows, row{
			name: clean(f.Key), trouble: trouble, waiting: f.Waiting, inFlight: f.ParallelismCount, slow: float64(f.Waiting),
			cells: []string{state, ofMax(f.ParallelismCount, f.ParallelismMax, "", f.PinnedParallelism), ofMax(f.RateCount, f.RateMax, period(f.RatePeriod), f.PinnedRate), count(f.Waiting)},
		})
	}
	return t
}

// ofMax writes how much of a limit is used; without a limit there is nothing to tell.
func ofMax(n, most int, per string, pinned bool) string {
	if most == 0 {
		return none
	}
	text := fmt.Sprintf("%d of %d%s", n, most, per)
	if pinned {
		text += " (pinned)"
	}
	return text
}

func period(seconds int) string { return " in " + span(time.Duration(seconds)*time.Second) }
