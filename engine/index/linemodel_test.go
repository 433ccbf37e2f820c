package index

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/record"
)

// modelLines is what the index should hold of queues, flow-control keys and URL groups.
type modelLines struct {
	queues map[scheduleID]Queue
	flows  map[scheduleID]Flow
	groups map[scheduleID]Group
	left   map[uint64]int // pending messages by queue and by key, to tell when one is over
}

func newModelLines() modelLines {
	return modelLines{queues: map[scheduleID]Queue{}, flows: map[scheduleID]Flow{}, groups: map[scheduleID]Group{}, left: map[uint64]int{}}
}

// now is the newest time that was seen, to the second.
func (m *model) now() int64 { return max(m.history.second, 0) * 1000 }

// settle takes away what is over: what lasted of a key, keys and deleted queues without
// messages.
func (m *model) settle() {
	for id, q := range m.lines.queues {
		if q.Flags&record.QueueGone != 0 && m.lines.left[q.ID] == 0 {
			delete(m.lines.queues, id)
		}
	}
	for id, f := range m.lines.flows {
		if f.Pos != 0 && f.Flags == 0 && f.until <= m.now() {
			f.Window, f.Drawn, f.Pos, f.Len, f.until = 0, 0, 0, 0, 0
			m.lines.flows[id] = f
		}
		if f.Pos == 0 && m.lines.left[f.ID] == 0 {
			delete(m.lines.flows, id)
		}
	}
}

func (m *model) count(of func(*record.Row) bool) (n uint64) {
	for _, r := range m.rows {
		if of(&r) {
			n++
		}
	}
	return n
}

func (l *modelLines) joined(r *record.Row, p *record.Message, now int64) {
	l.left[r.Queue]++
	l.left[r.Flow]++
	if id := (scheduleID{p.User, p.QueueName}); r.Queue != 0 {
		q, ok := l.queues[id]
		if !ok {
			q = Queue{User: p.User, Name: p.QueueName, ID: r.Queue, Parallelism: 1, Created: p.Created, Updated: p.Created}
		}
		if q.Flags&record.QueueGone != 0 && r.Root == 0 && r.Seq >= q.Drop {
			q.Flags, q.Parallelism = 0, 1
		}
		l.queues[id] = q
	}
	if r.Flow == 0 {
		return
	}
	id := scheduleID{p.User, p.FlowKey}
	f := l.flows[id]
	if f.Flags == 0 && f.until <= now { // this message's time is the one at which it ended
		f.Window, f.Drawn, f.Pos, f.Len, f.until = 0, 0, 0, 0, 0
	}
	f.User, f.Key, f.ID, f.ruled = p.User, p.FlowKey, r.Flow, r.Seq
	if f.Flags&record.FlowPinnedParallelism == 0 {
		f.Parallelism = p.FlowRule.Parallelism
	}
	if f.Flags&record.FlowPinnedRate == 0 {
		f.Rate, f.Period, f.Sliding = p.Rate, p.Period, p.Sliding
	}
	l.flows[id] = f
}

func (m *model) queue(r logged) error {
	var d record.Queue
	if err := record.DecodeQueue(r.payload, &d); err != nil {
		return err
	}
	id := scheduleID{d.User, d.Name}
	was, ok := m.lines.queues[id]
	if d.Flags&record.QueueNew != 0 {
		if ok && was.Pos != 0 && was.Flags&record.QueueGone == 0 {
			return nil
		}
	}
	m.lines.queues[id] = Queue{
		User: d.User, Name: d.Name, ID: record.QueueID(d.User, d.Name), Flags: d.Flags &^ record.QueueNew, Parallelism: d.Parallelism,
		Created: d.Created, Updated: d.Updated, Drop: max(was.Drop, d.DropBefore(r.lsn)), Pos: r.lsn, Len: uint32(len(r.payload)),
	}
	return nil
}

func (m *model) flow(r logged) error {
	var d record.Flow
	if err := record.DecodeFlow(r.payload, &d); err != nil {
		return err
	}
	f := m.lines.flows[scheduleID{d.User, d.Key}]
	if f.ruled == 0 {
		f.FlowRule, f.ruled = d.FlowRule, 1
	}
	if d.Flags&record.FlowPinnedParallelism != 0 {
		f.Parallelism = d.Parallelism
	}
	if d.Flags&record.FlowPinnedRate != 0 {
		f.Rate, f.Period, f.Sliding = d.Rate, d.Period, d.Sliding
	}
	f.User, f.Key, f.ID, f.Flags, f.Window, f.Drawn = d.User, d.Key, record.FlowID(d.User, d.Key), d.Flags, d.Window, d.Drawn
	f.Pos, f.Len, f.until = r.lsn, uint32(len(r.payload)), d.Until()
	m.lines.flows[scheduleID{d.User, d.Key}] = f
	return nil
}

