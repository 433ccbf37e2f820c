package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Batch measures how many messages per second the server takes in calls to POST /v2/batch,
// beside single publishes on as many connections: row 4. Bodies are the same text on both
// sides. Every item's result is looked at: an item that fails is a failed request.
//
// By default messages are delayed, so that no delivery takes part, and after each round
// some of them are looked up: one that was acknowledged and is not there, or is another
// one, fails the run with ErrLost or ErrCorrupt. With BatchOptions.Deliver they are due at
// once, and all of them must arrive.
//
// Latencies are those of the calls.
func Batch(ctx context.Context, o BatchOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench batch: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	b := &batch{o: &o, server: server, delivery: delivery{
		o:      &DeliverOptions{Common: o.Common, Hosts: o.Hosts, DrainTimeout: o.DrainTimeout},
		bodies: newTextBodies(o.BodyBytes),
	}}
	if b.addr, err = hostOf(server.URL); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if b.sink, err = openSink(o.Hosts, 2, b.bodies); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.sink.close()) }()
	report = newReport("batch", "acked/s", &o.Common)
	for _, c := range o.Concurrency {
		results, err := runRounds(ctx, &o.Common, c, []contender{b.side("batch", 0, o.Items, c), b.side("single", 1, 1, c)})
		if err != nil {
			return nil, err
		}
		report.add(c, results, [2]int{0, 1})
	}
	return report, nil
}

// batch is what both sides share.
type batch struct {
	delivery
	o      *BatchOptions
	server Server
	addr   string
}

// side publishes so many messages with each call.
func (b *batch) side(name string, id uint64, items, c int) contender {
	var m *meter
	backlog, header := 0, []string{fmt.Sprintf("Upstash-Delay: %ds", int64(b.o.Delay/time.Second))}
	if b.o.Deliver {
		backlog, header = 4*items*c, nil
	}
	l := newLedger(backlog)
	samples := new(samples)
	side := contender{
		name: name, pid: b.server.PID, damaged: b.sink.damaged, duplicates: l.duplicates.Load,
		begin: func(_ context.Context, next *meter) error {
			m = next
			b.sink.ledgers[id].Store(l)
			return nil
		},
		producers: func(ctx context.Context, c int) ([]operation, func()) {
			wires, ops := make([]*wire, c), make([]operation, c)
			for i := range ops {
				p := b.producer(ctx, id, items, i, l, header...)
				if !b.o.Deliver {
					p.samples = samples
				}
				wires[i] = p.w
				ops[i] = func(stop <-chan struct{}) error { return p.turn(stop, m) }
			}
			return ops, func() { closeWires(wires) }
		},
	}
	side.finish = func(ctx context.Context) error { return b.check(ctx, l, samples) }
	return side
}

// check waits for what was to be delivered, or looks up some of what was to be kept.
func (b *batch) check(ctx context.Context, l *ledger, s *samples) error {
	if b.o.Deliver {
		return b.drain(ctx, l)
	}
	return s.check(ctx, b.server, b.addr, b.bodies, b.o.RequestTimeout)
}

// batchProducer is one connection of a side. Not safe for concurrent use.
type batchProducer struct {
	*batch
	id      uint64        // of the side
	due     time.Duration // what the stamps say; 0: when they are made
	worker  uint64
	turns   int
	w       *wire
	ledger  *ledger
	samples *samples   // nil: none are taken
	form    *batchForm // nil on the side that publishes one by one
	heads   [][]byte   // of the call, or by host
	single  []byte     // body
	seqs    []uint64
	ids     [][]byte
}

func (b *batch) producer(ctx context.Context, id uint64, items, i int, l *ledger, header ...string) *batchProducer {
	p := &batchProducer{batch: b, id: id, worker: uint64(i), w: newWire(ctx, b.addr, b.o.RequestTimeout), ledger: l, seqs: make([]uint64, items)}
	p.w.most = answerBytesMax + items*answerItemMax
	urls := make([]string, len(b.sink.hosts))
	for k, host := range b.sink.hosts {
		urls[k] = "http://" + host + "/"
	}
	if items > 1 {
		p.form = newBatchForm(b.bodies, items, i*items, urls, header...)
		p.heads = [][]byte{p.form.head(b.server, b.addr)}
		return p
	}
	p.single = b.bodies.blank()
	for _, url := range urls {
		p.heads = append(p.heads, publishHead(b.server, b.addr, url, b.bodies.size(), header...))
	}
	return p
}

// answerItemMax bounds the part of a batch's answer that is about one message.
const answerItemMax = 1 << 10

// turn is the producer's operation: one call.
func (p *batchProducer) turn(stop <-chan struct{}, m *meter) error {
	for i := range p.seqs {
		seq, err := p.ledger.open(stop)
		if err != nil {
			p.abandon(p.seqs[:i])
			return err
		}
		p.seqs[i] = seq
		from := p.due
		if from == 0 {
			from = p.bodies.elapsed()
		}
		p.bodies.putAt(p.body(i), p.id, seq, from)
	}
	begin := time.Now()
	if err := p.post(); err != nil {
		p.abandon(p.seqs)
		return err
	}
	taken := time.Since(begin)
	err := p.settle()
	if err == nil {
		m.recordAll(p.worker, taken, len(p.seqs))
	}
	return err
}

func (p *batchProducer) body(i int) []byte {
	if p.form != nil {
		return p.form.body(i)
	}
	return p.single
}

func (p *batchProducer) post() error {
	head := p.heads[p.seqs[0]%uint64(len(p.heads))]
	if p.form != nil {
		return p.w.post(head, p.form.whole)
	}
	return p.w.post(head, p.single)
}

// settle takes the results of a call that was answered 2xx.
func (p *batchProducer) settle() (err error) {
	p.ids, err = readBatch(p.ids[:0], p.w.resp.Body(), len(p.seqs))
	if err != nil {
		p.abandon(p.seqs)
		return err
	}
	for i, id := range p.ids {
		if len(id) == 0 {
			p.ledger.abandon(p.seqs[i])
			err = fmt.Errorf("item %d of a batch failed: %.300s", i, p.w.resp.Body())
			continue
		}
		p.ledger.ack(p.seqs[i])
	}
	if p.turns++; err == nil && p.samples != nil {
		k := p.turns % len(p.ids)
		p.samples.add(string(p.ids[k]), string(p.body(k)))
	}
	return err
}

func (p *batchProducer) abandon(seqs []uint64) {
	for _, seq := range seqs {
		p.ledger.abandon(seq)
	}
}
