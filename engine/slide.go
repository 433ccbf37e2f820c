package engine

import "github.com/tidemill/tidemill/engine/plant"

// slide counts the attempts of the last period for the sliding mode of flow control. It
// knows them by parts of a sixty-fourth of the period: what began in one part counts until
// the last moment of that part is a whole period ago, so a limit may be reached a little
// too soon and is never exceeded. It takes 16 bytes for each part in which anything began.
type slide struct {
	parts []slidePart // oldest first
}

type slidePart struct {
	last int64 // unix ms of the newest attempt in it
	n    int
}

const slideParts = 64

// add counts n attempts that begin now.
func (s *slide) add(now, period int64) { s.addMany(now, period, 1) }

func (s *slide) addMany(now, period int64, n int) {
	if k := len(s.parts); k > 0 && now/max(1, period/slideParts) <= s.parts[k-1].last/max(1, period/slideParts) {
		p := &s.parts[k-1]
		p.last, p.n = max(p.last, now), p.n+n
		return
	}
	s.parts = append(s.parts, slidePart{now, n})
}

// used returns how many attempts began within the period that ends now.
func (s *slide) used(now, period int64) (n int) {
	k := 0
	for k < len(s.parts) && (now-s.parts[k].last >= period || plant.Bug("part-is-forgotten-early") && now-s.parts[k].last >= period/2) {
		k++
	}
	s.parts = append(s.parts[:0], s.parts[k:]...)
	for i := range s.parts {
		s.parts[i].last = min(s.parts[i].last, now) // the clock was set back
		n += s.parts[i].n
	}
	return n
}

// next returns when the oldest of them do not count any more, unix ms.
func (s *slide) next(period int64) int64 {
	if len(s.parts) == 0 {
		return 0
	}
	return s.parts[0].last + period
}

func (s *slide) newest() (at int64, ok bool) {
	if len(s.parts) == 0 {
		return 0, false
	}
	return s.parts[len(s.parts)-1].last, true
}
