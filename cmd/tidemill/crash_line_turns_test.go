package main

// lineQueue is a queue of the server's. One producer publishes to it, one message after
// the other, so that their order in the log is that of their numbers.
type lineQueue struct {
	name        string
	parallelism int
	keyed       bool                 // its messages have ordering keys
	lanes       map[string]*turnLane // by ordering key
	active      map[*lineMessage]struct{}
}

func (b *lineBook) newQueue(name string, parallelism int, keyed bool) *lineQueue {
	q := &lineQueue{name: name, parallelism: parallelism, keyed: keyed, lanes: map[string]*turnLane{}, active: map[*lineMessage]struct{}{}}
	b.queues = append(b.queues, q)
	return q
}

// turnLane is the messages of a queue that have the same ordering key, or none, in their
// order. At most width of them have their turn at once.
//
// A turn is a message's attempts and its callbacks', to the last (L6), and it ends when
// the last outcome is on disk (L5). So when a message comes
//
//   - at most width-1 of those before it that exist are unfinished. With a width of 1:
//     first occurrences are in order, and attempts of a message never begin before the
//     one before it is finished, its callbacks included;
//   - and if it is exactly as many, the turns of all others before it are over for good:
//     nothing of them comes any more, in no life of the server. With a width of 1 that is
//     all of them.
//
// What a crash does not undo is thereby checked over crashes, too. What it does undo is
// an outcome that was not on disk: then the turn is not over, and what was answered comes
// again before the next turn begins.
//
// The slots of a queue with ordering keys are given out anew after a restart, so that a
// message that waits for its retry may have lost its slot to another key's: there the sum
// over the keys is checked within one life of the server.
type turnLane struct {
	width int
	turns []*lineMessage
	from  int // those before it are closed
}

// join puts a message at the end of its lane.
func (q *lineQueue) join(m *lineMessage) {
	l := q.lanes[m.ordering]
	if l == nil {
		l = &turnLane{width: q.parallelism}
		if m.ordering != "" {
			l.width = 1
		}
		q.lanes[m.ordering] = l
	}
	m.lane, m.place = l, len(l.turns)
	l.turns = append(l.turns, m)
}

// turnLocked notes that something of a message in a queue comes.
func (b *lineBook) turnLocked(m *lineMessage) {
	l, q := m.lane, m.queue
	if m.closed {
		b.complainLocked("order", "%s: of message %d something comes after a later turn has begun", q.name, m.seq)
	}
	unfinished := 0
	for _, t := range l.turns[l.from:max(l.from, m.place)] {
		if t.exists() && !t.closed && !t.finished() {
			unfinished++
		}
	}
	if unfinished >= l.width {
		b.complainLocked("order", "%s: message %d comes while %d before it are not finished", q.name, m.seq, unfinished)
	}
	if unfinished == l.width-1 {
		l.closeBefore(m)
	}
	q.active[m] = struct{}{}
	if len(q.active) > q.parallelism {
		b.complainLocked("parallelism", "%s: %d messages have their turn at once", q.name, len(q.active))
	}
}

// closeBefore closes the turns before m that are finished, or whose message was never
// stored.
func (l *turnLane) closeBefore(m *lineMessage) {
	for _, t := range l.turns[l.from:max(l.from, m.place)] {
		t.closed = t.closed || !t.exists() || t.finished()
	}
	for l.from < len(l.turns) && l.turns[l.from].closed {
		l.from++
	}
}
