package bench

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// The distribution against counting all orders, and the critical values against the tables
// of the Mann-Whitney test at 5 %, two-sided.
func TestRankSums(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for m := 1; m <= 4; m++ {
			want := make([]float64, n*m+1)
			for set := range 1 << (n + m) { // the places of the first kind
				places, wrong := 0, 0
				for i := range n + m {
					if set>>i&1 == 1 {
						wrong += i - places // of the second kind, below it
						places++
					}
				}
				if places == n {
					want[wrong]++
				}
			}
			if got := rankSums(n, m); !slices.Equal(got, want) {
				t.Errorf("%d and %d: %v, want %v", n, m, got, want)
			}
		}
	}
	for _, c := range []struct{ n, m, want int }{
		{1, 30, -1},
		{3, 3, -1},
		{3, 5, 0},
		{4, 4, 0},
		{5, 5, 2},
		{5, 8, 6},
		{10, 10, 23},
		{20, 20, 127},
	} {
		if got := trimmed(c.n, c.m); got != c.want {
			t.Errorf("%d and %d: %d, want %d", c.n, c.m, got, c.want)
		}
	}
	exact, near := trimmed(30, 30), trimmed(31, 31)
	if near <= exact || near > exact+35 {
		t.Errorf("%d at 30, %d at 31: the approximation does not go on from the exact values", exact, near)
	}
}

func TestShift(t *testing.T) {
	five := []float64{100, 102, 98, 101, 99}
	twice := []float64{200, 204, 196, 202, 198}
	middle, low, high, ok := shift(five, twice)
	if !ok || middle != 2 || low <= 1.9 || high >= 2.1 {
		t.Errorf("twice as much: %v (%v to %v) %v", middle, low, high, ok)
	}
	if middle, low, high, ok = shift(five, five); !ok || middle != 1 || low >= 1 || high <= 1 {
		t.Errorf("the same: %v (%v to %v) %v", middle, low, high, ok)
	}
	if middle, low, high, ok = shift(five[:3], twice[:3]); ok || middle != 2 || low != 196./102 || high != 204./98 {
		t.Errorf("three rounds: %v (%v to %v) %v", middle, low, high, ok)
	}
	// One round of eight that was disturbed hides no difference of all others; one of five
	// makes none.
	eight := append([]float64{97, 103, 100}, five...)
	if _, low, _, _ = shift(eight, append([]float64{20, 203, 200}, twice...)); low <= 1 {
		t.Errorf("an outlier hides a difference: from %v", low)
	}
	if _, low, high, _ = shift(five, []float64{100, 101, 1000, 99, 98}); low > 1 || high < 1 {
		t.Errorf("an outlier makes a difference: %v to %v", low, high)
	}
}

// Noise alone is called a difference about as seldom as was promised, and the interval holds
// the true ratio as often; both for noise with the outliers of a shared machine.
func TestNoiseIsNoDifference(t *testing.T) {
	const seed, trials = 42, 4000
	rng := rand.New(rand.NewPCG(seed, seed))
	noisy := func(middle float64) []float64 {
		out := make([]float64, 5)
		for i := range out {
			out[i] = middle * math.Exp(0.1*rng.NormFloat64())
			if rng.IntN(10) == 0 {
				out[i] /= 2
			}
		}
		return out
	}
	marked, missed := 0, 0
	for range trials {
		if d := difference(finding{values: noisy(100)}, finding{values: noisy(100)}); d.Differs() {
			marked++
		}
		if _, low, high, _ := shift(noisy(100), noisy(130)); low > 1.3 || high < 1.3 {
			missed++
		}
	}
	if most := trials * 5 / 100; marked > most || missed > most || marked == 0 {
		t.Errorf("seed %d: of %d pairs %d were marked and %d intervals missed, want 1 to %d", seed, trials, marked, missed, most)
	}
}

// faster is testReport with five rounds and every rate multiplied.
func faster(rate, cpu float64) *Report {
	r := testReport()
	run := &r.Runs[0]
	for i := range run.Sides {
		s := &run.Sides[i]
		factor := 1.0
		if i == 0 {
			factor = rate
		}
		s.Rounds = nil
		for k := range 5 {
			noise := 1 + float64((k*7+i*3)%5-2)/200
			s.Rounds = append(s.Rounds, Round{
				Rate: 500 * factor * noise, P50: time.Millisecond, P99: 3 * time.Millisecond,
				CPU: time.Duration(15000 * cpu * noise), Messages: 1000,
			})
		}
	}
	run.Ratios = []Ratio{rates(&run.Sides[0], &run.Sides[1])}
	return r
}

