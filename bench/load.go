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
	until          func() bool   // whether to go on beyond length; may be nil
	pid            int           // whose CPU time is taken; 0: nobody's
	processes      func() []int  // instead of pid, if there are several; may be nil
	runtime        *goRuntime    // asked around what is measured; may be nil

	// counted, if any, is how far a phase is that ends by a number of messages; total 0: this
	// one does not. It is called by who follows the load.
	counted func(phase int32) (done, total int64)

	fail  failures
	done  atomic.Int64              // operations that succeeded, the warm-up's included
	phase atomic.Int32              // for who follows the load
	began atomic.Pointer[time.Time] // the measured part
}

// outcome is what a load did while it was measured.
type outcome struct {
	elapsed time.Duration
	cpu     time.Duration
	cpuOK   bool
	harness time.Duration // CPU time of this process; 0: not known
	failed  int64         // requests, the warm-up's included
	done    int64         // operations that succeeded, the warm-up's included
	err     error         // the first that failed
}

// run starts the producers, measures, stops them and waits for them. It returns
// early, with the context's error, when ctx ends.
func (l *load) run(ctx context.Context) (outcome, error) {
	var (
		wg  sync.WaitGroup
		out outcome
	)
	stop := make(chan struct{})
	for i, op := range l.ops {
		wg.Go(func() { l.produce(uint64(i), op, stop) })
	}
	l.phase.Store(phaseWarmUp)
	err := pause(ctx, l.warmUp)
	if err == nil {
		err = l.runtime.begin(ctx)
	}
	if err == nil {
		l.phase.Store(phaseMeasure)
		cpu, ok := l.cpuTime()
		own, known := ownCPU()
		begin := time.Now()
		l.began.Store(&begin)
		l.meter.on.Store(true)
		err = l.measure(ctx)
		l.meter.on.Store(false)
		out.elapsed = time.Since(begin)
		after, still := l.cpuTime()
		out.cpu, out.cpuOK = after-cpu, ok && still
		if now, _ := ownCPU(); known {
			out.harness = now - own
		}
		err = errors.Join(err, l.runtime.end(ctx))
	}
	l.phase.Store(phaseDrain)
	close(stop)
	wg.Wait()
	out.failed, out.err = l.fail.get()
	out.done = l.done.Load()
	return out, err
}

// cpuTime is what the processes of what is measured have used; ok is false if one cannot tell.
func (l *load) cpuTime() (used time.Duration, ok bool) {
	if l.processes == nil {
		return cpuTime(l.pid)
	}
	for _, pid := range l.processes() {
		one, known := cpuTime(pid)
		used, ok = used+one, ok || known // one that has just ended has nothing more to tell
	}
	return used, ok
}

// measure lets the load run for its length, and on until something has happened:
// a rate of zero would only say that the round was too short for this machine.
// It waits no further when requests fail, something arrived damaged, or patience is
// at its end.
func (l *load) measure(ctx context.Context) error {
	err := pause(ctx, l.length)
	for err == nil && l.until != nil && l.until() {
		err = pause(ctx, pollEvery)
	}
	for waited := time.Duration(0); err == nil && waited < l.patience; waited += pollEvery {
		if !l.meter.empty() || l.fail.count.Load() > 0 || l.damaged != nil && l.damaged() != nil {
			break
		}
		err = pause(ctx, pollEvery)
	}
	return err
}

func (l *load) produce(id uint64, op operation, stop <-chan struct{}) {
	done := int64(0) // of this producer: all would meet on l.done
	defer func() { l.done.Add(done) }()
	for {
		select {
		case <-stop:
			return
		default:
		}
		begin := time.Now()
		err := op(stop)
		if err == nil {
			done++
		}
		switch {
		case err == nil && l.acks:
			l.meter.record(id, time.Since(begin))
		case errors.Is(err, errStopped):
			return
		case err != nil:
			l.fail.add(err)
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
