package index

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
)

// A batch is full with batchMemory of rows, less where Pebble's memtables are small, which
// would take a batch of half their size as a table of its own; or with batchLogMax of log.
// A read that waits for a full one waits for some 10 ms.
const (
	batchMemory   = 4 << 20
	batchMemtable = 8 // a memtable holds as many batches
	batchLogMax   = 64 << 20
)

// Applier turns committed groups into batches. It has one owner: live traffic
// and recovery go through the same Record, in log order.
type Applier struct {
	x     *Index
	batch *pebble.Batch
	bytes int // log bytes in the open batch
	pos   Position

	runs runs // what is to be in batch besides
	rows rows

	// first is where the log began when an empty index was opened, until the log was
	// replayed: the records of what was published below it are found in moves
	// (move.go). Else it is 0.
	first uint64
	live  liveCounts

	deads map[DeadKey]deadChange // dead letters that the batch changed
	dead  deadCount

	lanes map[uint64]*lane // lanes with pending messages, and those this batch emptied
	dirty []uint64         // lanes this batch changed

	queues      map[uint64]*queue // by their ids, as lanes
	dirtyQueues []uint64
	flows       map[uint64]*flow
	dirtyFlows  []uint64
	windows     windows // of the keys that have no more than that
	pulls       pulls
	members     []record.MemberHead // scratch

	history     historian
	accounts    accounts
	pendingSeen atomic.Int64 // messages of all accounts, the open batch included; for readers
	raiser      raiser

	dedupBucket uint64 // of the last message with an id, but for steps back of one
	key, val    []byte
}

// deadChange is a dead letter as the open batch will leave it.
type deadChange struct {
	row  Dead
	live bool
}

type lane struct {
	Lane
	low    int64 // least order added since raiser.mark, in this life of the lane
	stored bool  // Pebble has a row of it
	dirty  bool
}

// NewApplier returns the index's applier, which continues at the index's
// position. It loads the summaries of lanes, queues and flow-control keys.
func (x *Index) NewApplier() (*Applier, error) {
	a := &Applier{
		x: x, pos: x.start, rows: newRows(), lanes: map[uint64]*lane{}, deads: map[DeadKey]deadChange{},
		queues: map[uint64]*queue{}, flows: map[uint64]*flow{},
		batch: x.newBatch(), raiser: raiser{every: x.opts.RaiseEvery},
	}
	err := x.Lanes(func(l Lane) error {
		a.lanes[l.ID] = &lane{Lane: l, low: math.MaxInt64, stored: true}
		return nil
	})
	if err == nil {
		err = errors.Join(a.loadQueues(), a.loadFlows(), a.loadPulls(), a.loadLive())
	}
	if err != nil {
		return nil, fmt.Errorf("load summaries and live bytes: %w", err)
	}
	if err := a.history.load(x.db); err != nil {
		return nil, fmt.Errorf("load time rows: %w", err)
	}
	if err := a.loadAccounts(); err != nil {
		return nil, fmt.Errorf("load statistics: %w", err)
	}
	return a, nil
}

// PendingMessages returns how many messages are pending, of all accounts. It may be called
// by anyone.
func (a *Applier) PendingMessages() int64 { return a.pendingSeen.Load() }

// Full says that the batch should end: that it takes as much memory as it may, or that
// applying it again would take long.
func (a *Applier) Full() bool { return a.bytes >= batchLogMax || a.size() >= a.x.batchMax }

// size returns about how much memory the open batch takes, bytes.
func (a *Applier) size() int {
	n := a.batch.Len() + len(a.history.buf) + len(a.history.ends)*historyEndSize + a.rows.size()
	for i := range a.runs {
		n += a.runs[i].size()
	}
	return n
}

// Open says whether there is something that no Flush has made visible.
func (a *Applier) Open() bool {
	return a.bytes > 0 || a.pos.LSN != a.x.applied.Load() || len(a.dirty)+len(a.dirtyQueues)+len(a.dirtyFlows)+len(a.pulls.dirty) > 0 || a.batch.Count() > 0
}

