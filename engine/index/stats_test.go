package index

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/engine/record"
)

// TestBuckets: each time has one bucket, buckets are in order, and none is wider than a
// quarter of what it begins with.
func TestBuckets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		v := rng.Int64N(1 << (1 + rng.IntN(27)))
		i := bucketOf(v)
		if end := bucketEnd(i); end < v || end > v+v/4 || bucketOf(end) != i || bucketOf(end+1) != min(i+1, spreadBuckets-1) {
			t.Fatalf("%d ms is in bucket %d, which ends at %d", v, i, end)
		}
	}
	for v, want := range map[int64]int{-5: 0, 0: 0, 7: 7, 8: 8, spreadMax: spreadBuckets - 1, math.MaxInt64: spreadBuckets - 1} {
		if i := bucketOf(v); i != want {
			t.Errorf("%d ms is in bucket %d, want %d", v, i, want)
		}
	}
}

// statsOf reads an account's statistics.
func (b *bench) statsOf(user uint32, from, to, step int64) (points []StatsPoint, total StatsPoint, pending uint64) {
	b.t.Helper()
	total, pending, err := b.x.Stats(user, from, to, step, func(p StatsPoint) { points = append(points, p) })
	b.must(err)
	return points, total, pending
}

// publishAt and endAt apply a message and what came of it, at times in ms.
func (b *bench) publishAt(user uint32, at int64) record.Row {
	return b.publish(record.Message{User: user, Nonce: 9, Lane: 5, Host: 6, Created: at, Due: at})
}

func (b *bench) endAt(r record.Row, k record.Kind, at int64, took uint32) {
	o := record.Outcome{Row: r, Kind: k, At: at, Took: took, Attempt: 1, Next: at + 1000}
	if k == record.Canceled {
		o.Attempt, o.Took = 0, 0
	}
	b.apply(&o)
}

// TestStats follows two accounts through seconds and minutes, and over a restart.
func TestStats(t *testing.T) {
	b := newBench(t)
	const now = testNow
	at := int64(now / 1000)
	first := b.publishAt(1, now)
	b.endAt(first, record.Delivered, now+500, 100)
	b.flush()
	late := b.publishAt(1, now+1500)
	b.endAt(late, record.Retry, now+3900, 400)
	late.Tries, late.Due = 1, now+4900
	b.endAt(late, record.Dead, now+5000, 100)
	b.endAt(b.publishAt(1, now+70_000), record.Canceled, now+70_001, 0)
	b.publishAt(1, now+70_002)
	b.publishAt(2, now+1000)
	b.flush()

	want := []StatsPoint{
		{At: at, Published: 1, Delivered: 1, Latency: Quantiles{1, 511, 511, 511, 511}, Lateness: Quantiles{1, 447, 447, 447, 447}},
		{At: at + 1, Published: 1, Backlog: 1},
		{At: at + 3, Retried: 1, Backlog: 1, Lateness: Quantiles{1, 2047, 2047, 2047, 2047}},
		{At: at + 5, Failed: 1, Lateness: Quantiles{1, 0, 0, 0, 0}},
		{At: at + 70, Published: 2, Canceled: 1, Backlog: 1},
	}
	points, total, pending := b.statsOf(1, at, at+3600, 1)
	samePoints(t, points, want)
	if pending != 1 || total.Published != 4 || total.Delivered != 1 || total.Retried != 1 || total.Failed != 1 || total.Canceled != 1 ||
		total.Backlog != 1 || total.Lateness != (Quantiles{3, 447, 2047, 2047, 2047}) {
		t.Errorf("%d pending, in all %+v", pending, total)
	}
	points, _, _ = b.statsOf(1, at+1, at+5, 1)
	samePoints(t, points, want[1:3])
	minutes := []StatsPoint{
		{
			At: at, Published: 2, Delivered: 1, Retried: 1, Failed: 1,
			Latency: want[0].Latency, Lateness: Quantiles{3, 447, 2047, 2047, 2047},
		},
		{At: at + 60, Published: 2, Canceled: 1, Backlog: 1},
	}
	check := func() {
		t.Helper()
		points, again, _ := b.statsOf(1, at, at+3600, 60)
		samePoints(t, points, minutes)
		if again != total {
			t.Errorf("minutes are %+v in all, seconds %+v", again, total)
		}
		points, again, pending = b.statsOf(1, at+59, at+7200, 300) // steps begin where they always do
		if len(points) != 1 || points[0].At != at || again.Published != 4 {
			t.Errorf("by five minutes: %+v", points)
		}
		points, _, pending = b.statsOf(2, at, at+3600, 60)
		if len(points) != 1 || points[0].Published != 1 || pending != 1 {
			t.Errorf("the other account: %+v, %d pending", points, pending)
		}
		if points, total, pending := b.statsOf(3, at, at+3600, 60); len(points) != 0 || pending != 0 || total.Published != 0 {
			t.Errorf("an account that did nothing: %+v", points)
		}
	}
	check()
	b.reopen()
	check()
	if _, _, err := b.x.Stats(1, at, at+3600, 1, func(StatsPoint) {}); !errors.Is(err, ErrNoSeconds) {
		t.Errorf("the seconds of before a restart: %v", err)
	}
	b.publishAt(1, now+80_000)
	b.flush()
	points, _, pending = b.statsOf(1, at+80, at+100, 1)
	samePoints(t, points, []StatsPoint{{At: at + 80, Published: 1, Backlog: 2}})
	minutes[1].Published, minutes[1].Backlog, total.Published, total.Backlog = 3, 2, 5, 2
	points, _, _ = b.statsOf(1, at, at+3600, 60)
	samePoints(t, points, minutes)
}

