package engine

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// attemptResult is one attempt's end, as the worker saw it.
type attemptResult struct {
	outcome   record.Outcome // Error, Header, Body, Status and Took are set
	success   bool           // a 2xx
	final     bool           // no retry can help: refused address, 489, damage
	answered  bool           // the host gave some response
	retries   int            // as the publish asked for
	delay     time.Duration  // before the next attempt, if there is one
	interrupt bool           // no attempt was made, or a shutdown cut it short: it does not count
	reason    DeadReason     // why it is a dead letter, if it becomes one
}

// reset clears r and keeps the memory of its outcome.
func (r *attemptResult) reset() {
	*r = attemptResult{outcome: record.Outcome{Header: r.outcome.Header[:0], Body: r.outcome.Body[:0]}}
}

// commit takes one record of a committed group, in log order. Live traffic only:
// recovery applies to the index, and the core then starts from there.
func (c *core) commit(lsn uint64, p []byte) error {
	c.seen = lsn
	t, err := record.TypeOf(p)
	if err != nil {
		return fmt.Errorf("committed record at %d: %w", lsn, err)
	}
	switch t {
	case record.TypeMessage:
		return c.commitMessage(lsn, p)
	case record.TypeOutcome:
		return c.commitOutcome(lsn, p)
	case record.TypeMove:
		return c.commitMove(lsn, p)
	case record.TypeSchedule:
		return c.commitSchedule(lsn, p)
	case record.TypeDropSchedule:
		return c.commitDropSchedule(lsn, p)
	case record.TypeTick:
		return c.commitTick(lsn, p)
	case record.TypeFanout:
		return c.commitFanout(lsn, p)
	case record.TypeQueue:
		return c.commitQueue(lsn, p)
	case record.TypeFlow:
		return c.commitFlow(lsn, p)
	case record.TypePullQueue:
		return c.commitPullQueue(lsn, p)
	}
	return nil
}

// commitGroup notes where a group ends.
func (c *core) commitGroup(end uint64) {
	c.committed = end
	c.tellBounds()
}

func (c *core) commitMessage(lsn uint64, p []byte) error {
	h, err := record.HeadOfMessage(p)
	if err == nil {
		err = c.commitMessageTick(lsn, h.Nonce(), h)
	}
	if err == nil {
		r := record.Row{
			User: h.User(), Nonce: h.Nonce(), Seq: lsn, Pos: lsn, Len: uint32(len(p)),
			Lane: h.Lane(), Host: h.Host(), Due: h.Due(),
		}
		err = c.publish(&r, h)
	}
	if err != nil {
		return fmt.Errorf("committed message at %d: %w", lsn, err)
	}
	return nil
}

// commitFanout takes the members of a fan-out: each is a message of its own.
func (c *core) commitFanout(lsn uint64, p []byte) error {
	var rows [record.MembersMax]record.Row
	n := 0
	h, err := record.EachMember(p, func(i int, m *record.MemberHead) error {
		rows[i] = record.Row{Nonce: m.Nonce, Seq: lsn + uint64(i), Pos: lsn, Len: m.Share, Lane: m.Lane, Host: m.Host}
		n++
		return nil
	})
	if err == nil {
		err = c.commitMessageTick(lsn, rows[0].Nonce, h)
	}
	for i := 0; i < n && err == nil; i++ {
		rows[i].User, rows[i].Due = h.User(), h.Due()
		err = c.publish(&rows[i], h)
	}
	if err != nil {
		return fmt.Errorf("committed fan-out at %d: %w", lsn, err)
	}
	return nil
}

// publish takes a message that is pending from now on. h says what its Line is.
func (c *core) publish(r *record.Row, h record.MessageHead) (err error) {
	if r.Line, err = h.Line(); err != nil {
		return err
	}
	if r.Pull = h.Pull(); r.Line != (record.Line{}) && r.Pull.Published == 0 {
		names, err := h.LineNames()
		if err != nil {
			return err
		}
		if r.Queue != 0 {
			c.heardQueue(r)
		}
		if r.Flow != 0 {
			c.heardFlow(r, &names)
		}
	}
	if _, known := c.bySeq[r.Seq]; known {
		return nil // a page was faster
	}
	c.tally.published.Add(1)
	if c.place(r) {
		c.arrange(c.admit(c.laneOf(r), r, stTimer))
	}
	return nil
}

func (c *core) commitOutcome(lsn uint64, p []byte) error {
	var o record.Outcome
	if err := record.DecodeOutcomeHead(p, &o); err != nil {
		return fmt.Errorf("committed outcome at %d: %w", lsn, err)
	}
	c.undurable--
	c.undurableBytes -= len(p)
	c.tally.outcome(&o, c.now)
	i, ok := c.bySeq[o.Seq]
	if !ok {
		return fmt.Errorf("engine: BUG: outcome at %d of message %d, which is not resident", lsn, o.Seq)
	}
	c.settled(i)
	if err := c.commitCallbacks(lsn, p); err != nil {
		return err
	}
	if o.Kind.Final() {
		c.gone(i)
		c.leave(i, stEnded, lsn)
		if o.Step.Op == 0 {
			c.unheard(&o.Line)
		}
		c.answerCancels(o.Seq, o.Kind)
	} else {
		c.commitRetry(i, lsn, &o)
	}
	if o.Step.Op != 0 {
		c.steppedPull(i, o.Seq, &o)
	}
	if req := c.moves[o.Seq]; req != nil && !req.reading {
		c.move(req)
	}
	return nil
}

