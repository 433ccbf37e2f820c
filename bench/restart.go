package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Restart measures how long a server that was killed takes to be back (row 15). A round
// starts a server, lets it take messages that wait for a time far off, then has it
// publish and deliver for a while, a part of it after a delay, kills it among that with
// SIGKILL, and starts it on the same data.
//
// Afterwards everything that is due must arrive, and the server must know the messages
// that are not due, of which a sample is asked for: or the run fails with ErrLost. What
// comes twice is counted. Before the kill the sink holds what it is sent, so that there
// is always something to be delivered first.
func Restart(ctx context.Context, o RestartOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench restart: %w", err)
	}
	found := make([]*restarted, len(o.Pending))
	for i, pending := range o.Pending {
		found[i] = newRestarted(pending)
	}
	for round := range o.Rounds {
		for i, f := range found {
			at := Progress{Side: f.side.Name, Concurrency: o.Concurrency[0], Step: round*len(found) + i + 1, Steps: o.Rounds * len(found)}
			if err := restartRound(ctx, &o, f, at); err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", f.side.Name, round+1, err)
			}
		}
	}
	run := Run{Concurrency: o.Concurrency[0]}
	for _, f := range found {
		run.Sides = append(run.Sides, f.close(&contender{duplicates: func() int64 { return f.duplicates }}))
		run.Figures = append(run.Figures, f.figures()...)
	}
	report = newReport("restart", "delivered/s", &o.Common)
	report.Runs = []Run{run}
	return report, nil
}

// The sides of a restart's ledgers.
const (
	restartNow  = iota // due at once
	restartSoon        // due the length of a round after its publish: around the restart
	restartFar         // not due in the run
	restartSides
)

// soonEvery says which messages of the load are delayed: one in so many.
const soonEvery = 8

// crash is one round: a life of a server and the beginning of the next.
type crash struct {
	o       *RestartOptions
	bodies  *bodies
	gate    *gate
	run     load // before the kill
	filled  atomic.Pointer[fill]
	procs   children
	ledgers [restartSides]*ledger
}

func restartRound(ctx context.Context, o *RestartOptions, found *restarted, at Progress) (err error) {
	d := &crash{o: o, bodies: newTextBodies(o.BodyBytes)}
	d.procs, ctx = newChildren(ctx, o.Spawn)
	if d.gate, err = openGate(o.Hosts, restartSides, d.bodies); err != nil {
		return d.procs.end(err)
	}
	defer func() { err = errors.Join(d.procs.end(err), d.gate.close()) }()
	d.run.meter, d.run.length, d.run.patience, d.run.damaged = newMeter(), o.Round, o.RequestTimeout, d.gate.damaged
	d.run.counted = func(phase int32) (done, total int64) { return d.progress(phase, found.pending) }
	defer o.follow(&d.run, at)()
	server, err := d.procs.start(ctx, RoleServer)
	if err != nil {
		return err
	}
	far, err := d.fill(ctx, server, found.pending)
	if err != nil {
		return err
	}
	if err := d.load(ctx, server, found); err != nil {
		return err
	}
	return d.recover(ctx, far, found)
}

// fill publishes what is not due in the run.
func (d *crash) fill(ctx context.Context, s Server, pending int) (*fill, error) {
	url := "http://" + d.gate.hosts[0] + "/"
	f, err := newFill(s, d.bodies, restartFar, func(seq uint64) (string, time.Duration) { return url, farOff(seq) })
	if err != nil {
		return nil, err
	}
	d.ledgers = [restartSides]*ledger{newLedger(4 * d.o.Concurrency[0]), newLedger(0), f.ledger}
	for i, l := range d.ledgers {
		d.gate.ledgers[i].Store(l)
	}
	d.filled.Store(f)
	return f, f.run(ctx, pending, d.o.RequestTimeout)
}

// progress is that of the fill, and after the kill that of what is due at once.
func (d *crash) progress(phase int32, pending int) (done, total int64) {
	f := d.filled.Load()
	switch {
	case f == nil:
		return 0, 0
	case phase == phasePrepare:
		return f.ledger.acked.Load(), int64(pending)
	}
	return d.ledgers[restartNow].arrived(phase) // stored before the fill
}

