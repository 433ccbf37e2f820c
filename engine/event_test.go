package engine

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// allEvents reads all pages.
func allEvents(t *testing.T, e *Engine, q EventQuery) (all []Event) {
	t.Helper()
	q.User = max(q.User, 1)
	for range 10_000 {
		cursor, err := e.Events(&q, func(ev *Event) error {
			all = append(all, *ev)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if cursor == "" {
			return all
		}
		q.Cursor = cursor
	}
	t.Fatal("the pages have no end")
	return nil
}

// states are those of the events, in order.
func states(evs []Event) string {
	var s []string
	for i := range evs {
		s = append(s, evs[i].State.String())
	}
	return strings.Join(s, " ")
}

// ofMessage asks for the events of one message, earliest first.
func ofMessage(id string) EventQuery {
	return EventQuery{Filter: Filter{MessageIDs: []string{id}}, Earliest: true}
}

func answering(statuses ...int) *fakeWire {
	w := newFakeWire()
	w.reply = func(_ *fakeAttempt, r *dispatch.Result) {
		r.Status = statuses[0]
		if len(statuses) > 1 {
			statuses = statuses[1:]
		}
		r.Header = []dispatch.Header{{Name: "Retry-After", Value: "0"}}
		r.Body = []byte("thanks")
		r.Timing.Total = 1500 * time.Microsecond
	}
	return w
}

// TestEventSequences (QSTASH.md §5.2): what happened to a message, in order.
func TestEventSequences(t *testing.T) {
	for _, c := range []struct {
		name     string
		statuses []int
		retries  int
		want     string
	}{
		{"success", []int{200}, 3, "CREATED ACTIVE DELIVERED"},
		{"no retries", []int{500}, 0, "CREATED ACTIVE ERROR FAILED"},
		{"a retry", []int{500, 204}, 1, "CREATED ACTIVE ERROR RETRY ACTIVE DELIVERED"},
		{"more than one row", []int{500}, 7, "CREATED " + strings.Repeat("ACTIVE ERROR RETRY ", 7) + "ACTIVE ERROR FAILED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t, testOptions(vfs.NewMem(), answering(c.statuses...)))
			id := publish(t, e, Publish{Body: []byte("hello"), Retries: c.retries, Header: []Header{{Name: "X-Own", Value: "1"}}})
			var got []Event
			eventually(t, func() bool {
				got = allEvents(t, e, ofMessage(id))
				return len(got) > 0 && slices.Contains([]EventState{EventDelivered, EventFailed}, got[len(got)-1].State)
			})
			if states(got) != c.want {
				t.Errorf("the states are %s, want %s", states(got), c.want)
			}
			for i := range got {
				checkEvent(t, &got[i], id, c.statuses)
			}
			slices.Reverse(got)
			latest := allEvents(t, e, EventQuery{Count: 2})
			if states(latest) != states(got) {
				t.Errorf("latest first, in pages of two: %s", states(latest))
			}
		})
	}
}

func checkEvent(t *testing.T, ev *Event, id string, statuses []int) {
	t.Helper()
	if ev.MessageID != id || ev.URL != "http://example.com/hook" || ev.Message == nil || string(ev.Message.Body) != "hello" || ev.Expired {
		t.Errorf("%+v", ev)
	}
	if ended := ev.State == EventError || ev.State == EventDelivered || ev.State == EventFailed; ended != ev.Ended ||
		ended && (!slices.Contains(statuses, ev.Status) || string(ev.ResponseBody) != "thanks" || ev.Timing == nil || ev.Timing.Total != 1500*time.Microsecond) {
		t.Errorf("%s says of the attempt's end: %+v", ev.State, ev)
	}
	if (ev.Error != "") != (ev.State == EventError) {
		t.Errorf("%s has the error %q", ev.State, ev.Error)
	}
	if ev.Next.IsZero() != (ev.State != EventRetry) {
		t.Errorf("%s has a next delivery at %v", ev.State, ev.Next)
	}
}

// TestEventInFlight: an attempt that has not ended shows as ACTIVE, to its own account, and
// is in history once when it has.
func TestEventInFlight(t *testing.T) {
	w, let := newFakeWire(), make(chan struct{})
	arrived := make(chan struct{}, 3)
	o := testOptions(vfs.NewMem(), wireFunc(func(a *dispatch.Attempt, r *dispatch.Result) {
		arrived <- struct{}{}
		<-let
		w.Do(a, r)
	}))
	e := openTwo(t, o)
	ids := []string{publish(t, e, Publish{Queue: "q"}), publish(t, e, Publish{}), publish(t, e, Publish{User: 2})}
	for range 3 {
		<-arrived
	}
	check := func(q EventQuery, want string) {
		t.Helper()
		q.User = 1
		evs, err := pages(e, q, eventDefaults)
		if err != nil || states(evs) != want {
			t.Errorf("%+v: %s (%v), want %s", q, states(evs), err, want)
		}
	}
	check(ofMessage(ids[0]), "CREATED ACTIVE")
	check(ofMessage(ids[2]), "")
	for count := 2; count < 6; count++ {
		check(EventQuery{Earliest: true, Count: count}, "CREATED CREATED ACTIVE ACTIVE")
		check(EventQuery{Count: count}, "ACTIVE ACTIVE CREATED CREATED")
	}
	check(EventQuery{Earliest: true, Count: 1}, "CREATED CREATED ACTIVE") // that page has no room for both
	check(EventQuery{Count: 1}, "ACTIVE CREATED CREATED")
	check(EventQuery{States: []EventState{EventActive}, Filter: Filter{QueueNames: []string{"q"}}}, "ACTIVE")
	check(EventQuery{Filter: Filter{QueueNames: []string{"none"}}}, "")
	check(EventQuery{States: []EventState{EventCreated}}, "CREATED CREATED")
	check(EventQuery{States: []EventState{EventActive}, Filter: Filter{To: time.Now().Add(-time.Minute)}}, "")
	close(let)
	eventually(t, func() bool {
		evs := allEvents(t, e, ofMessage(ids[0]))
		return states(evs) == "CREATED ACTIVE DELIVERED" && evs[1].Attempt == 1
	})
}

// TestEventsOfACancel (QSTASH.md §5.2), of labels and redaction (§10).
func TestEventsOfACancel(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	id := publish(t, e, Publish{
		Delay: time.Hour, Body: []byte("hello"), Header: []Header{{Name: "X-Own", Value: "1"}}, Labels: []string{"a", "b"}, Redact: Redact{Body: true, Headers: true},
	})
	publish(t, e, Publish{Delay: time.Hour, Labels: []string{"c"}})
	if err := e.Cancel(1, id); err != nil {
		t.Fatal(err)
	}
	evs := allEvents(t, e, EventQuery{Earliest: true, Filter: Filter{Labels: []string{"b"}}})
	if states(evs) != "CREATED CANCEL_REQUESTED CANCELED" {
		t.Fatalf("%s", states(evs))
	}
	const body = "REDACTED:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	for _, ev := range evs {
		if m := ev.Message; string(m.Body) != body || !strings.HasPrefix(m.Header[0].Value, "REDACTED:") || !slices.Equal(ev.Labels, []string{"a", "b"}) {
			t.Errorf("%+v", ev)
		}
	}
}

