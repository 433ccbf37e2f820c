package main

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// lineBook knows what has come of the messages in queues, of keys and groups, and of
// their callbacks, and complains of what must not come. It is safe for concurrent use.
//
// An answer counts from the moment before it is given: the server acts on it later, so
// what must wait for it never comes too soon by this clock. Between two lives of the
// server all connections are closed (crash.fence), so nothing of one arrives in the next.
//
// Of each message and callback this is promised, and checked here:
//
//   - it comes at least once if its publish was acknowledged, with its body, not before
//     its time, and always under the same id;
//   - attempt k (Upstash-Retried) comes after attempt k-1 was answered: a crash does not
//     use one up, but one that was under way, or whose outcome was not on disk, is
//     repeated. In one life of the server none comes twice (P17).
type lineBook struct {
	body func(seq uint64) []byte

	mu       sync.Mutex
	life     int // of the server, from 1
	queues   []*lineQueue
	messages []*lineMessage
	wrong    map[string]int // complaints by kind
	texts    []string       // the first of them

	arrived, repeated           int // attempts; of them those that a crash repeated
	callbacks, failureCallbacks int // those that came first
}

// lineSpec is what a message is to be.
type lineSpec struct {
	queue     *lineQueue // nil: none
	ordering  string
	flow      *lineFlow // nil: none
	endpoints int       // of the group; 1: it goes to a URL
	failures  int       // attempts that are answered with 503 first
	retries   int
	callback  bool
	failure   bool // it has a failure callback
	delay     time.Duration
}

// exhausted says whether it ends as a dead letter.
func (s *lineSpec) exhausted() bool { return s.failures > s.retries }

// lineMessage is one that was, or is about to be, published.
type lineMessage struct {
	lineSpec
	seq     uint64 // from 1
	due     int64  // unix ms, at the earliest
	lane    *turnLane
	place   int           // in its lane
	room    chan struct{} // of its producer: given back when it is settled
	acked   bool
	settled bool
	closed  bool // another's turn shows that this one's is over, on disk
	open    int  // requests of it and its callbacks that are not answered
	copies  []lineCopy
}

// lineCopy is a message, or what one endpoint of a group gets of it.
type lineCopy struct {
	id       string
	tries    tries
	answered []int // by Upstash-Retried: with which status, 0: not yet
	reports  []lineReport
	final    bool // the last attempt was answered
	failed   lineReport
}

// tries are the attempts of one message or callback that came: by Upstash-Retried in
// which life of the server it did last.
type tries []int

// come notes an attempt and returns what is wrong with it.
func (t *tries) come(retried, life int) (again bool, wrong string) {
	switch n := len(*t); {
	case retried > n || retried < 0:
		return false, fmt.Sprintf("attempt %d came after %d", retried, n-1)
	case retried == n:
		*t = append(*t, life)
		return false, ""
	}
	if (*t)[retried] == life {
		wrong = fmt.Sprintf("attempt %d came twice without a crash", retried)
	}
	(*t)[retried] = life
	return true, wrong
}

func newLineBook(body func(seq uint64) []byte) *lineBook {
	return &lineBook{body: body, life: 1, wrong: map[string]int{}}
}

// send notes a message before its publish begins.
func (b *lineBook) send(spec lineSpec, now time.Time, room chan struct{}) *lineMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := &lineMessage{
		lineSpec: spec, seq: uint64(len(b.messages) + 1), due: now.Add(spec.delay).UnixMilli(), room: room,
		copies: make([]lineCopy, spec.endpoints),
	}
	b.messages = append(b.messages, m)
	if m.queue != nil {
		m.queue.join(m)
	}
	return m
}

// ack notes that a publish was answered with these ids, one for each endpoint.
func (b *lineBook) ack(m *lineMessage, ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.acked = true
	if len(ids) != len(m.copies) {
		b.complainLocked("group", "message %d was answered with %d ids of %d", m.seq, len(ids), len(m.copies))
		return
	}
	for i, id := range ids {
		b.nameLocked(m, i, id)
	}
	b.settleLocked(m)
}

// unknown notes that a publish got no answer: its message may come or not.
func (b *lineBook) unknown(m *lineMessage) { m.room <- struct{}{} }

func (b *lineBook) nameLocked(m *lineMessage, i int, id string) {
	c := &m.copies[i]
	if c.id == "" {
		c.id = id
	}
	if c.id != id || id == "" {
		b.complainLocked("content", "copy %d of message %d has the ids %q and %q", i, m.seq, c.id, id)
	}
}

// exists says whether a message is surely in the server's log.
func (m *lineMessage) exists() bool {
	if m.acked {
		return true
	}
	for i := range m.copies {
		if len(m.copies[i].tries) > 0 {
			return true
		}
	}
	return false
}

