package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tidemill/tidemill/dispatch"
)

// inBubble runs a test on an engine in virtual time.
func inBubble(t *testing.T, test func(t *testing.T, e *Engine, w *fakeWire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire()
		test(t, open(t, testOptions(vfs.NewMem(), w)), w)
	})
}

func setPull(t *testing.T, e *Engine, name string, ch PullChange) PullQueueInfo {
	t.Helper()
	info, _, err := e.SetPullQueue(1, name, ch)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestPullExpiry: a lease that runs out makes the message visible again, at its time and
// not before; after the last attempt it goes to the dead letter queue, with what it is
// known by, and comes back by a redrive.
func TestPullExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, _ *fakeWire) {
		setPull(t, e, "orders", PullChange{DeadLetterQueue: new("failed"), MaxRetries: new(1)})
		id := publishPull(t, e, PullPublish{Header: []Header{{Name: "X-Own", Value: "1"}}})
		for attempt := 1; attempt <= 2; attempt++ {
			if m := receivePull(t, e, "orders", 1); len(m) != 1 || m[0].Attempts != attempt {
				t.Fatalf("attempt %d: received %+v", attempt, m)
			}
			time.Sleep(30*time.Second - time.Millisecond)
			if m := receivePull(t, e, "orders", 1); len(m) != 0 {
				t.Fatalf("received %+v before the lease was over", m)
			}
			time.Sleep(time.Millisecond)
		}
		m := waitPull(t, e, "failed")
		if m.ID != id || m.Attempts != 1 || m.Queue != "failed" || string(m.Body) != `{"order":42}` || len(m.Header) != 1 {
			t.Errorf("the dead letter queue has %+v", m)
		}
		d := m.Dead
		if d == nil || d.Source != "orders" || d.Attempts != 2 || d.Status != 0 || !strings.Contains(d.Reason, "received 2 times") {
			t.Errorf("it came there by %+v", d)
		}
		wantPull(t, e, "orders", 0, 0, 0, PullCounters{Published: 1, Retried: 1, DeadLettered: 1})
		if n, err := e.RedrivePull(1, "failed", "", 0); n != 0 || err != nil {
			t.Errorf("redrove %d leased messages, %v", n, err)
		}
		if err := e.Release(1, leaseOf(&m), 0); err != nil {
			t.Fatal(err)
		}
		if n, err := e.RedrivePull(1, "failed", "", 0); n != 1 || err != nil {
			t.Fatalf("redrove %d messages, %v", n, err)
		}
		again := waitPull(t, e, "orders")
		if again.ID != id || again.Attempts != 1 || again.Dead != nil {
			t.Errorf("redriven: %+v", again)
		}
		wantPull(t, e, "failed", 0, 0, 0, PullCounters{})
		wantPull(t, e, "orders", 0, 1, 0, PullCounters{Published: 1, Retried: 1, DeadLettered: 1})
	})
}

// TestPullWithoutDeadLetterQueue: a message that fails too often stays, and is handed out
// until it is older than its queue keeps any.
func TestPullWithoutDeadLetterQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, _ *fakeWire) {
		setPull(t, e, "orders", PullChange{MaxRetries: new(0), Retention: new(10 * time.Minute)})
		id := publishPull(t, e, PullPublish{})
		for n := 1; n <= 3; n++ {
			if m := waitPull(t, e, "orders"); m.Attempts != n {
				t.Fatalf("attempt %d: %+v", n, m)
			}
			time.Sleep(time.Minute)
		}
		publishPull(t, e, PullPublish{}) // is never received
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		wantPull(t, e, "orders", 0, 0, 0, PullCounters{Published: 2, Retried: 2, Expired: 2})
		if _, err := e.PullMessage(1, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("it is still there: %v", err)
		}
	})
}

