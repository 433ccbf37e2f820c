package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// bystander is a load beside what is measured, that runs until it is ended. What it
// measures is counted while acks is on.
type bystander struct {
	side     *contender
	acks     *meter
	stop     chan struct{}
	wg       sync.WaitGroup
	load     *load
	closeAll func()
}

// startBystander starts c producers of a side, which must record what it measures itself.
// The caller ends it.
func startBystander(ctx context.Context, side *contender, c int) *bystander {
	b := &bystander{side: side, acks: newMeter(), stop: make(chan struct{})}
	_ = side.begin(ctx, b.acks) // stores the meter, and cannot fail
	ops, closeAll := side.producers(ctx, c)
	b.closeAll = closeAll
	b.load = &load{meter: b.acks}
	for i, op := range ops {
		b.wg.Go(func() { b.load.produce(uint64(i), op, b.stop) })
	}
	return b
}

// end stops it. elapsed is how long it was measured.
func (b *bystander) end(elapsed time.Duration) (Side, error) {
	b.acks.on.Store(false)
	close(b.stop)
	b.wg.Wait()
	hist := b.acks.take()
	t := tally{side: Side{Name: b.side.name}, hist: newHistogram()}
	t.paced(b.side.pace(elapsed, quantile(hist, 99)))
	b.closeAll()
	failed, first := b.load.fail.get()
	t.add(hist, outcome{elapsed: elapsed, failed: failed, err: first})
	if failed*100 > hist.TotalCount() {
		return Side{}, fmt.Errorf("%w: of the %s, %d of %d; the first: %w", ErrFailing, b.side.name, failed, failed+hist.TotalCount(), first)
	}
	return t.close(b.side), nil
}
