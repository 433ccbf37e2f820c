package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// The simulator runs the engine's own code (Publish's build and submit, the
// core's step, the attempter, the applier, the log, the index) on one goroutine:
// it decides from one seed when a group is committed, a batch applied, a page
// read, an attempt ended, the clock moved and the power cut. The wire is a
// function of the seed, the disk is powerfs. One seed, one history.
//
// What it checks:
//
//	S1 no message that was acked is lost: the log says how it ended, and that is so
//	   (sim_ends_test.go)
//	S2 no attempt starts before the message is due, nor before its retry is
//	S3 every body arrives as and where it was published, and no record is found damaged
//	S4 no attempt starts after a cancel was answered
//	S5 nothing is attempted that was not published
//	S6 without a crash no attempt is made twice; none is after an end that is durable,
//	   crash or not, and no message has two ends
//	S7 no message has more attempts that count than it may, and one whose outcome is
//	   durable counts for good
//	S8 within the window a duplicate gets the original's id, and nothing is stored for it
//	S9 what is in memory stays within its bound
//	S10 the core's books balance, and no lane or message is forgotten (sim_books_test.go)
//	S11 what the index names stands in the log, whatever was reclaimed (sim_reclaim_test.go)
//	S12 history tells of every message, once (sim_history_test.go)
//	S13 to S15 schedules (sim_schedule_test.go)
//	S16 to S19 queues, flow-control keys, callbacks, fan-outs (sim_line_test.go)
//	S20 to S23 pull queues (sim_pull_test.go)
//	S24 limits that change (sim_limits_test.go)
//
// All of it holds through full disks too (sim_room_test.go).
type sim struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	now  int64
	disk *powerfs.FS
	e    *Engine
	att  *attempter

	events    []event
	groups    []*wal.Group
	pages     []pageCommand
	rows      []*cancelRequest
	moveRows  []*moveRequest
	lateRows  []event // read, and not told yet
	latePages []event // so, too, and in order
	reclaim   simReclaim
	schedules simSchedules
	lines     simLines
	pulls     simPulls
	pullRows  []*pullRequest
	flights   []startCommand
	limits    Limits // that the core was told last
	unacked   []*simMessage
	messages  map[string]*simMessage // by id, acked or not
	dedup     map[string]*simMessage
	room      simRoom
	crashes   int

	late       int64 // by how much the start of an attempt was late at most, ms
	booksEvery int   // how many steps of the core it takes until its books are checked, on average

	published,
	attempts, duplicates int
	copied, reclaimed, rebuilt int
	forgot                     bool // the index was lost: dedup ids may be, too
	history                    uint64
	failed                     error
}

// simMessage is the model of one message.
type simMessage struct {
	id       string
	url      string // where it goes; "": not checked
	sub      submission
	fan      *simFan // what it is a member of
	dedupID  string
	body     []byte
	due      int64 // of the next attempt, as far as the model knows
	created  int64
	retries  int
	behave   int         // how many attempts fail before one succeeds
	refused  bool        // its destination is one that may not be called
	answers  map[int]int // attempts' statuses, 0 for those that were not answered
	acked    bool        // its publish was answered
	canceled bool        // its cancel was answered
	maybe    bool        // a cancel was asked for: it may end either way
	ended    bool        // a 2xx was given
	starts   map[int]int
	life     int // the crash count when starts was last reset
	dead     bool
	retryAt  int64 // when the next attempt may start, as far as this life of the server knows
	startDue int64 // of the attempt that was started last
	log      simEnd
}

// simRand is the engine's source of chance in a simulation.
type simRand struct{ rng *rand.Rand }

func (c simRand) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.rng.Uint32())
	}
	return len(p), nil
}

// simConfig varies what a run is like.
type simConfig struct {
	steps    int
	resident int
	noSync   bool
}

// simEpoch is where the clock begins, unix ms.
const simEpoch = 1_800_000_000_000

