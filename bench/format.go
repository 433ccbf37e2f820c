package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the report as a table for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d-byte bodies, %d rounds of %v for each side, %d CPUs (%s/%s) shared by all\n",
		r.Scenario, r.BodyBytes, r.Rounds, r.Round, r.CPUs, r.GOOS, r.GOARCH)
	for _, run := range r.Runs {
		run.writeTable(&b, r.Unit)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (run *Run) writeTable(w io.Writer, unit string) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\nc=%d\t%s\tp50\tp99\tmax\tCPU/message\tmessages\tfailed\tduplicates\t\n", run.Concurrency, unit)
	for _, s := range run.Sides {
		fmt.Fprintf(t, "%s\t%.0f\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t\n", s.Name, s.Rate,
			millis(s.P50), millis(s.P99), millis(s.Max), cpuText(s.CPU), s.Messages, s.Failed, s.Duplicates)
	}
	t.Flush() // to a strings.Builder: no error
	for _, q := range run.Ratios {
		what := ""
		if q.What != "" {
			what = ", " + q.What
		}
		fmt.Fprintf(w, "  %s / %s%s: %.2f (%.2f to %.2f)\n", q.Of, q.Over, what, q.Median, q.Min, q.Max)
	}
	for _, f := range run.Figures {
		fmt.Fprintf(w, "  %s: %s\n", f.Name, f.text())
	}
	for _, s := range run.Sides {
		if s.Held != nil {
			fmt.Fprintf(w, "  %s: the server held at most %d file descriptors and %d MiB\n", s.Name, s.Held.Descriptors, s.Held.Resident>>20)
		}
		if s.Pace != nil {
			s.Pace.write(w, s.Name, len(s.Rounds))
		}
		if s.Stress != nil {
			s.Stress.write(w, s.Name)
		}
	}
}

func (s *Stress) write(w io.Writer, name string) {
	fmt.Fprintf(w, "  %s: offered %.0f/s, accepted %.0f/s, refused %.0f/s (p99 of the answer %s), delivered %.0f/s\n",
		name, s.Offered, s.Accepted, s.Refused, millis(s.RefusedIn), s.Delivered)
	fmt.Fprintf(w, "  %s: in the second half accepted within %.1f %% of its median, resident memory within %.1f %%; all had arrived %v after the load\n",
		name, 100*s.AcceptedSwing, 100*s.ResidentSwing, s.Drained.Round(time.Millisecond))
}

// text is the median of the values, with their range if there are several.
func (f *Figure) text() string {
	median := quantity(median(f.Values), f.Unit)
	if len(f.Values) == 1 {
		return median
	}
	return fmt.Sprintf("%s (%s to %s)", median, quantity(slices.Min(f.Values), f.Unit), quantity(slices.Max(f.Values), f.Unit))
}

// quantity writes a value with its unit, in three digits or as a whole number.
func quantity(v float64, unit string) string {
	if unit != "" {
		unit = " " + unit
	}
	if v >= 100 || v <= -100 {
		return strconv.FormatFloat(v, 'f', 0, 64) + unit
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + unit
}

func millis(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fms", float64(d)/float64(time.Millisecond))
}

func cpuText(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fus", float64(d)/float64(time.Microsecond))
}

// WriteBenchmarks writes Go benchmark lines, one for each round of each side, so
// that benchstat can judge two reports.
func (r *Report) WriteBenchmarks(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/tidemill/tidemill/bench\n", r.GOOS, r.GOARCH)
	fmt.Fprintf(&b, "body-bytes: %d\nround: %v\n", r.BodyBytes, r.Round)
	name := "Benchmark" + strings.ToUpper(r.Scenario[:1]) + r.Scenario[1:]
	for _, run := range r.Runs {
		for _, s := range run.Sides {
			for _, q := range s.Rounds {
				fmt.Fprintf(&b, "%s/side=%s/c=%d-%d\t%d\t%.0f ns/op\t%.0f msg/s\t%d p50-ns\t%d p99-ns",
					name, s.Name, run.Concurrency, r.CPUs, q.Messages, 1e9/q.Rate, q.Rate, q.P50, q.P99)
				if q.CPU > 0 {
					fmt.Fprintf(&b, "\t%d cpu-ns/op", q.CPU)
				}
				b.WriteByte('\n')
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes the report as indented JSON; durations are in nanoseconds.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
