package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"
)

// Isolation measures what dead hosts, black holes and slow hosts cost a healthy one.
// Every fourth message is for the healthy host, the others for one host after the
// other of the three bad kinds: the harder way to share traffic equally, since with
// a share for each of 301 hosts the healthy one would hardly have any to lose.
//
// The side "alone" is the same server with the same publishes, but for the bad
// hosts' messages being due in an hour: so storing them costs the same on both sides,
// and what differs is their delivery. Two things are compared, in rounds of their
// own: latency from publish to arrival at a fixed rate, counted from the moment at
// which the message was to be sent (open loop), and throughput with a bounded number
// of the healthy host's messages under way (closed loop). Each round has a server and
// hosts of its own.
//
// After a round all hosts are revived. Everything that was acknowledged to any of them
// must then arrive, or the run fails with ErrLost.
func Isolation(ctx context.Context, o IsolationOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench isolation: %w", err)
	}
	d := &isolation{o: &o, bodies: newBodies(o.BodyBytes)}
	d.procs, ctx = newChildren(ctx, o.Spawn)
	defer func() { err = d.procs.end(errors.Join(err, d.end())) }()
	report = newReport("isolation", "delivered/s", &o.Common)
	for _, rate := range []int{o.Rate, 0} {
		if err := d.measure(ctx, rate, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// isolation is what the sides of one Isolation share.
type isolation struct {
	o      *IsolationOptions
	bodies *bodies
	procs  children // none: it has the run's context
	stage  *stage   // of the round that runs; nil between rounds
}

// measure compares both sides at a rate, or in a closed loop if it is 0.
func (d *isolation) measure(ctx context.Context, rate int, report *Report) error {
	c := d.o.Concurrency[0]
	suffix := ""
	if rate > 0 {
		suffix = "@" + strconv.Itoa(rate) + "/s"
	}
	var held [2]Usage
	var duplicates [2]int64
	var refused [2][]float64
	sides := make([]contender, 2)
	for i, name := range []string{"all", "alone"} {
		sides[i] = d.side(&sides[i], name == "all", rate, &held[i], &duplicates[i], &refused[i])
		sides[i].name = name + suffix
	}
	results, err := runRounds(ctx, &d.o.Common, c, sides)
	if err != nil {
		return err
	}
	for i := range results {
		if held[i] != (Usage{}) {
			results[i].Held = &held[i]
		}
	}
	report.add(c, results, [2]int{0, 1})
	if run := &report.Runs[len(report.Runs)-1]; rate > 0 {
		if r, ok := latencies("p99", &results[0], &results[1], p99); ok {
			run.Ratios = append(run.Ratios, r)
		}
	}
	for i := range refused {
		report.figures(Figure{Name: sides[i].name + ": refused for now, and published again", Values: refused[i]})
	}
	return nil
}

// side is what self becomes: the healthy host with or without the others.
func (d *isolation) side(self *contender, others bool, rate int, held *Usage, duplicates *int64, refused *[]float64) contender {
	c := contender{
		begin: func(ctx context.Context, m *meter) error {
			if err := d.begin(ctx, others, rate); err != nil {
				return err
			}
			self.pid = d.stage.server.PID
			d.stage.crowd.meter.Store(m)
			return nil
		},
		producers: func(ctx context.Context, c int) ([]operation, func()) { return d.stage.producers(ctx, c, rate) },
		finish: func(ctx context.Context) error {
			err := d.stage.drain(ctx, others)
			if most, ok := d.stage.watch.end(); ok {
				*held = held.most(most)
			}
			d.stage.watch = nil
			*refused = append(*refused, float64(d.stage.refused.Load()))
			for _, l := range d.stage.ledgers {
				*duplicates += l.duplicates.Load()
			}
			return errors.Join(err, d.end())
		},
		damaged:    func() error { return d.stage.crowd.damaged() },
		duplicates: func() int64 { return *duplicates },
	}
	if rate > 0 {
		c.pace = func(elapsed, p99 time.Duration) Pace { return d.stage.pacer.pace(elapsed, p99) }
	}
	return c
}

// begin starts a server and the hosts of a round.
func (d *isolation) begin(ctx context.Context, others bool, rate int) (err error) {
	s := &stage{o: d.o, bodies: d.bodies, procs: d.procs}
	d.stage = s // end cleans up what there is of it
	if s.server, err = s.procs.server(ctx, Server{}); err != nil {
		return err
	}
	if s.addr, err = hostOf(s.server.URL); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	each := [kindsAll]int{kindHealthy: 1, kindDead: d.o.Hosts, kindHole: d.o.Hosts, kindSlow: d.o.Hosts}
	if s.crowd, err = openCrowd(each, d.o.Slow, 0, d.bodies); err != nil {
		return err
	}
	s.watch = newWatch(s.server.PID)
	s.prepare(others, rate)
	return nil
}

// end ends the round that runs, if any.
func (d *isolation) end() (err error) {
	s := d.stage
	if s == nil {
		return nil
	}
	d.stage = nil
	if s.watch != nil {
		s.watch.end()
	}
	err = s.procs.stop()
	if s.crowd != nil {
		err = errors.Join(err, s.crowd.close())
	}
	return err
}

// stage is where one round takes place.
type stage struct {
	o       *IsolationOptions
	bodies  *bodies
	procs   children
	server  Server
	addr    string
	crowd   *crowd
	watch   *watch
	pacer   *pacer // nil in a closed loop
	ledgers [kinds]*ledger
	heads   [kinds][][]byte // of publishes, by host
	refused atomic.Int64    // with a Retry-After
}

// prepare renders the requests. The bad hosts' messages are tried again so often
// that none is given up before its host is revived.
func (s *stage) prepare(others bool, rate int) {
	header := []string{
		fmt.Sprintf("Upstash-Timeout: %dms", s.o.AttemptTimeout.Milliseconds()),
		fmt.Sprintf("Upstash-Retry-Delay: %d", s.o.RetryDelay.Milliseconds()),
		"Upstash-Retries: 100",
	}
	if !others {
		header = append(header, "Upstash-Delay: 1h")
	}
	for kind, hosts := range s.crowd.of[:kinds] {
		s.ledgers[kind] = newUnmeasuredLedger()
		s.crowd.ledgers[kind].Store(s.ledgers[kind])
		for _, host := range hosts {
			s.heads[kind] = append(s.heads[kind], publishHead(s.server, s.addr, "http://"+host+"/", s.o.BodyBytes, header...))
		}
	}
	backlog := 4 * s.o.Concurrency[0]
	if rate > 0 {
		backlog = 0
	}
	s.ledgers[kindHealthy] = newLedger(backlog)
	s.crowd.ledgers[kindHealthy].Store(s.ledgers[kindHealthy])
	s.heads[kindHealthy] = [][]byte{publishHead(s.server, s.addr, "http://"+s.crowd.of[kindHealthy][0]+"/", s.o.BodyBytes)}
}

// producers keep rate messages a second to the healthy host, or have their next
// request wait for the last if it is 0.
func (s *stage) producers(ctx context.Context, c, rate int) ([]operation, func()) {
	if rate > 0 {
		s.pacer = newPacer(rate*kinds, &s.crowd.meter.Load().on).start()
	}
	wires := make([]*wire, c)
	ops := make([]operation, c)
	for i := range ops {
		wires[i] = newWire(ctx, s.addr, s.o.RequestTimeout)
		ops[i] = s.produce(i, wires[i], s.pacer)
	}
	return ops, func() {
		if s.pacer != nil {
			s.pacer.close()
		}
		closeWires(wires)
	}
}

// produce is a producer's operation: a message to each kind in turn. One that the server
// refuses for now is sent again when it says, and counts from its first moment.
func (s *stage) produce(turn int, w *wire, p *pacer) operation {
	body := s.bodies.blank()
	later := postponed{refused: &s.refused}
	return func(stop <-chan struct{}) error {
		m, again, err := later.next(p == nil, stop)
		if err == nil && !again {
			turn++
			m, err = s.owed(turn%kinds, p, stop)
		}
		if err != nil {
			return err
		}
		s.bodies.putAt(body, uint64(m.kind), m.seq, m.from)
		heads := s.heads[m.kind]
		err = w.post(heads[m.seq%uint64(len(heads))], body)
		if later.put(m, err) {
			return nil
		}
		return s.ledgers[m.kind].settle(m.seq, err)
	}
}

// owed is the next message to a kind: of the pacer's next moment, or of now without one.
func (s *stage) owed(kind int, p *pacer, stop <-chan struct{}) (m owed, err error) {
	var moment time.Time
	if p != nil {
		if moment, err = p.wait(stop); err != nil {
			return owed{}, err
		}
	}
	m.kind = kind
	if m.seq, err = s.ledgers[kind].open(stop); err != nil {
		return owed{}, err
	}
	if m.from = s.bodies.elapsed(); p != nil {
		m.from = moment.Sub(s.bodies.begin)
	}
	return m, nil
}

// drain waits for the healthy host's messages and, if they are due, for the others'.
func (s *stage) drain(ctx context.Context, others bool) error {
	begin := time.Now()
	s.crowd.meter.Store(nil)
	if err := s.crowd.await(ctx, kindHealthy, begin, s.o.DrainTimeout); err != nil || !others {
		return err
	}
	if err := s.crowd.heal(); err != nil {
		return err
	}
	for kind := kindHealthy + 1; kind < kinds; kind++ {
		if err := s.crowd.await(ctx, kind, begin, s.o.DrainTimeout); err != nil {
			return err
		}
	}
	s.o.Log.Info("all arrived", "each", s.ledgers[kindDead].acked.Load(), slog.Duration("within", time.Since(begin)))
	return nil
}
