package main

import (
	"fmt"
	"slices"
	"time"
)

// lineFlow is a flow-control key. Parallelism is checked as attempts come, exactly, since
// an attempt counts in the life of the server that made it. Windows are checked at the end:
// the server counts when attempts begin, and the destination sees when they arrive.
type lineFlow struct {
	key         string
	rate        int
	period      time.Duration
	sliding     bool
	parallelism int

	open, most int
	over       bool    // its windows were reset: nothing of what follows counts
	at         []int64 // arrivals, unix ms, in order
}

// value is the key's Upstash-Flow-Control-Value.
func (f *lineFlow) value() string {
	switch {
	case f.rate == 0:
		return fmt.Sprintf("parallelism=%d", f.parallelism)
	case f.parallelism == 0:
		return fmt.Sprintf("rate=%d,period=%s", f.rate, f.period)
	}
	return fmt.Sprintf("rate=%d,period=%s,parallelism=%d", f.rate, f.period, f.parallelism)
}

// beginLocked notes that an attempt of a key has come.
func (b *lineBook) beginLocked(f *lineFlow, at time.Time) {
	f.open++
	f.most = max(f.most, f.open)
	if f.parallelism > 0 && f.open > f.parallelism {
		b.complainLocked("parallelism", "%s: %d attempts at once", f.key, f.open)
	}
	if !f.over {
		f.at = append(f.at, at.UnixMilli())
	}
}

// tolerance is by how much an attempt may come later than it began: a fixed window is told
// from the next, and a stretch of a sliding one is full, by times that are right to this.
func (f *lineFlow) tolerance() time.Duration { return min(f.period/2, time.Second) }

// excess returns how many stretches hold more than they may, and which tolerance would
// have done.
//
// With a jitter of j, attempts that came within d began within d+j. In the sliding mode a
// stretch of less than k periods holds at most k times the rate, so from an attempt to the
// one k·rate later it is k periods. Fixed windows begin with an attempt, at least a period
// after the one before, so a stretch of that length may have one more: at most 2·rate
// within a period, and the rate on average.
func (f *lineFlow) excess() (n int, need time.Duration) {
	if f.rate == 0 {
		return 0, 0
	}
	spare := 1
	if f.sliding {
		spare = 0
	}
	for k := 1 + spare; k*f.rate < len(f.at); k++ {
		for i := 0; i+k*f.rate < len(f.at); i++ {
			short := time.Duration(k-spare)*f.period - time.Duration(f.at[i+k*f.rate]-f.at[i])*time.Millisecond
			if need = max(need, short); short > f.tolerance() {
				n++
			}
		}
	}
	return n, need
}

// endWindows is called before the windows are reset: what comes from now on does not count.
func (b *lineBook) endWindows(flows []*lineFlow) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range flows {
		f.over = true
		slices.Sort(f.at) // requests that come at once are noted in any order
	}
}
