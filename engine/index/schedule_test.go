package index

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/record"
)

// nightly is a schedule as an account defines it.
func nightly(user uint32, id string) record.Schedule {
	m := record.Message{URL: "http://a.example/", Body: []byte("tick")}
	return record.Schedule{
		User: user, ID: id, Cron: "0 0 * * *", Created: testNow, Jitter: 7,
		Ticks: record.Ticks{Last: testNow, Next: testNow + dayMillis}, Message: m.Append(nil),
	}
}

// define applies a definition that replaces was, and returns the row.
func (b *bench) define(d record.Schedule, was *Schedule) Schedule {
	b.t.Helper()
	if was != nil {
		d.Old, d.OldLen = was.Pos, was.Len
	}
	lsn := b.apply(&d)
	return Schedule{
		User: d.User, ID: d.ID, Pos: lsn, Len: uint32(d.Size()), Paused: d.Flags&record.FlagPaused != 0, Jitter: d.Jitter,
		Rule: d.Rule(), Created: d.Created, Ticks: d.Ticks, Error: d.Error,
	}
}

// ticked applies the message of a tick and returns its row and the schedule's.
func (b *bench) ticked(s Schedule, at int64) (record.Row, Schedule) {
	b.t.Helper()
	row := b.publish(record.Message{
		Flags: record.FlagTick, User: s.User, Nonce: 99, Created: at, Schedule: s.ID, Tick: record.ScheduleTick{Time: at, Next: at + dayMillis},
	})
	s.Error = ""
	s.Ticks = record.Ticks{Last: at, Next: at + dayMillis, Run: at, RunSeq: row.Seq, RunNonce: 99}
	return row, s
}

