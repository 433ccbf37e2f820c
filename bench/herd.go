package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Herd measures what happens when many messages for many hosts fall due at one moment:
// how fast they are delivered, over what a closed loop delivers in the same round (row 12),
// and how long a few publishes beside them take, which keep a rate and count from the
// moment at which each was to be sent. The latencies are from the due time to the arrival.
//
// A message that comes before that moment fails the run with ErrEarly, one that does not
// come with ErrLost.
func Herd(ctx context.Context, o HerdOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench herd: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	addr, err := hostOf(server.URL)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	h := &herd{o: &o, server: server, addr: addr}
	if h.probe, err = procs.start(ctx, RoleProbe); err != nil {
		return nil, err
	}
	report = newReport("herd", "delivered/s", &o.Common)
	var rounds [][]Side
	for k := range o.Rounds {
		sides, err := h.compare(ctx)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", k+1, err)
		}
		rounds = append(rounds, sides)
	}
	report.add(o.Concurrency[0], joinRounds(rounds), [2]int{0, 1})
	run := &report.Runs[0]
	run.Figures = latencyFigures("%s ack of a publish while the herd is delivered", run.Sides[2].Rounds)
	return report, nil
}

// herd is one Herd.
type herd struct {
	o      *HerdOptions
	server Server
	addr   string
	probe  Server
}

// compare is one round: what a closed loop delivers, and then the herd with the publishes
// beside it.
func (h *herd) compare(ctx context.Context) ([]Side, error) {
	loop, err := peakOf(ctx, &DeliverOptions{Common: h.o.Common, Hosts: h.o.Hosts, DrainTimeout: h.o.DrainTimeout}, h.server, 1)
	if err != nil {
		return nil, err
	}
	loop.Name = "closed loop"
	all, beside, err := h.stampede(ctx, h.lead(loop.Rate))
	if err != nil {
		return nil, err
	}
	return []Side{all, loop, beside}, nil
}

// lead is how long before they are due the messages are published, where a closed loop
// delivers so many a second: publishing alone, and in batches, is several times as fast.
func (h *herd) lead(rate float64) time.Duration {
	if h.o.Lead > 0 {
		return h.o.Lead
	}
	return 3*time.Second + time.Duration(float64(h.o.Messages)/(2*rate)*float64(time.Second))
}

// stampede publishes the messages and follows them.
func (h *herd) stampede(ctx context.Context, lead time.Duration) (all, beside Side, err error) {
	b := &batch{
		o: &BatchOptions{Common: h.o.Common, Items: herdItems}, server: h.server, addr: h.addr,
		delivery: delivery{
			o:      &DeliverOptions{Common: h.o.Common, Hosts: h.o.Hosts, DrainTimeout: h.o.DrainTimeout},
			bodies: newTextBodies(h.o.BodyBytes),
		},
	}
	if b.sink, err = openSink(h.o.Hosts, 1, b.bodies); err != nil {
		return Side{}, Side{}, err
	}
	defer func() { err = errors.Join(err, b.sink.close()) }()
	b.sink.clock = b.bodies.wall
	l, m := newLedger(0), newMeter()
	m.on.Store(true)
	b.sink.ledgers[0].Store(l)
	b.sink.meter.Store(m)
	due := time.Now().Add(lead).Truncate(time.Second).Add(time.Second)
	if err := h.publish(ctx, b, l, due); err != nil {
		return Side{}, Side{}, err
	}
	early := time.Until(due)
	if early <= 0 {
		return Side{}, Side{}, fmt.Errorf("publishing took %v longer than the messages wait: give them more lead", -early)
	}
	h.o.Log.Info("published", "messages", l.acked.Load(), slog.Duration("before they are due", early))
	return h.follow(ctx, b, l, m, due)
}

// publish sends all messages, on several connections.
func (h *herd) publish(ctx context.Context, b *batch, l *ledger, due time.Time) error {
	defer h.o.tell(func(time.Time) Progress {
		return Progress{Side: "herd", Doing: "publishing", Done: l.acked.Load(), Total: int64(h.o.Messages)}
	})()
	var wg sync.WaitGroup
	var calls atomic.Int64 // that are left
	calls.Store(int64(h.o.Messages / herdItems))
	errs := make([]error, h.o.Concurrency[0]+1)
	off := newMeter() // nothing of this is measured
	send := func(i, items int, more func() bool) {
		wg.Go(func() {
			p := b.producer(ctx, 0, items, i, l, "Upstash-Not-Before: "+strconv.FormatInt(due.Unix(), 10))
			defer p.w.close()
			p.due = time.Duration(due.UnixNano() - b.bodies.begin.UnixNano())
			for errs[i] == nil && more() {
				errs[i] = h.insist(ctx, func() error { return p.turn(nil, off) })
			}
		})
	}
	for i := range h.o.Concurrency[0] {
		send(i, herdItems, func() bool { return calls.Add(-1) >= 0 })
	}
	if rest := h.o.Messages % herdItems; rest > 0 {
		once := true
		send(h.o.Concurrency[0], rest, func() bool { first := once; once = false; return first })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// insist makes a call until it succeeds, but for a while only: a server that is busy asks
// for that. Its messages are others then: what became of those of a call that failed does
// not matter.
func (h *herd) insist(ctx context.Context, call func() error) error {
	for begin := time.Now(); ; {
		err := call()
		if err == nil {
			return nil
		}
		if time.Since(begin) > h.o.RequestTimeout {
			return fmt.Errorf("%w: %w", ErrFailing, err)
		}
		if err := pause(ctx, errorPause); err != nil {
			return err
		}
	}
}

// follow watches what happens from the due time to the last arrival.
func (h *herd) follow(ctx context.Context, b *batch, l *ledger, m *meter, due time.Time) (all, beside Side, err error) {
	p, err := newRemoteProbe(ctx, h.probe, probeOrder{
		Server: h.server, PerSecond: h.o.Beside, Connections: herdBesides, BodyBytes: h.o.BodyBytes, Timeout: h.o.RequestTimeout,
	})
	if err != nil {
		return Side{}, Side{}, err
	}
	defer h.o.tell(func(time.Time) Progress {
		p := Progress{Side: "herd", Doing: "arrived", Total: int64(h.o.Messages)}
		p.Done, p.P50, p.P99 = m.glance(0)
		p.Rate = float64(p.Done) / max(time.Since(due), time.Millisecond).Seconds()
		return p
	})()
	w := newWatch(h.server.PID)
	if err = pause(ctx, time.Until(due)); err == nil {
		err = p.measure()
	}
	used, known := cpuTime(h.server.PID)
	own, _ := ownCPU()
	if err == nil {
		err = b.drain(ctx, l)
	}
	took := time.Since(due)
	after, still := cpuTime(h.server.PID)
	ownAfter, _ := ownCPU()
	beside, failing := p.end()
	held, seen := w.end()
	if err = cmp.Or(err, failing); err != nil {
		return Side{}, Side{}, err
	}
	t := tally{side: Side{Name: "herd"}, hist: newHistogram()}
	t.add(m.take(), outcome{elapsed: took, cpu: after - used, cpuOK: known && still, harness: ownAfter - own})
	all = t.close(&contender{duplicates: l.duplicates.Load})
	if seen {
		all.Held = &held
	}
	return all, beside, nil
}

// herdBesides are the connections of the publishes beside a herd.
const herdBesides = 16
