package engine

import (
	"math"

	"github.com/tidemill/tidemill/engine/cron"
	"github.com/tidemill/tidemill/engine/record"
)

// tickPlan says what is to be logged of a schedule now: a tick is published, or ticks
// were missed, or, if neither, nothing is due before next.
type tickPlan struct {
	publish int64 // the tick, unix ms, 0: none

	from, to int64 // missed: the first and the last, 0: none
	count    int   // of them, at most missedCountMax
	more     bool

	next int64 // the tick after all that, 0: there is none

	// With MissedAll: ticks up to here were looked at, and those that are left are
	// caught up. Whoever plans the next of them says so, or each is counted again.
	caught int64
}

// missedCountMax bounds the counting of missed ticks, which is one by one: a year of
// seconds would take half a minute.
const missedCountMax = 10_000

// planTicks decides by the policy for missed ticks (P28). last is the tick up to which
// all is decided, now the clock's reading less the schedule's jitter; both unix ms.
// caught is what the plan before said, or 0.
//
// What is missed is decided first, in one record; the ticks that are caught up or due
// follow one by one, oldest first, each with a plan of its own.
func planTicks(x *cron.Expr, last, now, caught int64, r *TimeRules) tickPlan {
	first, ok := x.Next(last)
	if !ok {
		return tickPlan{}
	}
	if first > now {
		return tickPlan{next: first}
	}
	late := now - MissedAfter.Milliseconds()
	if first > late {
		return tickPlan{publish: first, next: nextTick(x, first)}
	}
	if first > caught || first < now-r.MissedWindow.Milliseconds() {
		if to, ok := givenUp(x, last, late, now, r); ok {
			p := tickPlan{from: first, to: to, count: x.Count(last, to, missedCountMax+1), next: nextTick(x, to)}
			if p.more = p.count > missedCountMax; p.more {
				p.count = missedCountMax
			}
			return p
		}
		if r.Missed == MissedAll {
			caught = late
		}
	}
	return tickPlan{publish: first, next: nextTick(x, first), caught: caught}
}

// givenUp returns the newest of the ticks after last that nobody will catch up. Those
// up to late are missed.
func givenUp(x *cron.Expr, last, late, now int64, r *TimeRules) (to int64, ok bool) {
	newest, _ := x.Newest(last, late)
	keep := int64(math.MaxInt64) // the first of them to be caught up
	switch since := now - r.MissedWindow.Milliseconds(); r.Missed {
	case MissedLatest:
		if fresh, ok := x.Next(newest); (!ok || fresh > now) && newest >= since {
			keep = newest
		}
	case MissedAll:
		keep = nthNewest(x, max(last, since-1), late, r.MissedMax)
	}
	if keep > newest {
		return newest, true
	}
	return x.Newest(last, keep-1)
}

// nthNewest returns the oldest of the newest n ticks in (after, upTo], MaxInt64 if
// there are none.
func nthNewest(x *cron.Expr, after, upTo int64, n int) int64 {
	if x.Count(after, upTo, n+1) > n {
		for low, high := after, upTo; low+1 < high; { // more than n after low, at most n after high
			if mid := low + (high-low)/2; x.Count(mid, upTo, n+1) > n {
				low = mid
			} else {
				high, after = mid, mid
			}
		}
	}
	if t, ok := x.Next(after); ok && t <= upTo {
		return t
	}
	return math.MaxInt64
}

func nextTick(x *cron.Expr, after int64) int64 {
	t, _ := x.Next(after)
	return t
}

// rulesOf returns the rules of a definition.
func rulesOf(d *record.Schedule) TimeRules {
	return TimeRules{
		Seconds: d.Flags&record.FlagSeconds != 0, DST: cron.DST(d.DST), Missed: Missed(d.Missed),
		MissedMax: int(d.MissedMax), MissedWindow: millis(d.Window), Jitter: millis(int64(d.Jitter)),
	}
}

func (r *TimeRules) cronOptions() cron.Options { return cron.Options{Seconds: r.Seconds, DST: r.DST} }

// exprs are parsed expressions. An expression has one owner, which this is part of.
type exprs struct {
	byText map[exprKey]*cron.Expr
}

type exprKey struct {
	text string
	cron.Options
}

// exprsMax bounds the expressions that are kept parsed; a few kilobytes each.
const exprsMax = 1024

func (c *exprs) get(text string, o cron.Options) (*cron.Expr, error) {
	k := exprKey{text, o}
	if x := c.byText[k]; x != nil {
		return x, nil
	}
	x, err := cron.Parse(text, o)
	if err != nil {
		return nil, err
	}
	if c.byText == nil || len(c.byText) >= exprsMax {
		c.byText = make(map[exprKey]*cron.Expr)
	}
	c.byText[k] = x
	return x, nil
}
