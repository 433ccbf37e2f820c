package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// fakePull is an engine that has the pull queues q and r, writes down what it is asked,
// and lets a receive that waits go on until its context ends.
type fakePull struct {
	*fakeEngine
	receiving chan context.Context // told of every receive that waits
	message   engine.PullMessage   // what a receive without wait answers
	fails     error                // what everything answers if it is not nil

	lock   sync.Mutex
	sent   []engine.PullPublish
	asked  []string
	change engine.PullChange
}

func newFakePull() *fakePull {
	return &fakePull{fakeEngine: newFake(), receiving: make(chan context.Context, 16), message: pullView}
}

// startPull serves a fakePull.
func startPull(t testing.TB, change func(o *Options)) (*site, *fakePull) {
	t.Helper()
	return startPullOn(t, listen(t), change)
}

func startPullOn(t testing.TB, ln net.Listener, change func(o *Options)) (*site, *fakePull) {
	t.Helper()
	e := newFakePull()
	return startOn(t, ln, func(o *Options) {
		o.Engine = e
		if change != nil {
			change(o)
		}
	}), e
}

func (e *fakePull) note(format string, args ...any) error {
	e.lock.Lock()
	defer e.lock.Unlock()
	e.asked = append(e.asked, fmt.Sprintf(format, args...))
	return e.fails
}

// take returns what was asked since the last call.
func (e *fakePull) take() []string {
	e.lock.Lock()
	defer e.lock.Unlock()
	asked := e.asked
	e.asked = nil
	return asked
}

func known(name string) error {
	if name != "q" && name != "r" {
		return engine.ErrNotFound
	}
	return nil
}

var pullInfo = engine.PullQueueInfo{
	PullQueue: engine.PullQueue{
		Name: "q", DeadLetterQueue: "d", MaxRetries: 3, Visibility: 30 * time.Second, Retention: 14 * 24 * time.Hour, Delay: 5 * time.Second,
		WebhookSecret: "canary-secret", WebhookSecretNext: "canary-next", MaxConcurrency: 10, Timeout: time.Minute, RetryDelay: "1000",
		Created: time.UnixMilli(1000), Updated: time.UnixMilli(2000),
	},
	Pending: 4, InFlight: 5, Delayed: 6, Oldest: time.UnixMilli(10_000),
	PullCounters: engine.PullCounters{Published: 1, Delivered: 2, Retried: 3, DeadLettered: 4, Deferred: 5, Expired: 6},
}

func (e *fakePull) SetPullQueue(u engine.UserID, name string, c engine.PullChange) (engine.PullQueueInfo, string, error) {
	err := e.note("set %d %s", u, name)
	e.lock.Lock()
	defer e.lock.Unlock()
	e.change = c
	info, secret := pullInfo, ""
	info.Name = strings.Clone(name)
	if c.WebhookURL != nil {
		info.WebhookURL = *c.WebhookURL
		if c.WebhookSecret == nil && *c.WebhookURL != "" {
			secret = "generated"
		}
	}
	return info, secret, err
}

func (e *fakePull) PullQueue(_ engine.UserID, name string) (engine.PullQueueInfo, error) {
	info := pullInfo
	info.Name = name
	return info, known(name)
}

func (e *fakePull) PullQueues(engine.UserID) ([]engine.PullQueueInfo, error) {
	q, r := pullInfo, engine.PullQueueInfo{PullQueue: engine.PullQueue{Name: "r", WebhookURL: "https://h.test/w", MaxConcurrency: 7, Timeout: time.Minute, Created: time.UnixMilli(3), Updated: time.UnixMilli(3)}}
	return []engine.PullQueueInfo{q, r}, e.note("queues")
}

func (e *fakePull) Queues(engine.UserID) ([]engine.QueueInfo, error) {
	return []engine.QueueInfo{{Name: "fifo", Lag: 8, Parallelism: 1, Paused: true}}, nil
}

func (e *fakePull) DeletePullQueue(_ engine.UserID, name string) error {
	e.note("delete %s", name) //nolint:errcheck // the next tells
	return known(name)
}

