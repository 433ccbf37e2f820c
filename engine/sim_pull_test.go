package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Pull queues in the simulator:
//
//	S20 nobody gets a lease that is not durable, of a message that somebody else has, whose
//	    delay or release is not over, or that has ended, over power cuts; no more often
//	    than its queue allows, if there is where it goes then
//	S21 what was acknowledged has ended and stays so; nothing else ends but what was deleted,
//	    is old, or failed at a webhook too often
//	S22 of a group one message is out at a time, in the order of the log
//	S23 a queue counts what is in it, and what became of it
type simPulls struct {
	byID    map[string]*simPull
	order   []*simPull // in the order of their publish
	unacked []*simPull
	queues  map[uint64]*simPullQueue
	names   map[string]uint64 // the living ones
	waiting []*pullReceive
	dedup   map[string]*simPull

	simPullTotals
}

// simPullTotals say what was tried.
type simPullTotals struct {
	published, received, acked, extended, released, expired, buried, redriven, pushed, groups int
}

// simPullQueue is a queue as the log says.
type simPullQueue struct {
	record.PullQueue
	was    int64 // the shortest retention that it ever had: a change may come while an end is on its way
	counts record.PullCounters
}

// simPull is the model of one message.
type simPull struct {
	id, group string
	seq       uint64
	nonce     uint64
	sub       submission
	body      []byte
	dedupID   string
	stored    bool // its publish was answered
	created   int64
	maybe     bool // somebody asked for its end
	acks      bool // somebody acknowledges it
	done      bool // and was answered

	logged bool
	queue  uint64 // where it is, by the log
	joined uint64 // since this record
	due    int64
	since  int64
	tries  int
	lease  uint64
	over   bool
	kind   record.Kind
	op     record.PullOp
	held   []uint64 // leases that consumers were told of
}

func newSimPulls() simPulls {
	return simPulls{byID: map[string]*simPull{}, queues: map[uint64]*simPullQueue{}, names: map[string]uint64{}, dedup: map[string]*simPull{}}
}

var simPullNames = [...]string{"p0", "p1", "p2", "dead"}

// pullStep does one thing with pull queues.
func (s *sim) pullStep() {
	name := simPullNames[s.rng.IntN(len(simPullNames))]
	switch n := s.rng.IntN(24); {
	case n < 6:
		s.publishPull(name)
	case n < 12:
		s.receivePull(name, s.rng.IntN(3) == 0)
	case n < 18:
		s.usePull()
	case n < 19:
		s.leavePulls()
	case n < 21:
		s.definePull(name)
	case n < 22:
		s.redrivePull()
	case n < 23:
		if m := s.pickPull(); m != nil {
			s.cancelPull(m)
		}
	default:
		s.sweepPulls()
	}
}

func (s *sim) publishPull(name string) {
	for range 1 + s.rng.IntN(4) {
		m := &simPull{body: []byte(strconv.Quote(strconv.Itoa(int(s.rng.Uint32())))), created: s.now}
		p := &PullPublish{Queue: name, Body: m.body}
		switch s.rng.IntN(4) {
		case 0:
			p.Delay = new(time.Duration(s.rng.Int64N(30_000)) * time.Millisecond)
		case 1:
			p.Delay = new(time.Duration(s.rng.Int64N(3_600_000)) * time.Millisecond)
		}
		if s.rng.IntN(3) == 0 {
			p.Group = "g" + strconv.Itoa(s.rng.IntN(3))
		}
		if s.rng.IntN(8) == 0 {
			p.DedupID = "d" + strconv.Itoa(s.rng.IntN(10))
		}
		sub, err := s.e.submitPull(1, p)
		switch {
		case errors.Is(err, wal.ErrLagging):
			return
		case err != nil:
			s.refused("publish to "+name, err)
			return
		}
		m.dedupID = name + " " + p.DedupID
		if d := sub.duplicate; d != nil {
			if o := s.pulls.dedup[m.dedupID]; !s.forgot && (o == nil || o.seq != d.seq) {
				s.fail("S8: a duplicate under %q was answered with %d", m.dedupID, d.seq)
			}
			continue
		}
		m.sub, m.seq, m.nonce, m.group = sub, uint64(sub.ticket.LSN), sub.nonce, p.Group
		m.id = MessageID(m.seq, m.nonce)
		if p.DedupID != "" {
			s.pulls.dedup[m.dedupID] = m
		}
		s.pulls.byID[m.id] = m
		s.pulls.unacked = append(s.pulls.unacked, m)
		s.pulls.published++
		s.note("publish to a pull queue", m.seq)
	}
	if s.room.scarce() {
		s.commit()
	}
}

