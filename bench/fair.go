package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Fair measures how much later a tenant's first message arrives because another tenant,
// a flow-control key or a queue, has a large backlog that is being delivered (row 20). The
// backlog is published while its tenant is paused; a round begins when that goes on. Then
// other tenants send a message now and then, at a fixed rate (open loop), of which each
// has nothing else under way. The side "alone" is the same without the backlog.
//
// The backlog has the processors busy, the harness's receiver included, so this is an upper
// bound of what waiting for one's turn costs; FairOptions.Answer slows it down. Everything must arrive, or the run fails with
// ErrLost.
func Fair(ctx context.Context, o FairOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench fair: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	f := &fair{o: &o, server: server, delivery: delivery{
		o:      &DeliverOptions{Common: o.Common, Hosts: o.Hosts, DrainTimeout: o.DrainTimeout},
		bodies: newBodies(o.BodyBytes),
	}}
	if f.addr, err = hostOf(server.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if f.sink, err = openSink(o.Hosts, 2, f.bodies); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.sink.close()) }()
	f.sink.answer = o.Answer
	if err := f.createTenants(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.remove()) }()
	c := o.Concurrency[0]
	results, err := runRounds(ctx, &o.Common, c, []contender{f.side("behind", true), f.side("alone", false)})
	if err != nil {
		return nil, err
	}
	report = newReport("fair", "first messages/s", &o.Common)
	report.add(c, results)
	run := &report.Runs[0]
	for _, q := range []struct {
		name  string
		value func(Round) time.Duration
	}{{"p50", p50}, {"p99", p99}} {
		if figure, ok := laterBy("later behind the backlog, "+q.name, &results[0], &results[1], q.value); ok {
			run.Figures = append(run.Figures, figure)
		}
	}
	run.Figures = append(run.Figures, Figure{Name: "of the backlog when a round ended", Values: f.left})
	return report, nil
}

// The sides of the stamps.
const (
	fairProbe = iota
	fairBacklog
)

const (
	fairTenants = 100 // that send first messages, one after the other
	fairProbers = 8   // connections that they use
)

// fair is what the sides of one Fair share.
type fair struct {
	delivery
	o       *FairOptions
	server  Server
	addr    string
	backlog *ledger   // of the round that runs
	left    []float64 // share of the backlog that had not arrived, by round
}

// tenant is a tenant's name: number 0 has the backlog.
func (f *fair) tenant(i int) string { return fmt.Sprintf("bench-%016x-tenant-%d", f.bodies.run, i) }

// createTenants makes the queues. Flow-control keys need no making.
func (f *fair) createTenants() error {
	if f.o.Tenant == TenantKey {
		return nil
	}
	for i := range fairTenants + 1 {
		parallelism := 1
		if i == 0 {
			parallelism = f.o.Parallelism
		}
		body, err := json.Marshal(map[string]any{"queueName": f.tenant(i), "parallelism": parallelism})
		if err == nil {
			_, err = ask(f.server, "POST", "/v2/queues", body, f.o.RequestTimeout)
		}
		if err != nil {
			return fmt.Errorf("create queue %d: %w", i, err)
		}
	}
	return nil
}

// remove leaves a server that is not ours as it was.
func (f *fair) remove() (err error) {
	if f.o.Server.URL == "" || f.o.Tenant == TenantKey {
		return nil
	}
	for i := range fairTenants + 1 {
		_, failed := ask(f.server, "DELETE", "/v2/queues/"+f.tenant(i), nil, f.o.RequestTimeout)
		err = errors.Join(err, failed)
	}
	return err
}

// hold pauses the tenant with the backlog, or has it go on.
func (f *fair) hold(what string) error {
	route := "/v2/flowControl/"
	if f.o.Tenant == TenantQueue {
		route = "/v2/queues/"
	}
	_, err := ask(f.server, "POST", route+f.tenant(0)+"/"+what, nil, f.o.RequestTimeout)
	return err
}