func newSim(t *testing.T, seed uint64, cfg simConfig) *sim {
	s := &sim{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), now: simEpoch,
		disk: powerfs.New(), messages: map[string]*simMessage{}, dedup: map[string]*simMessage{}, booksEvery: 8,
		schedules: simSchedules{byID: map[string]*simSchedule{}}, lines: newSimLines(), pulls: newSimPulls(),
	}
	s.disk.NoSync = cfg.noSync
	s.setFree(simPlenty)
	s.disk.Keep = func(name string) bool { return strings.Contains(name, "/index/") }
	s.open(cfg)
	return s
}

func (s *sim) open(cfg simConfig) {
	o := Options{
		Dir: "data", Wire: simWire{s}, FS: s.disk, Rand: simRand{s.rng}, SegmentSize: 640 << 10, MessageMax: 64 << 10, ResponseMax: 64 << 10,
		MemtableSize: 4 << 20, CacheSize: 1 << 20, Parallelism: 20, HostParallelism: 6, Resident: cfg.resident,
		Wall: func() time.Time { return time.UnixMilli(s.now) }, OnFatal: func(err error) { s.fail("fatal: %v", err) },
		manual: true, raiseEvery: 5,
	}
	o.withDefaults()
	if err := o.validate(); err != nil {
		s.t.Fatal(err)
	}
	e, err := recoverEngine(o)
	if err != nil {
		s.fail("S1: open after crash %d: %v", s.crashes, err)
		return
	}
	s.e, s.att, s.limits = e, newAttempter(e), o.Limits()
	s.schedules.ticker = newTicker(e)
	if err := e.log.Replay(0, s.observe); err != nil {
		s.fail("S1: read the log after crash %d: %v", s.crashes, err)
	}
	if s.crashes == 0 {
		if err := e.Bootstrap([]Account{testAccount}); err != nil {
			s.t.Fatal(err)
		}
	}
	s.opened()
	s.lines.opened()
	s.checkGroups()
	s.checkFans()
	s.note("open", uint64(e.log.Durable().LSN))
}

func (s *sim) fail(format string, args ...any) {
	if s.failed == nil {
		s.failed = fmt.Errorf("seed %d, after %d crashes: %s", s.seed, s.crashes, fmt.Sprintf(format, args...))
	}
}

// note adds to the history's hash.
func (s *sim) note(what string, n uint64) {
	h := fnv.New64a()
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], s.history)
	binary.LittleEndian.PutUint64(b[8:], n)
	binary.LittleEndian.PutUint64(b[16:], uint64(s.now))
	h.Write(b[:])
	h.Write([]byte(what))
	s.history = h.Sum64()
}

// simWire answers attempts by the model's plan for the message.
type simWire struct{ s *sim }

func (w simWire) Do(a *dispatch.Attempt, r *dispatch.Result) {
	s := w.s
	*r = dispatch.Result{}
	if s.pushed(a, r) {
		return
	}
	m := s.messages[simHeader(a, "Upstash-Message-Id")]
	if m == nil {
		s.fail("S5: attempt of an unknown message to %s", a.URL)
		return
	}
	if !bytes.Equal(a.Body, m.body) {
		s.fail("S3: %s arrived with %d bytes, published with %d", m.id, len(a.Body), len(m.body))
	}
	if s.now < m.startDue {
		s.fail("S2: %s is on the wire at %d, due at %d", m.id, s.now, m.startDue)
	}
	if m.url != "" && a.URL != m.url {
		s.fail("S3: %s goes to %s, published to %s", m.id, a.URL, m.url)
	}
	switch {
	case m.refused:
		r.Class, r.Err = dispatch.Refused, errors.New("a loopback address")
	case m.behave > 0 && s.rng.IntN(3) == 0:
		r.Class, r.Err = dispatch.Connect, errors.New("connection refused")
	case m.behave > 0:
		r.Status = 500
		if s.rng.IntN(2) == 0 {
			r.Header = []dispatch.Header{{Name: "Retry-After", Value: strconv.Itoa(s.rng.IntN(100))}}
		}
	default:
		r.Status = 204
		m.ended = true
	}
	m.behave--
	m.answered(simHeader(a, "Upstash-Retried"), r.Status)
}

