package index

import (
	"math"
	"slices"
	"sync"
)

// seconds keeps what was counted in each second of the last hour, in memory: a restart
// loses it, and so does more traffic of more accounts than it has room for. The rows of
// minutes have all of it.
//
// Its entries are in the order in which the applier closed them, and those of an account
// are a list, newest first, so that a reader looks at its own alone.
type seconds struct {
	// mu is held while a batch is written that closes seconds, too: what is in here has
	// left the account's row, in any snapshot that is taken under it.
	mu     sync.Mutex
	list   []closedSecond
	head   int               // the oldest that counts, in list
	first  uint64            // the number of list[head]
	newest map[uint32]uint64 // number of an account's newest one, plus one
	size   int               // bytes
	since  int64             // unix s: all from here on is there, or is open
}

// closedSecond is what one account counted in a second, or in a part of it.
type closedSecond struct {
	user  uint32
	at    int64  // unix s
	piece []byte // never changed
	prev  uint64 // number of the account's one before, plus one; 0: none
}

const (
	secondsKept  = 3600 + minuteSeconds // one more, for a reader that is a moment late
	secondsBytes = 16 << 20
	secondSize   = 64 // bytes, beside its piece
)

// begin says where seconds begin to be whole: after what was counted before the index was
// opened, unix s, and everywhere if that is nothing.
func (s *seconds) begin(counted, logged int64, empty bool) {
	s.newest = map[uint32]uint64{}
	if s.since = max(counted, logged) + 1; empty {
		s.since = math.MinInt64
	}
}

// addLocked takes what a batch closed. What is old, or has no room, goes.
func (s *seconds) addLocked(closed []closedSecond) {
	for _, c := range closed {
		n := s.first + uint64(len(s.list)-s.head)
		c.prev = s.newest[c.user]
		s.newest[c.user] = n + 1
		s.list = append(s.list, c)
		s.size += secondSize + len(c.piece)
	}
	if len(closed) == 0 {
		return
	}
	now := closed[len(closed)-1].at
	for s.head < len(s.list) && (s.list[s.head].at < now-secondsKept || s.size > secondsBytes) {
		s.dropLocked()
	}
	if s.head > len(s.list)/2 {
		s.list = slices.Delete(s.list, 0, s.head)
		s.head = 0
	}
}

func (s *seconds) dropLocked() {
	c := &s.list[s.head]
	s.since = max(s.since, c.at+1)
	s.size -= secondSize + len(c.piece)
	if s.newest[c.user] == s.first+1 {
		delete(s.newest, c.user)
	}
	*c = closedSecond{}
	s.head++
	s.first++
}

// ofLocked returns what an account counted from a second to before another, in their
// order; ok is false if it is not all there.
func (s *seconds) ofLocked(user uint32, from, to int64) (found []closedSecond, ok bool) {
	if from < s.since {
		return nil, false
	}
	for n := s.newest[user]; n > s.first; {
		c := &s.list[s.head+int(n-1-s.first)]
		if from <= c.at && c.at < to {
			found = append(found, *c)
		}
		n = c.prev
	}
	slices.Reverse(found)
	slices.SortStableFunc(found, func(a, b closedSecond) int { return int(a.at - b.at) })
	return found, true
}
