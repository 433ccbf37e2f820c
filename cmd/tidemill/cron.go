package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/cron"
)

func newCron() *cobra.Command {
	c := &cobra.Command{
		Use:   "cron",
		Short: "Say what a cron expression means",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newCronNext())
	return c
}

func newCronNext() *cobra.Command {
	var rules engine.TimeRules
	var from fromValue
	n := config.CountValue(10)
	c := &cobra.Command{
		Use:   "next EXPRESSION",
		Short: "List when a schedule with this expression would publish",
		Long: "List when a schedule with this expression would publish, in the expression's zone and in\n" +
			"UTC. Days on which the clock changes are marked: with ! what is published at another time\n" +
			"than one may expect, or is one of two, and with - what is not published at all. No server\n" +
			"is needed.",
		Example: "  tidemill cron next \"CRON_TZ=Europe/Berlin 30 2 * * *\" --from 2026-03-27T00:00:00Z\n" +
			"  tidemill cron next --seconds \"*/10 * * * * *\" -n 3",
		Args: oneExpression,
		RunE: func(c *cobra.Command, args []string) error {
			if n < 1 || n > engine.PreviewMax {
				return exit.With(exit.Usage, fmt.Errorf("invalid --count %d: want a number from 1 to %d", n, engine.PreviewMax))
			}
			ticks, err := engine.PreviewTicks(args[0], rules, from.after(), int(n))
			if err != nil {
				return exit.With(exit.Usage, err)
			}
			if len(ticks) == 0 {
				return fmt.Errorf("%q does not fire after %s", args[0], from.after().Format(time.RFC3339))
			}
			return printTicks(c.OutOrStdout(), ticks)
		},
	}
	f := c.Flags()
	f.VarP(&n, "count", "n", "how many ticks to list, up to 1000")
	f.Var(&from, "from", "the time from which on to list them, such as 2026-03-29T00:00:00Z (default now)")
	f.Var((*dstValue)(&rules.DST), "dst", "what a time means that the clock skips or repeats: fire-once, skip or both")
	f.BoolVar(&rules.Seconds, "seconds", false, "the expression begins with a field of seconds")
	return c
}

func oneExpression(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one cron expression, in quotes, such as \"*/5 * * * *\"; there are %d arguments", len(args))
	}
	return nil
}

func printTicks(w io.Writer, ticks []engine.PreviewTick) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range ticks {
		tick := &ticks[i]
		mark := " "
		switch {
		case tick.Skipped:
			mark = "-"
		case tick.Note != "":
			mark = "!"
		}
		fmt.Fprintf(t, "%s %s\t%s", mark, wallTime(tick.Time), tick.Time.UTC().Format(time.RFC3339))
		if tick.Note != "" {
			fmt.Fprintf(t, "\t%s", tick.Note)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// wallTime is what a clock on the wall shows, with the offset from UTC, and the name
// of that where there is one.
func wallTime(t time.Time) string {
	s := t.Format("Mon 2006-01-02 15:04:05 -07:00")
	if name := t.Format("MST"); name[0] != '-' && name[0] != '+' {
		s += " " + name
	}
	return s
}

// dstValue is a rule for the days on which the clock changes.
type dstValue cron.DST

func (v *dstValue) String() string { return cron.DST(*v).String() }
func (v *dstValue) Type() string   { return "fire-once|skip|both" }

func (v *dstValue) Set(s string) error {
	d, ok := cron.ParseDST(s)
	if !ok {
		return errors.New("want fire-once, skip or both")
	}
	*v = dstValue(d)
	return nil
}

// fromValue is the first moment of a list, the zero value now.
type fromValue time.Time

func (v *fromValue) Type() string { return "time" }

func (v *fromValue) String() string {
	if time.Time(*v).IsZero() {
		return ""
	}
	return time.Time(*v).Format(time.RFC3339)
}

func (v *fromValue) Set(s string) error {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return errors.New("want a date and time with a zone, such as 2026-03-29T00:00:00Z or 2026-03-29T00:00:00+01:00")
	}
	*v = fromValue(t)
	return nil
}

// after is the moment after which the list begins.
func (v *fromValue) after() time.Time {
	if time.Time(*v).IsZero() {
		return time.Now()
	}
	return time.Time(*v).Add(-time.Millisecond)
}