// settlePulls answers the publishes whose group is durable.
func (s *sim) settlePulls() {
	for _, m := range s.pulls.unacked {
		if _, err := s.e.settle(&m.sub); err != nil {
			s.fail("settle: %v", err)
			return
		}
		m.stored = true
		s.pulls.order = append(s.pulls.order, m)
	}
	s.pulls.unacked = s.pulls.unacked[:0]
}

// receivePull has a consumer come.
func (s *sim) receivePull(name string, stays bool) {
	d := s.e.pulls.get(1, name)
	if d == nil {
		return
	}
	req := &pullReceive{queue: d.ID, visibility: 1000 + s.rng.Int64N(120_000), stays: stays, leases: s.e.drawLeases(1 + s.rng.IntN(8))}
	req.done = func(got []record.Row, err error) {
		s.pulls.waiting = slices.DeleteFunc(s.pulls.waiting, func(r *pullReceive) bool { return r == req })
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrPushQueue) {
			s.refused("receive", err)
		}
		for i := range got {
			s.receivedPull(&got[i])
		}
	}
	s.pulls.waiting = append(s.pulls.waiting, req)
	s.e.inbox.push(event{kind: evReceive, receive: req})
}

// receivedPull takes a message that a consumer was told of.
func (s *sim) receivedPull(r *record.Row) {
	s.pulls.received++
	m := s.pulls.byID[MessageID(r.Seq, r.Nonce)]
	if m == nil {
		s.fail("S5: message %d is received, which nobody published", r.Seq)
		return
	}
	if m.lease != r.Pull.Lease || m.due != r.Due || m.over {
		s.fail("S20: the lease %x of %s until %d is not what the log says: %x, %d, over: %v", r.Pull.Lease, m.id, r.Due, m.lease, m.due, m.over)
	}
	if m.done {
		s.fail("S21: %s is received after it was acknowledged", m.id)
	}
	m.held = append(m.held, r.Pull.Lease)
	var v PullMessage
	if err := s.e.viewPull(r, &v); err != nil || !bytes.Equal(v.Body, m.body) || v.Group != m.group {
		s.fail("S3: %s is received as %q, published as %q (%v)", m.id, v.Body, m.body, err)
	}
}

// pickPull returns a random message whose publish was answered, nil if there is none.
func (s *sim) pickPull() *simPull {
	if len(s.pulls.order) == 0 {
		return nil
	}
	n := len(s.pulls.order)
	if s.rng.IntN(4) > 0 { // mostly one that may not have ended
		n = min(n, 30)
	}
	return s.pulls.order[len(s.pulls.order)-1-s.rng.IntN(n)]
}

// usePull does something with a lease, mostly with one that counts.
func (s *sim) usePull() {
	m := s.pickPull()
	for range 20 {
		if m == nil || m.lease != 0 && !m.over {
			break
		}
		m = s.pickPull()
	}
	if m == nil || len(m.held) == 0 {
		return
	}
	op := []record.PullOp{record.PullAck, record.PullAck, record.PullRelease, record.PullExtend, record.PullExtend, record.PullReturn}[s.rng.IntN(6)]
	s.askPull(m, op, m.held[len(m.held)-1-s.rng.IntN(min(2, len(m.held)))])
}

