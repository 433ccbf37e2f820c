package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrIncomparable says that two reports are not of the same measurement.
var ErrIncomparable = errors.New("these reports cannot be compared")

// Comparison is what changed from one run of a scenario to another.
type Comparison struct {
	Scenario string   // and the name of the file, where that is another
	Warnings []string // what differed beside the program
	Rows     []Difference
}

// Difference is one value in both runs.
type Difference struct {
	Run      string // the producers, and what is compared if there are several comparisons
	What     string
	Unit     string
	Old, New float64 // medians of the rounds

	// New over old, with an interval that holds the true ratio in 19 of 20 comparisons
	// (shift). Known is false if a value was not positive, and then there is no ratio.
	// Judged is false if there are too few rounds; the interval is then the range that
	// was seen, and nothing follows from it.
	Ratio, Low, High float64
	Known, Judged    bool

	better int // 1: more is better; -1: less is; 0: who knows
}

// Differs says whether there is more to it than the noise of the rounds.
func (d *Difference) Differs() bool { return d.Judged && (d.Low > 1 || d.High < 1) }

// Verdict is better, worse or differs, and "" where nothing is to be said.
func (d *Difference) Verdict() string {
	switch {
	case !d.Differs():
		return ""
	case d.better == 0:
		return "differs"
	case (d.Ratio > 1) == (d.better > 0):
		return "better"
	}
	return "worse"
}

// Compare compares two runs of one scenario, round against round. Rates and latencies of
// another hour say little, since a machine that is shared changes by itself: the ratios to
// a reference of the same run come first, as what that cancels out of. It fails with
// ErrIncomparable if scenario or bodies differ, or nothing is in both; another machine, or
// another setting, is a warning.
func Compare(before, after *Report) (*Comparison, error) {
	switch {
	case before.Scenario != after.Scenario:
		return nil, fmt.Errorf("%w: one is of %s, the other of %s", ErrIncomparable, before.Scenario, after.Scenario)
	case before.BodyBytes != after.BodyBytes:
		return nil, fmt.Errorf("%w: %s with bodies of %d bytes, and with bodies of %d",
			ErrIncomparable, before.Scenario, before.BodyBytes, after.BodyBytes)
	}
	c := &Comparison{Scenario: after.title(), Warnings: warnings(before, after)}
	was := findings(before)
	for _, now := range findings(after) {
		i := slices.IndexFunc(was, func(s finding) bool {
			return s.run == now.run && s.what == now.what && s.unit == now.unit
		})
		if i >= 0 {
			c.Rows = append(c.Rows, difference(was[i], now))
			was = slices.Delete(was, i, i+1) // a name may come twice
		}
	}
	if len(c.Rows) == 0 {
		return nil, fmt.Errorf("%w: %s, and no number of producers with a side of the same name is in both", ErrIncomparable, c.Scenario)
	}
	return c, nil
}

// CompareAll compares two sets of reports by scenario, and by the names of their files where
// a set has several of one scenario. Those that are in one set only are left out and named; if
// that is all of them, it fails.
func CompareAll(before, after []*Report) (all []*Comparison, alone []string, err error) {
	matched := make(map[*Report]bool)
	for _, r := range after {
		old := match(r, before, after)
		if old == nil {
			alone = append(alone, r.title())
			continue
		}
		matched[old] = true
		c, err := Compare(old, r)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, c)
	}
	for _, r := range before {
		if !matched[r] {
			alone = append(alone, r.title())
		}
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("%w: no scenario is in both", ErrIncomparable)
	}
	return all, alone, nil
}

// match finds the report of before that one of after is to be compared with: the only one of
// its scenario in both, or the one with the same name.
func match(r *Report, before, after []*Report) *Report {
	was, now := scenario(before, r.Scenario), scenario(after, r.Scenario)
	if len(was) == 1 && len(now) == 1 {
		return was[0]
	}
	if i := slices.IndexFunc(was, func(o *Report) bool { return o.file == r.file }); i >= 0 {
		return was[i]
	}
	return nil
}

