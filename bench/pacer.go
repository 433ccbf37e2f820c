package bench

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// pacer is the clock of an open loop. It gives out moments at a fixed rate, each to one of
// the producers that wait for the next; what is sent counts its latency from its moment,
// whenever it is really sent. The producers are a bounded number, each with a connection
// and one request in flight: when all are busy, moments wait for them, and what waits is
// part of the latency (PERFORMANCE.md, lesson 23). None is left out, so the rate holds on
// average as long as the server and the machine keep up; pace says whether they did.
//
// One goroutine owns the clock, from start to close. wait may be called by many.
type pacer struct {
	perSecond int
	begin     time.Time
	every     float64      // ns
	on        *atomic.Bool // whether what is given out now is measured
	moments   chan time.Time
	stop      chan struct{}
	once      sync.Once
	wg        sync.WaitGroup

	// Of the moments that were measured; the goroutine's, until it has ended.
	sent      int64
	behind    time.Duration           // at most, from a moment until it was given out
	overslept *hdrhistogram.Histogram // from a moment until it could have been, with producers waiting
}

// newPacer makes a pacer that begins with start. on says when its moments are counted.
func newPacer(perSecond int, on *atomic.Bool) *pacer {
	return &pacer{
		perSecond: perSecond,
		every:     1e9 / float64(perSecond),
		on:        on,
		moments:   make(chan time.Time),
		stop:      make(chan struct{}),
		overslept: newHistogram(),
	}
}

// start gives out the first moment now. The caller closes the pacer.
func (p *pacer) start() *pacer {
	p.begin = time.Now()
	p.wg.Go(p.run)
	return p
}

// close ends it. It may be called twice.
func (p *pacer) close() {
	p.once.Do(func() { close(p.stop) })
	p.wg.Wait()
}

// wait returns the next moment when it has come, or errStopped when stop is closed.
func (p *pacer) wait(stop <-chan struct{}) (time.Time, error) {
	select {
	case moment := <-p.moments:
		return moment, nil
	case <-stop:
		return time.Time{}, errStopped
	}
}

func (p *pacer) run() {
	var free time.Time // when the last producer that was waited for took its moment
	for k := 0; ; k++ {
		moment := p.begin.Add(time.Duration(float64(k) * p.every))
		if !p.sleep(moment) {
			return
		}
		ready := time.Now()
		measured := p.on.Load()
		select {
		case p.moments <- moment:
		default:
			select {
			case p.moments <- moment:
				free = time.Now()
			case <-p.stop:
				return
			}
		}
		if measured {
			p.sent++
			p.behind = max(p.behind, time.Since(moment))
			own := ready.Sub(laterOf(moment, free))
			_ = p.overslept.RecordValue(min(max(int64(own), 0), latencyMax)) // in its range
		}
	}
}

// laterOf is the later of both.
func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// napMost is how long the clock naps: naps cannot be interrupted.
const napMost = 2 * time.Millisecond

// sleep waits for a moment. It returns false when the pacer is closed.
func (p *pacer) sleep(moment time.Time) bool {
	for {
		d := time.Until(moment)
		if d > napMost {
			t := time.NewTimer(d - napMost/2)
			select {
			case <-t.C:
			case <-p.stop:
				t.Stop()
				return false
			}
			continue
		}
		select {
		case <-p.stop:
			return false
		default:
		}
		if d <= 0 {
			return true
		}
		nap(d)
	}
}
