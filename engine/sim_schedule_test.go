package engine

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

// Schedules in the simulator:
//
//	S13 the records of a schedule, in log order, are one chain: each tick is published
//	    once or said to be missed, none twice, none left out, none before its time
//	S14 when all is quiet no schedule is behind
//	S15 the core, the index and the log say the same of every schedule
type simSchedules struct {
	byID    map[string]*simSchedule
	cmds    []scheduleCommand // what the core asked the scheduler for
	ticker  *ticker
	seen    uint64 // LSN of the newest record that was looked at
	defined int    // ids given so far

	ticks, missed, changes, copied int
}

// simSchedule is what the committed records say of one schedule.
type simSchedule struct {
	id      string
	step    int64 // ms between its ticks
	offset  int64
	rule    uint64
	topic   string // the group that it publishes to, ""
	paused  bool
	dropped bool
	last    int64

	pausedAt int64 // less every step back of the clock since; if paused
}

// simCron is an expression whose ticks are that far apart, from the epoch on.
type simCron struct {
	text string
	step time.Duration
}

var simCrons = []simCron{
	{"*/5 * * * * *", 5 * time.Second},
	{"*/30 * * * * *", 30 * time.Second},
	{"0 */20 * * * *", 20 * time.Minute},
	{"0 0 */2 * * *", 2 * time.Hour},
	{simEverySecond, time.Second},
}

const simEverySecond = "* * * * * *" // used by a test of its own

func (s *sim) scheduleStep() {
	t := &s.schedules
	switch n := s.rng.IntN(12); {
	case n < 7:
		s.runScheduler(1 + s.rng.IntN(4))
	case n == 7 || len(t.byID) == 0:
		s.defineSchedule()
	default:
		s.changeSchedule()
	}
}

// runScheduler carries out some of what the core asked for.
func (s *sim) runScheduler(n int) {
	t := &s.schedules
	for ; n > 0 && len(t.cmds) > 0; n-- {
		cmd := t.cmds[0]
		t.cmds = t.cmds[1:]
		t.ticker.run(&cmd)
	}
}

// defineSchedule asks for a new schedule, or for another definition of one.
func (s *sim) defineSchedule() {
	if s.room.scarce() {
		return
	}
	t := &s.schedules
	id := fmt.Sprintf("s%d", t.defined)
	if t.defined >= 4 && s.rng.IntN(2) == 0 {
		id = fmt.Sprintf("s%d", s.rng.IntN(t.defined))
		if m := t.byID[id]; m != nil && m.dropped {
			return // an id begins anew then: its ticks may come again after the clock was set back
		}
	} else {
		t.defined++
	}
	body := make([]byte, s.rng.IntN(3000))
	for i := range body {
		body[i] = byte(s.rng.Uint32() >> 5)
	}
	m := Publish{
		User: 1, URL: fmt.Sprintf("http://h%d.example/s", s.rng.IntN(5)), Body: body, Retries: s.rng.IntN(3),
		Delay: time.Duration(s.rng.Int64N(2)*s.rng.Int64N(90_000)) * time.Millisecond,
	}
	if s.rng.IntN(2) == 0 {
		s.chooseLine(&m)
	}
	if s.chooseGroup(&m); len(s.lines.groups.acked[m.Group]) == 0 {
		m.Group, m.URL = "", cmp.Or(m.URL, "http://h1.example/s")
	}
	d, err := s.e.buildSchedule(&Schedule{
		ID: id, Cron: simCrons[s.rng.IntN(len(simCrons)-1)].text,
		Time: TimeRules{
			Seconds: true, Missed: Missed(s.rng.IntN(3)), MissedMax: 1 + s.rng.IntN(5),
			MissedWindow: time.Duration(1+s.rng.IntN(100)) * time.Second, Jitter: time.Duration(s.rng.IntN(2)*s.rng.IntN(4000)) * time.Millisecond,
		},
		Message: m,
	})
	if err != nil {
		s.refused("define a schedule", err)
		return
	}
	s.ask(&scheduleRequest{ask: askDefine, key: scheduleKey{1, id}, definition: d})
}

