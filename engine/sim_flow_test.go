package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/engine/record"
)

// simKey is a flow-control key as the log and the attempts say.
type simKey struct {
	rule     record.FlowRule
	flags    uint16
	pending  int // messages that have not ended
	window   int64
	used     int
	starts   []int64 // attempts of the last period
	inflight int
	pardoned int
	resets   int // that were asked for and not answered
}

// simRules are the limits that the keys of a simulation have, by the number of the key.
// They are low: a rate that is never reached limits nothing.
var simRules = []record.FlowRule{
	{Rate: 3, Period: 1000},
	{Parallelism: 2},
	{Rate: 4, Period: 60_000},
	{Rate: 2, Period: 5000, Sliding: true},
	{Rate: 3, Period: 120_000, Parallelism: 3, Sliding: true},
	{Rate: 1, Period: 20_000},
}

// The kinds of limits, by which simLineTotals.limited counts what was held to one.
const (
	simShort = iota
	simLong
	simShortSliding
	simLongSliding
	simParallelism
	simLimits
)

// rateKind returns the kind of a rule's rate.
func rateKind(r *record.FlowRule) int {
	kind := simShort
	if r.Sliding {
		kind = simShortSliding
	}
	if r.Period > shortWindow {
		kind++
	}
	return kind
}

// chooseFlow names a key, each seed one of them more often than others.
func (s *sim) chooseFlow() FlowControl {
	n := s.rng.IntN(len(simRules))
	if s.rng.IntN(2) == 0 {
		n = int(s.seed/3) % len(simRules)
	}
	r := simRules[n]
	f := FlowControl{Key: fmt.Sprintf("f%d", n), Parallelism: int(r.Parallelism), Rate: int(r.Rate), Period: millis(int64(r.Period)), Sliding: r.Sliding}
	if s.rng.IntN(10) == 0 && f.Rate > 0 {
		f.Rate += s.rng.IntN(3)
	}
	if s.rng.IntN(10) == 0 && f.Parallelism > 0 {
		f.Parallelism += s.rng.IntN(2)
	}
	return f
}

func (s *sim) flowStep() {
	n := s.rng.IntN(len(simRules))
	req := &flowRequest{user: 1, key: fmt.Sprintf("f%d", n), ask: []flowAsk{flowPause, flowResume, flowResume, flowPin, flowPin, flowPin, flowUnpin, flowResetRate, flowReset}[s.rng.IntN(9)]}
	req.parallelism, req.rate = simRules[n].Parallelism > 0, simRules[n].Rate > 0 && s.rng.IntN(2) == 0
	req.rule = simRules[n]
	req.rule.Parallelism = max(1, req.rule.Parallelism-uint32(s.rng.IntN(2))) // less than messages say
	req.rule.Rate = max(1, req.rule.Rate-uint32(s.rng.IntN(2)))
	if !req.parallelism && !req.rate {
		req.ask = flowResume
	}
	s.askFlow(req)
}

func (s *sim) askFlow(req *flowRequest) {
	k := s.key(record.FlowID(req.user, req.key))
	if req.resets() {
		k.resets++
	}
	req.done = func(err error) {
		if req.resets() {
			k.resets--
		}
		s.note("flow", uint64(req.ask))
		if err != nil && !errors.Is(err, ErrNotFound) {
			s.refused("change of key "+req.key, err)
		}
	}
	s.e.inbox.push(event{kind: evFlow, flow: req})
}

// resets says whether a request begins a new window.
func (req *flowRequest) resets() bool {
	return req.ask == flowResetRate || req.ask == flowReset || req.ask == flowPin && req.rate
}

func (s *sim) key(id uint64) *simKey {
	k := s.lines.keys[id]
	if k == nil {
		k = &simKey{}
		s.lines.keys[id] = k
	}
	return k
}

