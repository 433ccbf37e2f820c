package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

func TestReclaimable(t *testing.T) {
	const mib = 1 << 20
	log := func(n int) (s []wal.SegmentInfo) {
		for i := range n {
			first := wal.LSN(i+1) << 32
			s = append(s, wal.SegmentInfo{First: first, End: first + 60*mib, Size: 64 * mib, Sealed: i < n-1})
		}
		return s
	}
	for _, c := range []struct {
		name     string
		segments int
		live     int64
		durable  wal.LSN
		n        int
		blocked  bool
	}{
		{"only the head", 1, 0, 9 << 32, 0, false},
		{"nothing counts", 5, 0, 9 << 32, 4, false},
		{"all counts", 5, 5 * 64 * mib, 9 << 32, 0, false},
		{"half counts", 10, 5 * 64 * mib, 9 << 32, 3, false},
		{"the index knows nothing", 5, 0, 0, 0, true},
		{"the index is in the third", 5, 0, 3<<32 + 5, 2, true},
		{"a long log", 100, 0, 200 << 32, reclaimMax, false},
	} {
		if n, blocked := reclaimable(log(c.segments), logLimit(c.live, 64*mib, reclaimRatio), 2*mib, c.durable); n != c.n || blocked != c.blocked {
			t.Errorf("%s: %d, blocked %v; want %d, %v", c.name, n, blocked, c.n, c.blocked)
		}
	}
}

// TestLongRecordsAreNotMovedForEver: messages of which one fits a segment leave the
// rest of it, wherever they stand. Segments that restarts ended early can go.
func TestLongRecordsAreNotMovedForEver(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name      string
		size      int64 // of each segment's content
		recordMax int64
		n         int
	}{
		{"all live, one record in each", 40 * mib, 41 * mib, 0},
		{"all live, ended early", 40 * mib, 2 * mib, 1},
		{"all live, hardly begun", 2 * mib, 63 * mib, 9},
	} {
		var segments []wal.SegmentInfo
		for i := range wal.LSN(11) {
			first := (i + 1) << 32
			segments = append(segments, wal.SegmentInfo{First: first, End: first + wal.LSN(c.size), Size: 64 * mib, Sealed: i < 10})
		}
		if n, _ := reclaimable(segments, logLimit(11*c.size, 64*mib, reclaimRatio), c.recordMax, 99<<32); n < c.n || n > 0 && c.n == 0 {
			t.Errorf("%s: %d segments go, want %d", c.name, n, c.n)
		}
	}
}

func reclaimOptions(fs vfs.FS, w Wire) Options {
	o := testOptions(fs, w)
	o.SegmentSize, o.MessageMax, o.ResponseMax = 640<<10, 64<<10, 64<<10
	return o
}

// wireFunc is a Wire.
type wireFunc func(a *dispatch.Attempt, r *dispatch.Result)

func (f wireFunc) Do(a *dispatch.Attempt, r *dispatch.Result) { f(a, r) }

// deadWire refuses what goes to a host called dead, and takes everything else.
var deadWire = wireFunc(func(a *dispatch.Attempt, r *dispatch.Result) {
	*r = dispatch.Result{Status: 200}
	if strings.HasPrefix(a.URL, "http://dead.") {
		*r = dispatch.Result{Status: 500, Body: []byte("no")}
	}
})

// TestReclaimSettles: with one message in a hundred delayed by 90 days and the others
// delivered at once, the log settles at no more than 1.5 times what counts and two
// segments, restarts included, and everything is still there: accounts, messages and
// dead letters, also when the index is rebuilt from what is left.
func TestReclaimSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		o := reclaimOptions(fs, deadWire)
		e := open(t, o)
		var kept []*Publish
		var ids []string
		for round := range 3 {
			for i := range 2500 {
				p := &Publish{User: 1, URL: "http://live.example/", Body: fmt.Appendf(nil, "%d %d %s", round, i, strings.Repeat("x", 900))}
				switch {
				case i%100 == 0:
					p.Delay = 90 * 24 * time.Hour
				case i%500 == 1:
					p.URL = "http://dead.example/"
				}
				r, err := e.Publish(p)
				if err != nil {
					t.Fatal(err)
				}
				if p.Delay > 0 {
					kept, ids = append(kept, p), append(ids, r.MessageID)
				}
			}
			time.Sleep(time.Minute)
			checkSettled(t, e)
			checkKept(t, e, kept, ids, 5*(round+1))
			closeEngine(t, e)
			if round == 2 {
				if err := fs.RemoveAll("data/index"); err != nil {
					t.Fatal(err)
				}
			}
			e = open(t, o)
			if _, ok := e.Authenticate([]byte(testAccount.Token)); !ok {
				t.Fatal("the account is lost")
			}
			checkKept(t, e, kept, ids, 5*(round+1))
		}
		if first := e.log.First(); first.Segment() < 5 {
			t.Fatalf("the log still begins at %v: nothing was reclaimed", first)
		}
	})
}