// commitCallbacks takes the messages that an outcome publishes: before it ends the
// message itself, so that its turn in a queue goes on with them.
func (c *core) commitCallbacks(lsn uint64, p []byte) error {
	return record.EachCallback(p, func(n int, h record.MessageHead, _ []byte) error {
		c.tally.callbacks.Add(1)
		return c.publish(&record.Row{
			User: h.User(), Nonce: h.Nonce(), Seq: lsn + 1 + uint64(n), Pos: lsn, Len: record.CallbackShare(p),
			Lane: h.Lane(), Host: h.Host(), Due: h.Due(),
		}, h)
	})
}

// commitRetry places a message whose retry is durable.
func (c *core) commitRetry(i uint32, lsn uint64, o *record.Outcome) {
	e := &c.entries[i]
	if plant.Bug("retry-at-once") {
		o.Next = o.At
	}
	e.due, e.tries = o.Next, o.Attempt
	if o.Step.Op != 0 {
		c.commitStep(i, o)
	}
	if c.doomed(i) {
		c.appendCancel(i)
		return
	}
	if e.flags&flagSlot != 0 { // it has its turn and stays
		c.schedule(i)
		return
	}
	r := c.row(e)
	// The entry's own place is free again, so it counts as room for itself.
	c.resident--
	c.lanes[e.lane].resident--
	resident := c.place(&r)
	c.resident++
	c.lanes[e.lane].resident++
	c.stays(i)
	if resident {
		c.arrange(i)
		return
	}
	c.leave(i, stSpilled, lsn)
	c.beginTurns(e.lane)
}

// finished takes an attempt's end and decides what it means (QSTASH.md §5.1).
func (c *core) finished(i uint32, r *attemptResult) {
	e := &c.entries[i]
	e.flags &^= flagFlying
	c.grown(i)
	halfOpen := c.hosts[e.host].failures >= failuresToHalfOpen
	c.yield(e.host, r)
	c.noteHost(i, halfOpen, r)
	c.yieldFlow(e.flow)
	switch {
	case e.flags&flagRetired != 0:
		c.release(i)
		return
	case e.flags&flagCanceling != 0 || e.state == stEnded || c.poisoned:
		return
	case e.flags&flagMoving != 0:
		c.moves[e.seq].result = r
		return
	}
	c.conclude(i, r)
}

// conclude decides what an attempt's end means and asks for it to be logged.
func (c *core) conclude(i uint32, r *attemptResult) {
	e := &c.entries[i]
	if r.interrupt {
		c.wait(i, max(e.due, c.now+ceilMillis(r.delay)))
		return
	}
	if e.flags&flagPull != 0 {
		c.concludePush(i, r)
		return
	}
	o := &r.outcome
	o.Row, o.At, o.Attempt = c.row(e), c.now, e.tries+1
	if o.Kind = decide(r, int(o.Attempt)); o.Kind == record.Dead {
		c.notice(e, Notice{Kind: NoticeDeadLetter, Error: o.Error})
	}
	if len(o.Callbacks) > 0 && c.scarce() && !plant.Bug("callback-is-lost-on-a-full-disk") {
		if c.doomed(i) { // that needs no room, and there may be none for long
			c.appendCancel(i)
			return
		}
		c.holdBack(i, r)
		return
	}
	if o.Kind == record.Retry {
		o.Next = c.now + ceilMillis(r.delay)
		if c.scarce() {
			c.keepRetry(i, o)
			return
		}
		if len(o.Callbacks) == 0 {
			o.Body = o.Body[:min(len(o.Body), historyMax)] // only a dead letter shows all of it
		}
	} else if c.scarce() {
		brief(o)
	}
	if o.Kind == record.Dead {
		c.tally.dead[r.reason].Add(1)
	}
	e.state = stDeciding
	c.decided(o)
	c.out.appends[len(c.out.appends)-1].from = r
}

// ceilMillis returns a delay that is to be added to the clock's last full
// millisecond, so that what waits for it is never early (T3).
func ceilMillis(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d+time.Millisecond-1)/time.Millisecond) + 1
}

// decide says what the end of the given attempt means.
func decide(r *attemptResult, attempt int) record.Kind {
	switch {
	case r.success, plant.Bug("given-up-as-delivered") && attempt > r.retries:
		return record.Delivered
	case r.final || attempt > r.retries && (attempt > r.retries+1 || !plant.Bug("one-attempt-more")):
		return record.Dead
	default:
		return record.Retry
	}
}

