package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
)

// Queues, flow-control keys, callbacks and fan-outs in the simulator:
//
//	S16 in a queue, and under an ordering key in it, turns begin in the order of the log, no
//	    more at a time than there may be, and none before what must end has ended, callbacks
//	    included; none in a queue that is paused or after it was deleted (sim_queue_test.go)
//	S17 no window of a flow-control key, from whenever it is counted in the sliding mode,
//	    holds more attempts than its rate, and no more are in flight than its parallelism;
//	    none begins while it is paused (sim_flow_test.go)
//	S18 each attempt's outcome has the callbacks that it owes, and they say what it was
//	    (sim_callback_test.go)
//	S19 a fan-out is there with all its members, those that its group had, or not at all; a
//	    group is what was acked (sim_group_test.go)
type simLines struct {
	byID   map[string]*simLine
	queues map[uint64]*simQueue
	keys   map[uint64]*simKey
	groups simGroups

	simLineTotals
}

// simLineTotals say what was tried.
type simLineTotals struct {
	turns, crowded, discarded int
	limited                   [simLimits]int
	callbacks, failures       int
	fans, members             int
}

// simLine is what the log says of a message besides its delivery.
type simLine struct {
	record.Line
	lane              uint64
	turn              uint64
	callback, failure *simReport
	reported          int // attempts whose outcomes are durable
}

func newSimLines() simLines {
	return simLines{byID: map[string]*simLine{}, queues: map[uint64]*simQueue{}, keys: map[uint64]*simKey{}, groups: newSimGroups()}
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

// lineStep changes a queue, a key or a group.
func (s *sim) lineStep() {
	switch s.rng.IntN(3) {
	case 0:
		s.flowStep()
	case 1:
		s.queueStep()
	default:
		s.groupStep()
	}
}

// calmLines lets all go on that somebody paused.
func (s *sim) calmLines() {
	for _, name := range simQueues {
		if q := s.lines.queues[record.QueueID(1, name)]; q != nil && q.paused {
			paused := false
			if err := s.e.SetQueue(1, name, QueueChange{Paused: &paused}); err != nil {
				s.refused("resume of queue "+name, err)
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
		for _, t := range q.turns {
			t.begun, t.entitled = false, 0
		}
	}
	for _, k := range l.keys {
		k.inflight, k.pardoned = 0, 0
	}
}

// opened: what was asked for and not answered before the power was cut is in the log that
// was read now, or never was.
func (l *simLines) opened() {
	for _, k := range l.keys {
		k.resets = 0
	}
}

// observeMessage takes a message that is in the log. It keeps nothing of m.
func (s *sim) observeMessage(seq uint64, m *record.Message) error {
	l := &simLine{Line: m.Line, lane: m.Lane, turn: m.Root}
	if l.turn == 0 {
		l.turn = seq
	}
	var err error
	if l.callback, err = reportOf(m.Callback); err == nil {
		l.failure, err = reportOf(m.Failure)
	}
	if err != nil {
		return err
	}
	s.lines.byID[MessageID(seq, m.Nonce)] = l
	if l.Queue != 0 {
		s.queue(l.Queue).join(seq, l)
	}
	if l.Flow != 0 {
		k := s.key(l.Flow)
		k.pending++
		k.hear(m.FlowRule)
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
		id: MessageID(seq, m.Nonce), url: strings.Clone(m.URL), acked: true, body: body, retries: int(m.Retries), due: m.Due,
		created: m.Created, starts: map[int]int{}, life: s.crashes, behave: max(0, int(m.Nonce%5)-3),
	}
	if m.Line.Queue != 0 && m.Root != 0 && m.Root < s.queue(m.Line.Queue).drop {
		x.maybe = true // its outcome was on its way when the queue was deleted
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
	if err := s.observeReports(lsn, &o, l, src); err != nil {
		return err
	}
	if !o.Kind.Final() {
		return nil
	}
	if l.Flow != 0 {
		s.key(l.Flow).pending--
	}
	if l.Queue != 0 {
		s.endTurn(id, l, o.Kind)
	}
	return nil
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

// checkLag: of each queue and key the core counts the messages that have not ended by the
// log (QSTASH.md §8.4, §8.7).
func (s *sim) checkLag() {
	if len(s.e.inbox.events) > 0 {
		return // what the core has not been told it cannot know
	}
	c := s.e.core
	for id, q := range s.lines.queues {
		want, have := 0, 0
		for _, t := range q.turns {
			want += t.left
		}
		if i, ok := c.queues.byID[id]; ok {
			have = c.queues.list[i].pending
		}
		if have != want {
			s.fail("S10: queue %s has %d messages, the core counts %d", q.name, want, have)
		}
	}
	for id, k := range s.lines.keys {
		have := 0
		if i, ok := c.flows.byID[id]; ok {
			have = c.flows.list[i].pending
		}
		if have != k.pending {
			s.fail("S10: key %x has %d messages, the core counts %d", id, k.pending, have)
		}
	}
}

// checkLeft: when all has ended, nothing of it is left in queues and keys.
func (s *sim) checkLeft() {
	s.checkLag()
	c := s.e.core
	if n := len(c.queues.turns); n > 0 || c.queues.drops.len() > 0 || len(c.held) > 0 || c.heldBytes != 0 {
		s.fail("S9: %d turns, %d lanes with messages to be canceled and %d ends that wait for room (%d bytes) are left at the end",
			n, c.queues.drops.len(), len(c.held), c.heldBytes)
	}
	for _, i := range c.queues.byID {
		if q := &c.queues.list[i]; q.gone || q.open+q.pending+q.lanes+q.want.len()+len(q.parked) > 0 {
			s.fail("S9: of queue %x is left at the end: %+v", q.id, *q)
		}
	}
	for _, i := range c.flows.byID {
		f := &c.flows.list[i]
		if f.pending+f.entries+f.lanes+f.inflight+f.pardoned+len(f.waiting) > 0 || f.busy || f.flags == 0 && f.over() <= c.now {
			s.fail("S9: of key %s is left at the end: %+v", f.key, *f)
		}
	}
	if len(c.queues.byID)+len(c.queues.free) != len(c.queues.list) || len(c.flows.byID)+len(c.flows.free) != len(c.flows.list) {
		s.fail("S9: slots of queues or keys are lost")
	}
	s.checkLeftRows()
}

// checkLeftRows is checkLeft for the index.
func (s *sim) checkLeftRows() {
	err := s.e.idx.Queues(func(q *index.Queue) error {
		if q.Count > 0 || q.Flags&record.QueueGone != 0 {
			s.fail("S9: of queue %s is left in the index: %+v", q.Name, *q)
		}
		return nil
	})
	if err == nil {
		err = s.e.idx.Flows(func(f *index.Flow) error {
			if f.Count > 0 {
				s.fail("S9: of key %s is left in the index: %+v", f.Key, *f)
			}
			return nil
		})
	}
	if err != nil {
		s.fail("S9: queues and keys of the index: %v", err)
	}
}

func (t *simLineTotals) add(o *simLineTotals) {
	t.turns += o.turns
	t.crowded += o.crowded
	t.discarded += o.discarded
	for i := range t.limited {
		t.limited[i] += o.limited[i]
	}
	t.callbacks += o.callbacks
	t.failures += o.failures
	t.fans += o.fans
	t.members += o.members
}
