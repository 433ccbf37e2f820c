package engine

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// openGroup opens an engine with one group g of the given endpoints.
func openGroup(t *testing.T, o Options, es ...string) *Engine {
	t.Helper()
	e := open(t, o)
	if err := e.AddEndpoints(1, "g", endpoints(es...)); err != nil {
		t.Fatal(err)
	}
	return e
}

func publishGroup(t *testing.T, e *Engine, p Publish) []MemberReceipt {
	t.Helper()
	p.User, p.Group = 1, "g"
	rs, err := e.PublishGroup(&p)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func urls(rs []MemberReceipt) (out []string) {
	for _, r := range rs {
		out = append(out, r.URL)
	}
	return out
}

// publishes counts the records in the log that publish something.
func publishes(t *testing.T, e *Engine) (fanouts, messages, bytes int) {
	t.Helper()
	if err := e.log.Rotate(); err != nil {
		t.Fatal(err)
	}
	segments := e.log.Segments()
	for _, s := range segments[:len(segments)-1] {
		err := e.log.ReadSegment(s.First, func(_ wal.LSN, p []byte) error {
			switch typ, err := record.TypeOf(p); typ {
			case record.TypeFanout:
				fanouts++
				bytes += len(p)
				return err
			case record.TypeMessage:
				messages++
				return err
			default:
				return err
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return fanouts, messages, bytes
}

// TestPublishGroup: each endpoint gets the message under an id of its own, in one record
// that holds the body once; members fail, are retried, canceled and redriven by themselves.
func TestPublishGroup(t *testing.T) {
	wire := newFakeWire()
	wire.reply = func(a *fakeAttempt, r *dispatch.Result) {
		if a.url == "http://b.example/" {
			*r = dispatch.Result{Status: 500, Header: []dispatch.Header{{Name: "Retry-After", Value: "0"}}}
		}
	}
	e := openGroup(t, testOptions(vfs.NewMem(), wire), "first=a", "b", "last=c")
	body := bytes.Repeat([]byte{0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89}, 300)
	rs := publishGroup(t, e, Publish{Body: body, Retries: 1, Header: []Header{{Name: "X-Own", Value: "1"}}})
	if got := urls(rs); !slices.Equal(got, []string{"http://a.example/", "http://b.example/", "http://c.example/"}) {
		t.Fatalf("answered %v", got)
	}
	want := map[string]int{rs[0].MessageID + " http://a.example/ 0": 1, rs[1].MessageID + " http://b.example/ 0": 1, rs[1].MessageID + " http://b.example/ 1": 1, rs[2].MessageID + " http://c.example/ 0": 1}
	got := map[string]int{}
	for range 4 {
		a := wire.next(t)
		got[a.header["Upstash-Message-Id"]+" "+a.url+" "+a.header["Upstash-Retried"]]++
		if a.header["Upstash-Topic-Name"] != "g" || a.header["X-Own"] != "1" || !bytes.Equal(a.body, body) {
			t.Errorf("attempt %v with a body of %d bytes", a.header, len(a.body))
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("attempts %v, want %v", got, want)
	}
	dead := waitFor(t, func() *DeadLetter {
		if ds, _, err := e.DeadLetters(DeadLetterQuery{User: 1}); err == nil && len(ds) == 1 {
			return &ds[0]
		}
		return nil
	})
	if dead.Message.ID != rs[1].MessageID || dead.URL != "http://b.example/" || dead.TopicName != "g" || dead.Endpoint != "" || !bytes.Equal(dead.Body, body) {
		t.Errorf("dead letter %+v", dead.Message)
	}
	if f, m, n := publishes(t, e); f != 1 || m != 0 || n > len(body)+1000 {
		t.Errorf("%d fan-outs of %d bytes and %d messages in the log", f, n, m)
	}
	again, err := e.RetryDeadLetter(1, dead.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := wire.next(t); a.header["Upstash-Message-Id"] != again || a.url != "http://b.example/" || a.header["Upstash-Topic-Name"] != "g" || !bytes.Equal(a.body, body) {
		t.Errorf("redriven: %s %v", a.url, a.header)
	}
}

// TestFanoutWaitsAndRestarts: members that wait are messages of their own, over a restart
// and without the group.
func TestFanoutWaitsAndRestarts(t *testing.T) {
	wire, wall := newFakeWire(), newTestWall(testMorning)
	o := testOptions(powerfs.New(), wire)
	o.Wall = wall.now
	e := openGroup(t, o, "first=a", "b", "last=c")
	rs := publishGroup(t, e, Publish{Body: []byte("later"), Delay: time.Hour})
	if err := e.DeleteGroup(1, "g"); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for i, want := range []string{"http://a.example/ first", "http://b.example/ ", "http://c.example/ last"} {
			m, err := e.Message(1, rs[i].MessageID)
			if i == 1 && when != "published" {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("%s: the one that was canceled: %v", when, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: member %d: %v", when, i, err)
			}
			if got := m.URL + " " + m.Endpoint; got != want || m.ID != rs[i].MessageID || m.TopicName != "g" || string(m.Body) != "later" || !m.Due.Equal(testMorning.Add(time.Hour)) {
				t.Errorf("%s: member %d: %+v", when, i, m)
			}
		}
	}
	check("published")
	if err := e.Cancel(1, rs[1].MessageID); err != nil {
		t.Fatal(err)
	}
	check("one canceled")
	closeEngine(t, e)
	e = open(t, o)
	check("restarted")
	wall.move(e, time.Hour)
	got := []string{wire.next(t).url, wire.next(t).url}
	slices.Sort(got)
	if !slices.Equal(got, []string{"http://a.example/", "http://c.example/"}) {
		t.Errorf("delivered to %v", got)
	}
}

// TestFanoutRefused: all endpoints get a message or none.
func TestFanoutRefused(t *testing.T) {
	wire := newFakeWire()
	e := openGroup(t, testOptions(vfs.NewMem(), wire), "a", "b")
	if err := e.SetGroupHeader(1, "empty", nil); err != nil {
		t.Fatal(err)
	}
	if err := e.AddEndpoints(1, "long", []Endpoint{{URL: "http://a.example/", Name: strings.Repeat("n", groupTextMax-17)}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p    Publish
		want string
		is   error
	}{
		{Publish{User: 1, Group: "none"}, "topic none not found", ErrNotFound},
		{Publish{User: 2, Group: "g"}, "topic g not found", ErrNotFound},
		{Publish{User: 1, Group: "empty"}, "topic empty has no endpoints", nil},
		{Publish{User: 1, Group: "g", Retries: -1}, "Upstash-Retries must be 0 or more", nil},
		{Publish{User: 1, Group: "g", Body: make([]byte, 1<<20+1)}, "message too large", ErrTooLarge},
		{
			Publish{User: 1, Group: "long", Header: []Header{{Name: "N", Value: strings.Repeat("v", metaMax-groupTextMax-4096)}}},
			"the endpoints of topic long, headers and options together exceed 258048 bytes", nil,
		},
	} {
		_, err := e.PublishGroup(&c.p)
		_, limit := errors.AsType[*LimitError](err)
		if err == nil || err.Error() != c.want || limit != (c.is == nil) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if rs := e.PublishBatch([]Publish{c.p, {User: 1, Group: "g"}}); rs[0].Err == nil || rs[0].Members != nil || rs[1].Err != nil || len(rs[1].Members) != 2 {
			t.Errorf("in a batch: %+v", rs)
		}
	}
	if f, m, _ := publishes(t, e); f != 6 || m != 0 {
		t.Errorf("%d fan-outs and %d messages in the log, want the 6 that were not refused", f, m)
	}
}

// TestBatchToGroups: an element of a batch goes to a group, others to a URL.
func TestBatchToGroups(t *testing.T) {
	wire := newFakeWire()
	e := openGroup(t, testOptions(vfs.NewMem(), wire), "a", "b")
	rs := e.PublishBatch([]Publish{
		{User: 1, Group: "g", DedupID: "one"}, {User: 1, URL: "http://single.example/"}, {User: 1, Group: "g", DedupID: "one"},
	})
	for i, r := range rs {
		if r.Err != nil {
			t.Fatalf("element %d: %v", i, r.Err)
		}
	}
	if len(rs[0].Members) != 2 || rs[1].MessageID == "" || rs[1].Members != nil || len(rs[2].Members) != 2 {
		t.Fatalf("%+v", rs)
	}
	for i, m := range rs[2].Members {
		if o := rs[0].Members[i]; m.MessageID != o.MessageID || m.URL != o.URL || !m.Deduplicated || o.Deduplicated {
			t.Errorf("duplicate %+v of %+v", m, o)
		}
	}
	got := map[string]string{}
	for range 3 {
		a := wire.next(t)
		got[a.url] = a.header["Upstash-Message-Id"]
	}
	want := map[string]string{"http://a.example/": rs[0].Members[0].MessageID, "http://b.example/": rs[0].Members[1].MessageID, "http://single.example/": rs[1].MessageID}
	if !maps.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
}

// TestFanoutDuplicates: one check for the whole publish, answered with the original's
// members, whether the index knows them yet or not, and whatever the group is by now.
// Plain messages and fan-outs share one namespace.
func TestFanoutDuplicates(t *testing.T) {
	wire, wall := newFakeWire(), newTestWall(testMorning)
	o := testOptions(powerfs.New(), wire)
	o.Wall = wall.now
	e := openGroup(t, o, "a", "b")
	later := Publish{Delay: time.Hour, DedupID: "id"}
	content := Publish{Delay: time.Hour, DedupContent: true, Body: []byte("text")}
	first, second := publishGroup(t, e, later), publishGroup(t, e, content)
	single := publish(t, e, Publish{Delay: time.Hour, DedupID: "single"})
	check := func(when string) {
		t.Helper()
		for i, c := range []struct {
			p    Publish
			want []MemberReceipt
		}{{later, first}, {content, second}} {
			got := publishGroup(t, e, c.p)
			for i := range c.want {
				c.want[i].Deduplicated = true
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: duplicate %d: %v, want %v", when, i, got, c.want)
			}
		}
		if got := publish(t, e, Publish{DedupID: "id"}); got != first[0].MessageID {
			t.Errorf("%s: a plain duplicate of a fan-out: %s, want %s", when, got, first[0].MessageID)
		}
		if got := publishGroup(t, e, Publish{DedupID: "single"}); len(got) != 1 || got[0].MessageID != single || !got[0].Deduplicated {
			t.Errorf("%s: a fan-out that is a duplicate of a message: %v, want %s", when, got, single)
		}
	}
	check("at once")
	if err := e.catchUp(); err != nil {
		t.Fatal(err)
	}
	e.dedup.applied(uint64(e.log.Durable().LSN))
	check("applied")
	if err := e.AddEndpoints(1, "g", endpoints("c")); err != nil {
		t.Fatal(err)
	}
	check("with another endpoint")
	closeEngine(t, e)
	e = open(t, o)
	check("restarted")
	content.Body = []byte("another")
	if rs := publishGroup(t, e, content); len(rs) != 3 || rs[0].Deduplicated {
		t.Errorf("another body: %v", rs)
	}
	wall.move(e, 11*time.Minute) // dedup.window is 10
	if rs := publishGroup(t, e, later); len(rs) != 3 || rs[0].Deduplicated {
		t.Errorf("after the window: %v", rs)
	}
}

// TestLaneTo: L1.
func TestLaneTo(t *testing.T) {
	const host = 7
	queue, flow := record.QueueID(1, "q"), record.FlowID(1, "f")
	for _, c := range []struct {
		name string
		m    record.Message
		want uint64
	}{
		{"its host", record.Message{}, host},
		{"its flow key and host", record.Message{Line: record.Line{Flow: flow}}, record.FlowLane(flow, host)},
		{"its queue", record.Message{Line: record.Line{Queue: queue}}, queue},
		{"its queue before its flow key", record.Message{Line: record.Line{Queue: queue, Flow: flow}}, queue},
		{"its key in the queue", record.Message{Line: record.Line{Queue: queue, Flow: flow}, Ordering: "k"}, record.OrderingLane(queue, "k")},
	} {
		if got := laneTo(&c.m, host); got != c.want {
			t.Errorf("%s: %x, want %x", c.name, got, c.want)
		}
	}
}

// TestScheduleToGroup: each tick publishes to the endpoints that the group has then. One
// that finds none is missed and says so, and the schedule goes on.
func TestScheduleToGroup(t *testing.T) {
	wire, wall := newFakeWire(), newTestWall(testMorning)
	o := testOptions(powerfs.New(), wire)
	o.Wall = wall.now
	e := openGroup(t, o, "a", "n=b")
	s := daily("s")
	s.Message.URL, s.Message.Delay = "", 0
	for name, want := range map[string]string{"none": "topic none not found", "g": ""} {
		s.Message.Group = name
		if _, err := e.DefineSchedule(s); fmt.Sprint(err) != map[bool]string{true: "<nil>", false: want}[want == ""] {
			t.Errorf("group %s: %v, want %q", name, err, want)
		}
		if want != "" {
			continue
		}
		if v := mustSchedule(t, e, "s"); v.TopicName != "g" || v.URL != "" || string(v.Body) != "good morning" {
			t.Errorf("%+v", v)
		}
	}
	s.Message.Group = "g"
	day := func(n int) time.Time { return testMorning.Add(time.Hour + time.Duration(n)*24*time.Hour) }
	tick := func(n int, hosts ...string) {
		t.Helper()
		wall.move(e, day(n).Sub(wall.now()))
		ids := map[string]string{}
		for range hosts {
			a := wire.next(t)
			ids[a.url] = a.header["Upstash-Message-Id"]
			if a.header["Upstash-Schedule-Id"] != "s" || a.header["Upstash-Topic-Name"] != "g" || string(a.body) != "good morning" {
				t.Errorf("day %d: %+v", n, a)
			}
		}
		v := waitFor(t, func() *ScheduleInfo {
			if v := mustSchedule(t, e, "s"); v.Last.Equal(day(n)) && v.State[0].State == RunSuccess {
				return v
			}
			return nil
		})
		first := "http://" + hosts[0] + ".example/"
		if v.State[0].MessageID != ids[first] || len(ids) != len(hosts) || v.Error != "" {
			t.Errorf("day %d: delivered %v, its run is %+v, error %q", n, ids, v.State, v.Error)
		}
	}
	missed := func(n int, last int, text string) {
		t.Helper()
		wall.move(e, day(n).Sub(wall.now()))
		v := waitFor(t, func() *ScheduleInfo {
			if v := mustSchedule(t, e, "s"); v.Next.Equal(day(n + 1)) {
				return v
			}
			return nil
		})
		if v.Error != text || !v.Last.Equal(day(last)) {
			t.Errorf("day %d: %q, last %s; want %q", n, v.Error, v.Last, text)
		}
	}
	tick(0, "a", "b")
	if err := e.AddEndpoints(1, "g", endpoints("n=c", "d")); err != nil {
		t.Fatal(err)
	}
	tick(1, "a", "c", "d")
	if err := e.DeleteGroup(1, "g"); err != nil {
		t.Fatal(err)
	}
	missed(2, 1, "topic g not found")
	closeEngine(t, e)
	e = open(t, o)
	if v := mustSchedule(t, e, "s"); v.Error != "topic g not found" || !v.Next.Equal(day(3)) {
		t.Errorf("restarted: %+v", v)
	}
	if err := e.SetGroupHeader(1, "g", nil); err != nil {
		t.Fatal(err)
	}
	missed(3, 1, "topic g has no endpoints")
	if err := e.AddEndpoints(1, "g", endpoints("e")); err != nil {
		t.Fatal(err)
	}
	tick(4, "e")
}

// TestEnqueueToGroup: each member joins the queue, in the order of the endpoints, and has
// its turn there, after a restart as well.
func TestEnqueueToGroup(t *testing.T) {
	o := testOptions(powerfs.New(), newFakeWire())
	e := openGroup(t, o, "a", "b", "c")
	paused := true
	if err := e.SetQueue(1, "q", QueueChange{Paused: &paused}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for range 3 {
		for _, r := range publishGroup(t, e, Publish{Queue: "q"}) {
			want = append(want, r.MessageID)
		}
		want = append(want, publish(t, e, Publish{Queue: "q"}))
	}
	closeEngine(t, e)
	wire := newFakeWire()
	o.Wire = wire
	e = open(t, o)
	if q, err := e.Queue(1, "q"); err != nil || q.Lag != len(want) {
		t.Fatalf("queue %+v, %v; want %d messages", q, err, len(want))
	}
	paused = false
	if err := e.SetQueue(1, "q", QueueChange{Paused: &paused}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range want {
		got = append(got, wire.next(t).header["Upstash-Message-Id"])
	}
	if !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
}

// TestFanoutFlowControl: all members draw permits of one key.
func TestFanoutFlowControl(t *testing.T) {
	wire := newFakeWire()
	e := openGroup(t, testOptions(vfs.NewMem(), wire), "a", "b", "c")
	if err := e.PauseFlow(1, "k"); err != nil {
		t.Fatal(err)
	}
	rs := publishGroup(t, e, Publish{Flow: FlowControl{Key: "k", Parallelism: 2}})
	f, err := e.Flow(1, "k")
	if err != nil || f.Waiting != 3 || f.InFlight != 0 || f.Parallelism != 2 {
		t.Errorf("flow %+v, %v", f, err)
	}
	if err := e.ResumeFlow(1, "k"); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for range rs {
		got[wire.next(t).header["Upstash-Message-Id"]] = true
	}
	for _, r := range rs {
		if !got[r.MessageID] {
			t.Errorf("%s was not delivered", r.MessageID)
		}
	}
}

// TestReclaimingKeepsFanouts: members that wait are moved one by one, and those that have
// ended are not.
func TestReclaimingKeepsFanouts(t *testing.T) {
	fs := vfs.NewMem()
	wire, wall := newFakeWire(), newTestWall(testMorning)
	o := reclaimOptions(fs, wire)
	o.Wall, o.reclaimEvery = wall.now, time.Hour // by hand
	e := openGroup(t, o, "first=a", "b", "last=c")
	rs := publishGroup(t, e, Publish{Body: []byte("later"), Delay: time.Hour, DedupID: "id"})
	if err := e.Cancel(1, rs[1].MessageID); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		giveUpAll(t, e)
		for i, want := range []string{"http://a.example/ first", "", "http://c.example/ last"} {
			m, err := e.Message(1, rs[i].MessageID)
			if want == "" && !errors.Is(err, ErrNotFound) {
				t.Errorf("the canceled member: %+v, %v", m, err)
			}
			if want != "" && (err != nil || m.URL+" "+m.Endpoint != want || string(m.Body) != "later") {
				t.Errorf("member %d: %+v, %v", i, m, err)
			}
		}
		closeEngine(t, e)
		if err := fs.RemoveAll("data/index"); err != nil {
			t.Fatal(err)
		}
		e = open(t, o)
	}
	wall.move(e, time.Hour)
	got := []string{wire.next(t).header["Upstash-Message-Id"], wire.next(t).header["Upstash-Message-Id"]}
	slices.Sort(got)
	if want := []string{rs[0].MessageID, rs[2].MessageID}; !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
}

// TestScheduleToQueueAndGroup: each tick has its queue, which the first one makes; what the
// owner has to mend is the end of a tick, not of the schedule.
func TestScheduleToQueueAndGroup(t *testing.T) {
	wire, wall := newFakeWire(), newTestWall(testMorning)
	o := testOptions(powerfs.New(), wire)
	o.Wall = wall.now
	e := openGroup(t, o, "a", "b")
	s := daily("s")
	s.Message.URL, s.Message.Delay, s.Message.Group, s.Message.Queue = "", 0, "g", "q"
	s.Message.Flow = FlowControl{Key: "k", Rate: 10, Period: time.Minute}
	s.Message.Header = []Header{{Name: "N", Value: strings.Repeat("v", metaMax-groupTextMax-4096)}}
	s.Message.Callback = &Callback{URL: "http://callback.example/", Header: []Header{{Name: "X", Value: "1"}}}
	mustDefine(t, e, s)
	v := mustSchedule(t, e, "s")
	if v.QueueName != "q" || v.TopicName != "g" || v.Flow != s.Message.Flow || v.Callback == nil || v.Callback.URL != "http://callback.example/" || v.Failure != nil {
		t.Errorf("%s %s %+v %+v %+v", v.QueueName, v.TopicName, v.Flow, v.Callback, v.Failure)
	}
	if err := e.AddEndpoints(1, "g", []Endpoint{{URL: "http://c.example/", Name: strings.Repeat("n", groupTextMax/2)}}); err != nil {
		t.Fatal(err)
	}
	wall.move(e, time.Hour)
	waitFor(t, func() *ScheduleInfo {
		if v := mustSchedule(t, e, "s"); v.Error != "" || !v.Last.IsZero() {
			return v
		}
		return nil
	})
	if v := mustSchedule(t, e, "s"); v.Error != "" {
		t.Errorf("the first tick: %s", v.Error)
	}
	for _, want := range []string{"http://a.example/", "http://callback.example/", "http://b.example/", "http://callback.example/", "http://c.example/", "http://callback.example/"} {
		if a := wire.next(t); a.url != want {
			t.Errorf("delivered to %s, want %s", a.url, want)
		}
	}
	if q, err := e.Queue(1, "q"); err != nil || q.Parallelism != 1 {
		t.Errorf("queue %+v, %v", q, err)
	}
	if err := e.AddEndpoints(1, "g", []Endpoint{{URL: "http://d.example/", Name: strings.Repeat("m", groupTextMax/2-100)}}); err != nil {
		t.Fatal(err)
	}
	wall.move(e, 24*time.Hour)
	missed := waitFor(t, func() *ScheduleInfo {
		if v := mustSchedule(t, e, "s"); v.Error != "" {
			return v
		}
		return nil
	})
	if !strings.HasPrefix(missed.Error, "the endpoints of topic g, headers and options together exceed") {
		t.Errorf("a tick with too much to say: %q", missed.Error)
	}
}

// TestGroupsOnABrokenDisk: what the log did not take is not there, before a restart and
// after it (W8).
func TestGroupsOnABrokenDisk(t *testing.T) {
	disk := powerfs.New()
	var broken atomic.Bool
	disk.Fault = func(op, name string) error {
		if broken.Load() && op == "SyncData" && strings.HasSuffix(name, ".seg") {
			return errors.New("input/output error")
		}
		return nil
	}
	o, told := testOptions(disk, newFakeWire()), make(chan error, 1)
	o.OnFatal = func(err error) { told <- err }
	e := openGroup(t, o, "a", "b")
	before := mustGroups(t, e)
	broken.Store(true)
	_, err := e.PublishGroup(&Publish{User: 1, Group: "g"})
	for name, err := range map[string]error{
		"publish": err, "add": e.AddEndpoints(1, "g", endpoints("c")), "remove": e.RemoveEndpoints(1, "g", endpoints("a")),
		"remove all": e.RemoveEndpoints(1, "g", endpoints("a", "b")), "options": e.SetGroupHeader(1, "new", nil), "delete": e.DeleteGroup(1, "g"),
	} {
		if !errors.Is(err, ErrLogFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now := mustGroups(t, e); !reflect.DeepEqual(now, before) {
		t.Errorf("%v, before that %v", now, before)
	}
	<-told
	closeEngine(t, e)
	broken.Store(false)
	o.FS = disk.Cut(1, 0, 512)
	e = open(t, o)
	if now := mustGroups(t, e); !reflect.DeepEqual(now, before) {
		t.Errorf("%v, before the restart %v", now, before)
	}
}
