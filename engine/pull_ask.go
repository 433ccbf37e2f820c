package engine

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// pullRequest asks for something to be done with a message of a pull queue. done is called
// once, when it is durable or cannot be.
type pullRequest struct {
	user  UserID
	seq   uint64
	nonce uint64
	queue uint64 // the message must be in it; 0: in any
	lease uint64 // 0: the one that there is
	op    record.PullOp
	delay int64  // ms: of a release, or how long a lease is to last from now on
	to    uint64 // of a redrive: the queue
	after uint64 // the index must have applied up to here before its row is read
	done  func(error)

	visible int64 // unix ms: when it is due next, once it is done
}

// pullAnswer completes a request.
type pullAnswer struct {
	req *pullRequest
	err error
}

func (c *core) answerPull(req *pullRequest, err error) {
	c.out.pulled = append(c.out.pulled, pullAnswer{req, err})
}

// pullOutcome is what a step's outcome says besides the step itself.
type pullOutcome struct {
	kind    record.Kind // 0: Retry
	next    int64       // unix ms, with Retry
	attempt uint16
	text    string
}

// stepPull asks for an outcome of a message of a pull queue to be logged, which takes it
// out of its line. Nothing else of it is on its way there.
func (c *core) stepPull(i uint32, step record.PullStep, po pullOutcome) {
	e := &c.entries[i]
	if e.state == stLine {
		c.goes(i)
	}
	if e.state == stSpilled {
		c.comeBack(i)
	}
	c.withdraw(i)
	e.state = stDeciding
	if po.kind == 0 {
		po.kind = record.Retry
	}
	step.Leased = c.pulls.parts[e.seq].Lease != 0
	c.decided(&record.Outcome{
		Row: c.row(e), Kind: po.kind, At: c.now, Next: po.next, Attempt: po.attempt, Error: po.text, Step: step,
	})
	c.out.urgent = true
}

// askPull takes a request.
func (c *core) askPull(req *pullRequest) {
	i, ok := c.bySeq[req.seq]
	switch {
	case c.poisoned:
		c.answerPull(req, ErrLogFailed)
	case c.stuck:
		c.answerPull(req, ErrDiskFull)
	case !ok:
		req.after = c.committed
		c.rowReads[req.seq]++
		c.out.pullRows = append(c.out.pullRows, req)
	case c.busyPull(i):
		c.pulls.line[req.seq] = append(c.pulls.line[req.seq], req)
	default:
		c.decidePull(i, req)
	}
}

// busyPull says whether something of a message is on its way to the log.
func (c *core) busyPull(i uint32) bool {
	e := &c.entries[i]
	return e.state == stDeciding || e.state != stEnded && e.flags&(flagMoving|flagCanceling) != 0
}

// pullRowRead takes the row of a message that was not resident when a request came.
func (c *core) pullRowRead(req *pullRequest, r record.Row, found bool, err error) {
	c.dropRowRead(req.seq)
	i, ok := c.bySeq[req.seq]
	switch {
	case ok:
		c.askPull(req) // it has become resident meanwhile, and may have ended
	case c.poisoned || c.stuck || err != nil:
		c.answerPull(req, c.pullError(err))
	case !found:
		c.answerPull(req, ErrNotFound)
	default:
		step, po, err := c.judgePull(&r, false, req)
		if err != nil || step.Op == 0 {
			c.answerPull(req, err)
			break
		}
		c.pulls.doing[req.seq] = req
		c.stepPull(c.admit(c.laneOf(&r), &r, stDeciding), step, po)
	}
	if ok && c.entries[i].flags&flagRetired != 0 {
		c.release(i)
	}
}

func (c *core) pullError(err error) error {
	switch {
	case c.poisoned:
		return ErrLogFailed
	case c.stuck:
		return ErrDiskFull
	}
	return err
}

// decidePull does what a request asks for, of a message of which nothing else is on its
// way to the log.
func (c *core) decidePull(i uint32, req *pullRequest) {
	e := &c.entries[i]
	if e.state == stEnded {
		c.answerPull(req, ErrNotFound)
		return
	}
	r := c.row(e)
	r.Due, r.Tries = e.due, e.tries // as they are, though a full disk has not taken them
	step, po, err := c.judgePull(&r, e.flags&flagFlying != 0, req)
	if err != nil || step.Op == 0 {
		c.answerPull(req, err)
		return
	}
	c.pulls.doing[req.seq] = req
	c.stepPull(i, step, po)
	if req.op == record.PullAck && plant.Bug("ack-before-it-is-durable") {
		c.answerPull(req, nil)
	}
}

