package engine

import (
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/record"
)

// simQueue is a queue as the log says.
type simQueue struct {
	name         string
	parallelism  int
	paused, gone bool
	drop         uint64
	turns        map[uint64]*simTurn // that have not ended
}

type simTurn struct {
	lane     uint64
	left     int // messages of it that have not ended
	begun    bool
	entitled int // it may have a slot since the parallelism was this
}

var simQueues = [...]string{"q0", "q1", "q2"}

func (s *sim) queueStep() {
	name := simQueues[s.rng.IntN(len(simQueues))]
	var err error
	switch n := s.rng.IntN(10); {
	case n == 0:
		err = s.e.DeleteQueue(1, name)
	case n < 5:
		k := 1 + s.rng.IntN(3)
		err = s.e.SetQueue(1, name, QueueChange{Parallelism: &k})
	default:
		paused := n == 5
		err = s.e.SetQueue(1, name, QueueChange{Paused: &paused})
	}
	if err != nil {
		s.refused("change of queue "+name, err)
	}
}

func (s *sim) queue(id uint64) *simQueue {
	q := s.lines.queues[id]
	if q == nil {
		q = &simQueue{parallelism: 1, turns: map[uint64]*simTurn{}}
		s.lines.queues[id] = q
	}
	return q
}

// join takes a message of the queue that is in the log.
func (q *simQueue) join(seq uint64, l *simLine) {
	if q.gone && l.Root == 0 && seq >= q.drop {
		q.gone, q.paused = false, false
		q.setParallelism(1)
	}
	t := q.turns[l.turn]
	if t == nil {
		t = &simTurn{lane: l.lane}
		q.turns[l.turn] = t
	}
	t.left++
}

// setParallelism notes what has a slot, or may have: it keeps that, as few as there may be
// from now on.
func (q *simQueue) setParallelism(n int) {
	if n < q.parallelism {
		lanes := map[uint64][]uint64{}
		for k, t := range q.turns {
			lanes[t.lane] = append(lanes[t.lane], k)
		}
		for _, ks := range lanes {
			slices.Sort(ks)
			for _, k := range ks[:min(len(ks), q.parallelism)] {
				t := q.turns[k]
				t.entitled = max(t.entitled, q.parallelism)
			}
		}
	}
	q.parallelism = n
}

func (s *sim) observeQueue(lsn uint64, d *record.Queue) {
	_, known := s.lines.queues[d.ID()]
	q := s.queue(d.ID())
	if d.Flags&record.QueueNew != 0 && known && !q.gone {
		return
	}
	q.name, q.gone, q.paused = strings.Clone(d.Name), d.Flags&record.QueueGone != 0, d.Flags&record.QueuePaused != 0
	q.setParallelism(int(d.Parallelism))
	drop := d.DropBefore(lsn)
	if drop <= q.drop {
		return
	}
	q.drop = drop
	for id, l := range s.lines.byID {
		if m := s.messages[id]; m != nil && l.Queue == d.ID() && l.turn < drop {
			m.maybe = true
		}
	}
}

// endTurn takes a message of a queue out of its turn, which ends with the last one.
func (s *sim) endTurn(id string, l *simLine, kind record.Kind) {
	q := s.queue(l.Queue)
	if kind == record.Canceled && l.turn < q.drop {
		s.lines.discarded++
	}
	t := q.turns[l.turn]
	if t == nil {
		s.fail("S16: %s ends, and its turn %d has ended before", id, l.turn)
		return
	}
	if t.left--; t.left == 0 {
		delete(q.turns, l.turn)
	}
}

func (s *sim) startedTurn(m *simMessage, l *simLine) {
	q := s.queue(l.Queue)
	t := q.turns[l.turn]
	switch {
	case t == nil:
		s.fail("S16: %s starts after its turn has ended", m.id)
		return
	case q.paused:
		s.fail("S16: %s starts while its queue is paused", m.id)
	case l.turn < q.drop:
		s.fail("S16: %s starts after its queue was deleted", m.id)
	}
	if t.begun {
		return
	}
	ahead, begun := 0, 0
	width := max(q.parallelism, t.entitled) // of the queue
	abreast := width                        // of its lane
	if l.lane != l.Queue {
		abreast = 1
	}
	for k, o := range q.turns {
		if k < q.drop {
			continue // what is left of it is canceled
		}
		if o.lane == t.lane && k < l.turn {
			ahead++
		}
		if o.begun {
			begun++
		}
	}
	if ahead >= abreast {
		s.fail("S16: %s starts, and %d before it have not ended in a lane of %d", m.id, ahead, abreast)
	}
	if begun >= width {
		s.fail("S16: %s starts, and %d of its queue are at work already, of %d", m.id, begun, width)
	}
	s.lines.turns++
	if begun > 0 {
		s.lines.crowded++
	}
	t.begun = true
}
