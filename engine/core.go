package engine

import (
	"math"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/timerwheel"
)

// core is the engine's single-threaded step function: events in, commands out.
// It starts no goroutine, reads no clock, draws no chance and lets no map order
// show, so one seed replays one history. The runtime (loop.go) and the
// simulator (sim_test.go) drive the same core.
//
// # What it holds
//
// An entry for each resident message: one whose turn is near, and one whose end
// is logged but not yet visible in the index. Every other pending message is a
// row of the index only. The invariant that ties both, by lane (L3):
//
//	every pending message of a lane whose (due, seq) lies before the
//	lane's frontier has an entry.
//
// The converse need not hold: a message beyond the frontier may have an entry
// too, and a page that brings its row again is told so by bySeq. A frontier
// moves back when a message is left to the index and forward when a page was
// read, never because the index looked empty: what is committed while a page is
// under way is remembered in lane.after.
//
// # Staying true to a lagging index
//
// A page may show a row that has ended since. So the entry of an ended message
// stays until the applier has passed its outcome and until every page read that
// began before that has come back (retire.go).
type core struct {
	opts *Options
	now  int64 // unix ms, as the wall clock reads

	wheel *timerwheel.Wheel // values: timerEntry, timerLane or timerSchedule with an index
	due   []uint64          // scratch for the wheel's answers

	entries   []entry
	freeEntry uint32
	bySeq     map[uint64]uint32
	resident  int // entries that are not retiring
	readied   int // messages that came up for their turn, ever

	lanes        []lane
	spilledLanes int // of them
	freeLane     []uint32
	byLane       map[uint64]uint32
	turn         ring    // lanes with ready messages, in deficit round robin order
	line         [2]ring // lanes that want a page: those that hold nothing, which go first, and the others

	hosts             []host
	freeHost          []uint32
	failing, halfOpen int    // hosts with failures in a row: fewer than failuresToHalfOpen, and more
	waiting           [2]int // lanes and entries of queues that are parked, by waitsAtHost and waitsAtKey
	kept              ring   // hosts remembered because they are half-open
	byHost            map[uint64]uint32

	parallelism     int // attempts in flight (Limits)
	hostParallelism int // of them to one host

	inflight       int
	wary           int // of them, those at hosts that are not quick
	pace           pace
	waits          waits
	undurable      int    // outcomes appended and not yet durable (L5)
	undurableBytes int    // their size
	committed      uint64 // LSN up to which groups were seen
	seen           uint64 // LSN of the newest record seen
	squeezed       int    // where squeeze goes on looking
	applied        uint64 // LSN the applier has passed

	boundsAsked uint64 // the applier wants bounds as of there, or 0

	pagesAsked, pagesDone uint64
	retiring              retireQueue

	cancels  map[uint64][]*cancelRequest // waiting for the outcome of their seq
	rowReads map[uint64]int              // rows being read for a cancel or a move, by seq: no entry of theirs is freed
	moves    map[uint64]*moveRequest     // asked for and not done, by seq

	schedules schedules
	queues    queues
	flows     flows
	pulls     pulls

	freedHosts, freedFlows ring // that gave permits back, and may have lanes that wait for one
	crowdedHosts           ring // that wait for a permit that other hosts have

	held      map[uint64]*attemptResult // by seq: ends of attempts that wait for room, since they owe callbacks (full.go)
	heldBytes int

	full     bool                 // the log can make no segment: full.go
	stuck    bool                 // and has no room left: nothing starts
	unlogged map[uint64]loggedRow // by seq: entries with flagUnlogged
	owed     []uint64             // of them, to be logged now that there is room

	tally coreTally // what it counts for operators

	poisoned bool // the log failed: nothing starts, nothing is appended (W8)
	draining bool // shutting down: nothing starts

	out commands
}

