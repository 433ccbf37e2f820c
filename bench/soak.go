package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// Soak runs a mixed load at a fixed rate: messages due at once and later, in queues, to a
// URL group, with callbacks, and to a destination that fails their first attempt. It tells
// what the server holds meanwhile, from the beginning to the end of each round: memory,
// descriptors, and goroutines where its admin listener is known. A server that leaks shows
// in the range of these. Latencies count from the moment at which a message was to be sent,
// or falls due, to its arrival.
//
// Everything that was acknowledged must arrive, members and callbacks included, or the run
// fails with ErrLost; what is early fails it with ErrEarly.
func Soak(ctx context.Context, o SoakOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench soak: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	d, err := newSoak(&o, server)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.makeGroup(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.dropGroup(context.WithoutCancel(ctx))) }()
	c := o.Concurrency[0]
	results, err := runRounds(ctx, &o.Common, c, []contender{d.contender()})
	if err != nil {
		return nil, err
	}
	report = newReport("soak", "arrived/s", &o.Common)
	report.add(c, results)
	report.figures(d.figures()...)
	return report, nil
}

// soak is one Soak.
type soak struct {
	o      *SoakOptions
	server Server
	addr   string
	bodies *bodies
	sink   *soakSink
	group  string
	kinds  [soakKinds]soakKind

	unwatch func()       // ends the looks of a round; may be called again
	held    []soakSample // owned by who looks, until unwatch has returned
	err     error        // why one failed; as held
}

// soakKind is how one kind of message is published.
type soakKind struct {
	heads [][]byte
	due   time.Duration // after its publish
}

func newSoak(o *SoakOptions, s Server) (*soak, error) {
	d := &soak{o: o, server: s, bodies: newBodies(o.BodyBytes), unwatch: func() {}}
	d.group = "bench-" + strconv.FormatUint(d.bodies.run, 36)
	var err error
	if d.addr, err = hostOf(s.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if d.sink, err = openSoakSink(o.Hosts, d.bodies); err != nil {
		return nil, err
	}
	d.prepare()
	return d, nil
}

func (d *soak) close() error {
	d.unwatch()
	return d.sink.close()
}

// soakQueues is how many queues there are, each with a parallelism of one.
const soakQueues = 10

// prepare renders the requests.
func (d *soak) prepare() {
	add := func(kind int, target string, headers ...string) {
		k := &d.kinds[kind]
		k.heads = append(k.heads, targetHead(d.server, d.addr, target, d.o.BodyBytes, headers...))
	}
	for i, host := range d.sink.hosts {
		url := "http://" + host
		add(soakNow, publishPrefix+url+"/")
		add(soakLater, publishPrefix+url+"/", delayHeader(d.o.Delay))
		add(soakQueue, fmt.Sprintf("/v2/enqueue/%s-%d/%s/", d.group, i%soakQueues, url))
		add(soakCalled, publishPrefix+url+"/", "Upstash-Callback: "+url+callbackPath)
		add(soakRetried, publishPrefix+url+flakyPath, "Upstash-Retries: 5", "Upstash-Retry-Delay: 100")
	}
	add(soakGroup, publishPrefix+d.group)
	d.kinds[soakLater].due = d.o.Delay.Truncate(time.Millisecond)
}

func (d *soak) contender() contender {
	var m *meter
	side := contender{
		name: "server",
		pid:  d.server.PID,
		begin: func(ctx context.Context, next *meter) error {
			m = next
			d.sink.meter.Store(m)
			d.watch(ctx)
			return nil
		},
		finish: func(ctx context.Context) error {
			d.sink.meter.Store(nil)
			d.unwatch()
			return errors.Join(d.err, d.drain(ctx))
		},
		counted:    d.sink.arrived,
		damaged:    d.sink.damaged,
		duplicates: d.sink.duplicates,
	}
	side.paced(d.o.Rate, func() *atomic.Bool { return &m.on }, func(ctx context.Context, c int, p *pacer) ([]operation, func()) {
		return connect(ctx, c, d.addr, &d.o.Common, func(i int, w *wire) operation { return d.publish(i, w, p) })
	})
	return side
}

// publish is a producer's operation: it waits for its turn and sends one message, of one
// kind after the other.
func (d *soak) publish(turn int, w *wire, pace *pacer) operation {
	body := d.bodies.blank()
	return func(stop <-chan struct{}) error {
		moment, err := pace.wait(stop)
		if err != nil {
			return err
		}
		turn++
		kind := turn % soakKinds
		seq := d.sink.open(kind)
		k := &d.kinds[kind]
		now := d.bodies.wall()
		from := now + k.due // it must not be early
		if k.due == 0 {     // the clocks of the pace and of the stamps may drift apart
			from = now - max(time.Since(moment), 0)
		}
		d.bodies.putAt(body, uint64(kind), seq, from)
		err = w.post(k.heads[seq%uint64(len(k.heads))], body)
		d.sink.settle(kind, seq, err)
		return err
	}
}

// drain waits for what is under way.
func (d *soak) drain(ctx context.Context) error {
	for begin := time.Now(); d.sink.damaged() == nil; {
		what, missing := d.sink.missing()
		if missing == 0 {
			break
		}
		if time.Since(begin) > d.o.Delay+d.o.DrainTimeout {
			return fmt.Errorf("%w: %d messages (%s) had not arrived after %v", ErrLost, missing, what, d.o.DrainTimeout)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
	return d.sink.damaged()
}
