package engine

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/index"
	"github.com/tidemill/tidemill/engine/record"
	"github.com/tidemill/tidemill/timerwheel"
	"github.com/tidemill/tidemill/wal"
)

// Gauges is what the core holds at one moment. To take it costs the loop some
// microseconds whatever the backlog, and as long as it takes to look at the queues, which
// QueuesMax bounds: 1.5 ms for all 100,000 (BenchmarkGauges).
type Gauges struct {
	Resident, ResidentMax int // messages in memory
	Retiring              int // entries of others, which wait for the index
	Lanes, SpilledLanes   int
	PagesInFlight         int
	Wheel                 timerwheel.Stats

	InFlight, InFlightMax              int // attempts
	InFlightSlow                       int // of them, at hosts that are not quick
	Young, YoungMax                    int // attempts that began a moment ago, and how many there may be (pace)
	Undurable, UndurableBytes          int // outcomes
	Held                               int // ends of attempts that wait for room on the disk
	Hosts, HostsFailing, HostsHalfOpen int
	WaitingAtHosts, WaitingAtKeys      int // lanes, and messages of queues, that wait for a permit
	FlowKeys, FlowMessages             int
	Schedules                          int

	CoreLag int // bytes of groups that the core has not seen

	Queues     []QueueGauge // the largest, at most as many as were asked for
	QueuesRest QueueGauge   // the sum of the others
	QueueCount int
}

// QueueGauge is a queue (QSTASH.md §8.4), or several.
type QueueGauge struct {
	User     UserID
	Name     string
	Messages int // that have not ended, callbacks of theirs included
	Slots    int // taken, by messages whose turn has begun
	Paused   bool

	id uint64
}

// Horizon is how far ahead of its due time a message may be in memory.
const Horizon = horizon * time.Millisecond