// Bounds of one lane's share of memory and of one page (L2, L3). A lane that is
// not spilled holds up to laneResidentMax messages; a spilled one pages when it
// holds fewer than laneLowWater.
const (
	laneResidentMax = 4096
	laneLowWater    = 2048
	pageMax         = 1024
	pagesInFlight   = 4

	// horizon is how far ahead of its due time a message may become resident, ms.
	horizon = 60_000

	// undurableMax is L5's bound, undurableBytesMax what its outcomes may hold.
	undurableMax      = 4096
	undurableBytesMax = 64 << 20
)

func newCore(o *Options, now int64) *core {
	c := &core{
		opts: o, now: now, wheel: timerwheel.New(now), freeEntry: none,
		bySeq: map[uint64]uint32{}, byLane: map[uint64]uint32{}, byHost: map[uint64]uint32{},
		cancels: map[uint64][]*cancelRequest{}, rowReads: map[uint64]int{}, moves: map[uint64]*moveRequest{},
		unlogged:  map[uint64]loggedRow{},
		waits:     waits{least: math.MaxInt64, before: math.MaxInt64},
		schedules: schedules{byKey: map[scheduleKey]uint32{}, waiting: map[uint32][]*scheduleRequest{}},
		queues:    queues{byID: map[uint64]uint32{}, turns: map[uint64]turn{}},
		flows:     flows{byID: map[uint64]uint32{}},
		held:      map[uint64]*attemptResult{},
		pulls:     newPulls(),
	}
	l := o.Limits()
	c.setLimits(&l)
	return c
}

// none marks the end of a list of indexes.
const none = ^uint32(0)

// The wheel's values: what kind of thing is due, and its index.
const (
	timerEntry    uint64 = 0
	timerLane     uint64 = 1 << 32
	timerSchedule uint64 = 1 << 33
	timerFlow     uint64 = 1 << 34
	timerHost     uint64 = 1 << 35
)

// commands are what a step asks its driver to do, in order. The driver empties
// them before the next step.
type commands struct {
	appends []appendCommand
	starts  []startCommand
	pages   []pageCommand
	rows    []*cancelRequest
	answers []answer

	moves    []moveCommand
	moveRows []*moveRequest // look up their rows
	moved    []*moveRequest // done

	schedules []scheduleCommand
	scheduled []scheduleDone

	flows    []*record.Flow // to be logged
	flowed   []flowDone
	received []pullDone     // consumers to be answered
	pulled   []pullAnswer   // requests of consumers, so, too
	pullRows []*pullRequest // look up their rows
	urgent   bool           // somebody waits for what is to be logged

	notices []Notice // for people

	queries []func(*core) // to be answered, now that the step is over

	bounds     []index.Lane // nil: none were asked for
	boundsAsOf uint64
}

func (c *commands) reset() {
	clear(c.appends)
	clear(c.starts)
	clear(c.rows)
	clear(c.answers)
	clear(c.moves)
	clear(c.moveRows)
	clear(c.moved)
	clear(c.schedules)
	clear(c.scheduled)
	clear(c.flows)
	clear(c.flowed)
	clear(c.queries)
	clear(c.notices)
	c.notices = c.notices[:0]
	clear(c.received)
	clear(c.pulled)
	clear(c.pullRows)
	c.received, c.pulled, c.pullRows, c.urgent = c.received[:0], c.pulled[:0], c.pullRows[:0], false
	c.flows, c.flowed, c.queries = c.flows[:0], c.flowed[:0], c.queries[:0]
	c.bounds = nil
	c.schedules, c.scheduled = c.schedules[:0], c.scheduled[:0]
	c.appends, c.starts, c.pages, c.rows, c.answers = c.appends[:0], c.starts[:0], c.pages[:0], c.rows[:0], c.answers[:0]
	c.moves, c.moveRows, c.moved = c.moves[:0], c.moveRows[:0], c.moved[:0]
}

// appendCommand asks for an outcome to be logged with the next group. From then on nobody
// looks at from, which it is of, if that is not nil.
type appendCommand struct {
	outcome *record.Outcome
	from    *attemptResult
}

