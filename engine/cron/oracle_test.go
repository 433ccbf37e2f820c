package cron

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// The oracle looks at the local clock, minute by minute of real time (second by
// second where an expression has seconds, and wherever the offset changes), and
// asks of each moment whether the rule of the package comment makes it a tick. It
// shares no code with the package and none with cronexpr: it has its own reading
// of a field, its own calendar and no notion of a zone's transitions.

// batch is up to 64 expressions; bit i of every mask stands for texts[i].
type batch struct {
	texts   []string
	fields  [][]string // second, minute, hour, day of month, month, day of week, year
	follows uint64
	sec     [60]uint64
	min     [60]uint64
	hour    [24]uint64
	date    int64 // the day, since 1970, that days is about
	days    uint64
	grain   int64 // 60 if no expression has seconds, else 1
}

func newBatch(texts ...string) *batch {
	b := &batch{texts: texts, grain: 60, date: -1 << 40}
	for i, text := range texts {
		f := strings.Fields(text)
		switch len(f) {
		case 5:
			f = append(append([]string{"0"}, f...), "*")
		case 6:
			f, b.grain = append(f, "*"), 1
		case 7:
			b.grain = 1
		}
		b.fields = append(b.fields, f)
		for v := range oracleSet(f[0], 0, 59, "") {
			b.sec[v] |= 1 << i
		}
		for v := range oracleSet(f[1], 0, 59, "") {
			b.min[v] |= 1 << i
		}
		hours := oracleSet(f[2], 0, 23, "")
		for v := range hours {
			b.hour[v] |= 1 << i
		}
		steps := strings.ReplaceAll(f[2]+",", "/1,", ",") // a step of 1 is no step
		if strings.ContainsAny(steps, "*/") || len(hours) == 24 {
			b.follows |= 1 << i
		}
	}
	return b
}

// oracleSet reads lists of *, ?, a, a-b and these with a step.
func oracleSet(text string, lo, hi int, names string) map[int]bool {
	number := func(s string) int {
		if n, err := strconv.Atoi(s); err == nil {
			return n
		}
		return lo + strings.Index(names, strings.ToLower(s))/3
	}
	set := map[int]bool{}
	for _, item := range strings.Split(text, ",") {
		ends, stepText, stepped := strings.Cut(item, "/")
		from, to, ranged := strings.Cut(ends, "-")
		a, b, step := lo, hi, 1
		if from != "*" && from != "?" {
			a = number(from)
			if ranged {
				b = number(to)
			} else if !stepped {
				b = a
			}
		}
		if stepped {
			step, _ = strconv.Atoi(stepText)
		}
		for v := a; v <= b; v += step {
			set[v] = true
		}
	}
	return set
}

// matches returns the expressions whose fields match the wall time.
func (b *batch) matches(wall int64) uint64 {
	day := wall / 86400 // oracle times are after 1970
	if day != b.date {
		b.date, b.days = day, 0
		date := time.Unix(wall, 0).UTC()
		for i, f := range b.fields {
			if dayMatches(f, date) {
				b.days |= 1 << i
			}
		}
	}
	s := wall % 86400
	return b.days & b.hour[s/3600] & b.min[s/60%60] & b.sec[s%60]
}

func dayMatches(f []string, date time.Time) bool {
	if !oracleSet(f[6], 1970, 2099, "")[date.Year()] ||
		!oracleSet(f[4], 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec")[int(date.Month())] {
		return false
	}
	anyDom := f[3] == "*" || f[3] == "?"
	anyDow := f[5] == "*" || f[5] == "?"
	dom, dow := monthDayMatches(f[3], date), weekdayMatches(f[5], date)
	if anyDom || anyDow {
		return dom && dow
	}
	return dom || dow
}

