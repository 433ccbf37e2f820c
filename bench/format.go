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
	"unicode"
	"unicode/utf8"
)

// WriteText writes the report as a table for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d-byte bodies, %d rounds of %v for each side, %d CPUs (%s/%s) shared by all\n",
		r.Scenario, r.BodyBytes, r.Rounds, r.Round, r.CPUs, r.GOOS, r.GOARCH)
	for _, line := range r.circumstances() {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	for _, run := range r.Runs {
		run.writeTable(&b, r.Unit)
	}
	writePeers(&b, r.Peers)
	_, err := io.WriteString(w, b.String())
	return err
}

// circumstances are what a rate means nothing without, on a few lines.
func (r *Report) circumstances() []string {
	fsync := r.Fsync
	if fsync != "" {
		fsync = "fsync " + fsync
	}
	began := ""
	if !r.Started.IsZero() {
		began = "begun " + r.Started.UTC().Format(time.RFC3339)
	}
	if r.Took > 0 {
		began += fmt.Sprintf(", took %v", r.Took.Round(time.Second/10))
	}
	var lines []string
	for _, line := range []string{
		r.Machine.text(r.CPUs),
		joinKnown([]string{r.Build, fsync}, "; "),
		began,
	} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func (run *Run) writeTable(w io.Writer, unit string) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\n%s\t%s\tp50\tp99\tmax\tCPU/message\tharness\tmessages\tfailed\tduplicates\t\n", run.title(), unit)
	for _, s := range run.Sides {
		fmt.Fprintf(t, "%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t\n", s.Name, s.Rate,
			millis(s.P50), millis(s.P99), millis(s.Max), cpuText(s.CPU), cpuText(s.Harness), s.Messages, s.Failed, s.Duplicates)
	}
	t.Flush() // to a strings.Builder: no error
	run.writeNotes(w)
}

// title tells the runs of a report apart.
func (run *Run) title() string {
	return strings.TrimPrefix(fmt.Sprintf("%s c=%d", run.Name, run.Concurrency), " ")
}

// writeNotes writes, a line each, what there is to say beside the table.
func (run *Run) writeNotes(w io.Writer) {
	for _, s := range run.Sides {
		if worth := s.worth(); worth != "" {
			fmt.Fprintf(w, "  %s\n", worth)
		}
	}
	for _, q := range run.Ratios {
		fmt.Fprintf(w, "  %s: %s\n", q.title(), q.text())
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
	if len(f.Values) == 0 {
		return "not known"
	}
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

// WriteBenchmarks writes Go benchmark lines, one for each round of each side and one for
// each value of a figure, so that benchstat can judge two reports. Commit and time are not
// in its head: benchstat takes what differs there for another configuration, and compares
// within one only.
func (r *Report) WriteBenchmarks(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/tidemill/tidemill/bench\n", r.GOOS, r.GOARCH)
	fmt.Fprintf(&b, "body-bytes: %d\nround: %v\n", r.BodyBytes, r.Round)
	if r.Machine.CPU != "" {
		fmt.Fprintf(&b, "cpu: %s\n", r.Machine.CPU)
	}
	name := benchmarkName(r.Scenario)
	for _, run := range r.Runs {
		for _, s := range run.Sides {
			for _, q := range s.Rounds {
				fmt.Fprintf(&b, "%s%s/side=%s/c=%d-%d\t%d\t%.0f ns/op\t%.0f msg/s\t%d p50-ns\t%d p99-ns",
					name, run.benchmark(), word(s.Name), run.Concurrency, r.CPUs, q.Messages, 1e9/q.Rate, q.Rate, q.P50, q.P99)
				if q.CPU > 0 {
					fmt.Fprintf(&b, "\t%d cpu-ns/op", q.CPU)
				}
				if q.Harness > 0 {
					fmt.Fprintf(&b, "\t%d harness-cpu-ns/op", q.Harness)
				}
				b.WriteByte('\n')
			}
		}
		for i := range run.Figures {
			run.Figures[i].writeBenchmarks(&b, fmt.Sprintf("%s%s/c=%d-%d", name, run.benchmark(), run.Concurrency, r.CPUs))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeBenchmarks writes the values in a unit of their own name.
func (f *Figure) writeBenchmarks(w io.Writer, name string) {
	unit := word(f.Name)
	if f.Unit != "" {
		unit += "-" + word(f.Unit)
	}
	for _, v := range f.Values {
		fmt.Fprintf(w, "%s\t1\t%s %s\n", name, strconv.FormatFloat(v, 'g', 6, 64), unit)
	}
}

// benchmarkName is the scenario as the name of a Go benchmark.
func benchmarkName(scenario string) string {
	first, size := utf8.DecodeRuneInString(scenario)
	return "Benchmark" + string(unicode.ToUpper(first)) + word(scenario[size:])
}

// word makes one field of a benchmark line out of a text.
func word(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), "-")
}

// WriteJSON writes the report as indented JSON; durations are in nanoseconds.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
