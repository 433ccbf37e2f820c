package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/index"
)

// key tells events apart.
func (ev *Event) key() string { return ev.ID + " " + ev.MessageID + " " + ev.State.String() }

func keysOf(evs []Event) (keys []string) {
	for i := range evs {
		keys = append(keys, evs[i].key())
	}
	return keys
}

// randomWire answers by chance, at once, and has those that fail tried again at once.
func randomWire(seed uint64) *fakeWire {
	w, r := newFakeWire(), rand.New(rand.NewPCG(seed, 1))
	w.reply = func(_ *fakeAttempt, res *dispatch.Result) {
		res.Status = []int{200, 200, 503}[r.IntN(3)]
		res.Header = []dispatch.Header{{Name: "Retry-After", Value: "0"}}
	}
	return w
}

// randomPublish draws a message that filters can tell from others.
func randomPublish(r *rand.Rand) Publish {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	p := Publish{
		User: UserID(1 + r.IntN(2)), URL: "http://" + pick("a", "b:81") + ".example" + pick("/", "/p", "/p/q?x=1"), Retries: r.IntN(3),
		CallerIP: pick("", "192.0.2.1", "192.0.2.2"), Queue: pick("", "", "q1", "q2"), Body: []byte(pick("", "hello")),
	}
	p.URL = strings.Replace(p.URL, "b:81.example", "b.example:81", 1)
	if r.IntN(3) == 0 {
		p.Flow = FlowControl{Key: pick("k1", "k2"), Parallelism: 100}
	}
	if r.IntN(6) == 0 {
		p.URL += strings.Repeat("long", 400) // the row has the beginning of it
	}
	if p.Queue == "" && r.IntN(5) == 0 {
		p.Delay = time.Hour
	}
	return p
}

// openTwo is open with a second account.
func openTwo(t *testing.T, o Options) *Engine {
	t.Helper()
	e := open(t, o)
	other := testAccount
	other.ID, other.Name, other.Token = 2, "two", "token2"
	if err := e.Bootstrap([]Account{testAccount, other}); err != nil {
		t.Fatal(err)
	}
	return e
}

// pages collects what a walk over all pages shows.
func pages(e *Engine, q EventQuery, limits eventLimits) (evs []Event, err error) {
	for range 100_000 {
		n := 0
		q.Cursor, err = e.events(&q, limits, func(ev *Event) error {
			n++
			evs = append(evs, *ev)
			return nil
		})
		if n > max(q.Count, 1) && q.Count > 0 {
			return nil, fmt.Errorf("a page of %d, want at most %d", n, q.Count)
		}
		if err != nil || q.Cursor == "" {
			return evs, err
		}
	}
	return nil, errors.New("the pages have no end")
}

// TestEventPagesWhilePublishing: walks over all pages, both ways, show no event twice and
// skip none, while messages are published, delivered, tried again and canceled.
func TestEventPagesWhilePublishing(t *testing.T) {
	seed := rand.Uint64()
	e := openTwo(t, testOptions(vfs.NewMem(), randomWire(seed)))
	var done atomic.Bool
	var wg sync.WaitGroup
	var mu sync.Mutex
	var ids []string
	wg.Go(func() {
		defer done.Store(true)
		r := rand.New(rand.NewPCG(seed, 2))
		for range 400 {
			p := randomPublish(r)
			receipt, err := e.Publish(&p)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			ids = append(ids, receipt.MessageID)
			mu.Unlock()
			if r.IntN(8) == 0 {
				e.Cancel(p.User, receipt.MessageID) //nolint:errcheck // it may have ended
			}
		}
	})
	type walk struct {
		EventQuery
		evs []Event
	}
	var walks []walk
	r := rand.New(rand.NewPCG(seed, 3))
	for last := false; !last; {
		last = done.Load()
		q := EventQuery{User: 1, Earliest: r.IntN(2) == 0, Count: 1 + r.IntN(60)}
		if r.IntN(2) == 0 { // those that there are so far, which are found in another way
			mu.Lock()
			q.MessageIDs, q.Count = slices.Clone(ids), q.Count+20
			mu.Unlock()
		}
		evs, err := pages(e, q, eventLimits{work: 100 + r.IntN(2000), bytes: 100 + r.IntN(1000)})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		walks = append(walks, walk{q, evs})
	}
	wg.Wait()
	eventually(t, func() bool { n := 0; return e.query(func(c *core) { n = c.inflight + c.undurable }) == nil && n == 0 })
	all := allEvents(t, e, EventQuery{Earliest: true})
	for _, w := range walks {
		got, whole := keysOf(w.evs), keysOf(all)
		if w.MessageIDs != nil {
			whole = keysOf(slices.DeleteFunc(slices.Clone(all), func(ev Event) bool { return !slices.Contains(w.MessageIDs, ev.MessageID) }))
		}
		if !w.Earliest {
			slices.Reverse(got)
		}
		for len(got) > 0 && !slices.Contains(whole, got[len(got)-1]) && strings.HasSuffix(got[len(got)-1], " ACTIVE") {
			got = got[:len(got)-1] // it was under way
		}
		if !slices.Equal(got, whole[:min(len(got), len(whole))]) {
			t.Fatalf("seed %d: of %d walks one with %+v got %d events that are not the first ones of %d:\n%s\nwant\n%s", seed, len(walks), w.EventQuery,
				len(got), len(whole), strings.Join(got, "\n"), strings.Join(whole, "\n"))
		}
	}
	t.Logf("%d walks, %d events", len(walks), len(all))
}

