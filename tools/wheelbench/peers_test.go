package wheelbench

import (
	"container/heap"
	"sync/atomic"
	"time"

	peer "github.com/RussellLuo/timingwheel"

	"github.com/tidemill/tidemill/timerwheel"
)

// timers is what is compared. H names a timer that is armed. One goroutine calls
// the methods.
type timers[H any] interface {
	// add arms a timer that is due so many milliseconds from now.
	add(millis int64) H

	// cancel disarms a timer that has not expired.
	cancel(h H)

	// await returns when n timers have expired since the last call.
	await(n int64)

	close()
}

// plain is a data structure that is told the time, driven as the engine drives its
// wheel: sleep to the next due, advance to now.
type plain[H any] struct {
	q interface {
		add(due int64) H
		cancel(h H)
		next() (due int64, ok bool)
		advance(now int64) (expired int64)
	}
	began time.Time
}

func (p *plain[H]) now() int64         { return time.Since(p.began).Milliseconds() }
func (p *plain[H]) add(millis int64) H { return p.q.add(p.now() + millis) }
func (p *plain[H]) cancel(h H)         { p.q.cancel(h) }
func (p *plain[H]) close()             {}

func (p *plain[H]) await(n int64) {
	for n > 0 {
		if due, ok := p.q.next(); ok {
			time.Sleep(time.Until(p.began.Add(time.Duration(due) * time.Millisecond)))
		}
		n -= p.q.advance(p.now())
	}
}

// wheel is ours.
type wheel struct {
	*timerwheel.Wheel
	out []uint64
}

func newWheel() timers[timerwheel.Handle] {
	return &plain[timerwheel.Handle]{q: &wheel{Wheel: timerwheel.New(0)}, began: time.Now()}
}

func (w *wheel) add(due int64) timerwheel.Handle { return w.Add(due, 1) }
func (w *wheel) cancel(h timerwheel.Handle)      { w.Cancel(h) }
func (w *wheel) next() (int64, bool)             { return w.Next() }

func (w *wheel) advance(now int64) int64 {
	w.out = w.Advance(now, w.out[:0])
	return int64(len(w.out))
}

// binary is container/heap as most programs would use it: an item knows its place,
// so that it can be taken out.
type binary struct{ items []*binaryItem }

type binaryItem struct {
	due, value int64
	index      int
}

func newBinary() timers[*binaryItem] {
	return &plain[*binaryItem]{q: &binary{}, began: time.Now()}
}

func (b *binary) Len() int           { return len(b.items) }
func (b *binary) Less(i, j int) bool { return b.items[i].due < b.items[j].due }
func (b *binary) Swap(i, j int) {
	b.items[i], b.items[j] = b.items[j], b.items[i]
	b.items[i].index, b.items[j].index = i, j
}

func (b *binary) Push(x any) {
	it := x.(*binaryItem)
	it.index = len(b.items)
	b.items = append(b.items, it)
}

func (b *binary) Pop() any {
	last := len(b.items) - 1
	it := b.items[last]
	b.items[last] = nil
	b.items = b.items[:last]
	return it
}

func (b *binary) add(due int64) *binaryItem {
	it := &binaryItem{due: due, value: 1}
	heap.Push(b, it)
	return it
}

func (b *binary) cancel(it *binaryItem) { heap.Remove(b, it.index) }

func (b *binary) next() (int64, bool) {
	if len(b.items) == 0 {
		return 0, false
	}
	return b.items[0].due, true
}

func (b *binary) advance(now int64) (expired int64) {
	for len(b.items) > 0 && b.items[0].due <= now {
		heap.Pop(b)
		expired++
	}
	return expired
}

// calls counts the expiries of the implementations that call a function, each in a
// goroutine of its own. All timers share one function: what a caller's closures
// would take in memory is not counted.
type calls struct {
	expired atomic.Int64
	f       func()
}

func (c *calls) init() { c.f = func() { c.expired.Add(1) } }

func (c *calls) await(n int64) {
	for c.expired.Load() < n {
		time.Sleep(time.Millisecond)
	}
	c.expired.Store(0)
}

// library is RussellLuo/timingwheel: levels of buckets in linked lists, and a queue
// of the buckets that hold something.
type library struct {
	calls
	*peer.TimingWheel
}

func newLibrary() timers[*peer.Timer] {
	l := &library{TimingWheel: peer.NewTimingWheel(time.Millisecond, 1024)}
	l.init()
	l.Start()
	return l
}

func (l *library) add(millis int64) *peer.Timer {
	return l.AfterFunc(time.Duration(millis)*time.Millisecond, l.f)
}
func (l *library) cancel(t *peer.Timer) { t.Stop() }
func (l *library) close()               { l.Stop() }

// runtimeTimers are Go's own: a heap of four children for each processor.
type runtimeTimers struct{ calls }

func newRuntime() timers[*time.Timer] {
	r := new(runtimeTimers)
	r.init()
	return r
}

func (r *runtimeTimers) add(millis int64) *time.Timer {
	return time.AfterFunc(time.Duration(millis)*time.Millisecond, r.f)
}
func (r *runtimeTimers) cancel(t *time.Timer) { t.Stop() }
func (r *runtimeTimers) close()               {}