// judgePull says what a request does to a message, nothing (Op is 0) if it is so already.
// flying says that the webhook is being called.
func (c *core) judgePull(r *record.Row, flying bool, req *pullRequest) (step record.PullStep, po pullOutcome, err error) {
	if r.Nonce != req.nonce || UserID(r.User) != req.user || r.Pull.Published == 0 {
		return step, po, ErrNotFound
	}
	if req.queue != 0 && r.Host != req.queue { // not ErrNotFound, which of an acknowledgement means that it was done
		return step, po, errOtherQueue
	}
	p := r.Pull
	step, po = record.PullStep{Op: req.op, Next: p}, pullOutcome{attempt: r.Tries}
	// The queue may have got a webhook since a lease ran out, and that is being called.
	holds := p.Lease != 0 && !flying && (req.lease == p.Lease || req.lease == 0 && c.now < r.Due)
	switch req.op {
	case record.PullAck:
		// Not before its time is over, but before somebody else has the message: nothing is
		// won by delivering it again.
		if !holds {
			err = ErrLeaseLost
		}
		po.kind = record.Delivered
	case record.PullExtend:
		if !holds || c.now >= r.Due {
			return step, po, ErrLeaseLost
		}
		po.next = max(r.Due, min(c.now+req.delay, p.Leased+maxLease.Milliseconds()))
		if req.visible = po.next; po.next == r.Due {
			step.Op = 0
		}
	case record.PullRelease:
		if !holds || c.now >= r.Due {
			err = ErrLeaseLost
		}
		step.Next.Lease = 0
		po.next = c.now + req.delay
	case record.PullReturn:
		if !holds {
			err = ErrLeaseLost
		}
		step.Next.Lease = 0
		po.next, po.attempt = c.now, max(r.Tries, 1)-1
	case record.PullExpire:
		if flying || r.Due > c.now || !c.outlived(r) {
			err = ErrLeaseLost
		}
		po.kind = record.Canceled
	case record.PullRedrive:
		step, po, err = c.judgeRedrive(r, flying, req)
	}
	if err == nil && po.kind == 0 && step.Op != 0 && c.scarce() { // the reserve is for what ends messages
		err = ErrDiskFull
	}
	return step, po, err
}

var errOtherQueue = fmt.Errorf("%w: it is in another queue", ErrLeaseLost)

// judgeRedrive says what it takes to move a message that nobody has.
func (c *core) judgeRedrive(r *record.Row, flying bool, req *pullRequest) (step record.PullStep, po pullOutcome, err error) {
	i, ok := c.pulls.byID[req.to]
	switch {
	case !ok || c.pulls.list[i].gone:
		return step, po, ErrNotFound
	case flying || r.Pull.Lease != 0 && c.now < r.Due || r.Host == req.to:
		return step, po, ErrLeaseLost
	}
	return c.moveTo(r, record.PullRedrive, req.to, record.PullDead{}), pullOutcome{next: c.now}, nil
}

// outlived says whether a message was kept for as long as its queue keeps messages.
func (c *core) outlived(r *record.Row) bool {
	i, ok := c.pulls.byID[r.Host]
	return ok && (c.now-r.Pull.Since > c.pulls.list[i].retention || plant.Bug("sweep-takes-what-is-young") && r.Tries > 1)
}

// maxLease bounds a lease, from its receive on (QUEUES.md B.1).
const maxLease = 12 * time.Hour

// livesPull says whether a queue has not been deleted.
func (c *core) livesPull(id uint64) bool {
	i, ok := c.pulls.byID[id]
	return ok && !c.pulls.list[i].gone
}

// overdue does what is to be done with a ready message instead of handing it out: its
// queue was deleted, it was kept for long enough, or it failed too often. It is false if there is no such thing.
func (c *core) overdue(i uint32) bool {
	e := &c.entries[i]
	if e.flags&flagPull == 0 {
		return false
	}
	r := c.row(e)
	if !c.livesPull(r.Host) {
		c.later(i, record.PullStep{Op: record.PullDrop, Next: r.Pull}, pullOutcome{kind: record.Canceled, attempt: e.tries})
		return true
	}
	if c.outlived(&r) {
		c.later(i, record.PullStep{Op: record.PullExpire, Next: r.Pull}, pullOutcome{kind: record.Canceled, attempt: e.tries})
		return true
	}
	q := c.pulls.list[c.pulls.byID[r.Host]]
	if int(e.tries) <= q.retries {
		return false
	}
	step, ok := c.bury(&r, record.PullDead{At: c.now, Attempts: e.tries, Reason: record.PullExpired})
	if !ok {
		return false
	}
	c.later(i, step, pullOutcome{next: c.now})
	return true
}

// later takes a step, or has the message wait a moment if that is not possible now.
func (c *core) later(i uint32, step record.PullStep, po pullOutcome) {
	e := &c.entries[i]
	if e.flags&flagMoving != 0 || c.stuck || c.undurable >= pullUndurableMax {
		c.withdraw(i)
		c.wait(i, c.now+pullPause)
		return
	}
	c.stepPull(i, step, po)
}

// pullPause is how long a message waits of which something else is on its way, ms.
const pullPause = 50

// bury returns the step that takes a message to its queue's dead letter queue, if there is
// one.
func (c *core) bury(r *record.Row, dead record.PullDead) (step record.PullStep, ok bool) {
	q := &c.pulls.list[c.pulls.byID[r.Host]]
	to, ok := c.pulls.byName[pullName{q.user, q.dead}]
	if !ok || q.dead == "" || c.pulls.list[to].id == q.id {
		return step, false
	}
	dead.Source = q.name
	return c.moveTo(r, record.PullBury, c.pulls.list[to].id, dead), true
}

// moveTo returns the step that takes a message to another queue, where it is new.
func (c *core) moveTo(r *record.Row, op record.PullOp, to uint64, dead record.PullDead) record.PullStep {
	s := record.PullStep{Op: op, Lane: to, Host: to}
	s.Next = record.Pull{Published: r.Pull.Published, Since: c.now, First: r.Pull.First, Dead: dead}
	if r.Queue != 0 { // the lane of a group keeps what tells it from others
		s.Queue, s.Lane = to, r.Lane^r.Host^to
	}
	return s
}