// answered notes what an attempt was answered with.
func (m *simMessage) answered(retried string, status int) {
	if n, err := strconv.Atoi(retried); err == nil {
		if m.answers == nil {
			m.answers = map[int]int{}
		}
		m.answers[n+1] = status
	}
}

func simHeader(a *dispatch.Attempt, name string) string {
	return find(a.Header, name)
}

// step does one random thing.
func (s *sim) step(cfg simConfig) {
	switch n := s.rng.IntN(131); {
	case n == 130:
		s.changeLimits()
	case n > 113:
		s.pullStep()
	case n > 110:
		s.lineStep()
	case n > 102:
		s.scheduleStep()
	case n == 100:
		s.changeRoom()
	case n > 100:
		s.look()
	case n < 22:
		s.publish()
	case n < 34:
		s.commit()
	case n < 46:
		s.apply()
	case n < 66:
		s.advance(s.rng.Int64N(2000))
	case n < 69:
		s.advance(s.rng.Int64N(10 * 60_000))
	case n < 70:
		back := s.rng.Int64N(5000)
		for _, m := range s.messages {
			m.retryAt -= back // an attempt may have landed and not be decided
		}
		s.lines.clockSetBack(s.now, back)
		s.advance(-back)
	case n < 84:
		s.land()
	case n < 89:
		s.read()
	case n < 93:
		s.reclaimSteps()
	case n < 96:
		s.cancel()
	case n < 97:
		if s.room.scarce() {
			return // a flush waits for room, and nobody would make it
		}
		if err := s.e.idx.Flush(); err != nil {
			s.fail("flush: %v", err)
		}
	case n < 98:
		if err := s.e.log.WriteMark(); err != nil {
			s.noRoom("mark", err)
		}
	case n < 99:
		s.redrive()
	default:
		if s.rng.IntN(4) == 0 {
			s.crash(cfg)
		}
	}
}

func (s *sim) publish() {
	for range 1 + s.rng.IntN(4) {
		m := &simMessage{created: s.now, starts: map[int]int{}, life: s.crashes}
		p := &Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/%d", s.rng.IntN(5), s.published), Retries: s.rng.IntN(4)}
		switch s.rng.IntN(4) {
		case 0:
			p.Delay = time.Duration(s.rng.Int64N(30_000)) * time.Millisecond
		case 1:
			p.Delay = time.Duration(s.rng.Int64N(3_600_000)) * time.Millisecond
		}
		m.body = s.randomBody()
		if s.rng.IntN(8) == 0 {
			p.DedupID = "d" + strconv.Itoa(s.rng.IntN(20))
			m.dedupID = p.DedupID
		}
		s.chooseLine(p)
		s.chooseGroup(p)
		p.Body, m.retries, m.behave = m.body, p.Retries, max(0, s.rng.IntN(8)-3)
		m.due, m.url, m.refused = s.now+p.Delay.Milliseconds(), p.URL, s.rng.IntN(30) == 0
		s.submit(p, m)
	}
	if s.room.scarce() {
		s.commit() // in Manual mode the log knows of one spare ahead, not of two
	}
}

func (s *sim) submit(p *Publish, m *simMessage) {
	sub, err := s.e.submit(p)
	if errors.Is(err, wal.ErrLagging) || errors.Is(err, ErrLogFailed) && errors.Is(err, wal.ErrLagging) {
		return
	}
	if p.Group != "" && len(s.lines.groups.acked[p.Group]) == 0 && errors.Is(err, ErrNotFound) {
		return
	}
	if err != nil {
		s.refused("publish", err)
		return
	}
	if d := sub.duplicate; d != nil {
		s.duplicate(m, idsOf(d))
		return
	}
	s.published++
	m.sub, m.id = sub, MessageID(uint64(sub.ticket.LSN), sub.nonce)
	if p.Group != "" {
		s.addFan(p, m, &sub)
	}
	if m.dedupID != "" && !s.forgot {
		if o := s.dedup[m.dedupID]; o != nil && o.acked && s.now-o.created < s.e.opts.DedupWindow.Milliseconds() {
			s.fail("S8: %s stored again as %s", o.id, m.id)
		}
		s.dedup[m.dedupID] = m
	}
	s.messages[m.id] = m
	s.unacked = append(s.unacked, m)
	s.note("publish", uint64(sub.ticket.LSN))
}

