package index

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/record"
)

// model is what the index should hold after some records, kept in plain maps.
type model struct {
	rows  map[uint64]record.Row
	dead  map[uint64]Dead // by the outcome's LSN
	dedup map[string]string
	users map[uint32][]byte
	texts map[uint64][]byte // the message or outcome that stands at an address
	first uint64            // the log's first address: counts begin there

	newest uint64 // dedup bucket of the last message that had an id

	schedules map[scheduleID]Schedule
	ticked    map[scheduleID]bool // something has come since the definition

	lines modelLines

	history modelHistory
	stats   modelStats
}

func newModel() *model {
	return &model{
		rows: map[uint64]record.Row{}, dead: map[uint64]Dead{}, dedup: map[string]string{}, users: map[uint32][]byte{},
		texts: map[uint64][]byte{}, schedules: map[scheduleID]Schedule{}, ticked: map[scheduleID]bool{}, lines: newModelLines(),
		history: newModelHistory(), stats: modelStats{},
	}
}

// logged is a record as the log has it.
type logged struct {
	lsn     uint64
	payload []byte
}

func (m *model) apply(r logged) error {
	inner, err := record.Unwrap(r.payload)
	if err != nil {
		return err
	}
	m.texts[r.lsn] = inner
	err = m.applyRecord(r)
	m.settle()
	return err
}

func (m *model) applyRecord(r logged) error {
	switch t, err := record.TypeOf(r.payload); {
	case err != nil:
		return err
	case t == record.TypeMessage:
		return m.message(r)
	case t == record.TypeFanout:
		return m.fanout(r)
	case t == record.TypeOutcome:
		return m.outcome(r)
	case t == record.TypeDropDead:
		var d record.DropDead
		err := record.DecodeDropDead(r.payload, &d)
		delete(m.dead, d.Dead)
		return err
	case t == record.TypeMove:
		return m.move(r)
	case t == record.TypeSchedule:
		return m.schedule(r)
	case t == record.TypeDropSchedule:
		return m.dropSchedule(r)
	case t == record.TypeTick:
		return m.tick(r)
	case t == record.TypeQueue:
		return m.queue(r)
	case t == record.TypeFlow:
		return m.flow(r)
	case t == record.TypeGroup:
		return m.group(r)
	case t == record.TypeDropGroup:
		return m.dropGroup(r)
	default:
		var u record.User
		err := record.DecodeUser(r.payload, &u)
		m.users[u.ID] = r.payload
		return err
	}
}

func (m *model) move(r logged) error {
	var v record.Move
	if err := record.DecodeMove(r.payload, &v); err != nil {
		return err
	}
	n := uint32(len(r.payload))
	switch v.What {
	case record.MovePending:
		if row, ok := m.rows[v.Seq]; ok && row.Pos == v.Old {
			row.Pos, row.Len = r.lsn, n
			m.rows[v.Seq] = row
		}
	case record.MoveDeadMessage:
		if d, ok := m.dead[v.Dead]; ok && d.Pos == v.Old {
			d.Pos, d.Row.Len = r.lsn, n
			m.dead[v.Dead] = d
		}
	case record.MoveDeadOutcome:
		if d, ok := m.dead[v.Dead]; ok && d.Out == v.Old {
			d.Out, d.Len = r.lsn, n
			m.dead[v.Dead] = d
		}
	}
	return nil
}

func (m *model) message(r logged) error {
	var p record.Message
	if err := record.DecodeMessage(r.payload, &p); err != nil {
		return err
	}
	m.publish(r, 0, uint32(len(r.payload)), &p)
	if p.DedupKey != [16]byte{} {
		m.seen(p.User, &p.DedupKey, p.Created, dedupValue(r.lsn, p.Nonce, p.Created, 0, ""))
	}
	return nil
}

