// Package alerts sends what an operator wants to hear of to a webhook: the first dead letter of a
// destination, a host that stops answering and one that answers again, a disk that is low and one that
// has room again, damage of the log.
//
// An alert is no message of the queue. It is wanted most when the log takes no messages: on a full disk
// publishes are refused, and after a failed sync there is no log. So it is sent directly, with a few
// retries, from a bounded queue in memory, and a crash or a stop loses those that were not sent. What an
// alert meets on its way never becomes a notice of the engine, so no alert is about an alert.
package alerts

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine"
)

const (
	noticesMax = 256 // that wait to be looked at
	alertsMax  = 64  // that wait to be sent

	sendTimeout  = 10 * time.Second // of one try
	sendTries    = 4
	firstBackoff = 2 * time.Second // tripled after each try

	pendingEvery = time.Minute // how often notices that were held back are looked at
)

// Wire makes one attempt; *dispatch.Client is the one that runs.
type Wire interface {
	Do(a *dispatch.Attempt, r *dispatch.Result)
}

// Options configure Alerts. Wire is required.
type Options struct {
	Wire   Wire
	Server string       // what this server is called in alerts: the machine's name
	Logger *slog.Logger // Default: discard
}

// target is where alerts go.
type target struct{ url, secret string }

// Alerts is a sender. Its methods are safe for concurrent use.
//
// One goroutine decides which notices become alerts, another one sends them: a webhook that hangs delays
// alerts, and never their limits.
type Alerts struct {
	opts    Options
	target  atomic.Pointer[target] // nil: nobody is told
	notices chan engine.Notice
	queue   chan alert
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// New starts a sender that tells nobody until Set says whom. The caller closes it.
func New(o Options) *Alerts {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Alerts{opts: o, notices: make(chan engine.Notice, noticesMax), queue: make(chan alert, alertsMax)}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.wg.Go(a.decide)
	a.wg.Go(a.send)
	return a
}

// ErrURL is a webhook that alerts cannot be sent to. The URL is a secret, so it is not quoted.
var ErrURL = errors.New("alerts.webhook is no URL that alerts can be sent to: want one such as https://hooks.example.com/services/x")

// Set says where alerts go from now on; an empty url is nowhere. It may be called at any time.
func (a *Alerts) Set(url, secret string) error {
	if url == "" {
		a.target.Store(nil)
		return nil
	}
	if _, err := dispatch.HostKey(url); err != nil {
		return ErrURL
	}
	a.target.Store(&target{url, secret})
	return nil
}

// Notify takes a notice. It never waits: it is engine.Options.Notify.
func (a *Alerts) Notify(n engine.Notice) {
	if a.target.Load() == nil {
		return
	}
	select {
	case a.notices <- n:
	default:
	}
}

// Close ends what is under way and drops what waits. The Wire has to be closed before: a request that it
// has begun is waited for.
func (a *Alerts) Close() {
	a.stop()
	a.wg.Wait()
}

// decide owns the limiter.
func (a *Alerts) decide() {
	limit := newLimiter(time.Now())
	tick := time.NewTicker(pendingEvery)
	defer tick.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case n := <-a.notices:
			if limit.take(time.Now(), &n) {
				a.push(limit, &n)
			}
		case <-tick.C:
			for _, n := range limit.due(time.Now()) {
				a.push(limit, &n)
			}
		}
	}
}

// push queues an alert. One that finds the queue full counts as dropped, and so does what it would have told of.
func (a *Alerts) push(limit *limiter, n *engine.Notice) {
	dropped := limit.takeDropped()
	select {
	case a.queue <- newAlert(n, a.opts.Server, dropped):
	default:
		limit.dropped = dropped + 1
	}
}

func (a *Alerts) send() {
	for {
		select {
		case <-a.ctx.Done():
			return
		case v := <-a.queue:
			a.sendOne(&v)
		}
	}
}

// sendOne tries to deliver an alert, and says in the log if that is in vain.
func (a *Alerts) sendOne(v *alert) {
	id := "alert_" + rand.Text()
	var res dispatch.Result
	why := ""
	for try, backoff := 1, firstBackoff; try <= sendTries; try, backoff = try+1, 3*backoff {
		t := a.target.Load() // it may have been changed because it was wrong
		if t == nil {
			return
		}
		at, err := v.request(t, id, time.Now())
		if err != nil {
			why = err.Error()
			break
		}
		a.opts.Wire.Do(at, &res)
		if res.Class == dispatch.OK && res.Status/100 == 2 {
			return
		}
		if why = failed(&res); res.Class == dispatch.Refused || try == sendTries {
			break
		}
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(backoff):
		}
	}
	a.opts.Logger.Warn("alerts: an alert was not delivered: look at alerts.webhook", "kind", string(v.Kind), "host", v.Host, "error", why)
}

func failed(r *dispatch.Result) string {
	switch {
	case r.Class == dispatch.Refused:
		return "its address is refused" // the reason may quote it
	case r.Err != nil:
		return r.Err.Error()
	}
	return "the webhook answered " + strconv.Itoa(r.Status)
}