// changeSchedule asks for a schedule to be paused, resumed or dropped.
func (s *sim) changeSchedule() {
	t := &s.schedules
	id := fmt.Sprintf("s%d", s.rng.IntN(t.defined))
	what := []ask{askPause, askResume, askResume, askDrop}[s.rng.IntN(4)]
	if what == askDrop && s.rng.IntN(3) > 0 {
		return
	}
	s.ask(&scheduleRequest{ask: what, key: scheduleKey{1, id}})
}

func (s *sim) ask(req *scheduleRequest) {
	req.done = func(err error) {
		s.note("schedule", uint64(req.ask))
		if err != nil && !errors.Is(err, ErrNotFound) {
			s.refused("change of schedule "+req.key.id, err)
		}
	}
	s.e.inbox.push(event{kind: evSchedule, schedule: req})
}

// observe looks at a committed group.
func (s *sim) observe(g *wal.Group) error {
	return g.Each(func(lsn wal.LSN, p []byte) error {
		if uint64(lsn) <= s.schedules.seen {
			return nil // looked at before the power was cut
		}
		s.schedules.seen = uint64(lsn)
		return s.observeRecord(uint64(lsn), p)
	})
}

func (s *sim) observeRecord(lsn uint64, p []byte) error {
	t, err := record.TypeOf(p)
	if err != nil {
		return err
	}
	switch t {
	case record.TypeMessage:
		var m record.Message
		if err := record.DecodeMessage(p, &m); err != nil {
			return err
		}
		if m.Flags&record.FlagPull != 0 {
			s.observePull(lsn, &m)
			return nil
		}
		if m.Topic != "" && m.FromDead == (record.FromDead{}) {
			s.fail("S19: a member of a fan-out stands at %d by itself", lsn)
		}
		if m.Flags&record.FlagTick != 0 {
			s.observeTick(&m)
			s.expect(lsn, &m, nil)
		}
		return s.observeMessage(lsn, &m)
	case record.TypeFanout:
		return s.observeFanout(lsn, p)
	case record.TypePullQueue:
		return s.observePullQueue(p)
	case record.TypeOutcome:
		if isStep(p) {
			return s.observeStep(lsn, p)
		}
		if err := s.observeEnd(p); err != nil {
			return err
		}
		return s.observeOutcome(lsn, p)
	case record.TypeQueue:
		var d record.Queue
		if err := record.DecodeQueue(p, &d); err != nil {
			return err
		}
		s.observeQueue(lsn, &d)
	case record.TypeFlow:
		var f record.Flow
		if err := record.DecodeFlow(p, &f); err != nil {
			return err
		}
		s.observeFlow(&f)
	case record.TypeGroup:
		return s.observeGroup(p)
	case record.TypeDropGroup:
		return s.observeDropGroup(p)
	case record.TypeSchedule:
		var d record.Schedule
		if err := record.DecodeSchedule(p, &d); err != nil {
			return err
		}
		s.observeDefinition(&d)
	case record.TypeDropSchedule:
		var d record.DropSchedule
		if err := record.DecodeDropSchedule(p, &d); err != nil {
			return err
		}
		s.schedules.byID[d.ID].dropped = true
		s.schedules.changes++
	case record.TypeTick:
		var k record.Tick
		if err := record.DecodeTick(p, &k); err != nil {
			return err
		}
		s.observeMissed(&k)
	}
	return nil
}

// observeTick checks the message, or the fan-out, of a tick.
func (s *sim) observeTick(m *record.Message) {
	d := s.schedules.byID[m.Schedule]
	s.schedules.ticks++
	switch tick := m.Tick.Time; {
	case d == nil || d.dropped || d.paused:
		s.fail("S13: a tick of %s, which has none: %+v", m.Schedule, d)
		return
	case tick != d.next(d.last) || m.Tick.Next != d.next(tick):
		s.fail("S13: schedule %s, every %d ms: tick %d and then %d after %d", d.id, d.step, tick, m.Tick.Next, d.last)
	case m.Created < tick+d.offset:
		s.fail("S13: schedule %s: tick %d was published at %d, %d ms of jitter", d.id, tick, m.Created, d.offset)
	}
	d.last = m.Tick.Time
}

func (d *simSchedule) next(after int64) int64 { return (after/d.step + 1) * d.step }

