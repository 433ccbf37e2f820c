package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// tickRecord is a record of the log that is about a schedule.
type tickRecord struct {
	lsn uint64
	engine.RecordInfo
}

// tickArrival is what the receiver has of one message of a schedule.
type tickArrival struct {
	schedule string
	seq      uint64    // where its record stands, which the message id says
	first    time.Time // when its first attempt came
	attempts int
	done     bool // an attempt was answered with 200
}

// span is a stretch of time, or of addresses of the log: to does not belong to it.
type span struct{ from, to int64 }

func (s span) holds(n int64) bool { return s.from <= n && n < s.to }

// evidence is what is known of a run when it is over: the schedules' records in log
// order, what came, and when the server was not there.
type evidence struct {
	records  []tickRecord
	arrivals map[string]*tickArrival // by message id
	gaps     []span                  // of the log, that were reclaimed before they were looked at
	outages  []span                  // unix ms, in order: the server was down, or its disk hung
}

// uptime is for how long the server was up in a stretch of unix ms.
func (e *evidence) uptime(s span) int64 {
	up := max(0, s.to-s.from)
	for _, o := range e.outages {
		up -= max(0, min(s.to, o.to)-max(s.from, o.from))
	}
	return up
}

// patience is how long the server may be up, in ms, and not have published a tick that
// is due: the machine is slow, and so is a disk that other tests use.
const patience = 5000

// chain follows one schedule through the log (P27). Every tick must be there once, in
// order: as a message that carries it, or as one that is said to be missed, for which
// the server must have been away. A message whose record was reclaimed before it was
// looked at is known by its arrival: its id says where it stood, so it is the tick that
// comes next there.
//
// The ticks are worked out here from crashCrons, not by the engine's own rules.
type chain struct {
	id     string
	e      *evidence
	offset int64 // ms, by which its ticks are published later
	keep   int64 // ms; ticks that are at most so old are not given up

	step      int64  // of the expression in force, ms; 0: it is not defined
	cron      string // the expression in force
	paused    bool
	began     int64            // where the first definition begins
	last      int64            // all up to here is accounted for
	published map[int64]string // tick to message id
	gone      map[int64]bool   // ticks that were missed

	missed, doubled, leftOut, early, guessed int

	late  []time.Duration // of those whose second the server was up
	wrong []string
}

// crashCrons are the expressions that the crash test uses: ms from tick to tick.
var crashCrons = map[string]int64{crashEverySecond: 1000, crashEveryOther: 2000}

const (
	crashEverySecond = "* * * * * *"
	crashEveryOther  = "*/2 * * * * *"
)

// follow goes through all that is known of the schedule.
func (h *chain) follow() {
	h.published, h.gone = map[int64]string{}, map[int64]bool{}
	for _, r := range h.events() {
		switch r.Type {
		case "schedule":
			h.define(&r)
		case "tick":
			h.miss(&r)
		case "message":
			h.publish(&r)
		default:
			h.complain("a record %q at %d", r.Type, r.lsn)
		}
	}
}

// events returns the schedule's records, and messages that only arrived, in log order.
func (h *chain) events() (list []tickRecord) {
	logged := map[string]bool{}
	for _, r := range h.e.records {
		if r.Schedule == h.id {
			list = append(list, r)
			logged[r.Message] = true
		}
	}
	for id, a := range h.e.arrivals {
		switch {
		case a.schedule != h.id || logged[id]:
		case slices.ContainsFunc(h.e.gaps, func(s span) bool { return s.holds(int64(a.seq)) }):
			list = append(list, tickRecord{a.seq, engine.RecordInfo{Type: "message", Message: id, Schedule: h.id}})
		default:
			h.complain("message %s came, and the log has no such record", id)
		}
	}
	slices.SortFunc(list, func(a, b tickRecord) int { return cmp.Compare(a.lsn, b.lsn) })
	return list
}

func (h *chain) next() int64 { return (h.last/h.step + 1) * h.step }

