package bench

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"
)

// measureRate compares two sides of Publish in an open loop.
func (o *PublishOptions) measureRate(ctx context.Context, server, echo Server, report *Report) error {
	perSecond, err := o.rate(ctx, server, report)
	if err != nil {
		return err
	}
	sides := make([]contender, 2)
	for i, s := range []Server{server, echo} {
		name := []string{"server", "echo"}[i] + "@" + strconv.Itoa(perSecond) + "/s"
		if sides[i], err = rateContender(name, s, o, perSecond); err != nil {
			return err
		}
	}
	return measureOpen(ctx, &o.Common, sides, report)
}

// rate is the one that was asked for. For half of the peak, that is measured first.
func (o *PublishOptions) rate(ctx context.Context, server Server, report *Report) (int, error) {
	if !o.Rate.Half {
		return o.Rate.PerSecond, nil
	}
	side, err := publisher("peak", server, o)
	if err != nil {
		return 0, err
	}
	common := o.Common
	common.Rounds = 1
	sides, err := runRounds(ctx, &common, peakProducers, []contender{side})
	if err != nil {
		return 0, err
	}
	report.add(peakProducers, sides)
	return o.Rate.of(sides[0].Rate), nil
}

// measureOpen runs sides that keep a rate, and compares the first one's p99 with that of
// the second.
func measureOpen(ctx context.Context, o *Common, sides []contender, report *Report) error {
	c := o.Concurrency[0]
	results, err := runRounds(ctx, o, c, sides)
	if err != nil {
		return err
	}
	report.add(c, results)
	run := &report.Runs[len(report.Runs)-1]
	if r, ok := latencies("p99", &results[0], &results[1], p99); ok {
		run.Ratios = append(run.Ratios, r)
	}
	return nil
}

// rateContender is a side that is published to at a rate.
func rateContender(name string, s Server, o *PublishOptions, perSecond int) (contender, error) {
	side, err := publisher(name, s, o)
	if err != nil {
		return contender{}, err
	}
	var m *meter
	side.acks = false // a producer records, from the moment at which it was to send
	side.begin = func(_ context.Context, next *meter) error {
		m = next
		return nil
	}
	send := side.producers
	side.paced(perSecond, func() *atomic.Bool { return &m.on }, func(ctx context.Context, c int, p *pacer) ([]operation, func()) {
		ops, closeAll := send(ctx, c)
		for i, op := range ops {
			ops[i] = func(stop <-chan struct{}) error {
				moment, err := p.wait(stop)
				if err != nil {
					return err
				}
				if err := op(stop); err != nil {
					return err
				}
				m.record(uint64(i), time.Since(moment))
				return nil
			}
		}
		return ops, closeAll
	})
	return side, nil
}

// paced makes s an open loop: its producers wait for a pacer, of which each round has one.
// on is when a round's moments are counted.
func (s *contender) paced(perSecond int, on func() *atomic.Bool, producers func(context.Context, int, *pacer) ([]operation, func())) {
	var p *pacer
	s.producers = func(ctx context.Context, c int) ([]operation, func()) {
		p = newPacer(perSecond, on()).start()
		ops, closeAll := producers(ctx, c, p)
		return ops, func() {
			p.close()
			closeAll()
		}
	}
	s.pace = func(elapsed, p99 time.Duration) Pace { return p.pace(elapsed, p99) }
}

// connect makes n producers, each with a connection of its own, and a function that closes
// these.
func connect(ctx context.Context, n int, addr string, o *Common, operate func(i int, w *wire) operation) ([]operation, func()) {
	wires, ops := make([]*wire, n), make([]operation, n)
	for i := range ops {
		wires[i] = newWire(ctx, addr, o.RequestTimeout)
		ops[i] = operate(i, wires[i])
	}
	return ops, func() { closeWires(wires) }
}

// onTime is a producer's operation of an open loop: the next message of a side, at its
// moment, to the host whose turn it is.
func onTime(b *bodies, side uint64, l *ledger, w *wire, heads [][]byte, p *pacer) operation {
	body := b.blank()
	return func(stop <-chan struct{}) error {
		moment, err := p.wait(stop)
		if err != nil {
			return err
		}
		seq, err := l.open(stop)
		if err != nil {
			return err
		}
		b.putAt(body, side, seq, moment.Sub(b.begin))
		return l.settle(seq, w.post(heads[seq%uint64(len(heads))], body))
	}
}
