package bench

import (
	"fmt"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// ticks receives what schedules publish. It knows when each schedule's next tick is due and
// sees what is early or came twice; what is missed shows when no more can come.
type ticks struct {
	*sink // its hosts, and where it notes what is wrong
	every time.Duration
	all   []ticker // by schedule
}

// ticker is what is expected of one schedule.
type ticker struct {
	mu   sync.Mutex
	turn uint64    // which of its definitions counts; 0: none
	next time.Time // tick
}

// openTicks starts to listen. The caller closes it.
func openTicks(o *CronOptions, b *bodies) (*ticks, error) {
	every, _ := o.rhythm()
	t := &ticks{sink: newSink(0, b), every: every, all: make([]ticker, o.Schedules)}
	listeners, err := listenLoopback("127.0.0", o.Hosts)
	if err != nil {
		t.cancel()
		return nil, err
	}
	for _, ln := range listeners {
		t.hosts = append(t.hosts, ln.Addr().String())
		t.serve(ln, t.arrive)
	}
	return t, nil
}

// after is the first tick after a moment.
func (t *ticks) after(moment time.Time) time.Time { return moment.Truncate(t.every).Add(t.every) }

// expect makes ticks count from the next one on, for a definition that is made now. Those
// of earlier definitions do not count any more. It returns what bodies of this one say.
func (t *ticks) expect(i int, now time.Time) (turn uint64) {
	k := &t.all[i]
	k.mu.Lock()
	defer k.mu.Unlock()
	k.turn++
	k.next = t.after(now)
	return k.turn
}

// due is the tick that a schedule waits for.
func (t *ticks) due(i int) time.Time {
	k := &t.all[i]
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next
}

// arrive is the handler.
func (t *ticks) arrive(ctx *fasthttp.RequestCtx) {
	now := time.Now().Round(0) // by the wall clock, as schedules are
	s, ours, err := t.bodies.read(ctx.Request.Body())
	switch {
	case err == nil && !ours:
		return
	case err == nil && s.seq >= uint64(len(t.all)):
		err = fmt.Errorf("%w: there is no schedule %d", ErrCorrupt, s.seq)
	case err == nil:
		err = t.tick(s.seq, s.side, now)
	}
	if err != nil {
		t.damage.CompareAndSwap(nil, &err)
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
	}
}

// tick notes that a schedule's message came. What comes before the next tick is early if it
// is nearer to that, and else the last tick's second message.
func (t *ticks) tick(i, turn uint64, now time.Time) error {
	k := &t.all[i]
	k.mu.Lock()
	defer k.mu.Unlock()
	if turn != k.turn {
		return nil
	}
	late := now.Sub(k.next)
	switch {
	case late < -t.every/2:
		return fmt.Errorf("%w: schedule %d, %v after it was due", ErrDouble, i, late+t.every)
	case late < 0:
		return fmt.Errorf("%w: schedule %d, by %v", ErrEarly, i, -late)
	}
	k.next = k.next.Add(t.every)
	if m := t.meter.Load(); m != nil {
		m.record(i, late)
	}
	return nil
}
