package bench

import (
	"fmt"
	"sync"
	"time"
)

// progressEvery is how often Common.Progress is called.
const progressEvery = 500 * time.Millisecond

// Progress is how far a run is, and what the round that runs has shown.
type Progress struct {
	Side        string
	Concurrency int
	Step, Steps int    // this round, of those of all sides at this concurrency, from 1; 0: before them
	Doing       string // settling, preparing, warming up, measuring, draining, ...

	// How many messages of how many, in what ends by their number; else Total is 0.
	Done, Total int64

	Elapsed time.Duration // of the measured part
	Length  time.Duration // which it is meant to have
	Failed  int64         // requests of this round, the warm-up's included

	// Of the last half second, and of the round until now: the percentiles are those of a
	// sixteenth of the producers, one after the other, so that the others go on.
	Rate     float64
	P50, P99 time.Duration
}

// The phases of a load.
const (
	phasePrepare int32 = iota
	phaseWarmUp
	phaseMeasure
	phaseDrain
)

var phaseNames = [...]string{"preparing", "warming up", "measuring", "draining"}

// follow tells Progress of a load, from now until end is called.
func (c *Common) follow(l *load, at Progress) (end func()) {
	f := follower{load: l, at: at}
	f.at.Length = l.length
	return c.tell(f.look)
}

// tell tells Progress what look says, now and twice a second until end is called: then by
// another goroutine.
func (c *Common) tell(look func(now time.Time) Progress) (end func()) {
	if c.Progress == nil {
		return func() {}
	}
	c.Progress(look(time.Now()))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				c.Progress(look(now))
			case <-stop:
				return
			}
		}
	})
	return func() {
		close(stop)
		wg.Wait()
	}
}

// follower looks at a load from the side: it takes each of the meter's locks for as long as
// it takes to read a number, and one of them for the percentiles.
type follower struct {
	load  *load
	at    Progress
	turn  int
	last  time.Time // of the measured part
	count int64     // then
}

func (f *follower) look(now time.Time) Progress {
	phase := f.load.phase.Load()
	f.at.Doing = phaseNames[phase]
	f.at.Failed = f.load.fail.count.Load()
	if f.load.counted != nil {
		f.at.Done, f.at.Total = f.load.counted(phase)
	}
	begin := f.load.began.Load()
	if begin == nil || phase != phaseMeasure { // what the last look saw stands
		return f.at
	}
	if f.last.IsZero() {
		f.last = *begin
	}
	f.turn++
	var count int64
	count, f.at.P50, f.at.P99 = f.load.meter.glance(f.turn)
	f.at.Elapsed = now.Sub(*begin)
	if since := now.Sub(f.last); since > 0 {
		f.at.Rate = float64(count-f.count) / since.Seconds()
	}
	f.last, f.count = now, count
	return f.at
}

// glance is the number of events so far, and percentiles of those of one shard: the turn-th,
// or the next that has any.
func (m *meter) glance(turn int) (count int64, p50, p99 time.Duration) {
	seen := false
	for i := range m.shards {
		s := &m.shards[(turn+i)%meterShards]
		s.Lock()
		if s.hist != nil {
			count += s.hist.TotalCount()
			if !seen {
				at := s.hist.ValueAtPercentilesSlice(glancePercentiles)
				p50, p99, seen = time.Duration(at[0]), time.Duration(at[1]), true
			}
		}
		s.Unlock()
	}
	return count, p50, p99
}

var glancePercentiles = []float64{50, 99}

// String is the progress on one line.
func (p Progress) String() string {
	at := p.Side
	if p.Steps > 0 {
		at += fmt.Sprintf(" c=%d, round %d of %d", p.Concurrency, p.Step, p.Steps)
	}
	at += ", " + p.Doing
	switch {
	case p.Total > 0:
		at += fmt.Sprintf(" %d of %d messages", p.Done, p.Total)
	case p.Elapsed > 0 && p.Length > 0:
		at += fmt.Sprintf(" %.1f of %.1f s", p.Elapsed.Seconds(), p.Length.Seconds())
	}
	if p.P99 > 0 || p.Failed > 0 {
		at += fmt.Sprintf(": %.0f/s, p50 %s, p99 %s, %d failed", p.Rate, millis(p.P50), millis(p.P99), p.Failed)
	}
	return at
}
