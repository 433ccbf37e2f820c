package engine

import (
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

type eventKind uint8

const (
	evGroup    eventKind = iota // group: committed
	evFinished                  // slot, result: an attempt ended
	evApplied                   // lsn: the index has caught up to there
	evPaged                     // slot, page
	evRow                       // req, row, found, err
	evCancel                    // req
	evBounds                    // lsn: the applier wants bounds as of there
	evDrain                     // start nothing more
	evPoison                    // the log failed
)

// event is one thing that happened, for the core.
type event struct {
	kind   eventKind
	found  bool
	slot   uint32
	lsn    uint64
	group  *wal.Group
	result *attemptResult
	page   *index.Page
	req    *cancelRequest
	row    record.Row
	err    error
}

// inbox is the loop's queue. It holds at most one event per attempt, page and
// waiting request under way, and groups, whose bytes count towards overload.
type inbox struct {
	mu     sync.Mutex
	events []event
	signal chan struct{}
}

func (in *inbox) init() { in.signal = make(chan struct{}, 1) }

func (in *inbox) push(ev event) {
	in.mu.Lock()
	in.events = append(in.events, ev)
	in.mu.Unlock()
	in.wake()
}

func (in *inbox) wake() {
	select {
	case in.signal <- struct{}{}:
	default:
	}
}

// swap takes what is queued and leaves the given slice for what comes next.
func (in *inbox) swap(empty []event) []event {
	in.mu.Lock()
	defer in.mu.Unlock()
	got := in.events
	in.events = empty[:0]
	return got
}

// sleepMax bounds how long the loop sleeps, so that a step of the wall clock or a
// suspend shows within a second (P25).
const sleepMax = time.Second

// loop owns the core.
func (e *Engine) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var events []event
	for {
		select {
		case <-e.inbox.signal:
		case <-timer.C:
		case <-e.stop:
			return
		}
		events = e.inbox.swap(events)
		more, err := e.core.step(e.wallMillis(), events)
		if err != nil {
			e.fatal(err)
			return
		}
		for i := range events {
			if g := events[i].group; g != nil {
				e.coreLag.Add(-int64(g.Buffer()))
				g.Release()
			}
		}
		clear(events)
		if err := e.carryOut(&e.core.out); err != nil && e.fatalErr.Load() == nil {
			e.fatal(err)
		}
		e.noteDrained()
		timer.Reset(e.sleepFor(more))
	}
}

// step takes what happened up to now and decides. It reports whether timers are
// due that it left for the next step.
func (c *core) step(now int64, events []event) (more bool, err error) {
	c.out.reset()
	c.setNow(now)
	for i := range events {
		if err := c.take(&events[i]); err != nil {
			return false, err
		}
	}
	more = c.tick()
	c.pump()
	return more, nil
}

func (c *core) take(ev *event) error {
	switch ev.kind {
	case evGroup:
		err := ev.group.Each(func(lsn wal.LSN, p []byte) error { return c.commit(uint64(lsn), p) })
		if err != nil {
			return err
		}
		c.commitGroup(uint64(ev.group.End().LSN))
	case evFinished:
		c.finished(ev.slot, ev.result)
	case evApplied:
		c.setApplied(ev.lsn)
	case evPaged:
		c.paged(ev.slot, ev.page)
	case evRow:
		c.rowRead(ev.req, ev.row, ev.found, ev.err)
	case evCancel:
		c.cancel(ev.req)
	case evBounds:
		c.askBounds(ev.lsn)
	case evDrain:
		c.draining = true
	case evPoison:
		c.poison(ErrLogFailed)
	}
	return nil
}

// carryOut does what the core asked for. Outcomes are logged lazily: they ride
// with the next group, at the latest 10 ms later (L5).
// When the log refuses one, nothing starts any more, but who waits is answered.
func (e *Engine) carryOut(out *commands) (err error) {
	for i := range out.appends {
		if err = e.logOutcome(out.appends[i].outcome); err != nil {
			break
		}
	}
	for i := 0; i < len(out.starts) && err == nil; i++ {
		e.workers.start(out.starts[i])
	}
	e.carryBounds(out)
	for i := range out.pages {
		e.reads <- out.pages[i]
	}
	for _, req := range out.rows {
		go e.readRow(req)
	}
	for i := range out.answers {
		out.answers[i].req.done(out.answers[i].err)
	}
	return err
}

func (e *Engine) logOutcome(o *record.Outcome) error {
	t, err := e.log.Reserve(o.Size(), true)
	if err != nil {
		return err
	}
	fill(&t, o.Append(t.Buf[:0]))
	e.log.Done(&t)
	return nil
}

// fill checks that an encoder wrote exactly what was reserved.
func fill(t *wal.Ticket, encoded []byte) {
	if len(encoded) != len(t.Buf) || len(encoded) > 0 && &encoded[0] != &t.Buf[0] {
		panic("engine: BUG: a record's Size and Append disagree")
	}
}

// noteDrained tells Shutdown when nothing is in flight any more.
func (e *Engine) noteDrained() {
	c := e.core
	if !c.draining || c.inflight > 0 || c.undurable > 0 && !c.poisoned {
		return
	}
	select {
	case <-e.drained:
	default:
		close(e.drained)
	}
}

func (e *Engine) sleepFor(more bool) time.Duration {
	if more {
		return 0
	}
	at, ok := e.core.nextTimer()
	if !ok {
		return sleepMax
	}
	return min(max(time.UnixMilli(at).Sub(e.opts.Wall()), 0), sleepMax)
}

// readLoop reads pages one after the other: their answers come back in the order
// they were asked for, which retire.go relies on.
func (e *Engine) readLoop() {
	for {
		select {
		case <-e.stop:
			return
		case q := <-e.reads:
			p, err := e.readPage(&q)
			if err != nil {
				if !e.stopping() {
					e.fatal(err)
				}
				return
			}
			e.inbox.push(event{kind: evPaged, slot: q.slot, page: p})
		}
	}
}

func (e *Engine) readPage(q *pageCommand) (*index.Page, error) {
	if err := e.waitApplied(q.after); err != nil {
		return nil, err
	}
	p, err := e.idx.ReadPage(q.lane, q.from, q.maxDue, q.limit, nil)
	return &p, err
}

// readRow looks up the row of a message that is to be canceled. Its goroutine
// ends with the request that waits for it.
func (e *Engine) readRow(req *cancelRequest) { e.inbox.push(e.lookUp(req)) }

func (e *Engine) lookUp(req *cancelRequest) event {
	ev := event{kind: evRow, req: req, err: e.waitApplied(req.after)}
	if ev.err == nil {
		ev.row, ev.found, ev.err = e.idx.Row(req.seq)
	}
	return ev
}