func (e *fakePull) PausePullQueue(_ engine.UserID, name string, paused bool) error {
	e.note("pause %s %t", name, paused) //nolint:errcheck // the next tells
	return known(name)
}

// PublishPull finds the key twice a duplicate, and refuses bodies of "full".
func (e *fakePull) PublishPull(u engine.UserID, ps []engine.PullPublish) []engine.Result {
	e.lock.Lock()
	defer e.lock.Unlock()
	out := make([]engine.Result, len(ps))
	for i, p := range ps {
		p.Queue, p.DedupID, p.Group = strings.Clone(p.Queue), strings.Clone(p.DedupID), strings.Clone(p.Group)
		p.Body, p.Header = bytes.Clone(p.Body), cloneHeader(p.Header)
		e.sent = append(e.sent, p)
		out[i].Receipt = engine.Receipt{MessageID: fmt.Sprintf("msg_%d", len(e.sent)), Deduplicated: p.DedupID == "twice"}
		switch {
		case e.fails != nil:
			out[i].Err = e.fails
		case string(p.Body) == `"full"`:
			out[i].Err = engine.ErrOverloaded
		}
	}
	return out
}

func (e *fakePull) messagesSent() []engine.PullPublish {
	e.lock.Lock()
	defer e.lock.Unlock()
	return slices.Clone(e.sent)
}

func (e *fakePull) Receive(ctx context.Context, u engine.UserID, name string, most int, wait, visibility time.Duration) ([]engine.PullMessage, error) {
	if err := e.note("receive %d %s %d %v %v", u, name, most, wait, visibility); err != nil {
		return nil, err
	}
	if err := known(name); err != nil || wait == 0 {
		return []engine.PullMessage{e.message}, err
	}
	e.receiving <- ctx
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(wait):
		return nil, nil
	}
}

// Ack knows the leases l1 and l2, and that of msg_one whatever it is.
func (e *fakePull) Ack(_ engine.UserID, leases []engine.Lease) (errs []error) {
	for _, l := range leases {
		e.note("ack %s %s", l.MessageID, l.ID) //nolint:errcheck // what follows tells
		errs = append(errs, e.leased(l))
	}
	return errs
}

func (e *fakePull) Release(_ engine.UserID, l engine.Lease, delay time.Duration) error {
	e.note("release %s %s %v", l.MessageID, l.ID, delay) //nolint:errcheck // what follows tells
	return e.leased(l)
}

func (e *fakePull) Settle(u engine.UserID, queue string, acks []engine.Lease, retries []engine.LeaseRetry) (acked, released []error, err error) {
	e.note("settle %s", queue) //nolint:errcheck // what follows tells
	for _, l := range retries {
		released = append(released, e.Release(u, l.Lease, l.Delay))
	}
	return e.Ack(u, acks), released, known(queue)
}

func (e *fakePull) leased(l engine.Lease) error {
	switch {
	case e.fails != nil:
		return e.fails
	case l.ID == "l1", l.ID == "l2", l.ID == "" && l.MessageID == "msg_one":
		return nil
	case l.ID == "old":
		return engine.ErrLeaseLost
	}
	return engine.ErrNotFound
}

func (e *fakePull) Extend(_ engine.UserID, l engine.Lease, visibility time.Duration) (time.Time, error) {
	e.note("extend %s %s %v", l.MessageID, l.ID, visibility) //nolint:errcheck // what follows tells
	return time.UnixMilli(1_700_000_000_123), e.leased(l)
}

func (e *fakePull) PullMessage(_ engine.UserID, id string) (engine.PullMessage, error) {
	if id == pullView.ID {
		return pullView, nil
	}
	return engine.PullMessage{}, engine.ErrNotFound
}

func (e *fakePull) PurgePull(_ engine.UserID, name string) (int, error) {
	e.note("purge %s", name) //nolint:errcheck // what follows tells
	return 12, known(name)
}

func (e *fakePull) RedrivePull(_ engine.UserID, name, to string, most int) (int, error) {
	e.note("redrive %s %q %d", name, to, most) //nolint:errcheck // what follows tells
	return 3, known(name)
}