// heads are a tenant's publishes, by host.
func (f *fair) heads(tenant, parallelism int) [][]byte {
	heads := make([][]byte, len(f.sink.hosts))
	for i, host := range f.sink.hosts {
		destination := "http://" + host + "/"
		if f.o.Tenant == TenantQueue {
			heads[i] = targetHead(f.server, f.addr, "/v2/enqueue/"+f.tenant(tenant)+"/"+destination, f.o.BodyBytes)
			continue
		}
		heads[i] = publishHead(f.server, f.addr, destination, f.o.BodyBytes,
			"Upstash-Flow-Control-Key: "+f.tenant(tenant),
			fmt.Sprintf("Upstash-Flow-Control-Value: parallelism=%d", parallelism))
	}
	return heads
}

// side is the first messages, with or without a backlog of another tenant.
func (f *fair) side(name string, behind bool) contender {
	probes := newLedger(0)
	side := f.contender(name, fairProbe, probes)
	side.pid = f.server.PID
	receive := side.begin
	side.begin = func(ctx context.Context, m *meter) error {
		if behind {
			if err := f.fill(ctx); err != nil {
				return fmt.Errorf("make the backlog: %w", err)
			}
		}
		return receive(ctx, m)
	}
	on := func() *atomic.Bool { return &f.sink.meter.Load().on }
	side.paced(f.o.Rate, on, func(ctx context.Context, _ int, p *pacer) ([]operation, func()) {
		return f.probers(ctx, probes, behind, p)
	})
	side.finish = func(ctx context.Context) error {
		if behind && f.sink.meter.Load().empty() {
			return fmt.Errorf("%w: the backlog of %d messages was gone when the round began: give it more", ErrTooFew, f.o.Backlog)
		}
		if behind {
			f.left = append(f.left, float64(f.backlog.missing())/float64(f.o.Backlog))
		}
		if err := f.drain(ctx, probes); err != nil || !behind {
			return err
		}
		return f.drain(ctx, f.backlog)
	}
	return side
}

// fill publishes the backlog while its tenant is paused, and has it go on.
func (f *fair) fill(ctx context.Context) error {
	f.backlog = newUnmeasuredLedger()
	f.sink.ledgers[fairBacklog].Store(f.backlog)
	if err := f.hold("pause"); err != nil {
		return err
	}
	heads := f.heads(0, f.o.Parallelism)
	var (
		left atomic.Int64
		wg   sync.WaitGroup
		fail failures
	)
	left.Store(int64(f.o.Backlog))
	for range f.o.Concurrency[0] {
		wg.Go(func() {
			w := newWire(ctx, f.addr, f.o.RequestTimeout)
			defer w.close()
			publish := f.publish(f.backlog, fairBacklog, w, heads)
			for fail.count.Load() == 0 && left.Add(-1) >= 0 {
				if err := publish(nil); err != nil {
					fail.add(err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := fail.get(); err != nil {
		return err
	}
	return f.hold("resume")
}

// probers send first messages, as long as there is a backlog if there is to be one.
func (f *fair) probers(ctx context.Context, l *ledger, behind bool, p *pacer) ([]operation, func()) {
	tenants := make([][][]byte, fairTenants)
	for i := range tenants {
		tenants[i] = f.heads(i+1, 1)
	}
	return connect(ctx, fairProbers, f.addr, &f.o.Common, func(_ int, w *wire) operation {
		body := f.bodies.blank()
		return func(stop <-chan struct{}) error {
			moment, err := p.wait(stop)
			if err != nil {
				return err
			}
			if behind && f.backlog.missing() == 0 {
				return nil // this moment has nothing to measure
			}
			seq, err := l.open(stop)
			if err != nil {
				return err
			}
			f.bodies.putAt(body, fairProbe, seq, moment.Sub(f.bodies.begin))
			heads := tenants[seq%fairTenants]
			return l.settle(seq, w.post(heads[seq/fairTenants%uint64(len(heads))], body))
		}
	})
}

// laterBy is how much more one side has than the other, in the rounds in which both are
// known. ok is false if there is none.
func laterBy(name string, of, over *Side, value func(Round) time.Duration) (f Figure, ok bool) {
	f = Figure{Name: name, Unit: "ms"}
	for i := range of.Rounds {
		if a, b := value(of.Rounds[i]), value(over.Rounds[i]); a > 0 && b > 0 {
			f.Values = append(f.Values, (a-b).Seconds()*1e3)
		}
	}
	return f, len(f.Values) > 0
}
