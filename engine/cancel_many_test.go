package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestCancelMany publishes messages of which no two are alike and cancels by each filter:
// exactly those that a model selects end, of this account and no other.
func TestCancelMany(t *testing.T) {
	wall := newTestWall(testMorning)
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.Wall = wall.now
	e := openGroup(t, o, "b")
	other := publish(t, e, Publish{User: 2, URL: "http://h1.example/p1", Delay: time.Hour, Labels: []string{"l1"}, Queue: "q1", CallerIP: "10.0.0.1"})
	morning := wall.now()
	type sent struct {
		Publish
		id string
		at time.Time
	}
	var all []*sent
	for i := range 3 {
		all = append(all,
			&sent{Publish: Publish{URL: fmt.Sprintf("http://h%d.example/p%d?x=%d", i%2, i, i)}},
			&sent{Publish: Publish{Queue: fmt.Sprintf("q%d", i)}},
			&sent{Publish: Publish{Flow: FlowControl{Key: fmt.Sprintf("k%d", i), Rate: 1}}},
			&sent{Publish: Publish{Labels: []string{"all", fmt.Sprintf("l%d", i)}, Queue: "labels"}},
			&sent{Publish: Publish{CallerIP: fmt.Sprintf("10.0.0.%d", i)}},
			&sent{Publish: Publish{Group: "g"}},
		)
	}
	for _, m := range all {
		m.User, m.Delay, m.at = 1, time.Hour, wall.now()
		if m.URL == "" && m.Group == "" {
			m.URL = "http://other.example/"
		}
		if m.Group != "" {
			m.id = publishGroup(t, e, m.Publish)[0].MessageID
			m.URL = "http://b.example/"
		} else {
			m.id = publish(t, e, m.Publish)
		}
		wall.move(e, time.Second)
	}
	pending := func() (ids []string) {
		for _, m := range all {
			if _, err := e.Message(1, m.id); err == nil {
				ids = append(ids, m.id)
			} else if !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
		}
		return ids
	}
	for _, c := range []struct {
		name string
		q    CancelQuery
		want func(m *sent) bool
	}{
		{"ids, and nothing else counts", CancelQuery{Filter: Filter{MessageIDs: []string{all[0].id, "nonsense", all[0].id, other, all[1].id}, Labels: []string{"no"}}}, func(m *sent) bool { return m == all[0] || m == all[1] }},
		{"url", CancelQuery{Filter: Filter{URLs: []string{"http://h1.example/p1?x=1", "http://h1.example/p1"}}}, func(m *sent) bool { return m.URL == "http://h1.example/p1?x=1" }},
		{"host", CancelQuery{Filter: Filter{Hosts: []string{"h0.example"}}}, func(m *sent) bool { return strings.HasPrefix(m.URL, "http://h0.") }},
		{"path and host that are not of one", CancelQuery{Filter: Filter{Hosts: []string{"other.example"}, Paths: []string{"/p1"}}}, func(*sent) bool { return false }},
		{"queues", CancelQuery{Filter: Filter{QueueNames: []string{"q1", "q2", "none"}}}, func(m *sent) bool { return m.Queue == "q1" || m.Queue == "q2" }},
		{"queue and label", CancelQuery{Filter: Filter{QueueNames: []string{"labels"}, Labels: []string{"l1"}}}, func(m *sent) bool { return slices.Contains(m.Labels, "l1") }},
		{"label", CancelQuery{Filter: Filter{Labels: []string{"l2", "x"}}}, func(m *sent) bool { return slices.Contains(m.Labels, "l2") }},
		{"flow", CancelQuery{Filter: Filter{FlowKeys: []string{"k0"}}}, func(m *sent) bool { return m.Flow.Key == "k0" }},
		{"ip", CancelQuery{Filter: Filter{CallerIPs: []string{"10.0.0.2"}}}, func(m *sent) bool { return m.CallerIP == "10.0.0.2" }},
		{"schedule", CancelQuery{Filter: Filter{ScheduleIDs: []string{"s"}}}, func(*sent) bool { return false }},
		{"topic", CancelQuery{Filter: Filter{TopicNames: []string{"g"}}, Count: 2}, func(m *sent) bool { return m == all[5] || m == all[11] }},
		{"one", CancelQuery{Count: 1}, func(m *sent) bool { return m == all[3] }},
		{"before, both ends included", CancelQuery{Filter: Filter{From: morning.Add(8 * time.Second), To: morning.Add(10 * time.Second)}}, func(m *sent) bool {
			return !m.at.Before(morning.Add(8*time.Second)) && !m.at.After(morning.Add(10*time.Second))
		}},
		{"all", CancelQuery{}, func(*sent) bool { return true }},
	} {
		before := pending()
		n, more, err := e.CancelMany(1, &c.q)
		if err != nil || more {
			t.Fatalf("%s: %v, %v", c.name, more, err)
		}
		var want []string
		for _, m := range all {
			if slices.Contains(before, m.id) && !c.want(m) {
				want = append(want, m.id)
			}
		}
		if after := pending(); !slices.Equal(after, want) || n != len(before)-len(want) {
			t.Errorf("%s: %d canceled; %d left of %d, want %d", c.name, n, len(after), len(before), len(want))
		}
	}
	if len(pending()) > 0 {
		t.Error("something is left")
	}
	if _, err := e.Message(2, other); err != nil {
		t.Errorf("another account's message: %v", err)
	}
}