func (s *sim) askPull(m *simPull, op record.PullOp, lease uint64) {
	req := &pullRequest{user: 1, seq: m.seq, nonce: m.nonce, op: op, lease: lease, delay: s.rng.Int64N(100_000) + 1}
	m.acks = m.acks || op == record.PullAck
	req.done = func(err error) {
		switch {
		case errors.Is(err, ErrNotFound) || errors.Is(err, ErrLeaseLost):
		case err != nil:
			s.refused(op.String(), err)
		case op == record.PullAck:
			m.done = true
			s.pulls.acked++
			if !m.over || m.kind != record.Delivered {
				s.fail("S21: %s was acknowledged, and the log does not say so", m.id)
			}
		case op == record.PullExtend:
			s.pulls.extended++
			if m.due < req.visible && m.lease == lease {
				s.fail("S20: %s was extended to %d, the log says %d", m.id, req.visible, m.due)
			}
		case op == record.PullRelease:
			s.pulls.released++
		}
	}
	s.e.inbox.push(event{kind: evPull, pulls: []*pullRequest{req}})
}

// leavePulls has consumers that wait leave.
func (s *sim) leavePulls() {
	for _, req := range s.pulls.waiting {
		s.e.inbox.push(event{kind: evLeave, receive: req})
	}
}

// definePull changes a queue.
func (s *sim) definePull(name string) {
	if s.e.pulls.get(1, name) == nil && s.rng.IntN(2) == 0 {
		return
	}
	_, err := s.e.definePull(1, name, func(d *pullDef) (string, error) {
		switch n := s.rng.IntN(12); {
		case n == 0:
			d.Flags = record.PullGone
		case n < 4:
			d.Flags ^= record.PullPaused
		case n < 7 && name != "dead":
			d.DeadName = []string{"dead", ""}[s.rng.IntN(2)]
		case n < 9:
			d.Retries = uint16(s.rng.IntN(4))
		case n < 10 && name != "dead":
			d.URL, d.Secret = []string{"https://hook.example/" + name, ""}[s.rng.IntN(2)], "secret"
			d.Parallel = uint16(1 + s.rng.IntN(3))
		default:
			d.Retention = 60_000 + s.rng.Int64N(7_200_000)
		}
		return "", nil
	})
	if err != nil {
		s.refused("definition of "+name, err)
	}
}

// redrivePull moves a message of the dead letter queue.
func (s *sim) redrivePull() {
	m := s.pickPull()
	to := s.e.pulls.get(1, simPullNames[s.rng.IntN(3)])
	if m == nil || to == nil || m.over {
		return
	}
	s.e.inbox.push(event{kind: evPull, pulls: []*pullRequest{{
		user: 1, seq: m.seq, nonce: m.nonce, op: record.PullRedrive, to: to.ID, done: func(error) {},
	}}})
}

// redriveDeadPull retries or deletes a dead letter of a queue with a webhook, and reports
// whether it is one.
func (s *sim) redriveDeadPull(d *DeadLetter) bool {
	m := s.pulls.byID[d.Message.ID]
	if m == nil {
		return false
	}
	if !bytes.Equal(d.Body, m.body) {
		s.fail("S3: dead letter %s shows another body", d.ID)
	}
	var err error
	if s.rng.IntN(2) == 0 {
		err = s.e.DeleteDeadLetter(1, d.ID)
	} else {
		_, err = s.e.RetryDeadLetter(1, d.ID, nil)
	}
	if err != nil {
		s.refused("redrive or delete of "+d.ID, err)
	}
	return true
}

func (s *sim) cancelPull(m *simPull) {
	m.maybe = true
	s.e.inbox.push(event{kind: evCancel, req: &cancelRequest{user: 1, seq: m.seq, nonce: m.nonce, done: func(err error) {
		if err != nil && !errors.Is(err, ErrNotFound) {
			s.refused("delete", err)
		}
	}}})
}

