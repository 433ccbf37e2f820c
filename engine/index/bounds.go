package index

import "math"

// A lane's First would be a bound that only ever falls while the lane holds messages:
// the applier sees that a row goes, and not which is the next. So a reader that
// starts there would step over every row that was consumed (X4). The core knows
// better, since it holds the front of each lane in memory: now and then it says
// below which time a lane has nothing, as of some place of the log. The applier can
// raise First to that when it has passed the place, but for what was added since.

// raiseEvery is how many rows may be consumed between two questions: what a page
// steps over at most after a restart, beside what was replayed.
const raiseEvery = 16 << 10

// raiser is the applier's side of it.
type raiser struct {
	every    int
	consumed int    // rows that went since the last Ask
	mark     uint64 // the LSN as of which it asked; each lane's low counts from there
	asked    bool

	bounds []Lane // an answer that is waiting for the applier
	asOf   uint64
}

// Ask says whether it is time to ask for bounds, and from which position on. It is
// called between batches; the answer is Raise.
func (a *Applier) Ask() (lsn uint64, ask bool) {
	r := &a.raiser
	if r.consumed < r.every {
		return 0, false
	}
	r.consumed, r.mark, r.asked, r.bounds = 0, a.pos.LSN, true, nil
	for _, l := range a.lanes {
		l.low = math.MaxInt64
	}
	return r.mark, true
}

// Raise takes the answer to the last Ask: when everything before asOf is applied, no
// pending row of a lane in bounds is due before its First. asOf is a position that
// the log has reached, not before the one that Ask returned. The applier keeps
// bounds until it has passed asOf.
func (a *Applier) Raise(bounds []Lane, asOf uint64) {
	if r := &a.raiser; r.asked && asOf >= r.mark {
		r.bounds, r.asOf = bounds, asOf
		a.raise()
	}
}

// raise applies bounds that are valid by now. Rows that were added since Ask may be
// due earlier; they count whether they came before asOf or not.
func (a *Applier) raise() {
	r := &a.raiser
	if r.bounds == nil || a.pos.LSN < r.asOf {
		return
	}
	for i := range r.bounds {
		b := &r.bounds[i]
		l := a.lanes[b.ID]
		if l == nil || l.Count == 0 {
			continue
		}
		if first := min(b.First, l.low); first > l.First {
			l = a.lane(b.ID)
			l.First = first
		}
	}
	r.bounds, r.asked = nil, false
}
