package engine

import (
	"slices"
	"strings"
	"testing"
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