// decided asks for an outcome to be logged.
func (c *core) decided(o *record.Outcome) {
	for _, m := range o.Callbacks {
		record.Stamp(m, c.now)
	}
	c.undurable++
	c.undurableBytes += o.Size()
	c.out.appends = append(c.out.appends, appendCommand{outcome: o})
}

// cancel takes a request to cancel a message (P24: once it is answered, no
// attempt starts). What is not resident is looked up in the index first.
func (c *core) cancel(req *cancelRequest) {
	if c.poisoned {
		c.answer(req, ErrLogFailed)
		return
	}
	if c.stuck {
		c.answer(req, ErrDiskFull)
		return
	}
	i, ok := c.bySeq[req.seq]
	if !ok || c.entries[i].state == stSpilled {
		req.after = c.committed
		c.rowReads[req.seq]++
		c.out.rows = append(c.out.rows, req)
		return
	}
	e := &c.entries[i]
	if e.nonce != req.nonce || UserID(e.user) != req.user || e.state == stEnded {
		c.answer(req, ErrNotFound)
		return
	}
	c.cancels[req.seq] = append(c.cancels[req.seq], req)
	if plant.Bug("cancel-answered-early") {
		c.answer(req, nil)
	}
	if c.held[req.seq] != nil {
		c.letGo(req.seq)
		c.appendCancel(i)
	} else if e.state != stDeciding && e.flags&(flagCanceling|flagMoving) == 0 {
		c.appendCancel(i)
	}
}

// dropRowRead notes that a row was read that kept an entry from being freed.
func (c *core) dropRowRead(seq uint64) {
	if c.rowReads[seq]--; c.rowReads[seq] == 0 {
		delete(c.rowReads, seq)
	}
}

// rowRead takes the row of a message that was not resident when a cancel came.
func (c *core) rowRead(req *cancelRequest, r record.Row, found bool, err error) {
	c.dropRowRead(req.seq)
	i, ok := c.bySeq[req.seq]
	switch {
	case ok && c.entries[i].state != stSpilled:
		c.cancel(req) // it has become resident meanwhile, and may have ended
	case c.poisoned:
		c.answer(req, ErrLogFailed)
	case c.stuck:
		c.answer(req, ErrDiskFull)
	case err != nil:
		c.answer(req, err)
	case !found || r.Nonce != req.nonce || UserID(r.User) != req.user:
		c.answer(req, ErrNotFound)
	default:
		c.cancelRow(req, &r)
	}
	if ok && c.entries[i].flags&flagRetired != 0 {
		c.release(i)
	}
}

// cancelRow makes a message resident just to cancel it.
func (c *core) cancelRow(req *cancelRequest, r *record.Row) {
	i, ok := c.bySeq[r.Seq]
	if ok { // left to the index by a retry that the index has applied by now
		c.comeBack(i)
	} else {
		i = c.admit(c.laneOf(r), r, stDeciding)
	}
	c.entries[i].state = stDeciding
	c.cancels[req.seq] = append(c.cancels[req.seq], req)
	if c.entries[i].flags&flagMoving == 0 {
		c.appendCancel(i)
	}
}

// appendCancel logs the cancel of an entry and takes it out of its line.
func (c *core) appendCancel(i uint32) {
	e := &c.entries[i]
	c.withdraw(i)
	e.state = stDeciding
	e.flags |= flagCanceling
	c.goes(i)
	o := &record.Outcome{Row: c.row(e), Kind: record.Canceled, At: c.now}
	if e.flags&flagPull != 0 {
		p := c.pulls.parts[e.seq]
		o.Step = record.PullStep{Op: record.PullDrop, Leased: p.Lease != 0, Next: p}
	}
	c.decided(o)
}

func (c *core) answerCancels(seq uint64, k record.Kind) {
	reqs := c.cancels[seq]
	if reqs == nil {
		return
	}
	delete(c.cancels, seq)
	for _, req := range reqs {
		if k == record.Canceled {
			c.answer(req, nil)
		} else {
			c.answer(req, ErrNotFound)
		}
	}
}

// poison stops everything: the log takes no more records (W8).
func (c *core) poison(err error) {
	c.poisoned = true
	for _, reqs := range c.cancels { // order does not matter: all get the same answer
		for _, req := range reqs {
			c.answer(req, err)
		}
	}
	clear(c.cancels)
	for _, req := range c.moves {
		c.endMove(req, err)
	}
	c.poisonPulls(err)
	c.poisonSchedules(err)
	c.poisonFlows(err)
}

// recover starts from the index's lanes: their messages are read when their time
// comes. A message that was in mid-attempt is simply pending again, its attempt
// not used up.
func (c *core) recover(l index.Lane) {
	r := record.Row{Lane: l.ID, Line: record.Line{Queue: l.Queue, Flow: l.Flow}}
	c.spill(c.laneOf(&r), index.Cursor{Due: l.First})
}