// define takes a definition: the first, another, or a copy that reclaiming has made.
// One may skip ticks only if it ends a pause or changes the expression.
func (h *chain) define(r *tickRecord) {
	at, step := r.Tick.UnixMilli(), crashCrons[r.Name]
	switch {
	case step == 0:
		h.complain("the expression %q, which nobody defined", r.Name)
		return
	case h.step == 0:
		h.began = at
	case at < h.last:
		h.complain("the definition at %d goes back from %s to %s", r.lsn, clock(h.last), clock(at))
	case at >= h.next() && !h.paused && r.Name == h.cron:
		h.skipTo(at, "a definition")
	}
	h.step, h.cron, h.paused, h.last = step, r.Name, r.Paused, max(h.last, at)
}

// publish takes the message of a tick.
func (h *chain) publish(r *tickRecord) {
	if h.step == 0 {
		h.complain("message %s is older than any definition", r.Message)
		return
	}
	tick := h.next()
	if r.Tick != nil {
		tick = r.Tick.UnixMilli()
	} else {
		h.guessed++
	}
	if h.paused {
		h.complain("tick %s was published while it was paused", clock(tick))
	}
	switch other, twice := h.published[tick]; {
	case twice:
		h.doubled++
		h.complain("tick %s was published as %s and as %s", clock(tick), other, r.Message)
	case tick <= h.last:
		h.doubled++
		h.complain("tick %s was published when all up to %s was over", clock(tick), clock(h.last))
	case tick%h.step != 0:
		h.complain("%s is no tick", clock(tick))
	case tick != h.next():
		h.skipTo(tick-1, "tick "+clock(tick))
	}
	h.published[tick], h.last = r.Message, max(h.last, tick)
	h.arrival(tick, h.e.arrivals[r.Message])
}

// arrival checks when a tick came.
func (h *chain) arrival(tick int64, a *tickArrival) {
	if a == nil {
		return // whether it may still be on its way is for the end to say
	}
	due := tick + h.offset
	if late := a.first.Sub(time.UnixMilli(due)); late < 0 {
		h.early++
		h.complain("tick %s came %v early", clock(tick), -late)
	} else if h.e.uptime(span{due, due + 1000}) == 1000 {
		h.late = append(h.late, late)
	}
}

// miss takes ticks that are said to be missed, and looks whether the server had a
// reason: it was away for longer than a tick may be late, but for its patience.
func (h *chain) miss(r *tickRecord) {
	if h.step == 0 || r.From == nil || r.From.UnixMilli() != h.next() || h.paused {
		h.complain("ticks are missed since %v where %s is next, paused %v", r.From, clock(h.last), h.paused)
		return
	}
	n, at := 0, r.At.UnixMilli()
	for tick := h.next(); tick <= r.Tick.UnixMilli(); tick = h.next() {
		n++
		h.last, h.gone[tick] = tick, true
		away := span{tick + h.offset, at}
		if up := h.e.uptime(away); away.to-away.from < h.keep || up > patience {
			h.complain("tick %s was given up %d ms later, and the server was up for %d ms of them", clock(tick), away.to-away.from, up)
		}
	}
	if h.missed += n; n != r.Missed {
		h.complain("%d ticks are missed up to %s, the record says %d", n, clock(h.last), r.Missed)
	}
}

// skipTo notes the ticks up to a time as left out.
func (h *chain) skipTo(at int64, by string) {
	first, n := h.next(), 0
	for ; h.next() <= at; n++ {
		h.last = h.next()
	}
	h.leftOut += n
	h.complain("%d ticks from %s on are left out before %s", n, clock(first), by)
}

// until checks that nothing up to the end is open: each tick is accounted for, and
// what was published has come.
func (h *chain) until(end int64) {
	if h.step == 0 {
		h.complain("it was never defined")
		return
	}
	if !h.paused && h.next() <= end {
		h.skipTo(end, "the end")
	}
	for tick, id := range h.published {
		if a := h.e.arrivals[id]; tick <= end && (a == nil || !a.done) {
			h.complain("tick %s was published as %s, which did not come", clock(tick), id)
		}
	}
}

func (h *chain) complain(format string, args ...any) {
	if len(h.wrong) < 20 {
		h.wrong = append(h.wrong, "schedule "+h.id+": "+fmt.Sprintf(format, args...))
	}
}

func clock(millis int64) string { return time.UnixMilli(millis).UTC().Format("15:04:05.000") }