// sweepPulls is what the sweeper does, as far as the index has come.
func (s *sim) sweepPulls() {
	for _, d := range s.e.pulls.list(func(*pullDef) bool { return true }) {
		until := s.now - d.Retention - 1
		if d.gone() {
			until = math.MaxInt64
		}
		rows, _, _, err := s.e.idx.PullPage(d.ID, index.PullCursor{}, until, 10)
		if err != nil {
			s.fail("page of a pull queue: %v", err)
			return
		}
		for i := range rows {
			m := s.pulls.byID[MessageID(rows[i].Seq, rows[i].Nonce)]
			if d.gone() {
				s.cancelPull(m)
				continue
			}
			s.e.inbox.push(event{kind: evPull, pulls: []*pullRequest{{
				user: 1, seq: m.seq, nonce: m.nonce, queue: d.ID, op: record.PullExpire, done: func(error) {},
			}}})
		}
	}
}

// observePullQueue takes a definition that is in the log.
func (s *sim) observePullQueue(p []byte) error {
	var d record.PullQueue
	if err := record.DecodePullQueue(p, &d); err != nil {
		return err
	}
	q := s.pulls.queues[d.ID]
	if q == nil {
		q = &simPullQueue{}
		s.pulls.queues[d.ID] = q
	}
	if q.PullQueue = d; q.was == 0 || d.Retention < q.was {
		q.was = d.Retention
	}
	if d.Flags&record.PullGone == 0 {
		s.pulls.names[d.Name] = d.ID
	} else if s.pulls.names[d.Name] == d.ID {
		delete(s.pulls.names, d.Name)
	}
	return nil
}

// observePull takes a message of a pull queue that is in the log.
func (s *sim) observePull(seq uint64, m *record.Message) {
	x := s.pulls.byID[MessageID(seq, m.Nonce)]
	if x == nil { // a dead letter that was retried
		x = &simPull{id: MessageID(seq, m.Nonce), seq: seq, nonce: m.Nonce, group: m.PullGroup, body: bytes.Clone(m.Body), stored: true}
		s.pulls.byID[x.id] = x
		s.pulls.order = append(s.pulls.order, x)
	}
	x.logged, x.queue, x.joined, x.due, x.since = true, m.Host, seq, m.Due, max(m.Due, m.Created)
	s.pulls.queues[m.Host].counts.Published++
}

// observeStep takes an outcome of such a message.
func (s *sim) observeStep(lsn uint64, p []byte) error {
	var o record.Outcome
	if err := record.DecodeOutcomeHead(p, &o); err != nil {
		return err
	}
	m := s.pulls.byID[MessageID(o.Seq, o.Nonce)]
	if m == nil || !m.logged || m.over {
		s.fail("S20: %v of message %d, which is not there (any more)", o.Step.Op, o.Seq)
		return nil
	}
	q := s.pulls.queues[m.queue]
	if o.Host != m.queue || o.Due != m.due {
		s.fail("S20: %v of %s in queue %x, due %d; by the log it is in %x, due %d", o.Step.Op, m.id, o.Host, o.Due, m.queue, m.due)
	}
	s.countPull(q, m, &o)
	switch o.Step.Op {
	case record.PullReceive:
		s.observeLease(m, q, &o)
	case record.PullExpire:
		if s.pulls.expired++; o.At-m.since <= q.was {
			s.fail("S21: %s ends after %d ms, its queue keeps messages for %d", m.id, o.At-m.since, q.Retention)
		}
	}
	if o.Kind.Final() {
		m.over, m.kind, m.op = true, o.Kind, o.Step.Op
		return nil
	}
	m.due, m.tries, m.lease = o.Next, int(o.Attempt), o.Step.Next.Lease
	if o.Step.Op.Moves() {
		m.queue, m.joined, m.since = o.Step.Host, lsn, o.Step.Next.Since
	}
	return nil
}

// isStep says whether an outcome is of a message of a pull queue.
func isStep(p []byte) bool {
	var o record.Outcome
	return record.DecodeOutcomeHead(p, &o) == nil && o.Step.Op != 0
}