// Record applies one record. The payload is not kept. An error means damage or a
// newer writer: the index cannot go on.
func (a *Applier) Record(lsn uint64, p []byte) error {
	t, err := record.TypeOf(p)
	if err != nil {
		return fmt.Errorf("apply record at %d: %w", lsn, err)
	}
	a.bytes += len(p)
	switch t {
	case record.TypeMessage:
		err = a.message(lsn, p)
	case record.TypeFanout:
		err = a.fanout(lsn, p)
	case record.TypeOutcome:
		err = a.outcome(lsn, p)
	case record.TypeDropDead:
		err = a.dropDead(p)
	case record.TypeUser:
		err = a.user(p)
	case record.TypeToken:
		err = a.token(lsn, p)
	case record.TypeDropToken:
		err = a.dropToken(p)
	case record.TypeDropUser:
		err = a.dropUser(lsn, p)
	case record.TypeMove:
		err = a.move(lsn, p)
	case record.TypeSchedule:
		err = a.schedule(lsn, p)
	case record.TypeDropSchedule:
		err = a.dropSchedule(p)
	case record.TypeTick:
		err = a.tick(lsn, p)
	case record.TypeQueue:
		err = a.queue(lsn, p)
	case record.TypeFlow:
		err = a.flow(lsn, p)
	case record.TypePullQueue:
		err = a.pullQueue(lsn, p)
	case record.TypeGroup:
		err = a.group(lsn, p)
	case record.TypeDropGroup:
		err = a.dropGroup(p)
	case record.TypeJob:
		err = a.job(lsn, p)
	}
	if err != nil {
		return fmt.Errorf("apply record at %d: %w", lsn, err)
	}
	return nil
}

// add notes a row to be written and widens its lane's summary.
func (a *Applier) add(r record.Row, stored bool) *pending {
	p := a.rows.of(r.Seq)
	if p == nil {
		p = a.rows.add(r.Seq)
		p.stored = stored
	}
	p.row, p.live = r, true
	l, order := a.lane(r.Lane), r.Order()
	if l.Count == 0 {
		l.Lane = laneWith(&r)
	}
	l.First, l.low = min(l.First, order), min(l.low, order)
	return p
}

// laneWith returns the summary of a lane whose first row is r, before that is counted.
func laneWith(r *record.Row) Lane {
	l := Lane{ID: r.Lane, First: r.Order(), Queue: r.Queue, Flow: r.Flow}
	if r.Queue != 0 {
		l.Flow = 0
	}
	return l
}

// lane returns a lane's summary, marked for writing.
func (a *Applier) lane(id uint64) *lane {
	l := a.lanes[id]
	if l == nil {
		l = &lane{Lane: Lane{ID: id}, low: math.MaxInt64}
		a.lanes[id] = l
	}
	if !l.dirty {
		l.dirty = true
		a.dirty = append(a.dirty, id)
	}
	return l
}

func (a *Applier) outcome(lsn uint64, p []byte) error {
	var o record.Outcome
	if err := record.DecodeOutcomeHead(p, &o); err != nil {
		return err
	}
	// Callbacks first: the last message of a queue that was deleted keeps it for them.
	if err := a.callbacks(lsn, p); err != nil {
		return err
	}
	var err error
	if !a.readable(o.Pos) || plant.Bug("end-of-a-moved-is-skipped") && !a.readable(o.Seq) {
		err = a.outcomeBelow(lsn, p, &o)
	} else {
		err = a.outcomeOf(lsn, p, &o)
	}
	a.countOutcome(&o)
	return err
}

// outcomeOf applies what an outcome says of its own message.
func (a *Applier) outcomeOf(lsn uint64, p []byte, o *record.Outcome) error {
	prev := a.rows.of(o.Seq)
	if tells(o) {
		if err := a.ended(prev, o, lsn, p); err != nil {
			return err
		}
	}
	if prev == nil {
		a.raiser.consumed++
		a.deleteRow(&o.Row, o.Step.Op != 0)
	}
	if !o.Kind.Final() {
		next := o.NextRow()
		if plant.Bug("row-forgets-its-tries") {
			next.Tries = 0
		}
		if o.Step.Op == record.PullReceive && plant.Bug("row-forgets-its-lease") {
			next.Due = o.At
		}
		a.add(next, true)
		if o.Step.Op != 0 {
			a.stepPull(o)
		}
		return nil
	}
	if o.Step.Op != 0 {
		a.stepPull(o)
	}
	a.remove(prev, o.Seq)
	a.part(&o.Row)
	if o.Kind != record.Dead {
		a.lose(o.Pos, o.Len)
		return nil
	}
	return a.newDead(lsn, p, o)
}