// hear takes what a message says of the key.
func (k *simKey) hear(rule record.FlowRule) {
	if k.flags&record.FlowPinnedParallelism != 0 {
		rule.Parallelism = k.rule.Parallelism
	}
	if k.flags&record.FlowPinnedRate != 0 {
		rule.Rate, rule.Period, rule.Sliding = k.rule.Rate, k.rule.Period, k.rule.Sliding
	}
	k.rule = rule
}

func (s *sim) observeFlow(r *record.Flow) {
	k := s.key(r.ID())
	k.flags = r.Flags
	var req *flowRequest
	if s.e != nil && s.e.core != nil {
		if i, ok := s.e.core.flows.byID[r.ID()]; ok {
			req = s.e.core.flows.list[i].req
		}
	}
	if r.Flags&record.FlowPinnedParallelism != 0 {
		k.rule.Parallelism = r.Parallelism
	}
	if r.Flags&record.FlowPinnedRate != 0 {
		k.rule.Rate, k.rule.Period = r.Rate, r.Period
	}
	reset := r.Period > shortWindow && r.Window == 0 && k.resets > 0 // read after a power cut
	if req != nil {
		reset = req.resets()
		if req.ask == flowReset {
			k.inflight, k.pardoned = 0, k.pardoned+k.inflight
		}
	}
	if reset {
		k.window, k.used, k.starts = 0, 0, nil
	} else if r.Window != 0 && !r.Sliding && (k.window == 0 || r.Window >= k.window+int64(r.Period)) {
		k.window, k.used = min(r.Window, s.now), 0 // the clock may have been set back since
	}
}

// startedFlow is S17.
func (s *sim) startedFlow(m *simMessage, k *simKey) {
	switch {
	case k.flags&record.FlowPaused != 0:
		s.fail("S17: %s starts while its key is paused", m.id)
	case k.rule.Parallelism > 0 && k.inflight >= int(k.rule.Parallelism):
		s.fail("S17: %s starts beside %d others of its key, of %d", m.id, k.inflight, k.rule.Parallelism)
	}
	if k.inflight++; k.inflight == int(k.rule.Parallelism) {
		s.lines.limited[simParallelism]++
	}
	if k.rule.Rate == 0 {
		return
	}
	n := k.begin(s.now)
	if n > int(k.rule.Rate) {
		s.fail("S17: %s is start %d of its key in %d ms, of %d", m.id, n, k.rule.Period, k.rule.Rate)
	}
	if n == int(k.rule.Rate) {
		s.lines.limited[rateKind(&k.rule)]++
	}
}

// begin notes an attempt, and returns how many its window has.
func (k *simKey) begin(now int64) int {
	period := int64(k.rule.Period)
	if k.window = min(k.window, now); k.window == 0 || now >= k.window+period {
		k.window, k.used = now, 0
	}
	k.used++
	k.starts = slices.DeleteFunc(append(k.starts, now), func(at int64) bool { return min(at, now) <= now-period })
	for i := range k.starts {
		k.starts[i] = min(k.starts[i], now) // the clock was set back
	}
	if k.rule.Sliding {
		return len(k.starts)
	}
	return k.used
}

// clockSetBack: what was over by the clock as it read may have been forgotten, and what
// lies ahead now has begun by now at the latest.
func (l *simLines) clockSetBack(now, back int64) {
	for _, k := range l.keys {
		period := int64(k.rule.Period)
		k.starts = slices.DeleteFunc(k.starts, func(at int64) bool { return at <= now-period })
		if now >= k.window+period {
			k.window = 0
		}
		for i := range k.starts {
			k.starts[i] = min(k.starts[i], now-back)
		}
		k.window = min(k.window, now-back)
	}
}

// landedLine notes the end of an attempt.
func (s *sim) landedLine(id string) {
	l := s.lines.byID[id]
	if l == nil || l.Flow == 0 {
		return
	}
	if k := s.key(l.Flow); k.pardoned > 0 {
		k.pardoned--
	} else {
		k.inflight--
	}
}
