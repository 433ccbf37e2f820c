package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the comparison as a table for people.
func (c *Comparison) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintln(&b, c.Scenario)
	for _, warning := range c.Warnings {
		fmt.Fprintf(&b, "  not the same: %s\n", warning)
	}
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	last := ""
	for _, d := range c.Rows {
		if d.Run != last {
			last = d.Run
			fmt.Fprintf(t, "%s\told\tnew\tnew/old\t95 %% within\t\n", last)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", d.What, quantity(d.Old, d.Unit), quantity(d.New, d.Unit), d.ratioText(), d.rangeText(), d.mark())
	}
	t.Flush() // to a strings.Builder: no error
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (d *Difference) ratioText() string {
	if !d.Known {
		return "-"
	}
	return fmt.Sprintf("%.3f", d.Ratio)
}

func (d *Difference) rangeText() string {
	switch {
	case !d.Known:
		return "-"
	case !d.Judged:
		return "too few rounds"
	}
	return fmt.Sprintf("%.3f to %.3f", d.Low, d.High)
}

func (d *Difference) mark() string {
	if v := d.Verdict(); v != "" {
		return "* " + v
	}
	return ""
}

func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func inMicros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