// TestEventModel: every query, in pages of every size, selects what a plain filter over the
// list of all events does, and no account sees another's.
func TestEventModel(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	w := randomWire(seed)
	var clock atomic.Int64
	clock.Store(time.Now().UnixMilli())
	o := testOptions(vfs.NewMem(), w)
	o.Wall = func() time.Time { return time.UnixMilli(clock.Load()) }
	e := openTwo(t, o)
	plain := map[string]Publish{}
	settled := func() bool {
		n := 0
		return e.query(func(c *core) { n = c.inflight + c.undurable + c.turn.len() }) == nil && n == 0
	}
	for range 50 {
		for range 1 + r.IntN(8) {
			p := randomPublish(r)
			plain[publish(t, e, p)] = p
		}
		eventually(t, settled) // records are logged when they are stamped, but for milliseconds, and so it is here
		clock.Add(r.Int64N(5000))
	}
	all := map[UserID][]Event{}
	for u := UserID(1); u <= 2; u++ {
		all[u] = allEvents(t, e, EventQuery{User: u, Earliest: true})
		checkSequences(t, all[u], plain, u)
	}
	for range 300 {
		q := randomQuery(r, all)
		got, err := pages(e, q, eventLimits{work: 500 + r.IntN(5000), bytes: 50 + r.IntN(5000)})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var want []string
		for i := range all[q.User] {
			if ev := &all[q.User][i]; plainly(&q, ev, plain[ev.MessageID]) {
				want = append(want, ev.key())
			}
		}
		if !q.Earliest {
			slices.Reverse(want)
		}
		if !slices.Equal(keysOf(got), want) {
			t.Fatalf("seed %d: %+v selects\n%s\nwant\n%s", seed, q, strings.Join(keysOf(got), "\n"), strings.Join(want, "\n"))
		}
	}
}

// checkSequences checks that each message of an account, and no other, tells a whole story.
func checkSequences(t *testing.T, evs []Event, plain map[string]Publish, u UserID) {
	t.Helper()
	stories := map[string]string{}
	for i := range evs {
		ev := &evs[i]
		if p := plain[ev.MessageID]; p.User != u || ev.URL != p.URL || ev.QueueName != p.Queue || string(ev.Message.Body) != string(p.Body) {
			t.Errorf("account %d is told of %+v, which was published as %+v", u, ev, p)
		}
		stories[ev.MessageID] += ev.State.String() + " "
	}
	for id, p := range plain {
		story, failed := stories[id], strings.Repeat("ACTIVE ERROR RETRY ", 3)
		switch {
		case p.User != u && story == "", p.Delay > 0 && story == "CREATED ":
			continue
		}
		rest, ok := strings.CutPrefix(story, "CREATED ")
		n := strings.Count(rest, "RETRY ")
		rest, ok2 := strings.CutPrefix(rest, failed[:n*len("ACTIVE ERROR RETRY ")])
		if !ok || !ok2 || rest != "ACTIVE DELIVERED " && (rest != "ACTIVE ERROR FAILED " || n != p.Retries) {
			t.Errorf("the story of a message of account %d, told to %d, is %s", p.User, u, story)
		}
	}
}

func randomQuery(r *rand.Rand, all map[UserID][]Event) EventQuery {
	q := EventQuery{User: UserID(1 + r.IntN(2)), Earliest: r.IntN(2) == 0, Count: 1 + r.IntN(1000)}
	of := func(u UserID) *Event { return &all[u][r.IntN(len(all[u]))] }
	for range r.IntN(3) {
		switch r.IntN(9) {
		case 0:
			q.MessageIDs = append(q.MessageIDs, of(q.User).MessageID, of(1).MessageID, of(2).MessageID, "none")
		case 1:
			q.URLs = append(q.URLs, of(q.User).URL)
		case 2:
			q.Hosts = append(q.Hosts, "b.example:81")
		case 3:
			q.Paths = append(q.Paths, "/p/q", "/")
		case 4:
			q.CallerIPs = append(q.CallerIPs, "192.0.2.1", "")
		case 5:
			q.QueueNames = append(q.QueueNames, "q1")
		case 6:
			q.FlowKeys = append(q.FlowKeys, "k1", "k2")
		case 7:
			q.States = append(q.States, EventState(r.IntN(len(eventStateNames))))
		case 8:
			q.From = of(q.User).Time
			if r.IntN(2) == 0 {
				q.To = q.From.Add(time.Duration(r.IntN(60_000)) * time.Millisecond)
			}
		}
	}
	return q
}

