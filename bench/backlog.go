package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Backlog measures what messages cost that wait: memory and disk for each of them (rows 13
// and 17), and what a publish and a delivery cost more where many wait than where few do
// (row 14). Each number of them has a server of its own, all run at one time and take turns.
//
// In a round, messages are published whose delay is longer than the round; that is the
// publish's CPU time and latency. Then all of them are awaited; what the server used
// meanwhile is the deliveries' CPU time. So a round leaves as many waiting as it found.
// The messages of the backlog wait for an hour to a day and are not delivered.
//
// All that is due must arrive, or the run fails with ErrLost, as it does if the servers do
// not know the backlog's messages any more, of which a sample is asked for at the end.
func Backlog(ctx context.Context, o BacklogOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench backlog: %w", err)
	}
	d := &backlog{o: &o, bodies: newTextBodies(o.BodyBytes)}
	d.procs, ctx = newChildren(ctx, o.Spawn)
	defer func() { err = d.procs.end(err) }()
	// A side for each level's publishes, one for all backlogs, and two for Drain.
	if d.gate, err = openGate(o.Hosts, len(o.Pending)+2, d.bodies); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.gate.close()) }()
	report = newReport("backlog", "acked/s", &o.Common)
	if err := d.measure(ctx, report); err != nil {
		return nil, err
	}
	if o.Drain {
		err = d.drainAll(ctx, &report.Runs[0])
	}
	return report, err
}

// backlog is what the levels of one Backlog share.
type backlog struct {
	o      *BacklogOptions
	bodies *bodies
	gate   *gate
	procs  children
}

// level is a server with so many pending messages.
type level struct {
	*backlog
	id      int
	name    string
	pending int
	server  Server
	addr    string
	fill    *fill
	ledger  *ledger // of what is due

	empty  int64   // bytes of its data directory before the backlog
	disk   int64   // and with it
	memory memory  // with it, before the rounds
	known  bool    // memory is
	cpu    []delve // of each round's deliveries
}

// delve is what deliveries of a round took.
type delve struct {
	cpu      time.Duration
	messages int64
}

func (d *backlog) measure(ctx context.Context, report *Report) error {
	levels := make([]*level, len(d.o.Pending))
	sides := make([]contender, len(levels))
	for i, pending := range d.o.Pending {
		l, err := d.raise(ctx, i, pending)
		if err != nil {
			return err
		}
		levels[i], sides[i] = l, l.contender()
	}
	c := d.o.Concurrency[0]
	results, err := runRounds(ctx, &d.o.Common, c, sides)
	if err != nil {
		return err
	}
	for _, l := range levels {
		if err := l.fill.known(ctx, l.server, l.pending, d.o.RequestTimeout); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	var pairs [][2]int
	for i := 1; i < len(levels); i++ {
		pairs = append(pairs, [2]int{i, 0})
	}
	report.add(c, results, pairs...)
	run := &report.Runs[0]
	for i, l := range levels {
		run.Figures = append(run.Figures, l.figures(levels[0])...)
		if i > 0 && l.server.PID > 0 {
			run.Ratios = append(run.Ratios, l.ratios(levels[0], &results[i], &results[0])...)
		}
	}
	return nil
}

// raise starts a server and has it take its backlog.
func (d *backlog) raise(ctx context.Context, id, pending int) (*level, error) {
	l := &level{backlog: d, id: id, pending: pending, name: fmt.Sprintf("%d pending", pending), ledger: newLedger(0)}
	var err error
	if l.server, err = d.procs.start(ctx, RoleServer); err != nil {
		return nil, err
	}
	if l.addr, err = hostOf(l.server.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if l.empty, err = l.steady(ctx); err != nil {
		return nil, err
	}
	url := "http://" + d.gate.hosts[0] + "/"
	l.fill, err = newFill(l.server, d.bodies, uint64(len(d.o.Pending)), func(seq uint64) (string, time.Duration) { return url, farOff(seq) })
	if err != nil {
		return nil, err
	}
	began := time.Now()
	end := l.fill.follow(&d.o.Common, l.name, pending)
	err = l.fill.run(ctx, pending, d.o.RequestTimeout)
	end()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	d.o.Log.Info("filled", "pending", pending, "in", time.Since(began).String())
	d.gate.ledgers[id].Store(l.ledger)
	return l, l.weigh(ctx)
}

// weigh reads what the backlog takes.
func (l *level) weigh(ctx context.Context) (err error) {
	if err := pause(ctx, l.o.Calm); err != nil {
		return err
	}
	l.memory, l.known = memoryOf(l.server.PID)
	l.disk, err = l.used()
	return err
}

// used is the size of the server's data; 0 if it is not known where they are.
func (l *level) used() (int64, error) {
	if l.server.Data == "" {
		return 0, nil
	}
	return diskUsed(l.server.Data)
}

// steadyMax bounds the wait for a server that has just been started and makes files ahead.
const steadyMax = 10 * time.Second

// steady is what is used once it does not change any more.
func (l *level) steady(ctx context.Context) (int64, error) {
	before := int64(-1)
	for began := time.Now(); ; {
		now, err := l.used()
		if err != nil || now == before || time.Since(began) > steadyMax {
			return now, err
		}
		before = now
		if err := pause(ctx, l.o.Calm/2); err != nil {
			return 0, err
		}
	}
}

func (l *level) contender() contender {
	d := l.backlog
	delay := delayHeader(d.o.delay())
	heads := make([][]byte, len(d.gate.hosts))
	for i, host := range d.gate.hosts {
		heads[i] = publishHead(l.server, l.addr, "http://"+host+"/", d.bodies.size(), delay)
	}
	return contender{
		name: l.name,
		pid:  l.server.PID,
		acks: true,
		producers: func(ctx context.Context, c int) ([]operation, func()) {
			return connect(ctx, c, l.addr, &d.o.Common, func(_ int, w *wire) operation { return l.publish(w, heads) })
		},
		finish:     l.drain,
		counted:    l.ledger.arrived,
		damaged:    d.gate.damaged,
		duplicates: l.ledger.duplicates.Load,
	}
}

// publish is a producer's operation.
func (l *level) publish(w *wire, heads [][]byte) operation {
	body := l.bodies.blank()
	delay := l.o.delay()
	return func(stop <-chan struct{}) error {
		seq, err := l.ledger.open(stop)
		if err != nil {
			return err
		}
		l.bodies.putAt(body, uint64(l.id), seq, l.gate.clock()+delay)
		return l.ledger.settle(seq, w.post(heads[seq%uint64(len(heads))], body))
	}
}

// drain waits for the round's messages and notes what they took.
func (l *level) drain(ctx context.Context) error {
	before, ok := cpuTime(l.server.PID)
	missing := l.ledger.missing()
	if err := l.ledger.await(ctx, l.gate.damaged, l.o.DrainTimeout+l.o.delay(), 0); err != nil {
		return err
	}
	if after, still := cpuTime(l.server.PID); ok && still && missing > 0 {
		l.cpu = append(l.cpu, delve{after - before, missing})
	}
	return nil
}
