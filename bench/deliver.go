package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"
)

// Deliver measures how many messages per second come through, from their publish
// to their arrival at a counting sink on many loopback addresses, beside a relay
// that keeps them in memory only and a bare client that calls the sink directly.
// Latencies are from the moment before the publish to the arrival. A message that
// was acknowledged and did not arrive fails the run with ErrLost; one that arrived
// twice is counted.
//
// With DeliverOptions.Rate server and relay are sent that many messages a second, and
// latencies count from the moment at which each was to be sent (open loop): row 22.
//
// With DeliverOptions.Later a share of the messages is delayed beyond the run, and the
// server is measured alone: what it writes for each byte of a body is row 16.
func Deliver(ctx context.Context, o DeliverOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench deliver: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	if err := o.settle(ctx, server); err != nil {
		return nil, err
	}
	relay, err := procs.start(ctx, RoleRelay)
	if err != nil {
		return nil, err
	}
	relay.Token = server.Token
	d := &delivery{o: &o, bodies: newBodies(o.BodyBytes)}
	if d.sink, err = openSink(o.Hosts, 3, d.bodies); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.sink.close()) }()
	if o.Verify > 0 {
		if d.sink.signed, err = askSignatures(server, 0, o.Verify, o.RequestTimeout); err != nil {
			return nil, err
		}
		defer func() {
			if report != nil {
				report.figures(d.sink.signed.figure())
			}
		}()
	}
	if d.more, err = newExtras(ctx, &o.Common, server); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.more.close()) }()
	if o.Disk != "" {
		if d.echo, err = bareEcho(ctx, &procs, &o.Common, server.Token); err != nil {
			return nil, err
		}
	}
	report = newReport("deliver", "delivered/s", &o.Common)
	if o.Rate.given() {
		if err := d.measureRate(ctx, server, relay, report); err != nil {
			return nil, err
		}
		return report, nil
	}
	measure := d.measure
	if o.Later > 0 {
		measure = d.measureLater
	}
	for _, c := range o.Concurrency {
		if err := measure(ctx, c, server, relay, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// bareEcho is a side that is published to and only answers.
func bareEcho(ctx context.Context, procs *children, o *Common, token string) (*contender, error) {
	echo, err := procs.start(ctx, RoleEcho)
	if err != nil {
		return nil, err
	}
	echo.Token = token
	publish := PublishOptions{Common: *o}.withDefaults()
	side, err := publisher("echo", echo, &publish)
	return &side, err
}

// delivery is what the sides of one Deliver share.
type delivery struct {
	o      *DeliverOptions
	bodies *bodies
	sink   *sink
	more   extras
	echo   *contender // with Common.Disk: what answering a publish costs alone; else nil
}

func (d *delivery) measure(ctx context.Context, c int, server, relay Server, report *Report) error {
	var (
		sides [3]contender
		err   error
	)
	if sides[0], err = d.through("server", 0, server, c); err != nil {
		return err
	}
	if sides[1], err = d.through("relay", 1, relay, c); err != nil {
		return err
	}
	sides[2] = d.direct("client", 2)
	sides[0].runtime = d.more.runtime()
	all := d.more.sides(sides[:])
	if d.echo != nil {
		all = append(all, *d.echo)
	}
	results, err := runRounds(ctx, &d.o.Common, c, all)
	if err != nil {
		return err
	}
	report.add(c, results, [2]int{0, 1}, [2]int{0, 2})
	if d.echo != nil {
		report.addCPU(0, len(all)-1)
	}
	report.addWritten()
	report.figures(sides[0].runtime.figures("message, publish and delivery")...)
	return nil
}

// through is a side that is published to and delivers.
func (d *delivery) through(name string, id uint64, s Server, c int) (contender, error) {
	addr, err := hostOf(s.URL)
	if err != nil {
		return contender{}, fmt.Errorf("%s: %w", name, err)
	}
	heads := make([][]byte, len(d.sink.hosts))
	for i, host := range d.sink.hosts {
		heads[i] = publishHead(s, addr, "http://"+host+"/", d.o.BodyBytes)
	}
	l := newLedger(d.o.backlog(c))
	side := d.contender(name, id, l)
	side.pid = s.PID
	side.producers = func(ctx context.Context, c int) ([]operation, func()) {
		wires := make([]*wire, c)
		ops := make([]operation, c)
		for i := range ops {
			wires[i] = newWire(ctx, addr, d.o.RequestTimeout)
			ops[i] = d.publish(l, id, wires[i], heads)
		}
		return ops, func() { closeWires(wires) }
	}
	return side, nil
}

// publish is a producer's operation: the next message, to the next host.
func (d *delivery) publish(l *ledger, id uint64, w *wire, heads [][]byte) operation {
	body := d.bodies.blank()
	return func(stop <-chan struct{}) error {
		seq, err := l.open(stop)
		if err != nil {
			return err
		}
		d.bodies.put(body, id, seq)
		if err := w.post(heads[seq%uint64(len(heads))], body); err != nil {
			l.abandon(seq)
			return err
		}
		l.ack(seq)
		return nil
	}
}

// direct is the side without anything between producer and sink.
func (d *delivery) direct(name string, id uint64) contender {
	l := newLedger(0)
	side := d.contender(name, id, l)
	side.producers = func(_ context.Context, c int) ([]operation, func()) {
		clients := &hostClients{conns: c}
		ops := make([]operation, c)
		for i := range ops {
			ops[i] = d.call(l, id, clients)
		}
		return ops, clients.close
	}
	return side
}

// call is an operation of a plain fasthttp client.
func (d *delivery) call(l *ledger, id uint64, clients *hostClients) operation {
	var (
		req  fasthttp.Request
		resp fasthttp.Response
		body = d.bodies.blank()
	)
	req.Header.SetMethod(fasthttp.MethodPost)
	return func(stop <-chan struct{}) error {
		seq, err := l.open(stop)
		if err != nil {
			return err
		}
		host := d.sink.hosts[seq%uint64(len(d.sink.hosts))]
		req.SetRequestURI("http://" + host + "/")
		d.bodies.put(body, id, seq)
		req.SetBodyRaw(body)
		err = clients.of(host).DoTimeout(&req, &resp, d.o.RequestTimeout)
		if err == nil && resp.StatusCode() != fasthttp.StatusOK {
			err = fmt.Errorf("the sink answered %d", resp.StatusCode())
		}
		if err != nil {
			l.abandon(seq)
			return err
		}
		l.ack(seq)
		return nil
	}
}

// contender is what all sides have in common: the sink feeds the meter, and a
// round ends when everything that was acknowledged has arrived.
func (d *delivery) contender(name string, id uint64, l *ledger) contender {
	return contender{
		name: name,
		begin: func(_ context.Context, m *meter) error {
			d.sink.ledgers[id].Store(l)
			d.sink.meter.Store(m)
			return nil
		},
		finish:     func(ctx context.Context) error { return d.drain(ctx, l) },
		counted:    l.arrived,
		damaged:    d.sink.damaged,
		duplicates: l.duplicates.Load,
	}
}

// drain waits for what is under way.
func (d *delivery) drain(ctx context.Context, l *ledger) error {
	defer d.sink.meter.Store(nil)
	return d.drainTo(ctx, l, 0)
}

// drainTo waits until no more than the messages that were given up are missing.
func (d *delivery) drainTo(ctx context.Context, l *ledger, givenUp int64) error {
	return l.await(ctx, d.sink.damaged, d.o.DrainTimeout, givenUp)
}