func (s *sim) observeMissed(k *record.Tick) {
	d := s.schedules.byID[k.ID]
	s.schedules.missed++
	switch {
	case d == nil || d.dropped || d.paused:
		s.fail("S13: missed ticks of %s, which has none: %+v", k.ID, d)
		return
	case k.From != d.next(d.last) || k.To%d.step != 0 || k.To < k.From || int64(k.Count) != (k.To-k.From)/d.step+1 || k.More:
		s.fail("S13: schedule %s, every %d ms: missed %+v after %d", d.id, d.step, k, d.last)
	case k.Error != missedText:
		if k.From != k.To || d.topic == "" || len(s.lines.groups.logged[d.topic]) > 0 {
			s.fail("S13: schedule %s publishes nothing: %+v", d.id, k)
		}
	case k.At-d.offset-k.To < MissedAfter.Milliseconds():
		s.fail("S13: schedule %s: tick %d counts as missed at %d", d.id, k.To, k.At)
	case k.Last != k.To:
		s.fail("S13: schedule %s: last is %d, missed up to %d", d.id, k.Last, k.To)
	}
	d.last = k.Last
}

func (s *sim) observeDefinition(d *record.Schedule) {
	t := &s.schedules
	old := t.byID[d.ID]
	t.changes++
	if old != nil && old.rule == d.Rule() && d.Last == old.last {
		t.copied++
	}
	i := slices.IndexFunc(simCrons, func(c simCron) bool { return c.text == d.Cron })
	if i < 0 {
		s.fail("S13: schedule %s has the expression %q", d.ID, d.Cron)
		return
	}
	var m record.Message
	if err := record.DecodeMessage(d.Message, &m); err != nil {
		s.fail("S13: the message of schedule %s: %v", d.ID, err)
		return
	}
	paused := d.Flags&record.FlagPaused != 0
	row := index.Schedule{User: d.User, ID: d.ID, Jitter: d.Jitter}
	now := &simSchedule{id: d.ID, step: simCrons[i].step.Milliseconds(), offset: jitterOf(&row), rule: d.Rule(), topic: strings.Clone(m.Topic), paused: paused, last: d.Last}
	if old != nil && !old.dropped {
		if goesOn := old.rule == now.rule && (!old.paused || paused); d.Last < old.last || goesOn && d.Last != old.last {
			s.fail("S13: schedule %s goes on at %d, it was at %d", d.ID, d.Last, old.last)
		}
		s.checkPause(old, now)
	}
	t.byID[d.ID] = now
}

// checkPause: the ticks that go by during a pause are over.
func (s *sim) checkPause(old, now *simSchedule) {
	switch now.pausedAt = s.now; {
	case !old.paused:
	case now.paused:
		now.pausedAt = old.pausedAt
	case now.last < old.pausedAt-old.offset:
		s.fail("S13: schedule %s was paused from %d on and goes on at %d", now.id, old.pausedAt, now.last)
	}
}

// clockMoved takes a step of the clock, which may be one back.
func (t *simSchedules) clockMoved(ms int64) {
	for _, d := range t.byID {
		d.pausedAt += min(ms, 0)
	}
}

// checkSchedules is S15.
func (s *sim) checkSchedules() {
	c := s.e.core
	busy, firing := 0, 0
	for i := range c.schedules.list {
		p := &c.schedules.list[i]
		switch {
		case !p.used:
			continue
		case p.busy:
			busy++
			if p.req == nil {
				firing++
			}
			continue
		case p.Pos == 0:
			s.fail("S15: schedule %s has no definition and is kept", p.ID)
		case !p.Paused && p.Next != 0 && p.timer == 0 && !p.due:
			s.fail("S15: nothing wakes schedule %s", p.ID)
		}
		s.checkStands(p.Pos, int(p.Len))
	}
	if busy != c.schedules.busy || firing != c.schedules.firing {
		s.fail("S15: %d schedules are busy, %d with ticks, the core counts %d and %d", busy, firing, c.schedules.busy, c.schedules.firing)
	}
	if len(s.e.inbox.events) > 0 || s.e.idx.Applied() < c.committed {
		return
	}
	n := 0
	err := s.e.idx.Schedules(func(row *index.Schedule) error {
		n++
		i, ok := c.schedules.byKey[scheduleKey{row.User, row.ID}]
		if !ok {
			s.fail("S15: the index has schedule %s, the core has not", row.ID)
			return nil
		}
		have := c.schedules.list[i].Schedule
		have.Error, row.Error = "", ""
		if have.Next = row.Next; have != *row { // Next is a hint
			s.fail("S15: schedule %s is %+v in the index and %+v in the core", row.ID, *row, have)
		}
		return nil
	})
	if err != nil || n != len(c.schedules.byKey)-c.newSchedules() {
		s.fail("S15: the index has %d schedules, the core %d (%v)", n, len(c.schedules.byKey), err)
	}
}