// TestCancelManyPages cancels more messages than a page, and than a lane holds in memory,
// while others are published: all that were there, and nothing of what came later needs to
// be waited for.
func TestCancelManyPages(t *testing.T) {
	o := testOptions(vfs.NewMem(), newFakeWire())
	o.Resident = 1000
	e := open(t, o)
	const n = 2*cancelPage + 500
	ps := make([]Publish, n)
	for i := range ps {
		ps[i] = Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/", i%3), Delay: time.Hour, Labels: []string{fmt.Sprint("half", i%2)}}
	}
	for _, r := range e.PublishBatch(ps) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	syncs := e.Stats().Syncs
	if got, more, err := e.CancelMany(1, &CancelQuery{Filter: Filter{Labels: []string{"half1"}}}); got != n/2 || more || err != nil {
		t.Errorf("%d, %v, %v; want %d", got, more, err, n/2)
	}
	if got, more, err := e.CancelMany(1, &CancelQuery{Count: 500}); got != 500 || more || err != nil {
		t.Errorf("%d, %v, %v; want 500", got, more, err)
	}
	if got, more, err := e.CancelMany(1, &CancelQuery{}); got != n/2-500 || more || err != nil {
		t.Errorf("%d, %v, %v; want the other %d", got, more, err, n/2-500)
	}
	if got, _, err := e.CancelMany(1, &CancelQuery{}); got != 0 || err != nil {
		t.Errorf("%d, %v: something was left", got, err)
	}
	if syncs = e.Stats().Syncs - syncs; syncs > n/10 {
		t.Errorf("%d syncs for %d cancels", syncs, n)
	}
}

// TestCancelManyIsBoundedInTime: a call that takes too long, or that a server's end cuts
// short, says so.
func TestCancelManyIsBoundedInTime(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	id := publish(t, e, Publish{Delay: time.Hour})
	w := canceler{e: e, user: 1, until: time.Now().Add(-time.Second)}
	for what, more := range map[string]func() (bool, error){
		"ids": func() (bool, error) { return w.cancelIDs([]string{id}) },
		"all": func() (bool, error) { return w.cancelSelected(newRowFilter(1, &Filter{}), 1<<63) },
	} {
		if more, err := more(); !more || err != nil || w.canceled > 0 {
			t.Errorf("%s: %v, %v, %d", what, more, err, w.canceled)
		}
	}
	stop := make(chan struct{})
	close(stop)
	for _, f := range []Filter{{}, {MessageIDs: []string{id}}} {
		if n, more, err := e.CancelMany(1, &CancelQuery{Filter: f, Stop: stop}); n != 0 || !more || err != nil {
			t.Errorf("%v, stopped: %d, %v, %v", f, n, more, err)
		}
	}
	if n, more, err := e.CancelMany(1, &CancelQuery{}); n != 1 || more || err != nil {
		t.Errorf("%d, %v, %v", n, more, err)
	}
}

// TestCancelManyWhileTheyAreDelivered: each message is canceled or delivered, once.
func TestCancelManyWhileTheyAreDelivered(t *testing.T) {
	w := newFakeWire()
	e := open(t, testOptions(vfs.NewMem(), w))
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	ps := make([]Publish, 2000)
	for i := range ps {
		ps[i] = Publish{User: 1, URL: fmt.Sprintf("http://h%d.example/", i%7), Delay: time.Duration(rng.IntN(60)) * time.Millisecond}
	}
	results := e.PublishBatch(ps)
	canceled, _, err := e.CancelMany(1, &CancelQuery{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		for _, r := range results {
			if _, err := e.Message(1, r.MessageID); err == nil {
				return false
			}
		}
		return true
	})
	w.mu.Lock()
	delivered := map[string]bool{}
	for i := range w.got {
		delivered[w.got[i].header["Upstash-Message-Id"]] = true
	}
	w.mu.Unlock()
	// One whose attempt was under way may be both: that is told by CANCEL_REQUESTED.
	if canceled+len(delivered) < len(ps) {
		t.Errorf("%d were canceled and %d delivered of %d", canceled, len(delivered), len(ps))
	}
}

func TestCancelManyOfAnEngineThatIsNotReady(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	closeEngine(t, e)
	if n, _, err := e.CancelMany(1, &CancelQuery{}); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("%d, %v", n, err)
	}
}
