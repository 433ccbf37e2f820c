package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Peers measures the server beside other systems that are installed here, by the same
// producers and the same sink, in rounds that take turns (rows 7 to 9): messages that come
// through, for those that push or have a bridge of ours, and messages that are acknowledged.
// Each peer runs in its most careful mode, on a port of 127.0.0.1 and on a fresh directory
// that is removed afterwards.
//
// What the server loses fails the run with ErrLost; what a peer loses is counted (Side.Lost).
// A peer that is not installed, or does not start, is left out and the report says why; if
// there is none, the report comes with ErrNoPeer.
func Peers(ctx context.Context, o PeersOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench peers: %w", err)
	}
	chosen, err := peersNamed(o.Peers)
	if err != nil {
		return nil, fmt.Errorf("bench peers: %w", err)
	}
	m := &matches{o: &o}
	procs, run := newChildren(ctx, o.Spawn)
	m.procs = procs
	defer func() { err = errors.Join(err, m.stop()) }()
	report = newReport("peers", "messages/s", &o.Common)
	if report.Peers, err = m.start(ctx, chosen); err != nil {
		return nil, err
	}
	if len(m.rivals) == 0 {
		return report, ErrNoPeer
	}
	ctx = run // the peers, which end after the children, have the outer one
	if m.server, err = m.procs.server(ctx, o.Server); err != nil {
		return nil, err
	}
	// Delivering comes first: what is published afterwards stays in the server.
	if err := m.deliver(ctx, report); err != nil {
		return nil, err
	}
	for _, c := range o.Concurrency {
		if err := m.publish(ctx, c, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// matches are the comparisons of one Peers.
type matches struct {
	o      *PeersOptions
	server Server
	procs  children
	rivals []rival
}

// rival is a peer that runs.
type rival struct {
	*system
	durability string
}

// start starts the peers that are here. An error is the end of ctx, or a peer that could not
// be cleared away.
func (m *matches) start(ctx context.Context, chosen []peer) ([]PeerInfo, error) {
	infos := make([]PeerInfo, len(chosen))
	for i, p := range chosen {
		infos[i] = p.look(ctx)
		if infos[i].Missing == "" {
			s := &system{o: m.o, parent: m.o.DataParent}
			if err := p.start(ctx, s); err != nil {
				if stopped := s.stop(); ctx.Err() != nil {
					return nil, errors.Join(context.Cause(ctx), stopped)
				}
				infos[i].Missing = "it did not start: " + strings.Join(strings.Fields(err.Error()), " ")
			} else {
				m.rivals = append(m.rivals, rival{s, p.durability})
			}
		}
		m.o.Log.Info("peer", "name", p.name, "version", infos[i].Version, "durability", p.durability,
			slog.String("missing", infos[i].Missing))
	}
	return infos, nil
}

// stop ends everything: the bridges and the server before the peers.
func (m *matches) stop() error {
	err := m.procs.end(nil)
	for _, r := range m.rivals {
		err = errors.Join(err, r.stop())
	}
	return err
}

// deliver compares what comes through, from publish to arrival.
func (m *matches) deliver(ctx context.Context, report *Report) (err error) {
	var rivals []rival
	for _, r := range m.rivals {
		if r.delivering != nil {
			rivals = append(rivals, r)
		}
	}
	if len(rivals) == 0 {
		return nil
	}
	d, err := m.openDelivery(m.o.BodyBytes, len(rivals), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.sink.close()) }()
	text, err := m.openDelivery(textBytes(m.o.BodyBytes), len(rivals), decodeText)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, text.sink.close()) }()
	c := m.o.Delivering
	server, err := d.through("server", 0, m.server, c)
	if err != nil {
		return err
	}
	sides := []contender{server}
	for i, r := range rivals {
		by := d
		if r.delivering.text {
			by = text
		}
		sides = append(sides, by.rival(r, uint64(1+i), c))
	}
	return m.compare(ctx, "end to end", c, sides, report)
}

// openDelivery is a delivery of bodies of so many bytes, to a sink that decodes them first. The
// caller closes the sink.
func (m *matches) openDelivery(size, rivals int, decode func([]byte) []byte) (d *delivery, err error) {
	d = &delivery{o: m.o.deliver(), bodies: newBodies(size)}
	d.sink, err = openSink(m.o.Hosts, 1+rivals, d.bodies)
	if err == nil {
		d.sink.decode = decode
	}
	return d, err
}

// publish compares what is acknowledged, with nothing delivered meanwhile.
func (m *matches) publish(ctx context.Context, c int, report *Report) error {
	o := PublishOptions{Common: m.o.Common}.withDefaults()
	server, err := publisher("server", m.server, &o)
	if err != nil {
		return err
	}
	sides := []contender{server}
	for _, r := range m.rivals {
		if r.storing != nil {
			sides = append(sides, storer(r, c, m.o))
		}
	}
	if len(sides) == 1 {
		return nil
	}
	return m.compare(ctx, "publish", c, sides, report)
}

// compare lets the sides take turns; the first is the server.
func (m *matches) compare(ctx context.Context, name string, c int, sides []contender, report *Report) error {
	results, err := runRounds(ctx, &m.o.Common, c, sides)
	if err != nil {
		return err
	}
	var pairs [][2]int
	for i := range sides {
		if i > 0 {
			pairs = append(pairs, [2]int{0, i})
		}
	}
	report.add(c, results, pairs...)
	report.Runs[len(report.Runs)-1].Name = name
	return nil
}