// newSchedules counts those whose first definition is on its way.
func (c *core) newSchedules() int {
	n := 0
	for i := range c.schedules.list {
		if p := &c.schedules.list[i]; p.used && p.Pos == 0 {
			n++
		}
	}
	return n
}

// settleSchedules lets all schedules catch up, and then pauses them.
func (s *sim) settleSchedules() {
	t := &s.schedules
	quiet := func() bool {
		return s.e.core.schedules.busy == 0 && s.e.core.schedules.due.len() == 0 && len(t.cmds) == 0
	}
	run := func() {
		for i := 0; i < 10_000 && s.failed == nil && (i < 3 || !quiet()); i++ {
			s.runScheduler(1000)
			s.commit()
			s.applyAll()
			s.look()
			s.advance(0)
		}
	}
	for range 3 { // what was refused for want of room is tried again
		s.advance(2 * fireRetry)
		run()
	}
	if s.failed == nil && !quiet() {
		s.fail("S14: schedules do not come to rest")
	}
	for _, id := range sortedKeys(t.byID) {
		d := t.byID[id]
		if !d.dropped && !d.paused && d.next(d.last)+d.offset <= s.now {
			s.fail("S14: schedule %s is behind: at %d now %d, every %d ms", id, d.last, s.now, d.step)
		}
		s.ask(&scheduleRequest{ask: askPause, key: scheduleKey{1, id}})
	}
	run()
	s.checkBooks()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// TestSimulationEverySecond is P27: a schedule of every second, through power cuts at
// any moment, publishes each tick once, and misses none as long as the server comes back
// soon. TIDEMILL_SCHEDULE_HOURS runs it for so many hours of its clock: a day takes some
// ten minutes.
func TestSimulationEverySecond(t *testing.T) {
	span := everySecondFor
	if v := os.Getenv("TIDEMILL_SCHEDULE_HOURS"); v != "" {
		hours, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		span = time.Duration(hours) * time.Hour
	}
	cfg := simConfig{resident: 1000}
	s := newSim(t, 27, cfg)
	s.booksEvery = 200
	d, err := s.e.buildSchedule(&Schedule{
		ID: "s", Cron: simEverySecond, Time: TimeRules{Seconds: true}, Message: Publish{User: 1, URL: "http://h.example/", Body: []byte("tick")},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ask(&scheduleRequest{ask: askDefine, key: scheduleKey{1, "s"}, definition: d})
	begin := s.now
	for end := s.now + span.Milliseconds(); s.now < end && s.failed == nil; {
		s.everySecondStep(cfg)
	}
	s.settleSchedules()
	if s.failed == nil {
		s.settleAll()
	}
	if s.failed != nil {
		t.Fatal(s.failed)
	}
	last := s.schedules.byID["s"].last
	if want := last/1000 - begin/1000; int64(s.schedules.ticks) != want || s.schedules.missed != 0 || s.crashes == 0 {
		t.Errorf("%d ticks in %d seconds, %d times some were missed, %d power cuts", s.schedules.ticks, want, s.schedules.missed, s.crashes)
	}
	t.Logf("%d ticks, %d power cuts, %d segments reclaimed, %d indexes rebuilt", s.schedules.ticks, s.crashes, s.reclaimed, s.rebuilt)
	s.abandon()
}

// everySecondStep does one random thing of what a server does in a second.
func (s *sim) everySecondStep(cfg simConfig) {
	switch n := s.rng.IntN(1000); {
	case n == 0:
		if s.rng.IntN(2) == 0 {
			s.crash(cfg)
		}
	case n < 8:
		s.reclaimStep()
	case n < 300:
		s.advance(s.rng.Int64N(200))
	case n < 500:
		s.runScheduler(1 + s.rng.IntN(3))
	case n < 650:
		s.commit()
	case n < 800:
		s.apply()
	case n < 900:
		s.read()
	default:
		s.land()
	}
}
