package cron

import "time"

// OddKind says what is odd about a wall time.
type OddKind uint8

const (
	// None: nothing is.
	None OddKind = iota
	// Moved: it does not exist; its tick is the first moment after the gap.
	Moved
	// First: it comes twice, and this tick is the first.
	First
	// Repeated: it comes twice, and this tick is the second.
	Repeated
	// Missing: it does not exist, and there is no tick for it.
	Missing
	// NotAgain: it came a second time, and there was no tick for that.
	NotAgain
)

// oddWords are for one wall time and for several.
var oddWords = [...][2]string{
	None:     {},
	Moved:    {"does not exist; fires at the first moment after it", "do not exist; fires once at the first moment after them"},
	First:    {"comes twice; this is the first", "come twice; this is the first"},
	Repeated: {"comes twice; this is the second", "come twice; this is the second"},
	Missing:  {"does not exist; left out", "do not exist; left out"},
	NotAgain: {"comes twice; does not fire the second time", "come twice; do not fire the second time"},
}

// Oddity is what a preview should say about a tick, or about a time that has none.
// The zero value says nothing.
type Oddity struct {
	Kind OddKind
	// At is an instant in unix milliseconds: the tick, or the moment from which on
	// there might have been one (the end of the gap, or the second 01:30).
	At int64
	// Wall and Last are the wall times it is about, labelled UTC: all times of the
	// expression from Wall to Last. They are equal if there is one.
	Wall, Last time.Time
}

// String says it for people, such as "2026-03-08 02:30 does not exist; fires at the
// first moment after it". It is empty for None.
func (o Oddity) String() string {
	if o.Kind == None || int(o.Kind) >= len(oddWords) {
		return ""
	}
	if o.Last.Equal(o.Wall) {
		return wallText(o.Wall) + " " + oddWords[o.Kind][0]
	}
	return wallText(o.Wall) + " to " + wallText(o.Last) + " " + oddWords[o.Kind][1]
}

func wallText(t time.Time) string {
	if t.Second() != 0 {
		return t.Format(time.DateTime)
	}
	return t.Format("2006-01-02 15:04")
}

func oddity(k OddKind, at, wall, last int64) Oddity {
	return Oddity{Kind: k, At: at * 1000, Wall: time.Unix(wall, 0).UTC(), Last: time.Unix(last, 0).UTC()}
}

// Explain says what is odd about a tick (unix milliseconds). For anything that is
// no tick of x it says None. A tick that stands for times in a gap is Moved even
// if its own wall time matches too.
func (x *Expr) Explain(tick int64) Oddity {
	t := seconds(tick)
	if at, ok := x.next(t - 1); !ok || at*1000 != tick {
		return Oddity{}
	}
	s := x.segmentAt(t)
	wall := t + s.off
	if t == s.start && !x.follows && x.dst != Skip {
		if first, last, ok := x.matches(x.passed(t), wall-1); ok {
			return oddity(Moved, t, first, last)
		}
	}
	if kind := x.twice(t, wall); kind != None {
		return oddity(kind, t, wall, wall)
	}
	return Oddity{}
}

// twice tells whether the wall time shown at t is shown at another instant too.
func (x *Expr) twice(t, wall int64) OddKind {
	for s := x.segmentAt(t - 2*maxOffset); ; s = x.segmentAt(s.end) {
		other := wall - s.off
		if other >= s.start && other < s.end && other != t {
			if other < t {
				return Repeated
			}
			return First
		}
		if s.end > t+2*maxOffset {
			return None
		}
	}
}

// LeftOut lists, oldest first, the wall times that match x and have no tick because
// the clock jumped over them, or because they had one when they came the first time.
// It looks at the jumps in (after, upTo], unix milliseconds; there is at most one
// entry for each. Between two ticks that follow one another it lists what a preview
// should say was left out in between.
func (x *Expr) LeftOut(after, upTo int64) []Oddity {
	var out []Oddity
	end := seconds(upTo)
	for s := x.segmentAt(seconds(after)); s.end <= end; {
		n := x.segmentAt(s.end)
		if o := x.leftOutAt(s, n); o.Kind != None {
			out = append(out, o)
		}
		s = n
	}
	return out
}

// leftOutAt looks at the jump from segment s to its successor n.
func (x *Expr) leftOutAt(s, n segment) Oddity {
	passed := x.passed(n.start)
	switch {
	case n.off > s.off && (x.follows || x.dst == Skip):
		if first, last, ok := x.matches(passed, n.wallStart()-1); ok {
			return oddity(Missing, n.start, first, last)
		}
	case n.off < s.off && !x.follows && x.dst != Both:
		if first, last, ok := x.matches(n.wallStart()-1, passed); ok {
			return oddity(NotAgain, first-n.off, first, last)
		}
	}
	return Oddity{}
}

// passed returns the last wall time that is settled when the jump at t comes: what
// lies between it and the wall time at t is in the gap.
func (x *Expr) passed(t int64) int64 {
	if x.follows || x.dst == Both {
		return t - 1 + x.segmentAt(t-1).off
	}
	return x.reached(t - 1)
}

// matches returns the first and the last matching wall time in (after, upTo].
func (x *Expr) matches(after, upTo int64) (first, last int64, ok bool) {
	first, ok = x.wallNext(after)
	if !ok || first > upTo {
		return 0, 0, false
	}
	last, _ = newest(x.wallNext, after, upTo)
	return first, last, true
}
