package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"
)

// Hostile measures what a share of bad hosts costs the others: hosts that refuse
// connections, hang, are slow, reset connections, fail, or answer without end. All hosts
// get as many messages each. Counted is what arrives at the healthy ones; the side
// "without" is the same hosts, of which all are healthy, and the same are counted.
//
// As in Isolation, latency is compared at a fixed rate (open loop), and throughput with a
// bounded number of the healthy hosts' messages under way (closed loop). Each round has
// hosts of its own, so that the server does not know them.
//
// After a round all hosts are healed. Everything that was acknowledged must then arrive,
// or the run fails with ErrLost.
func Hostile(ctx context.Context, o HostileOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench hostile: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	h := &hostility{o: &o, bodies: newBodies(o.BodyBytes)}
	if h.server, err = procs.server(ctx, o.Server); err != nil {
		return nil, err
	}
	if h.addr, err = hostOf(h.server.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	defer func() { err = errors.Join(err, h.end()) }()
	report = newReport("hostile", "delivered/s", &o.Common)
	for _, rate := range []int{o.Rate, 0} {
		if err := h.measure(ctx, rate, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// hostility is what the sides of one Hostile share.
type hostility struct {
	o      *HostileOptions
	bodies *bodies
	server Server
	addr   string
	arena  *arena // of the round that runs; nil between rounds
}

// arena is the hosts of a round and what is owed to them.
type arena struct {
	crowd   *crowd
	ledgers [kindsAll]*ledger
	targets []target // all hosts, in the order in which they are published to
}

type target struct {
	kind int
	head []byte // of a publish
}

// measure compares both sides at a rate, or in a closed loop if it is 0.
func (h *hostility) measure(ctx context.Context, rate int, report *Report) error {
	suffix := ""
	if rate > 0 {
		suffix = "@" + strconv.Itoa(rate) + "/s"
	}
	healed := Figure{Name: "from healing to the last arrival", Unit: "s"}
	results, err := runRounds(ctx, &h.o.Common, h.o.Concurrency[0], []contender{
		h.side("with"+suffix, rate, &healed), h.side("without"+suffix, rate, nil),
	})
	if err != nil {
		return err
	}
	report.add(h.o.Concurrency[0], results, [2]int{0, 1})
	run := &report.Runs[len(report.Runs)-1]
	run.Figures = append(run.Figures, healed)
	if rate > 0 {
		if r, ok := latencies("p99", &results[0], &results[1], p99); ok {
			run.Ratios = append(run.Ratios, r)
		}
	}
	return nil
}

// side is the hosts as they are, or healed from the beginning if healed is nil.
func (h *hostility) side(name string, rate int, healed *Figure) contender {
	duplicates := int64(0)
	side := contender{
		name: name,
		pid:  h.server.PID,
		begin: func(_ context.Context, m *meter) error {
			if err := h.begin(rate); err != nil {
				return err
			}
			h.arena.crowd.meter.Store(m)
			if healed == nil {
				return h.arena.crowd.heal()
			}
			return nil
		},
		producers: func(ctx context.Context, c int) ([]operation, func()) { return h.producers(ctx, c, nil) },
		finish: func(ctx context.Context) error {
			err := h.finish(ctx, healed)
			for _, l := range h.arena.ledgers {
				duplicates += l.duplicates.Load()
			}
			return errors.Join(err, h.end())
		},
		damaged:    func() error { return h.arena.crowd.damaged() },
		duplicates: func() int64 { return duplicates },
	}
	if rate > 0 {
		side.paced(rate, func() *atomic.Bool { return &h.arena.crowd.meter.Load().on }, h.producers)
	}
	return side
}

// begin opens the hosts of a round. Messages are tried again so often that none is given
// up before its host is healed.
func (h *hostility) begin(rate int) (err error) {
	a := new(arena)
	if a.crowd, err = openCrowd(h.o.counts(), h.o.SlowAnswer, h.o.HugeBytes, h.bodies); err != nil {
		return err
	}
	h.arena = a // end closes it
	backlog := 4 * h.o.Concurrency[0]
	if rate > 0 {
		backlog = 0
	}
	for kind, hosts := range a.crowd.of {
		a.ledgers[kind] = newUnmeasuredLedger()
		if kind == kindHealthy {
			a.ledgers[kind] = newLedger(backlog)
		}
		a.crowd.ledgers[kind].Store(a.ledgers[kind])
		for _, host := range hosts {
			a.targets = append(a.targets, target{kind, publishHead(h.server, h.addr, "http://"+host+"/", h.o.BodyBytes,
				fmt.Sprintf("Upstash-Timeout: %dms", h.o.AttemptTimeout.Milliseconds()),
				fmt.Sprintf("Upstash-Retry-Delay: %d", h.o.RetryDelay.Milliseconds()),
				"Upstash-Retries: 100",
			)})
		}
	}
	// The bad ones stand among the others, in the same places in each round.
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(a.targets), func(i, k int) { a.targets[i], a.targets[k] = a.targets[k], a.targets[i] })
	return nil
}

// end closes the hosts of the round that runs, if any.
func (h *hostility) end() error {
	if h.arena == nil {
		return nil
	}
	c := h.arena.crowd
	h.arena = nil
	return c.close()
}

// producers publish to one host after the other, at the pacer's moments if there is one.
func (h *hostility) producers(ctx context.Context, c int, p *pacer) ([]operation, func()) {
	return connect(ctx, c, h.addr, &h.o.Common, func(i int, w *wire) operation {
		return h.produce(i*len(h.arena.targets)/c, w, p)
	})
}

func (h *hostility) produce(turn int, w *wire, p *pacer) operation {
	body, a := h.bodies.blank(), h.arena
	return func(stop <-chan struct{}) error {
		t := &a.targets[turn%len(a.targets)]
		turn++
		var moment time.Time
		if p != nil {
			var err error
			if moment, err = p.wait(stop); err != nil {
				return err
			}
		}
		l := a.ledgers[t.kind]
		seq, err := l.open(stop)
		if err != nil {
			return err
		}
		if p == nil {
			moment = time.Now()
		}
		h.bodies.putAt(body, uint64(t.kind), seq, moment.Sub(h.bodies.begin))
		return l.settle(seq, w.post(t.head, body))
	}
}

// finish waits for the healthy hosts' messages, heals the others and waits for theirs.
func (h *hostility) finish(ctx context.Context, healed *Figure) error {
	c := h.arena.crowd
	c.meter.Store(nil)
	begin := time.Now()
	if err := c.await(ctx, kindHealthy, begin, h.o.DrainTimeout); err != nil {
		return err
	}
	healing := time.Now()
	if healed != nil {
		if err := c.heal(); err != nil {
			return err
		}
	}
	for kind := range kindsAll {
		if err := c.await(ctx, kind, begin, h.o.DrainTimeout); err != nil {
			return err
		}
	}
	if healed != nil {
		healed.Values = append(healed.Values, time.Since(healing).Seconds())
	}
	return nil
}
