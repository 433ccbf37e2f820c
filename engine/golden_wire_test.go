package engine

import (
	"context"
	"errors"
	"testing"
	"time"
)

// goldenWire is what a golden directory has since version 5: messages of pull queues in
// every state, tokens and a replay. Labels and redaction show in the messages.
type goldenWire struct {
	Pulls  []PullQueueInfo
	Items  []PullMessage // delayed, leased, in a group, and in a dead letter queue
	Tokens []TokenInfo
	Replay *ReplayInfo
}

// keepWire leaves all of that, and returns it with nothing but the ids.
func keepWire(t *testing.T, e *Engine, keep func(Publish)) *goldenWire {
	t.Helper()
	month := 30 * 24 * time.Hour
	keep(Publish{
		Delay: month, Body: []byte("hidden"), Header: []Header{{Name: "X-Own", Value: "secret"}},
		Labels: []string{"first", "second"}, Redact: Redact{Body: true, Names: []string{"x-own"}},
	})
	none, long := 0, 12*time.Hour
	_, _, errQueue := e.SetPullQueue(1, "work", PullChange{DeadLetterQueue: new(string("dead")), MaxRetries: &none, Visibility: &long})
	_, _, errPush := e.SetPullQueue(1, "push", PullChange{WebhookURL: new(string("http://example.com/hook")), WebhookSecret: new(string("key"))})
	spec := TokenSpec{User: 1, Name: "limited", Queues: []string{"work"}, Life: month}
	_, _, errToken := e.CreateToken(&spec)
	id, errReplay := e.StartReplay(1, &Replay{Rate: 5, Filter: Filter{Labels: []string{"nothing"}}})
	if err := errors.Join(errQueue, errPush, errToken, errReplay); err != nil {
		t.Fatal(err)
	}
	w := &goldenWire{Replay: &ReplayInfo{ID: id}}
	eventually(t, func() bool { r, err := e.Replay(1, id); return err == nil && r.State == ReplayDone })
	for _, r := range e.PublishPull(1, []PullPublish{
		{Queue: "work", Body: []byte(`{"n":1}`)},
		{Queue: "work", Body: []byte(`"two"`), Header: []Header{{Name: "X-Own", Value: "2"}}},
		{Queue: "work", Body: []byte("3"), Delay: &month, DedupID: "three"},
		{Queue: "groups", Body: []byte("4"), Group: "g"},
	}) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		w.Items = append(w.Items, PullMessage{ID: r.MessageID})
	}
	var got []PullMessage
	for len(got) < 2 {
		more, err := e.Receive(context.Background(), 1, "work", 2-len(got), PullWaitMax, 0)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, more...)
	}
	if err := e.Release(1, Lease{MessageID: got[0].ID, ID: got[0].LeaseID}, 0); err != nil {
		t.Fatal(err)
	}
	return w
}

// describeWire returns the same things as they are now. known is nil where a directory has
// none of them.
func describeWire(t *testing.T, e *Engine, known *goldenWire) *goldenWire {
	t.Helper()
	if known == nil {
		return nil
	}
	pulls, err := e.PullQueues(1)
	w := &goldenWire{Pulls: pulls, Tokens: e.Tokens(1)}
	for i := range known.Items {
		m, itemErr := e.PullMessage(1, known.Items[i].ID)
		err = errors.Join(err, itemErr)
		m.Published, m.Received, m.Visible = m.Published.UTC(), m.Received.UTC(), m.Visible.UTC()
		if m.Dead != nil {
			m.Dead.At = m.Dead.At.UTC()
		}
		w.Items = append(w.Items, m)
	}
	var replayErr error
	w.Replay, replayErr = e.Replay(1, known.Replay.ID)
	if err := errors.Join(err, replayErr); err != nil {
		t.Fatal(err)
	}
	w.utc()
	return w
}

// utc makes times comparable with those of a file.
func (w *goldenWire) utc() {
	for i := range w.Pulls {
		q := &w.Pulls[i]
		q.Created, q.Updated, q.Oldest = q.Created.UTC(), q.Updated.UTC(), q.Oldest.UTC()
	}
	for i := range w.Tokens {
		w.Tokens[i].Created, w.Tokens[i].Expires = w.Tokens[i].Created.UTC(), w.Tokens[i].Expires.UTC()
	}
	r := *w.Replay
	r.Created, r.Updated, r.Position = r.Created.UTC(), r.Updated.UTC(), r.Position.UTC()
	w.Replay = &r
}
