package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const octetStream = "Content-Type: application/octet-stream"

// Publish measures how many publishes per second the server acknowledges, beside a
// bare fasthttp server that answers the same requests and keeps nothing. The
// messages are delayed (PublishOptions.Delay), so that no delivery takes part.
//
// With PublishOptions.Rate both sides are sent that many a second, and latencies count
// from the moment at which each was to be sent (open loop).
func Publish(ctx context.Context, o PublishOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench publish: %w", err)
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
	echo, err := procs.start(ctx, RoleEcho)
	if err != nil {
		return nil, err
	}
	echo.Token = server.Token // the same requests, byte for byte but for the host
	report = newReport("publish", "acked/s", &o.Common)
	if o.Rate.given() {
		if err := o.measureRate(ctx, server, echo, report); err != nil {
			return nil, err
		}
		return report, nil
	}
	sides := make([]contender, 2)
	if sides[0], err = publisher("server", server, &o); err != nil {
		return nil, err
	}
	if sides[1], err = publisher("echo", echo, &o); err != nil {
		return nil, err
	}
	more, err := newExtras(ctx, &o.Common, server)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, more.close()) }()
	sides = more.sides(sides)
	for _, c := range o.Concurrency {
		sides[0].runtime = more.runtime()
		results, err := runRounds(ctx, &o.Common, c, sides)
		if err != nil {
			return nil, err
		}
		report.add(c, results, [2]int{0, 1})
		report.addCPU(0, 1)
		report.addWritten()
		report.figures(sides[0].runtime.figures("publish")...)
	}
	return report, nil
}

// publisher is a side that is published to.
func publisher(name string, s Server, o *PublishOptions) (contender, error) {
	addr, err := hostOf(s.URL)
	if err != nil {
		return contender{}, fmt.Errorf("%s: %w", name, err)
	}
	head := publishHead(s, addr, o.Destination, o.BodyBytes,
		fmt.Sprintf("Upstash-Delay: %ds", int64(o.Delay/time.Second)))
	b := newBodies(o.BodyBytes)
	return contender{
		name: name,
		pid:  s.PID,
		acks: true,
		producers: func(ctx context.Context, c int) ([]operation, func()) {
			wires := make([]*wire, c)
			ops := make([]operation, c)
			for i := range ops {
				w, body, seq := newWire(ctx, addr, o.RequestTimeout), b.blank(), uint64(0)
				wires[i] = w
				ops[i] = func(<-chan struct{}) error {
					b.put(body, uint64(i), seq)
					seq++
					return w.post(head, body)
				}
			}
			return ops, func() { closeWires(wires) }
		},
	}, nil
}

// publishHead is the head of a publish to a destination.
func publishHead(s Server, addr, destination string, bodyBytes int, headers ...string) []byte {
	return targetHead(s, addr, publishPrefix+destination, bodyBytes, headers...)
}

// targetHead is the head of a request that carries a message to any route.
func targetHead(s Server, addr, target string, bodyBytes int, headers ...string) []byte {
	headers = append(headers, octetStream)
	if s.Token != "" {
		headers = append(headers, "Authorization: Bearer "+s.Token)
	}
	return postHead(addr, target, bodyBytes, headers...)
}

func closeWires(wires []*wire) {
	for _, w := range wires {
		w.close()
	}
}
