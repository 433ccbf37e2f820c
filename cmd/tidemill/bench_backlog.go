package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/cmd/internal/config"
)

func newBenchBacklog(environ []string) *cobra.Command {
	var o bench.BacklogOptions
	var b benchFlags
	c := &cobra.Command{
		Use:   "backlog [-- SERVE-FLAGS]",
		Args:  cobra.ArbitraryArgs, // the server's
		Short: "What waiting messages cost: memory, disk, and CPU time of the others",
		Long: "One server for each number of pending messages takes so many that wait for an hour to a\n" +
			"day. Then they take turns at publishing delayed messages and at delivering those. Measured\n" +
			"are the memory and the disk that the waiting ones take, and the CPU time of a publish and\n" +
			"of a delivery, over that with the fewest. --drain measures in addition what is left on the\n" +
			"disk some time after nine tenths of a backlog were delivered.",
		Example: "  tidemill bench backlog\n" +
			"  tidemill bench backlog --pending 1000,10000000 --body 128\n" +
			"  tidemill bench backlog --drain",
		RunE: func(c *cobra.Command, args []string) error {
			if err := b.apply(c, args, &o.Common); err != nil {
				return err
			}
			report, err := bench.Backlog(c.Context(), o)
			return b.write(c.OutOrStdout(), report, err)
		},
	}
	b.bind(c, environ, &o.Common)
	f := c.Flags()
	hideServer(c)
	f.Lookup("concurrency").Usage = "producers (default 64)"
	f.Lookup("round").Usage = "how long publishes are measured in a round; deliveries follow (default 1s)"
	f.IntSliceVar(&o.Pending, "pending", nil, "numbers of messages that wait, the smallest first (default 1000,100000)")
	f.BoolVar(&o.Drain, "drain", false, "measure what is left on the disk after a backlog was delivered")
	f.Var((*config.DurationValue)(&o.DrainDelay), "drain-delay", "delay of the messages that are (default 5s, and 1s for every 20,000)")
	f.Var((*config.DurationValue)(&o.Calm), "calm", "how long a server is left alone before its memory is read (default 1s)")
	f.Var((*config.DurationValue)(&o.Settle), "settle", "how long after that (default 1m)")
	f.IntVar(&o.Hosts, "hosts", 0, "loopback addresses that the sink listens on (default 32)")
	return c
}
