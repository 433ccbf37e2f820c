package bench

import (
	"container/heap"
	"fmt"
	"math"
	"time"
)

// turn is what is known of a message's turn in its queue.
type turn struct {
	came  time.Duration // the first attempt of it
	ended time.Duration // when the first 2xx was ready; never, if there was none
	line  int           // of the first attempt
}

const never = time.Duration(math.MaxInt64)

// queue checks that messages came in the order of their numbers: when one comes, fewer
// than the parallelism of those before it are unfinished. Numbers are in the order of the
// log, since whoever publishes to a queue waits for each answer. A message whose publish
// was not answered counts if it came.
//
// A message is finished when its 2xx is ready, before the server can know of it. So what
// waits for it, as it must, never seems to come too soon, and no tolerance is needed.
func (v *verification) queue(l *laneRecord) {
	turns := make(map[uint64]*turn, len(l.promises))
	for i := range l.attempts {
		a := &l.attempts[i]
		t := turns[a.seq]
		if t == nil {
			t = &turn{came: a.came, ended: never, line: a.line}
			turns[a.seq] = t
		}
		if a.status/100 == 2 {
			t.ended = min(t.ended, a.ended)
		}
	}
	slots := max(1, l.parallelism)
	var last latest // the slots' ends: of the messages so far, those that ended last
	for i := range l.promises {
		p := &l.promises[i]
		t := turns[p.seq]
		if t == nil {
			if p.acked > 0 { // lost; it holds its slot, as far as anybody can tell
				t = &turn{came: never, ended: never}
			} else {
				continue
			}
		}
		free := time.Duration(0)
		if len(last) == slots {
			free = last[0]
		}
		switch {
		case t.came == never:
		case t.came < free:
			v.complain(t.line, fmt.Errorf("%w: number %d of %s came while %d before it were under way or waited",
				ErrOrder, p.seq, l.name, slots))
		default:
			v.turned(t.came - max(free, p.acked))
		}
		last.add(t.ended, slots)
	}
}

// turned notes how long after its turn began a message came. One that came before its
// publish was answered did not wait.
func (v *verification) turned(d time.Duration) {
	// In range by construction, so that there is no error.
	_ = v.turns.RecordValue(min(max(int64(d), 0), latencyMax))
}

// latest is a heap of the n latest of what was added, the earliest of them first.
type latest []time.Duration

func (h latest) Len() int           { return len(h) }
func (h latest) Less(i, k int) bool { return h[i] < h[k] }
func (h latest) Swap(i, k int)      { h[i], h[k] = h[k], h[i] }
func (h *latest) Push(x any)        { *h = append(*h, x.(time.Duration)) }
func (h *latest) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func (h *latest) add(d time.Duration, n int) {
	switch {
	case len(*h) < n:
		heap.Push(h, d)
	case d > (*h)[0]:
		(*h)[0] = d
		heap.Fix(h, 0)
	}
}
