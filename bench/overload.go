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

// Overload offers the server more publishes than it can deliver. Before each load it
// measures how many that is, with the closed loop of Deliver and on the same server;
// the load is a multiple of it, sent at its rate whatever becomes of the requests (open
// loop), as far as the connections and the machine allow: what was offered is
// reported. A message is accepted (2xx) or refused, with a status of 429, 503 or 507
// and a Retry-After; anything else is a failed request. What was accepted must all
// arrive after the load, and what was refused must not: ErrLost, ErrCorrupt.
//
// Reported are the rates, the latency of accepted and of refused publishes, counted
// from when they were sent, and how much the accepted rate and the resident memory
// swing in the second half of the load.
func Overload(ctx context.Context, o OverloadOptions) (*Report, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench overload: %w", err)
	}
	report := newReport("overload", "msg/s", &o.Common)
	report.Rounds = 1
	for _, factor := range o.Factors {
		run, err := overload(ctx, &o, factor)
		if err != nil {
			return nil, fmt.Errorf("%dx: %w", factor, err)
		}
		report.Runs = append(report.Runs, run)
	}
	return report, nil
}

// overload measures the peak and one load, on a server of their own.
func overload(ctx context.Context, o *OverloadOptions, factor int) (run Run, err error) {
	common := o.Common
	common.Rounds, common.Round = 1, o.Peak
	d := &delivery{o: &DeliverOptions{Common: common, Hosts: o.Hosts, DrainTimeout: o.DrainTimeout}, bodies: newBodies(o.BodyBytes)}
	if d.sink, err = openSink(o.Hosts, 2, d.bodies); err != nil {
		return Run{}, err
	}
	defer func() { err = errors.Join(err, d.sink.close()) }()
	d.sink.answer = o.Answer
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return Run{}, err
	}
	peak, err := d.peak(ctx, common, 0, server)
	if err != nil {
		return Run{}, err
	}
	s, err := newStorm(o, d, server, float64(factor)*peak.Rate)
	if err != nil {
		return Run{}, err
	}
	storm, err := s.run(ctx)
	if err != nil {
		return Run{}, err
	}
	storm.Name = strconv.Itoa(factor) + "x"
	goodput := storm.Stress.Delivered / peak.Rate
	return Run{
		Concurrency: o.Concurrency[0],
		Sides:       []Side{peak, storm},
		Ratios:      []Ratio{{What: "goodput", Of: storm.Name, Over: "peak", Median: goodput, Min: goodput, Max: goodput}},
	}, nil
}

// storm is one load.
type storm struct {
	o        *OverloadOptions
	delivery *delivery
	server   Server
	addr     string
	heads    [][]byte
	ledger   *ledger
	pacer    *pacer
	once     sync.Once // starts pacer
	fail     failures
	offered  atomic.Int64
	began    time.Time // the load, when all were connected
	refused  *meter
	accepted atomic.Pointer[meter] // of the window that runs
}

func newStorm(o *OverloadOptions, d *delivery, server Server, rate float64) (*storm, error) {
	addr, err := hostOf(server.URL)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s := &storm{o: o, delivery: d, server: server, addr: addr, ledger: newLedger(0), refused: newMeter()}
	s.refused.on.Store(true)
	s.pacer = newPacer(max(int(rate), 1), &s.refused.on) // everything is measured
	for _, host := range d.sink.hosts {
		s.heads = append(s.heads, publishHead(server, addr, "http://"+host+"/", o.BodyBytes))
	}
	d.sink.ledgers[1].Store(s.ledger)
	return s, nil
}

// windows is how many parts of a load are looked at one by one.
const windows = 12

// window is what happened in one.
type window struct {
	Round
	resident int64 // at most
}

// run offers the load and then waits for what was accepted.
func (s *storm) run(ctx context.Context) (Side, error) {
	w := newWatch(s.server.PID)
	var producers, connected sync.WaitGroup
	stop := make(chan struct{})
	s.accepted.Store(newMeter())
	connected.Add(s.o.Concurrency[0])
	for range s.o.Concurrency[0] {
		producers.Go(func() { s.produce(ctx, &connected, stop) })
	}
	connected.Wait()
	begin := time.Now()
	s.began = begin
	var all []window
	hist := newHistogram()
	err := error(nil)
	for len(all) < windows && err == nil {
		var next window
		m := newMeter()
		m.on.Store(true)
		s.accepted.Store(m)
		next, err = s.window(ctx)
		hist.Merge(m.take())
		all = append(all, next)
	}
	lasted, arrived := time.Since(begin), s.ledger.settled.Load()
	close(stop)
	producers.Wait()
	s.pacer.close()
	if err == nil {
		err = s.judge(ctx)
	}
	held, known := w.end()
	if err != nil {
		return Side{}, err
	}
	side := s.side(all, lasted, arrived)
	side.P50, side.P99, side.Max = quantile(hist, 50), quantile(hist, 99), longest(hist)
	side.Stress.Drained = time.Since(begin) - lasted
	if known {
		side.Held = &held
	}
	return side, nil
}

