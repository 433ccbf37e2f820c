package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchHerd(environ []string) *cobra.Command {
	var o bench.HerdOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "herd [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "Many messages that fall due at one moment, and publishes beside them",
		Long: "Many messages for many hosts are published for one moment. Measured is how fast they are\n" +
			"delivered then, over what a closed loop delivers in the same run, and how long a few\n" +
			"publishes take meanwhile, which keep a rate. One message early, or lost, fails the run.",
		Example: "  tidemill bench herd\n  tidemill bench herd --messages 1000000",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Herd(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	f.Lookup("concurrency").Usage = "connections that the herd is published on (default 16)"
	f.Lookup("rounds").Usage = "how often all of it is done (default 1)"
	f.Lookup("round").Usage = "how long the closed loop is measured, 3s at most (default 3s)"
	f.IntVar(&o.Messages, "messages", 0, "messages that fall due (default 100000)")
	f.Var((*config.DurationValue)(&o.Lead), "lead", "how long before that they are published, at least (default: by what the closed loop delivers)")
	f.IntVar(&o.Beside, "beside", 0, "publishes a second meanwhile (default 100)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}
