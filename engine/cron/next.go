package cron

import "time"

// Next returns the first tick strictly after after, both in unix milliseconds.
// ok is false if there is none: the years have run out.
func (x *Expr) Next(after int64) (tick int64, ok bool) {
	sec := seconds(after)
	t, ok := x.next(sec)
	if !ok {
		return 0, false
	}
	if t <= sec { // an owner that believed it would fire for ever
		faults.Add(1)
		return 0, false
	}
	return t * 1000, true
}

// seconds rounds milliseconds down, into the range in which there are ticks.
func seconds(ms int64) int64 {
	sec := ms / 1000
	if ms%1000 < 0 {
		sec--
	}
	return min(max(sec, minAfter), maxAfter)
}

func (x *Expr) next(after int64) (t int64, ok bool) {
	if x.follows || x.dst == Both {
		return x.nextShown(after)
	}
	return x.nextReached(after)
}

// nextReached is FireOnce and Skip for fixed times: a wall time fires when the
// clock first reaches it. What has been reached up to after has fired, the rest
// fires later, so there is nothing to search.
func (x *Expr) nextReached(after int64) (t int64, ok bool) {
	wall, ok := x.wallNext(x.reached(after))
	for ok {
		t, shown := x.reach(wall)
		if shown == wall || x.dst != Skip {
			return t, true
		}
		wall, ok = x.wallNext(shown - 1)
	}
	return 0, false
}

// nextShown ticks whenever the clock shows a matching wall time, segment by
// segment, and for fixed times also at the end of a gap that has one in it.
func (x *Expr) nextShown(after int64) (t int64, ok bool) {
	s := x.segmentAt(after)
	wall, ok := x.wallNext(after + s.off)
	for ok {
		if wall < s.wallEnd() {
			return wall - s.off, true
		}
		n := x.segmentAt(s.end)
		from := s.end + n.off
		inGap := wall < from
		if inGap && !x.follows {
			return s.end, true
		}
		if inGap || from < s.wallEnd() {
			wall, ok = x.wallNext(from - 1)
		}
		s = n
	}
	return 0, false
}

// wallNext returns the first matching wall time after wall, on a clock that never
// jumps.
func (x *Expr) wallNext(wall int64) (next int64, ok bool) {
	defer func() {
		if recover() != nil {
			faults.Add(1)
			next, ok = 0, false
		}
	}()
	t := x.fields.Next(time.Unix(wall, 0).UTC())
	return t.Unix(), !t.IsZero()
}

// Newest returns the last tick in (after, upTo], in unix milliseconds. cronexpr
// cannot look back, so it looks forward from places ever further back, then halves
// the rest: O(log(upTo-after)) calls of Next.
func (x *Expr) Newest(after, upTo int64) (tick int64, ok bool) {
	if t, ok := newest(x.next, seconds(after), seconds(upTo)); ok {
		return t * 1000, true
	}
	return 0, false
}

// newest is the last of next's values in (after, upTo].
func newest(next func(int64) (int64, bool), after, upTo int64) (t int64, ok bool) {
	hi := upTo // nothing in (hi, upTo]
	for step := int64(60); hi > after; step *= 2 {
		from := max(after, upTo-step)
		if t, ok = next(from); ok && t <= upTo {
			break
		}
		ok, hi = false, from
	}
	for ok && hi-t > 0 { // t is one, and the newest is in [t, hi]
		mid := t + (hi-t)/2
		if n, found := next(mid); found && n <= upTo {
			t = n
		} else {
			hi = mid
		}
	}
	return t, ok
}

// Count returns how many ticks lie in (after, upTo], in unix milliseconds, but at
// most atMost. It takes one call of Next for each.
func (x *Expr) Count(after, upTo int64, atMost int) (n int) {
	for n < atMost {
		t, ok := x.Next(after)
		if !ok || t > upTo {
			break
		}
		after = t
		n++
	}
	return n
}
