package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchFlow(environ []string) *cobra.Command {
	var o bench.FlowOptions
	var b benchFlags
	var rec recordFlag
	c := &cobra.Command{
		Use:   "flow [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "How exactly flow-control keys are kept, and what they cost",
		Long: "To each key more is published than it allows. What arrives must be explained by windows\n" +
			"that hold no more attempts than the rate, and by no more at one time than the parallelism;\n" +
			"how much of the windows is used is reported. Processor time for a message stands beside\n" +
			"that of as many messages a second without a key.",
		Example: "  tidemill bench flow\n  tidemill bench flow --keys 100 --rate 20 --period 2s --sliding",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			return rec.write(&o.Record, func() error {
				report, err := bench.Flow(c.Context(), o)
				return b.write(c.OutOrStdout(), report, err)
			})
		},
	}
	b.bind(c, environ, &o.Common)
	rec.bind(c)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "producers, each key having one (default 32)"
	f.Lookup("rounds").Usage = "rounds of each side (default 3)"
	f.Lookup("round").Usage = "length of a round, after a warm-up of 1s (default 5s)"
	f.IntVar(&o.Keys, "keys", 0, "how many keys there are (default 20)")
	f.IntVar(&o.Rate, "rate", 0, "attempts of a key in a period (default 50)")
	f.Var((*config.DurationValue)(&o.Period), "period", "that period (default 1s)")
	f.IntVar(&o.Parallelism, "parallelism", 0, "attempts of a key at one time (default 10)")
	f.BoolVar(&o.Sliding, "sliding", false, "ask for windows that slide (Tidemill-Flow-Control-Mode)")
	f.Var((*config.DurationValue)(&o.Answer), "answer", "how long the receiver takes for each attempt (default 20ms)")
	bindTolerance(c, &o.Tolerance)
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the receiver listens on (default 32)")
	return c
}
