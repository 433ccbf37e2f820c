package bench

import (
	"context"
	"fmt"
	"time"
)

// What is delayed by DeliverOptions.Later is due laterMin to laterMax after its publish: the
// delays are laterDelays steps from the one to the other, one after the other.
const (
	laterMin    = time.Hour
	laterMax    = 7 * 24 * time.Hour
	laterDelays = 61
)

// laterDelay is the delay of the n-th message that is delayed.
func laterDelay(n uint64) time.Duration {
	return (laterMin + time.Duration(n%laterDelays)*(laterMax-laterMin)/(laterDelays-1)).Truncate(time.Second)
}

// measureLater measures the server alone while a share of the messages is delayed beyond the
// run (row 16): a relay keeps nothing for an hour.
func (d *delivery) measureLater(ctx context.Context, c int, server, _ Server, report *Report) error {
	side, err := d.through("server", 0, server, c)
	if err != nil {
		return err
	}
	if err := d.delaySome(&side, server); err != nil {
		return err
	}
	side.runtime = d.more.runtime()
	results, err := runRounds(ctx, &d.o.Common, c, d.more.sides([]contender{side}))
	if err != nil {
		return err
	}
	report.add(c, results)
	report.addWritten()
	report.figures(side.runtime.figures("message, half of them delivered")...)
	return nil
}

// delaySome has a side's producers delay as many of the messages as Later says, evenly
// spread. One that arrives fails the run, by ErrEarly.
func (d *delivery) delaySome(side *contender, s Server) error {
	addr, err := hostOf(s.URL)
	if err != nil {
		return err
	}
	heads := make([][]byte, laterDelays)
	for i := range heads {
		host := d.sink.hosts[i%len(d.sink.hosts)]
		heads[i] = publishHead(s, addr, "http://"+host+"/", d.o.BodyBytes,
			fmt.Sprintf("Upstash-Delay: %ds", int64(laterDelay(uint64(i))/time.Second)))
	}
	const id = 1
	later := newLedger(0)
	d.sink.ledgers[id].Store(later)
	now := side.producers
	side.producers = func(ctx context.Context, c int) ([]operation, func()) {
		ops, closeNow := now(ctx, c)
		wires := make([]*wire, c)
		for i, op := range ops {
			wires[i] = newWire(ctx, addr, d.o.RequestTimeout)
			ops[i] = d.mix(op, d.publishLater(later, id, wires[i], heads), float64(i)/float64(c))
		}
		return ops, func() {
			closeNow()
			closeWires(wires)
		}
	}
	return nil
}

// publishLater is a producer's operation: the next message that is delayed.
func (d *delivery) publishLater(l *ledger, id uint64, w *wire, heads [][]byte) operation {
	body := d.bodies.blank()
	return func(stop <-chan struct{}) error {
		seq, err := l.open(stop)
		if err != nil {
			return err
		}
		// Stamped with its due time: an arrival before that is an early one. A second is
		// what the header's resolution may take off it.
		d.bodies.putAt(body, id, seq, d.bodies.elapsed()+laterDelay(seq)-time.Second)
		return w.post(heads[seq%laterDelays], body)
	}
}

// mix has a producer do later instead of now as often as Later says, beginning at phase.
func (d *delivery) mix(now, later operation, phase float64) operation {
	return func(stop <-chan struct{}) error {
		if phase += d.o.Later; phase < 1 {
			return now(stop)
		}
		phase--
		return later(stop)
	}
}