func (m *model) group(r logged) error {
	var d record.Group
	if err := record.DecodeGroup(r.payload, &d); err != nil {
		return err
	}
	id := scheduleID{d.User, d.Name}
	if was := m.lines.groups[id]; was.Pos != d.Old || was.Len != d.OldLen {
		return fmt.Errorf("the generator's group is stale: it replaces %d, %d stands", d.Old, was.Pos)
	}
	m.lines.groups[id] = Group{User: d.User, Name: d.Name, Pos: r.lsn, Len: uint32(len(r.payload)), Payload: r.payload}
	return nil
}

func (m *model) dropGroup(r logged) error {
	var d record.DropGroup
	err := record.DecodeDropGroup(r.payload, &d)
	delete(m.lines.groups, scheduleID{d.User, d.Name})
	return err
}

func (m *model) fanout(r logged) error {
	var f record.Fanout
	var p record.Message
	if err := errors.Join(record.DecodeFanout(r.payload, &f), record.DecodeMessage(f.Message, &p)); err != nil {
		return err
	}
	list := ""
	for n, e := range f.Members {
		p.Nonce, p.Lane, p.Host, p.URL, p.Endpoint = e.Nonce, e.Lane, e.Host, e.URL, e.Endpoint
		m.publish(r, uint64(n), uint32((len(r.payload)+len(f.Members)-1)/len(f.Members)), &p)
		list += string(be.AppendUint64(nil, e.Nonce)) + string([]byte{byte(len(e.URL))}) + e.URL
	}
	if p.DedupKey != [16]byte{} {
		m.seen(p.User, &p.DedupKey, p.Created, dedupValue(r.lsn, f.Members[0].Nonce, p.Created, 2, list))
	}
	return nil
}

// stand calls count with every definition that stands in the log.
func (l *modelLines) stand(count func(lsn uint64, n uint32)) {
	for _, q := range l.queues {
		if q.Pos != 0 {
			count(q.Pos, q.Len)
		}
	}
	for _, f := range l.flows {
		if f.Pos != 0 {
			count(f.Pos, f.Len)
		}
	}
	for _, g := range l.groups {
		count(g.Pos, g.Len)
	}
}

// expectLines adds the rows of queues, keys and groups, spelled out: another layout needs
// another layout number.
func (m *model) expectLines(kv map[string]string) {
	key := func(kind string, id scheduleID) string { return kind + string(be.AppendUint32(nil, id.user)) + id.id }
	u64 := func(v []byte, ns ...uint64) []byte {
		for _, n := range ns {
			v = be.AppendUint64(v, n)
		}
		return v
	}
	for id, q := range m.lines.queues {
		v := be.AppendUint32(be.AppendUint16(nil, q.Flags), q.Parallelism)
		v = be.AppendUint32(u64(v, uint64(q.Created), uint64(q.Updated), q.Drop, q.Pos), q.Len)
		kv[key("w", id)] = string(u64(v, m.count(func(r *record.Row) bool { return r.Queue == q.ID })))
	}
	for id, f := range m.lines.flows {
		v := be.AppendUint32(be.AppendUint32(be.AppendUint32(be.AppendUint16(nil, f.Flags), f.Parallelism), f.Rate), f.Period)
		v = append(v, 0)
		if f.Sliding {
			v[14] = 1
		}
		v = be.AppendUint32(u64(be.AppendUint32(u64(v, uint64(f.Window)), f.Drawn), f.Pos), f.Len)
		count := m.count(func(r *record.Row) bool { return r.Flow == f.ID })
		kv[key("f", id)] = string(u64(v, count, f.ruled, uint64(f.until)))
	}
	for id, g := range m.lines.groups {
		kv[key("g", id)] = string(u64(nil, g.Pos)) + string(g.Payload)
	}
}