func (s *sim) duplicate(m *simMessage, ids []string) {
	s.duplicates++
	if s.forgot {
		return
	}
	if o := s.dedup[m.dedupID]; o == nil || !slices.Equal(o.ids(), ids) {
		s.fail("S8: a duplicate under %q was answered with %v", m.dedupID, ids)
	}
}

// commit makes the open group durable and answers its publishes.
func (s *sim) commit() {
	if err := s.e.log.Commit(); err != nil {
		s.fail("commit: %v", err)
		return
	}
	for _, m := range s.unacked {
		if err := s.settle(m); err != nil {
			s.fail("settle: %v", err)
			return
		}
	}
	s.unacked = s.unacked[:0]
	s.settlePulls()
	s.note("commit", uint64(s.e.log.Durable().LSN))
}

// settle answers a publish whose group is durable.
func (s *sim) settle(m *simMessage) error {
	if m.fan != nil {
		return s.settleFan(m.fan, &m.sub)
	}
	_, err := s.e.settle(&m.sub)
	m.acked = err == nil
	return err
}

// apply hands some of the queued groups to the applier. Its batch ends now and then.
func (s *sim) apply() {
	s.groups = append(s.groups, s.take()...)
	n := len(s.groups)
	if n > 1 {
		n = 1 + s.rng.IntN(n)
	}
	s.applyN(n, s.rng.IntN(3) > 0)
}

func (s *sim) take() []*wal.Group {
	groups, _ := s.e.applier.take(nil)
	return groups
}

// applyN applies the first n groups and, if end says so, ends the batch.
func (s *sim) applyN(n int, end bool) {
	if err := s.e.applier.obey(); err != nil {
		s.fail("apply: %v", err)
	}
	open, err := s.e.applyGroups(s.groups[:n])
	s.groups = slices.Delete(s.groups, 0, n)
	if err == nil && open && end {
		err = s.e.flushBatch()
	}
	if err != nil {
		s.fail("apply: %v", err)
	}
}

func (s *sim) applyAll() {
	s.groups = append(s.groups, s.take()...)
	s.applyN(len(s.groups), true)
}

// advance moves the clock and steps the core.
func (s *sim) advance(ms int64) {
	s.now += ms
	s.schedules.clockMoved(ms)
	for s.failed == nil {
		events := s.e.inbox.swap(nil)
		for i := range events {
			if g := events[i].group; g != nil {
				if err := s.observe(g); err != nil {
					s.fail("observe: %v", err)
				}
			}
		}
		s.seeLimits(events)
		s.events = append(s.events, events...)
		more, err := s.e.core.step(s.now, s.events)
		if err != nil {
			s.fail("step: %v", err)
			return
		}
		for i := range s.events {
			if g := s.events[i].group; g != nil {
				s.e.coreLag.Add(-int64(g.Buffer()))
				g.Release()
			}
		}
		s.events = s.events[:0]
		s.carryOut(&s.e.core.out)
		if !more {
			break
		}
	}
	if s.failed == nil && s.rng.IntN(s.booksEvery) == 0 {
		s.checkBooks()
	}
}