// publish makes a message pending, the n-th of its record's: its seq is n above that.
func (m *model) publish(r logged, n uint64, size uint32, p *record.Message) {
	row := record.Row{
		User: p.User, Nonce: p.Nonce, Seq: r.lsn + n, Pos: r.lsn, Len: size, Lane: p.Lane, Host: p.Host, Due: p.Due, Line: p.Line,
	}
	m.rows[row.Seq] = row
	m.history.published(&row, p)
	m.stats.published(p.User)
	m.messageTick(row.Seq, p)
	delete(m.dead, p.FromDead.Dead)
	m.lines.joined(&row, p, m.now())
}

func dedupValue(lsn, nonce uint64, at int64, kind byte, rest string) string {
	return string(append(be.AppendUint64(be.AppendUint64(be.AppendUint64(nil, lsn), nonce), uint64(at)), kind)) + rest
}

// seen remembers an id, and what it stands for.
func (m *model) seen(user uint32, hash *[16]byte, at int64, v string) {
	m.newest = uint64(at / testWindow.Milliseconds())
	m.dedup[string(dedupKey(nil, m.newest, user, hash))] = v
}

func (m *model) outcome(r logged) error {
	var o record.Outcome
	if err := record.DecodeOutcome(r.payload, &o); err != nil {
		return err
	}
	row := m.rows[o.Seq]
	if row != o.Row {
		return fmt.Errorf("the generator's row is stale: %+v, %+v", o.Row, row)
	}
	m.history.ended(r, &o)
	m.stats.ended(&o)
	m.outcomeOf(r, &o, row)
	for n, c := range o.Callbacks {
		var p record.Message
		if err := record.DecodeMessage(c, &p); err != nil {
			return err
		}
		m.publish(r, 1+uint64(n), uint32((len(r.payload)+len(o.Callbacks)-1)/len(o.Callbacks)), &p)
	}
	return nil
}

func (m *model) outcomeOf(r logged, o *record.Outcome, row record.Row) {
	row.Tries = o.Attempt
	switch o.Kind {
	case record.Retry:
		row.Due = o.Next
		m.rows[o.Seq] = row
		return
	case record.Dead:
		m.dead[r.lsn] = Dead{Row: row, LSN: r.lsn, Out: r.lsn, Len: uint32(len(r.payload)), At: o.At, Status: o.Status}
	}
	delete(m.rows, o.Seq)
	m.lines.left[row.Queue]--
	m.lines.left[row.Flow]--
}

// orderOf is what rows are sorted by.
func orderOf(r *record.Row) int64 {
	if r.Queue == 0 {
		return r.Due
	}
	return int64(cmp.Or(r.Root, r.Seq))
}

// lanes returns the summaries: First is the least order there is.
func (m *model) lanes() map[uint64]Lane {
	lanes := map[uint64]Lane{}
	for _, r := range m.rows {
		l, ok := lanes[r.Lane]
		if order := orderOf(&r); !ok || order < l.First {
			l.First = order
		}
		l.ID, l.Count, l.Queue, l.Flow = r.Lane, l.Count+1, r.Queue, r.Flow
		if r.Queue != 0 {
			l.Flow = 0
		}
		lanes[r.Lane] = l
	}
	return lanes
}

// expect returns the keys and values of the index at pos, apart from the lane
// summaries and the dedup ids, which are not exact.
func (m *model) expect(pos Position) map[string]string {
	kv := map[string]string{}
	for seq, r := range m.rows {
		v := string(appendRow(nil, &r))
		kv[string(messageKey(nil, seq))] = v
		kv[string(pendingKey(nil, r.Lane, orderOf(&r), seq))] = v
	}
	for lsn, d := range m.dead {
		kv[string(deadKey(nil, d.User, lsn))] = string(appendDead(nil, &d))
		kv[string(standKey(nil, max(d.Pos, d.Seq)))] = string(appendDeadKey(nil, d.User, lsn))
	}
	for segment, n := range m.live() {
		kv[string(liveKey(nil, segment))] = string(be.AppendUint64(nil, uint64(n)))
	}
	m.expectSchedules(kv)
	m.expectLines(kv)
	for id, p := range m.users {
		kv[string(userKey(nil, id))] = string(p)
	}
	if pos.LSN != 0 {
		kv[string([]byte{kindApplied})] = string(appendPosition(nil, &pos))
	}
	return kv
}

