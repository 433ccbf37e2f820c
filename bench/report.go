package bench

import (
	"fmt"
	"runtime"
	"slices"
	"time"
)

// reportFormat is the version of a report's JSON. Fields are added without a new one.
const reportFormat = 1

// Report is what a run found out. A saved one is read with ReadReport.
type Report struct {
	Format    int           `json:"format"`
	Scenario  string        `json:"scenario"` // publish, deliver, batch, delayed, ...: what comes after "bench"
	Unit      string        `json:"unit"`     // of the rates
	Started   time.Time     `json:"started"`
	Took      time.Duration `json:"took_ns"`
	Build     string        `json:"build,omitempty"` // of the harness and of the server that it started
	Fsync     string        `json:"fsync,omitempty"` // the server's
	Machine   Machine       `json:"machine"`
	GOOS      string        `json:"goos"`
	GOARCH    string        `json:"goarch"`
	CPUs      int           `json:"cpus"`
	BodyBytes int           `json:"body_bytes"`
	Rounds    int           `json:"rounds"`
	Round     time.Duration `json:"round_ns"`
	Runs      []Run         `json:"runs"`
	Peers     []PeerInfo    `json:"peers,omitempty"` // those that were looked for

	began time.Time // with its monotonic clock
	file  string    // that it was read from, without folder and extension
}

// title is the scenario, and the name of the file of one that is called otherwise: a scenario
// with other flags.
func (r *Report) title() string {
	if r.file == "" || r.file == r.Scenario {
		return r.Scenario
	}
	return r.Scenario + " (" + r.file + ")"
}

// Run is a comparison at one number of producers.
type Run struct {
	Name        string   `json:"name,omitempty"` // what is compared, in a report of several comparisons
	Concurrency int      `json:"concurrency"`
	Sides       []Side   `json:"sides"`
	Ratios      []Ratio  `json:"ratios"`
	Figures     []Figure `json:"figures,omitempty"`
}

// Figure is something measured that is neither a rate nor a latency of a side: seconds to
// start, bytes for each message, the share of a limit that was used. Each round has one
// value.
type Figure struct {
	Name   string    `json:"name"` // what it is, in words: "resident memory for each message"
	Unit   string    `json:"unit"` // B, s, or "" for a ratio
	Values []float64 `json:"values"`
}

// Side is one side of a comparison, over all rounds.
type Side struct {
	Name       string        `json:"name"`
	Rate       float64       `json:"rate"`   // median of the rounds, messages per second
	P50        time.Duration `json:"p50_ns"` // this and the next two: 0 if not known
	P99        time.Duration `json:"p99_ns"`
	Max        time.Duration `json:"max_ns"`
	CPU        time.Duration `json:"cpu_per_message_ns,omitempty"`         // of its process; 0: not known
	Harness    time.Duration `json:"harness_cpu_per_message_ns,omitempty"` // of producers and sink; 0: not known
	Messages   int64         `json:"messages"`
	Failed     int64         `json:"failed"`                  // requests, the warm-ups' included
	Duplicates int64         `json:"duplicates"`              // arrivals of what had arrived
	Lost       int64         `json:"lost,omitempty"`          // of a peer: acknowledged, and not there
	Durability string        `json:"durability,omitempty"`    // of a peer: what it does before it acknowledges
	Written    int64         `json:"bytes_to_disk,omitempty"` // by its process, from its first round to its last
	Rounds     []Round       `json:"rounds"`
	Held       *Usage        `json:"held,omitempty"`   // by its process at most, where that is known
	Stress     *Stress       `json:"stress,omitempty"` // of Overload's loads
	Pace       *Pace         `json:"pace,omitempty"`   // of an open loop

	operations int64     // that succeeded, the warm-ups' included
	written    []float64 // bytes for each of them, round by round
}

// Stress is what became of a load that is more than the server can deliver. Rates are
// per second while the load lasted.
type Stress struct {
	Offered   float64       `json:"offered"`
	Accepted  float64       `json:"accepted"`
	Refused   float64       `json:"refused"`   // with a Retry-After, and not stored
	Delivered float64       `json:"delivered"` // of what was accepted
	RefusedIn time.Duration `json:"refused_p99_ns"`
	Drained   time.Duration `json:"drained_ns"` // from the end of the load to the last arrival

	// How far a window of the second half was from the median of them, as a fraction.
	AcceptedSwing float64 `json:"accepted_swing"`
	ResidentSwing float64 `json:"resident_swing"` // of what was resident at most; 0: not known
}