// TestPullDelay: delays of the message and of the queue, and of a release.
func TestPullDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, _ *fakeWire) {
		setPull(t, e, "orders", PullChange{Delay: new(time.Minute)})
		publishPull(t, e, PullPublish{})
		own := publishPull(t, e, PullPublish{Delay: new(10 * time.Second)})
		now := publishPull(t, e, PullPublish{Delay: new(time.Duration(0))})
		wantPull(t, e, "orders", 1, 0, 2, PullCounters{Published: 3})
		m := waitPull(t, e, "orders")
		if m.ID != now {
			t.Fatalf("received %s first", m.ID)
		}
		began := time.Now()
		if next := waitPull(t, e, "orders"); next.ID != own || time.Since(began) != 10*time.Second {
			t.Errorf("received %s after %s", next.ID, time.Since(began))
		}
		if err := e.Release(1, leaseOf(&m), 5*time.Second); err != nil {
			t.Fatal(err)
		}
		wantPull(t, e, "orders", 0, 1, 2, PullCounters{Published: 3})
		began = time.Now()
		if next := waitPull(t, e, "orders"); next.ID != now || time.Since(began) < 5*time.Second {
			t.Errorf("received %s after %s", next.ID, time.Since(began))
		}
	})
}

// TestPullGroups: of a group one message is out at a time, in order; other groups and
// messages without one go on.
func TestPullGroups(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, _ *fakeWire) {
		setPull(t, e, "orders", PullChange{MaxRetries: new(1), DeadLetterQueue: new("failed")})
		var a, b, free []string
		for range 3 {
			a = append(a, publishPull(t, e, PullPublish{Group: "a"}))
			b = append(b, publishPull(t, e, PullPublish{Group: "b"}))
			free = append(free, publishPull(t, e, PullPublish{}))
		}
		ids := func(ms []PullMessage) (out []string) {
			for i := range ms {
				out = append(out, ms[i].ID)
			}
			slices.Sort(out)
			return out
		}
		first := receivePull(t, e, "orders", 100)
		want := append([]string{a[0], b[0]}, free...)
		slices.Sort(want)
		if !slices.Equal(ids(first), want) {
			t.Fatalf("received %v, want %v", ids(first), want)
		}
		wantPull(t, e, "orders", 4, 5, 0, PullCounters{Published: 9})
		for i := range first {
			m := &first[i]
			switch {
			case m.ID == a[0]: // the lease of b[0] runs out
				if err := e.Ack(1, []Lease{leaseOf(m)})[0]; err != nil {
					t.Fatal(err)
				}
			case m.Group == "":
				if err := e.Ack(1, []Lease{leaseOf(m)})[0]; err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := ids(receivePull(t, e, "orders", 100)); !slices.Equal(got, a[1:2]) {
			t.Fatalf("received %v, want %v", got, a[1:2])
		}
		time.Sleep(30 * time.Second)
		got := ids(receivePull(t, e, "orders", 100))
		if want := []string{a[1], b[0]}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Fatalf("received %v after the leases were over, want %v", got, want)
		}
		time.Sleep(30 * time.Second) // both have failed for good: the next ones of their groups come
		synctest.Wait()
		got = ids(receivePull(t, e, "orders", 100))
		if want := []string{a[2], b[1]}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Fatalf("received %v after those failed, want %v", got, want)
		}
		if got := receivePull(t, e, "failed", 100); len(got) != 2 || got[0].Group == got[1].Group {
			t.Errorf("the dead letter queue has %+v", got)
		}
	})
}

// TestPullDeduplicates: a key counts within its queue and for its window, whatever became
// of the message.
func TestPullDeduplicates(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, _ *fakeWire) {
		first := publishPull(t, e, PullPublish{DedupID: "k"})
		r := e.PublishPull(1, []PullPublish{{Queue: "orders", Body: []byte("2"), DedupID: "k"}, {Queue: "others", Body: []byte("3"), DedupID: "k"}})
		if r[0].Err != nil || !r[0].Deduplicated || r[0].MessageID != first {
			t.Errorf("published again: %+v", r[0])
		}
		if r[1].Err != nil || r[1].Deduplicated {
			t.Errorf("published to another queue: %+v", r[1])
		}
		m := waitPull(t, e, "orders")
		if err := e.Ack(1, []Lease{leaseOf(&m)})[0]; err != nil {
			t.Fatal(err)
		}
		if r := e.PublishPull(1, []PullPublish{{Queue: "orders", Body: []byte("2"), DedupID: "k"}}); !r[0].Deduplicated || r[0].MessageID != first {
			t.Errorf("published when the first was acknowledged: %+v", r[0])
		}
		if err := e.DeletePullQueue(1, "orders"); err != nil {
			t.Fatal(err)
		}
		if r := e.PublishPull(1, []PullPublish{{Queue: "orders", Body: []byte("2"), DedupID: "k"}}); r[0].Deduplicated || r[0].Err != nil {
			t.Errorf("published to a queue that was made again: %+v", r[0])
		}
	})
}

