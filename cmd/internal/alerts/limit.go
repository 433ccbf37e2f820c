package alerts

import (
	"time"

	"github.com/tidemill/tidemill/engine"
)

// What is told about one thing, and in all. A host that comes and goes, or a thousand hosts that go
// together, are not worth a thousand messages on somebody's telephone.
const (
	// Interval is the least time between two alerts of the same kind about the same thing.
	Interval = 10 * time.Minute

	// In all there are at most allBurst alerts at once and one more every allEvery, but for those
	// of the disk and of damage, of which there is one thing each.
	allBurst = 20
	allEvery = 2 * time.Minute

	// subjectsMax bounds what is remembered. Beyond it new things are not told of.
	subjectsMax = 4096
)

// topic is what kinds of notices have in common that undo one another.
type topic uint8

const (
	topicDead topic = iota
	topicCircuit
	topicDisk
	topicDamage
)

func topicOf(k engine.NoticeKind) topic {
	switch k {
	case engine.NoticeCircuitOpened, engine.NoticeCircuitClosed:
		return topicCircuit
	case engine.NoticeDiskLow, engine.NoticeDiskOK:
		return topicDisk
	case engine.NoticeDamage:
		return topicDamage
	}
	return topicDead
}

// ofHosts says whether there is one thing of the topic for each host.
func (t topic) ofHosts() bool { return t == topicDead || t == topicCircuit }

// subject is one thing that alerts are about.
type subject struct {
	topic topic
	host  string
}

// limiter decides which notices become alerts. It is plain data: time comes in as an argument.
type limiter struct {
	subjects map[subject]*told
	tokens   int // of allBurst
	refilled time.Time
	dropped  int // notices that became none, since the last alert
	pending  int // of subjects
}

// told is what was said of a subject.
type told struct {
	last map[engine.NoticeKind]time.Time
	kind engine.NoticeKind // the newest that was told

	// pending was held back because one of its kind had just been told. If it still holds when the
	// interval is over it is told then: whoever heard "closed" must hear that it is open.
	pending *engine.Notice
}

func newLimiter(now time.Time) *limiter {
	return &limiter{subjects: map[subject]*told{}, tokens: allBurst, refilled: now}
}

// take says whether a notice is told now.
func (l *limiter) take(now time.Time, n *engine.Notice) bool {
	s := subject{topicOf(n.Kind), n.Host}
	t := l.subjects[s]
	if t == nil {
		if len(l.subjects) >= subjectsMax && !l.forget(now) {
			l.dropped++
			return false
		}
		t = &told{last: map[engine.NoticeKind]time.Time{}}
		l.subjects[s] = t
	}
	if at, ok := t.last[n.Kind]; ok && now.Sub(at) < Interval {
		l.hold(t, n)
		return false
	}
	if s.topic.ofHosts() && !l.spend(now) {
		l.dropped++
		return false
	}
	l.tell(t, n.Kind, now)
	return true
}

func (l *limiter) tell(t *told, k engine.NoticeKind, now time.Time) {
	l.unhold(t)
	t.last[k], t.kind = now, k
}

func (l *limiter) hold(t *told, n *engine.Notice) {
	l.dropped++
	if t.pending == nil {
		l.pending++
	}
	held := *n
	t.pending = &held
}

func (l *limiter) unhold(t *told) {
	if t.pending != nil {
		t.pending = nil
		l.pending--
	}
}

// due returns the notices that were held back, are told now, and still say something new.
func (l *limiter) due(now time.Time) (all []engine.Notice) {
	if l.pending == 0 {
		return nil
	}
	for s, t := range l.subjects {
		switch n := t.pending; {
		case n == nil:
		case n.Kind == t.kind:
			l.unhold(t) // it is as it was told
		case now.Sub(t.last[n.Kind]) >= Interval && (!s.topic.ofHosts() || l.spend(now)):
			l.dropped-- // it was counted when it was held
			l.tell(t, n.Kind, now)
			all = append(all, *n)
		}
	}
	return all
}

// spend takes one of the alerts that there may be in all.
func (l *limiter) spend(now time.Time) bool {
	if n := int(now.Sub(l.refilled) / allEvery); n > 0 {
		l.tokens = min(l.tokens+n, allBurst)
		l.refilled = l.refilled.Add(time.Duration(n) * allEvery)
	}
	if l.tokens == 0 {
		return false
	}
	l.tokens--
	return true
}

// forget drops subjects of which nothing was told for an interval. It says whether there were any.
func (l *limiter) forget(now time.Time) bool {
	n := len(l.subjects)
	for s, t := range l.subjects {
		old := t.pending == nil
		for _, at := range t.last {
			old = old && now.Sub(at) >= Interval
		}
		if old {
			delete(l.subjects, s)
		}
	}
	return len(l.subjects) < n
}

// takeDropped returns how many notices were not told since the last alert.
func (l *limiter) takeDropped() int {
	n := l.dropped
	l.dropped = 0
	return n
}
