package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// A message of a pull queue (QUEUES.md) is a message like others: it has a record, a row,
// an entry while it is near, a lane and a due time. Its lane and its host are the queue's.
// What differs is what becomes of it when it is due:
//
//   - where consumers pull, its lane waits at the queue for them (pullQueue.turn) and takes
//     neither permits nor workers. To hand a message out is an outcome of the kind Retry
//     that counts an attempt, names a lease, and says when the lease ends: that is when the
//     message is due again. The consumer is answered when this is durable, so a lease that
//     anybody knows of survives a power cut, and its end needs no record of its own;
//   - where it has a webhook, it is attempted like any other, by the permits of the queue.
//
// Ack, release and extend are outcomes, too (pull_ask.go). The rule of move.go holds for
// all of them: of one message at most one record is appended and not yet committed.
type pullQueue struct {
	id        uint64
	used      bool
	user      uint32
	name      string
	dead      string // name of its dead letter queue
	retries   int
	retention int64 // ms
	parallel  int   // attempts in flight at the webhook, 0: consumers pull
	paused    bool
	gone      bool // deleted: what is left is taken away by the sweep

	turn    ring           // lanes with ready messages, where consumers pull
	waiting []*pullReceive // consumers, in the order in which they came
	asked   bool           // in pulls.serve
	stale   int            // lanes in turn whose last ready message was taken away
	lanes   int            // that refer to it
	reading int            // of them, those that want a page or have one under way
}

// pulls is the core's table of pull queues.
type pulls struct {
	list   []pullQueue
	free   []uint32
	byID   map[uint64]uint32
	byName map[pullName]uint32 // those that were not deleted

	parts   map[uint64]record.Pull    // by seq: of each resident message of a pull queue what its row keeps
	handing map[uint64]*pullReceive   // by seq: whose lease is on its way to the log
	doing   map[uint64]*pullRequest   // so, too
	line    map[uint64][]*pullRequest // by seq: requests that wait for what is on its way

	serve ring // queues where a consumer may have a message, or is to be told that there is none
}

// pullName is what an account knows a queue by.
type pullName struct {
	user uint32
	name string
}

func newPulls() pulls {
	return pulls{
		byID: map[uint64]uint32{}, byName: map[pullName]uint32{}, parts: map[uint64]record.Pull{},
		handing: map[uint64]*pullReceive{}, doing: map[uint64]*pullRequest{}, line: map[uint64][]*pullRequest{},
	}
}

// pullReceive is a consumer that waits for messages. done is called once, with what it
// has a lease of.
type pullReceive struct {
	queue      uint64
	visibility int64    // ms
	stays      bool     // it waits until there is something, or it leaves
	leases     []uint64 // one for each message that it may get, none of them 0
	done       func(got []record.Row, err error)

	got   []record.Row
	bytes int  // of the records of what is taken
	taken int  // leases that are on their way to the log, or durable
	ahead int  // of them, on their way
	gone  bool // it does not wait for pages either
	over  bool // it is answered
}

// pullDone is a consumer to be answered.
type pullDone struct {
	req *pullReceive
	err error
}

// pullAt returns the index of the queue that a lane is of, or none.
func (c *core) pullAt(lane, queue uint64) uint32 {
	if len(c.pulls.byID) == 0 {
		return none
	}
	if i, ok := c.pulls.byID[lane]; ok {
		return i
	}
	if i, ok := c.pulls.byID[queue]; ok && queue != 0 {
		return i
	}
	return none
}

// pulled says whether consumers ask for the messages of a lane.
func (c *core) pulled(l *lane) bool { return l.pull != none && c.pulls.list[l.pull].parallel == 0 }

// commitPullQueue takes a definition.
func (c *core) commitPullQueue(lsn uint64, p []byte) error {
	var d record.PullQueue
	if err := record.DecodePullQueue(p, &d); err != nil {
		return fmt.Errorf("committed pull queue at %d: %w", lsn, err)
	}
	c.setPullQueue(&d)
	return nil
}

func (c *core) setPullQueue(d *record.PullQueue) {
	t := &c.pulls
	i, known := t.byID[d.ID]
	if !known {
		i = takeSlot(&t.list, &t.free)
		t.list[i] = pullQueue{id: d.ID, used: true, user: d.User, name: d.Name}
		t.byID[d.ID] = i
	}
	q := &t.list[i]
	q.dead, q.retries, q.retention = d.DeadName, int(d.Retries), d.Retention
	q.paused, q.gone, q.parallel = d.Flags&record.PullPaused != 0, d.Flags&record.PullGone != 0, 0
	if d.URL != "" {
		q.parallel = int(d.Parallel)
	}
	name := pullName{d.User, d.Name}
	if !q.gone {
		t.byName[name] = i
	} else if t.byName[name] == i {
		delete(t.byName, name)
	}
	c.groupsOf(d.ID).gone = false
	c.changedPull(i)
}

