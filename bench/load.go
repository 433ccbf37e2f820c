package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// errorPause keeps a producer whose requests fail from spinning.
	errorPause = 10 * time.Millisecond

	// pollEvery is how often the end of a round looks for what it waits for.
	pollEvery = 2 * time.Millisecond
)

// operation is one step of a closed-loop producer. It returns errStopped if stop
// was closed while it waited for leave to send.
type operation func(stop <-chan struct{}) error

// load is c producers running for a while.
type load struct {
	warmUp, length time.Duration
	ops            []operation   // one for each producer
	meter          *meter        // switched on while the load is measured
	acks           bool          // record operations; else the meter is fed elsewhere
	patience       time.Duration // for the first event of a round
	damaged        func() error  // whether the round is void already; may be nil
	pid            int           // whose CPU time is taken; 0: nobody's
	runtime        *goRuntime    // asked around what is measured; may be nil
}

// outcome is what a load did while it was measured.
type outcome struct {
	elapsed time.Duration
	cpu     time.Duration
	cpuOK   bool
	failed  int64 // requests, the warm-up's included
	err     error // the first of them
}

// run starts the producers, measures, stops them and waits for them. It returns
// early, with the context's error, when ctx ends.
func (l *load) run(ctx context.Context) (outcome, error) {
	var (
		wg   sync.WaitGroup
		fail failures
		out  outcome
	)
	stop := make(chan struct{})
	for i, op := range l.ops {
		wg.Go(func() { l.produce(uint64(i), op, stop, &fail) })
	}
	err := pause(ctx, l.warmUp)
	if err == nil {
		err = l.runtime.begin(ctx)
	}
	if err == nil {
		cpu, ok := cpuTime(l.pid)
		begin := time.Now()
		l.meter.on.Store(true)
		err = l.measure(ctx, &fail)
		l.meter.on.Store(false)
		out.elapsed = time.Since(begin)
		after, still := cpuTime(l.pid)
		out.cpu, out.cpuOK = after-cpu, ok && still
		err = errors.Join(err, l.runtime.end(ctx))
	}
	close(stop)
	wg.Wait()
	out.failed, out.err = fail.get()
	return out, err
}

// measure lets the load run for its length, and on until something has happened:
// a rate of zero would only say that the round was too short for this machine.
// It waits no further when requests fail, something arrived damaged, or patience is
// at its end.
func (l *load) measure(ctx context.Context, fail *failures) error {
	err := pause(ctx, l.length)
	for waited := time.Duration(0); err == nil && waited < l.patience; waited += pollEvery {
		if !l.meter.empty() || fail.count.Load() > 0 || l.damaged != nil && l.damaged() != nil {
			break
		}
		err = pause(ctx, pollEvery)
	}
	return err
}

func (l *load) produce(id uint64, op operation, stop <-chan struct{}, fail *failures) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		begin := time.Now()
		err := op(stop)
		switch {
		case err == nil && l.acks:
			l.meter.record(id, time.Since(begin))
		case errors.Is(err, errStopped):
			return
		case err != nil:
			fail.add(err)
			select {
			case <-stop:
			case <-time.After(errorPause):
			}
		}
	}
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// failures counts failed requests and keeps the first error.
type failures struct {
	count atomic.Int64
	once  sync.Once
	first error
}

func (f *failures) add(err error) {
	f.count.Add(1)
	f.once.Do(func() { f.first = err })
}

// get may be called when no add can follow.
func (f *failures) get() (int64, error) { return f.count.Load(), f.first }
