package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/wal"
)

// lagMax is how many bytes of group buffers may wait for the applier, or for the core,
// before publishes are refused.
const lagMax = 64 << 20

// applierQueue holds the committed groups that the index has not applied.
type applierQueue struct {
	a      *index.Applier // owned by applyLoop once it runs
	timer  batchTimer     // applyLoop's
	lag    atomic.Int64   // bytes of the buffers queued
	forget atomic.Uint64  // not zero: where the log begins now, and the index does not know

	mu struct {
		sync.Mutex
		groups  []*wal.Group
		orders  []order
		waiting int  // reads that wait for the applier
		dead    bool // it has ended: nothing more is applied
	}
	signal  chan struct{} // work, an order, a waiting read, or the end
	applied *sync.Cond    // broadcast after each batch; its lock is mu
}

// order is something to be written that comes from no record. It runs between
// groups, on the applier's goroutine.
type order func(a *index.Applier) error

func (q *applierQueue) init() {
	q.signal = make(chan struct{}, 1)
	q.applied = sync.NewCond(&q.mu)
}

func (q *applierQueue) wake() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

func (q *applierQueue) push(g *wal.Group) {
	q.lag.Add(int64(g.Buffer()))
	q.mu.Lock()
	q.mu.groups = append(q.mu.groups, g)
	q.mu.Unlock()
	q.wake()
}

// order queues an order.
func (q *applierQueue) order(o order) {
	q.mu.Lock()
	q.mu.orders = append(q.mu.orders, o)
	q.mu.Unlock()
	q.wake()
}

// obey carries out the orders that are queued.
func (q *applierQueue) obey() error {
	q.mu.Lock()
	orders := q.mu.orders
	q.mu.orders = nil
	q.mu.Unlock()
	for _, o := range orders {
		if err := o(q.a); err != nil {
			return fmt.Errorf("apply to the index: %w", err)
		}
	}
	return nil
}

// take returns what is queued, and whether a read waits.
func (q *applierQueue) take(into []*wal.Group) (groups []*wal.Group, waiting bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	groups = append(into[:0], q.mu.groups...)
	clear(q.mu.groups)
	q.mu.groups = q.mu.groups[:0]
	return groups, q.mu.waiting > 0
}

// applyLoop is the applier: the only writer of the index.
func (e *Engine) applyLoop() {
	q := &e.applier
	defer q.release()
	defer e.claims.release()
	q.timer.init()
	var groups []*wal.Group
	for {
		var waiting bool
		groups, waiting = q.take(groups)
		err := q.obey()
		open := false
		if err == nil {
			open, err = e.applyGroups(groups)
		}
		if err == nil && open && waiting {
			err = e.flushBatch()
		} else if err == nil && open {
			q.timer.set(e.batchDelay())
		}
		if err != nil {
			e.fatal(err)
			return
		}
		select {
		case <-q.signal:
		case <-q.timer.C:
			if err := e.flushBatch(); err != nil {
				e.fatal(err)
				return
			}
		case <-e.stop:
			return // closeFiles applies the rest, after the log's own end
		}
	}
}

func (e *Engine) stopping() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// applyGroups applies groups and ends batches that are full. It reports whether
// a batch is open.
func (e *Engine) applyGroups(groups []*wal.Group) (open bool, err error) {
	a := e.applier.a
	if len(groups) > 0 {
		defer e.tally.applied(time.Now())
	}
	for _, g := range groups {
		if err := applyGroup(a, e.log.ID(), g); err != nil {
			return false, fmt.Errorf("apply to the index: %w", err)
		}
		if plant.Bug("index-leads-the-log") {
			a.EndGroup(position(e.log.ID(), e.log.Durable()))
		}
		e.applier.lag.Add(-int64(g.Buffer()))
		g.Release()
		open = true
		if a.Full() {
			if err := e.flushBatch(); err != nil {
				return false, err
			}
			open = false
		}
	}
	return open || a.Open(), nil
}

// flushBatch ends the batch and tells everyone who waits for it.
func (e *Engine) flushBatch() error {
	q := &e.applier
	q.timer.stop()
	if err := q.forgetBelow(); err != nil {
		return err
	}
	start := time.Now()
	if err := q.a.Flush(); err != nil {
		return err
	}
	e.tally.batch.Since(start)
	q.mu.Lock()
	q.applied.Broadcast()
	q.mu.Unlock()
	e.visible.tell()
	lsn := e.idx.Applied()
	if plant.Bug("dedup-forgets-early") {
		e.dedup.applied(uint64(e.log.Durable().LSN))
	}
	e.dedup.applied(lsn)
	e.claims.applied(lsn)
	e.inbox.push(event{kind: evApplied, lsn: lsn})
	if lsn, ask := q.a.Ask(); ask {
		e.inbox.push(event{kind: evBounds, lsn: lsn})
	}
	return nil
}

// applyRest applies what the log committed while it closed.
func (e *Engine) applyRest() error {
	groups, _ := e.applier.take(nil)
	if _, err := e.applyGroups(groups); err != nil {
		return err
	}
	return e.applier.a.Flush()
}

// waitApplied blocks until reads see everything below lsn (X5). The applier ends
// its batch for it.
func (e *Engine) waitApplied(lsn uint64) error {
	if e.idx.Applied() >= lsn {
		return nil
	}
	q := &e.applier
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.waiting++
	q.wake()
	for e.idx.Applied() < lsn {
		if q.mu.dead {
			q.mu.waiting--
			return ErrClosed
		}
		q.applied.Wait()
	}
	q.mu.waiting--
	return nil
}

// hurry counts n in who wait for something else than waitApplied does that the end of a
// batch brings, or out.
func (q *applierQueue) hurry(n int) {
	q.mu.Lock()
	q.mu.waiting += n
	q.mu.Unlock()
	if n > 0 {
		q.wake()
	}
}

// release wakes those who wait for an applier that has ended.
func (q *applierQueue) release() {
	q.mu.Lock()
	q.mu.dead = true
	q.applied.Broadcast()
	q.mu.Unlock()
}

// forgetBelow has the index drop what it holds about addresses that the log no
// longer has.
func (q *applierQueue) forgetBelow() error {
	first := q.forget.Swap(0)
	if first == 0 {
		return nil
	}
	return q.a.Forget(first)
}

// reader is one of those that follow the log and may lag behind it.
type reader int

const (
	readerNone reader = iota
	readerApplier
	readerCore
	readerCheckpoint // the index's durable position
	readers
)

// lagging names who lags so far behind that a publish must wait.
func (e *Engine) lagging() reader {
	switch {
	case e.applier.lag.Load() > lagMax:
		return readerApplier
	case e.coreLag.Load() > lagMax:
		return readerCore
	case e.unflushed() > unflushedMax:
		return readerCheckpoint
	}
	return readerNone
}

func (e *Engine) overloaded() bool { return e.lagging() != readerNone }
