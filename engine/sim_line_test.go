package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/record"
)

// Queues, flow-control keys, callbacks and fan-outs in the simulator:
//
//	S16 in a queue, and under an ordering key in it, turns begin in the order of the log, no
//	    more at a time than there may be, and none before what must end has ended, callbacks
//	    included; none in a queue that is paused or after it was deleted
//	S17 no window of a flow-control key, from whenever it is counted in the sliding mode,
//	    holds more attempts than its rate, and no more are in flight than its parallelism;
//	    none begins while it is paused
//	S18 each attempt's outcome has the callbacks that it owes, and they say what it was
//	S19 a fan-out is there with all its members or not at all
type simLines struct {
	byID   map[string]*simLine
	queues map[uint64]*simQueue
	keys   map[uint64]*simKey

	turns, crowded, limited, callbacks, failures, members, discarded int
}

// simLine is what the log says of a message besides its delivery.
type simLine struct {
	record.Line
	lane              uint64
	turn              uint64
	callback, failure bool
}

type simQueue struct {
	name                string
	parallelism, widest int // now, and at most in this life of the server
	paused, gone        bool
	drop                uint64
	turns               map[uint64]*simTurn // that have not ended
}

type simTurn struct {
	lane  uint64
	left  int // messages of it that have not ended
	begun bool
}

// simKey is a flow-control key as the log and the attempts say.
type simKey struct {
	rule     record.FlowRule
	flags    uint16
	window   int64
	used     int
	starts   []int64
	inflight int
	pardoned int
}

func newSimLines() simLines {
	return simLines{byID: map[string]*simLine{}, queues: map[uint64]*simQueue{}, keys: map[uint64]*simKey{}}
}

// simRules are the limits that the keys of a simulation have, by the number of the key.
var simRules = []record.FlowRule{
	{Rate: 3, Period: 1000},
	{Parallelism: 2},
	{Rate: 40, Period: 60_000},
	{Rate: 2, Period: 5000, Sliding: true},
	{Rate: 70, Period: 120_000, Parallelism: 3, Sliding: true},
	{Rate: 1, Period: 20_000},
}

// chooseLine gives a message to be published a queue, a key and callbacks, or not.
func (s *sim) chooseLine(p *Publish) {
	if s.rng.IntN(3) == 0 {
		p.Queue = fmt.Sprintf("q%d", s.rng.IntN(3))
		if s.rng.IntN(3) == 0 {
			p.Ordering = fmt.Sprintf("o%d", s.rng.IntN(2))
		}
	}
	if s.rng.IntN(3) == 0 {
		p.Flow = s.chooseFlow()
	}
	if s.rng.IntN(5) == 0 {
		p.Callback = s.chooseCallback()
	}
	if s.rng.IntN(5) == 0 {
		p.Failure = s.chooseCallback()
	}
}