// observeLease is S20 and S22.
func (s *sim) observeLease(m *simPull, q *simPullQueue, o *record.Outcome) {
	if o.At < m.due {
		s.fail("S20: %s is leased at %d, it is not due before %d (lease %x)", m.id, o.At, m.due, m.lease)
	}
	if m.group == "" {
		return
	}
	s.pulls.groups++
	for _, x := range s.pulls.byID {
		if x == m || !x.logged || x.over || x.queue != m.queue || x.group != m.group {
			continue
		}
		if x.lease != 0 && o.At < x.due {
			s.fail("S22: %s of group %s is leased while %s is until %d", m.id, m.group, x.id, x.due)
		}
		if x.seq < m.seq && x.joined < m.joined {
			s.fail("S22: %s of group %s is leased before %s", m.id, m.group, x.id)
		}
	}
}

// countPull counts an outcome as the contract says (QUEUES.md B.7).
func (s *sim) countPull(q *simPullQueue, m *simPull, o *record.Outcome) {
	switch {
	case o.Kind == record.Delivered:
		q.counts.Delivered++
		if o.Status == 202 {
			q.counts.Deferred++
		}
	case o.Kind == record.Dead, o.Step.Op == record.PullBury:
		q.counts.Dead++
		s.pulls.buried++
	case o.Step.Op == record.PullExpire:
		q.counts.Expired++
	case o.Step.Op == record.PullPush, o.Step.Op == record.PullReceive && m.tries > 0:
		q.counts.Retried++
	}
	if o.Step.Op == record.PullRedrive {
		s.pulls.redriven++
	}
}

// startedPull checks the call of a webhook, and reports whether it is one.
func (s *sim) startedPull(cmd *startCommand) bool {
	m := s.pulls.byID[MessageID(cmd.row.Seq, cmd.row.Nonce)]
	if m == nil {
		return false
	}
	s.pulls.pushed++
	switch {
	case m.over:
		s.fail("S20: %s is pushed after its end is durable", m.id)
	case s.now < m.due:
		s.fail("S20: %s is pushed at %d, due at %d", m.id, s.now, m.due)
	}
	return true
}

// pushed answers the call of a webhook, and reports whether it is one.
func (s *sim) pushed(a *dispatch.Attempt, r *dispatch.Result) bool {
	m := s.pulls.byID[simHeader(a, "Qstash-Message-Id")]
	if m == nil {
		return false
	}
	if !bytes.Equal(a.Body, m.body) {
		s.fail("S3: %s is pushed with %q, published with %q", m.id, a.Body, m.body)
	}
	switch s.rng.IntN(6) {
	case 0:
		r.Status = 202
	case 1:
		r.Status = 500
	case 2:
		r.Status = 489
		r.Header = []dispatch.Header{{Name: "Upstash-Nonretryable-Error", Value: "true"}}
	default:
		r.Status = 200
	}
	m.acks = m.acks || r.Status < 300
	return true
}

// calmPulls lets all go on, and gives every queue a consumer that takes all.
func (s *sim) calmPulls() {
	s.leavePulls()
	for _, name := range simPullNames {
		if s.e.pulls.get(1, name) == nil {
			continue
		}
		_, err := s.e.definePull(1, name, func(d *pullDef) (string, error) {
			d.Flags &^= record.PullPaused
			return "", nil
		})
		if err != nil {
			s.refused("resume of "+name, err)
		}
	}
}

// drainPulls receives and acknowledges what there is.
func (s *sim) drainPulls() {
	s.sweepPulls()
	for _, d := range s.e.pulls.list(func(d *pullDef) bool { return !d.gone() && d.URL == "" }) {
		s.e.inbox.push(event{kind: evReceive, receive: &pullReceive{
			queue: d.ID, visibility: 60_000, leases: s.e.drawLeases(20), gone: true, done: func(got []record.Row, err error) {
				if err != nil {
					s.refused("receive at the end", err)
				}
				for i := range got {
					s.receivedPull(&got[i])
					s.askPull(s.pulls.byID[MessageID(got[i].Seq, got[i].Nonce)], record.PullAck, got[i].Pull.Lease)
				}
			},
		}})
	}
}