// load publishes for a while and kills the server among that.
func (d *crash) load(ctx context.Context, s Server, found *restarted) error {
	m := d.run.meter
	d.gate.meter.Store(m)
	defer d.gate.meter.Store(nil)
	p, err := d.produce(ctx, s)
	if err != nil {
		return err
	}
	begin := time.Now()
	d.run.began.Store(&begin)
	d.run.phase.Store(phaseMeasure)
	m.on.Store(true)
	err = d.run.measure(ctx)
	m.on.Store(false)
	d.run.phase.Store(phaseDrain)
	out := outcome{elapsed: time.Since(begin), failed: d.run.fail.count.Load()}
	if err == nil {
		err = d.kill(ctx)
	}
	p.end()
	if err != nil {
		return err
	}
	if out.failed > 0 { // before the kill
		_, out.err = d.run.fail.get()
	}
	return found.loaded(m, out)
}

// kill kills the server once the sink holds something.
func (d *crash) kill(ctx context.Context) error {
	d.gate.hold()
	defer d.gate.open()
	for begin := time.Now(); d.gate.held.Load() == 0 && d.gate.damaged() == nil; {
		if time.Since(begin) > d.o.DrainTimeout {
			return fmt.Errorf("%w: before the kill nothing arrived for %v, and %d were acknowledged", ErrLost, d.o.DrainTimeout, d.ledgers[restartNow].missing())
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
	return errors.Join(d.gate.damaged(), d.procs.kill())
}

// recover starts the server again and waits for what was acknowledged.
func (d *crash) recover(ctx context.Context, far *fill, found *restarted) error {
	d.gate.mark()
	began := d.gate.clock()
	child, err := d.procs.again(ctx)
	if err != nil {
		return err
	}
	r := reopened{listening: d.gate.clock() - began}
	if err := d.ledgers[restartNow].await(ctx, d.gate.damaged, d.o.DrainTimeout, 0); err != nil {
		return err
	}
	r.caughtUp = d.gate.clock() - began
	if first, came := d.gate.firstSince(); came {
		r.delivered = first - began
	}
	if r.opening, err = awaitOpening(ctx, child.life.Said); err != nil {
		return err
	}
	if err := d.ledgers[restartSoon].await(ctx, d.gate.damaged, d.o.Round+d.o.DrainTimeout, 0); err != nil {
		return err
	}
	found.add(r, d.ledgers[:])
	d.o.Log.Info("restarted", "pending", found.pending, slog.Duration("listening", r.listening), slog.Duration("delivered", r.delivered),
		"replayed", r.replayed, slog.Duration("log", r.log), slog.Duration("replay", r.replay))
	return far.known(ctx, child.Server, found.pending, d.o.RequestTimeout)
}

// producing is a load that runs until end.
type producing struct {
	stop chan struct{}
	wg   sync.WaitGroup
}

func (p *producing) end() {
	close(p.stop)
	p.wg.Wait()
}

func (d *crash) produce(ctx context.Context, s Server) (*producing, error) {
	addr, err := hostOf(s.URL)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	var heads [2][][]byte // due at once and soon, by host
	for _, host := range d.gate.hosts {
		url := "http://" + host + "/"
		heads[restartNow] = append(heads[restartNow], publishHead(s, addr, url, d.bodies.size()))
		heads[restartSoon] = append(heads[restartSoon], publishHead(s, addr, url, d.bodies.size(), delayHeader(d.o.Round)))
	}
	p := &producing{stop: make(chan struct{})}
	for i := range d.o.Concurrency[0] {
		w := newWire(ctx, addr, d.o.RequestTimeout)
		op := d.publish(w, &heads)
		p.wg.Go(func() {
			defer w.close()
			d.run.produce(uint64(i), op, p.stop)
		})
	}
	return p, nil
}

// publish is a producer's operation.
func (d *crash) publish(w *wire, heads *[2][][]byte) operation {
	body, turn := d.bodies.blank(), 0
	return func(stop <-chan struct{}) error {
		turn++
		side, due := restartNow, time.Duration(0)
		if turn%soonEvery == 0 {
			side, due = restartSoon, d.o.Round.Truncate(time.Millisecond)
		}
		l := d.ledgers[side]
		seq, err := l.open(stop)
		if err != nil {
			return err
		}
		d.bodies.putAt(body, uint64(side), seq, d.gate.clock()+due)
		return l.settle(seq, w.post(heads[side][seq%uint64(len(heads[side]))], body))
	}
}