func lastDay(date time.Time) int {
	return time.Date(date.Year(), date.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func monthDayMatches(text string, date time.Time) bool {
	last := lastDay(date)
	for _, item := range strings.Split(strings.ToLower(text), ",") {
		hit := false
		switch day, working := strings.CutSuffix(item, "w"); {
		case item == "l":
			hit = date.Day() == last
		case item == "lw":
			hit = date.Day() == workingDay(last, date)
		case working:
			n, _ := strconv.Atoi(day)
			hit = n <= last && date.Day() == workingDay(n, date)
		default:
			hit = oracleSet(item, 1, 31, "")[date.Day()]
		}
		if hit {
			return true
		}
	}
	return false
}

// workingDay is the day from Monday to Friday nearest to day in date's month.
func workingDay(day int, date time.Time) int {
	for away := 0; ; away++ {
		for _, d := range []int{day - away, day + away} {
			when := time.Date(date.Year(), date.Month(), d, 0, 0, 0, 0, time.UTC)
			if wd := when.Weekday(); when.Month() == date.Month() && wd != time.Saturday && wd != time.Sunday {
				return d
			}
		}
	}
}

func weekdayMatches(text string, date time.Time) bool {
	const names = "sunmontuewedthufrisat"
	for _, item := range strings.Split(strings.ToLower(text), ",") {
		last, isLast := strings.CutSuffix(item, "l")
		day, week, isNth := strings.Cut(item, "#")
		hit := false
		switch wd := int(date.Weekday()); {
		case isLast:
			set := oracleSet(last, 0, 6, names)
			hit = (set[wd] || set[wd+7]) && date.Day()+7 > lastDay(date)
		case isNth:
			set := oracleSet(day, 0, 6, names)
			hit = (set[wd] || set[wd+7]) && strconv.Itoa((date.Day()+6)/7) == week
		default:
			set := oracleSet(item, 0, 6, names)
			hit = set[wd] || set[wd+7]
		}
		if hit {
			return true
		}
	}
	return false
}

// walk calls tick for every moment in (from, to], in unix seconds, with the
// expressions that tick then under each rule. It starts three days early to learn
// what the clock has shown: no clock was ever set back by more.
func (b *batch) walk(loc *time.Location, from, to int64, tick func(t int64, under [3]uint64)) {
	shows := func(t int64) int64 {
		_, off := time.Unix(t, 0).In(loc).Zone()
		return t + int64(off)
	}
	t := from - 3*86400
	wall := shows(t)
	latest := wall // of all wall times shown so far
	for t < to {
		before := wall
		step := b.grain - wall%b.grain
		if t < from {
			step = min(60, from-t)
		}
		if wall = shows(t + step); wall != before+step {
			step = 1 // something happens in between: look closely
			wall = shows(t + step)
		}
		t += step
		var under [3]uint64
		if wall%b.grain == 0 {
			shown := b.matches(wall)
			for i := range under {
				under[i] = shown & b.follows
			}
			under[Both] = shown
			if wall > latest {
				under[Skip] |= shown
			}
		}
		under[FireOnce] |= b.anyIn(latest, wall) &^ b.follows
		under[Both] |= b.anyIn(before, wall) &^ b.follows
		latest = max(latest, wall)
		if t > from && under != [3]uint64{} {
			tick(t, under)
		}
	}
}

// anyIn returns the expressions that match a wall time in (after, upTo].
func (b *batch) anyIn(after, upTo int64) (mask uint64) {
	for w := after - after%b.grain + b.grain; w <= upTo; w += b.grain {
		mask |= b.matches(w)
	}
	return mask
}

// compare asks the package for the ticks of (from, to] and returns what differs
// from the oracle's, at most a few lines, and how many ticks there were.
func (b *batch) compare(zone string, from, to int64) (ticks int, diffs []string) {
	type run struct {
		x          *Expr
		last, next int64
	}
	r := rand.New(rand.NewPCG(uint64(from), uint64(to)))
	runs := make([]run, 3*len(b.texts))
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return 0, []string{err.Error()}
	}
	for i := range runs {
		text := "CRON_TZ=" + zone + " " + b.texts[i/3]
		x, err := Parse(text, optionsFor(text, DST(i%3)))
		if err != nil {
			return 0, []string{err.Error()}
		}
		runs[i] = run{x: x, last: from * 1000}
		runs[i].next, _ = x.Next(from * 1000)
	}
	differ := func(r *run, t, after, got int64) {
		if got != t && len(diffs) < 5 {
			diffs = append(diffs, fmt.Sprintf("%s (%s): the oracle ticks at %s, Next after %s is %s",
				r.x, r.x.dst, show(r.x, t), show(r.x, after), show(r.x, got)))
		}
	}
	check := func(run *run, t int64) {
		ticks++
		differ(run, t, run.last, run.next)
		for probe := 0; probe < 4 && t-run.last >= 1800_000; probe++ { // also from in between
			after := run.last + r.Int64N(t-run.last)
			got, _ := run.x.Next(after)
			differ(run, t, after, got)
		}
		run.last = t
		run.next, _ = run.x.Next(t)
	}
	b.walk(loc, from, to, func(t int64, under [3]uint64) {
		for d, mask := range under {
			for ; mask != 0; mask &= mask - 1 {
				check(&runs[3*bits.TrailingZeros64(mask)+d], t*1000)
			}
		}
	})
	for _, r := range runs {
		if r.next != 0 && r.next <= to*1000 && len(diffs) < 5 {
			diffs = append(diffs, r.x.String()+" ("+r.x.dst.String()+"): only Next ticks at "+show(r.x, r.next))
		}
	}
	return ticks, diffs
}
