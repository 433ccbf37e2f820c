package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchDelayed(environ []string) *cobra.Command {
	var o bench.DelayedOptions
	var b benchFlags
	var rec recordFlag
	c := &cobra.Command{
		Use:   "delayed [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "How late delayed messages arrive at fixed rates; one that is early fails the run",
		Long: "Messages with a delay, or a time before which they must not come, are published at fixed\n" +
			"rates. Measured is how long after its due time each arrives; one that is early, or lost,\n" +
			"fails the run. With --background half the server delivers half of what it can meanwhile.",
		Example: "  tidemill bench delayed --rate 100 --round 1m\n  tidemill bench delayed --rate 100 --background half",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			return rec.write(&o.Record, func() error {
				report, err := bench.Delayed(c.Context(), o)
				return b.write(c.OutOrStdout(), report, err)
			})
		},
	}
	b.bind(c, environ, &o.Common)
	rec.bind(c)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "producers that keep each rate (default 32)"
	f.Lookup("rounds").Usage = "rounds at each rate (default 1)"
	f.Lookup("round").Usage = "how long messages fall due in a round (default 15s)"
	f.IntSliceVar(&o.Rates, "rate", nil, "messages that fall due a second, one round after the other (default 100,2000)")
	f.Var((*config.DurationValue)(&o.Delay), "delay", "least time from publish to due time (default 2s)")
	f.Var((*config.DurationValue)(&o.Spread), "spread", "how much longer it may be (default 3s)")
	f.Var(&o.Background, "background", "messages a second that are due at once, published beside them; half: half of the peak, which is measured first (default: none)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}

// newBenchLateness is newBenchDelayed under its first name.
func newBenchLateness(environ []string) *cobra.Command {
	c := newBenchDelayed(environ)
	c.Use, c.Hidden = "lateness [-- SERVE-FLAGS]", true
	return c
}