// plainly is the filter as anybody would write it.
func plainly(q *EventQuery, ev *Event, p Publish) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	host, path := "a.example", "/p"
	if strings.HasPrefix(p.URL, "http://b.example:81") {
		host = "b.example:81"
	}
	rest, _, _ := strings.Cut(strings.TrimPrefix(p.URL, "http://"+host), "?")
	if path = rest; len(q.Paths) > 0 && !slices.Contains(q.Paths, path) {
		return false
	}
	return in(q.MessageIDs, ev.MessageID) && in(q.URLs, p.URL) && in(q.Hosts, host) && in(q.CallerIPs, p.CallerIP) &&
		in(q.QueueNames, p.Queue) && in(q.FlowKeys, p.Flow.Key) && (len(q.States) == 0 || slices.Contains(q.States, ev.State)) &&
		(q.From.IsZero() || !ev.Time.Before(q.From)) && (q.To.IsZero() || !ev.Time.After(q.To))
}

// TestEventsAreVisibleAtOnce: what was answered is in history when that is asked for next,
// however far the applier lags.
func TestEventsAreVisibleAtOnce(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	release := holdApplier(t, e)
	id := publish(t, e, Publish{Delay: time.Hour})
	got := make(chan []Event, 1)
	go func() {
		evs, err := pages(e, EventQuery{User: 1}, eventDefaults)
		if err != nil {
			t.Error(err)
		}
		got <- evs
	}()
	awaitReader(t, e, got)
	release()
	if evs := <-got; len(evs) != 1 || evs[0].MessageID != id || evs[0].State != EventCreated || !evs[0].Next.Equal(evs[0].Message.NotBefore) {
		t.Errorf("%+v", evs)
	}
}

// TestTrimmedCursor (X6): a cursor of what retention has removed goes on at the beginning of
// what is kept, and at the end of it backwards.
func TestTrimmedCursor(t *testing.T) {
	var clock atomic.Int64
	start := time.UnixMilli(1_700_000_000_000)
	clock.Store(start.UnixMilli())
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.Wall = func() time.Time { return time.UnixMilli(clock.Load()) }
	e := open(t, o)
	var ids []string
	for range 10 {
		ids = append(ids, publish(t, e, Publish{Delay: time.Hour}))
		clock.Add(1000)
	}
	read := func(q *EventQuery) (got []string) {
		t.Helper()
		var err error
		q.Cursor, err = e.Events(q, func(ev *Event) error {
			got = append(got, ev.MessageID)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	forward, backward := &EventQuery{User: 1, Earliest: true, Count: 2}, &EventQuery{User: 1, Count: 2}
	if got := append(read(forward), read(backward)...); !slices.Equal(got, []string{ids[0], ids[1], ids[9], ids[8]}) {
		t.Fatalf("the first pages show %v of %v", got, ids)
	}
	trim, ok, err := e.idx.OldHistory(start.Add(6*time.Second).UnixMilli(), 1, 1<<40)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	e.applier.order(func(a *index.Applier) error { return a.Trim(trim) })
	publish(t, e, Publish{User: 2}) // the read below waits for it, and so for the trim
	forward.Count, backward.Count = 100, 100
	if got := read(forward); !slices.Equal(got, ids[6:]) {
		t.Errorf("earliest first it goes on with %v, want %v", got, ids[6:])
	}
	if got := read(backward); !slices.Equal(got, []string{ids[7], ids[6]}) {
		t.Errorf("latest first it goes on with %v", got)
	}
	now := &EventQuery{User: 1, Count: 2, Cursor: strconv.FormatInt(start.Add(8*time.Second).UnixMilli(), 10)}
	if got := append(read(now), read(now)...); !slices.Equal(got, []string{ids[8], ids[7], ids[6]}) {
		t.Errorf("latest first from a time on: %v", got)
	}
	now = &EventQuery{User: 1, Earliest: true, Cursor: strconv.FormatInt(start.Add(8*time.Second).UnixMilli(), 10)}
	if got := read(now); !slices.Equal(got, ids[8:]) {
		t.Errorf("earliest first from a time on: %v", got)
	}
	one := ofMessage(ids[0])
	one.User = 1
	if got := read(&one); len(got) != 0 {
		t.Errorf("of a trimmed message there is %v", got)
	}
}
