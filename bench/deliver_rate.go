package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// peakProducers find the rate of a saturated server.
	peakProducers = 256

	// openProducers are the connections of an open loop, unless told otherwise.
	openProducers = 64
)

// peakLength is how long a peak is measured that another scenario needs.
const peakLength = 3 * time.Second

// peakOf measures what a server delivers in a closed loop, on a sink of its own.
func peakOf(ctx context.Context, o *DeliverOptions, s Server, rounds int) (side Side, err error) {
	d := &delivery{o: o, bodies: newBodies(o.BodyBytes)}
	if d.sink, err = openSink(o.Hosts, 1, d.bodies); err != nil {
		return Side{}, err
	}
	defer func() { err = errors.Join(err, d.sink.close()) }()
	common := o.Common
	common.Rounds = rounds
	common.Round = min(common.Round, peakLength)
	common.WarmUp = common.Round / 10
	return d.peak(ctx, common, 0, s)
}

// peak measures what a server delivers in a closed loop, in o's rounds.
func (d *delivery) peak(ctx context.Context, o Common, id uint64, s Server) (Side, error) {
	side, err := d.through("peak", id, s, peakProducers)
	if err != nil {
		return Side{}, err
	}
	sides, err := runRounds(ctx, &o, peakProducers, []contender{side})
	if err != nil {
		return Side{}, err
	}
	return sides[0], nil
}

// measureRate compares server and relay in an open loop. Half of the peak is that of the
// server, which is measured first.
func (d *delivery) measureRate(ctx context.Context, server, relay Server, report *Report) error {
	peak := Side{}
	if d.o.Rate.Half {
		var err error
		if peak, err = peakOf(ctx, d.o, server, 1); err != nil {
			return err
		}
		report.add(peakProducers, []Side{peak})
	}
	perSecond := d.o.Rate.of(peak.Rate)
	sides := make([]contender, 2)
	for i, s := range []Server{server, relay} {
		addr, err := hostOf(s.URL)
		if err != nil {
			return fmt.Errorf("%s: %w", []string{"server", "relay"}[i], err)
		}
		name := []string{"server", "relay"}[i] + "@" + strconv.Itoa(perSecond) + "/s"
		sides[i] = d.at(name, uint64(i), s, addr, perSecond)
	}
	return measureOpen(ctx, &d.o.Common, sides, report)
}

// at is a side that is sent messages at a rate.
func (d *delivery) at(name string, id uint64, s Server, addr string, perSecond int) contender {
	heads := make([][]byte, len(d.sink.hosts))
	for i, host := range d.sink.hosts {
		heads[i] = publishHead(s, addr, "http://"+host+"/", d.o.BodyBytes)
	}
	l := newLedger(0)
	side := d.contender(name, id, l)
	side.pid = s.PID
	side.paced(perSecond, d.measured, func(ctx context.Context, c int, p *pacer) ([]operation, func()) {
		return connect(ctx, c, addr, &d.o.Common, func(_ int, w *wire) operation {
			return onTime(d.bodies, id, l, w, heads, p)
		})
	})
	return side
}

// measured says while what arrives is measured. There is a meter while a round runs.
func (d *delivery) measured() *atomic.Bool { return &d.sink.meter.Load().on }