// Gauges asks the core what it holds, and names the largest queues. It waits until the loop
// comes to it or ctx ends.
func (e *Engine) Gauges(ctx context.Context, queues int) (*Gauges, error) {
	got := make(chan *Gauges, 1)
	e.inbox.push(event{kind: evQuery, query: func(c *core) { got <- c.gauges(queues) }})
	select {
	case g := <-got:
		g.CoreLag = int(e.coreLag.Load())
		e.nameQueues(g)
		return g, nil
	case <-e.stop:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *core) gauges(queues int) *Gauges {
	g := &Gauges{
		Resident: c.resident, ResidentMax: c.opts.Resident, Retiring: len(c.bySeq) - c.resident,
		Lanes: len(c.byLane), SpilledLanes: c.spilledLanes, PagesInFlight: int(c.pagesAsked - c.pagesDone), Wheel: c.wheel.Stats(),
		InFlight: c.inflight, InFlightMax: c.parallelism, InFlightSlow: c.wary, Young: c.pace.young, YoungMax: c.pace.limit,
		Undurable: c.undurable, UndurableBytes: c.undurableBytes, Held: len(c.held),
		Hosts: len(c.byHost), HostsFailing: c.failing, HostsHalfOpen: c.halfOpen,
		WaitingAtHosts: c.waiting[waitsAtHost], WaitingAtKeys: c.waiting[waitsAtKey],
		FlowKeys: len(c.flows.byID), FlowMessages: c.flows.pending, Schedules: len(c.schedules.byKey),
	}
	top := largest[uint32]{most: queues}
	for i := range c.queues.list {
		q := &c.queues.list[i]
		if q.id == 0 || q.gone || c.pulls.has(q.id) {
			continue
		}
		g.QueueCount++
		if out, full := top.add(q.pending, uint32(i)); full {
			g.QueuesRest.Messages += c.queues.list[out].pending
			g.QueuesRest.Slots += c.queues.list[out].open
		}
	}
	for _, i := range top.sorted() {
		q := &c.queues.list[i]
		g.Queues = append(g.Queues, QueueGauge{id: q.id, Messages: q.pending, Slots: q.open, Paused: q.paused})
	}
	return g
}

// has says whether an id is a pull queue's: the core keeps the groups of one as a queue.
func (p *pulls) has(id uint64) bool {
	_, ok := p.byID[id]
	return ok
}

// nameQueues finds out what the core's queues are called. One that was deleted in this
// very moment counts with the rest.
func (e *Engine) nameQueues(g *Gauges) {
	named := g.Queues[:0]
	for _, q := range g.Queues {
		d := e.queues.get(q.id)
		if d == nil {
			g.QueuesRest.Messages += q.Messages
			g.QueuesRest.Slots += q.Slots
			continue
		}
		q.User, q.Name = UserID(d.User), d.Name
		named = append(named, q)
	}
	g.Queues = named
}

// largest keeps the largest of what is added to it.
type largest[T any] struct {
	most  int
	items []sized[T] // a heap: the least is the first
}

type sized[T any] struct {
	size int
	v    T
}

// add takes v and returns, when there are too many, what is no longer among the largest.
func (l *largest[T]) add(size int, v T) (out T, full bool) {
	if len(l.items) < l.most {
		heap.Push(l, sized[T]{size, v})
		return out, false
	}
	if l.most == 0 || size <= l.items[0].size {
		return v, true
	}
	out, l.items[0] = l.items[0].v, sized[T]{size, v}
	heap.Fix(l, 0)
	return out, true
}

// sorted returns the largest, the least of them first.
func (l *largest[T]) sorted() []T {
	slices.SortFunc(l.items, func(a, b sized[T]) int { return cmp.Compare(a.size, b.size) })
	out := make([]T, len(l.items))
	for i := range out {
		out[i] = l.items[i].v
	}
	return out
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (l *largest[T]) Len() int           { return len(l.items) }
func (l *largest[T]) Less(i, j int) bool { return l.items[i].size < l.items[j].size }
func (l *largest[T]) Swap(i, j int)      { l.items[i], l.items[j] = l.items[j], l.items[i] }
func (l *largest[T]) Push(v any)         { l.items = append(l.items, v.(sized[T])) }
func (l *largest[T]) Pop() any           { panic("engine: BUG: nothing is taken out of largest") }

// PullGauges are pull queues: those with most messages, and what the others have together.
type PullGauges struct {
	Queues []PullGauge
	Rest   PullGauge
	Count  int // of the queues
}

// PullGauge is one pull queue in the numbers of QUEUES.md B.7, or several.
type PullGauge struct {
	User                       UserID
	Name                       string
	Paused                     bool
	Pending, InFlight, Delayed int
	Looked                     bool      // these are of now, and Oldest is known
	Oldest                     time.Time // when the oldest message was published, zero if there is none
	PullCounters

	id uint64
}

// pullExactMax bounds the messages that PullGauges looks at, over all queues.
const pullExactMax = 50_000

// PullGauges returns the pull queues as the index has them now: it waits for nobody. Which
// messages fell due since something last happened in their queue is looked up, largest
// queues last, as long as that is less than pullExactMax of them in all; beyond, and for
// the rest, they count as they did then.
func (e *Engine) PullGauges(most int) (g PullGauges, err error) {
	top := largest[PullGauge]{most: most}
	err = e.idx.PullQueues(func(q *index.PullQueue) error {
		if q.Flags&record.PullGone != 0 || q.Pos == 0 {
			return nil
		}
		g.Count++
		if out, full := top.add(int(q.Count), pullGauge(q)); full {
			g.Rest.Pending += out.Pending
			g.Rest.InFlight += out.InFlight
			g.Rest.Delayed += out.Delayed
		}
		return nil
	})
	if err != nil {
		return g, indexError(err)
	}
	g.Queues = top.sorted()
	budget := pullExactMax
	for i := range g.Queues {
		q := &g.Queues[i]
		if budget -= q.InFlight + q.Delayed; budget < 0 {
			break
		}
		if err := e.lookAtPull(q); err != nil {
			return g, err
		}
	}
	return g, nil
}

// pullGauge is a queue as of when something last happened in it.
func pullGauge(q *index.PullQueue) PullGauge {
	c := &q.Counters
	return PullGauge{
		User: UserID(q.User), Name: q.Name, Paused: q.Flags&record.PullPaused != 0, id: q.ID,
		Pending: int(q.Visible), InFlight: int(q.Leased), Delayed: int(q.Count - min(q.Count, q.Visible+q.Leased)),
		PullCounters: PullCounters{
			Published: c.Published, Delivered: c.Delivered, Retried: c.Retried, DeadLettered: c.Dead, Deferred: c.Deferred, Expired: c.Expired,
		},
	}
}

func (e *Engine) lookAtPull(q *PullGauge) error {
	s, ok, err := e.idx.PullState(q.id, e.wallMillis())
	if err != nil || !ok {
		return indexError(err)
	}
	q.Looked, q.Pending, q.InFlight, q.Delayed = true, int(s.Pending), int(s.InFlight), int(s.Delayed)
	if s.Oldest != 0 {
		q.Oldest = millisTime(s.Oldest)
	}
	return nil
}

// DiskGauges is the engine's disk now, beside what Stats has.
type DiskGauges struct {
	FreeBytes, FloorBytes int64 // of the file system; 0 if it does not tell. FloorBytes is data.min-free
	Full                  bool  // publishes are refused for want of room
	Stalled               bool  // so, since the disk does not answer

	ApplierLag    int64 // bytes of groups that are committed and not applied
	CheckpointLag int64 // bytes of log that a start would replay

	Pending     int64 // messages
	DeadLetters int64
	DeadKnown   bool // DeadLetters is: it is counted after each start

	Index         index.Metrics
	HistoryBytes  int64
	HistoryOldest time.Time // zero: there is none
}

// DiskGauges reads some tables of the index and waits for nobody.
func (e *Engine) DiskGauges() (d DiskGauges, err error) {
	d = DiskGauges{
		FreeBytes: e.space.free.Load(), FloorBytes: e.space.floor.Load(), Full: e.space.low.Load(), Stalled: e.log.Stalled(),
		ApplierLag: e.applier.lag.Load(), CheckpointLag: max(e.unflushed(), 0), Pending: e.applier.a.PendingMessages(),
	}
	d.DeadLetters, d.DeadKnown = e.applier.a.DeadLetters()
	if d.Index, err = e.idx.Metrics(); err != nil {
		return d, indexError(err)
	}
	bytes, oldest, err := e.idx.HistoryExtent()
	if d.HistoryBytes = bytes; oldest > 0 {
		d.HistoryOldest = time.Unix(oldest, 0)
	}
	return d, indexError(err)
}

// LogHistograms are those of the log.
func (e *Engine) LogHistograms() wal.Histograms { return e.log.Histograms() }
