package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Fanout measures how many deliveries per second come of publishes to a URL group, beside
// messages that are published one by one to the same hosts of the same server (Deliver).
// What is counted are arrivals at endpoints. Each endpoint must get each message, or the
// run fails with ErrLost, and none twice, or it fails with ErrTwice.
//
// Both sides owe as many deliveries at one time; latencies are from the moment before a
// publish to each arrival.
func Fanout(ctx context.Context, o FanoutOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench fanout: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	lanes := make([]lane, len(o.Concurrency))
	for i := range lanes {
		lanes[i] = lane{kind: laneGroup, name: fmt.Sprintf("g-%d", i), endpoints: o.Endpoints}
	}
	r, err := openRecorded(o.delivery(1), server, lanes, 1, o.Record)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	f := &fanout{recorded: r, o: &o}
	if err := f.create(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.remove()) }()
	report = newReport("fanout", "delivered/s", &o.Common)
	for i, c := range o.Concurrency {
		if err := f.measure(ctx, i, c, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// fanout is what the sides of one Fanout share. Each number of producers has a lane of its
// own, whose ledger knows its backlog.
type fanout struct {
	*recorded
	o *FanoutOptions
}

// create makes the group on the server.
func (f *fanout) create() error {
	type endpoint struct {
		URL string `json:"url"`
	}
	var group struct {
		Endpoints []endpoint `json:"endpoints"`
	}
	for _, host := range f.sink.hosts {
		group.Endpoints = append(group.Endpoints, endpoint{"http://" + host + "/"})
	}
	body, err := json.Marshal(group)
	if err == nil {
		_, err = ask(f.server, "POST", "/v2/topics/"+f.name("g", 0)+"/endpoints", body, f.o.RequestTimeout)
	}
	if err != nil {
		return fmt.Errorf("create the group: %w", err)
	}
	concurrency := f.o.Concurrency
	f.open(func() *ledger {
		c := concurrency[0]
		concurrency = concurrency[1:]
		return newLedger(f.o.delivery(c).Backlog)
	})
	return nil
}

// remove leaves a server that is not ours as it was.
func (f *fanout) remove() error {
	if f.o.Server.URL == "" {
		return nil
	}
	_, err := ask(f.server, "DELETE", "/v2/topics/"+f.name("g", 0), nil, f.o.RequestTimeout)
	return err
}

func (f *fanout) measure(ctx context.Context, lane, c int, report *Report) error {
	f.delivery.o = f.o.delivery(c)
	plain, err := f.through("deliver", uint64(len(f.o.Concurrency)), f.server, c)
	if err != nil {
		return err
	}
	group := f.contender("group", func(ctx context.Context, c int) ([]operation, func()) { return f.producers(ctx, lane, c) })
	results, err := runRounds(ctx, &f.o.Common, c, []contender{group, plain})
	if err != nil {
		return err
	}
	report.add(c, results, [2]int{0, 1})
	return nil
}

func (f *fanout) producers(ctx context.Context, lane, c int) ([]operation, func()) {
	head := targetHead(f.server, f.addr, publishPrefix+f.name("g", 0), f.o.BodyBytes)
	return connect(ctx, c, f.addr, &f.o.Common, func(_ int, w *wire) operation {
		body := f.bodies.blank()
		return func(stop <-chan struct{}) error {
			return f.publish(uint64(lane), f.o.Endpoints, w, head, body, stop)
		}
	})
}