// groupsOf returns the queue in which the groups of a pull queue have their turns: as
// many at a time as there may be, each of them one.
func (c *core) groupsOf(id uint64) *queue {
	q := &c.queues.list[c.queueOf(id)]
	q.parallelism = QueueParallelismMax
	return q
}

// changedPull has everyone look again who waits at a queue whose definition changed.
func (c *core) changedPull(i uint32) {
	q := &c.pulls.list[i]
	for n := q.turn.len(); n > 0; n-- { // they may have to be attempted now
		li := q.turn.pop()
		c.lanes[li].inTurn = false
		c.giveTurn(li)
		c.dropLane(li)
		q = &c.pulls.list[i]
	}
	if hi, ok := c.byHost[q.id]; ok {
		h := &c.hosts[hi]
		for h.parked.any() && (!q.paused || q.gone) {
			c.wake(&h.parked, 1)
		}
		c.dropHost(hi)
	}
	c.wantServe(i)
}

// dropPull forgets a queue that was deleted of which nothing is left.
func (c *core) dropPull(i uint32) {
	q := &c.pulls.list[i]
	if !q.used || !q.gone || q.lanes > 0 || q.asked || len(q.waiting) > 0 {
		return
	}
	if hi, ok := c.byHost[q.id]; ok && (c.hosts[hi].entries > 0 || c.hosts[hi].parked.any()) {
		return
	}
	delete(c.pulls.byID, q.id)
	id := q.id
	*q = pullQueue{}
	c.pulls.free = append(c.pulls.free, i)
	if j, ok := c.queues.byID[id]; ok {
		c.queues.list[j].gone = true
		c.dropQueue(j)
	}
}

// recoverPull takes a queue as the index has it.
func (c *core) recoverPull(x *index.PullQueue) {
	c.setPullQueue(&x.PullQueue)
}

// wantServe has the next pump look at a queue.
func (c *core) wantServe(i uint32) {
	if q := &c.pulls.list[i]; !q.asked {
		q.asked = true
		c.pulls.serve.push(i)
	}
}

// receive takes a consumer.
func (c *core) receive(req *pullReceive) {
	i, ok := c.pulls.byID[req.queue]
	switch {
	case c.poisoned:
		c.endReceive(req, ErrLogFailed)
	case c.draining:
		c.endReceive(req, ErrClosed)
	case !ok:
		c.endReceive(req, ErrNotFound)
	default:
		q := &c.pulls.list[i]
		q.waiting = append(q.waiting, req)
		c.wantServe(i)
	}
}

// leaveReceive takes a consumer that does not wait any longer. What it has a lease of by
// now it is told of all the same.
func (c *core) leaveReceive(req *pullReceive) {
	req.stays, req.gone = false, true
	if i, ok := c.pulls.byID[req.queue]; ok && !req.over {
		c.wantServe(i)
	}
}

func (c *core) endReceive(req *pullReceive, err error) {
	if !req.over {
		req.over = true
		c.out.received = append(c.out.received, pullDone{req, err})
	}
}

// endReceives answers all who wait for messages, or for leases that are not durable.
func (c *core) endReceives(err error) {
	for i := range c.pulls.list {
		q := &c.pulls.list[i]
		for _, req := range q.waiting {
			c.endReceive(req, err)
		}
		q.waiting = nil
	}
	for _, seq := range sortedSeqs(c.pulls.handing) {
		c.endReceive(c.pulls.handing[seq], err)
	}
}

func sortedSeqs[V any](m map[uint64]V) []uint64 { return slices.Sorted(maps.Keys(m)) }

// servePulls hands out what consumers wait for.
func (c *core) servePulls() {
	for n := c.pulls.serve.len(); n > 0; n-- {
		i := c.pulls.serve.pop()
		c.pulls.list[i].asked = false
		if q := &c.pulls.list[i]; 2*q.stale > q.turn.len() || q.gone {
			c.weedTurn(i)
		}
		c.servePull(i)
		c.dropPull(i)
	}
}

// weedTurn takes lanes out of a queue's turn that have nothing ready any more.
func (c *core) weedTurn(i uint32) {
	q := &c.pulls.list[i]
	q.stale = 0
	for n := q.turn.len(); n > 0; n-- {
		li := q.turn.pop()
		c.lanes[li].inTurn = false
		c.giveTurn(li)
		c.dropLane(li)
		q = &c.pulls.list[i]
	}
}

// staleTurn notes that a lane may have nothing ready any more, though it has its turn.
func (c *core) staleTurn(li uint32) {
	l := &c.lanes[li]
	if l.ready.head != none || !l.inTurn || !c.pulled(l) {
		return
	}
	q := &c.pulls.list[l.pull]
	if q.stale++; 2*q.stale > q.turn.len() {
		c.wantServe(l.pull)
	}
}