// checkSchedules compares everything that reads schedules with what they should be.
func checkSchedules(t *testing.T, x *Index, want []Schedule) {
	t.Helper()
	slices.SortFunc(want, func(a, b Schedule) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.ID, b.ID))
	})
	var all, byUser []Schedule
	collect := func(to *[]Schedule) func(*Schedule) error {
		return func(s *Schedule) error { *to = append(*to, *s); return nil }
	}
	if err := x.Schedules(collect(&all)); err != nil || !slices.Equal(all, want) {
		t.Fatalf("all schedules: %v\n got %+v\nwant %+v", err, all, want)
	}
	for _, user := range []uint32{0, 1, 2, 3, 1 << 24, ^uint32(0) - 1, ^uint32(0)} {
		if err := x.UserSchedules(user, collect(&byUser)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(byUser, want) {
		t.Fatalf("account by account\n got %+v\nwant %+v", byUser, want)
	}
	for i := range want {
		s, ok, err := x.Schedule(want[i].User, want[i].ID)
		if !ok || err != nil || s != want[i] {
			t.Fatalf("%+v, %v, %v; want %+v", s, ok, err, want[i])
		}
		for _, id := range []string{want[i].ID + "x", want[i].ID[1:], ""} {
			known := slices.ContainsFunc(want, func(s Schedule) bool { return s.User == want[i].User && s.ID == id })
			if _, ok, err := x.Schedule(want[i].User, id); ok != known || err != nil {
				t.Fatalf("schedule %q of %d: %v, %v", id, want[i].User, ok, err)
			}
		}
	}
}

// TestScheduleLife: what each record makes of a schedule's rows, and of what counts in
// the log.
func TestScheduleLife(t *testing.T) {
	b := newBench(t)
	check := func(live int64, want ...Schedule) {
		t.Helper()
		b.flush()
		checkSchedules(t, b.x, want)
		if got := b.a.LiveBytes(); got != live {
			t.Fatalf("%d bytes count, want %d", got, live)
		}
	}
	check(0)
	first := b.define(nightly(1, "a"), nil)
	check(recordBytes(first.Len), first)

	row, s := b.ticked(first, testNow)
	check(recordBytes(first.Len)+recordBytes(row.Len), s)
	b.end(row, record.Delivered, 0)
	check(recordBytes(first.Len), s)
	row, s = b.ticked(first, testNow+1000) // published and ended in one batch (X3): the schedule has come as far
	b.end(row, record.Delivered, 0)
	check(recordBytes(first.Len), s)

	k := record.Tick{User: 1, ID: "a", At: testNow + 2000, Ticks: record.Ticks{Last: testNow + 5, Run: 6, RunSeq: 7, RunNonce: 8}, Error: "down"}
	b.apply(&k)
	s.Ticks, s.Error = k.Ticks, "down"
	check(recordBytes(first.Len), s)

	longer := nightly(1, "a")
	longer.Flags, longer.Cron, longer.Created = record.FlagPaused, "CRON_TZ=Europe/Berlin 0 0 * * *", 5
	second := b.define(longer, &first)
	check(recordBytes(second.Len), second) // the ticks before it are over
	if second.Rule == first.Rule || !second.Paused {
		t.Fatalf("%+v", second)
	}

	other := b.define(nightly(2, "a"), nil)
	check(recordBytes(second.Len)+recordBytes(other.Len), second, other)
	_, _ = b.ticked(second, testNow+3000)
	b.apply(&record.DropSchedule{User: 1, ID: "a", Old: second.Pos, OldLen: second.Len})
	b.flush()
	if got := kinds(t, b.x); got[kindSchedule] != 1 || got[kindTick] != 0 {
		t.Fatalf("rows of a schedule outlive it: %v", got)
	}
	checkSchedules(t, b.x, []Schedule{other})
	again := b.define(nightly(1, "a"), nil)
	b.flush()
	checkSchedules(t, b.x, []Schedule{again, other})
}

// TestScheduleReads: after any records, in any batches, each way to read says what the
// model says, also through an applier that continues.
func TestScheduleReads(t *testing.T) {
	const seed = 5
	b := newBench(t)
	g := generator{rng: rand.New(rand.NewPCG(seed, 1)), m: newModel(), lsn: b.lsn, now: testNow}
	most := 0
	for i := range 2000 {
		p := g.scheduleRecord()
		g.lsn += 512
		b.must(g.m.apply(logged{g.lsn, p}))
		b.must(b.a.Record(g.lsn, p))
		b.a.EndGroup(positionAt(g.lsn + 8))
		if g.rng.IntN(40) == 0 {
			b.flush()
			most = max(most, len(g.m.schedules))
			checkSchedules(t, b.x, slices.Collect(maps.Values(g.m.schedules)))
		}
		if i%500 == 0 {
			b.flush()
			var err error
			b.a, err = b.x.NewApplier()
			b.must(err)
		}
	}
	if most < 3*len(testScheduleIDs) {
		t.Fatalf("seed %d: never more than %d schedules: the test shows little", seed, most)
	}
}

// TestScheduleFromBelow: an index that is rebuilt from a log whose beginning is gone
// counts nothing of what the definitions in it replaced there (W10).
func TestScheduleFromBelow(t *testing.T) {
	b := newBench(t)
	b.lsn = 3<<32 | 512
	b.must(b.a.Begin(3 << 32))
	gone := Schedule{Pos: 2<<32 | 512, Len: 400}
	kept := b.define(nightly(1, "a"), &gone)
	b.apply(&record.DropSchedule{User: 1, ID: "b", Old: 2<<32 | 1024, OldLen: 300})
	_, _ = b.ticked(Schedule{User: 1, ID: "c"}, testNow) // its definition is gone, and so will it be
	b.apply(&record.DropSchedule{User: 1, ID: "c", Old: 2<<32 | 2048, OldLen: 300})
	b.flush()
	want := recordBytes(kept.Len)
	b.must(b.x.Pending(func(r *record.Row) error { want += recordBytes(r.Len); return nil }))
	b.must(b.a.Replayed())
	b.must(b.a.Forget(3 << 32))
	b.flush()
	checkSchedules(t, b.x, []Schedule{kept})
	if got := b.a.LiveBytes(); got != want {
		t.Errorf("%d bytes count, want %d", got, want)
	}
	for s, n := range b.a.live.bytes {
		if s != 3 || n < 0 {
			t.Errorf("segment %d counts %d bytes", s, n)
		}
	}
}

// TestScheduleWithoutDefinition: how far a schedule has come says nothing without its
// definition, which a repair may have given up, and is not taken for a later one's.
func TestScheduleWithoutDefinition(t *testing.T) {
	b := newBench(t)
	row, _ := b.ticked(Schedule{User: 1, ID: "b"}, testNow)
	b.end(row, record.Delivered, 0)
	a, c := b.define(nightly(1, "a"), nil), b.define(nightly(1, "c"), nil)
	_, c = b.ticked(c, testNow)
	b.flush()
	checkSchedules(t, b.x, []Schedule{a, c})
	again := b.define(nightly(1, "b"), nil)
	b.flush()
	checkSchedules(t, b.x, []Schedule{a, again, c})
}

// TestDamagedScheduleRows: a row of a wrong length is refused wherever it is read.
func TestDamagedScheduleRows(t *testing.T) {
	b := newBench(t)
	_, s := b.ticked(b.define(nightly(1, "a"), nil), testNow)
	b.flush()
	row, tick := string(namedKey(nil, kindSchedule, 1, []byte("a"))), string(namedKey(nil, kindTick, 1, []byte("a")))
	good := dump(t, b.x)
	refused := func(key string, v []byte) {
		t.Helper()
		b.must(b.x.db.Set([]byte(key), v, pebble.NoSync))
		_, _, err := b.x.Schedule(1, "a")
		walk := b.x.Schedules(func(*Schedule) error { return nil })
		user := b.x.UserSchedules(1, func(*Schedule) error { return nil })
		if !errors.Is(err, errBadValue) || !errors.Is(walk, errBadValue) || !errors.Is(user, errBadValue) {
			t.Errorf("row %q with %d bytes: %v, %v, %v", key, len(v), err, walk, user)
		}
		b.must(b.x.db.Set([]byte(key), []byte(good[key]), pebble.NoSync))
	}
	for n := range len(good[row]) {
		refused(row, []byte(good[row][:n]))
	}
	for n := range len(good[tick]) {
		refused(tick, []byte(good[tick][:n]))
	}
	for flag := 2; flag < 256; flag++ {
		v := []byte(good[row])
		v[12] = byte(flag)
		refused(row, v)
	}
	checkSchedules(t, b.x, []Schedule{s})
	b.must(b.x.db.Set([]byte{kindSchedule, 0, 0, 0, 1}, []byte(good[row]), pebble.NoSync))
	if err := b.x.Schedules(func(*Schedule) error { return nil }); !errors.Is(err, errBadValue) {
		t.Errorf("a row without an id: %v", err)
	}
}

// TestMissedInHistory: ticks that published nothing are a row at their record, between
// those of messages, in order and backwards, with the beginning of a long text.
func TestMissedInHistory(t *testing.T) {
	b := newBench(t)
	before := b.publishHook(testNow)
	k := record.Tick{
		User: 7, ID: strings.Repeat("i", 256), At: testNow + 5000, Ticks: record.Ticks{Last: 1, Next: 2, Run: 3, RunSeq: 4, RunNonce: 5},
		From: 6, To: 7, Count: 8, More: true, Error: strings.Repeat("é", 100),
	}
	lsn := b.apply(&k)
	after := b.publishHook(testNow + 6000)
	b.flush()
	rows := b.history()
	if len(rows) != 3 || rows[0].Seq != before.Seq || rows[2].Seq != after.Seq {
		t.Fatalf("%+v", rows)
	}
	k.Error = strings.Repeat("é", historyErrorMax/2)
	if want := (History{LSN: lsn, User: 7, Missed: &k}); !reflect.DeepEqual(rows[1], want) {
		t.Fatalf("%+v, want %+v", *rows[1].Missed, k)
	}
	var back []uint64
	b.must(b.x.History(^uint64(0), true, func(h *History) (bool, error) {
		back = append(back, h.LSN)
		return true, nil
	}))
	if !slices.Equal(back, []uint64{after.Seq, lsn, before.Seq}) {
		t.Fatalf("backwards: %d", back)
	}
	if since, err := b.x.HistorySince(testNow + 5000); err != nil || since != lsn {
		t.Fatalf("since the ticks: %d, %v; want %d", since, err, lsn)
	}
}

// TestDamagedMissedRow: cut anywhere, or with a flag too many, it is refused.
func TestDamagedMissedRow(t *testing.T) {
	b := newBench(t)
	lsn := b.apply(&record.Tick{User: 7, ID: "a", At: testNow, Error: "down"})
	b.flush()
	key := historyKey(nil, lsn)
	v := []byte(dump(t, b.x)[string(key)])
	var h History
	b.must(decodeHistory(key, v, &h))
	for n := range v {
		if err := decodeHistory(key, v[:n], &h); err == nil {
			t.Errorf("%d of %d bytes pass", n, len(v))
		}
	}
	for flags := range 256 {
		p := bytes.Clone(v)
		p[0] = byte(flags)
		if err := decodeHistory(key, p, &h); err == nil && flags != historyTicks && flags&historyTicks != 0 {
			t.Errorf("flags %#x pass", flags)
		}
	}
	if err := decodeHistory(key, append(bytes.Clone(v), 0), &h); err == nil {
		t.Error("a byte too many passes")
	}
}

// TestTrimMissed: retention by age and by size takes rows of missed ticks as any other,
// also if there is nothing else.
func TestTrimMissed(t *testing.T) {
	fill := func(t *testing.T) (*bench, []uint64) {
		b := newBench(t)
		b.t = t
		var lsns []uint64
		for i := range int64(600) {
			k := record.Tick{User: 7, ID: "a", At: testNow + i*1000, Error: randomText(rand.New(rand.NewPCG(uint64(i), 4)), 100)}
			lsns = append(lsns, b.apply(&k))
		}
		b.flush()
		b.must(b.x.Flush())
		return b, lsns
	}
	trim := func(b *bench, cut, size int64) (left []uint64) {
		b.t.Helper()
		cutAt, ok, err := b.x.OldHistory(cut, 1, size)
		if b.must(err); !ok {
			b.t.Fatal("there is nothing to trim")
		}
		b.must(b.a.Trim(cutAt))
		b.flush()
		for _, h := range b.history() {
			left = append(left, h.LSN)
		}
		return left
	}
	t.Run("age", func(t *testing.T) {
		b, lsns := fill(t)
		if left := trim(b, testNow+400_000, 1<<40); !slices.Equal(left, lsns[400:]) {
			t.Errorf("%d rows are left, want 200", len(left))
		}
	})
	t.Run("size", func(t *testing.T) {
		b, lsns := fill(t)
		all, err := b.x.historySize(second{lsn: 0})
		b.must(err)
		left := trim(b, testNow, all/2)
		if len(left) == 0 || len(left) > 400 || !slices.Equal(left, lsns[600-len(left):]) {
			t.Errorf("%d rows of 600 are left of %d bytes, when there may be %d", len(left), all, all/2)
		}
	})
}

// randomText does not compress much.
func randomText(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(' ' + rng.IntN(95))
	}
	return string(b)
}