// TestEventsWithoutRecords (W10): when the log has given up a message's record, its events
// show what history has, and say that there was more. What was moved is found.
func TestEventsWithoutRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 1))
		e := open(t, reclaimOptions(vfs.NewMem(), deadWire))
		p := Publish{Queue: "q", CallerIP: "192.0.2.1", Labels: []string{"l"}, Body: []byte("hello"), Method: 2}
		id := publish(t, e, p)
		kept := publish(t, e, Publish{Delay: time.Hour, Body: []byte("kept")})
		dead := publish(t, e, Publish{URL: "http://dead.example/", Body: []byte("kept")})
		for range 20 {
			for range 100 {
				body := make([]byte, 9000) // that no compression makes smaller
				for i := range body {
					body[i] = byte(random.Uint32())
				}
				publish(t, e, Publish{Body: body})
			}
			time.Sleep(time.Second)
		}
		if first := e.log.First(); first.Segment() < 2 {
			t.Fatalf("the log still begins at %v", first)
		}
		evs := allEvents(t, e, ofMessage(id))
		if states(evs) != "CREATED ACTIVE DELIVERED" || evs[2].Status != 200 {
			t.Fatalf("%+v", evs)
		}
		for _, ev := range evs {
			if !ev.Expired || ev.Message != nil || ev.URL != "http://example.com/hook" || ev.QueueName != "q" || ev.CallerIP != p.CallerIP ||
				ev.Method != "PUT" || !slices.Equal(ev.Labels, p.Labels) || ev.ResponseBody != nil {
				t.Errorf("%+v", ev)
			}
		}
		if evs := allEvents(t, e, ofMessage(kept)); len(evs) != 1 || evs[0].Expired || string(evs[0].Message.Body) != "kept" {
			t.Errorf("of a message whose record was moved: %+v", evs)
		}
		evs = allEvents(t, e, ofMessage(dead))
		for _, ev := range evs {
			if ev.Expired || string(ev.Message.Body) != "kept" || ev.Ended && string(ev.ResponseBody) != "no" {
				t.Errorf("of a dead letter whose records were moved: %+v", ev)
			}
		}
		if states(evs) != "CREATED ACTIVE ERROR FAILED" {
			t.Errorf("of a dead letter: %s", states(evs))
		}
	})
}
