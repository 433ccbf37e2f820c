package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// Flow measures how exactly flow-control keys are kept. To each key more is published than
// it allows, so that its windows could all be full. The receiver sees arrivals, and the
// server counts beginnings (QSTASH.md §8.7); windows are found that explain what arrived,
// with the least time from an attempt's beginning to its arrival for which there are any.
// That time is a figure; if it had to be more than half a period, or a second, or if more
// attempts were under way at one time than the parallelism, the run fails with ErrLimit.
//
// Reported are the share of each window that was used, which should be nearly all, the
// most attempts under way as a share of the parallelism, and the server's CPU time for a
// message beside that of as many messages a second without a key (open loop).
func Flow(ctx context.Context, o FlowOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench flow: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	lanes := make([]lane, o.Keys)
	for i := range lanes {
		lanes[i] = lane{
			kind: laneKey, name: fmt.Sprintf("k-%d", i),
			rate: o.Rate, period: o.Period, sliding: o.Sliding, parallelism: o.Parallelism,
		}
	}
	r, err := openRecorded(o.delivery(), server, lanes, 1, o.Record)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	f := newFlow(r, &o)
	plain, err := f.plain()
	if err != nil {
		return nil, err
	}
	c := o.Concurrency[0]
	results, err := runRounds(ctx, &o.Common, c, []contender{f.contender("keys", f.producers), plain})
	if err != nil {
		return nil, err
	}
	report = newReport("flow", "delivered/s", &o.Common)
	report.add(c, results)
	f.judge(&report.Runs[0])
	return report, nil
}

// flow is what the sides of one Flow share.
type flow struct {
	*recorded
	o     *FlowOptions
	heads [][][]byte // of publishes, by key and host
}

func newFlow(r *recorded, o *FlowOptions) *flow {
	f := &flow{recorded: r, o: o}
	r.sink.answer, r.verify.Tolerance = o.Answer, o.Tolerance
	r.open(func() *ledger { return newLedger(flowBacklog * o.Rate) })
	for i := range o.Keys {
		headers := []string{
			"Upstash-Flow-Control-Key: " + r.name("k", i),
			fmt.Sprintf("Upstash-Flow-Control-Value: rate=%d, period=%v, parallelism=%d", o.Rate, o.Period, o.Parallelism),
		}
		if o.Sliding {
			headers = append(headers, "Tidemill-Flow-Control-Mode: sliding")
		}
		heads := make([][]byte, len(r.sink.hosts))
		for k, host := range r.sink.hosts {
			heads[k] = publishHead(r.server, r.addr, "http://"+host+"/", o.BodyBytes, headers...)
		}
		f.heads = append(f.heads, heads)
	}
	return f
}

// producers share the keys out among themselves. One that finds a key's backlog full waits
// for it: the others drain as fast, and hold enough for some periods.
func (f *flow) producers(ctx context.Context, c int) ([]operation, func()) {
	return connect(ctx, c, f.addr, &f.o.Common, func(i int, w *wire) operation {
		body, next, n := f.bodies.blank(), i, 0
		return func(stop <-chan struct{}) error {
			key := next
			if next += c; next >= f.o.Keys {
				next = i
			}
			n++
			return f.publish(uint64(key), 1, w, f.heads[key][n%len(f.heads[key])], body, stop)
		}
	})
}

// plain is the side without keys, at the rate that the keys allow.
func (f *flow) plain() (contender, error) {
	side, err := f.through("unlimited", uint64(f.o.Keys), f.server, f.o.Concurrency[0])
	if err != nil {
		return contender{}, err
	}
	produce := side.producers
	on := func() *atomic.Bool { return &f.sink.meter.Load().on }
	side.paced(f.o.perSecond(), on, func(ctx context.Context, c int, p *pacer) ([]operation, func()) {
		ops, closeAll := produce(ctx, c)
		for i, op := range ops {
			ops[i] = func(stop <-chan struct{}) error {
				if _, err := p.wait(stop); err != nil {
					return err
				}
				return op(stop)
			}
		}
		return ops, closeAll
	})
	return side, nil
}

// judge works up what the recordings show.
func (f *flow) judge(run *Run) {
	share := func(of func([]float64) float64) func(*Verdict) float64 {
		return func(v *Verdict) float64 {
			if len(v.Shares) == 0 { // the round was shorter than three windows
				return 0
			}
			return of(v.Shares)
		}
	}
	run.Figures = append(
		run.Figures,
		f.figure("share of a window used, median", "", share(median)),
		f.figure("share of a window used, least", "", share(slices.Min[[]float64])),
		f.figure("share of a window used, most", "", share(slices.Max[[]float64])),
		f.figure("attempts at one time, share of the parallelism, most", "", func(v *Verdict) float64 { return v.InFlight }),
		f.figure("longest way of an attempt to its arrival that the windows need", "ms", func(v *Verdict) float64 { return v.Delay.Seconds() * 1e3 }),
	)
	if !slices.ContainsFunc(slices.Concat(run.Sides[0].Rounds, run.Sides[1].Rounds), func(r Round) bool { return r.CPU == 0 }) {
		run.Ratios = append(run.Ratios, ratio("CPU/message", &run.Sides[0], &run.Sides[1], func(r Round) float64 { return float64(r.CPU) }))
	}
}
