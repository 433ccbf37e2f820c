package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

// recordFlag is --record of the scenarios whose receiver records.
type recordFlag struct{ path string }

func (r *recordFlag) bind(c *cobra.Command) {
	c.Flags().StringVar(&r.path, "record", "", "write what the receiver saw to a `file`, which tidemill bench verify checks again")
}

// write has run write its recording to out, if there is a file for it.
func (r *recordFlag) write(out *io.Writer, run func() error) error {
	if r.path == "" {
		return run()
	}
	f, err := os.Create(r.path)
	if err != nil {
		return err
	}
	*out = f
	return errors.Join(run(), f.Close())
}

func bindTolerance(c *cobra.Command, d *time.Duration) {
	c.Flags().Var((*config.DurationValue)(d), "tolerance",
		"how long an attempt may take from its beginning to its arrival (default half of the key's period, 1s at most)")
}

func newBenchVerify() *cobra.Command {
	var o bench.VerifyOptions
	c := &cobra.Command{
		Use:   "verify FILE...",
		Args:  cobra.MinimumNArgs(1),
		Short: "Check recordings again: order, limits, earliness, duplicates and losses",
		Long: "A recording is what --record of a scenario wrote (bench/RECORDING.md). The first\n" +
			"violation of each is named by its line, and the command fails.",
		Example: "  tidemill bench queues --record queues.log && tidemill bench verify queues.log",
		RunE: func(c *cobra.Command, args []string) (err error) {
			for _, path := range args {
				err = errors.Join(err, verifyFile(c.OutOrStdout(), path, o))
			}
			return err
		},
	}
	bindTolerance(c, &o.Tolerance)
	c.Flags().BoolVar(&o.Duplicates, "allow-duplicates", false, "messages may come again, as after a crash")
	return c
}

func verifyFile(w io.Writer, path string, o bench.VerifyOptions) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	v, err := bench.VerifyRecording(f, o)
	if v != nil {
		fmt.Fprintf(w, "%s: ", path)
		err = errors.Join(err, v.WriteText(w))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