func (s *sim) chooseFlow() FlowControl {
	n := s.rng.IntN(len(simRules))
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

func (s *sim) chooseCallback() *Callback {
	cb := &Callback{URL: fmt.Sprintf("http://h%d.example/cb", s.rng.IntN(5)), Retries: InheritRetries}
	if s.rng.IntN(3) == 0 {
		cb.Delay = time.Duration(s.rng.Int64N(5000)) * time.Millisecond
	}
	if s.rng.IntN(4) == 0 {
		cb.Flow = s.chooseFlow()
	}
	if s.rng.IntN(4) == 0 {
		cb.Failure = &Callback{URL: "http://h1.example/cbf", Retries: s.rng.IntN(2)}
	}
	return cb
}

// lineStep changes a queue or a key.
func (s *sim) lineStep() {
	if s.rng.IntN(2) == 0 {
		s.flowStep()
		return
	}
	name := fmt.Sprintf("q%d", s.rng.IntN(3))
	var err error
	switch n := s.rng.IntN(10); {
	case n == 0:
		err = s.e.DeleteQueue(1, name)
	case n < 5:
		k := 1 + s.rng.IntN(3)
		err = s.e.SetQueue(1, name, QueueChange{Parallelism: &k})
	default:
		paused := n == 5
		err = s.e.SetQueue(1, name, QueueChange{Paused: &paused})
	}
	if err != nil {
		s.refused("change of queue "+name, err)
	}
}

func (s *sim) flowStep() {
	n := s.rng.IntN(len(simRules))
	req := &flowRequest{user: 1, key: fmt.Sprintf("f%d", n), ask: []flowAsk{flowPause, flowResume, flowResume, flowPin, flowUnpin, flowResetRate, flowReset}[s.rng.IntN(7)]}
	req.parallelism, req.rate = simRules[n].Parallelism > 0, simRules[n].Rate > 0 && s.rng.IntN(2) == 0
	req.rule = simRules[n]
	req.rule.Parallelism += uint32(s.rng.IntN(2))
	req.rule.Rate += uint32(s.rng.IntN(2))
	if !req.parallelism && !req.rate {
		req.ask = flowResume
	}
	s.askFlow(req)
}

func (s *sim) askFlow(req *flowRequest) {
	req.done = func(err error) {
		s.note("flow", uint64(req.ask))
		if err != nil && !errors.Is(err, ErrNotFound) {
			s.refused("change of key "+req.key, err)
		}
	}
	s.e.inbox.push(event{kind: evFlow, flow: req})
}

// calmLines lets all go on that somebody paused.
func (s *sim) calmLines() {
	for _, q := range s.lines.queues {
		if q.paused {
			paused := false
			if err := s.e.SetQueue(1, q.name, QueueChange{Paused: &paused}); err != nil {
				s.refused("resume of queue "+q.name, err)
			}
		}
	}
	for n := range simRules {
		s.askFlow(&flowRequest{user: 1, key: fmt.Sprintf("f%d", n), ask: flowResume})
	}
}

// crashed: slots and attempts in flight end with the process.
func (l *simLines) crashed() {
	for _, q := range l.queues {
		q.widest = q.parallelism
		for _, t := range q.turns {
			t.begun = false
		}
	}
	for _, k := range l.keys {
		k.inflight, k.pardoned = 0, 0
	}
}

func (s *sim) queue(id uint64) *simQueue {
	q := s.lines.queues[id]
	if q == nil {
		q = &simQueue{parallelism: 1, widest: 1, turns: map[uint64]*simTurn{}}
		s.lines.queues[id] = q
	}
	return q
}

func (s *sim) key(id uint64) *simKey {
	k := s.lines.keys[id]
	if k == nil {
		k = &simKey{}
		s.lines.keys[id] = k
	}
	return k
}

// observeMessage takes a message that is in the log.
func (s *sim) observeMessage(seq uint64, m *record.Message) {
	l := &simLine{Line: m.Line, lane: m.Lane, turn: m.Root, callback: len(m.Callback) > 0, failure: len(m.Failure) > 0}
	if l.turn == 0 {
		l.turn = seq
	}
	s.lines.byID[MessageID(seq, m.Nonce)] = l
	if m.Line.Queue != 0 {
		q := s.queue(m.Line.Queue)
		q.name = m.QueueName
		if q.gone && m.Root == 0 && seq >= q.drop {
			q.gone, q.paused, q.parallelism = false, false, 1
		}
		t := q.turns[l.turn]
		if t == nil {
			t = &simTurn{lane: m.Lane}
			q.turns[l.turn] = t
		}
		t.left++
	}
	if m.Flow != 0 {
		s.key(m.Flow).hear(m.FlowRule, s.now)
	}
}

func (k *simKey) hear(rule record.FlowRule, now int64) {
	if k.flags&record.FlowPinnedParallelism != 0 {
		rule.Parallelism = k.rule.Parallelism
	}
	if k.flags&record.FlowPinnedRate != 0 {
		rule.Rate, rule.Period, rule.Sliding = k.rule.Rate, k.rule.Period, k.rule.Sliding
	}
	k.rule = rule
}

// observeFanout takes the members of a fan-out, each a message to be delivered.
func (s *sim) observeFanout(lsn uint64, p []byte) error {
	var f record.Fanout
	if err := record.DecodeFanout(p, &f); err != nil {
		return err
	}
	for i := range f.Members {
		var m record.Message
		if _, err := record.OpenMessage(p, f.Members[i].Nonce, &m); err != nil {
			return err
		}
		s.lines.members++
		s.observeMessage(lsn+uint64(i), &m)
		s.expect(lsn+uint64(i), &m, nil)
	}
	return nil
}

// expect has a message be delivered that nobody published by itself.
func (s *sim) expect(seq uint64, m *record.Message, body []byte) {
	if body == nil {
		b, err := m.OpenBody(nil)
		if err != nil {
			s.fail("S3: the body of %d: %v", seq, err)
		}
		body = slices.Clone(b)
	}
	x := &simMessage{
		id: MessageID(seq, m.Nonce), acked: true, body: body, retries: int(m.Retries), due: m.Due, created: m.Created,
		starts: map[int]int{}, life: s.crashes, behave: max(0, int(m.Nonce%5)-3),
	}
	s.messages[x.id] = x
}

// observeOutcome is S18, and ends turns.
func (s *sim) observeOutcome(lsn uint64, p []byte) error {
	var o record.Outcome
	if err := record.DecodeOutcome(p, &o); err != nil {
		return err
	}
	id := MessageID(o.Seq, o.Nonce)
	l, src := s.lines.byID[id], s.messages[id]
	if l == nil || src == nil {
		s.fail("S5: the outcome of %s, which nobody published", id)
		return nil
	}
	owed := 0
	if l.callback && o.Kind != record.Canceled {
		owed++
	}
	if l.failure && o.Kind == record.Dead {
		owed++
	}
	if len(o.Callbacks) != owed {
		s.fail("S18: %s of %s has %d callbacks, it owes %d", o.Kind, id, len(o.Callbacks), owed)
	}
	for n, c := range o.Callbacks {
		if err := s.observeCallback(lsn, n, &o, src, c); err != nil {
			return err
		}
	}
	if l.Queue == 0 || !o.Kind.Final() {
		return nil
	}
	q := s.queue(l.Queue)
	if o.Kind == record.Canceled && l.turn < q.drop {
		s.lines.discarded++
	}
	t := q.turns[l.turn]
	if t == nil {
		s.fail("S16: %s ends, and its turn %d has ended before", id, l.turn)
		return nil
	}
	if t.left--; t.left == 0 {
		delete(q.turns, l.turn)
	}
	return nil
}

func (s *sim) observeCallback(lsn uint64, n int, o *record.Outcome, src *simMessage, p []byte) error {
	var m record.Message
	if err := record.DecodeMessage(p, &m); err != nil {
		return err
	}
	failure := m.Flags&record.FlagFailure != 0
	body, err := renderReport(o, lsn, failure)
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(body, &r); err != nil {
		return err
	}
	switch {
	case r.SourceMessageID != src.id || string(r.SourceBody) != string(src.body):
		s.fail("S18: a callback of %s reports %s, with a body of %d bytes for %d", src.id, r.SourceMessageID, len(r.SourceBody), len(src.body))
	case r.Status != int(o.Status) || r.Retried != int(o.Attempt)-1 || r.MaxRetries != src.retries:
		s.fail("S18: a callback of %s reports %+v of %+v", src.id, r, o)
	case failure != (r.DLQID == deadID(o.At, lsn)) || failure && o.Kind != record.Dead:
		s.fail("S18: a callback of %s names the dead letter %q", src.id, r.DLQID)
	}
	s.lines.callbacks++
	if failure {
		s.lines.failures++
	}
	s.observeMessage(lsn+1+uint64(n), &m)
	s.expect(lsn+1+uint64(n), &m, body)
	return nil
}

func (s *sim) observeQueue(lsn uint64, d *record.Queue) {
	_, known := s.lines.queues[d.ID()]
	q := s.queue(d.ID())
	if d.Flags&record.QueueNew != 0 && known && !q.gone {
		return
	}
	q.gone = d.Flags&record.QueueGone != 0
	q.name, q.paused, q.parallelism = d.Name, d.Flags&record.QueuePaused != 0, int(d.Parallelism)
	q.widest = max(q.widest, q.parallelism)
	if drop := d.DropBefore(lsn); drop > q.drop {
		q.drop = drop
		for id, l := range s.lines.byID {
			if m := s.messages[id]; m != nil && l.Queue == d.ID() && l.turn < drop {
				m.maybe = true
			}
		}
	}
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
	reset := r.Period > shortWindow && r.Window == 0
	if req != nil {
		reset = req.ask == flowResetRate || req.ask == flowReset || req.ask == flowPin && req.rate
		if req.ask == flowReset {
			k.inflight, k.pardoned = 0, k.pardoned+k.inflight
		}
	}
	if reset {
		k.window, k.used, k.starts = 0, 0, nil
	} else if r.Window != 0 && !r.Sliding && (k.window == 0 || r.Window >= k.window+int64(r.Period)) {
		k.window, k.used = r.Window, 0
	}
}

// startedLine is S16 and S17.
func (s *sim) startedLine(m *simMessage) {
	l := s.lines.byID[m.id]
	if l == nil {
		s.fail("S5: %s starts, and is not in the log", m.id)
		return
	}
	if l.Queue != 0 {
		s.startedTurn(m, l)
	}
	if l.Flow != 0 {
		s.startedFlow(m, s.key(l.Flow))
	}
}

func (s *sim) startedTurn(m *simMessage, l *simLine) {
	q := s.queue(l.Queue)
	t := q.turns[l.turn]
	switch {
	case t == nil:
		s.fail("S16: %s starts after its turn has ended", m.id)
		return
	case q.paused:
		s.fail("S16: %s starts while its queue is paused", m.id)
	case l.turn < q.drop:
		s.fail("S16: %s starts after its queue was deleted", m.id)
	}
	if t.begun {
		return
	}
	ahead, begun, width := 0, 0, q.widest
	if l.lane != l.Queue {
		width = 1
	}
	for k, o := range q.turns {
		if o.lane == t.lane && k < l.turn && k >= q.drop {
			ahead++
		}
		if o.begun {
			begun++
		}
	}
	if ahead >= width {
		s.fail("S16: %s starts, and %d before it have not ended in a lane of %d", m.id, ahead, width)
	}
	if begun >= q.widest {
		s.fail("S16: %s starts, and %d of its queue are at work already, of %d", m.id, begun, q.widest)
	}
	s.lines.turns++
	if begun > 0 {
		s.lines.crowded++
	}
	t.begun = true
}

func (s *sim) startedFlow(m *simMessage, k *simKey) {
	switch {
	case k.flags&record.FlowPaused != 0:
		s.fail("S17: %s starts while its key is paused", m.id)
	case k.rule.Parallelism > 0 && k.inflight >= int(k.rule.Parallelism):
		s.fail("S17: %s starts beside %d others of its key, of %d", m.id, k.inflight, k.rule.Parallelism)
	}
	k.inflight++
	if k.rule.Rate == 0 {
		return
	}
	period := int64(k.rule.Period)
	if k.window = min(k.window, s.now); k.window == 0 || s.now >= k.window+period {
		k.window, k.used = s.now, 0
	}
	k.used++
	k.starts = slices.DeleteFunc(append(k.starts, s.now), func(at int64) bool { return min(at, s.now) <= s.now-period })
	for i := range k.starts {
		k.starts[i] = min(k.starts[i], s.now) // the clock was set back
	}
	n := k.used
	if k.rule.Sliding {
		n = len(k.starts)
	}
	if n > int(k.rule.Rate) {
		s.fail("S17: %s is start %d of its key in %d ms, of %d", m.id, n, period, k.rule.Rate)
	}
	if n == int(k.rule.Rate) {
		s.lines.limited++
	}
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

// add sums what was tried.
func (l *simLines) add(o *simLines) {
	l.turns += o.turns
	l.crowded += o.crowded
	l.limited += o.limited
	l.callbacks += o.callbacks
	l.failures += o.failures
	l.members += o.members
	l.discarded += o.discarded
}