// TestRestartsDoNotPileUp: a server that lives for a few seconds each time, and writes
// a little, does not leave a segment behind for each of its lives.
func TestRestartsDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := reclaimOptions(vfs.NewMem(), newFakeWire())
		most := 0
		for range 20 {
			e := open(t, o)
			publish(t, e, Publish{Body: []byte("at once")})
			time.Sleep(3500 * time.Millisecond)
			most = max(most, len(e.log.Segments()))
			closeEngine(t, e)
		}
		if most > 7 {
			t.Errorf("%d segments after 20 short lives", most)
		}
	})
}

func checkSettled(t *testing.T, e *Engine) {
	t.Helper()
	s := e.Stats()
	if limit := s.LiveBytes*3/2 + 2*e.opts.SegmentSize; s.LogBytes > limit {
		t.Fatalf("%d bytes of log, %d of them count: at most %d", s.LogBytes, s.LiveBytes, limit)
	}
	if s.MovedBytes == 0 || s.WriteAmplification <= 1 || s.WriteAmplification > 1.1 {
		t.Fatalf("write amplification %.3f with %d bytes moved of %d", s.WriteAmplification, s.MovedBytes, s.WrittenBytes)
	}
}

func checkKept(t *testing.T, e *Engine, kept []*Publish, ids []string, dead int) {
	t.Helper()
	for i, id := range ids {
		m, err := e.Message(1, id)
		if err != nil || !bytes.Equal(m.Body, kept[i].Body) {
			t.Fatalf("message %d, %s: %v", i, id, err)
		}
	}
	letters, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
	if err != nil || len(letters) != dead {
		t.Fatalf("%d dead letters, want %d: %v", len(letters), dead, err)
	}
	for _, d := range letters {
		if d.ResponseStatus != 500 || string(d.ResponseBody) != "no" || !strings.Contains(string(d.Body), "xxx") {
			t.Fatalf("dead letter %+v", d)
		}
	}
}