// scenario are those of one, and not empty: none of the peers may have been installed.
func scenario(reports []*Report, name string) (some []*Report) {
	for _, r := range reports {
		if r.Scenario == name && len(r.Runs) > 0 {
			some = append(some, r)
		}
	}
	return some
}

// warnings name what differs and is not the program.
func warnings(before, after *Report) []string {
	var out []string
	note := func(what, was, now string) {
		if was != now {
			out = append(out, fmt.Sprintf("%s: %s, then %s", what, orUnknown(was), orUnknown(now)))
		}
	}
	note("machine", before.Machine.Name, after.Machine.Name)
	note("processor", before.Machine.CPU, after.Machine.CPU)
	note("number of CPUs", fmt.Sprint(before.CPUs), fmt.Sprint(after.CPUs))
	note("platform", before.GOOS+"/"+before.GOARCH, after.GOOS+"/"+after.GOARCH)
	note("kernel", before.Machine.Kernel, after.Machine.Kernel)
	note("data directory", before.Machine.storage(), after.Machine.storage())
	note("Go", before.Machine.Go, after.Machine.Go)
	note("fsync", before.Fsync, after.Fsync)
	note("length of a round", before.Round.String(), after.Round.String())
	return out
}

func orUnknown(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

// finding is one value with what it was in each round.
type finding struct {
	run, what, unit string
	better          int
	values          []float64
}

// findings takes a report apart: ratios first, then the sides, then the figures.
func findings(r *Report) []finding {
	var out []finding
	for i := range r.Runs {
		run := &r.Runs[i]
		add := func(what, unit string, better int, values []float64) {
			if len(values) > 0 {
				out = append(out, finding{run.title(), what, unit, better, values})
			}
		}
		for _, q := range run.Ratios {
			add(q.title(), "", q.better(), q.each())
		}
		for _, s := range run.Sides {
			add(s.Name+" rate", r.Unit, 1, pick(s.Rounds, func(q Round) float64 { return q.Rate }))
			add(s.Name+" p50", "ms", -1, pick(s.Rounds, func(q Round) float64 { return inMillis(q.P50) }))
			add(s.Name+" p99", "ms", -1, pick(s.Rounds, func(q Round) float64 { return inMillis(q.P99) }))
			add(s.Name+" CPU/message", "us", -1, known(s.Rounds, func(q Round) float64 { return inMicros(q.CPU) }))
			add(s.Name+" harness/message", "us", -1, known(s.Rounds, func(q Round) float64 { return inMicros(q.Harness) }))
		}
		for _, f := range run.Figures {
			add(f.Name, f.Unit, 0, f.Values)
		}
	}
	return out
}

// each is the value of each round, or the only one that is known.
func (q *Ratio) each() []float64 {
	if len(q.Values) > 0 {
		return q.Values
	}
	return []float64{q.Median}
}

func (q *Ratio) better() int {
	switch {
	case q.What == "", q.What == "goodput":
		return 1
	case q.What == "p50", q.What == "p99", strings.HasPrefix(q.What, "CPU"):
		return -1
	}
	return 0
}

// known is f of the rounds, or nothing if it is 0, which is unknown, in one of them.
func known(rounds []Round, f func(Round) float64) []float64 {
	values := pick(rounds, f)
	if slices.Contains(values, 0) {
		return nil
	}
	return values
}

// difference judges one value.
func difference(was, now finding) Difference {
	d := Difference{
		Run: now.run, What: now.what, Unit: now.unit, better: now.better,
		Old: median(was.values), New: median(now.values),
	}
	if slices.Min(was.values) <= 0 || slices.Min(now.values) <= 0 {
		return d
	}
	d.Known = true
	d.Ratio, d.Low, d.High, d.Judged = shift(was.values, now.values)
	return d
}