// outcomeBelow applies an outcome of a message that the log no longer held when the
// index was opened empty (move.go).
func (a *Applier) outcomeBelow(lsn uint64, p []byte, o *record.Outcome) error {
	if o.Step.Op != 0 { // in no count of what is pending, but no less true
		a.pullOf(o.Host).count(o)
	}
	if o.Kind != record.Dead {
		return nil
	}
	return a.newDead(lsn, p, o)
}

// remove takes a message's rows away: out of the batch, and out of Pebble if an
// earlier batch wrote them.
func (a *Applier) remove(p *pending, seq uint64) {
	if p != nil {
		p.live = false
		if !p.stored {
			a.elide(p)
			return
		}
		if plant.Bug("row-of-the-ended-stays") {
			return
		}
	}
	a.key = messageKey(a.key, seq)
	a.unset(a.key)
}

func (a *Applier) user(p []byte) error {
	var u record.User
	if err := record.DecodeUser(p, &u); err != nil {
		return err
	}
	a.key = userKey(a.key, u.ID)
	return a.batch.Set(a.key, p, nil)
}

// EndGroup says that all records before pos were applied: a batch ends only at
// such a boundary.
func (a *Applier) EndGroup(pos Position) {
	a.pos = pos
	a.raise()
}

// Flush writes the open batch with the position of the last EndGroup. Reads that
// begin afterwards see it; it is durable when Pebble flushes.
func (a *Applier) Flush() error {
	if !a.Open() && a.batch.Empty() && len(a.live.order) == 0 {
		return nil
	}
	pulls := slices.Clone(a.pulls.dirty)
	if err := a.fill(); err != nil {
		return fmt.Errorf("write to the index: %w", err)
	}
	if err := a.write(); err != nil {
		return fmt.Errorf("write to the index: %w", err)
	}
	if err := a.advancePulls(pulls); err != nil {
		return fmt.Errorf("count in the index: %w", err)
	}
	return nil
}

// write hands the batch to Pebble, and what seconds it closed to readers, and begins another.
func (a *Applier) write() error {
	s := &a.x.seconds
	if len(a.accounts.seconds) > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	if err := a.x.db.Apply(a.batch, pebble.NoSync); err != nil {
		return err
	}
	s.addLocked(a.accounts.seconds)
	a.accounts.seconds = a.accounts.seconds[:0]
	a.batch.Reset()
	a.bytes = 0
	a.holdCompactions()
	a.dead.flushed()
	a.x.applied.Store(a.pos.LSN)
	return nil
}

func (a *Applier) fill() error {
	a.fillRows()
	if err := a.fillRuns(); err != nil {
		return err
	}
	clear(a.deads)
	a.history.buf, a.history.ends = a.history.buf[:0], a.history.ends[:0]
	for _, id := range a.dirty {
		if err := a.setLane(a.lanes[id]); err != nil {
			return err
		}
	}
	a.dirty = a.dirty[:0]
	if err := errors.Join(a.fillQueues(), a.fillFlows(), a.fillPulls(), a.fillAccounts()); err != nil {
		return err
	}
	if err := a.setLive(); err != nil {
		return err
	}
	a.val = appendPosition(a.val[:0], &a.pos)
	return a.batch.Set([]byte{kindApplied}, a.val, nil)
}

func (a *Applier) setLane(l *lane) error {
	l.dirty = false
	a.key = laneKey(a.key, l.ID)
	if l.Count == 0 {
		delete(a.lanes, l.ID)
		if !l.stored {
			return nil // it came and went within the batch (X3)
		}
		return a.batch.Delete(a.key, nil)
	}
	l.stored = true
	a.val = appendLane(a.val[:0], &l.Lane)
	return a.batch.Set(a.key, a.val, nil)
}