// finished says whether the destination knows of nothing that is to come of it.
func (m *lineMessage) finished() bool {
	if m.open > 0 {
		return false
	}
	for i := range m.copies {
		if c := &m.copies[i]; !c.final || !c.reported(&m.lineSpec) {
			return false
		}
	}
	return true
}

// settleLocked looks whether a message is finished.
func (b *lineBook) settleLocked(m *lineMessage) {
	if !m.finished() {
		return
	}
	if m.queue != nil {
		delete(m.queue.active, m)
	}
	if m.acked && !m.settled {
		m.settled = true
		m.room <- struct{}{}
	}
}

// What a request to the destination may be. Callbacks are called as their headers are.
const (
	kindMessage  = "message"
	kindCallback = "Callback"
	kindFailure  = "Failure-Callback"
)

// lineRequest is a request to the destination.
type lineRequest struct {
	kind    string
	seq     uint64
	copy    int
	retried int
	id      string
	body    []byte
	at      time.Time

	m       *lineMessage // nil if nobody sent it
	reports int          // of a callback: the attempt it is about
	status  int          // to answer with
}

// answerText is the body of an answer, which a callback must report.
func (r *lineRequest) answerText() string { return fmt.Sprintf("%d %d %d", r.seq, r.copy, r.retried) }

// arrive checks a request and decides on its answer. Each is followed by answer.
func (b *lineBook) arrive(r *lineRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.status = 200
	if r.seq == 0 || r.seq > uint64(len(b.messages)) || r.copy >= len(b.messages[r.seq-1].copies) {
		b.complainLocked("content", "%+v came, which nobody sent", *r)
		return
	}
	m := b.messages[r.seq-1]
	r.m = m
	if m.queue != nil {
		b.turnLocked(m)
	}
	m.open++
	if r.kind == kindMessage {
		b.attemptLocked(r, m)
	} else {
		b.reportLocked(r, m)
	}
}

func (b *lineBook) attemptLocked(r *lineRequest, m *lineMessage) {
	c := &m.copies[r.copy]
	b.arrived++
	switch {
	case !bytes.Equal(r.body, b.body(m.seq)):
		b.complainLocked("content", "message %d came with another body", m.seq)
	case r.at.UnixMilli() < m.due:
		b.complainLocked("content", "message %d came %d ms early", m.seq, m.due-r.at.UnixMilli())
	case r.retried > 0 && (r.retried > len(c.answered) || c.answered[r.retried-1] == 0):
		b.complainLocked("content", "attempt %d of message %d came before the one before it was answered", r.retried, m.seq)
	case r.retried > m.retries:
		b.complainLocked("content", "attempt %d of message %d came, which has %d retries", r.retried, m.seq, m.retries)
	}
	b.nameLocked(m, r.copy, r.id)
	again, wrong := c.tries.come(r.retried, b.life)
	if wrong != "" {
		b.complainLocked("twice", "message %d: %s", m.seq, wrong)
	}
	if again {
		b.repeated++
	}
	for len(c.answered) < len(c.tries) {
		c.answered, c.reports = append(c.answered, 0), append(c.reports, lineReport{})
	}
	if r.retried < m.failures {
		r.status = 503
	}
	if m.flow != nil {
		b.beginLocked(m.flow, r.at)
	}
}

// answer notes that a request is answered.
func (b *lineBook) answer(r *lineRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := r.m
	if m == nil {
		return
	}
	m.open--
	c := &m.copies[r.copy]
	switch {
	case r.kind == kindMessage:
		if r.retried >= 0 && r.retried < len(c.answered) {
			c.answered[r.retried] = r.status
		}
		c.final = c.final || r.status == 200 || r.retried == m.retries
		if m.flow != nil {
			m.flow.open--
		}
	case r.status == 200:
		c.report(r).done = true
	}
	b.settleLocked(m)
}

// newLife notes that the server has ended, and that nothing of it is on its way.
func (b *lineBook) newLife() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life++
	for _, q := range b.queues {
		clear(q.active)
	}
}

// unfinished returns some of those that exist and are not finished, and their number.
func (b *lineBook) unfinished() (seqs []uint64, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.exists() && !m.finished() {
			if n++; n <= 10 {
				seqs = append(seqs, m.seq)
			}
		}
	}
	return seqs, n
}

func (b *lineBook) complainLocked(kind, format string, args ...any) {
	b.wrong[kind]++
	if len(b.texts) < 20 {
		b.texts = append(b.texts, kind+": "+fmt.Sprintf(format, args...))
	}
}
