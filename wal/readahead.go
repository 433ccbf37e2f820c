package wal

import "errors"

// A replay has two halves that know nothing of each other: to read the log and check every
// byte of it, and whatever its caller makes of a group. They run side by side, each in a
// goroutine. What is between them goes in stretches, so that a log of small groups does not
// pay for a hand-over of each.

// stretchBytes is the size of a stretch's buffers, but for its last group. At most three
// stretches are in memory: that which is read, that which waits, and that which is used.
const stretchBytes = 1 << 20

// errAbandoned ends a scan whose groups nobody wants any more.
var errAbandoned = errors.New("wal: the replay was ended")

// readAhead calls fn with the groups that scan gives out, in their order, and releases each
// afterwards; scan runs ahead, in another goroutine, which has ended when readAhead
// returns. The error is fn's, which ends all of it, or else scan's, after fn has had all
// groups that came before.
func readAhead(scan func(give func(*Group) error) error, fn func(*Group) error) error {
	var (
		ahead   = make(chan []*Group, 1)
		stop    = make(chan struct{})
		scanned error // valid when ahead is closed
	)
	go func() {
		defer close(ahead)
		s := stretch{ahead: ahead, stop: stop}
		scanned = errors.Join(scan(s.give), s.flush())
	}()
	defer func() { // also when fn does not return
		close(stop)
		for rest := range ahead {
			releaseAll(rest)
		}
	}()
	if err := useAhead(ahead, fn); err != nil {
		return err
	}
	return scanned
}

// useAhead calls fn with what comes until it fails or all has come.
func useAhead(ahead <-chan []*Group, fn func(*Group) error) error {
	for groups := range ahead {
		for i, g := range groups {
			err := fn(g)
			g.Release()
			if err != nil {
				releaseAll(groups[i+1:])
				return err
			}
		}
	}
	return nil
}

// stretch gathers groups. It is used by one goroutine.
type stretch struct {
	ahead  chan<- []*Group
	stop   <-chan struct{}
	groups []*Group
	bytes  int
}

// give takes a group over.
func (s *stretch) give(g *Group) error {
	s.groups = append(s.groups, g)
	if s.bytes += len(g.buf); s.bytes < stretchBytes {
		return nil
	}
	return s.flush()
}

// flush hands over what was gathered, as soon as there is room.
func (s *stretch) flush() error {
	groups := s.groups
	s.groups, s.bytes = nil, 0
	if len(groups) == 0 {
		return nil
	}
	select {
	case s.ahead <- groups:
		return nil
	case <-s.stop:
		releaseAll(groups)
		return errAbandoned
	}
}

func releaseAll(groups []*Group) {
	for _, g := range groups {
		g.Release()
	}
}