func TestCompare(t *testing.T) {
	c, err := Compare(faster(1, 1), faster(1.5, 1.2))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"server / echo": "better", "server rate": "better", "server CPU/message": "worse",
		"echo rate": "", "server p50": "", "echo p99": "", "echo CPU/message": "worse", "time to start": "",
		"server: bytes to disk for each body byte, whole run": "",
	}
	seen := 0
	for _, d := range c.Rows {
		if verdict, ok := want[d.What]; ok {
			if seen++; d.Verdict() != verdict {
				t.Errorf("%s is %q, want %q: %+v", d.What, d.Verdict(), verdict, d)
			}
		}
		if d.What == "server rate" && (math.Abs(d.Ratio-1.5) > 0.02 || d.Low > 1.5 || d.High < 1.5) {
			t.Errorf("a rate that is half as much again: %+v", d)
		}
	}
	if seen != len(want) || len(c.Warnings) != 0 {
		t.Errorf("%d of %d rows, warnings %q", seen, len(want), c.Warnings)
	}
	if back, err := Compare(faster(1.5, 1.2), faster(1, 1)); err != nil || back.Rows[0].Verdict() != "worse" {
		t.Errorf("the other way round: %+v, %v", back.Rows[0], err)
	}
	var text bytes.Buffer
	if err := errors.Join(c.WriteText(&text)); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", text.Bytes())
}

func TestCompareRefuses(t *testing.T) {
	for name, change := range map[string]func(*Report){
		"the other of deliver":          func(r *Report) { r.Scenario = "deliver" },
		"256 bytes, and with bodies of": func(r *Report) { r.BodyBytes = 1024 },
		"no number of producers":        func(r *Report) { r.Runs[0].Concurrency = 65 },
		"with a side of the same name":  func(r *Report) { r.Runs[0].Name = "another comparison" },
	} {
		other := faster(1, 1)
		change(other)
		if _, err := Compare(faster(1, 1), other); !errors.Is(err, ErrIncomparable) || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
	other := faster(1, 1)
	other.Machine = Machine{Name: "other", CPU: "Z80"}
	other.CPUs, other.Fsync = 1, "interval=1s"
	c, err := Compare(faster(1, 1), other)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"machine: box, then other", "processor: AMD EPYC, then Z80", "number of CPUs: 2, then 1", "kernel: Linux 6.18.5, then not known", "fsync: always, then interval=1s"} {
		if !slices.Contains(c.Warnings, want) {
			t.Errorf("no warning %q in %q", want, c.Warnings)
		}
	}
}

// What could not be measured, or is nothing, is shown and not judged.
func TestCompareOfZeros(t *testing.T) {
	zeros := faster(1, 1)
	for i := range zeros.Runs[0].Sides[0].Rounds {
		zeros.Runs[0].Sides[0].Rounds[i].P50 = 0
		zeros.Runs[0].Sides[0].Rounds[i].CPU = 0
	}
	c, err := Compare(zeros, zeros)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Rows {
		if d.What == "server CPU/message" || math.IsNaN(d.Ratio) || d.Differs() {
			t.Errorf("%+v", d)
		}
		if d.What == "server p50" && (d.Known || d.rangeText() != "-") {
			t.Errorf("%+v", d)
		}
	}
}

func TestCompareAll(t *testing.T) {
	deliver := faster(1, 1)
	deliver.Scenario = "deliver"
	pull := faster(1, 1)
	pull.Scenario = "pull"
	all, alone, err := CompareAll([]*Report{deliver, faster(1, 1)}, []*Report{faster(2, 1), pull})
	if err != nil || len(all) != 1 || all[0].Scenario != "publish" || fmt.Sprint(alone) != "[pull deliver]" {
		t.Fatalf("%v, %v, %v", all, alone, err)
	}
	empty := &Report{Scenario: "peers"}
	if all, alone, err := CompareAll([]*Report{pull, empty}, []*Report{pull, empty}); err != nil || len(all) != 1 || fmt.Sprint(alone) != "[peers peers]" {
		t.Errorf("one without runs: %v, %v, %v", all, alone, err)
	}
	if _, _, err := CompareAll([]*Report{deliver}, []*Report{pull}); !errors.Is(err, ErrIncomparable) {
		t.Errorf("nothing in both: %v", err)
	}
	named := func(file string, rate float64) *Report {
		r := faster(rate, 1)
		r.file = file
		return r
	}
	all, alone, err = CompareAll([]*Report{named("publish", 1), named("small", 1), named("gone", 1)}, []*Report{named("small", 2), named("publish", 1)})
	if err != nil || len(all) != 2 || fmt.Sprint(alone) != "[publish (gone)]" {
		t.Fatalf("several of one scenario: %v, %v, %v", all, alone, err)
	}
	if all[0].Scenario != "publish (small)" || all[0].Rows[0].Verdict() != "better" || all[1].Rows[0].Verdict() != "" {
		t.Errorf("they were mixed up: %+v", all[0])
	}
}
