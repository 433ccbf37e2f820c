package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Queues measures how many messages per second come through many FIFO queues, beside
// messages without a queue on the same server (Deliver). Each queue has one producer,
// which waits for the answer of each publish: so the order of its messages is known, and
// every arrival is checked for it, with the queue's parallelism. A message that comes
// before its turn fails the run with ErrOrder, one that is lost with ErrLost, one that
// comes again with ErrTwice.
//
// Latencies are from the moment before the publish to the arrival. How long a queue stands
// idle between two messages is a figure: from when one of its slots became free, for a
// message that waited, to that message's arrival.
func Queues(ctx context.Context, o QueuesOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench queues: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	lanes := make([]lane, o.Queues)
	for i := range lanes {
		lanes[i] = lane{kind: laneQueue, name: fmt.Sprintf("q-%d", i), parallelism: o.Parallelism}
	}
	r, err := openRecorded(o.delivery(), server, lanes, 1, o.Record)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	q := &queues{recorded: r, o: &o}
	if err := q.create(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.remove()) }()
	report = newReport("queues", "delivered/s", &o.Common)
	for _, c := range o.Concurrency {
		if err := q.measure(ctx, c, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// queues is what the sides of one Queues share.
type queues struct {
	*recorded
	o     *QueuesOptions
	heads [][]byte // of publishes, by queue
}

// create makes the queues on the server.
func (q *queues) create() error {
	room := make(chan struct{}, q.o.Backlog) // one bound for all
	q.open(func() *ledger {
		l := newLedger(0)
		l.room = room
		return l
	})
	for i := range q.o.Queues {
		name := q.name("q", i)
		body, err := json.Marshal(map[string]any{"queueName": name, "parallelism": q.o.Parallelism})
		if err == nil {
			_, err = ask(q.server, "POST", "/v2/queues", body, q.o.RequestTimeout)
		}
		if err != nil {
			return fmt.Errorf("create queue %d: %w", i, err)
		}
		destination := "http://" + q.sink.hosts[i%len(q.sink.hosts)] + "/"
		q.heads = append(q.heads, targetHead(q.server, q.addr, "/v2/enqueue/"+name+"/"+destination, q.o.BodyBytes))
	}
	return nil
}

// remove leaves a server that is not ours as it was.
func (q *queues) remove() (err error) {
	for i := 0; i < q.o.Queues && err == nil && q.o.Server.URL != ""; i++ {
		_, err = ask(q.server, "DELETE", "/v2/queues/"+q.name("q", i), nil, q.o.RequestTimeout)
	}
	return err
}

func (q *queues) measure(ctx context.Context, c int, report *Report) error {
	plain, err := q.through("deliver", uint64(q.o.Queues), q.server, c)
	if err != nil {
		return err
	}
	q.verdicts = nil
	results, err := runRounds(ctx, &q.o.Common, c, []contender{q.contender("queues", q.producers), plain})
	if err != nil {
		return err
	}
	report.add(c, results, [2]int{0, 1})
	run := &report.Runs[len(report.Runs)-1]
	run.Figures = append(run.Figures, q.figure("a queue between two messages, p99", "ms", func(v *Verdict) float64 {
		return quantile(v.turns, 99).Seconds() * 1e3
	}))
	return nil
}

// producers share the queues out among themselves.
func (q *queues) producers(ctx context.Context, c int) ([]operation, func()) {
	return connect(ctx, c, q.addr, &q.o.Common, func(i int, w *wire) operation {
		body, next := q.bodies.blank(), i
		return func(stop <-chan struct{}) error {
			lane := next
			if next += c; next >= q.o.Queues {
				next = i
			}
			return q.publish(uint64(lane), 1, w, q.heads[lane], body, stop)
		}
	})
}
