package bench

import (
	"slices"
	"sync/atomic"
	"time"
)

// postponedMost is how many messages a producer keeps that were refused for now. More are
// failed requests.
const postponedMost = 1000

// owed is a message that is to be published: which one, and what its stamp says.
type owed struct {
	kind int
	seq  uint64
	from time.Duration
}

// postponed are the messages of one producer which the server refused with a Retry-After, to be
// sent again when that time has come. What is not sent by the end of a round is not sent any
// more: it was not acknowledged, so nobody waits for it. Not safe for concurrent use.
type postponed struct {
	refused *atomic.Int64 // counts refusals, of all producers
	each    []owed
	again   []time.Time // of each
}

// next takes one whose time has come. A patient producer waits for that, if there is any: one
// in a closed loop, whose next message may need the room that the refused one has. It returns
// errStopped when stop is closed.
func (p *postponed) next(patient bool, stop <-chan struct{}) (m owed, ok bool, err error) {
	if len(p.each) == 0 {
		return owed{}, false, nil
	}
	first := 0
	for i := range p.again {
		if p.again[i].Before(p.again[first]) {
			first = i
		}
	}
	if wait := time.Until(p.again[first]); wait > 0 && !patient {
		return owed{}, false, nil
	} else if wait > 0 {
		select {
		case <-time.After(wait):
		case <-stop:
			return owed{}, false, errStopped
		}
	}
	m = p.each[first]
	p.each, p.again = slices.Delete(p.each, first, first+1), slices.Delete(p.again, first, first+1)
	return m, true, nil
}

// put keeps a message if err is a refusal that asks for it again, and there is room.
func (p *postponed) put(m owed, err error) bool {
	after, ok := asksLater(err)
	if !ok {
		return false
	}
	p.refused.Add(1)
	if len(p.each) == postponedMost {
		return false
	}
	p.each, p.again = append(p.each, m), append(p.again, time.Now().Add(after))
	return true
}
