package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func publishPull(t *testing.T, e *Engine, p PullPublish) string {
	t.Helper()
	if p.Queue == "" {
		p.Queue = "orders"
	}
	if p.Body == nil {
		p.Body = []byte(`{"order":42}`)
	}
	r := e.PublishPull(1, []PullPublish{p})
	if r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	return r[0].MessageID
}

func receivePull(t *testing.T, e *Engine, queue string, n int) []PullMessage {
	t.Helper()
	got, err := e.Receive(t.Context(), 1, queue, n, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// waitPull receives one message, which may still be on its way.
func waitPull(t *testing.T, e *Engine, queue string) PullMessage {
	t.Helper()
	got, err := e.Receive(t.Context(), 1, queue, 1, PullWaitMax, 0)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	return got[0]
}

func leaseOf(m *PullMessage) Lease { return Lease{MessageID: m.ID, ID: m.LeaseID} }

func pullInfo(t *testing.T, e *Engine, queue string) PullQueueInfo {
	t.Helper()
	info, err := e.PullQueue(1, queue)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func wantPull(t *testing.T, e *Engine, queue string, pending, inFlight, delayed int, c PullCounters) {
	t.Helper()
	i := pullInfo(t, e, queue)
	if i.Pending != pending || i.InFlight != inFlight || i.Delayed != delayed {
		t.Errorf("%s: %d pending, %d in flight, %d delayed; want %d, %d and %d", queue, i.Pending, i.InFlight, i.Delayed, pending, inFlight, delayed)
	}
	if i.PullCounters != c {
		t.Errorf("%s counts %+v, want %+v", queue, i.PullCounters, c)
	}
}

// TestPullLife: a message is received, its lease is extended and given up, and it is
// received again and acknowledged.
func TestPullLife(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	if _, err := e.Receive(t.Context(), 1, "orders", 1, 0, 0); !errors.Is(err, ErrNotFound) {
		t.Fatalf("receive of no queue: %v", err)
	}
	id := publishPull(t, e, PullPublish{Header: []Header{{Name: "X-Own", Value: "1"}}})
	wantPull(t, e, "orders", 1, 0, 0, PullCounters{Published: 1})
	got := receivePull(t, e, "orders", 10)
	if len(got) != 1 {
		t.Fatalf("received %d messages", len(got))
	}
	m := got[0]
	if m.ID != id || string(m.Body) != `{"order":42}` || m.Attempts != 1 || m.Queue != "orders" || m.LeaseID == "" || len(m.Header) != 1 ||
		m.Received.IsZero() || m.Published.IsZero() || m.Visible.Sub(m.Received) != 30*time.Second {
		t.Errorf("received %+v", m)
	}
	if more := receivePull(t, e, "orders", 10); len(more) != 0 {
		t.Errorf("received %d messages that are leased", len(more))
	}
	wantPull(t, e, "orders", 0, 1, 0, PullCounters{Published: 1})
	visible, err := e.Extend(1, leaseOf(&m), time.Minute)
	if err != nil || visible.Before(m.Visible) {
		t.Errorf("extended to %s, %v", visible, err)
	}
	if again, err := e.Extend(1, Lease{MessageID: id}, time.Second); err != nil || !again.Equal(visible) {
		t.Errorf("made shorter: %s, %v", again, err)
	}
	if long, err := e.Extend(1, leaseOf(&m), 100*time.Hour); err != nil || !long.Equal(m.Received.Add(12*time.Hour)) {
		t.Errorf("extended to %s, %v", long, err)
	}
	v, err := e.PullMessage(1, id)
	if err != nil || v.LeaseID != m.LeaseID || v.Attempts != 1 || string(v.Body) != `{"order":42}` {
		t.Errorf("shows %+v, %v", v, err)
	}
	if _, err := e.PullMessage(2, id); !errors.Is(err, ErrNotFound) {
		t.Errorf("another account sees it: %v", err)
	}
	if err := e.Ack(2, []Lease{{MessageID: id}}); !errors.Is(err[0], ErrNotFound) {
		t.Errorf("another account acknowledges it: %v", err[0])
	}
	if err := e.Release(1, leaseOf(&m), 0); err != nil {
		t.Fatal(err)
	}
	if err := e.Release(1, leaseOf(&m), 0); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("released twice: %v", err)
	}
	next := waitPull(t, e, "orders")
	if next.ID != id || next.Attempts != 2 || next.LeaseID == m.LeaseID || !next.Received.Equal(m.Received) {
		t.Errorf("received again: %+v", next)
	}
	if err := e.Ack(1, []Lease{leaseOf(&m)}); !errors.Is(err[0], ErrLeaseLost) {
		t.Errorf("acknowledged by an old lease: %v", err[0])
	}
	acked, released, err := e.Settle(1, "orders", []Lease{{ID: next.LeaseID}}, nil)
	if err != nil || acked[0] != nil || len(released) != 0 {
		t.Fatalf("%v, %v, %v", acked, released, err)
	}
	if err := e.Ack(1, []Lease{leaseOf(&m)}); err[0] != nil {
		t.Errorf("acknowledged when it was gone: %v", err[0])
	}
	if _, err := e.Extend(1, leaseOf(&next), time.Minute); !errors.Is(err, ErrNotFound) {
		t.Errorf("extended when it was gone: %v", err)
	}
	wantPull(t, e, "orders", 0, 0, 0, PullCounters{Published: 1, Delivered: 1, Retried: 1})
}

// TestPullLongPoll: who waits gets what comes, and nobody gets it twice.
func TestPullLongPoll(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	if _, _, err := e.SetPullQueue(1, "orders", PullChange{}); err != nil {
		t.Fatal(err)
	}
	const n = 20
	got := make(chan string, n)
	for range n {
		go func() {
			m, err := e.Receive(t.Context(), 1, "orders", 1, PullWaitMax, 0)
			if err != nil || len(m) != 1 {
				got <- fmt.Sprint(len(m), err)
				return
			}
			got <- m[0].ID
		}()
	}
	sent := map[string]bool{}
	for range n {
		sent[publishPull(t, e, PullPublish{})] = true
	}
	for range n {
		id := <-got
		if !sent[id] {
			t.Errorf("received %s", id)
		}
		delete(sent, id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := e.Receive(ctx, 1, "orders", 1, PullWaitMax, 0)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a consumer that went away: %v", err)
	}
}

// TestPullRestart: leases, their deadlines and what was acknowledged outlive the server,
// and so do counts, delays and definitions.
func TestPullRestart(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, newFakeWire())
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Bootstrap([]Account{testAccount}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.SetPullQueue(1, "orders", PullChange{MaxRetries: new(7), Visibility: new(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 4 {
		ids = append(ids, publishPull(t, e, PullPublish{}))
	}
	publishPull(t, e, PullPublish{Delay: new(time.Hour)})
	got := receivePull(t, e, "orders", 3)
	if len(got) != 3 {
		t.Fatalf("received %d messages", len(got))
	}
	if err := e.Ack(1, []Lease{leaseOf(&got[0])}); err[0] != nil {
		t.Fatal(err[0])
	}
	want := PullCounters{Published: 5, Delivered: 1}
	wantPull(t, e, "orders", 1, 2, 1, want)
	closeEngine(t, e)

	e = open(t, o)
	wantPull(t, e, "orders", 1, 2, 1, want)
	if i := pullInfo(t, e, "orders"); i.MaxRetries != 7 || i.Visibility != time.Hour || i.Retention != 14*24*time.Hour {
		t.Errorf("the queue is %+v", i)
	}
	left := receivePull(t, e, "orders", 10)
	if len(left) != 1 || left[0].ID != ids[3] {
		t.Fatalf("received %+v after the restart", left)
	}
	visible, err := e.Extend(1, leaseOf(&got[1]), 2*time.Hour)
	if err != nil || visible.Before(got[1].Visible) {
		t.Errorf("extended a lease from before: %s, %v", visible, err)
	}
	for _, err := range e.Ack(1, []Lease{leaseOf(&got[1]), leaseOf(&got[2]), leaseOf(&left[0])}) {
		if err != nil {
			t.Error(err)
		}
	}
	wantPull(t, e, "orders", 0, 0, 1, PullCounters{Published: 5, Delivered: 4})
}

// TestPullExport: an export has the queues and what is in them, and secrets if asked.
func TestPullExport(t *testing.T) {
	e := open(t, testOptions(vfs.NewMem(), newFakeWire()))
	if _, _, err := e.SetPullQueue(1, "pushed", PullChange{WebhookURL: new("https://example.com/hook"), WebhookSecret: new("hush")}); err != nil {
		t.Fatal(err)
	}
	publishPull(t, e, PullPublish{Group: "g"})
	receivePull(t, e, "orders", 1)
	for _, secrets := range []bool{false, true} {
		var b bytes.Buffer
		if err := e.Export(t.Context(), &b, ExportOptions{Secrets: secrets}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`"pull":{"queue":"orders","group":"g","leased":true}`, `"type":"pull_queue","user":1,"name":"orders"`,
			`"webhook_url":"https://example.com/hook"`, `"pull_queues":2`,
		} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("the export has no %s:\n%s", want, &b)
			}
		}
		if strings.Contains(b.String(), "hush") != secrets {
			t.Errorf("with secrets: %v\n%s", secrets, &b)
		}
	}
}
