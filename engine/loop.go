package engine

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/wal"
)

type eventKind uint8

const (
	evGroup       eventKind = iota // group: committed
	evFinished                     // slot, result: an attempt ended
	evApplied                      // lsn: the index has caught up to there
	evPaged                        // slot, page
	evRow                          // req, row, found, err
	evCancel                       // req
	evMove                         // move: asked for
	evMoveRow                      // move, row, found, err
	evMoveRefused                  // move, err: the log has no room for the copy
	evDrain                        // start nothing more
	evPoison                       // the log failed
	evFull                         // found: the log can make no segment; or can again
	evStuck                        // found: the log has no room for outcomes; or has again
	evSchedule                     // schedule: asked for
	evUnlogged                     // answer: the scheduler logged nothing
	evFlow                         // flow: asked for
	evFlowRefused                  // flowRecord, err: the log has no room for it
	evQuery                        // query: to be answered at the end of the step
	evReceive                      // receive: a consumer came
	evLeave                        // receive: it does not wait any longer
	evPull                         // pulls: asked for
	evPullRow                      // pull, row, found, err
	evLimits                       // limits; query: told at the end of the step
	evBounds                       // lsn: the applier wants bounds as of there
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
	move   *moveRequest
	row    record.Row
	err    error

	schedule *scheduleRequest
	answer   *scheduleAnswer

	flow       *flowRequest
	flowRecord *record.Flow
	query      func(*core)
	limits     *Limits

	receive *pullReceive
	pull    *pullRequest
	pulls   []*pullRequest
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
		if e.core.minds() {
			if wait, ok := e.waits.read(); ok {
				e.core.adapt(wait, e.admission.pressed(e.wallMillis()))
			}
		}
		readied := e.core.readied
		more, err := e.core.step(e.wallMillis(), events)
		if err != nil {
			e.fatal(err)
			return
		}
		e.admission.observe(e.core.now, e.core.lateness(), len(e.core.out.starts))
		for i := range events {
			if g := events[i].group; g != nil {
				if e.core.readied != readied && !e.opts.noRecent {
					e.recent.push(g) // before the attempts of its messages start
				}
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

// step takes what happened up to now and decides. It reports whether it left timers that
// are due, or entries to be freed, for the next step.
func (c *core) step(now int64, events []event) (more bool, err error) {
	c.out.reset()
	c.setNow(now)
	for i := range events {
		if err := c.take(&events[i]); err != nil {
			return false, err
		}
	}
	more = c.tick()
	more = c.retire() || more
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
	case evMove:
		c.move(ev.move)
	case evMoveRow:
		c.moveRowRead(ev.move, ev.row, ev.found, ev.err)
	case evMoveRefused:
		c.moveRefused(ev.move, ev.err)
	case evSchedule:
		c.askSchedule(ev.schedule)
	case evUnlogged:
		c.scheduleUnlogged(ev.answer)
	case evFlow:
		c.askFlow(ev.flow)
	case evFlowRefused:
		c.flowRefused(ev.flowRecord, ev.err)
	case evQuery:
		c.out.queries = append(c.out.queries, ev.query)
	case evLimits:
		c.setLimits(ev.limits)
		c.out.queries = append(c.out.queries, ev.query)
	case evBounds:
		c.askBounds(ev.lsn)
	case evReceive:
		c.receive(ev.receive)
	case evLeave:
		c.leaveReceive(ev.receive)
	case evPull:
		for _, req := range ev.pulls {
			c.askPull(req)
		}
	case evPullRow:
		c.pullRowRead(ev.pull, ev.row, ev.found, ev.err)
	case evDrain:
		c.draining = true
		c.endReceives(ErrClosed)
	case evPoison:
		c.poison(ErrLogFailed)
	case evFull:
		c.setFull(ev.found)
	case evStuck:
		c.setStuck(ev.found)
	}
	return nil
}

// carryOut does what the core asked for. Outcomes are logged lazily: they ride
// with the next group, at the latest 10 ms later (L5).
// When the log refuses one, nothing starts any more, but who waits is answered.
func (e *Engine) carryOut(out *commands) (err error) {
	err = e.logOutcomes(out.appends)
	for i := 0; i < len(out.moves) && err == nil; i++ {
		err = e.logOrRefuse(&out.moves[i])
	}
	for i := 0; i < len(out.flows) && err == nil; i++ {
		err = e.logFlow(out.flows[i])
	}
	for i := 0; i < len(out.starts) && err == nil; i++ {
		e.workers.start(out.starts[i])
	}
	if err == nil {
		e.scheduler.push(out.schedules)
	}
	e.scheduler.schedules.Store(int64(len(e.core.schedules.byKey)))
	for _, d := range out.scheduled {
		d.req.done(d.err)
	}
	e.carryBounds(out)
	for i := range out.pages {
		e.reads <- out.pages[i]
	}
	for _, req := range out.rows {
		go e.readRow(req)
	}
	if len(out.moveRows) > 0 {
		go e.readMoveRows(slices.Clone(out.moveRows))
	}
	e.carryPulls(out)
	for i := range out.answers {
		out.answers[i].req.done(out.answers[i].err)
	}
	for _, req := range out.moved {
		req.done(req.err)
	}
	for _, d := range out.flowed {
		d.req.done(d.err)
	}
	for i := range out.notices {
		e.notices.push(out.notices[i])
	}
	for _, fn := range out.queries {
		fn(e.core)
	}
	return err
}

// logFlow logs the state of a flow-control key, or tells the core that there is no room.
func (e *Engine) logFlow(r *record.Flow) error {
	t, err := e.log.Reserve(r.Size(), wal.Lazy)
	if errors.Is(err, wal.ErrNoSpace) {
		e.inbox.push(event{kind: evFlowRefused, flowRecord: r, err: logError(err)})
		return nil
	}
	if err != nil {
		return err
	}
	fill(&t, r.Append(t.Buf[:0]))
	e.log.Done(&t)
	return nil
}

// logOrRefuse logs a copy, or tells the core that there is no room for it, now or at
// all if segments are smaller than they were: then the message stays where it is.
func (e *Engine) logOrRefuse(cmd *moveCommand) error {
	err := e.logMove(cmd)
	if errors.Is(err, wal.ErrNoSpace) || errors.Is(err, wal.ErrTooLarge) {
		e.inbox.push(event{kind: evMoveRefused, move: cmd.req, err: err})
		return nil
	}
	return err
}

// logOutcomes logs outcomes, those in hand first. Those that find no room stay in
// hand; the core is told, so that nothing starts, and the loop tries again (W8:
// only a write that was begun and failed is final).
func (e *Engine) logOutcomes(cmds []appendCommand) error {
	e.inHand = append(e.inHand, cmds...)
	was, n := e.stuck, 0
	defer func() { e.inHand = slices.Delete(e.inHand, 0, n) }() // also after an error: those are logged, and their memory is in use again
	for e.stuck = false; n < len(e.inHand); n++ {
		err := e.logOutcome(e.inHand[n].outcome)
		if e.stuck = errors.Is(err, wal.ErrNoSpace); e.stuck {
			break
		}
		if err != nil {
			return err
		}
		e.workers.reuse(e.inHand[n].from)
	}
	if e.stuck != was {
		e.inbox.push(event{kind: evStuck, found: e.stuck})
	}
	return nil
}

func (e *Engine) logOutcome(o *record.Outcome) error {
	t, err := e.log.Reserve(o.Size(), wal.Lazy)
	if err != nil {
		return err
	}
	fill(&t, o.Append(t.Buf[:0]))
	e.log.Done(&t)
	return nil
}

// appendReserved logs a record for which the log's reserve may be used, as for an
// outcome, and returns when it is durable.
func (e *Engine) appendReserved(p []byte) (lsn uint64, err error) {
	t, err := e.log.Reserve(len(p), wal.Lazy)
	if err != nil {
		return 0, err
	}
	copy(t.Buf, p)
	e.log.Done(&t)
	return uint64(t.LSN), e.log.Wait(&t)
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
	if !c.draining || c.inflight > 0 || (c.undurable > len(e.inHand) || c.undecided() || c.schedules.busy > 0) && !c.poisoned {
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
	limit := sleepMax
	if e.stuck {
		limit = roomPause
	}
	if e.core.paced() {
		limit = pacePoll
	}
	at, ok := e.core.nextTimer()
	if !ok {
		return limit
	}
	return min(max(time.UnixMilli(at).Sub(e.opts.Wall()), 0), limit)
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

// readMoveRows looks up the rows of messages that are to be moved, a batch of them.
func (e *Engine) readMoveRows(reqs []*moveRequest) {
	for _, req := range reqs {
		e.inbox.push(e.lookUpMove(req))
	}
}

func (e *Engine) lookUpMove(req *moveRequest) event {
	ev := event{kind: evMoveRow, move: req, err: e.waitApplied(req.after)}
	if ev.err == nil {
		ev.row, ev.found, ev.err = e.idx.Row(req.seq)
	}
	return ev
}

func (e *Engine) lookUp(req *cancelRequest) event {
	ev := event{kind: evRow, req: req, err: e.waitApplied(req.after)}
	if ev.err == nil {
		ev.row, ev.found, ev.err = e.idx.Row(req.seq)
	}
	return ev
}
