package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func newBenchCompare() *cobra.Command {
	return &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "What changed from one report to another, and what is noise",
		Long: "Compare reports that --json has saved: two files, or two directories of them, by scenario.\n" +
			"Each value stands there with the ratio of new to old and an interval that holds the true\n" +
			"ratio in 19 of 20 comparisons, by the ranks of the rounds (Mann-Whitney): it needs four\n" +
			"rounds on both sides or more. What lies beyond it is marked, so one unmarked line in twenty\n" +
			"would be marked by chance.\n" +
			"\n" +
			"The rounds know the noise of their own minutes only. A machine that is shared is slower in\n" +
			"another hour, and every rate with it; trust the ratios to a reference of the same run (server /\n" +
			"echo), which that leaves alone, and the CPU time per message.",
		Example: "  tidemill bench compare bench/baselines/ci dist/bench",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			before, err := bench.ReadReports(args[0])
			if err != nil {
				return reportsError(err)
			}
			after, err := bench.ReadReports(args[1])
			if err != nil {
				return reportsError(err)
			}
			all, alone, err := bench.CompareAll(before, after)
			if err != nil {
				return exit.With(exit.Data, err)
			}
			return writeComparisons(c.OutOrStdout(), all, alone)
		},
	}
}

// reportsError gives what a saved report was refused for its status.
func reportsError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return exit.With(exit.NoInput, err)
	}
	return exit.With(exit.Data, err)
}

func writeComparisons(w io.Writer, all []*bench.Comparison, alone []string) error {
	for i, c := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := c.WriteText(w); err != nil {
			return err
		}
	}
	if len(alone) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nOn one side only, and not compared: %s\n", strings.Join(alone, ", "))
	return err
}