func (s *sim) carryOut(out *commands) {
	if err := s.e.logOutcomes(out.appends); err != nil {
		s.fail("log an outcome: %v", err)
	}
	for i := range out.moves {
		if err := s.e.logOrRefuse(&out.moves[i]); err != nil {
			s.fail("log a move: %v", err)
		}
	}
	for _, cmd := range out.starts {
		s.started(&cmd)
		s.flights = append(s.flights, cmd)
	}
	s.checkStarts(out.starts)
	s.schedules.cmds = append(s.schedules.cmds, out.schedules...)
	for _, d := range out.scheduled {
		d.req.done(d.err)
	}
	for _, r := range out.flows {
		if err := s.e.logFlow(r); err != nil {
			s.fail("log a flow-control key: %v", err)
		}
	}
	for _, d := range out.flowed {
		d.req.done(d.err)
	}
	for _, fn := range out.queries {
		fn(s.e.core)
	}
	s.e.carryBounds(out)
	s.pages = append(s.pages, out.pages...)
	s.rows = append(s.rows, out.rows...)
	s.moveRows = append(s.moveRows, out.moveRows...)
	for _, a := range out.answers {
		a.req.done(a.err)
	}
	for _, d := range out.received {
		d.req.done(d.req.got, d.err)
	}
	for _, a := range out.pulled {
		a.req.done(a.err)
	}
	s.pullRows = append(s.pullRows, out.pullRows...)
	for _, req := range out.moved {
		req.done(req.err)
	}
	c := s.e.core
	if limit := c.opts.Resident + len(c.lanes) + len(c.cancels) + len(c.pulls.doing); c.resident > limit {
		s.fail("S9: %d messages resident, the bound is %d", c.resident, limit)
	}
	if n := c.wheel.Len(); n > c.resident+len(c.byLane)+len(c.schedules.byKey)+len(c.flows.byID)+len(c.byHost) {
		s.fail("S9: %d timers for %d resident messages, %d lanes and %d schedules", n, c.resident, len(c.byLane), len(c.schedules.byKey))
	}
}

// firstDue is when the message was due at first. A retry may come before, by a clock
// that was set back after the attempt before it.
func (m *simMessage) firstDue(cmd *startCommand) int64 {
	if cmd.attempt > 1 {
		return 0
	}
	return m.due
}

// started checks the start of an attempt.
func (s *sim) started(cmd *startCommand) {
	s.attempts++
	s.note("start", cmd.row.Seq)
	if s.startedPull(cmd) {
		return
	}
	m := s.messages[MessageID(cmd.row.Seq, cmd.row.Nonce)]
	switch {
	case m == nil:
		s.fail("S5: attempt of an unknown message at %d", cmd.row.Seq)
		return
	case s.now < max(m.firstDue(cmd), m.retryAt, cmd.row.Due):
		s.fail("S2: %s starts at %d, due at %d", m.id, s.now, max(m.firstDue(cmd), m.retryAt, cmd.row.Due))
	case m.canceled:
		s.fail("S4: %s starts after its cancel was answered", m.id)
	case cmd.attempt > m.retries+1:
		s.fail("S7: %s starts attempt %d of %d", m.id, cmd.attempt, m.retries+1)
	}
	if m.life != s.crashes {
		m.life, m.starts = s.crashes, map[int]int{}
	}
	s.checkStart(m, cmd)
	s.room.started(m, cmd)
	s.startedLine(m)
	m.startDue, s.late = cmd.due, max(s.late, s.now-cmd.due)
	m.starts[cmd.attempt]++
	if m.starts[cmd.attempt] > 1 {
		s.fail("S6: %s starts attempt %d twice", m.id, cmd.attempt)
	}
}

// land ends one attempt in flight.
func (s *sim) land() {
	if len(s.flights) == 0 {
		return
	}
	i := s.rng.IntN(len(s.flights))
	cmd := s.flights[i]
	s.flights = slices.Delete(s.flights, i, i+1)
	r := s.att.run(&cmd)
	s.landedLine(MessageID(cmd.row.Seq, cmd.row.Nonce))
	s.checkUndamaged(&cmd)
	r.outcome.Took, r.outcome.Timing = uint32(s.rng.IntN(2)*s.rng.IntN(600)), record.Timing{} // the only things in a result that real time shows in
	switch m := s.messages[MessageID(cmd.row.Seq, cmd.row.Nonce)]; {
	case m == nil || r.success || r.final:
	case r.interrupt: // the clock was set back since: no attempt was made
		m.starts[cmd.attempt]--
	default:
		m.retryAt = s.now + r.delay.Milliseconds()
	}
	s.e.inbox.push(event{kind: evFinished, slot: cmd.slot, result: r})
}

