package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Cron measures how late the ticks of many schedules of every second arrive, or of every
// minute, and what processor time a tick takes. A tick that is early fails the run with
// ErrEarly, one that comes twice with ErrTwice, and one that is missed with ErrLost: that
// shows when the schedules have been deleted and no more can come. Their number stands in the
// report where other scenarios have that of the producers.
func Cron(ctx context.Context, o CronOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench cron: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	c := &cron{o: &o, server: server, bodies: newBodies(o.BodyBytes)}
	if c.addr, err = hostOf(server.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if c.ticks, err = openTicks(&o, c.bodies); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.ticks.close()) }()
	sides, err := c.measure(ctx)
	if err != nil {
		return nil, err
	}
	report = newReport("cron", "ticks/s", &o.Common)
	report.add(o.Schedules, sides)
	report.Runs[0].Figures = c.figures(&sides[0])
	return report, nil
}

// cron is one Cron.
type cron struct {
	o      *CronOptions
	server Server
	addr   string
	bodies *bodies
	ticks  *ticks
}

// measure defines the schedules, lets them run, deletes them and waits for the last ticks.
func (c *cron) measure(ctx context.Context) (sides []Side, err error) {
	defer func() {
		if err != nil { // a server that goes on must not be left with them
			c.tidy(ctx)
		}
	}()
	if err := c.each(ctx, c.define); err != nil {
		return nil, err
	}
	o := c.o.Common
	sides, err = runRounds(ctx, &o, c.o.Schedules, []contender{{
		name: "schedules", pid: c.server.PID, damaged: c.ticks.damaged,
		begin: func(_ context.Context, m *meter) error {
			c.ticks.meter.Store(m)
			return nil
		},
		producers: func(context.Context, int) ([]operation, func()) { return nil, func() {} },
		finish:    func(context.Context) error { return c.ticks.damaged() },
	}})
	if err != nil {
		return nil, err
	}
	last := make([]time.Time, c.o.Schedules) // whose ticks up to then must come
	if err := c.each(ctx, func(w *wire, i int) error {
		c.clear()
		last[i] = time.Now().Round(0)
		return c.remove(w, i)
	}); err != nil {
		return nil, err
	}
	return sides, c.drain(ctx, last)
}

// tidyTimeout bounds the removal of the schedules after a run that failed.
const tidyTimeout = 30 * time.Second

// tidy deletes what there is of the schedules, as far as that can be done.
func (c *cron) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	_ = c.each(ctx, func(w *wire, i int) error {
		_ = c.remove(w, i) // most likely it does not exist
		return ctx.Err()
	})
}

// drain waits for the ticks of each schedule up to a moment.
func (c *cron) drain(ctx context.Context, last []time.Time) error {
	deadline := time.Now().Add(c.o.DrainTimeout)
	for i, moment := range last {
		for !c.ticks.due(i).After(moment) && c.ticks.damaged() == nil {
			if time.Now().After(deadline) {
				return fmt.Errorf("%w: schedule %d missed %d ticks", ErrLost, i, 1+moment.Sub(c.ticks.due(i))/c.ticks.every)
			}
			if err := pause(ctx, pollEvery); err != nil {
				return err
			}
		}
	}
	return c.ticks.damaged()
}

// each does something for every schedule, on several connections, until it fails.
func (c *cron) each(ctx context.Context, do func(w *wire, i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	var fail failures
	for range min(c.o.Concurrency[0], c.o.Schedules) {
		wg.Go(func() {
			w := newWire(ctx, c.addr, c.o.RequestTimeout)
			defer w.close()
			for fail.count.Load() == 0 {
				i := int(next.Add(1) - 1)
				if i >= c.o.Schedules {
					return
				}
				if err := do(w, i); err != nil {
					fail.add(err)
				}
			}
		})
	}
	wg.Wait()
	_, err := fail.get()
	return err
}

func (c *cron) id(i int) string { return fmt.Sprintf("bench-%x-%d", c.bodies.run, i) }

// define makes a schedule, and again if a tick fell into that: nobody could tell whether it
// counts.
func (c *cron) define(w *wire, i int) error {
	_, header := c.o.rhythm()
	host := c.ticks.hosts[i%len(c.ticks.hosts)]
	header = append(header, octetStream, "Upstash-Schedule-Id: "+c.id(i))
	if c.server.Token != "" {
		header = append(header, "Authorization: Bearer "+c.server.Token)
	}
	head := postHead(c.addr, "/v2/schedules/http://"+host+"/", c.bodies.size(), header...)
	body := c.bodies.blank()
	for {
		c.clear()
		c.bodies.putAt(body, c.ticks.expect(i, time.Now().Round(0)), uint64(i), 0)
		first := c.ticks.due(i)
		if err := w.post(head, body); err != nil {
			return fmt.Errorf("define schedule %d: %w", i, err)
		}
		if time.Now().Round(0).Before(first) {
			return nil
		}
	}
}

// clear waits while a tick is near, or was just now.
func (c *cron) clear() {
	const margin = 20 * time.Millisecond
	now := time.Now().Round(0)
	if before := now.Sub(now.Truncate(c.ticks.every)); before < margin || c.ticks.every-before < margin {
		time.Sleep((2*margin - before + c.ticks.every) % c.ticks.every)
	}
}

// remove deletes a schedule.
func (c *cron) remove(w *wire, i int) error {
	if err := w.post(requestHead("DELETE", c.server, c.addr, "/v2/schedules/"+c.id(i)), nil); err != nil {
		return fmt.Errorf("delete schedule %d: %w", i, err)
	}
	return nil
}

// figures are how late ticks are, and what they cost.
func (c *cron) figures(s *Side) (out []Figure) {
	out = latencyFigures("lateness %s of "+strconv.Itoa(c.o.Schedules)+" schedules", s.Rounds)
	cpu := Figure{Name: "processor time of a tick", Unit: "us"}
	for _, r := range s.Rounds {
		if r.CPU > 0 {
			cpu.Values = append(cpu.Values, float64(r.CPU)/float64(time.Microsecond))
		}
	}
	if len(cpu.Values) > 0 {
		out = append(out, cpu)
	}
	return out
}