// reads counts a lane of a pull queue that wants a page, up to when it has it: until then
// nobody who waits can be told that there is nothing.
func (c *core) reads(l *lane, n int) {
	if l.pull == none {
		return
	}
	q := &c.pulls.list[l.pull]
	if q.reading += n; q.reading == 0 && len(q.waiting) > 0 {
		c.wantServe(l.pull)
	}
}

// servePull serves a queue's consumers in the order in which they came: each gets what
// there is now, up to what it asked for.
func (c *core) servePull(i uint32) {
	q := &c.pulls.list[i]
	err := c.refusesReceive(q)
	for err == nil && !q.paused && len(q.waiting) > 0 {
		req := q.waiting[0]
		c.handOut(i, req)
		if q = &c.pulls.list[i]; req.taken == 0 {
			break
		}
		q.waiting[0], q.waiting = nil, q.waiting[1:]
	}
	if len(q.waiting) > 0 && c.undurable >= pullUndurableMax { // it was that which stopped them
		c.wantServe(i)
		return
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(req *pullReceive) bool {
		if err == nil && (req.stays || q.reading > 0 && !req.gone) {
			return false
		}
		c.endReceive(req, err)
		return true
	})
}

// refusesReceive says why nobody who waits at a queue gets anything.
func (c *core) refusesReceive(q *pullQueue) error {
	switch {
	case q.gone:
		return ErrNotFound
	case q.parallel > 0:
		return ErrPushQueue
	case c.scarce(): // a lease could not be made durable
		return ErrDiskFull
	}
	return nil
}

// receiveBytesMax is how many bytes of records one answer holds at most, but for the last
// message: it is all in memory at once.
const receiveBytesMax = 16 << 20

// pullUndurableMax is how far pull queues may use L5's bound, in which attempts find no
// room but what they leave: a backlog that is handed out, buried or too old fills it anew
// with each group of the log.
const pullUndurableMax = undurableMax / 2

// handOut begins leases for a consumer. Lanes take turns: those of groups have one message
// each, so that what has no group does not wait for all of them.
func (c *core) handOut(i uint32, req *pullReceive) {
	more := func() bool {
		return req.taken < len(req.leases) && req.bytes < receiveBytesMax && c.undurable < pullUndurableMax
	}
	q := &c.pulls.list[i]
	for n := q.turn.len(); n > 0 && more(); n-- {
		li, went := q.turn.pop(), false
		c.lanes[li].inTurn = false
		for k := 0; k < quantum && more(); k++ {
			e := c.nextToHand(li)
			if e == none {
				break
			}
			if went = true; !c.overdue(e) { // else what stands behind it may be for the consumer
				c.lease(e, req)
			}
		}
		c.giveTurn(li)
		c.dropLane(li)
		if q = &c.pulls.list[i]; went {
			n = q.turn.len() + 1
		}
	}
}

// nextToHand returns the first ready message of a lane of which nothing is on its way to
// the log. One that is not due any more, since the clock was set back, waits again (T3).
func (c *core) nextToHand(li uint32) uint32 {
	for i := c.lanes[li].ready.head; i != none; {
		e, next := &c.entries[i], c.entries[i].next
		switch {
		case e.due > c.now:
			c.withdraw(i)
			c.schedule(i)
		case e.flags&flagMoving == 0:
			return i
		}
		i = next
	}
	return none
}

// lease begins a consumer's lease of a message.
func (c *core) lease(i uint32, req *pullReceive) {
	e := &c.entries[i]
	p := c.pulls.parts[e.seq]
	if p.First == 0 {
		p.First = c.now
	}
	p.Leased, p.Lease = c.now, req.leases[req.taken]
	req.taken++
	req.ahead++
	req.bytes += int(e.length)
	c.pulls.handing[e.seq] = req
	c.stepPull(i, record.PullStep{Op: record.PullReceive, Next: p}, pullOutcome{
		next: c.now + req.visibility, attempt: min(e.tries, math.MaxUint16-1) + 1,
	})
	if plant.Bug("lease-before-it-is-durable") {
		c.pulls.parts[c.entries[i].seq] = p
		c.handedOut(i, c.entries[i].seq)
	}
}

// handedOut notes that a lease is durable, and answers the consumer with the last one.
func (c *core) handedOut(i uint32, seq uint64) {
	req := c.pulls.handing[seq]
	if req == nil {
		return
	}
	delete(c.pulls.handing, seq)
	if e := &c.entries[i]; e.flags&flagCanceling == 0 && e.state != stEnded && !c.doomed(i) {
		req.got = append(req.got, c.row(e))
	}
	if req.ahead--; req.ahead == 0 {
		c.endReceive(req, nil)
	}
}
