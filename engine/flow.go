package engine

import (
	"math"

	"github.com/tidemill/tidemill/engine/plant"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/timerwheel"
)

// flow is a flow-control key (QSTASH.md §8.7, L6): attempts of its messages, whatever
// their hosts, draw their permits from it. Its rule is the newest message's, but for what
// was pinned.
//
// # Windows
//
// Attempts are counted when they begin. A window begins with the first attempt after the
// end of the one before, and holds no more than rule.Rate; in the sliding mode no stretch
// of one period does (slide.go).
//
// What a crash forgets must not be drawn again. Of a window of at most shortWindow nothing
// is logged: after a restart it counts as used up until it is certainly over. Of longer
// ones permits are drawn from blocks that were logged before (record.Flow): what is left
// of a block is lost in a crash, and nothing is drawn twice.
type flow struct {
	id      uint64
	user    uint32
	key     string
	rule    record.FlowRule
	flags   uint16 // record.FlowPaused and so on
	pos     uint64 // where its newest record stands, 0: nowhere
	length  uint32
	pending int // messages that have not ended
	entries int // that refer to it
	lanes   int // that refer to it

	inflight int
	pardoned int // attempts that a reset does not count any more

	window  int64 // unix ms: when it began, 0: none is open
	used    int   // attempts that began in it
	slide   slide // instead, in the sliding mode
	granted int   // permits of a long window that are logged and not used
	grantAt int64 // unix ms: when those of the sliding mode were, which a period later are void

	timer  timerwheel.Handle
	parked parked
	freed  bool // in core.freedFlows

	busy    bool         // a record of it is appended and not committed
	req     *flowRequest // that asked for it, nil: a block of permits
	block   int          // permits in it
	waiting []*flowRequest
}

// shortWindow is the longest window of which nothing is logged, ms (L6).
const shortWindow = 10_000

// blocksPerWindow is into how many blocks the permits of a long window are divided.
const blocksPerWindow = 64

// flows is the core's table of them.
type flows struct {
	list []flow
	free []uint32
	byID map[uint64]uint32

	pending int // messages of all keys that have not ended

	began int64 // unix ms: windows may have been used before it that nobody remembers; 0: none
}

func (f *flow) long() bool { return f.rule.Period > shortWindow }

// flowOf returns the index of a key, without limits if it is not known.
func (c *core) flowOf(id uint64) uint32 {
	t := &c.flows
	if i, ok := t.byID[id]; ok {
		return i
	}
	i := takeSlot(&t.list, &t.free)
	t.list[i] = flow{id: id, parked: nobodyAtKey}
	t.byID[id] = i
	return i
}

// dropFlow forgets a key of which nothing is left: its timer sees to it when a window is
// all there is.
func (c *core) dropFlow(i uint32) {
	f := &c.flows.list[i]
	if f.pending > 0 || f.entries > 0 || f.lanes > 0 || f.inflight > 0 || f.flags != 0 || f.busy || f.freed || !c.isFlow(i) {
		return
	}
	if at := f.over(); at > c.now {
		c.armFlow(i, at)
		return
	}
	c.disarmFlow(f)
	delete(c.flows.byID, f.id)
	*f = flow{parked: nobodyAtKey}
	c.flows.free = append(c.flows.free, i)
}

// isFlow says whether a slot is in use.
func (c *core) isFlow(i uint32) bool {
	j, ok := c.flows.byID[c.flows.list[i].id]
	return ok && i == j
}

// over returns when nothing that has begun counts any more, unix ms.
func (f *flow) over() int64 {
	period := int64(f.rule.Period)
	if at, ok := f.slide.newest(); ok {
		return at + period
	}
	if f.window == 0 {
		return 0
	}
	return f.window + period
}

// flowRoom returns how many attempts of a key may begin now. If it is the end of a window
// that is waited for, the wheel says when; if it is a block of permits, it is asked for.
func (c *core) flowRoom(i uint32) int {
	f := &c.flows.list[i]
	if f.flags&record.FlowPaused != 0 {
		return 0
	}
	room := math.MaxInt
	if f.rule.Parallelism > 0 {
		room = max(0, int(f.rule.Parallelism)-f.inflight)
	}
	if f.rule.Rate == 0 || room == 0 {
		return room
	}
	left, again := c.rateLeft(f)
	if left == 0 {
		c.armFlow(i, again)
		return 0
	}
	if f.long() {
		c.askBlock(i, left)
		left = min(left, f.granted)
	}
	return min(room, left)
}

// rateLeft returns how many attempts the rate allows now and, if it allows none, when to
// look again, unix ms.
func (c *core) rateLeft(f *flow) (left int, again int64) {
	period := int64(f.rule.Period)
	if t := &c.flows; t.began != 0 && !f.long() && !plant.Bug("short-window-begins-anew") {
		t.began = min(t.began, c.now) // the clock may have been set back
		if until := t.began + period; c.now < until {
			return 0, until
		}
	}
	if f.rule.Sliding {
		if f.grantAt = min(f.grantAt, c.now); c.now >= f.grantAt+period {
			f.granted = 0
		}
		used := f.slide.used(c.now, period)
		return max(0, int(f.rule.Rate)-used), f.slide.next(period)
	}
	f.window = min(f.window, c.now)
	if f.window != 0 && c.now >= f.window+period {
		f.window, f.used, f.granted = 0, 0, 0
	}
	return max(0, int(f.rule.Rate)-f.used), f.window + period
}

// drawFlow takes the permit of an attempt that begins.
func (c *core) drawFlow(i uint32) {
	f := &c.flows.list[i]
	f.inflight++
	if f.rule.Rate == 0 {
		return
	}
	if f.window == 0 {
		f.window = c.now
	}
	f.used++
	if f.rule.Sliding {
		f.slide.add(c.now, int64(f.rule.Period))
	}
	if f.long() {
		f.granted--
	}
}

// yieldFlow notes the end of an attempt.
func (c *core) yieldFlow(i uint32) {
	if i == none {
		return
	}
	f := &c.flows.list[i]
	if f.pardoned > 0 && !plant.Bug("pardoned-is-freed-twice") {
		f.pardoned--
	} else {
		f.inflight--
	}
	c.freeFlows(i)
}

func (c *core) armFlow(i uint32, at int64) {
	f := &c.flows.list[i]
	c.disarmFlow(f)
	f.timer = c.wheel.Add(max(at, c.now+1), timerFlow|uint64(i))
}

func (c *core) disarmFlow(f *flow) {
	if f.timer != 0 {
		c.wheel.Cancel(f.timer)
		f.timer = 0
	}
}

// flowDue takes a key's timer: the window that was waited for is over.
func (c *core) flowDue(i uint32) {
	c.flows.list[i].timer = 0
	c.freeFlows(i)
	c.dropFlow(i)
}

// rearmFlows puts all timers into a new wheel. The clock was set back, so they may have
// to come sooner: each looks by itself.
func (c *core) rearmFlows() {
	for i := range c.flows.list {
		if f := &c.flows.list[i]; f.timer != 0 {
			f.timer = 0
			c.armFlow(uint32(i), c.now+1)
		}
	}
}