// live returns the bytes that still count, by segment.
func (m *model) live() map[uint64]int64 {
	live := map[uint64]int64{}
	count := func(lsn uint64, n uint32) {
		if lsn >= m.first {
			live[segmentOf(lsn)] += recordBytes(n)
		}
	}
	for _, r := range m.rows {
		count(r.Pos, r.Len)
	}
	for _, d := range m.dead {
		count(d.Pos, d.Row.Len)
		count(d.Out, d.Len)
	}
	for _, s := range m.schedules {
		count(s.Pos, s.Len)
	}
	m.lines.stand(count)
	return live
}

// diff says how the index's content differs from the model, nil if it does not.
func (m *model) diff(got map[string]string, pos Position) error {
	want := m.expect(pos)
	lanes := m.lanes()
	for k, v := range got {
		switch k[0] {
		case kindLane:
			l, err := decodeLane([]byte(k), []byte(v))
			w := lanes[l.ID]
			if err != nil || l.Count != w.Count || w.Count == 0 || l.First > w.First || l.Queue != w.Queue || l.Flow != w.Flow {
				return fmt.Errorf("lane %+v where the rows give %+v (%v)", l, w, err)
			}
			delete(lanes, l.ID)
		case kindQueue, kindFlow:
			if w, ok := want[k]; !ok || !m.sameLine(k, v, w) {
				return fmt.Errorf("key %x is %x, want %x", k, v, w)
			}
			delete(want, k)
		case kindDedup:
			if w, ok := m.dedup[k]; !ok || w != v {
				return fmt.Errorf("dedup id %x is %x, want %x", k, v, w)
			}
		case kindHistory, kindEvent, kindTime, kindStats: // below
		default:
			if w, ok := want[k]; !ok || w != v {
				return fmt.Errorf("key %x is %x, want %x", k, v, w)
			}
			delete(want, k)
		}
	}
	for k := range want {
		return fmt.Errorf("key %x is missing, and %d more", k, len(want)-1)
	}
	if len(lanes) > 0 {
		return fmt.Errorf("summaries are missing: %+v", lanes)
	}
	if m.first > 0 { // rebuilt: history lives in the index alone
		return cmp.Or(m.diffDedup(got), m.diffStats(got))
	}
	return cmp.Or(m.diffDedup(got), m.history.diff(got), m.diffStats(got))
}

// diffDedup: ids that a window may still reach must be there. Older ones may.
func (m *model) diffDedup(got map[string]string) error {
	for k := range m.dedup {
		if _, ok := got[k]; !ok && be.Uint64([]byte(k[1:]))+1 >= m.newest {
			return fmt.Errorf("dedup id %x is missing, bucket %d is the newest", k, m.newest)
		}
	}
	return nil
}

// generator makes records that could follow what the model holds.
type generator struct {
	rng *rand.Rand
	m   *model
	lsn uint64
	now int64

	still   bool // nothing is moved
	defined bool // queues are defined before they are used, as the engine does
}

func (g *generator) next() logged {
	g.lsn += 8 * (1 + g.rng.Uint64N(64))
	if g.rng.IntN(100) == 0 {
		g.lsn = (segmentOf(g.lsn) + 1) << 32
	}
	if g.rng.IntN(3) > 0 {
		g.now += g.rng.Int64N(300) // what elision lives on
	} else {
		g.now += g.rng.Int64N(3 * testWindow.Milliseconds() / 10)
	}
	p := g.payload()
	return logged{g.lsn, p}
}