// startCommand asks for one attempt. slot comes back with the result.
type startCommand struct {
	slot    uint32
	row     record.Row // as the index has it
	due     int64      // no sooner by the wall clock, unix ms (T3); row's may be of an attempt before (full.go)
	attempt int        // from 1
	waited  int64      // ms since due, but for heldUp
	heldUp  int64      // ms that it waited for its flow-control key

	into *attemptResult // memory for the result, or nil
}

// pageCommand asks for a slice of a lane's rows, from an index that has applied
// everything before after.
type pageCommand struct {
	slot   uint32
	lane   uint64
	from   index.Cursor
	maxDue int64
	limit  int
	after  uint64
}

// answer completes a request.
type answer struct {
	req *cancelRequest
	err error
}

// cancelRequest is one DELETE of a message. done is called exactly once.
type cancelRequest struct {
	user  UserID
	seq   uint64
	nonce uint64
	after uint64 // the index must have applied up to here before its row is read
	done  func(error)
}

func (c *core) answer(req *cancelRequest, err error) {
	c.out.answers = append(c.out.answers, answer{req, err})
}

// setNow takes the wall clock's reading. A step backwards rebuilds the wheel,
// which only turns forwards (T3).
func (c *core) setNow(now int64) {
	c.now = now
	if now >= c.wheel.Now() {
		return
	}
	c.wheel = timerwheel.New(now)
	for i := range c.entries {
		if c.entries[i].state == stTimer {
			c.entries[i].timer = c.wheel.Add(c.entries[i].due, timerEntry|uint64(i))
		}
	}
	for i := range c.lanes {
		if l := &c.lanes[i]; l.used && l.timer != 0 {
			l.timer = 0
			c.wantPage(uint32(i))
		}
	}
	c.rearmSchedules()
	c.rearmFlows()
	c.rearmHosts()
}

// advanceMax bounds the timers that one step handles, so that a herd never
// holds up what else is waiting.
const advanceMax = 4096

// tick expires timers. It reports whether more are due at once.
func (c *core) tick() (more bool) {
	c.due, more = c.wheel.AdvanceLimit(c.now, advanceMax, c.due[:0])
	for _, v := range c.due {
		i := uint32(v)
		if v&timerLane != 0 {
			c.laneDue(i)
			continue
		}
		if v&timerSchedule != 0 {
			c.scheduleDue(i)
			continue
		}
		if v&timerFlow != 0 {
			c.flowDue(i)
			continue
		}
		if v&timerHost != 0 {
			c.probeDue(i)
			continue
		}
		c.entries[i].timer = 0
		c.withdraw(i)
		c.makeReady(i)
	}
	return more
}

// nextTimer returns when the wheel wants to be advanced, unix ms.
func (c *core) nextTimer() (int64, bool) { return c.wheel.Next() }

// pump starts what may start and asks for the pages that lanes want. It runs at
// the end of each step.
func (c *core) pump() {
	if c.poisoned || c.draining {
		return
	}
	c.repay()
	c.age()
	c.discardMore()
	c.servePulls()
	for c.startReady(); c.wakeParked(); {
		c.startReady()
	}
	c.fireDue()
	c.askPages()
}

// takeSlot returns the index of a free element of a table, which it makes if need be. What
// stands there is of its former owner.
func takeSlot[T any](list *[]T, free *[]uint32) uint32 {
	if n := len(*free); n > 0 {
		i := (*free)[n-1]
		*free = (*free)[:n-1]
		return i
	}
	var fresh T
	*list = append(*list, fresh)
	return uint32(len(*list) - 1)
}

// ring is a FIFO of indexes. It reuses its memory.
type ring struct {
	buf  []uint32
	head int
}

func (r *ring) len() int { return len(r.buf) - r.head }

func (r *ring) push(v uint32) {
	if r.head > 64 && r.head > len(r.buf)/2 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.head:])]
		r.head = 0
	}
	r.buf = append(r.buf, v)
}

func (r *ring) pop() uint32 {
	v := r.buf[r.head]
	r.head++
	if r.head == len(r.buf) {
		r.buf, r.head = r.buf[:0], 0
	}
	return v
}
