package index

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// inLine returns a message in a queue, with a flow-control key, or both.
func inLine(queue, key string) record.Message {
	m := record.Message{User: 1, Nonce: 9, Lane: 5, Host: 5, Due: testNow, Created: testNow, QueueName: queue, FlowKey: key}
	if key != "" {
		m.Flow, m.FlowRule = record.FlowID(1, key), record.FlowRule{Parallelism: 3, Rate: 2, Period: 1000}
		m.Lane = record.FlowLane(m.Flow, m.Host)
	}
	if queue != "" {
		m.Queue = record.QueueID(1, queue)
		m.Lane = m.Queue
	}
	return m
}

// endWith applies an outcome of a row with callbacks, and returns the rows of these.
func (b *bench) endWith(r record.Row, k record.Kind, callbacks ...record.Message) []record.Row {
	b.t.Helper()
	o := record.Outcome{Row: r, Kind: k, Attempt: r.Tries + 1, At: testNow, Source: (&record.Message{URL: "http://a.example/"}).Append(nil)}
	for i := range callbacks {
		m := &callbacks[i]
		m.Flags |= record.FlagReport
		o.Callbacks = append(o.Callbacks, m.Append(nil))
	}
	share := uint32((o.Size() + len(callbacks) - 1) / max(1, len(callbacks)))
	lsn := b.apply(&o)
	var rows []record.Row
	for i := range callbacks {
		m := &callbacks[i]
		rows = append(rows, record.Row{
			User: m.User, Nonce: m.Nonce, Seq: lsn + 1 + uint64(i), Pos: lsn, Len: share, Lane: m.Lane, Host: m.Host, Due: m.Due, Line: m.Line,
		})
	}
	return rows
}

// TestKeyElision (X3): a flow-control key, and its lane, that come and go within one
// batch leave nothing for Pebble to do.
func TestKeyElision(t *testing.T) {
	b := newBench(t)
	b.end(b.publish(inLine("", "key")), record.Delivered, 0)
	b.must(b.a.fill())
	for r := b.a.batch.Reader(); ; {
		_, k, _, ok, err := r.Next()
		b.must(err)
		if !ok {
			break
		}
		if k[0] == kindFlow || k[0] == kindLane {
			t.Errorf("the batch has the key %q", k)
		}
	}
	if len(b.a.flows)+len(b.a.lanes)+len(b.a.windows) > 0 {
		t.Errorf("%d keys, %d lanes and %d windows are in memory", len(b.a.flows), len(b.a.lanes), len(b.a.windows))
	}
}

// TestQueueOrder: in a queue rows stand by their turn, whenever they are due; a retry
// and a callback have the turn of the message.
func TestQueueOrder(t *testing.T) {
	b := newBench(t)
	var rows []record.Row
	for i := range int64(4) {
		m := inLine("q", "")
		m.Due -= i * 1000
		rows = append(rows, b.publish(m))
	}
	_, rows[0] = b.end(rows[0], record.Retry, testNow+3_600_000)
	m := inLine("q", "")
	m.Root = rows[1].Seq
	rows[1] = b.endWith(rows[1], record.Delivered, m)[0]
	b.flush()
	lane, limit := record.QueueID(1, "q"), int64(math.MaxInt64)
	p, err := b.x.ReadPage(lane, Cursor{}, limit, 10, nil)
	if err != nil || !slices.Equal(p.Rows, rows) || p.More {
		t.Fatalf("got %+v, %v\nwant %+v", p, err, rows)
	}
	p, err = b.x.ReadPage(lane, Cursor{}, int64(rows[2].Seq), 10, nil)
	if err != nil || !slices.Equal(p.Rows, rows[:3]) || p.Next != (Cursor{Due: int64(rows[3].Seq), Seq: rows[3].Seq}) {
		t.Fatalf("up to the third: %+v, %v", p, err)
	}
	if first := b.first(lane); first != int64(rows[0].Seq) {
		t.Fatalf("the summary begins at %d, want %d", first, rows[0].Seq)
	}
}

