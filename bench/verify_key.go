package bench

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// key checks the limits of a flow-control key (QSTASH.md §8.7).
func (v *verification) key(l *laneRecord) {
	if l.parallelism > 0 {
		v.parallelism(l)
	}
	if l.rate == 0 || len(l.attempts) == 0 {
		return
	}
	at := make([]time.Duration, len(l.attempts))
	for i := range at {
		at[i] = l.attempts[i].came
	}
	tolerance := v.o.Tolerance
	if tolerance == 0 {
		tolerance = min(l.period/2, time.Second)
	}
	if _, bad := l.windows(at, tolerance); bad < len(at) {
		v.complain(l.attempts[bad].line, fmt.Errorf(
			"%w: %s: no windows of %v with %d attempts at most explain the %dth, number %d, even if an attempt takes up to %v to arrive",
			ErrLimit, l.name, l.period, l.rate, bad+1, l.attempts[bad].seq, tolerance))
		return
	}
	// The least delay that explains all, to a millisecond: with it windows are told from one another.
	need := time.Duration(sort.Search(int(tolerance/time.Millisecond), func(ms int) bool {
		_, bad := l.windows(at, time.Duration(ms)*time.Millisecond)
		return bad == len(at)
	})) * time.Millisecond
	v.Delay = max(v.Delay, need)
	sizes, _ := l.windows(at, need)
	for i := 1; i < len(sizes)-1; i++ {
		v.Shares = append(v.Shares, float64(sizes[i])/float64(l.rate))
	}
}

// parallelism checks how many attempts were under way at one time. What the receiver saw
// of an attempt lies within what the server saw, so no tolerance is needed.
func (v *verification) parallelism(l *laneRecord) {
	ends := make([]time.Duration, 0, len(l.attempts))
	for i := range l.attempts {
		ends = append(ends, l.attempts[i].ended)
	}
	slices.Sort(ends)
	ended := 0
	for i := range l.attempts { // by when they came
		a := &l.attempts[i]
		for ended < i && ends[ended] <= a.came {
			ended++
		}
		open := i + 1 - ended
		v.InFlight = max(v.InFlight, float64(open)/float64(l.parallelism))
		if open > l.parallelism {
			v.complain(a.line, fmt.Errorf("%w: %s: number %d is one of %d attempts at one time, %d are allowed", ErrLimit, l.name, a.seq, open, l.parallelism))
		}
	}
}

// windows explains arrivals, which are in order, by attempts that began within delay before
// them and kept the rate. It returns how many lie in each window, and the first arrival
// that cannot be explained, or len(at).
func (l *lane) windows(at []time.Duration, delay time.Duration) (sizes []int, bad int) {
	if l.sliding {
		return slidingWindows(at, l.rate, l.period, delay)
	}
	return fixedWindows(at, l.rate, l.period, delay)
}

// fixedWindows: a window begins with an attempt, at least a period after the one before.
//
// begins[i] is the earliest moment at which a window may have begun whose first attempt is
// the i-th. From such a window, with one member more after the other, follows when the
// next may begin. A later begin is as possible as an earlier one, up to the arrival, so
// the earliest is all that needs to be known. Some order of the attempts that the arrivals
// allow keeps the windows' members together, since all have the same delay to spare.
func fixedWindows(at []time.Duration, rate int, period, delay time.Duration) (sizes []int, bad int) {
	n := len(at)
	begins, from := make([]time.Duration, n), make([]int, n)
	for i := range begins {
		begins[i] = never
	}
	begins[0] = at[0] - delay
	last := 0 // the window that reaches furthest
	for i := range n {
		if begins[i] == never {
			continue
		}
		for k := i; k < n && k < i+rate; k++ { // its last member
			begin := max(begins[i], at[k]-delay-period+1) // the member began before the window's end
			if begin > at[i] {
				break
			}
			if k+1 > bad {
				bad, last = k+1, i
			}
			if k+1 == n {
				break
			}
			if next := max(begin+period, at[k+1]-delay); next <= at[k+1] && next < begins[k+1] {
				begins[k+1], from[k+1] = next, i
			}
		}
	}
	for i, end := last, bad; ; i, end = from[i], i {
		sizes = append(sizes, end-i)
		if i == 0 {
			break
		}
	}
	slices.Reverse(sizes)
	return sizes, bad
}

// slidingWindows: no stretch of a period holds more than the rate, so an attempt begins a
// period after the one that is the rate before it. Sizes are those of the stretches that
// follow one another.
func slidingWindows(at []time.Duration, rate int, period, delay time.Duration) (sizes []int, bad int) {
	began := make([]time.Duration, len(at))
	first := 0 // of the stretch
	for i := range at {
		began[i] = at[i] - delay
		if i >= rate {
			began[i] = max(began[i], began[i-rate]+period)
		}
		if began[i] > at[i] {
			return append(sizes, i-first), i
		}
		if began[i] >= began[first]+period {
			sizes, first = append(sizes, i-first), i
		}
	}
	return append(sizes, len(at)-first), len(at)
}