func samePoints(t *testing.T, got, want []StatsPoint) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing: %+v", want[i])
		case i >= len(want):
			t.Errorf("too many: %+v", got[i])
		case got[i] != want[i]:
			t.Errorf("point %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// reopen closes the index and opens it again, as a restart does.
func (b *bench) reopen() {
	b.t.Helper()
	o := b.x.opts
	b.must(b.x.Close())
	b.open(o)
}

// TestStatsOfAClock: what is a little late is counted with what is open; where the clock
// was set back minutes are counted for again. Nothing is lost either way.
func TestStatsOfAClock(t *testing.T) {
	b := newBench(t)
	n := uint64(0)
	for i, ms := range []int64{0, 1000, 999, 3000, 1500, 120_000, 0, 500, 121_000, -3_600_000, 60_000, 0, 59_999} {
		b.publishAt(1, testNow+ms)
		n++
		if i%3 == 0 {
			b.flush()
		}
		if i%5 == 0 {
			b.flush()
			b.reopen()
		}
	}
	b.flush()
	at := int64(testNow / 1000)
	_, total, pending := b.statsOf(1, at-7200, at+3600, 60)
	if total.Published != n || pending != n {
		t.Errorf("%d published, %d pending, want %d", total.Published, pending, n)
	}
}

// TestStatsAreBounded: idle accounts keep nothing in memory, and there are never more
// open counts than there may be.
func TestStatsAreBounded(t *testing.T) {
	b := newBench(t)
	const many = openAccountsMax + 100
	ended := func(user uint32, at int64) {
		b.endAt(b.publishAt(user, at), record.Delivered, at+1, 1)
	}
	for user := range uint32(many) {
		ended(user, testNow)
	}
	b.flush()
	s := &b.a.accounts
	if s.open != 0 || len(s.byUser) != 0 || len(s.free) > openAccountsMax {
		t.Errorf("%d accounts open after a batch of too many, %d known, %d free", s.open, len(s.byUser), len(s.free))
	}
	for user := range uint32(10) {
		ended(user, testNow+2000)
	}
	kept := b.publishAt(3, testNow+2001)
	b.flush()
	if s.open != 10 || len(s.byUser) != 10 {
		t.Errorf("%d accounts open, %d known, want 10", s.open, len(s.byUser))
	}
	ended(20, testNow+120_000)
	b.flush()
	if s.open != 1 || len(s.byUser) != 2 { // the new one, and the one with a message
		t.Errorf("%d accounts open, %d known, want 1 and 2", s.open, len(s.byUser))
	}
	b.endAt(kept, record.Canceled, testNow+120_000, 0)
	b.publishAt(20, testNow+240_000)
	b.flush()
	at := int64(testNow / 1000)
	for user, want := range map[uint32]uint64{3: 3, 15: 1, many - 1: 1, 20: 3} {
		if _, total, _ := b.statsOf(user, at, at+3600, 60); total.Published != want {
			t.Errorf("account %d: %+v, want %d published", user, total, want)
		}
	}
}

// TestSeconds: what is older than an hour, or has no room, is forgotten, and is not passed
// off as nothing.
func TestSeconds(t *testing.T) {
	var s seconds
	s.begin(-1, math.MinInt64, true)
	add := func(user uint32, at int64, size int) {
		s.addLocked([]closedSecond{{user: user, at: at, piece: make([]byte, size)}})
	}
	check := func(user uint32, from, to int64, want ...int64) {
		t.Helper()
		found, ok := s.ofLocked(user, from, to)
		if ok != (want != nil) || ok && len(found) != len(want) {
			t.Fatalf("account %d from %d to %d: %v, %v, want %v", user, from, to, found, ok, want)
		}
		for i := range found {
			if found[i].at != want[i] || found[i].user != user {
				t.Errorf("found %+v, want %d", found[i], want[i])
			}
		}
	}
	for at := range int64(10) {
		add(uint32(at%2), 1000+at, 10)
	}
	add(0, 1003, 10) // a part of one that came later
	check(0, 0, 2000, 1000, 1002, 1003, 1004, 1006, 1008)
	check(1, 1003, 1007, 1003, 1005)
	add(0, 1005+secondsKept, 10)
	check(1, 1004, 2000)
	check(1, 1005, 2000, 1005, 1007, 1009)
	check(2, 1005, 2000, []int64{}...)
	for at := range int64(4000) {
		add(7, 6000+at/2, 8<<10)
	}
	if s.size > secondsBytes || len(s.list)-s.head != s.size/(secondSize+8<<10) || len(s.newest) != 1 || len(s.list) > 5000 {
		t.Errorf("%d bytes, %d of %d entries, %d accounts", s.size, len(s.list)-s.head, len(s.list), len(s.newest))
	}
	check(7, 7999, 9000, 7999, 7999)
	check(7, s.since-1, 9000)
}

// TestTrimStats: statistics go with the history of their day.
func TestTrimStats(t *testing.T) {
	b := newBench(t)
	for day := range int64(3) {
		b.publishAt(1, testNow+day*dayMillis)
		b.publishAt(1, testNow+day*dayMillis+120_000)
		b.flush()
	}
	trim, ok, err := b.x.OldHistory(testNow+dayMillis+1000, 1, math.MaxInt64)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	b.must(b.a.Trim(trim))
	b.flush()
	at := int64(testNow / 1000)
	points, total, pending := b.statsOf(1, at, at+4*dayMillis/1000, 60)
	if len(points) != 4 || points[0].At != at+dayMillis/1000 || total.Published != 4 || pending != 6 {
		t.Errorf("%+v, %d pending", points, pending)
	}
}
