package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Delayed measures how long after its due time a delayed message's attempt reaches
// the sink, which reads the clock of the server's machine: both are on this one.
// Messages are published at a fixed rate (open loop), so a server that stalls gets
// no rest from it. One that arrives before its due time, by however little, fails
// the run with ErrEarly. The figures are those of row 11: idle by default, and with a
// Background of half at half of the peak, which is measured first.
//
// Two kinds of messages are sent. Most carry Upstash-Delay. The harness counts from
// the moment before the publish, the server from when it read the request, in full
// milliseconds: so what is reported is lateness and the way there, an upper bound.
// Every sixteenth carries Upstash-Not-Before, whose due time both sides know
// exactly; these fall due together, at the turn of a second.
func Delayed(ctx context.Context, o DelayedOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench delayed: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	l := &delayed{delivery: delivery{
		o:      &DeliverOptions{Common: o.Common, Hosts: o.Hosts, DrainTimeout: o.DrainTimeout},
		bodies: newBodies(o.BodyBytes),
	}, o: &o, server: server}
	if l.addr, err = hostOf(server.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if err := l.openSink(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.closeSink()) }()
	report = newReport("delayed", "due/s", &o.Common)
	if err := l.prepare(ctx, report); err != nil {
		return nil, err
	}
	return report, l.measure(ctx, report)
}

// prepare finds out how much the background is to be.
func (d *delayed) prepare(ctx context.Context, report *Report) error {
	peak := Side{}
	if d.o.Background.Half {
		var err error
		if peak, err = peakOf(ctx, d.delivery.o, d.server, 1); err != nil {
			return err
		}
		report.add(peakProducers, []Side{peak})
	}
	d.background = d.o.Background.of(peak.Rate)
	d.sink.clock = d.bodies.wall
	d.sink.ledgers[len(d.o.Rates)].Store(newUnmeasuredLedger())
	return nil
}

// measure runs all rates and reports their lateness, also as figures.
func (d *delayed) measure(ctx context.Context, report *Report) error {
	sides := make([]contender, len(d.o.Rates))
	for i, rate := range d.o.Rates {
		sides[i] = d.at(uint64(i), rate)
	}
	results, err := runRounds(ctx, &d.o.Common, d.o.Concurrency[0], sides)
	if err != nil {
		return err
	}
	report.add(d.o.Concurrency[0], results)
	run := &report.Runs[len(report.Runs)-1]
	for _, s := range results {
		run.Figures = append(run.Figures, latencyFigures("lateness %s, "+s.Name, s.Rounds)...)
	}
	return nil
}

// exactEvery is which share of the messages carries Upstash-Not-Before.
const exactEvery = 16

// delayed is what the rates of one Delayed share.
type delayed struct {
	delivery
	o          *DelayedOptions
	server     Server
	addr       string
	background int // messages a second
	rec        *recorder
	witness    *witness // both nil: nothing is recorded
}

// at is the side that publishes a number of messages a second.
func (d *delayed) at(id uint64, rate int) contender {
	l := newLedger(0)
	name := strconv.Itoa(rate) + "/s"
	if d.background > 0 {
		name += " beside " + strconv.Itoa(d.background) + "/s"
	}
	side := d.contender(name, id, l)
	side.pid = d.server.PID
	finish := side.finish
	side.finish = func(ctx context.Context) error {
		if err := finish(ctx); err != nil {
			return err
		}
		return d.verify(ctx)
	}
	var beside *pacer
	side.paced(rate, d.measured, func(ctx context.Context, c int, p *pacer) ([]operation, func()) {
		ops, closeAll := d.connect(ctx, c, l, id, p, d.later)
		if d.background == 0 {
			return ops, closeAll
		}
		other := uint64(len(d.o.Rates))
		beside = newPacer(d.background, d.measured()).start()
		more, closeMore := d.connect(ctx, c, d.sink.ledgers[other].Load(), other, beside, d.now)
		return append(ops, more...), func() {
			beside.close()
			closeMore()
			closeAll()
		}
	})
	// Lateness counts from the due time: that the pacer was late does not add to it.
	pace := side.pace
	side.pace = func(elapsed, _ time.Duration) Pace {
		r := pace(elapsed, 0)
		if beside != nil { // without it the side is not what its name says
			r.beside(beside.pace(elapsed, 0))
		}
		return r
	}
	return side
}

// connect makes c producers.
func (d *delayed) connect(ctx context.Context, c int, l *ledger, id uint64, p *pacer, due func(*rand.Rand) when) ([]operation, func()) {
	return connect(ctx, c, d.addr, &d.o.Common, func(i int, w *wire) operation {
		return d.produce(l, id, w, p, rand.New(rand.NewPCG(id, uint64(i))), due)
	})
}

// when is a due time and the header that asks for it.
type when struct {
	at     time.Duration // since the run began, on the wall clock
	header []string
}

// later draws a due time.
func (d *delayed) later(rng *rand.Rand) when {
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

func (d *delayed) now(*rand.Rand) when { return when{at: d.bodies.wall()} }

// produce is a producer's operation: it waits for its turn and sends one message.
func (d *delayed) produce(l *ledger, id uint64, w *wire, p *pacer, rng *rand.Rand, due func(*rand.Rand) when) operation {
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
		sent := d.sink.clock()
		err = w.post(publishHead(d.server, d.addr, url, d.o.BodyBytes, at.header...), body)
		d.promised(id, seq, sent, at.at, err)
		return l.settle(seq, err)
	}
}