// window lets the load go on for a twelfth of its time.
func (s *storm) window(ctx context.Context) (w window, err error) {
	begin := time.Now()
	m := s.accepted.Load()
	defer s.o.tell(func(now time.Time) Progress {
		p := Progress{Side: "load", Doing: "offering", Elapsed: now.Sub(s.began), Length: s.o.Round}
		p.Done, p.P50, p.P99 = m.glance(0)
		p.Rate, p.Failed = float64(p.Done)/max(now.Sub(begin), time.Millisecond).Seconds(), s.fail.count.Load()
		return p
	})()
	for length := s.o.Round / windows; time.Since(begin) < length && err == nil; {
		now, _, _ := resident(s.server.PID)
		w.resident = max(w.resident, now)
		err = errors.Join(pause(ctx, min(usageEvery, length)), s.delivery.sink.damaged())
	}
	h := m.take()
	w.Round = Round{
		Rate: float64(h.TotalCount()) / time.Since(begin).Seconds(), Messages: h.TotalCount(),
		P50: quantile(h, 50), P99: quantile(h, 99),
	}
	return w, err
}

// judge waits for all that was accepted.
func (s *storm) judge(ctx context.Context) error {
	failed, first := s.fail.get()
	if acked := s.ledger.acked.Load(); failed*100 > acked || acked == 0 {
		return fmt.Errorf("%w: %d, and %d were accepted; the first: %w", ErrFailing, failed, acked, first)
	}
	return s.delivery.drain(ctx, s.ledger)
}

// side works up what was seen. arrived is how many messages had when the load ended.
func (s *storm) side(all []window, lasted time.Duration, arrived int64) Side {
	refused, seconds := s.refused.take(), lasted.Seconds()
	side := Side{Messages: s.ledger.acked.Load(), Duplicates: s.ledger.duplicates.Load()}
	side.Failed, _ = s.fail.get()
	var rates, memory []float64
	for _, w := range all {
		side.Rounds = append(side.Rounds, w.Round)
	}
	for _, w := range all[windows/2:] {
		rates = append(rates, w.Rate)
		memory = append(memory, float64(w.resident))
	}
	side.Rate = median(pick(side.Rounds, func(r Round) float64 { return r.Rate }))
	side.Stress = &Stress{
		Offered:  float64(s.offered.Load()) / seconds,
		Accepted: float64(side.Messages) / seconds,
		Refused:  float64(refused.TotalCount()) / seconds, RefusedIn: quantile(refused, 99),
		Delivered:     float64(arrived) / seconds,
		AcceptedSwing: swing(rates), ResidentSwing: swing(memory),
	}
	return side
}

// produce offers messages on one connection until stop is closed. It begins when all
// are connected: a thousand connections at one moment are another scenario.
func (s *storm) produce(ctx context.Context, connected *sync.WaitGroup, stop <-chan struct{}) {
	w := newWire(ctx, s.addr, s.o.RequestTimeout)
	defer w.close()
	if err := w.ready(); err != nil {
		s.fail.add(err)
	}
	connected.Done()
	connected.Wait()
	s.once.Do(func() { s.pacer.start() })
	body := s.delivery.bodies.blank()
	for {
		select {
		case <-stop: // wait would as well give a moment
			return
		default:
		}
		if _, err := s.pacer.wait(stop); err != nil {
			return
		}
		if err := s.offer(w, body); err != nil {
			s.fail.add(err)
			_ = pause(ctx, errorPause)
		}
	}
}

// offer sends one message. An error is a request that was neither accepted nor refused.
func (s *storm) offer(w *wire, body []byte) error {
	seq, err := s.ledger.open(nil)
	if err != nil {
		return err
	}
	s.offered.Add(1)
	s.delivery.bodies.put(body, 1, seq)
	begin := time.Now()
	err = w.post(s.heads[seq%uint64(len(s.heads))], body)
	_, later := asksLater(err)
	switch {
	case err == nil:
		s.accepted.Load().record(seq, time.Since(begin))
		s.ledger.ack(seq)
	case later:
		s.refused.record(seq, time.Since(begin))
		err = s.ledger.refuse(seq)
	default:
		s.ledger.abandon(seq)
	}
	return err
}