// sameLine compares the rows of a queue or a key. What a rebuild cannot know of a key is
// what a message said that ended below the log's first address; of a queue, where the
// messages of one that was deleted ended, all before it was made anew.
func (m *model) sameLine(k, got, want string) bool {
	if m.first == 0 || len(got) != len(want) {
		return got == want
	}
	if k[0] == kindQueue {
		return got[:22]+got[30:] == want[:22]+want[30:] // without Drop
	}
	var g, w Flow
	if errors.Join(decodeFlow([]byte(k), []byte(got), &g), decodeFlow([]byte(k), []byte(want), &w)) != nil {
		return false
	}
	if g.Flags&record.FlowPinnedParallelism == 0 {
		g.Parallelism = w.Parallelism
	}
	if g.Flags&record.FlowPinnedRate == 0 {
		g.Rate, g.Period, g.Sliding = w.Rate, w.Period, w.Sliding
	}
	g.ruled = w.ruled
	return g == w
}

// Names that tempt: beginnings of one another, of no characters, of the greatest length.
var testLineNames = []string{"a", "ab", "a\x00", "\x00", "\xff", strings.Repeat("\xff", 256)}

func (g *generator) lineID() scheduleID {
	return scheduleID{[]uint32{0, 1, 2, ^uint32(0)}[g.rng.IntN(4)], testLineNames[g.rng.IntN(len(testLineNames))]}
}

// line gives a message a place: in a queue, behind a flow-control key, both, or neither.
func (g *generator) line(m *record.Message) {
	m.Topic = []string{"", "", "topic"}[g.rng.IntN(3)]
	if g.rng.IntN(3) == 0 {
		m.FlowKey, m.FlowRule = g.lineID().id, g.rule()
		m.Flow = record.FlowID(m.User, m.FlowKey)
		m.Lane = record.FlowLane(m.Flow, m.Host)
	}
	if g.rng.IntN(3) > 0 {
		return
	}
	id := scheduleID{m.User, g.lineID().id}
	if q, ok := g.m.lines.queues[id]; g.defined && (!ok || q.Flags&record.QueueGone != 0) {
		return
	}
	m.QueueName, m.Queue = id.id, record.QueueID(id.user, id.id)
	m.Lane = m.Queue
	if g.rng.IntN(2) == 0 {
		m.Ordering = "key"
		m.Lane = record.OrderingLane(m.Queue, m.Ordering)
	}
}

func (g *generator) rule() record.FlowRule {
	return record.FlowRule{Parallelism: g.rng.Uint32N(9), Rate: g.rng.Uint32N(9), Period: g.rng.Uint32N(60_000), Sliding: g.rng.IntN(2) == 0}
}

// fanout publishes a message to several destinations.
func (g *generator) fanout() []byte {
	shared := g.message()
	f := record.Fanout{}
	for range 1 + g.rng.IntN(5) {
		e := record.Member{
			Nonce: g.rng.Uint64(), Lane: shared.Lane, Host: g.rng.Uint64N(9),
			URL: "http://b.example/" + strings.Repeat("y", g.rng.IntN(100)), Endpoint: []string{"", "name"}[g.rng.IntN(2)],
		}
		if shared.Queue == 0 && shared.Flow != 0 {
			e.Lane = record.FlowLane(shared.Flow, e.Host)
		}
		f.Members = append(f.Members, e)
	}
	shared.URL, shared.Nonce, shared.Lane, shared.Host, shared.FromDead = "", 0, 0, 0, record.FromDead{}
	f.Message = shared.Append(nil)
	return f.Append(nil)
}

// callbacks has an outcome publish what reports it.
func (g *generator) callbacks(o *record.Outcome) {
	for range max(0, g.rng.IntN(5)-2) {
		m := g.message()
		m.Flags, m.User, m.FromDead, m.Created = m.Flags|record.FlagReport, o.User, record.FromDead{}, o.At
		m.DedupKey, m.Body, m.BodyLen, m.Topic = [16]byte{}, nil, 0, ""
		m.Lane = g.hostLane()
		m.Line, m.QueueName, m.Ordering, m.FlowKey, m.FlowRule = record.Line{}, "", "", "", record.FlowRule{}
		if q, ok := g.queueNamed(o.Queue); ok { // in its message's turn
			m.QueueName, m.Queue, m.Root, m.Lane = q.Name, o.Queue, cmp.Or(o.Root, o.Seq), o.Lane
		}
		o.Callbacks = append(o.Callbacks, m.Append(nil))
		o.Source = (&record.Message{URL: "http://a.example/"}).Append(nil)
	}
}

