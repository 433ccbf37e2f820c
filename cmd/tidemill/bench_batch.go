package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchBatch(environ []string) *cobra.Command {
	var o bench.BatchOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "batch [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "Messages per second in batches, beside single publishes",
		Long: "Messages go in with POST /v2/batch, many in a call, and one by one on as many connections.\n" +
			"The result of every message is checked. They are delayed, and some are looked up after each\n" +
			"round: they must be there. With --deliver they are due at once, and all must arrive.",
		Example: "  tidemill bench batch\n  tidemill bench batch --items 10 --concurrency 1,64",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Batch(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "numbers of producers, each with one call under way (default 64)"
	f.IntVar(&o.Items, "items", 0, "messages in a call (default 100)")
	f.Var((*config.DurationValue)(&o.Delay), "delay", "delay of the messages, so that none is delivered in the run (default 1d)")
	f.BoolVar(&o.Deliver, "deliver", false, "deliver them at once in place of that")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}