// TestReclaimRace: deliveries, cancels, reads, and deletes and retries of dead
// letters race with the moving of what they are about.
func TestReclaimRace(t *testing.T) {
	const seed = 1
	o := reclaimOptions(vfs.NewMem(), deadWire)
	o.reclaimEvery = 20 * time.Millisecond
	e := open(t, o)
	stop := make(chan struct{})
	var churn, users sync.WaitGroup
	for range 2 { // what makes segments go: these messages end at once
		churn.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 99))
			body := make([]byte, 8000) // that no compression makes smaller
			for i := range body {
				body[i] = byte(rng.Uint32())
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := e.Publish(&Publish{User: 1, URL: "http://live.example/", Body: body}); err != nil && !errors.Is(err, ErrOverloaded) {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range uint64(4) {
		users.Go(func() { raceMessages(t, e, rand.New(rand.NewPCG(seed, i)), 40) })
		users.Go(func() { raceDead(t, e, int(i), 6) })
	}
	users.Wait()
	close(stop)
	churn.Wait()
	if e.reclaimer.moved.Load() == 0 {
		t.Fatal("nothing was moved: the test shows nothing")
	}
	t.Logf("%d bytes moved, the log begins at %v", e.reclaimer.moved.Load(), e.log.First())
}

// raceMessages publishes messages that stay, reads them now and then, and cancels
// them one by one.
func raceMessages(t *testing.T, e *Engine, rng *rand.Rand, n int) {
	bodies := map[string][]byte{}
	var ids []string
	check := func(id string) {
		m, err := e.Message(1, id)
		if err != nil || !bytes.Equal(m.Body, bodies[id]) {
			t.Errorf("message %s: %v", id, err)
		}
	}
	for range n {
		body := make([]byte, rng.IntN(2000))
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		r, err := e.Publish(&Publish{User: 1, URL: "http://live.example/", Delay: 90 * 24 * time.Hour, Body: body})
		if err != nil {
			t.Error(err)
			return
		}
		bodies[r.MessageID] = body
		ids = append(ids, r.MessageID)
		check(ids[rng.IntN(len(ids))])
	}
	for i, id := range ids {
		if i%2 == 0 {
			check(id)
			continue
		}
		if err := e.Cancel(1, id); err != nil {
			t.Errorf("cancel %s: %v", id, err)
		}
		if _, err := e.Message(1, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("canceled message %s: %v", id, err)
		}
	}
}

// raceDead makes dead letters and deletes them, or retries them to die again.
func raceDead(t *testing.T, e *Engine, who, n int) {
	from := fmt.Sprintf("10.0.0.%d", who)
	for range n {
		if _, err := e.Publish(&Publish{User: 1, URL: "http://dead.example/", CallerIP: from, Body: []byte(from)}); err != nil {
			t.Error(err)
			return
		}
	}
	for ended, turn := 0, 0; ended < n && !t.Failed(); {
		letters, _, err := e.DeadLetters(DeadLetterQuery{User: 1, Filter: Filter{CallerIPs: []string{from}}})
		if err != nil {
			t.Error(err)
			return
		}
		for _, d := range letters {
			if string(d.Body) != from || string(d.ResponseBody) != "no" {
				t.Errorf("dead letter %+v", d)
			}
			if turn++; turn%3 == 0 {
				_, err = e.RetryDeadLetter(1, d.ID, nil)
			} else if err = e.DeleteDeadLetter(1, d.ID); err == nil {
				ended++
			}
			if err != nil {
				t.Errorf("dead letter %s: %v", d.ID, err)
			}
		}
	}
}

// TestAccountsAreCopiedOnce: looking at a segment again and again, as rounds that
// are not complete do, logs one copy of an account's newest record and not one
// each, and the copies of copies after that.
func TestAccountsAreCopiedOnce(t *testing.T) {
	o := reclaimOptions(vfs.NewMem(), newFakeWire())
	o.reclaimEvery = time.Hour
	e := open(t, o)
	nothing := func(*survivors) (bool, error) { return true, nil }
	before := e.log.Stats().Records
	for range 10 {
		if err := e.log.Rotate(); err != nil {
			t.Fatal(err)
		}
		segments := e.log.Segments()
		for _, seg := range segments[:len(segments)-1] {
			if _, err := e.evacuate(seg, nothing); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := e.log.Stats().Records - before; n > 10 {
		t.Errorf("ten rounds logged one account %d times", n)
	}
}

// TestDiesWhileSegmentIsRead: a message that was moved before, pending when the walk
// over its segment began, is a dead letter when the walk comes to it. Its record
// still counts: it must be seen as one or the other, or the segment would go and the
// dead letter's message with it.
func TestDiesWhileSegmentIsRead(t *testing.T) {
	e := manualEngine(t)
	apply := func() {
		t.Helper()
		if err := e.log.Commit(); err != nil {
			t.Fatal(err)
		}
		groups, _ := e.applier.take(nil)
		if _, err := e.applyGroups(groups); err != nil {
			t.Fatal(err)
		}
		if err := e.flushBatch(); err != nil {
			t.Fatal(err)
		}
	}
	sub, err := e.submit(&Publish{User: 1, URL: "http://example.com/", Body: []byte("precious")})
	if err != nil {
		t.Fatal(err)
	}
	apply()
	row := func(seq uint64) record.Row {
		r, ok, err := e.idx.Row(seq)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return r
	}
	r := row(uint64(sub.ticket.LSN))
	p, err := e.readRecord(r.Pos, int(r.Len))
	if err != nil {
		t.Fatal(err)
	}
	m := record.Move{Row: r, Old: r.Pos, OldLen: r.Len, What: record.MovePending, Record: p}
	lsn, err := e.appendMove(&m)
	if err != nil {
		t.Fatal(err)
	}
	apply()

	st, err := e.idx.Standing(uint64(lsn), uint64(lsn)+1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := e.logOutcome(&record.Outcome{Row: row(r.Seq), Kind: record.Dead, At: e.wallMillis(), Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	apply()
	var found survivors
	if err := e.movedSurvivor(st, uint64(lsn), m.Append(nil), &found); err != nil {
		t.Fatal(err)
	}
	if len(found.pending)+len(found.dead) != 1 {
		t.Errorf("%d pending messages and %d records of dead letters survive: the dead letter lost its message", len(found.pending), len(found.dead))
	}
}

// TestBothRecordsOfADeadLetterMoveAtOnce: the message and the outcome of a dead letter
// stand in one segment more often than not. One look at it copies both.
func TestBothRecordsOfADeadLetterMoveAtOnce(t *testing.T) {
	o := reclaimOptions(vfs.NewMem(), deadWire)
	o.reclaimEvery = time.Hour
	e := open(t, o)
	for i := range 10 {
		publish(t, e, Publish{URL: "http://dead.example/", Body: fmt.Append(nil, "letter ", i)})
	}
	letters := func() []DeadLetter { // as they were published; they died in any order
		got, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b DeadLetter) int { return bytes.Compare(a.Body, b.Body) })
		return got
	}
	eventually(t, func() bool { return len(letters()) == 10 })
	if err := errors.Join(e.log.Rotate(), e.idx.Flush()); err != nil {
		t.Fatal(err)
	}
	seg := e.log.Segments()[0]
	if complete, err := e.evacuate(seg, e.moveAndWait); !complete || err != nil {
		t.Fatalf("complete %v: %v", complete, err)
	}
	if err := errors.Join(e.giveUp(e.log.Segments()[1].First), e.log.Rotate()); err != nil {
		t.Fatal(err)
	}
	for i, d := range letters() {
		if string(d.Body) != fmt.Sprint("letter ", i) || string(d.ResponseBody) != "no" {
			t.Errorf("dead letter %d: %+v", i, d)
		}
	}
	closeEngine(t, e)
	if err := o.FS.RemoveAll("data/index"); err != nil {
		t.Fatal(err)
	}
	e = open(t, o)
	for i, d := range letters() {
		if string(d.Body) != fmt.Sprint("letter ", i) || string(d.ResponseBody) != "no" {
			t.Errorf("dead letter %d after a rebuild: %+v", i, d)
		}
	}
	if n := len(letters()); n != 10 {
		t.Errorf("%d dead letters after a rebuild", n)
	}
}

// TestClaimsToMoveEnd: nobody waits for a claim of reclaiming's when the applier that
// would end it has ended, also not for one that is taken after that.
func TestClaimsToMoveEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c claims
		var q applierQueue
		c.init()
		q.init()
		before, after := claim{1, 1}, claim{1, 2}
		if !c.takeToMove(before) {
			t.Fatal("not claimed")
		}
		waiting := make(chan bool)
		go func() { waiting <- c.take(before, &q) }()
		synctest.Wait()
		c.release()
		if !<-waiting {
			t.Error("who waited did not get it")
		}
		if c.takeToMove(after) {
			t.Error("claimed to move, and nobody will end it")
		}
		go func() { waiting <- c.take(after, &q) }()
		if !<-waiting {
			t.Error("who came late did not get it")
		}
	})
}

// TestKeepUserOfAnotherVersion: the newest record of an account is what says the same,
// not what has the same bytes: an earlier version may have written it.
func TestKeepUserOfAnotherVersion(t *testing.T) {
	o := reclaimOptions(vfs.NewMem(), newFakeWire())
	o.reclaimEvery = time.Hour
	e := open(t, o)
	u := e.users.set.Load().byID[1]
	p := u.Append(nil)
	p = append(p, p[20:]...) // its fields twice: other bytes, the same account
	var again record.User
	if err := record.DecodeUser(p, &again); err != nil || again != *u {
		t.Fatal(err)
	}
	before := e.log.Stats().Records
	if err := e.keepUser(1, p); err != nil {
		t.Fatal(err)
	}
	if e.log.Stats().Records == before {
		t.Error("the account's newest record was given up")
	}
}

// TestMovesWhatIsNowTooLong: message.max-size and response.max-size may be set lower
// than what the log holds; that is moved all the same.
func TestMovesWhatIsNowTooLong(t *testing.T) {
	o := reclaimOptions(vfs.NewMem(), deadWire)
	o.MessageMax, o.reclaimEvery = 200<<10, time.Hour
	o.OnFatal = func(err error) { t.Errorf("fatal: %v", err) }
	o.SegmentSize = 2 << 20
	e := open(t, o)
	long := incompressible(200 << 10)
	id := publish(t, e, Publish{Delay: time.Hour, Body: long, Header: []Header{{Name: "X", Value: strings.Repeat("v", 200<<10)}}})
	publish(t, e, Publish{URL: "http://dead.example/", Body: long, Header: []Header{{Name: "X", Value: strings.Repeat("v", 200<<10)}}})
	check := func() {
		t.Helper()
		m, err := e.Message(1, id)
		if err != nil || !bytes.Equal(m.Body, long) {
			t.Fatalf("the message: %v", err)
		}
		var d []DeadLetter
		eventually(t, func() bool { d, _, err = e.DeadLetters(DeadLetterQuery{User: 1}); return err != nil || len(d) == 1 })
		if err != nil || !bytes.Equal(d[0].Body, long) {
			t.Fatalf("the dead letter: %v", err)
		}
	}
	check()
	closeEngine(t, e)
	o.MessageMax, o.ResponseMax = 1<<10, 1<<10
	e = open(t, o)
	if err := errors.Join(e.log.Rotate(), e.idx.Flush()); err != nil {
		t.Fatal(err)
	}
	segments := e.log.Segments()
	if complete, err := e.evacuate(segments[0], e.moveAndWait); !complete || err != nil {
		t.Fatalf("complete %v: %v", complete, err)
	}
	if err := errors.Join(e.giveUp(segments[1].First), e.log.Rotate()); err != nil {
		t.Fatal(err)
	}
	check()
}