// TestPullManagement: purge, pause, delete and what is refused.
func TestPullManagement(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, _ *fakeWire) {
		for i := range 5 {
			publishPull(t, e, PullPublish{Group: []string{"", "g"}[i%2], Delay: new(time.Duration(i/4) * time.Hour)})
		}
		leased := receivePull(t, e, "orders", 1)
		if err := e.PausePullQueue(1, "orders", true); err != nil {
			t.Fatal(err)
		}
		if got := receivePull(t, e, "orders", 10); len(got) != 0 || !pullInfo(t, e, "orders").Paused {
			t.Errorf("received %d messages of a paused queue", len(got))
		}
		if err := e.PausePullQueue(1, "orders", false); err != nil {
			t.Fatal(err)
		}
		if got := receivePull(t, e, "orders", 1); len(got) != 1 {
			t.Errorf("received %d messages of a queue that goes on", len(got))
		}
		if n, err := e.PurgePull(1, "orders"); n != 5 || err != nil {
			t.Errorf("purged %d messages, %v", n, err)
		}
		wantPull(t, e, "orders", 0, 0, 0, PullCounters{Published: 5})
		if err := e.Ack(1, []Lease{leaseOf(&leased[0])})[0]; err != nil {
			t.Errorf("acknowledged what was purged: %v", err)
		}
		id := publishPull(t, e, PullPublish{Delay: new(time.Hour)})
		if err := e.DeletePullQueue(1, "orders"); err != nil {
			t.Fatal(err)
		}
		if _, err := e.PullQueue(1, "orders"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a deleted queue: %v", err)
		}
		again := publishPull(t, e, PullPublish{})
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := receivePull(t, e, "orders", 10); len(got) != 1 || got[0].ID != again {
			t.Errorf("a queue that was made again has %+v, not only %s", got, again)
		}
		if _, err := e.PullMessage(1, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("a message of a deleted queue: %v", err)
		}
		if n := e.pulls.size(); n != 1 {
			t.Errorf("%d queues are remembered", n)
		}
		if qs, err := e.PullQueues(1); err != nil || len(qs) != 1 || qs[0].Published != 1 {
			t.Errorf("listed %+v, %v", qs, err)
		}
		if qs, err := e.PullQueues(2); err != nil || len(qs) != 0 {
			t.Errorf("another account's: %+v, %v", qs, err)
		}
		if qs, err := e.Queues(1); err != nil || len(qs) != 0 {
			t.Errorf("queues of the other kind: %+v, %v", qs, err)
		}
	})
}