func (g *generator) queueNamed(id uint64) (Queue, bool) {
	for _, q := range g.m.lines.queues {
		if q.ID == id {
			return q, true
		}
	}
	return Queue{}, false
}

// lineRecord changes a queue, a flow-control key or a group, or makes one.
func (g *generator) lineRecord() []byte {
	id := g.lineID()
	switch g.rng.IntN(3) {
	case 0:
		return g.queueRecord(id)
	case 1:
		was := g.m.lines.flows[id]
		d := record.Flow{
			Flags: uint16(g.rng.IntN(8)), User: id.user, Key: id.id, FlowRule: g.rule(), Drawn: g.rng.Uint32N(9), Old: was.Pos, OldLen: was.Len,
		}
		if g.rng.IntN(2) == 0 {
			d.Flags = 0
		}
		if g.rng.IntN(3) > 0 {
			d.Window = g.now - g.rng.Int64N(60_000)
		}
		return d.Append(nil)
	}
	was, ok := g.m.lines.groups[id]
	if ok && g.rng.IntN(3) == 0 {
		d := record.DropGroup{User: id.user, Name: id.id, Old: was.Pos, OldLen: was.Len}
		return d.Append(nil)
	}
	d := record.Group{
		User: id.user, Name: id.id, Created: g.now, Updated: g.now, Old: was.Pos, OldLen: was.Len,
		Header: []record.Header{{Name: "Upstash-Retries", Value: "3"}},
	}
	for range g.rng.IntN(4) {
		d.Endpoints = append(d.Endpoints, record.Endpoint{URL: "http://b.example/", Name: "name"})
	}
	return d.Append(nil)
}

func (g *generator) queueRecord(id scheduleID) []byte {
	was, ok := g.m.lines.queues[id]
	d := record.Queue{
		User: id.user, Name: id.id, Parallelism: 1 + g.rng.Uint32N(9), Created: cmp.Or(was.Created, g.now), Updated: g.now,
		Drop: was.Drop, Old: was.Pos, OldLen: was.Len,
	}
	switch n := g.rng.IntN(10); {
	case n < 4:
		d.Flags, d.Parallelism, d.Created, d.Drop, d.Old, d.OldLen = record.QueueNew, 1, g.now, 0, 0, 0
	case n < 6 && ok:
		d.Flags, d.Drop = record.QueueGone, g.lsn
	case n < 8:
		d.Flags = record.QueuePaused
	}
	return d.Append(nil)
}

// linesBelow returns what makes the copies of definitions that stand below first.
func (g *generator) linesBelow(first uint64) (ps []func() []byte) {
	for _, id := range inOrderOf(g.m.lines.queues) {
		if q := g.m.lines.queues[id]; q.Pos != 0 && q.Pos < first {
			ps = append(ps, func() []byte { return keepQueue(q) })
		}
	}
	for _, id := range inOrderOf(g.m.lines.flows) {
		if f := g.m.lines.flows[id]; f.Pos != 0 && f.Pos < first {
			ps = append(ps, func() []byte { return g.keepFlow(f) })
		}
	}
	for _, id := range inOrderOf(g.m.lines.groups) {
		if f := g.m.lines.groups[id]; f.Pos < first {
			ps = append(ps, func() []byte { return keepGroup(f) })
		}
	}
	return ps
}

func keepQueue(q Queue) []byte {
	d := record.Queue{
		Flags: q.Flags, User: q.User, Name: q.Name, Parallelism: q.Parallelism, Created: q.Created, Updated: q.Updated,
		Drop: q.Drop, Old: q.Pos, OldLen: q.Len,
	}
	return d.Append(nil)
}

func (g *generator) keepFlow(f Flow) []byte {
	var d record.Flow
	if err := record.DecodeFlow(g.m.texts[f.Pos], &d); err != nil {
		panic(err)
	}
	d.Old, d.OldLen = f.Pos, f.Len
	return d.Append(nil)
}

func keepGroup(f Group) []byte {
	var d record.Group
	if err := record.DecodeGroup(f.Payload, &d); err != nil {
		panic(err)
	}
	d.Old, d.OldLen = f.Pos, f.Len
	return d.Append(nil)
}

func inOrderOf[V any](m map[scheduleID]V) []scheduleID {
	return slices.SortedFunc(maps.Keys(m), func(a, b scheduleID) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.id, b.id))
	})
}
