package bench

import (
	"context"
	"errors"
	"sync/atomic"
)

// storer is a peer that is published to. After a round it is asked how many messages it has:
// fewer than it acknowledged are lost.
func storer(r rival, c int, o *PeersOptions) contender {
	w, b := r.storing(c), newBodies(o.BodyBytes)
	var acked, lost atomic.Int64
	return contender{
		name: w.name, processes: r.processes, durability: r.durability, acks: true, lost: lost.Load,
		begin: func(ctx context.Context, _ *meter) error {
			acked.Store(0)
			return w.clear(ctx)
		},
		producers: func(ctx context.Context, c int) ([]operation, func()) {
			return send(ctx, w, c, func(i int, to sender) operation {
				body, seq := b.blank(), uint64(0)
				return func(<-chan struct{}) error {
					b.put(body, uint64(i), seq)
					seq++
					err := to.publish("", body)
					if err == nil {
						acked.Add(1)
					}
					return err
				}
			})
		},
		finish: func(ctx context.Context) error {
			n, err := w.count(ctx)
			lost.Add(max(0, acked.Load()-n))
			return err
		},
	}
}

// send makes an operation for each of c connections.
func send(ctx context.Context, w *way, c int, operate func(i int, to sender) operation) ([]operation, func()) {
	senders := make([]sender, c)
	ops := make([]operation, c)
	for i := range ops {
		senders[i] = w.dial(ctx)
		ops[i] = operate(i, senders[i])
	}
	return ops, func() {
		for _, s := range senders {
			s.close()
		}
	}
}

// rival is a peer that is published to and delivers. What has not arrived when a round has
// been over for DrainTimeout is lost, and is not waited for again.
func (d *delivery) rival(r rival, id uint64, c int) contender {
	l := newLedger(d.o.backlog(c))
	side := d.contender(r.delivering.name, id, l)
	side.processes, side.durability = r.processes, r.durability
	var lost atomic.Int64
	side.lost = lost.Load
	side.producers = func(ctx context.Context, c int) ([]operation, func()) {
		return send(ctx, r.delivering, c, func(_ int, to sender) operation { return d.publishTo(to, l, id) })
	}
	side.finish = func(ctx context.Context) error {
		defer d.sink.meter.Store(nil)
		err := d.drainTo(ctx, l, lost.Load())
		if errors.Is(err, ErrLost) {
			lost.Store(l.missing())
			return nil
		}
		return err
	}
	return side
}

// publishTo is a producer's operation: the next message, to the next host.
func (d *delivery) publishTo(to sender, l *ledger, id uint64) operation {
	body := d.bodies.blank()
	return func(stop <-chan struct{}) error {
		seq, err := l.open(stop)
		if err != nil {
			return err
		}
		d.bodies.put(body, id, seq)
		if err := to.publish(d.sink.hosts[seq%uint64(len(d.sink.hosts))], body); err != nil {
			l.abandon(seq)
			return err
		}
		l.ack(seq)
		return nil
	}
}
