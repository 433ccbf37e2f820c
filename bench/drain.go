package bench

import (
	"context"
	"fmt"
	"time"
)

// drainKeeps says how many messages of a backlog that drains wait on: one in so many.
const drainKeeps = 10

// drainAll measures what a backlog leaves on the disk once it has been delivered (row 17).
func (d *backlog) drainAll(ctx context.Context, run *Run) error {
	pending := d.o.Pending[len(d.o.Pending)-1]
	l := &level{backlog: d, name: fmt.Sprintf("%d drained", pending)}
	var err error
	if l.server, err = d.procs.start(ctx, RoleServer); err != nil {
		return err
	}
	if l.server.Data == "" {
		return fmt.Errorf("%s: it is not known where the server's data are", l.name)
	}
	if l.empty, err = l.steady(ctx); err != nil {
		return err
	}
	if err := l.fillAndDrain(ctx, pending); err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	return l.weighDrained(ctx, run, (pending+drainKeeps-1)/drainKeeps)
}

// fillAndDrain publishes a backlog and waits until all of it has arrived that is due.
func (l *level) fillAndDrain(ctx context.Context, pending int) error {
	d := l.backlog
	item := func(seq uint64) (string, time.Duration) {
		url := "http://" + d.gate.hosts[seq%uint64(len(d.gate.hosts))] + "/"
		if seq%drainKeeps == 0 {
			return url, farOff(seq)
		}
		return url, d.o.DrainDelay
	}
	side := len(d.o.Pending) + 1
	f, err := newFill(l.server, d.bodies, uint64(side), item)
	if err != nil {
		return err
	}
	l.fill = f
	d.gate.ledgers[side].Store(f.ledger)
	end := f.follow(&d.o.Common, l.name, pending)
	err = f.run(ctx, pending, d.o.RequestTimeout)
	end()
	if err != nil {
		return err
	}
	began := time.Now()
	kept := int64((pending + drainKeeps - 1) / drainKeeps)
	defer d.o.tell(func(time.Time) Progress {
		return Progress{Side: l.name, Doing: "arrived", Done: f.ledger.settled.Load(), Total: int64(pending) - kept}
	})()
	if err := f.ledger.await(ctx, d.gate.damaged, d.o.DrainDelay+d.o.DrainTimeout, kept); err != nil {
		return err
	}
	d.o.Log.Info("drained", "messages", int64(pending)-kept, "in", time.Since(began).String(), "settle", d.o.Settle.String())
	return nil
}

// weighDrained adds the figures. What the empty server has made ahead is no part of them:
// the row allows for two segments.
func (l *level) weighDrained(ctx context.Context, run *Run, kept int) error {
	live := float64(kept * l.bodies.size())
	look := func(when string) error {
		used, err := l.used()
		run.Figures = append(run.Figures, Figure{
			Name:   fmt.Sprintf("%s: disk used %s, beside that of the empty server, over live bodies", l.name, when),
			Values: []float64{float64(used-l.empty) / live},
		})
		return err
	}
	if err := look("when all had arrived"); err != nil {
		return err
	}
	if err := pause(ctx, l.o.Settle); err != nil {
		return err
	}
	if err := look(fmt.Sprintf("%v later", l.o.Settle)); err != nil {
		return err
	}
	run.Figures = append(run.Figures, Figure{Name: l.name + ": disk used by the empty server", Unit: "B", Values: []float64{float64(l.empty)}})
	return l.fill.known(ctx, l.server, kept, l.o.RequestTimeout)
}