// Round is one round of a side.
type Round struct {
	Rate     float64       `json:"rate"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	Max      time.Duration `json:"max_ns"`
	CPU      time.Duration `json:"cpu_per_message_ns,omitempty"`
	Harness  time.Duration `json:"harness_cpu_per_message_ns,omitempty"`
	Messages int64         `json:"messages"`
}

// Ratio compares two sides, round by round.
type Ratio struct {
	What   string  `json:"what,omitempty"` // what is compared: p99 or goodput, or rates if empty
	Of     string  `json:"of"`
	Over   string  `json:"over"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`

	Values []float64 `json:"values,omitempty"` // of each round, where there are several
}

// title is what is compared, in words.
func (q *Ratio) title() string {
	title := q.Of + " / " + q.Over
	if q.What != "" {
		title += ", " + q.What
	}
	return title
}

func newReport(scenario, unit string, o *Common) *Report {
	began := o.began
	if began.IsZero() {
		began = time.Now()
	}
	return &Report{
		Format:    reportFormat,
		Scenario:  scenario,
		Unit:      unit,
		Started:   began.UTC().Truncate(time.Second),
		Build:     o.Setting.Build,
		Fsync:     o.Setting.Fsync,
		Machine:   readMachine(&o.Setting),
		began:     began,
		GOOS:      runtime.GOOS,
		GOARCH:    runtime.GOARCH,
		CPUs:      runtime.NumCPU(),
		BodyBytes: o.BodyBytes,
		Rounds:    o.Rounds,
		Round:     o.Round,
	}
}

// End says that the run is over, which sets Took. Whoever called the scenario does so before
// the report is written. One that was read keeps its own.
func (r *Report) End() {
	if !r.began.IsZero() {
		r.Took = time.Since(r.began).Round(time.Millisecond)
	}
}

// add appends a comparison, with a ratio for each pair of sides.
func (r *Report) add(c int, sides []Side, pairs ...[2]int) {
	run := Run{Concurrency: c, Sides: sides}
	for _, p := range pairs {
		run.Ratios = append(run.Ratios, rates(&sides[p[0]], &sides[p[1]]))
	}
	r.Runs = append(r.Runs, run)
}

// addCPU adds to the newest run what two sides cost for each message, where that is known
// (row 10): the ratio that neighbours disturb least.
func (r *Report) addCPU(of, over int) {
	run := &r.Runs[len(r.Runs)-1]
	a, b := &run.Sides[of], &run.Sides[over]
	if a.CPU > 0 && b.CPU > 0 {
		run.Ratios = append(run.Ratios, ratio("CPU per message", a, b, func(r Round) float64 { return float64(r.CPU) }))
	}
}

// figures adds to what the last comparison tells.
func (r *Report) figures(all ...Figure) {
	run := &r.Runs[len(r.Runs)-1]
	run.Figures = append(run.Figures, all...)
}

// rates compares rates. No round has one of zero: such a round fails its run.
func rates(of, over *Side) Ratio {
	return ratio("", of, over, func(r Round) float64 { return r.Rate })
}

// ratio divides round by round, so that what changes between rounds cancels out. A round in
// which there is nothing to divide by is left out.
func ratio(what string, of, over *Side, value func(Round) float64) Ratio {
	q := Ratio{What: what, Of: of.Name, Over: over.Name}
	for i := range of.Rounds {
		// CPU time of a short round may be none: it comes in ticks.
		if under := value(over.Rounds[i]); under > 0 {
			q.Values = append(q.Values, value(of.Rounds[i])/under)
		}
	}
	if len(q.Values) > 0 {
		q.Median, q.Min, q.Max = median(q.Values), slices.Min(q.Values), slices.Max(q.Values)
	}
	return q
}

// text is the median of the rounds with their range.
func (q *Ratio) text() string {
	if q.Max == 0 {
		return "not known"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", q.Median, q.Min, q.Max)
}

func pick(rounds []Round, f func(Round) float64) []float64 {
	out := make([]float64, len(rounds))
	for i, r := range rounds {
		out[i] = f(r)
	}
	return out
}

// swing is how far one of the values is from their median, as a fraction of it.
func swing(values []float64) float64 {
	m, most := median(values), 0.0
	for _, v := range values {
		if m > 0 {
			most = max(most, v/m-1, 1-v/m)
		}
	}
	return most
}

// median of at least one value; of an even number, the mean of the middle two.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