// TestPullRefuses: what is out of range is named, and changes nothing.
func TestPullRefuses(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	setPull(t, e, "a", PullChange{DeadLetterQueue: new("b")})
	setPull(t, e, "b", PullChange{DeadLetterQueue: new("c")})
	for want, ch := range map[string]PullChange{
		"leads back":              {DeadLetterQueue: new("a")},
		"must differ":             {DeadLetterQueue: new("c")},
		"dead_letter_queue":       {DeadLetterQueue: new("no name")},
		"max_retries":             {MaxRetries: new(1001)},
		"max_concurrency":         {MaxConcurrency: new(0)},
		"visibility_seconds":      {Visibility: new(13 * time.Hour)},
		"retention_seconds":       {Retention: new(time.Second)},
		"delay_seconds":           {Delay: new(-time.Second)},
		"timeout_seconds":         {Timeout: new(time.Duration(0))},
		"webhook_url":             {WebhookURL: new("ftp://example.com")},
		"retry_delay":             {RetryDelay: new("1 +")},
		"webhook_secret is longe": {WebhookSecret: new(strings.Repeat("x", 2000))},
	} {
		_, _, err := e.SetPullQueue(1, "c", ch)
		if limit, ok := errors.AsType[*LimitError](err); !ok || !strings.Contains(limit.Text, want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for want, pub := range map[string]PullPublish{
		"queue":           {Queue: "no name", Body: []byte("1")},
		"message":         {Queue: "a"},
		"delay_seconds":   {Queue: "a", Body: []byte("1"), Delay: new(91 * 24 * time.Hour)},
		"idempotency_key": {Queue: "a", Body: []byte("1"), DedupID: strings.Repeat("x", 257)},
		"group":           {Queue: "a", Body: []byte("1"), Group: strings.Repeat("x", 257)},
	} {
		r := e.PublishPull(1, []PullPublish{pub})
		if limit, ok := errors.AsType[*LimitError](r[0].Err); !ok || !strings.Contains(limit.Text, want) {
			t.Errorf("%s: %v", want, r[0].Err)
		}
	}
	for _, l := range []Lease{{ID: "lse_x"}, {ID: "nonsense"}, {MessageID: "msg_x", ID: leaseID(1, 2, 3)}} {
		if err := e.Ack(1, []Lease{l})[0]; !errors.Is(err, ErrLeaseLost) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if err := e.Ack(1, []Lease{{MessageID: MessageID(1, 2)}})[0]; !errors.Is(err, ErrNotFound) {
		t.Errorf("no such message: %v", err)
	}
}

// TestLeaseID: what a lease id is made of comes back.
func TestLeaseID(t *testing.T) {
	for _, n := range []uint64{1, 57, 58, 1 << 32, 1<<64 - 1} {
		l := Lease{ID: leaseID(n, n^7, n)}
		if seq, nonce, lease, err := l.parse(); seq != n || nonce != n^7 || lease != n || err != nil {
			t.Errorf("%s is %d, %d, %d, %v", l.ID, seq, nonce, lease, err)
		}
	}
}

// TestPullPush: the call of a webhook, its retries, and where its messages go at the end.
func TestPullPush(t *testing.T) {
	hmacHex := func(key, text string) string {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return hex.EncodeToString(mac.Sum(nil))
	}
	inBubble(t, func(t *testing.T, e *Engine, w *fakeWire) {
		info, secret, err := e.SetPullQueue(1, "orders", PullChange{
			WebhookURL: new("https://example.com/hook"), MaxRetries: new(2), RetryDelay: new("1000 * (1 + retried)"), DeadLetterQueue: new("failed"),
		})
		if err != nil || secret == "" || info.WebhookSecret != secret {
			t.Fatalf("%+v, %q, %v", info, secret, err)
		}
		if _, again, err := e.SetPullQueue(1, "orders", PullChange{MaxConcurrency: new(5)}); again != "" || err != nil {
			t.Errorf("the secret is told again: %q, %v", again, err)
		}
		if _, err := e.Receive(t.Context(), 1, "orders", 1, 0, 0); !errors.Is(err, ErrPushQueue) {
			t.Errorf("receive: %v", err)
		}
		id := publishPull(t, e, PullPublish{Header: []Header{{Name: "X-Own", Value: "1"}, {Name: "Qstash-Queue", Value: "forged"}}})
		got := w.next(t)
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "Upstash-QStash", "Qstash-Message-Id": id, "Qstash-Queue": "orders",
			"Qstash-Attempt": "1", "X-Own": "1", "Qstash-Signature": hmacHex(secret, `{"order":42}`),
		} {
			if got.header[name] != want {
				t.Errorf("%s is %q, want %q", name, got.header[name], want)
			}
		}
		if got.url != "https://example.com/hook" || got.method != "POST" || string(got.body) != `{"order":42}` || got.header["Upstash-Signature"] == "" {
			t.Errorf("called with %+v", got)
		}
		time.Sleep(100 * time.Millisecond) // outcomes wait for company
		wantPull(t, e, "orders", 0, 0, 0, PullCounters{Published: 1, Delivered: 1})

		w.reply = func(a *fakeAttempt, r *dispatch.Result) {
			r.Status = map[string]int{"1": 500, "2": 503, "3": 202}[a.header["Qstash-Attempt"]]
		}
		publishPull(t, e, PullPublish{})
		began := time.Now()
		for range 3 {
			w.next(t)
		}
		if d := time.Since(began); d < 3*time.Second || d > 3200*time.Millisecond {
			t.Errorf("two retries took %s", d)
		}
		time.Sleep(100 * time.Millisecond) // outcomes wait for company
		wantPull(t, e, "orders", 0, 0, 0, PullCounters{Published: 2, Delivered: 2, Retried: 2, Deferred: 1})

		w.reply = func(_ *fakeAttempt, r *dispatch.Result) { r.Status = 500 }
		failed := publishPull(t, e, PullPublish{})
		for range 3 {
			w.next(t)
		}
		m := waitPull(t, e, "failed")
		if m.ID != failed || m.Dead == nil || m.Dead.Status != 500 || m.Dead.Attempts != 3 {
			t.Errorf("the dead letter queue has %+v, %+v", m, m.Dead)
		}
		w.reply = func(_ *fakeAttempt, r *dispatch.Result) {
			*r = dispatch.Result{Status: 489, Header: []dispatch.Header{{Name: "Upstash-Nonretryable-Error", Value: "true"}}}
		}
		publishPull(t, e, PullPublish{})
		w.next(t)
		if m := waitPull(t, e, "failed"); m.Dead == nil || m.Dead.Status != 489 || m.Dead.Attempts != 1 {
			t.Errorf("given up: %+v", m.Dead)
		}
		setPull(t, e, "orders", PullChange{DeadLetterQueue: new("")})
		last := publishPull(t, e, PullPublish{})
		w.next(t)
		time.Sleep(100 * time.Millisecond) // outcomes wait for company
		dead, _, err := e.DeadLetters(DeadLetterQuery{User: 1})
		if err != nil || len(dead) != 1 || dead[0].Message.ID != last || dead[0].URL != "/v1/queues/orders" {
			t.Fatalf("dead letters: %+v, %v", dead, err)
		}
		for url, n := range map[string]int{"/v1/queues/orders": 1, "/v1/queues/others": 0} {
			if found, _, err := e.DeadLetters(DeadLetterQuery{User: 1, Filter: Filter{URLs: []string{url}}}); err != nil || len(found) != n {
				t.Errorf("dead letters of %s: %+v, %v", url, found, err)
			}
		}
		w.reply = nil
		again, err := e.RetryDeadLetter(1, dead[0].ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.next(t); got.header["Qstash-Message-Id"] != again {
			t.Errorf("retried: %+v", got)
		}
	})
}

// TestPullBecomesPush: messages go where their queue says now.
func TestPullBecomesPush(t *testing.T) {
	inBubble(t, func(t *testing.T, e *Engine, w *fakeWire) {
		setPull(t, e, "orders", PullChange{MaxConcurrency: new(2)})
		ids := map[string]bool{}
		for i := range 6 {
			ids[publishPull(t, e, PullPublish{Group: fmt.Sprint(i % 4)})] = true
		}
		setPull(t, e, "orders", PullChange{WebhookURL: new("https://example.com/hook"), WebhookSecret: new("s")})
		for range 6 {
			a := w.next(t)
			if id := a.header["Qstash-Message-Id"]; !ids[id] {
				t.Errorf("pushed %s", id)
			} else {
				delete(ids, id)
			}
		}
		time.Sleep(100 * time.Millisecond) // outcomes wait for company
		if err := e.PausePullQueue(1, "orders", true); err != nil {
			t.Fatal(err)
		}
		id := publishPull(t, e, PullPublish{})
		time.Sleep(100 * time.Millisecond) // outcomes wait for company
		wantPull(t, e, "orders", 1, 0, 0, PullCounters{Published: 7, Delivered: 6})
		setPull(t, e, "orders", PullChange{WebhookURL: new("")})
		if err := e.PausePullQueue(1, "orders", false); err != nil {
			t.Fatal(err)
		}
		if m := waitPull(t, e, "orders"); m.ID != id {
			t.Errorf("received %s", m.ID)
		}
	})
}