// read answers the pages and rows whose index is far enough, pages in order.
func (s *sim) read() {
	for len(s.pages) > 0 && s.e.idx.Applied() >= s.pages[0].after {
		p, err := s.e.readPage(&s.pages[0])
		if err != nil {
			s.fail("page: %v", err)
			return
		}
		s.latePages = append(s.latePages, event{kind: evPaged, slot: s.pages[0].slot, page: p})
		s.pages = s.pages[1:]
		if s.rng.IntN(2) == 0 {
			break
		}
	}
	for len(s.latePages) > 0 && s.rng.IntN(3) > 0 {
		s.e.inbox.push(s.latePages[0])
		s.latePages = s.latePages[1:]
	}
	s.moveRows = slices.DeleteFunc(s.moveRows, func(req *moveRequest) bool {
		if s.e.idx.Applied() < req.after {
			return false
		}
		s.lateRows = append(s.lateRows, s.e.lookUpMove(req))
		return true
	})
	s.rows = slices.DeleteFunc(s.rows, func(req *cancelRequest) bool {
		if s.e.idx.Applied() < req.after {
			return false
		}
		s.lateRows = append(s.lateRows, s.e.lookUp(req))
		return true
	})
	s.pullRows = slices.DeleteFunc(s.pullRows, func(req *pullRequest) bool {
		if s.e.idx.Applied() < req.after {
			return false
		}
		s.lateRows = append(s.lateRows, s.e.lookUpPull(req))
		return true
	})
	s.lateRows = slices.DeleteFunc(s.lateRows, func(ev event) bool {
		if s.rng.IntN(6) != 0 {
			return false
		}
		s.e.inbox.push(ev)
		return true
	})
}

