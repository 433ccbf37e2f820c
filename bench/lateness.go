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

// Lateness measures how long after its due time a delayed message's attempt reaches
// the sink, which reads the clock of the server's machine: both are on this one.
// Messages are published at a fixed rate (open loop), so a server that stalls gets
// no rest from it. One that arrives before its due time, by however little, fails
// the run with ErrEarly.
//
// Two kinds of messages are sent. Most carry Upstash-Delay. The harness counts from
// the moment before the publish, the server from when it read the request, in full
// milliseconds: so what is reported is lateness and the way there, an upper bound.
// Every sixteenth carries Upstash-Not-Before, whose due time both sides know
// exactly; these fall due together, at the turn of a second.
func Lateness(ctx context.Context, o LatenessOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench lateness: %w", err)
	}
	procs := children{spawn: o.Spawn}
	defer func() { err = errors.Join(err, procs.stop()) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	l := &lateness{delivery: delivery{
		o:      &DeliverOptions{Common: o.Common, Hosts: o.Hosts, DrainTimeout: o.DrainTimeout},
		bodies: newBodies(o.BodyBytes),
	}, o: &o, server: server}
	if l.addr, err = hostOf(server.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if l.sink, err = openSink(o.Hosts, len(o.Rates)+1, l.bodies); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.sink.close()) }()
	l.sink.clock = l.bodies.wall
	l.sink.ledgers[len(o.Rates)].Store(newUnmeasuredLedger())
	sides := make([]contender, len(o.Rates))
	for i, rate := range o.Rates {
		sides[i] = l.at(uint64(i), rate)
	}
	results, err := runRounds(ctx, &o.Common, o.Concurrency[0], sides)
	if err != nil {
		return nil, err
	}
	report = newReport("lateness", "due/s", &o.Common)
	report.add(o.Concurrency[0], results)
	return report, nil
}

// exactEvery is which share of the messages carries Upstash-Not-Before.
const exactEvery = 16

// lateness is what the rates of one Lateness share.
type lateness struct {
	delivery
	o      *LatenessOptions
	server Server
	addr   string
}

// at is the side that publishes a number of messages a second.
func (d *lateness) at(id uint64, rate int) contender {
	l := newLedger(0)
	side := d.contender(strconv.Itoa(rate)+"/s", id, l)
	side.pid = d.server.PID
	side.producers = func(ctx context.Context, c int) ([]operation, func()) {
		var ops []operation
		var wires []*wire
		add := func(l *ledger, id uint64, rate int, due func(*rand.Rand) when) {
			p := newPacer(rate)
			for i := range c {
				w := newWire(ctx, d.addr, d.o.RequestTimeout)
				wires = append(wires, w)
				ops = append(ops, d.produce(l, id, w, p, rand.New(rand.NewPCG(id, uint64(i))), due))
			}
		}
		add(l, id, rate, d.later)
		if d.o.Background > 0 {
			other := uint64(len(d.o.Rates))
			add(d.sink.ledgers[other].Load(), other, d.o.Background, d.now)
		}
		return ops, func() { closeWires(wires) }
	}
	return side
}

// when is a due time and the header that asks for it.
type when struct {
	at     time.Duration // since the run began, on the wall clock
	header []string
}

// later draws a due time.
func (d *lateness) later(rng *rand.Rand) when {
	ahead := d.o.Delay + time.Duration(rng.Int64N(int64(d.o.Spread)+1)).Truncate(time.Millisecond)
	now := d.bodies.wall()
	if rng.IntN(exactEvery) > 0 {
		return when{now + ahead, []string{"Upstash-Delay: " + strconv.FormatInt(ahead.Milliseconds(), 10) + "ms"}}
	}
	begin := d.bodies.begin.UnixNano()
	second := (begin+int64(now+ahead))/int64(time.Second) + 1
	return when{
		time.Duration(second*int64(time.Second) - begin),
		[]string{"Upstash-Not-Before: " + strconv.FormatInt(second, 10)},
	}
}

func (d *lateness) now(*rand.Rand) when { return when{at: d.bodies.wall()} }

// produce is a producer's operation: it waits for its turn and sends one message.
func (d *lateness) produce(l *ledger, id uint64, w *wire, p *pacer, rng *rand.Rand, due func(*rand.Rand) when) operation {
	body := d.bodies.blank()
	return func(stop <-chan struct{}) error {
		if _, err := p.wait(stop); err != nil {
			return err
		}
		seq, err := l.open(stop)
		if err != nil {
			return err
		}
		at := due(rng)
		d.bodies.putAt(body, id, seq, at.at)
		url := "http://" + d.sink.hosts[seq%uint64(len(d.sink.hosts))] + "/"
		if err := w.post(publishHead(d.server, d.addr, url, d.o.BodyBytes, at.header...), body); err != nil {
			l.abandon(seq)
			return err
		}
		l.ack(seq)
		return nil
	}
}

// pacer gives out moments at a fixed rate. Who is late for one gets it at once, so
// that the rate holds. Safe for concurrent use.
type pacer struct {
	begin time.Time
	every float64 // ns
	next  atomic.Int64
}

func newPacer(perSecond int) *pacer {
	return &pacer{begin: time.Now(), every: 1e9 / float64(perSecond)}
}

// wait returns at the next moment that is free, or when stop is closed.
func (p *pacer) wait(stop <-chan struct{}) (moment time.Time, err error) {
	k := p.next.Add(1) - 1
	moment = p.begin.Add(time.Duration(float64(k) * p.every))
	d := time.Until(moment)
	if d <= 0 {
		return moment, nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return moment, nil
	case <-stop:
		return moment, errStopped
	}
}
