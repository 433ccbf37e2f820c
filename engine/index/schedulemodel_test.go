package index

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/record"
)

// scheduleID names a schedule in the model.
type scheduleID struct {
	user uint32
	id   string
}

func (m *model) scheduleIDs() []scheduleID {
	return slices.SortedFunc(maps.Keys(m.schedules), func(a, b scheduleID) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.id, b.id))
	})
}

func (m *model) schedule(r logged) error {
	var d record.Schedule
	if err := record.DecodeSchedule(r.payload, &d); err != nil {
		return err
	}
	id := scheduleID{d.User, d.ID}
	if was := m.schedules[id]; was.Pos != d.Old || was.Len != d.OldLen {
		return fmt.Errorf("the generator's schedule is stale: it replaces %d, %d stands", d.Old, was.Pos)
	}
	m.schedules[id] = Schedule{
		User: d.User, ID: d.ID, Pos: r.lsn, Len: uint32(len(r.payload)), Paused: d.Flags&record.FlagPaused != 0,
		Jitter: d.Jitter, Rule: d.Rule(), Created: d.Created, Ticks: d.Ticks, Error: d.Error,
	}
	delete(m.ticked, id)
	if d.DedupKey != [16]byte{} {
		m.seen(d.User, &d.DedupKey, d.Defined, dedupValue(r.lsn, 0, d.Defined, 1, d.ID))
	}
	return nil
}

func (m *model) dropSchedule(r logged) error {
	var d record.DropSchedule
	err := record.DecodeDropSchedule(r.payload, &d)
	delete(m.schedules, scheduleID{d.User, d.ID})
	delete(m.ticked, scheduleID{d.User, d.ID})
	return err
}

func (m *model) tick(r logged) error {
	var k record.Tick
	err := record.DecodeTick(r.payload, &k)
	m.came(scheduleID{k.User, k.ID}, k.Ticks, k.Error)
	m.history.missed(r, &k)
	return err
}

func (m *model) messageTick(seq uint64, p *record.Message) {
	if p.Flags&record.FlagTick != 0 {
		t := record.Ticks{Last: p.Tick.Time, Next: p.Tick.Next, Run: p.Tick.Time, RunSeq: seq, RunNonce: p.Nonce}
		m.came(scheduleID{p.User, p.Schedule}, t, "")
	}
}

func (m *model) came(id scheduleID, t record.Ticks, text string) {
	s := m.schedules[id]
	s.Ticks, s.Error = t, text
	m.schedules[id], m.ticked[id] = s, true
}

// expectSchedules adds the rows of schedules, spelled out: another layout needs another
// layout number.
func (m *model) expectSchedules(kv map[string]string) {
	ticks := func(t *record.Ticks) (v []byte) {
		for _, n := range []uint64{uint64(t.Last), uint64(t.Next), uint64(t.Run), t.RunSeq, t.RunNonce} {
			v = be.AppendUint64(v, n)
		}
		return v
	}
	for id, s := range m.schedules {
		var d record.Schedule
		if err := record.DecodeSchedule(m.texts[s.Pos], &d); err != nil {
			panic(err)
		}
		key := string(be.AppendUint32(nil, id.user)) + id.id
		v := be.AppendUint32(be.AppendUint64(nil, s.Pos), s.Len)
		v = append(v, 0)
		if s.Paused {
			v[12] = 1
		}
		v = be.AppendUint64(be.AppendUint32(v, s.Jitter), s.Rule)
		kv["c"+key] = string(append(be.AppendUint64(v, uint64(s.Created)), ticks(&d.Ticks)...)) + d.Error
		if m.ticked[id] {
			kv["k"+key] = string(ticks(&s.Ticks)) + s.Error
		}
	}
}

// Ids that tempt: beginnings of one another, of no characters, of the greatest length.
var testScheduleIDs = []string{"a", "ab", "a\x00", "b", "\x00", "\xff", strings.Repeat("\xff", 256)}

// scheduleRecord changes a schedule, or makes one.
func (g *generator) scheduleRecord() []byte {
	id := scheduleID{[]uint32{0, 1, 2, ^uint32(0)}[g.rng.IntN(4)], testScheduleIDs[g.rng.IntN(len(testScheduleIDs))]}
	s, ok := g.m.schedules[id]
	n := g.rng.IntN(10)
	switch {
	case !ok || n == 0:
		return g.define(id, s)
	case n == 1:
		d := record.DropSchedule{User: id.user, ID: id.id, Old: s.Pos, OldLen: s.Len}
		return d.Append(nil)
	case n == 2:
		return g.keepSchedule(s)
	case n < 5:
		k := record.Tick{
			User: id.user, ID: id.id, At: g.now, Ticks: g.ticks(), From: g.rng.Int64(), To: g.rng.Int64(),
			Count: g.rng.Uint32(), More: g.rng.IntN(2) == 0, Error: strings.Repeat("é", g.rng.IntN(100)),
		}
		return k.Append(nil)
	}
	m := g.message()
	m.Line, m.QueueName, m.Ordering, m.FlowKey, m.Lane = record.Line{}, "", "", "", g.hostLane()
	m.User, m.Schedule, m.FromDead = id.user, id.id, record.FromDead{}
	m.Flags, m.Tick = record.FlagTick, record.ScheduleTick{Time: 1 + g.rng.Int64N(1<<40), Next: g.rng.Int64N(1 << 40)}
	g.line(&m)
	return m.Append(nil)
}

func (g *generator) ticks() record.Ticks {
	return record.Ticks{Last: g.rng.Int64(), Next: g.rng.Int64(), Run: g.rng.Int64(), RunSeq: g.rng.Uint64(), RunNonce: g.rng.Uint64()}
}

// define replaces a schedule by another of its id.
func (g *generator) define(id scheduleID, was Schedule) []byte {
	d := record.Schedule{
		Flags: uint16(g.rng.IntN(4)), User: id.user, ID: id.id, Cron: []string{"* * * * *", "@daily"}[g.rng.IntN(2)],
		Created: cmp.Or(was.Created, g.now), Jitter: g.rng.Uint32(), Ticks: was.Ticks, Error: was.Error, Old: was.Pos, OldLen: was.Len,
		Message: (&record.Message{URL: "http://a.example/", Body: bytes.Repeat([]byte{1}, g.rng.IntN(200))}).Append(nil),
	}
	if g.rng.IntN(2) == 0 {
		d.Ticks = g.ticks()
	}
	if g.rng.IntN(3) == 0 {
		d.DedupKey, d.Defined = [16]byte{2, byte(g.rng.IntN(30))}, g.now
	}
	return d.Append(nil)
}

// keepSchedule is the copy that reclaiming makes: the same definition, with how far the
// schedule has come.
func (g *generator) keepSchedule(s Schedule) []byte {
	var d record.Schedule
	if err := record.DecodeSchedule(g.m.texts[s.Pos], &d); err != nil {
		panic(err)
	}
	d.Ticks, d.Error, d.Old, d.OldLen, d.DedupKey = s.Ticks, s.Error, s.Pos, s.Len, [16]byte{}
	return d.Append(nil)
}