func (g *generator) payload() []byte {
	switch g.rng.IntN(12) {
	case 0:
		return g.scheduleRecord()
	case 1:
		return g.lineRecord()
	case 2:
		return g.fanout()
	}
	n := g.rng.IntN(100)
	switch {
	case n < 3:
		u := record.User{ID: g.rng.Uint32N(4), Created: g.now, Name: fmt.Sprint(g.lsn)}
		return u.Append(nil)
	case n < 10 && len(g.m.dead) > 0:
		d := g.m.dead[pick(g.rng, g.m.dead)]
		drop := record.DropDead{User: d.User, Dead: d.LSN, Freed: d.Freed()}
		return drop.Append(nil)
	case n < 14 && len(g.m.dead) > 0 && !g.still:
		return g.moveDead(g.m.dead[pick(g.rng, g.m.dead)], record.What(2+g.rng.IntN(2)))
	case n < 18 && len(g.m.rows) > 0 && !g.still:
		return g.moveRow(g.m.rows[pick(g.rng, g.m.rows)])
	case n < 62 && len(g.m.rows) > 0:
		return g.outcome(g.m.rows[pick(g.rng, g.m.rows)])
	case n < 75 && g.m.rows[g.lastSeq()].Seq != 0:
		return g.outcome(g.m.rows[g.lastSeq()]) // ends soon: what elision lives on
	}
	m := g.message()
	return m.Append(nil)
}

// moveRow copies a pending message, or sends a copy that is out of date.
func (g *generator) moveRow(r record.Row) []byte {
	m := record.Move{Row: r, Old: r.Pos, OldLen: r.Len, What: record.MovePending, Record: g.m.texts[r.Pos]}
	return m.Append(nil)
}

func (g *generator) moveDead(d Dead, what record.What) []byte {
	m := record.Move{Row: d.Row, Dead: d.LSN, Old: d.Pos, OldLen: d.Row.Len, What: what, Record: g.m.texts[d.Pos]}
	if what == record.MoveDeadOutcome {
		m.Old, m.OldLen, m.Record = d.Out, d.Len, g.m.texts[d.Out]
	}
	return m.Append(nil)
}

func (g *generator) lastSeq() uint64 {
	last := uint64(0)
	for seq := range g.m.rows {
		last = max(last, seq)
	}
	return last
}

func sorted[V any](m map[uint64]V) []uint64 { return slices.Sorted(maps.Keys(m)) }

func pick[V any](rng *rand.Rand, m map[uint64]V) uint64 {
	keys := sorted(m)
	return keys[rng.IntN(len(keys))]
}

func (g *generator) message() record.Message {
	m := record.Message{
		User: g.rng.Uint32N(3), Nonce: g.rng.Uint64(), Created: g.now, Due: g.now + g.rng.Int64N(20),
		Lane: g.hostLane(), Host: g.rng.Uint64N(9),
		URL: "http://a.example/" + strings.Repeat("x", g.rng.IntN(1100)), CallerIP: []string{"", "192.0.2.1"}[g.rng.IntN(2)],
		Method: record.Method(g.rng.IntN(5)), Retries: uint16(g.rng.IntN(101)),
		Body: bytes.Repeat([]byte{1}, g.rng.IntN(200)),
	}
	if g.rng.IntN(3) == 0 {
		m.DedupKey = [16]byte{1, byte(g.rng.IntN(30))}
	}
	if len(g.m.dead) > 0 && g.rng.IntN(6) == 0 {
		d := g.m.dead[pick(g.rng, g.m.dead)]
		m.User, m.FromDead = d.User, record.FromDead{Dead: d.LSN, Freed: d.Freed()}
		m.Schedule = []string{"", "a"}[g.rng.IntN(2)] // of one that was a tick: its schedule has gone on
	}
	g.line(&m)
	return m
}

func (g *generator) hostLane() uint64 { return []uint64{0, 1, 2, 1 << 40, ^uint64(0)}[g.rng.IntN(5)] }

func (g *generator) outcome(r record.Row) []byte {
	o := record.Outcome{Row: r, At: g.now, Attempt: r.Tries + 1, Status: uint16(g.rng.IntN(600)), Took: g.rng.Uint32N(300)}
	o.Error = strings.Repeat("é", g.rng.IntN(100))
	g.callbacks(&o)
	switch g.rng.IntN(10) {
	case 0, 1, 2, 3:
		o.Kind, o.Next = record.Retry, r.Due+g.rng.Int64N(30)-5 // now and then the same or an earlier time
	case 4, 5:
		o.Kind = record.Dead
	case 6:
		o.Kind, o.Attempt = record.Canceled, 0
	default:
		o.Kind = record.Delivered
	}
	return o.Append(nil)
}
