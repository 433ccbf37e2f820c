package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// pullBatch is how many messages one call publishes, receives or acknowledges.
const pullBatch = 100

// Pull measures how many messages per second consumers receive from one queue of the JSON
// API and acknowledge, in batches of 100, beside a bare fasthttp server with which they
// exchange as many bytes. The messages are published before each round. Latencies are
// those of the receives.
//
// All that was published must be received, or the run fails with ErrLost; a message that
// comes again after its acknowledgement was confirmed fails it with ErrCorrupt.
func Pull(ctx context.Context, o PullOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench pull: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	echo, err := procs.start(ctx, RoleEcho)
	if err != nil {
		return nil, err
	}
	echo.Token = server.Token
	report = newReport("pull", "received+acked/s", &o.Common)
	for _, c := range o.Concurrency {
		p, err := newPull(&o, c, server)
		if err != nil {
			return nil, err
		}
		e, err := newPullEcho(&o, p, echo)
		if err != nil {
			return nil, err
		}
		results, err := runRounds(ctx, &o.Common, c, []contender{p.contender(server.PID), e.contender(echo.PID)})
		if err == nil {
			err = p.drain(ctx)
		}
		if err != nil {
			return nil, err
		}
		results[0].Duplicates = p.ledger.duplicates.Load()
		report.add(c, results, [2]int{0, 1})
	}
	return report, nil
}

// pull is the side of the server: one queue of its own.
type pull struct {
	o      *PullOptions
	c      int // consumers
	addr   string
	format *pullFormat
	heads  pullHeads
	ledger *ledger
	ended  *ledger      // whose acknowledgement was confirmed
	ready  atomic.Int64 // published and not received
	meter  atomic.Pointer[meter]
	broken atomic.Pointer[error] // the first wrong answer

	// What a full receive and its acknowledgement take, for the echo.
	answerBytes, ackBytes atomic.Int64
}

func newPull(o *PullOptions, c int, s Server) (*pull, error) {
	addr, err := hostOf(s.URL)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	format := newPullFormat(o.BodyBytes)
	return &pull{
		o: o, c: c, addr: addr, format: format, heads: newPullHeads(s, addr, format),
		ledger: newLedger(0), ended: newLedger(0),
	}, nil
}

func (p *pull) contender(pid int) contender {
	return contender{
		name: "server",
		pid:  pid,
		begin: func(ctx context.Context, m *meter) error {
			p.meter.Store(m)
			return p.fill(ctx)
		},
		producers: func(ctx context.Context, c int) ([]operation, func()) {
			wires := make([]*wire, c)
			ops := make([]operation, c)
			for i := range ops {
				worker := p.consumer(ctx, uint64(i))
				wires[i], ops[i] = worker.w, worker.turn
			}
			return ops, func() { closeWires(wires) }
		},
		finish:  func(context.Context) error { return p.damaged() },
		damaged: p.damaged,
	}
}

func (p *pull) damaged() error {
	if err := p.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// fill publishes until Depth messages wait.
func (p *pull) fill(ctx context.Context) error {
	return p.each(ctx, func(k *puller) error {
		for p.ready.Load() < int64(p.o.Depth) {
			if err := k.publish(); err != nil {
				return err
			}
		}
		return nil
	})
}

// drain receives what is left after the last round.
func (p *pull) drain(ctx context.Context) error {
	deadline := time.Now().Add(p.o.DrainTimeout)
	err := p.each(ctx, func(k *puller) error {
		for p.ledger.missing() > 0 && p.damaged() == nil {
			if time.Now().After(deadline) {
				return fmt.Errorf("%w: %d of %d had not been received after %v", ErrLost, p.ledger.missing(), p.ledger.acked.Load(), p.o.DrainTimeout)
			}
			if err := k.consume(nil); err != nil {
				return err
			}
		}
		return nil
	})
	return cmp.Or(p.damaged(), err)
}

// besides is how many publish before a round, and receive after the last one.
const besides = 16

// each runs work on several connections at one time.
func (p *pull) each(ctx context.Context, work func(k *puller) error) error {
	var wg sync.WaitGroup
	errs := make([]error, min(p.c, besides))
	for i := range errs {
		wg.Go(func() {
			k := p.consumer(ctx, uint64(i))
			defer k.w.close()
			errs[i] = work(k)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// puller is one consumer, or producer, with its connection. Not safe for concurrent use.
type puller struct {
	*pull
	id    uint64
	w     *wire
	batch []byte // the body of a publish
	seqs  [pullBatch]uint64
	got   []pulledMessage
	ack   []byte
	head  []byte
}

func (p *pull) consumer(ctx context.Context, id uint64) *puller {
	w := newWire(ctx, p.addr, p.o.RequestTimeout)
	w.most = pullAnswerMax
	return &puller{pull: p, id: id, w: w, batch: p.format.blank()}
}

// turn is the consumer's operation. It publishes where there is not a batch for every
// consumer any more.
func (k *puller) turn(<-chan struct{}) error {
	if k.ready.Load() < int64(k.c*pullBatch) {
		if err := k.publish(); err != nil {
			return err
		}
	}
	return k.consume(k.meter.Load())
}

// publish sends one batch.
func (k *puller) publish() error {
	for i := range k.seqs {
		seq, err := k.ledger.open(nil)
		if err != nil {
			return err
		}
		k.seqs[i] = seq
		k.format.put(k.batch, i, seq)
	}
	if err := k.w.post(k.heads.publish, k.batch); err != nil {
		for _, seq := range k.seqs {
			k.ledger.abandon(seq)
		}
		return err
	}
	if err := checkPublished(k.w.resp.Body()); err != nil {
		return err
	}
	for _, seq := range k.seqs {
		k.ledger.ack(seq)
	}
	k.ready.Add(pullBatch)
	return nil
}

// consume receives one batch and acknowledges it.
func (k *puller) consume(m *meter) (err error) {
	begin := time.Now()
	if err := k.w.post(k.heads.receive, receiveBody); err != nil {
		return err
	}
	latency := time.Since(begin)
	answer := k.w.resp.Body()
	if k.got, err = k.format.read(k.got[:0], answer); err == nil {
		err = k.arrived()
	}
	if err != nil {
		k.broken.CompareAndSwap(nil, &err)
	}
	if err != nil || len(k.got) == 0 {
		return err
	}
	k.ack = appendAcks(k.ack[:0], k.got)
	if len(k.got) == pullBatch {
		k.answerBytes.Store(int64(len(answer)))
		k.ackBytes.Store(int64(len(k.ack)))
	}
	k.head = k.heads.ackOf(k.head[:0], len(k.ack))
	if err := k.w.post(k.head, k.ack); err != nil {
		return err
	}
	if err := checkAcked(k.w.resp.Body(), len(k.got)); err != nil {
		return err
	}
	for i := range k.got {
		k.ended.set(k.got[i].seq, stateArrived)
	}
	if m != nil {
		m.recordAll(k.id, latency, len(k.got))
	}
	return nil
}

// arrived notes what was received.
func (k *puller) arrived() error {
	for i := range k.got {
		seq := k.got[i].seq
		first, err := k.ledger.arrive(seq)
		switch {
		case err != nil:
			return err
		case first:
			k.ready.Add(-1)
		case k.ended.set(seq, 0)&stateArrived != 0:
			return fmt.Errorf("%w: number %d was acknowledged, and received again", ErrCorrupt, seq)
		}
	}
	return nil
}