// checkPullCounts is S23 as far as the index has come: what it says at once is what a walk
// over all rows finds.
func (s *sim) checkPullCounts() {
	for _, d := range s.e.pulls.list(func(*pullDef) bool { return true }) {
		state, ok, err := s.e.idx.PullState(d.ID, s.now)
		if err != nil {
			s.fail("state of a pull queue: %v", err)
			return
		}
		if !ok {
			continue
		}
		now := max(s.now, state.Bound)
		rows, _, more, err := s.e.idx.PullPage(d.ID, index.PullCursor{}, math.MaxInt64, 1<<20)
		if err != nil || more {
			s.fail("page of a pull queue: %v, %v", more, err)
			return
		}
		var want, have [3]uint64
		for i := range rows {
			switch r := &rows[i]; {
			case r.Due <= now:
				want[0]++
			case r.Pull.Lease != 0:
				want[1]++
			default:
				want[2]++
			}
		}
		if have = [...]uint64{state.Pending, state.InFlight, state.Delayed}; have != want || state.Count != uint64(len(rows)) {
			s.fail("S23: queue %s says %v of %d, there are %v (bound %d, now %d)", d.Name, have, state.Count, want, state.Bound, s.now)
		}
	}
}

// checkPullEnds is S21 and S23 when all is over.
func (s *sim) checkPullEnds() {
	for _, m := range s.pulls.order {
		switch {
		case !m.over:
			s.fail("S21: %s was stored in %s, and the log does not say how it ended: %+v", m.id, s.pulls.queues[m.queue].Name, *m)
		case m.done && m.kind != record.Delivered:
			s.fail("S21: %s was acknowledged and counts as %v", m.id, m.kind)
		case m.kind == record.Delivered && !m.acks:
			s.fail("S21: %s counts as delivered, and nobody acknowledged it", m.id)
		case m.op == record.PullDrop && !m.maybe && s.pulls.queues[m.queue].Flags&record.PullGone == 0:
			s.fail("S21: %s was deleted, and nobody asked for that", m.id)
		}
	}
	for _, d := range s.e.pulls.list(func(d *pullDef) bool { return !d.gone() }) {
		state, _, err := s.e.idx.PullState(d.ID, s.now)
		if err != nil {
			s.fail("state of a pull queue: %v", err)
		}
		want := s.pulls.queues[d.ID].counts
		atMost := want
		atMost.Max(&state.Counters)
		if state.Count != 0 || state.Counters != want && !s.forgot || atMost != want {
			s.fail("S23: queue %s has %d messages and counts %+v, it should %+v", d.Name, state.Count, state.Counters, want)
		}
	}
	c := &s.e.core.pulls
	if len(c.parts)+len(c.handing)+len(c.doing)+len(c.line)+c.serve.len() > 0 {
		s.fail("S9: of pull queues is left at the end: %d parts, %d leases, %d and %d requests", len(c.parts), len(c.handing), len(c.doing), len(c.line))
	}
	for i := range c.list {
		if q := &c.list[i]; q.used && (q.lanes+q.reading+q.turn.len()+len(q.waiting) > 0 || q.gone) {
			s.fail("S9: of pull queue %s is left at the end: %+v", q.name, *q)
		}
	}
}

func (t *simPullTotals) add(o *simPullTotals) {
	t.published += o.published
	t.received += o.received
	t.acked += o.acked
	t.extended += o.extended
	t.released += o.released
	t.expired += o.expired
	t.buried += o.buried
	t.redriven += o.redriven
	t.pushed += o.pushed
	t.groups += o.groups
}

func (t *simPullTotals) String() string {
	return fmt.Sprintf("%d published, %d leases, %d of groups; %d acknowledged, %d extended, %d released, %d expired, %d buried, %d redriven, %d pushed",
		t.published, t.received, t.groups, t.acked, t.extended, t.released, t.expired, t.buried, t.redriven, t.pushed)
}