// pick returns a random acked message, nil if there is none.
func (s *sim) pick() *simMessage {
	ids := make([]string, 0, len(s.messages))
	for id := range s.messages {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	m := s.messages[ids[s.rng.IntN(len(ids))]]
	if !m.acked {
		return nil
	}
	return m
}

func (s *sim) cancel() {
	if m := s.pick(); m != nil {
		s.cancelOne(m)
	}
}

// cancelOne asks for the cancel of a message.
func (s *sim) cancelOne(m *simMessage) {
	seq, nonce, err := parseMessageID(m.id)
	if err != nil {
		s.fail("id %s: %v", m.id, err)
		return
	}
	m.maybe = true
	s.e.inbox.push(event{kind: evCancel, req: &cancelRequest{user: 1, seq: seq, nonce: nonce, done: func(err error) {
		s.note("canceled", seq)
		if err == nil {
			m.canceled = true
		} else if !errors.Is(err, ErrNotFound) {
			s.refused("cancel", err)
		}
	}}})
}

// redrive retries or deletes one dead letter, if there is one.
func (s *sim) redrive() {
	s.commit()
	s.applyAll()
	dead, _, err := s.e.DeadLetters(DeadLetterQuery{User: 1, Count: 3, Descending: s.rng.IntN(2) == 0})
	if err != nil {
		s.fail("dead letters: %v", err)
		return
	}
	if len(dead) == 0 {
		return
	}
	d := dead[s.rng.IntN(len(dead))]
	if s.redriveDeadPull(&d) {
		return
	}
	old := s.messages[d.Message.ID]
	if old == nil || !bytes.Equal(d.Body, old.body) {
		s.fail("S3: dead letter %s shows another body", d.ID)
		return
	}
	old.dead = true
	if s.rng.IntN(2) == 0 {
		err = s.e.DeleteDeadLetter(1, d.ID)
	} else {
		m := &simMessage{
			url: old.url, created: s.now, due: s.now, body: old.body, retries: old.retries, starts: map[int]int{}, life: s.crashes, acked: true,
		}
		if m.id, err = s.e.RetryDeadLetter(1, d.ID, nil); err == nil {
			s.messages[m.id] = m
		}
	}
	if err != nil {
		s.refused("redrive or delete of "+d.ID, err)
	}
}

// crash cuts the power and opens what is left.
func (s *sim) crash(cfg simConfig) {
	s.note("crash", uint64(s.e.log.Durable().LSN))
	for _, m := range s.messages {
		m.retryAt = 0 // it may not have been logged
	}
	percent := []int{0, 10, 50, 90, 100}[s.rng.IntN(5)]
	grain := []int{512, 4096}[s.rng.IntN(2)]
	next := s.disk.Cut(s.rng.Uint64(), percent, grain)
	s.abandon()
	s.disk = next
	s.crashes++
	s.lines.crashed()
	if s.rng.IntN(4) == 0 {
		s.loseIndex()
	}
	s.leaveSome()
	s.open(cfg)
	for i := 0; i < 3 && s.failed == nil && s.rng.IntN(3) == 0; i++ { // crashes in or right after recovery
		next := s.disk.Cut(s.rng.Uint64(), s.rng.IntN(101), grain)
		s.abandon()
		s.disk = next
		s.crashes++
		s.leaveSome()
		s.open(cfg)
	}
}

// abandon closes the engine whose disk is gone: the fence is that it has its own.
func (s *sim) abandon() {
	if s.e == nil {
		return
	}
	for i := range s.events {
		if g := s.events[i].group; g != nil {
			g.Release()
		}
	}
	s.events, s.groups, s.pages, s.rows, s.flights, s.unacked, s.lateRows = nil, nil, nil, nil, nil, nil, nil
	s.pullRows, s.pulls.unacked, s.pulls.waiting = nil, nil, nil
	s.latePages, s.moveRows, s.reclaim, s.schedules.cmds = nil, nil, simReclaim{}, nil
	_ = s.e.log.Close()
	_ = s.e.idx.Abandon()
	_ = s.e.lock.Close()
	s.e = nil
}

// settleAll lets everything run to its end and checks what must have come of it.
func (s *sim) settleAll() {
	s.setFree(simPlenty)
	s.booksEvery *= 8 // hundreds of ticks may be caught up, one after the other: half of a seed's time
	s.settleSchedules()
	s.calmLines()
	s.calmPulls()
	for i := 0; s.failed == nil && i < 20_000; i++ {
		s.commit()
		s.applyAll()
		s.look()
		s.drainPulls()
		s.advance(60_000)
		s.commit() // permits of a window, which would be over by the next round
		s.advance(0)
		for len(s.flights) > 0 {
			s.land()
		}
		s.read()
		if i > 100 && s.idle() {
			break
		}
	}
	if s.failed == nil && !s.idle() {
		s.fail("S1: not idle at the end: %d resident, %d pages", s.e.core.resident, len(s.pages))
	}
	s.checkEnds()
}

func (s *sim) idle() bool {
	c := s.e.core
	return len(s.rows)+len(s.lateRows)+len(s.latePages) == 0 && len(s.moveRows)+len(s.pullRows) == 0 && len(c.moves) == 0 && c.resident == 0 && len(s.pages) == 0 && len(s.flights) == 0 && c.undurable == 0 && len(c.byLane) == 0 && c.retiring.len() == 0
}

func (s *sim) checkEnds() {
	if s.failed != nil {
		return
	}
	dead := map[string]bool{}
	cursor := ""
	for {
		items, next, err := s.e.DeadLetters(DeadLetterQuery{User: 1, Cursor: cursor})
		if err != nil {
			s.fail("dead letters: %v", err)
			return
		}
		for _, d := range items {
			dead[d.Message.ID] = true
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(s.e.core.bySeq) > 0 {
		s.fail("S9: %d entries left at the end", len(s.e.core.bySeq))
	}
	s.checkLeft()
	s.checkGroups()
	s.checkFanEnds()
	s.checkPullEnds()
	s.checkHistory()
	for _, m := range s.messages {
		s.checkEnd(m, m.dead || dead[m.id])
	}
}

func runSim(t *testing.T, seed uint64, cfg simConfig) *sim {
	s := newSim(t, seed, cfg)
	for i := 0; i < cfg.steps && s.failed == nil; i++ {
		s.step(cfg)
	}
	if s.failed == nil {
		s.settleAll()
	}
	s.abandon()
	return s
}

// seeds returns how many seeds to run and from which: TIDEMILL_SIM_SEEDS runs
// more of them, TIDEMILL_SIM_SEED one.
func seeds(t *testing.T, n uint64) (from, to uint64) {
	if v := os.Getenv("TIDEMILL_SIM_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return seed, seed + 1
	}
	if v := os.Getenv("TIDEMILL_SIM_SEEDS"); v != "" {
		more, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		n = more
	}
	return 1, n + 1
}

func simConfigOf(seed uint64) simConfig {
	return simConfig{steps: 600, resident: []int{4, 20, 1000}[seed%3]}
}

func TestSimulation(t *testing.T) {
	from, to := seeds(t, simSeeds)
	var crashes, published, attempts, duplicates, copied, reclaimed, rebuilt int
	var room simRoom
	var sched simSchedules
	var lines simLineTotals
	var pulls simPullTotals
	for seed := from; seed < to; seed++ {
		s := runSim(t, seed, simConfigOf(seed))
		if s.failed != nil {
			t.Fatalf("%v\nrun it again with %s", s.failed, replayCommand(seed))
		}
		crashes += s.crashes
		published += s.published
		attempts += s.attempts
		duplicates += s.duplicates
		copied += s.copied
		reclaimed += s.reclaimed
		rebuilt += s.rebuilt
		room.add(&s.room)
		lines.add(&s.lines.simLineTotals)
		pulls.add(&s.pulls.simPullTotals)
		sched.changes += s.schedules.changes
		sched.ticks += s.schedules.ticks
		sched.missed += s.schedules.missed
		sched.copied += s.schedules.copied
	}
	t.Logf("%d seeds: %d power cuts, %d published, %d attempts, %d duplicates refused, %d moves asked for, %d segments reclaimed, %d indexes rebuilt",
		to-from, crashes, published, attempts, duplicates, copied, reclaimed, rebuilt)
	t.Logf("schedules: %d changes, %d ticks published, %d times some were missed, %d definitions that go on", sched.changes, sched.ticks, sched.missed, sched.copied)
	t.Logf("disks were full %d times: %d requests refused, %d attempts after a retry that was not logged, the log stuck %d times",
		room.episodes, room.refusals, room.unlogged, room.stuck)
	t.Logf("queues: %d turns, %d beside others, %d discarded; keys: starts at the limit of a short and a long window, of short and long sliding ones, and in flight: %v; %d callbacks, %d of them of failures; %d fan-outs of %d members",
		lines.turns, lines.crowded, lines.discarded, lines.limited, lines.callbacks, lines.failures, lines.fans, lines.members)
	t.Logf("pull queues: %s", &pulls)
	if to-from >= 40 && (pulls.received == 0 || pulls.extended == 0 || pulls.expired == 0 || pulls.buried == 0 || pulls.redriven == 0 || pulls.pushed == 0 || pulls.groups == 0) {
		t.Error("pull queues were not tried")
	}
	if to-from >= 40 && (room.refusals == 0 || room.unlogged == 0 || room.stuck == 0) {
		t.Error("full disks were not tried")
	}
	if to-from >= 40 && (sched.changes == 0 || sched.ticks == 0 || sched.missed == 0 || sched.copied == 0) {
		t.Error("schedules were not tried")
	}
	if to-from >= 40 && (lines.crowded == 0 || slices.Contains(lines.limited[:], 0) || lines.failures == 0 || lines.discarded == 0 || lines.fans == 0) {
		t.Error("queues, keys, callbacks or fan-outs were not tried")
	}
}

// TestSimulationOneSeedOneHistory: the simulator would be of little use if a
// failing seed could not be run again.
func TestSimulationOneSeedOneHistory(t *testing.T) {
	for seed := uint64(1); seed <= min(6, simSeeds/3); seed++ {
		a, b := runSim(t, seed, simConfigOf(seed)), runSim(t, seed, simConfigOf(seed))
		if a.history != b.history || a.crashes != b.crashes {
			t.Errorf("seed %d: two histories, %x and %x", seed, a.history, b.history)
		}
	}
}

// TestSimulationHasTeeth: with syncs that do nothing, the same checks fail.
func TestSimulationHasTeeth(t *testing.T) {
	for seed := uint64(1); seed <= 40; seed++ {
		cfg := simConfigOf(seed)
		cfg.noSync = true
		if s := runSim(t, seed, cfg); s.failed != nil {
			t.Logf("found: %v", s.failed)
			return
		}
	}
	t.Error("40 seeds ran clean on a disk that never syncs")
}
