package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// Retries measures an outage and the storm after it. Hosts answer 503, or refuse
// connections, while messages are published to them at a fixed rate; then they are healed,
// and the rate goes on until all that was published before has arrived. Beside them a
// healthy host is sent messages at a fixed rate all the time; its latencies count from the
// moment at which each was to be sent, in three sides: before the outage, in it, and in the
// storm.
//
// Each message asks for a number of retries and a delay before each. One that is tried more
// often or sooner fails the run with ErrRetries, one that does not arrive with ErrLost.
func Retries(ctx context.Context, o RetriesOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench retries: %w", err)
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
	report = newReport("retries", "delivered/s", &o.Common)
	rounds, figures := make([][]Side, o.Rounds), stormFigures()
	for k := range rounds {
		if rounds[k], err = retry(ctx, &o, server, addr, figures); err != nil {
			return nil, fmt.Errorf("round %d: %w", k+1, err)
		}
	}
	report.add(o.Concurrency[0], joinRounds(rounds))
	run := &report.Runs[0]
	run.Figures = figures
	for _, i := range []int{1, 2} {
		if r, ok := latencies("p99", &run.Sides[i], &run.Sides[0], p99); ok {
			run.Ratios = append(run.Ratios, r)
		}
	}
	return report, nil
}

// stormFigures are the figures of a storm, without values.
func stormFigures() []Figure {
	return []Figure{
		{Name: "failed attempts while the hosts were out", Unit: "/s"},
		{Name: "messages that waited when they were healed"},
		{Name: "from then until these had arrived", Unit: "s"},
		{Name: "messages that arrived twice"},
		{Name: "attempts whose Upstash-Retried is not what the host counted"},
	}
}

// gale is one round.
type gale struct {
	o       *RetriesOptions
	server  Server
	addr    string
	bodies  *bodies
	hosts   *outage
	ledgers [outageSides]*ledger
	heads   [outageSides][][]byte // of publishes, by host
	healed  time.Time
	waited  int64 // messages that had not arrived then
	gone    time.Duration
}

// retry is one round: three sides and a value for each figure.
func retry(ctx context.Context, o *RetriesOptions, server Server, addr string, figures []Figure) (sides []Side, err error) {
	g := &gale{o: o, server: server, addr: addr, bodies: newBodies(o.BodyBytes)}
	if g.hosts, err = openOutage(o, g.bodies); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.hosts.close()) }()
	g.prepare()
	for _, phase := range []struct {
		side   contender
		length time.Duration
	}{{g.calm(), o.Calm}, {g.outage(), o.Round}, {g.storm(), 0}} {
		common := o.Common
		common.Rounds, common.Round = 1, phase.length
		side, err := runRounds(ctx, &common, o.Concurrency[0], []contender{phase.side})
		if err != nil {
			return nil, err
		}
		sides = append(sides, side[0])
	}
	failed := g.hosts.attempts.Load()
	if o.Kind == OutageRefuse { // nobody saw them; the messages count them themselves
		failed = g.hosts.retried.Load()
	}
	for i, v := range []float64{
		float64(failed) / o.Round.Seconds(), float64(g.waited), g.gone.Seconds(),
		float64(g.ledgers[sideOut].duplicates.Load() + g.ledgers[sideStorm].duplicates.Load()), float64(g.hosts.reordered.Load()),
	} {
		figures[i].Values = append(figures[i].Values, v)
	}
	return sides, nil
}

// prepare renders the requests.
func (g *gale) prepare() {
	header := []string{
		"Upstash-Retries: " + strconv.Itoa(g.o.Retries),
		"Upstash-Retry-Delay: " + strconv.FormatInt(g.o.RetryDelay.Milliseconds(), 10),
	}
	for side := range g.ledgers {
		g.ledgers[side] = newUnmeasuredLedger()
		hosts, own := g.hosts.of, header
		if side == sideHealthy {
			g.ledgers[side], hosts, own = newLedger(0), g.hosts.hosts, nil
		}
		g.hosts.ledgers[side].Store(g.ledgers[side])
		for _, host := range hosts {
			g.heads[side] = append(g.heads[side], publishHead(g.server, g.addr, "http://"+host+"/", g.o.BodyBytes, own...))
		}
	}
}

// phase is the healthy host while others have their messages at another rate, or none.
func (g *gale) phase(name string, others int, side uint64) contender {
	var beside *pacer
	c := contender{
		name: name,
		begin: func(_ context.Context, m *meter) error {
			g.hosts.meter.Store(m)
			return nil
		},
		damaged:    g.hosts.damaged,
		duplicates: g.ledgers[sideHealthy].duplicates.Load,
	}
	on := func() *atomic.Bool { return &g.hosts.meter.Load().on }
	c.paced(g.o.Beside, on, func(ctx context.Context, n int, p *pacer) ([]operation, func()) {
		ops, closeAll := g.connect(ctx, n, sideHealthy, p)
		if others == 0 {
			return ops, closeAll
		}
		beside = newPacer(others, on()).start()
		more, closeMore := g.connect(ctx, n, side, beside)
		return append(ops, more...), func() {
			beside.close()
			closeMore()
			closeAll()
		}
	})
	pace := c.pace
	c.pace = func(elapsed, p99 time.Duration) Pace {
		r := pace(elapsed, p99)
		if beside != nil {
			r.beside(beside.pace(elapsed, 0))
		}
		return r
	}
	return c
}

func (g *gale) calm() contender { return g.phase("healthy, before", 0, 0) }

func (g *gale) outage() contender { return g.phase("healthy, in the outage", g.o.Rate, sideOut) }

// storm begins with the healing. It goes on until all from before has arrived.
func (g *gale) storm() contender {
	c := g.phase("healthy, in the storm", g.o.Rate, sideStorm)
	begin := c.begin
	c.begin = func(ctx context.Context, m *meter) error {
		g.waited, g.healed = g.ledgers[sideOut].missing(), time.Now()
		return errors.Join(begin(ctx, m), g.hosts.heal())
	}
	c.until = func() bool {
		g.gone = time.Since(g.healed)
		return g.ledgers[sideOut].missing() > 0 && g.hosts.damaged() == nil && g.gone < g.o.DrainTimeout
	}
	c.finish = func(ctx context.Context) error {
		g.hosts.meter.Store(nil)
		for _, l := range g.ledgers {
			if err := l.await(ctx, g.hosts.damaged, g.o.DrainTimeout, 0); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// connect makes n producers for a side.
func (g *gale) connect(ctx context.Context, n int, side uint64, p *pacer) ([]operation, func()) {
	return connect(ctx, n, g.addr, &g.o.Common, func(_ int, w *wire) operation {
		return onTime(g.bodies, side, g.ledgers[side], w, g.heads[side], p)
	})
}