// TestLaneLine: a lane's summary says what its messages have in common.
func TestLaneLine(t *testing.T) {
	b := newBench(t)
	queue, key := record.QueueID(1, "q"), record.FlowID(1, "key")
	want := map[uint64]Lane{}
	for _, m := range []record.Message{inLine("", ""), inLine("q", ""), inLine("", "key"), inLine("q", "key"), inLine("q2", "key")} {
		r := b.publish(m)
		l := want[r.Lane]
		want[r.Lane] = Lane{ID: r.Lane, Count: l.Count + 1, First: r.Order(), Queue: m.Queue}
		if m.Queue == 0 {
			want[r.Lane] = Lane{ID: r.Lane, Count: l.Count + 1, First: r.Order(), Flow: m.Flow}
		} else if l.Count > 0 {
			want[r.Lane] = Lane{ID: r.Lane, Count: l.Count + 1, First: l.First, Queue: m.Queue}
		}
	}
	b.flush()
	got := map[uint64]Lane{}
	b.must(b.x.Lanes(func(l Lane) error { got[l.ID] = l; return nil }))
	if !reflect.DeepEqual(got, want) || want[queue].Count != 2 || want[record.FlowLane(key, 5)].Flow != key {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// TestQueueNew: the definition that a first message makes is void where there is a queue.
func TestQueueNew(t *testing.T) {
	made := record.Queue{User: 1, Name: "q", Flags: record.QueueNew, Parallelism: 1, Created: 5, Updated: 5}
	defined := record.Queue{User: 1, Name: "q", Flags: record.QueuePaused, Parallelism: 7, Created: 3, Updated: 4, Drop: 2}
	gone := defined
	gone.Flags, gone.Drop = record.QueueGone, 77
	for name, c := range map[string]struct {
		before  []record.Queue
		message bool // one is pending before
		want    Queue
	}{
		"nothing":         {nil, false, Queue{Parallelism: 1, Created: 5, Updated: 5}},
		"a message":       {nil, true, Queue{Parallelism: 1, Created: 5, Updated: 5, Count: 1}},
		"made before":     {[]record.Queue{made, defined, made}, false, Queue{Flags: record.QueuePaused, Parallelism: 7, Created: 3, Updated: 4, Drop: 2}},
		"a queue":         {[]record.Queue{defined}, true, Queue{Flags: record.QueuePaused, Parallelism: 7, Created: 3, Updated: 4, Drop: 2, Count: 1}},
		"deleted":         {[]record.Queue{gone}, false, Queue{Parallelism: 1, Created: 5, Updated: 5}},
		"not quite empty": {[]record.Queue{gone}, true, Queue{Parallelism: 1, Created: 5, Updated: 5, Drop: 77, Count: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.t = t
			if c.message {
				b.publish(inLine("q", ""))
			}
			live := b.a.live.total
			for _, d := range c.before {
				b.apply(&d)
			}
			b.apply(&made)
			b.flush()
			got, ok, err := b.x.Queue(1, "q")
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			if n := b.a.LiveBytes() - live; n != recordBytes(got.Len) {
				t.Errorf("%d bytes count for definitions, want %d", n, recordBytes(got.Len))
			}
			c.want.User, c.want.Name, c.want.ID, c.want.Pos, c.want.Len = 1, "q", made.ID(), got.Pos, got.Len
			if got != c.want || got.Pos == 0 {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestQueueGone: a deleted queue is there until its last message has ended, and the
// last callback in that one's turn.
func TestQueueGone(t *testing.T) {
	b := newBench(t)
	r := b.publish(inLine("q", ""))
	gone := record.Queue{User: 1, Name: "q", Flags: record.QueueGone, Parallelism: 2, Drop: b.lsn}
	b.apply(&gone)
	there := func(want bool) {
		t.Helper()
		b.flush()
		q, ok, err := b.x.Queue(1, "q")
		if ok != want || err != nil || ok && (q.Flags != record.QueueGone || q.Count != 1) {
			t.Fatalf("%+v, %v, %v", q, ok, err)
		}
	}
	there(true)
	m := inLine("q", "")
	m.Root = r.Seq
	r = b.endWith(r, record.Canceled, m)[0]
	there(true)
	b.end(r, record.Delivered, 0)
	there(false)
	if len(b.a.queues) > 0 || b.a.LiveBytes() != 0 {
		t.Fatalf("%d queues are in memory, %d bytes count", len(b.a.queues), b.a.LiveBytes())
	}
}

// TestFlowRules: a message says what its key's limits are, but for pinned ones.
func TestFlowRules(t *testing.T) {
	said, pinned := record.FlowRule{Parallelism: 3, Rate: 2, Period: 1000}, record.FlowRule{Parallelism: 8, Rate: 9, Period: 60_000, Sliding: true}
	for flags, want := range map[uint16]record.FlowRule{
		0:                            said,
		record.FlowPaused:            said,
		record.FlowPinnedParallelism: {Parallelism: 8, Rate: 2, Period: 1000},
		record.FlowPinnedRate:        {Parallelism: 3, Rate: 9, Period: 60_000, Sliding: true},
		record.FlowPinnedRate | record.FlowPinnedParallelism: pinned,
	} {
		b := newBench(t)
		b.apply(&record.Flow{User: 1, Key: "key", Flags: flags, FlowRule: pinned, Window: testNow, Drawn: 4})
		b.publish(inLine("", "key"))
		b.flush()
		if f, ok, err := b.x.Flow(1, "key"); !ok || err != nil || f.FlowRule != want || f.Flags != flags || f.Drawn != 4 || f.Count != 1 {
			t.Errorf("flags %d: %+v, %v, %v; want %+v", flags, f, ok, err, want)
		}
	}
}

// TestFlowExpiry: a key lasts as long as it has messages, a flag, or a window that is
// not over: by the times of the log, or by the time that ExpireFlows is told.
func TestFlowExpiry(t *testing.T) {
	disk := powerfs.New()
	b := &bench{t: t, lsn: 1 << 32}
	b.open(smallOptions(disk))
	defer func() { b.must(b.x.Close()) }()
	keys := func() (names []string) {
		t.Helper()
		b.flush()
		b.must(b.x.UserFlows(1, func(f *Flow) error {
			names = append(names, f.Key)
			return nil
		}))
		if len(b.a.flows) != len(names) {
			t.Errorf("%d keys are in memory, %d in the index", len(b.a.flows), len(names))
		}
		return names
	}
	check := func(want ...string) {
		t.Helper()
		if got := keys(); !slices.Equal(got, want) {
			t.Fatalf("keys %q, want %q", got, want)
		}
	}
	minute := record.FlowRule{Rate: 9, Period: 60_000}
	old := b.publish(inLine("", "busy"))
	b.apply(&record.Flow{User: 1, Key: "busy", FlowRule: minute, Window: testNow, Drawn: 1})
	b.apply(&record.Flow{User: 1, Key: "first", FlowRule: minute, Window: testNow, Drawn: 1})
	b.apply(&record.Flow{User: 1, Key: "nothing", FlowRule: minute})
	b.apply(&record.Flow{User: 1, Key: "over", FlowRule: minute, Window: testNow - 60_000, Drawn: 1})
	b.apply(&record.Flow{User: 1, Key: "paused", Flags: record.FlowPaused})
	b.apply(&record.Flow{User: 1, Key: "second", FlowRule: minute, Window: testNow + 1000, Drawn: 1})
	b.apply(&record.Flow{User: 1, Key: "shorter", FlowRule: record.FlowRule{Period: 3_600_000}, Window: testNow, Drawn: 1})
	check("busy", "first", "paused", "second", "shorter")
	b.apply(&record.Flow{User: 1, Key: "shorter", FlowRule: minute, Window: testNow, Drawn: 1})
	check("busy", "first", "paused", "second", "shorter")
	b.publish(record.Message{User: 1, Created: testNow + 60_000}) // a minute later
	check("busy", "paused", "second")
	if f, _, err := b.x.Flow(1, "busy"); err != nil || f.Window != 0 || f.Drawn != 0 || f.Pos != 0 || f.Count != 1 {
		t.Fatalf("the window is over: %+v, %v", f, err)
	}
	b.end(old, record.Delivered, 0)
	check("paused", "second")
	b.apply(&record.Flow{User: 1, Key: "paused"})
	check("second")
	b.must(b.x.Close())
	b.open(smallOptions(disk))
	b.a.ExpireFlows(testNow + 60_999)
	check("second")
	b.a.ExpireFlows(testNow + 61_000)
	check()
	if want := recordBytes(uint32((&record.Message{URL: "http://a.example/"}).Size())); b.a.LiveBytes() != want {
		t.Fatalf("%d bytes count, want those of one message, %d", b.a.LiveBytes(), want)
	}
}

// TestFlowRuleOfARebuild: the newest message says what a key's limits are, whichever was
// copied first.
func TestFlowRuleOfARebuild(t *testing.T) {
	b := &bench{t: t, lsn: 1 << 32}
	b.open(smallOptions(powerfs.New()))
	defer func() { b.must(b.x.Close()) }()
	b.must(b.a.Begin(b.lsn))
	older, newer := inLine("", "key"), inLine("", "key")
	newer.Parallelism = 7
	for seq, m := range []*record.Message{&newer, &older} {
		row := record.Row{User: 1, Nonce: m.Nonce, Seq: uint64(900 - seq), Pos: uint64(900 - seq), Lane: m.Lane, Host: m.Host, Due: m.Due, Line: m.Line}
		b.apply(&record.Move{Row: row, Old: row.Pos, What: record.MovePending, Record: m.Append(nil)})
	}
	b.must(b.a.Replayed())
	b.flush()
	if f, ok, err := b.x.Flow(1, "key"); !ok || err != nil || f.FlowRule != newer.FlowRule || f.Count != 2 {
		t.Fatalf("%+v, %v, %v; want %+v", f, ok, err, newer.FlowRule)
	}
}

// TestGroups: the newest definition is the group, until it is dropped.
func TestGroups(t *testing.T) {
	b := newBench(t)
	d := record.Group{User: 1, Name: "g", Endpoints: []record.Endpoint{{URL: "http://a.example/", Name: "n"}}}
	pos := b.apply(&d)
	n := uint32(len(d.Append(nil)))
	d.Updated, d.Old, d.OldLen = 7, pos, n
	pos = b.apply(&d)
	b.apply(&record.Group{User: 2, Name: "g"})
	b.flush()
	got, ok, err := b.x.Group(1, "g")
	want := Group{User: 1, Name: "g", Pos: pos, Len: n, Payload: d.Append(nil)}
	if !ok || err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v, %v; want %+v", got, ok, err, want)
	}
	users := func(walk func(fn func(*Group) error) error) (ids []uint32) {
		b.must(walk(func(g *Group) error { ids = append(ids, g.User); return nil }))
		return ids
	}
	if all := users(b.x.Groups); !slices.Equal(all, []uint32{1, 2}) {
		t.Fatalf("groups of users %v", all)
	}
	if mine := users(func(fn func(*Group) error) error { return b.x.UserGroups(2, fn) }); !slices.Equal(mine, []uint32{2}) {
		t.Fatalf("groups of user 2: %v", mine)
	}
	b.apply(&record.DropGroup{User: 1, Name: "g", Old: pos, OldLen: n})
	b.flush()
	if _, ok, err := b.x.Group(1, "g"); ok || err != nil {
		t.Fatalf("after its end: %v, %v", ok, err)
	}
	if _, ok, err := b.x.Group(2, "g"); !ok || err != nil {
		t.Fatalf("another user's: %v, %v", ok, err)
	}
}

// TestQueueReads: what one account has under its names is read without others'.
func TestQueueReads(t *testing.T) {
	b := newBench(t)
	want := []Queue{}
	for _, user := range []uint32{0, 1, ^uint32(0)} {
		for _, name := range testLineNames {
			b.apply(&record.Queue{User: user, Name: name, Parallelism: 1 + user})
			want = append(want, Queue{User: user, Name: name})
		}
	}
	b.flush()
	slices.SortFunc(want, func(a, b Queue) int {
		return slices.Compare(namedKey(nil, kindQueue, a.User, []byte(a.Name)), namedKey(nil, kindQueue, b.User, []byte(b.Name)))
	})
	take := func(into *[]Queue) func(*Queue) error {
		return func(q *Queue) error {
			if q.ID != record.QueueID(q.User, q.Name) || q.Parallelism != 1+q.User {
				t.Errorf("%+v", q)
			}
			*into = append(*into, Queue{User: q.User, Name: q.Name})
			return nil
		}
	}
	var all, some []Queue
	b.must(b.x.Queues(take(&all)))
	for _, user := range []uint32{0, 1, 2, ^uint32(0)} {
		b.must(b.x.UserQueues(user, take(&some)))
	}
	if !slices.Equal(all, want) || !slices.Equal(some, want) {
		t.Fatalf("all  %+v\nby account %+v\nwant %+v", all, some, want)
	}
	if _, ok, err := b.x.Queue(1, "abc"); ok || err != nil {
		t.Fatalf("a queue that there is not: %v, %v", ok, err)
	}
}

// TestDamagedLineRows: a row of a wrong length, or of what no version writes, is refused.
func TestDamagedLineRows(t *testing.T) {
	b := newBench(t)
	b.apply(&record.Queue{User: 1, Name: "q", Parallelism: 1})
	b.apply(&record.Flow{User: 1, Key: "key", Flags: record.FlowPaused})
	b.apply(&record.Group{User: 1, Name: "g"})
	b.publish(inLine("q", "key"))
	b.flush()
	refused := map[byte]func(k, v []byte) error{
		kindQueue:   func(k, v []byte) error { return decodeQueue(k, v, new(Queue)) },
		kindFlow:    func(k, v []byte) error { return decodeFlow(k, v, new(Flow)) },
		kindMessage: func(_, v []byte) error { return decodeRow(v, new(record.Row)) },
		kindPending: func(_, v []byte) error { return decodeRow(v, new(record.Row)) },
		kindLane:    func(k, v []byte) error { _, err := decodeLane(k, v); return err },
	}
	for k, v := range dump(t, b.x) {
		decode := refused[k[0]]
		if decode == nil {
			continue
		}
		b.must(decode([]byte(k), []byte(v)))
		for n := range len(v) {
			if k[0] == kindLane && n == laneSize {
				continue
			}
			if decode([]byte(k), []byte(v)[:n]) == nil {
				t.Errorf("%q: %d of %d bytes are taken", k[0], n, len(v))
			}
		}
		if decode([]byte(k), append([]byte(v), 0)) == nil {
			t.Errorf("%q: a byte more is taken", k[0])
		}
		delete(refused, k[0])
	}
	if len(refused) > 1 { // of rows there are two kinds of keys
		t.Fatalf("%d kinds were not tried", len(refused))
	}
}

// TestSharedHistory: a member's and a callback's history begin at their seq, say where
// the record is that they share, and have the destination.
func TestSharedHistory(t *testing.T) {
	b := newBench(t)
	shared := inLine("q", "key")
	shared.Lane, shared.Host, shared.Nonce, shared.Topic = 0, 0, 0, "topic"
	f := record.Fanout{Message: shared.Append(nil), Members: []record.Member{
		{Nonce: 11, Lane: 1, URL: "http://a.example/"}, {Nonce: 12, Lane: 2, URL: "http://b.example/", Endpoint: "b"},
	}}
	lsn := b.apply(&f)
	callback := record.Message{User: 1, Nonce: 13, Lane: 3, URL: "http://c.example/", Created: testNow, Due: testNow}
	row, ok, err := b.current(lsn + 1)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	called := b.endWith(row, record.Delivered, callback)[0]
	b.flush()
	for _, c := range []struct {
		seq, pos, nonce uint64
		want            record.HistoryFields
	}{
		{lsn, lsn, 11, record.HistoryFields{URL: "http://a.example/", QueueName: "q", FlowKey: "key", TopicName: "topic"}},
		{lsn + 1, lsn, 12, record.HistoryFields{URL: "http://b.example/", QueueName: "q", FlowKey: "key", TopicName: "topic", Endpoint: "b"}},
		{called.Seq, called.Pos, 13, record.HistoryFields{URL: "http://c.example/"}},
	} {
		rows := 0
		b.must(b.x.MessageHistory(c.seq, testNow, testNow, func(h *History) (bool, error) {
			rows++
			if h.Seq != c.seq || h.Pos != c.pos || h.Nonce != c.nonce || h.Created == nil || !reflect.DeepEqual(h.Created.HistoryFields, c.want) {
				t.Errorf("%+v, %+v; want %+v", h, h.Created, c)
			}
			return true, nil
		}))
		if rows != 1 {
			t.Errorf("%d rows of %d", rows, c.seq)
		}
	}
}

func (b *bench) current(seq uint64) (record.Row, bool, error) { return b.a.current(seq) }

// TestDedupFanout: a duplicate of a fan-out is answered with every member.
func TestDedupFanout(t *testing.T) {
	b := newBench(t)
	hash := [16]byte{1, 2, 3}
	f := record.Fanout{
		Message: (&record.Message{User: 1, Created: testNow, DedupKey: hash}).Append(nil),
		Members: []record.Member{{Nonce: 11, URL: "http://a.example/"}, {Nonce: 12, URL: ""}, {Nonce: 13, URL: "http://c.example/"}},
	}
	lsn := b.apply(&f)
	b.flush()
	want := Deduped{Seq: lsn, Nonce: 11, Members: []DedupMember{{11, "http://a.example/"}, {12, ""}, {13, "http://c.example/"}}}
	if d, ok, err := b.x.Dedup(1, &hash, testNow+5); !ok || err != nil || !reflect.DeepEqual(d, want) {
		t.Fatalf("%+v, %v, %v; want %+v", d, ok, err, want)
	}
	v := appendDedup(nil, dedupFanout, lsn, 11, testNow)
	whole := appendDedupMembers(v, []record.MemberHead{{Nonce: 1, URL: []byte("http://a.example/")}})
	for n := range len(whole) {
		if _, _, err := decodeDedup(whole[:n]); err == nil && n != len(v) {
			t.Errorf("%d of %d bytes are taken", n, len(whole))
		}
	}
	for _, bad := range [][]byte{append(appendDedup(nil, dedupMessage, 1, 2, 3), 0), appendDedup(nil, dedupFanout+1, 1, 2, 3)} {
		if _, _, err := decodeDedup(bad); err == nil {
			t.Errorf("%x is taken", bad)
		}
	}
}

// TestApplyRefusesLines: a callback is in an outcome, and what leads through a queue or a
// key has its name.
func TestApplyRefusesLines(t *testing.T) {
	report := record.Message{Flags: record.FlagReport}
	queue, key := record.Message{Line: record.Line{Queue: 1}}, record.Message{Line: record.Line{Flow: 1}}
	for name, m := range map[string]record.Message{"a callback": report, "a queue without a name": queue, "a key without a name": key} {
		b := newBench(t)
		if err := b.a.Record(b.lsn, m.Append(nil)); !errors.Is(err, record.ErrUnknown) && !errors.Is(err, record.ErrTruncated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRecount: whatever the summaries and the counts of live bytes say, recounting makes
// them what the rows say.
func TestRecount(t *testing.T) {
	b := newBench(t)
	var rows []record.Row
	for range 5 {
		rows = append(rows, b.publish(inLine("q", "")), b.publish(inLine("", "key")), b.publish(inLine("", "")))
	}
	b.apply(&record.Queue{User: 1, Name: "q", Parallelism: 1})
	b.apply(&record.Flow{User: 1, Key: "key", Flags: record.FlowPaused})
	b.apply(&record.Group{User: 1, Name: "g"})
	s := nightly(1, "a")
	b.apply(&s)
	b.end(rows[1], record.Dead, 0)
	callback := inLine("", "key")
	b.endWith(rows[0], record.Delivered, callback, callback)
	f := record.Fanout{Message: callback.Append(nil), Members: []record.Member{{Nonce: 1, Lane: 7}, {Nonce: 2, Lane: 8}, {Nonce: 3, Lane: 7}}}
	b.apply(&f)
	b.flush()
	want := dump(t, b.x)
	for _, r := range rows[3:] { // outcomes of messages that nobody published, and more
		r.Seq += 8
		r.Nonce++
		for range 4 {
			b.end(r, record.Canceled, 0)
			r.Seq += 8
		}
	}
	b.flush()
	if got := dump(t, b.x); got[string(laneKey(nil, 5))] == want[string(laneKey(nil, 5))] {
		t.Fatal("the summaries are right as they are: the test shows nothing")
	}
	b.must(b.a.Recount())
	got := dump(t, b.x)
	for k, v := range want {
		w, n := []byte(v), []byte(got[k])
		if k[0] == kindLane && len(w) == len(n) { // it may know better where the lane begins
			clear(w[8:16])
			clear(n[8:16])
		}
		if k[0] != kindApplied && k[0] != kindStats && !bytes.Equal(w, n) {
			t.Errorf("key %q is %x, want %x", k, got[k], v)
		}
	}
	if _, pending, err := sumStats(got); err != nil || pending[1] != 18 {
		t.Errorf("%d messages are pending, want 18 (%v)", pending[1], err)
	}
	if total := b.a.LiveBytes(); total != live(want) {
		t.Errorf("%d bytes count, want %d", total, live(want))
	}
	b.must(b.a.Recount()) // nothing is left over
	if n := b.a.PendingMessages(); n != 18 {
		t.Errorf("operators are told of %d pending messages, want 18", n)
	}
	again := dump(t, b.x)
	for k := range again {
		if again[k] != got[k] {
			t.Errorf("a second time: key %q is %x, was %x", k, again[k], got[k])
		}
	}
}

// live adds up the counts of live bytes.
func live(kv map[string]string) (n int64) {
	for k, v := range kv {
		if k[0] == kindLive {
			n += int64(be.Uint64([]byte(v)))
		}
	}
	return n
}
